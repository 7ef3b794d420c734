//! The failure queue: where events go that cannot be folded, so that they hold up nobody else.
//!
//! Owns: the message's JSON, and sending it.
//! Must not know: why an event cannot be folded, the change feed.
//! Source: `docs/guarantee.md`, "Poison"; SQS keeps a message for the queue's retention period.

use aws_sdk_sqs::{Client, error::SdkError, operation::send_message::SendMessageError};
use aws_types::SdkConfig;
use domain::{OrderId, Version};
use serde::Serialize;

/// The variable with the queue's address, as the template sets it.
pub const QUEUE_VARIABLE: &str = "FAILURE_QUEUE_URL";

/// The variable with SQS's address, where it is not AWS's own.
pub const SQS_ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL_SQS";

/// What could not be folded, and why. It holds keys and reasons alone, no event's content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "failure", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Failure {
    /// An item of the log is no event.
    Poison {
        /// The item's key, as far as it can be read.
        key: String,
        /// What is wrong with the item.
        reason: String,
        /// The record's place in the change feed.
        sequence_number: String,
    },
    /// Events of an order are good, and yet the order cannot be folded up to them.
    NotFolded {
        /// The order.
        order_id: String,
        /// The first of the events.
        first_version: u64,
        /// The last of the events.
        last_version: u64,
        /// What is in the way.
        reason: String,
    },
}

impl Failure {
    /// Events of an order that cannot be folded.
    #[must_use]
    pub fn not_folded(order_id: &OrderId, first: Version, last: Version, reason: String) -> Self {
        let order_id = order_id.as_str().to_owned();
        Self::NotFolded { order_id, first_version: first.get(), last_version: last.get(), reason }
    }
}

/// The failure queue of a deployment.
#[derive(Clone, Debug)]
pub struct FailureQueue {
    client: Client,
    url: String,
}

/// The variable [`QUEUE_VARIABLE`] holds no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {QUEUE_VARIABLE} must be the https:// address of the failure queue")]
pub struct MissingQueue;

/// A failure that is on no queue.
#[derive(Debug, thiserror::Error)]
#[error("the failure queue did not take a message")]
pub struct NotSent(#[source] Box<SdkError<SendMessageError>>);

impl FailureQueue {
    /// The queue that the environment names, with the region, credentials and HTTP client of `sdk`.
    ///
    /// # Errors
    /// [`MissingQueue`] if no variable names it.
    pub fn from_vars(sdk: &SdkConfig, var: impl Fn(&str) -> Option<String>) -> Result<Self, MissingQueue> {
        let is_address = |url: &String| url.starts_with("https://") || url.starts_with("http://");
        let url = var(QUEUE_VARIABLE).filter(is_address).ok_or(MissingQueue)?;
        let endpoint = var(SQS_ENDPOINT_VARIABLE).filter(is_address);
        let mut config = aws_sdk_sqs::config::Builder::from(sdk);
        config.set_endpoint_url(endpoint);
        Ok(Self { client: Client::from_conf(config.build()), url })
    }

    /// Sends a failure; it is on the queue when this returns.
    ///
    /// # Errors
    /// [`NotSent`] if SQS does not take it, after the SDK's own retries.
    pub async fn send(&self, failure: &Failure) -> Result<(), NotSent> {
        let body = serde_json::json!(failure).to_string();
        let send = self.client.send_message().queue_url(&self.url).message_body(body).send().await;
        send.map(|_sent| ()).map_err(|error| NotSent(Box::new(error)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_on_the_wire() {
        let order_id = OrderId::new("guid_1").unwrap();
        let failures = [
            Failure::Poison {
                key: "orderId=\"guid_1\" version=7".to_owned(),
                reason: "the attribute data is missing".to_owned(),
                sequence_number: "100".to_owned(),
            },
            Failure::not_folded(&order_id, Version::new(8), Version::new(9), "the log has a broken item".to_owned()),
        ];
        insta::assert_snapshot!(failures.map(|failure| serde_json::json!(failure).to_string()).join("\n"));
    }
}
