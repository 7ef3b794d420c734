//! The fan-out: from a page of subscribers on the page queue to pushed updates.
//!
//! *Invariant:* a page that could not be read is reported and Lambda hands it over again; subscribers who could not be
//! reached are a page of their own by then.

mod classification;

use std::{collections::BTreeSet, time::Duration};

use delivery::{Delivery, DeliveryError, ReadFoldedError};
use domain::limits::{CONNECTION_LIFE_MAX, ROW_GRACE};
use lambda_runtime::{LambdaEvent, service_fn};
use push::deadline;
use queues::{
    Failure, FailureQueue, PageOfSubscribers, PageQueue, UnreadablePage,
    batch::{BatchItemFailure, BatchResponse, QueueBatch, QueueMessage},
};
use store::{CallError, SdkConfig, aws, now_ms};
use telemetry::measure::{self, Count};
use tokio::time::Instant;

/// What the function works with.
#[derive(Clone, Debug)]
pub struct FanOut {
    delivery: Delivery,
    failures: FailureQueue,
}

/// Why a page was not pushed to.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The message is of another kind.
    #[error("the message is not a page")]
    Unreadable(#[from] UnreadablePage),
    /// The update was not read.
    #[error("the update was not read")]
    NotRead(#[from] ReadFoldedError),
    /// The subscribers were not read.
    #[error("the subscribers were not read")]
    NoSubscribers(#[from] CallError),
    /// Subscribers are left, and not on the queue.
    #[error("the update was not delivered")]
    NotDelivered(#[from] DeliveryError),
}

/// Serves the page queue until Lambda ends the process.
///
/// # Errors
/// What is wrong with the environment, or with the Runtime API.
pub async fn run(var: impl Fn(&str) -> Option<String>) -> Result<(), lambda_runtime::Error> {
    let fan_out = FanOut::from_vars(&var)?;
    let fan_out = &fan_out;
    let serve = async |event: LambdaEvent<QueueBatch>| {
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
    /// The variable that is missing or malformed.
    pub fn from_vars(var: &impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        Self::with_sdk(&aws::sdk_config(var)?, var)
    }

    /// Reads the environment, except for what `sdk` has.
    ///
    /// # Errors
    /// The variable that is missing or malformed.
    pub fn with_sdk(sdk: &SdkConfig, var: &impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let pages = PageQueue::from_vars(sdk, var)?;
        let delivery = Delivery::with_sdk("fan-out", Some(pages), sdk, var)?;
        Ok(Self { delivery, failures: FailureQueue::from_vars(sdk, var)? })
    }

    /// Pushes to each page of a batch. Subscribers who could not be reached go back to the queue as a page of their own.
    pub async fn handle(&self, batch: QueueBatch, deadline: Instant) -> BatchResponse {
        let mut response = BatchResponse::default();
        for QueueMessage { message_id, body } in batch.messages {
            if let Err(reason) = self.work_on(&body, deadline).await {
                tracing::error!(message_id, reason, "retrying the page");
                response.batch_item_failures.push(BatchItemFailure { item_identifier: message_id });
            }
        }
        response
    }

    /// Pushes to a page, or dead-letters its order; the error is why the page has to come again.
    async fn work_on(&self, message: &str, deadline: Instant) -> Result<(), String> {
        let page = PageOfSubscribers::parse(message).map_err(|error| telemetry::reason(&PageError::from(error)))?;
        let (order_id, first, version) = (page.order_id.clone(), page.first, page.version);
        let Err(error) = self.push_to_page(page, deadline).await else { return Ok(()) };
        let reason = telemetry::reason(&error);
        if !error.is_lasting() {
            return Err(reason);
        }
        tracing::error!(order_id = order_id.as_str(), version = version.get(), reason, "an order cannot be pushed");
        Count::Poison.add(1);
        let failure = Failure::not_folded(&order_id, first.unwrap_or(version), version, reason);
        self.failures.send(&failure).await.map_err(|error| telemetry::reason(&error))
    }

    async fn push_to_page(&self, page: PageOfSubscribers, deadline: Instant) -> Result<(), PageError> {
        let order_id = page.order_id.clone();
        if is_over(&page, now_ms()) {
            let (order_id, rounds) = (order_id.as_str(), page.rounds);
            tracing::warn!(order_id, rounds, "a page is dropped: each of its connections has ended by now");
            return Ok(());
        }
        let folded = self.delivery.read(&page).await?;
        let mut subscribers = self.delivery.store().subscriptions.of_page(&order_id, &page.page).await?;
        if let Some(left) = &page.left {
            let left: BTreeSet<_> = left.iter().collect();
            subscribers.readable.retain(|subscription| left.contains(&subscription.connection_id));
        }
        self.delivery.deliver(page, &folded, subscribers, deadline).await?;
        Ok(())
    }
}

/// Whether no connection can be alive that was there when the update was first pushed. Whoever connected since then has
/// read the log.
fn is_over(page: &PageOfSubscribers, now_ms: i64) -> bool {
    let life = CONNECTION_LIFE_MAX.saturating_add(ROW_GRACE);
    let age_ms = page.begun_at_ms.map_or(0, |begun_at_ms| now_ms.saturating_sub(begun_at_ms));
    Duration::from_millis(u64::try_from(age_ms).unwrap_or_default()) > life
}
