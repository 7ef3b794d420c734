//! The event handler: from a batch of the change feed to folded projections and pushed updates.
//!
//! [`EventHandler::handle`] takes what the change feed and the queue of deferred orders hand over. Each order is worked on
//! apart from the others: fold (`fold.rs`, decided by `plan.rs`), push (`fan_out.rs`), and set aside what failed
//! (`deferral.rs`, decided by `classification.rs`).

mod classification;
mod deferral;
mod fan_out;
mod fold;
mod orders;
mod pages;
pub mod plan;
mod rebuild;

use std::collections::BTreeMap;

use domain::{LoggedEvent, OrderId, Version, limits};
use futures_util::{StreamExt, stream};
use lambda_runtime::{LambdaEvent, service_fn};
use push::deadline;
use queues::{
    DeferredOrder, DeferredOrders, Failure, FailureQueue, QueueError,
    batch::{BatchItemFailure, BatchResponse, QueueBatch, QueueMessage},
};
use serde_json::value::RawValue;
use store::{
    BrokenItem, SdkConfig, aws,
    change_feed::{self, UnreadableBatch},
};
use telemetry::measure;
use tokio::{sync::Semaphore, time::Instant};

use deferral::{DeferredLately, first_attempt};
use fold::Due;
use orders::Deadlines;

pub use fan_out::FanOutError;
pub use fold::FoldError;
pub use orders::{OrderError, Orders};
pub use pages::{HandOverError, MalformedPageSizeError};
pub use rebuild::Rebuilt;

/// What the function works with.
#[derive(Clone, Debug)]
pub struct EventHandler {
    orders: Orders,
    deferred: DeferredOrders,
    lately: DeferredLately,
    failures: FailureQueue,
}

/// One order's events of a batch, and the record that is reported if they are on no queue.
#[derive(Debug)]
struct OrderBatch {
    first_sequence_number: String,
    events: Vec<LoggedEvent>,
    /// The length of their records.
    bytes: usize,
}

impl OrderBatch {
    /// The first and the last version.
    fn versions(&self) -> (Version, Version) {
        let versions = || self.events.iter().map(|logged| logged.version);
        (versions().min().unwrap_or_default(), versions().max().unwrap_or_default())
    }
}

/// Serves the change feed and the queue of deferred orders until Lambda ends the process.
///
/// # Errors
/// What is wrong with the environment, or with the Runtime API.
pub async fn run(var: impl Fn(&str) -> Option<String>) -> Result<(), lambda_runtime::Error> {
    let handler = EventHandler::from_vars(&var)?;
    let handler = &handler;
    let serve = async |event: LambdaEvent<Box<RawValue>>| {
        let deadline = deadline::from_epoch_ms(event.context.deadline);
        let response = Box::pin(handler.handle(event.payload.get(), deadline)).await;
        measure::flush();
        response.map_err(lambda_runtime::Error::from)
    };
    lambda_runtime::run(service_fn(serve)).await
}

