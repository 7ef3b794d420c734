//! A message of the failure queue, as an operator's command reads it.
//!
//! Besides our own failures the queue has pages and deferred orders that no invocation finished, and Lambda's on-failure
//! documents. Such a document names records by their place in the change feed and holds none of them (developer guide of
//! AWS Lambda, "Retain discarded batches").

use serde::Deserialize;

use crate::{DeferredOrder, Failure, PageOfSubscribers};

/// A message and when it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// SQS's id of it.
    pub id: String,
    /// When it was sent, in UTC: `2026-11-26T23:31:29.000Z`.
    pub sent_at: String,
    /// What it says.
    pub content: Content,
}

/// What a message of the failure queue says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// The event handler's own.
    Failure(Failure),
    /// Lambda's: records of the change feed that it handed over no more.
    GivenUp(GivenUp),
    /// Subscribers of an order whom no invocation of `fan-out` finished with.
    Page(PageOfSubscribers),
    /// Events of an order that no invocation of the event handler finished with.
    Deferred(DeferredOrder),
    /// None of these. What it says is shown nowhere: nobody knows what is in it.
    Unreadable {
        /// Its length.
        bytes: usize,
    },
}

/// Records of the change feed that Lambda gave up on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenUp {
    /// Why: `RetryAttemptsExhausted` or `RecordAgeExceeded`.
    pub condition: String,
    /// How the last try ended: `Unhandled` after an error, nothing after reported records.
    pub function_error: Option<String>,
    /// The shard that the records are of.
    pub shard_id: String,
    /// The first record's place in the shard.
    pub start_sequence_number: String,
    /// The last record's.
    pub end_sequence_number: String,
    /// How many records there are.
    pub batch_size: u64,
}

/// A message that this receiver alone has, until it puts it back or its time is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The message.
    pub message: Message,
    /// By which SQS knows that this receiver has it.
    pub(crate) receipt_handle: String,
}

impl Content {
    /// Reads a message's text.
    #[must_use]
    pub fn read(body: &str) -> Self {
        let failure = || serde_json::from_str(body).ok().map(Self::Failure);
        let given_up = || serde_json::from_str::<Document>(body).ok().map(|document| Self::GivenUp(document.into()));
        let page = || PageOfSubscribers::parse(body).ok().map(Self::Page);
        let deferred = || DeferredOrder::parse(body).map(Self::Deferred);
        failure().or_else(given_up).or_else(page).or_else(deferred).unwrap_or(Self::Unreadable { bytes: body.len() })
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    request_context: RequestContext,
    response_context: ResponseContext,
    #[serde(rename = "DDBStreamBatchInfo")]
    batch: Batch,
}

#[derive(Deserialize)]
struct RequestContext {
    condition: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponseContext {
    function_error: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    shard_id: String,
    start_sequence_number: String,
    end_sequence_number: String,
    batch_size: u64,
}

impl From<Document> for GivenUp {
    fn from(document: Document) -> Self {
        let Document { request_context, response_context, batch } = document;
        Self {
            condition: request_context.condition,
            function_error: response_context.function_error,
            shard_id: batch.shard_id,
            start_sequence_number: batch.start_sequence_number,
            end_sequence_number: batch.end_sequence_number,
            batch_size: batch.batch_size,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_of_lambda_is_read() {
        let document = json!({
            "requestContext": {"requestId": "r", "functionArn": "arn", "condition": "RetryAttemptsExhausted",
                               "approximateInvokeCount": 3},
            "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
            "version": "1.0", "timestamp": "2025-11-25T10:00:00.000Z",
            "DDBStreamBatchInfo": {"shardId": "shardId-1", "startSequenceNumber": "100", "endSequenceNumber": "300",
                                   "approximateArrivalOfFirstRecord": "2025-11-25T10:00:00Z",
                                   "approximateArrivalOfLastRecord": "2025-11-25T10:00:00Z", "batchSize": 2,
                                   "streamArn": "arn"},
        });
        let given_up = GivenUp {
            condition: "RetryAttemptsExhausted".to_owned(),
            function_error: Some("Unhandled".to_owned()),
            shard_id: "shardId-1".to_owned(),
            start_sequence_number: "100".to_owned(),
            end_sequence_number: "300".to_owned(),
            batch_size: 2,
        };
        assert_eq!(Content::read(&document.to_string()), Content::GivenUp(given_up.clone()));
        let mut reported = document;
        reported["responseContext"]["functionError"] = json!(null);
        let reported = Content::read(&reported.to_string());
        assert_eq!(reported, Content::GivenUp(GivenUp { function_error: None, ..given_up }));
    }

    #[test]
    fn a_page_of_subscribers_and_a_deferred_order_are_told_apart() {
        let page = r#"{"after":"a=","before":{"owner":"user_1"},"first":7,"orderId":"guid_1","version":9}"#;
        assert_eq!(Content::read(page), Content::Page(PageOfSubscribers::parse(page).unwrap()));
        let deferred = r#"{"deferredAt":5,"first":7,"last":9,"orderId":"guid_1","round":2}"#;
        assert_eq!(Content::read(deferred), Content::Deferred(DeferredOrder::parse(deferred).unwrap()));
    }

    #[test]
    fn what_is_neither_is_known_by_its_length_alone() {
        for body in ["", "x", "{}", "[]", r#"{"failure":"other"}"#, r#"{"failure":"poison","key":"k"}"#] {
            assert_eq!(Content::read(body), Content::Unreadable { bytes: body.len() }, "{body}");
        }
    }
}
