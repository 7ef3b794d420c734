//! Orders that are set aside: deferred for a while, or dead-lettered for an operator.
//!
//! *Invariant:* an order that fails never holds up another one. Its record of the change feed counts as done once the order
//! is on one of the two queues; only if SQS takes neither message is the record reported.

use std::time::Duration;

use domain::{OrderId, Version, fan_out, limits::DEFERRED_FOR_MAX};
use queues::{DeferredOrder, Failure, QueueError};
use store::now_ms;
use telemetry::measure::Count;

use crate::{EventHandler, OrderError, classification::Class};

/// Events of an order that were tried, and how often.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) order_id: OrderId,
    pub(crate) first: Version,
    pub(crate) last: Version,
    /// How many attempts were made, this one included.
    pub(crate) round: u32,
    /// When the first of them was made, in milliseconds since 1970.
    pub(crate) begun_at_ms: i64,
}

impl Attempt {
    /// The first attempt, for the change feed.
    pub(crate) fn first(order_id: OrderId, (first, last): (Version, Version)) -> Self {
        Self { order_id, first, last, round: 1, begun_at_ms: now_ms() }
    }

    fn is_over(&self) -> bool {
        let age_ms = now_ms().saturating_sub(self.begun_at_ms);
        Duration::from_millis(u64::try_from(age_ms).unwrap_or_default()) > DEFERRED_FOR_MAX
    }
}

impl EventHandler {
    /// Defers an order that failed, or dead-letters it.
    ///
    /// # Errors
    /// [`QueueError`] if the order is on no queue.
    pub(crate) async fn set_aside(&self, attempt: Attempt, error: &OrderError) -> Result<(), QueueError> {
        let Attempt { order_id, first, last, round, begun_at_ms } = attempt.clone();
        let reason = telemetry::reason(error);
        let class = error.class();
        if class == Class::Lasting || class == Class::Passing && attempt.is_over() {
            return self.dead_letter(&Failure::not_folded(&order_id, first, last, reason)).await;
        }
        let (name, first_version, last_version) = (order_id.as_str(), first.get(), last.get());
        tracing::warn!(order_id = name, first_version, last_version, round, reason, "an order is deferred");
        Count::Deferred.add(1);
        let (round, begun_at_ms, delay) = match class {
            // Whoever makes progress begins anew.
            Class::Progress => (1, now_ms(), Duration::ZERO),
            Class::Passing | Class::Lasting => {
                (round.saturating_add(1), begun_at_ms, fan_out::retry_delay(round, fastrand::f64()))
            }
        };
        let deferred = DeferredOrder { order_id, first, last, round, deferred_at_ms: begun_at_ms };
        self.deferred.send(&deferred, delay).await
    }

    /// Sends a failure to the failure queue.
    ///
    /// # Errors
    /// [`QueueError`] if the queue does not take it.
    pub(crate) async fn dead_letter(&self, failure: &Failure) -> Result<(), QueueError> {
        Count::Poison.add(1);
        match failure {
            Failure::Poison { key, reason, .. } => tracing::error!(key, reason, "poison: a record is no event"),
            Failure::NotFolded { order_id, first_version, last_version, reason } => {
                tracing::error!(order_id, first_version, last_version, reason, "an order cannot be folded");
            }
            Failure::NotAppended { event_ref, reason } => tracing::error!(event_ref, reason, "a document is no event"),
        }
        self.failures.send(failure).await
    }
}
