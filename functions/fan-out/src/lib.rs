//! The fan-out: from a page of subscribers that was handed over to pushed updates.
//!
//! Owns: that a page that was not pushed to comes again, and no other page with it.
//! Must not know: how an order is folded, who handed the page over.
//! Source: rule 4 of the guarantee; SQS messages as Lambda delivers them, and `ReportBatchItemFailures`.

use delivery::{Delivery, DeliveryError, Handover, ReadFoldedError, UnreadableHandover};
use lambda_runtime::{LambdaEvent, service_fn};
use push::deadline;
use serde::{Deserialize, Serialize};
use store::{CallError, SdkConfig, aws};
use telemetry::measure;
use tokio::time::Instant;

/// What the function works with.
#[derive(Clone, Debug)]
pub struct FanOut {
    delivery: Delivery,
}

/// What Lambda hands over: messages of the queue of pages.
#[derive(Clone, Debug, Deserialize)]
pub struct Batch {
    /// The messages.
    #[serde(rename = "Records")]
    pub messages: Vec<PageMessage>,
}

/// A message of the queue of pages.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageMessage {
    /// Its id, by which a failure is reported.
    pub message_id: String,
    /// What it says.
    pub body: String,
}

/// What Lambda is told of a batch: the messages that have to come again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    /// One entry a failed message; none if all is well.
    pub batch_item_failures: Vec<BatchItemFailure>,
}

/// A message that has to come again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailure {
    /// The message's id.
    pub item_identifier: String,
}

/// Why a page was not pushed to.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The message is no page.
    #[error("the message is no page")]
    Unreadable(#[from] UnreadableHandover),
    /// The update was not read.
    #[error("the update was not read")]
    NotRead(#[from] ReadFoldedError),
    /// The subscribers were not read.
    #[error("the subscribers were not read")]
    NoSubscribers(#[from] CallError),
    /// Subscribers that were read did not get it.
    #[error("the update was not delivered")]
    NotDelivered(#[from] DeliveryError),
}

/// Serves the queue of pages until Lambda ends the process.
///
/// # Errors
/// What is wrong with the environment, or with the Runtime API.
pub async fn run(var: impl Fn(&str) -> Option<String>) -> Result<(), lambda_runtime::Error> {
    let fan_out = FanOut::from_vars(&var)?;
    let fan_out = &fan_out;
    let serve = async |event: LambdaEvent<Batch>| {
        let deadline = deadline::from_epoch_ms(event.context.deadline);
        let response = Box::pin(fan_out.handle(event.payload, deadline)).await;
        measure::flush();
        Ok::<_, lambda_runtime::Error>(response)
    };
    lambda_runtime::run(service_fn(serve)).await
}

impl FanOut {
    /// Reads the environment.
    ///
    /// # Errors
    /// The variable that is missing or wrong.
    pub fn from_vars(var: &impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        Self::with_sdk(&aws::sdk_config(var)?, var)
    }

    /// Reads the environment, but for what `sdk` has.
    ///
    /// # Errors
    /// The variable that is missing or wrong.
    pub fn with_sdk(sdk: &SdkConfig, var: &impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        Ok(Self { delivery: Delivery::with_sdk("fan-out", sdk, var)? })
    }

    /// Pushes to each page of a batch. A page that failed is reported and comes again, to those who have it already too:
    /// a client drops versions that it has.
    pub async fn handle(&self, batch: Batch, deadline: Instant) -> BatchResponse {
        let mut response = BatchResponse::default();
        for PageMessage { message_id, body } in batch.messages {
            if let Err(error) = self.push_to_page(&body, deadline).await {
                let reason = telemetry::reason(&error);
                tracing::error!(message_id, reason, "the page has to come again");
                response.batch_item_failures.push(BatchItemFailure { item_identifier: message_id });
            }
        }
        response
    }

    async fn push_to_page(&self, message: &str, deadline: Instant) -> Result<(), PageError> {
        let handover = Handover::parse(message)?;
        let folded = self.delivery.read(&handover).await?;
        let page = self.delivery.store().subscriptions.of_page(&handover.order_id, &handover.page).await?;
        self.delivery.remove_broken(&page.broken).await;
        self.delivery.deliver(&handover.order_id, &folded, page.readable, deadline).await?;
        Ok(())
    }
}
