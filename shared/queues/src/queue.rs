//! One SQS queue: its address, and sending to it.

use std::time::Duration;

use aws_sdk_sqs::{
    Client,
    error::{BuildError, SdkError},
    types::SendMessageBatchRequestEntry,
};
use aws_types::SdkConfig;

/// The variable with the address of the failure queue.
pub const FAILURE_QUEUE_VARIABLE: &str = "FAILURE_QUEUE_URL";

/// The variable with the address of the page queue.
pub(crate) const PAGE_QUEUE_VARIABLE: &str = "PAGE_QUEUE_URL";

/// The variable with the address of the queue of deferred orders.
pub(crate) const ORDER_QUEUE_VARIABLE: &str = "ORDER_QUEUE_URL";

/// The variable with SQS's address, where it is not AWS's own.
pub const SQS_ENDPOINT_VARIABLE: &str = "AWS_ENDPOINT_URL_SQS";

/// Messages of one `SendMessageBatch`. Source: SQS quotas (10).
const MESSAGES_PER_CALL_MAX: usize = 10;

/// Longest delay of a message. Source: SQS quotas (15 minutes).
const DELAY_MAX: Duration = Duration::from_secs(15 * 60);

/// A variable names no queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {0} must be the https:// address of a queue")]
pub struct MissingQueueError(&'static str);

/// A call that SQS did not serve; messages that it took before are on the queue.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// SQS did not serve the call, after the SDK's own retries.
    #[error("SQS did not serve {operation}")]
    Call {
        /// The operation.
        operation: &'static str,
        /// What the SDK says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// SQS took some messages of a call and not others.
    #[error("SQS did not take {0} messages of a batch")]
    Rejected(usize),
}

impl From<BuildError> for QueueError {
    fn from(error: BuildError) -> Self {
        Self::Call { operation: "SendMessageBatch", source: error.into() }
    }
}

impl QueueError {
    pub(crate) fn call<E>(operation: &'static str, error: SdkError<E>) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        Self::Call { operation, source: error.into() }
    }
}

/// A queue that a variable names.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    pub(crate) client: Client,
    pub(crate) url: String,
}

impl Queue {
    /// Opens the queue that `variable` names, with the region, credentials and HTTP client of `sdk`.
    pub(crate) fn from_vars(
        variable: &'static str,
        sdk: &SdkConfig,
        var: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, MissingQueueError> {
        let is_address = |url: &String| url.starts_with("https://") || url.starts_with("http://");
        let url = var(variable).filter(is_address).ok_or(MissingQueueError(variable))?;
        let mut config = aws_sdk_sqs::config::Builder::from(sdk);
        config.set_endpoint_url(var(SQS_ENDPOINT_VARIABLE).filter(is_address));
        Ok(Self { client: Client::from_conf(config.build()), url })
    }

    /// Sends messages, visible to receivers after `delay`.
    pub(crate) async fn send(&self, bodies: &[String], delay: Duration) -> Result<(), QueueError> {
        let delay = i32::try_from(delay.min(DELAY_MAX).as_secs()).unwrap_or_default();
        if let [body] = bodies {
            let send = self.client.send_message().queue_url(&self.url).message_body(body).delay_seconds(delay);
            send.send().await.map_err(|error| QueueError::call("SendMessage", error))?;
            return Ok(());
        }
        for bodies in bodies.chunks(MESSAGES_PER_CALL_MAX) {
            let entry = |(index, body): (usize, &String)| {
                let entry = SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(body);
                entry.delay_seconds(delay).build()
            };
            let entries = bodies.iter().enumerate().map(entry).collect::<Result<Vec<_>, _>>()?;
            let send = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries));
            let sent = send.send().await.map_err(|error| QueueError::call("SendMessageBatch", error))?;
            let rejected = bodies.len().saturating_sub(sent.successful().len());
            if rejected > 0 {
                return Err(QueueError::Rejected(rejected));
            }
        }
        Ok(())
    }
}
