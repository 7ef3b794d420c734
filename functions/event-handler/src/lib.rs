//! The event handler: from a batch of the change feed to folded projections and pushed updates.
//!
//! Owns: working on the orders of a batch concurrently and reporting each failure for itself.
//! Must not know: how a browser subscribed, what API Gateway invoked.
//! Source: rules 1, 3 and 4 of the guarantee; `ReportBatchItemFailures` of Lambda's event source mapping.

mod failure;
mod fan_out;
mod fold;
mod orders;
mod page_queue;
pub mod plan;
mod rebuild;

use std::collections::BTreeMap;

use domain::{LoggedEvent, OrderId, Version, limits};
use failures::{Failure, FailureQueue};
use futures_util::{StreamExt, stream};
use lambda_runtime::{LambdaEvent, service_fn};
use push::deadline;
use serde::Serialize;
use serde_json::Value;
use store::{
    BrokenItem, SdkConfig, aws,
    change_feed::{self, UnreadableBatch},
};
use telemetry::measure;
use tokio::time::Instant;

pub use fan_out::FanOutError;
pub use fold::FoldError;
pub use orders::{OrderError, Orders};
pub use page_queue::{MissingPageQueue, NotHandedOver};
pub use rebuild::Rebuilt;

/// What the function works with.
#[derive(Clone, Debug)]
pub struct EventHandler {
    orders: Orders,
    failures: FailureQueue,
}

/// What Lambda is told of a batch: the records that have to come again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchResponse {
    /// One entry a failed record; none if all is well.
    pub batch_item_failures: Vec<BatchItemFailure>,
}

/// A record that has to come again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BatchItemFailure {
    /// The record's sequence number.
    pub item_identifier: String,
}

/// One order's events of a batch, and the record that has to come again if they fail.
#[derive(Debug)]
struct OrderBatch {
    first_sequence_number: String,
    events: Vec<LoggedEvent>,
}

impl OrderBatch {
    /// The first and the last version.
    fn versions(&self) -> (Version, Version) {
        let versions = || self.events.iter().map(|logged| logged.version);
        (versions().min().unwrap_or_default(), versions().max().unwrap_or_default())
    }
}

/// Serves the change feed until Lambda ends the process.
///
/// # Errors
/// What is wrong with the environment, or with the Runtime API.
pub async fn run(var: impl Fn(&str) -> Option<String>) -> Result<(), lambda_runtime::Error> {
    let handler = EventHandler::from_vars(&var)?;
    let handler = &handler;
    let serve = async |event: LambdaEvent<Value>| {
        let deadline = deadline::from_epoch_ms(event.context.deadline);
        let response = Box::pin(handler.handle(&event.payload, deadline)).await;
        measure::flush();
        response.map_err(lambda_runtime::Error::from)
    };
    lambda_runtime::run(service_fn(serve)).await
}

impl EventHandler {
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
        Ok(Self { orders: Orders::in_pages(sdk, var)?, failures: FailureQueue::from_vars(sdk, var)? })
    }

    /// Folds and pushes a batch, its orders concurrently. What cannot be folded goes to the failure queue, however often
    /// it would be tried; what failed for a reason that passes is reported for its order's first record. So each order's
    /// failure is its own.
    ///
    /// # Errors
    /// [`UnreadableBatch`] if the invocation is none of the change feed's.
    pub async fn handle(&self, invocation: &Value, deadline: Instant) -> Result<BatchResponse, UnreadableBatch> {
        let mut poison = Vec::new();
        let mut orders: BTreeMap<OrderId, OrderBatch> = BTreeMap::new();
        for record in change_feed::read(invocation)? {
            match record.event {
                Ok(logged) => {
                    let order_id = logged.event.order_id().clone();
                    let first = || OrderBatch { first_sequence_number: record.sequence_number, events: Vec::new() };
                    orders.entry(order_id).or_insert_with(first).events.push(logged);
                }
                Err(broken) => poison.push((record.sequence_number, broken)),
            }
        }
        let worked = orders.into_iter().map(|(order_id, batch)| self.work_on(order_id, batch, deadline));
        let worked = stream::iter(worked).buffer_unordered(limits::FOLDS_IN_FLIGHT_MAX);
        let mut failures: Vec<_> = worked.filter_map(std::future::ready).collect().await;
        for (sequence_number, BrokenItem { key, reason }) in poison {
            let failure = Failure::Poison { key, reason, sequence_number: sequence_number.clone() };
            failures.extend(self.set_aside(failure, sequence_number).await);
        }
        Ok(BatchResponse { batch_item_failures: failures })
    }

    async fn work_on(&self, order_id: OrderId, batch: OrderBatch, deadline: Instant) -> Option<BatchItemFailure> {
        let (first, last) = batch.versions();
        let error = self.orders.fold_and_push(&order_id, batch.events, deadline).await.err()?;
        let reason = telemetry::reason(&error);
        if error.is_lasting() {
            let failure = Failure::not_folded(&order_id, first, last, reason);
            return self.set_aside(failure, batch.first_sequence_number).await;
        }
        tracing::error!(order_id = order_id.as_str(), reason, "the events have to come again");
        Some(BatchItemFailure { item_identifier: batch.first_sequence_number })
    }
}
