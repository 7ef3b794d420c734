//! The event handler: from a batch of the change feed to folded projections and pushed updates.
//!
//! Owns: working on the orders of a batch concurrently and reporting each failure for itself.
//! Must not know: how a browser subscribed, what API Gateway invoked.
//! Source: rules 1, 3 and 4 of the guarantee; `ReportBatchItemFailures` of Lambda's event source mapping.

mod fan_out;
mod fold;
pub mod plan;

use std::collections::BTreeMap;

use domain::{LoggedEvent, OrderId, Redaction, limits};
use futures_util::{StreamExt, stream};
use lambda_runtime::{LambdaEvent, service_fn};
use push::{ManagementEndpoint, Push, deadline};
use serde::Serialize;
use serde_json::Value;
use store::{
    Store, aws,
    change_feed::{self, UnreadableBatch},
};
use tokio::time::Instant;

pub use fan_out::FanOutError;
pub use fold::FoldError;

/// What the function works with.
#[derive(Clone, Debug)]
pub struct EventHandler {
    store: Store,
    push: Push,
    redaction: Redaction,
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

/// Why an order's events have to come again.
#[derive(Debug, thiserror::Error)]
enum OrderError {
    #[error("the events were not folded")]
    NotFolded(#[from] FoldError),
    #[error("the update was not pushed")]
    NotPushed(#[from] FanOutError),
}

/// One order's events of a batch, and the record that has to come again if they fail.
#[derive(Debug)]
struct OrderBatch {
    first_sequence_number: String,
    events: Vec<LoggedEvent>,
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
        Box::pin(handler.handle(&event.payload, deadline)).await.map_err(lambda_runtime::Error::from)
    };
    lambda_runtime::run(service_fn(serve)).await
}

impl EventHandler {
    /// Reads the environment.
    ///
    /// # Errors
    /// The variable that is missing or wrong.
    pub fn from_vars(var: &impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let sdk = aws::sdk_config(var)?;
        Ok(Self {
            store: Store::from_vars(&sdk, var)?,
            push: Push::new(&sdk, &ManagementEndpoint::from_vars(var)?),
            redaction: Redaction::from_vars(var),
        })
    }

    /// Folds and pushes a batch, its orders concurrently. A failure is reported for its order's first record, so that
    /// the others count as done.
    ///
    /// # Errors
    /// [`UnreadableBatch`] if the invocation is none of the change feed's.
    pub async fn handle(&self, invocation: &Value, deadline: Instant) -> Result<BatchResponse, UnreadableBatch> {
        let mut failures = Vec::new();
        let mut orders: BTreeMap<OrderId, OrderBatch> = BTreeMap::new();
        for record in change_feed::read(invocation)? {
            match record.event {
                Ok(logged) => {
                    let order_id = logged.event.order_id().clone();
                    let first = || OrderBatch { first_sequence_number: record.sequence_number, events: Vec::new() };
                    orders.entry(order_id).or_insert_with(first).events.push(logged);
                }
                Err(broken) => {
                    tracing::error!(key = broken.key, reason = broken.reason, "poison: a record is no event");
                    failures.push(BatchItemFailure { item_identifier: record.sequence_number });
                }
            }
        }
        let worked = orders.into_iter().map(|(order_id, batch)| async move {
            let done = self.fold_and_push(&order_id, batch.events, deadline).await;
            done.err().map(|error| {
                log_failure(&order_id, &error);
                BatchItemFailure { item_identifier: batch.first_sequence_number }
            })
        });
        let worked = stream::iter(worked).buffer_unordered(limits::FOLDS_IN_FLIGHT_MAX);
        failures.extend(worked.filter_map(std::future::ready).collect::<Vec<_>>().await);
        Ok(BatchResponse { batch_item_failures: failures })
    }

    /// Rule 1: the projection is written before the subscribers are read.
    async fn fold_and_push(
        &self,
        order_id: &OrderId,
        events: Vec<LoggedEvent>,
        deadline: Instant,
    ) -> Result<(), OrderError> {
        let folded = self.fold(order_id, events).await?;
        self.fan_out(order_id, &folded, deadline).await?;
        Ok(())
    }
}

fn log_failure(order_id: &OrderId, error: &OrderError) {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    let causes: Vec<String> = causes.map(ToString::to_string).collect();
    tracing::error!(order_id = order_id.as_str(), %error, ?causes, "the events have to come again");
}