impl EventHandler {
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
        Ok(Self {
            orders: Orders::in_pages(sdk, var)?,
            deferred: DeferredOrders::from_vars(sdk, var)?,
            lately: DeferredLately::default(),
            failures: FailureQueue::from_vars(sdk, var)?,
        })
    }

    /// Folds and pushes a batch of the change feed or of the queue of deferred orders, its orders concurrently. An order
    /// that fails is set aside; a record is reported only if no queue took what failed.
    ///
    /// # Errors
    /// [`UnreadableBatch`] if the invocation is neither.
    pub async fn handle(&self, invocation: &str, deadline: Instant) -> Result<BatchResponse, UnreadableBatch> {
        let batch_item_failures = match serde_json::from_str::<QueueBatch>(invocation) {
            Ok(batch) => self.handle_deferred(batch, deadline).await,
            Err(_not_a_queues) => self.handle_changes(invocation, deadline).await?,
        };
        Ok(BatchResponse { batch_item_failures })
    }

    async fn handle_changes(
        &self,
        invocation: &str,
        deadline: Instant,
    ) -> Result<Vec<BatchItemFailure>, UnreadableBatch> {
        let mut malformed = Vec::new();
        let mut orders: BTreeMap<OrderId, OrderBatch> = BTreeMap::new();
        for record in change_feed::read(invocation)? {
            match record.event {
                Ok(logged) => {
                    let order_id = logged.event.order_id().clone();
                    let first_sequence_number = record.sequence_number;
                    let first = || OrderBatch { first_sequence_number, events: Vec::new(), bytes: 0 };
                    let order = orders.entry(order_id).or_insert_with(first);
                    order.events.push(logged);
                    order.bytes += record.bytes;
                }
                Err(broken) => malformed.push((record.sequence_number, broken)),
            }
        }
        let deadlines = Deadlines::of(Instant::now(), deadline);
        // Large orders are worked on one after the other, beside small ones.
        let room = Semaphore::new(limits::FOLD_BYTES_IN_FLIGHT_MAX);
        let room = &room;
        let worked = orders.into_iter().map(|(order_id, batch)| async move {
            let bytes = u32::try_from(batch.bytes.min(limits::FOLD_BYTES_IN_FLIGHT_MAX)).unwrap_or(u32::MAX);
            // The semaphore is never closed. A small order does not wait behind a large one.
            let _room = if batch.bytes > limits::FOLD_BYTES_SMALL { room.acquire_many(bytes).await.ok() } else { None };
            let attempt = first_attempt(order_id, batch.versions());
            let worked = if self.lately.has(&attempt.order_id) {
                self.defer_again(attempt).await
            } else {
                self.work_on(attempt, &Due::delivered(batch.events), deadlines).await
            };
            reported(worked, batch.first_sequence_number)
        });
        let worked = stream::iter(worked).buffer_unordered(limits::FOLDS_IN_FLIGHT_MAX);
        let mut failures: Vec<_> = worked.filter_map(std::future::ready).collect().await;
        for (sequence_number, BrokenItem { key, reason }) in malformed {
            let failure = Failure::Poison { key, reason, sequence_number: sequence_number.clone() };
            failures.extend(reported(self.dead_letter(&failure).await, sequence_number));
        }
        Ok(failures)
    }

    async fn handle_deferred(&self, batch: QueueBatch, deadline: Instant) -> Vec<BatchItemFailure> {
        let worked = batch.messages.into_iter().map(|QueueMessage { message_id, body }| async move {
            let Some(deferred) = DeferredOrder::parse(&body) else {
                // SQS dead-letters it after some attempts.
                tracing::error!(message_id, "a message of the queue of deferred orders is of another kind");
                return Some(BatchItemFailure { item_identifier: message_id });
            };
            let due = Due::deferred(&deferred);
            // Nobody waits for it: it has the whole time.
            let fold_by = Instant::now() + deadline.saturating_duration_since(Instant::now()) / 2;
            let deadlines = Deadlines { fold_by, push_by: deadline };
            reported(self.work_on(deferred, &due, deadlines).await, message_id)
        });
        let worked = stream::iter(worked).buffer_unordered(limits::FOLDS_IN_FLIGHT_MAX);
        worked.filter_map(std::future::ready).collect().await
    }

    /// Folds and pushes an order's events, or sets the order aside.
    async fn work_on(&self, attempt: DeferredOrder, due: &Due, deadlines: Deadlines) -> Result<(), QueueError> {
        match self.orders.fold_and_push(&attempt.order_id, due, deadlines).await {
            Ok(()) => {
                self.lately.forget(&attempt.order_id);
                Ok(())
            }
            Err(error) => self.set_aside(attempt, &error).await,
        }
    }
}

/// The record that Lambda has to hand over once more, if it is done with by no queue.
fn reported(worked: Result<(), QueueError>, item_identifier: String) -> Option<BatchItemFailure> {
    let error = worked.err()?;
    tracing::error!(item_identifier, reason = telemetry::reason(&error), "retrying the record");
    Some(BatchItemFailure { item_identifier })
}
