//! Orders that are set aside: deferred for a while, or dead-lettered for an operator.
//!
//! *Invariant:* an order that fails never holds up another one. Its record of the change feed counts as done once the order
//! is on one of the two queues; only if SQS takes neither message is the record reported.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use domain::{
    OrderId, Version, fan_out,
    limits::{self, DEFERRED_FOR_MAX},
};
use queues::{DeferredOrder, Failure, QueueError};
use store::now_ms;
use telemetry::measure::Count;
use tokio::time::Instant;

use crate::{EventHandler, OrderError, classification::Class};

/// The first attempt at events of an order, for the change feed.
pub(crate) fn first_attempt(order_id: OrderId, (first, last): (Version, Version)) -> DeferredOrder {
    DeferredOrder { order_id, first, last, before: None, round: 1, deferred_at_ms: now_ms(), waits: false }
}

/// Whether an order was retried for as long as it may be.
fn is_over(attempt: &DeferredOrder) -> bool {
    let age_ms = now_ms().saturating_sub(attempt.deferred_at_ms);
    Duration::from_millis(u64::try_from(age_ms).unwrap_or_default()) > DEFERRED_FOR_MAX
}

/// The orders that this process deferred a moment ago. Clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeferredLately(Arc<Mutex<BTreeMap<OrderId, Noted>>>);

/// A message of a deferred order, on its way.
#[derive(Clone, Copy, Debug)]
struct Noted {
    at: Instant,
    /// The first version that it is about. It is about everything that follows in the log, too.
    first: Version,
    /// Until when no receiver sees it.
    hidden_until: Instant,
}

impl Noted {
    fn is_of_use(&self, now: Instant) -> bool {
        now < self.hidden_until || now.saturating_duration_since(self.at) < limits::DEFERRED_LATELY
    }
}

impl DeferredLately {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<OrderId, Noted>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, order_id: &OrderId, first: Version, delay: Duration) {
        let now = Instant::now();
        let mut orders = self.lock();
        orders.retain(|_, noted| noted.is_of_use(now));
        // SQS counts whole seconds, by a clock of its own.
        let hidden = Duration::from_secs(delay.as_secs().saturating_sub(1));
        orders.insert(order_id.clone(), Noted { at: now, first, hidden_until: now + hidden });
    }

    pub(crate) fn forget(&self, order_id: &OrderId) {
        self.lock().remove(order_id);
    }

    pub(crate) fn has(&self, order_id: &OrderId) -> bool {
        let noted = self.lock().get(order_id).copied();
        noted.is_some_and(|noted| noted.at.elapsed() < limits::DEFERRED_LATELY)
    }

    /// Whether a message that nobody has received yet is about these events too: whoever receives it folds the log from its
    /// first version to the head, and the events are in the log.
    fn covers(&self, order_id: &OrderId, first: Version) -> bool {
        let noted = self.lock().get(order_id).copied();
        noted.is_some_and(|noted| noted.first <= first && Instant::now() < noted.hidden_until)
    }
}

impl EventHandler {
    /// Defers an order that failed, or dead-letters it.
    ///
    /// # Errors
    /// [`QueueError`] if the order is on no queue.
    pub(crate) async fn set_aside(&self, attempt: DeferredOrder, error: &OrderError) -> Result<(), QueueError> {
        let reason = telemetry::reason(error);
        let class = error.class();
        // What comes before a gap is done with.
        let (missing, due) = error.gap().unwrap_or_default();
        let (first, last) = (attempt.first.max(missing), attempt.last.max(due));
        let is_over = match class {
            Class::Lasting => true,
            Class::Waiting => attempt.waits,
            Class::Passing => is_over(&attempt),
            Class::Progress => false,
        };
        let (name, first_version, last_version) = (attempt.order_id.as_str(), first.get(), last.get());
        if is_over {
            return self.dead_letter(&Failure::not_folded(&attempt.order_id, first, last, reason)).await;
        }
        let round = attempt.round.saturating_add(1);
        if class == Class::Waiting {
            // Whoever folds the missing event goes on with the others, for the stored projection says that they are there.
            // They are looked at again when they have waited as long as they may.
            tracing::info!(order_id = name, first_version, last_version, "events wait for one that is missing");
            let waiting = DeferredOrder { first, last, before: None, round, waits: true, ..attempt };
            return self.deferred.send(&waiting, limits::GAP_LASTS_MAX).await;
        }
        tracing::warn!(
            order_id = name,
            first_version,
            last_version,
            round = attempt.round,
            reason,
            "an order is deferred"
        );
        Count::Deferred.add(1);
        let before = attempt.before.clone().or_else(|| error.owner_before());
        if class == Class::Progress {
            // Whoever makes progress begins anew, at once.
            let next = DeferredOrder { before, round: 1, deferred_at_ms: now_ms(), waits: false, ..attempt };
            return self.deferred.send(&next, Duration::ZERO).await;
        }
        let delay = fan_out::retry_delay(attempt.round, fastrand::f64());
        // The attempt may have stored what nobody has pushed: the next one is not done when it finds the events folded.
        self.defer(DeferredOrder { before, round, waits: false, ..attempt }, delay).await
    }

    /// Defers the next events of an order that was deferred a moment ago, without an attempt.
    ///
    /// # Errors
    /// [`QueueError`] if the order is on no queue.
    pub(crate) async fn defer_again(&self, attempt: DeferredOrder) -> Result<(), QueueError> {
        let (name, first_version, last_version) = (attempt.order_id.as_str(), attempt.first.get(), attempt.last.get());
        tracing::info!(order_id = name, first_version, last_version, "an order is deferred with those before it");
        Count::Deferred.add(1);
        self.defer(attempt, limits::DEFERRED_LATELY).await
    }

    /// Sends a deferred order, unless a message that is on its way is about its events too: however many events an order
    /// gets while it cannot be folded, it has a few messages on the queue.
    async fn defer(&self, deferred: DeferredOrder, delay: Duration) -> Result<(), QueueError> {
        if self.lately.covers(&deferred.order_id, deferred.first) {
            return Ok(());
        }
        self.deferred.send(&deferred, delay).await?;
        self.lately.note(&deferred.order_id, deferred.first, delay);
        Ok(())
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
