//! The queue itself, over SQS.
//!
//! Owns: sending; receiving, putting back and deleting, by which nothing is lost and nothing stays hidden.
//! Must not know: what a message says.
//! Source: SQS developer guide. There is no looking without receiving: a received message is hidden from others until it
//! is put back, deleted, or its time is over; so a receiver that dies loses nothing.

use std::time::Duration;

use aws_sdk_sqs::{
    primitives::{DateTime, DateTimeFormat},
    types::MessageSystemAttributeName,
};
use aws_types::SdkConfig;

use crate::{
    Content, Failure, Message, Received,
    queue::{FAILURE_QUEUE_VARIABLE, MissingQueueError, Queue, QueueError},
};

/// Messages of one call. Source: SQS, 10.
const RECEIVED_MAX: i32 = 10;

/// How long a received message is hidden, unless it is put back before: long enough to receive some thousands, and no
/// longer than an operator waits who sees an empty queue because another's command died.
const HIDDEN: Duration = Duration::from_secs(120);

/// How long a call waits for a message. Any wait makes SQS ask all its servers, so that no answer is an empty queue; it is
/// shorter than a call's time-out.
const WAIT: Duration = Duration::from_secs(1);

/// The failure queue of a deployment.
#[derive(Clone, Debug)]
pub struct FailureQueue(Queue);

impl FailureQueue {
    /// Opens the queue that the environment names, with the region, credentials and HTTP client of `sdk`.
    ///
    /// # Errors
    /// [`MissingQueueError`] if no variable names it.
    pub fn from_vars(sdk: &SdkConfig, var: impl Fn(&str) -> Option<String>) -> Result<Self, MissingQueueError> {
        Queue::from_vars(FAILURE_QUEUE_VARIABLE, sdk, var).map(Self)
    }

    /// Sends a failure; it is on the queue when this returns.
    ///
    /// # Errors
    /// [`QueueError`] if SQS does not take it.
    pub async fn send(&self, failure: &Failure) -> Result<(), QueueError> {
        self.0.send(&[serde_json::json!(failure).to_string()], Duration::ZERO).await
    }

    /// Receives some messages, at most 10; none if the queue has none that is not received already.
    ///
    /// # Errors
    /// [`QueueError`] if SQS does not answer, or answers with a message that has no id.
    pub async fn receive(&self) -> Result<Vec<Received>, QueueError> {
        let receive = self
            .0
            .client
            .receive_message()
            .queue_url(&self.0.url)
            .max_number_of_messages(RECEIVED_MAX)
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .set_visibility_timeout(i32::try_from(HIDDEN.as_secs()).ok())
            .set_wait_time_seconds(i32::try_from(WAIT.as_secs()).ok());
        let answer = receive.send().await.map_err(|error| QueueError::call("ReceiveMessage", error))?;
        let received = answer.messages.unwrap_or_default().into_iter().map(received).collect::<Option<Vec<_>>>();
        received.ok_or_else(|| QueueError::Call {
            operation: "ReceiveMessage",
            source: "a message has no id or no receipt handle".into(),
        })
    }

    /// Puts a message back, for others to receive at once.
    ///
    /// # Errors
    /// [`QueueError`]; others receive it later then.
    pub async fn put_back(&self, received: &Received) -> Result<(), QueueError> {
        let hide = self.0.client.change_message_visibility().queue_url(&self.0.url).visibility_timeout(0);
        let hidden = hide.receipt_handle(&received.receipt_handle).send().await;
        hidden.map(|_hidden| ()).map_err(|error| QueueError::call("ChangeMessageVisibility", error))
    }

    /// Deletes a message.
    ///
    /// # Errors
    /// [`QueueError`]; it comes again then.
    pub async fn delete(&self, received: &Received) -> Result<(), QueueError> {
        let delete = self.0.client.delete_message().queue_url(&self.0.url).receipt_handle(&received.receipt_handle);
        delete.send().await.map(|_deleted| ()).map_err(|error| QueueError::call("DeleteMessage", error))
    }
}

fn received(message: aws_sdk_sqs::types::Message) -> Option<Received> {
    let sent_at_ms = message.attributes.as_ref().and_then(|attributes| {
        attributes.get(&MessageSystemAttributeName::SentTimestamp)?.parse().ok().map(DateTime::from_millis)
    });
    let sent_at = sent_at_ms.and_then(|sent_at: DateTime| sent_at.fmt(DateTimeFormat::DateTime).ok());
    Some(Received {
        message: Message {
            id: message.message_id?,
            sent_at: sent_at.unwrap_or_default(),
            content: Content::read(message.body.as_deref().unwrap_or_default()),
        },
        receipt_handle: message.receipt_handle?,
    })
}
