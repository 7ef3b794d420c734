//! What Lambda hands a function from a queue, and what the function replies.

use serde::{Deserialize, Serialize};

/// Messages of a queue, as Lambda hands them over.
#[derive(Clone, Debug, Deserialize)]
pub struct QueueBatch {
    /// The messages.
    #[serde(rename = "Records")]
    pub messages: Vec<QueueMessage>,
}

/// One message of a [`QueueBatch`].
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueueMessage {
    /// Its id, by which a failure is reported.
    pub message_id: String,
    /// Its text.
    pub body: String,
}

/// The records of a batch that Lambda has to hand over once more. Source: `ReportBatchItemFailures` of Lambda's event
/// source mappings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    /// One entry per failed record; empty on success.
    pub batch_item_failures: Vec<BatchItemFailure>,
}

/// A record that Lambda has to hand over once more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailure {
    /// The record's sequence number, or the message's id.
    pub item_identifier: String,
}
