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
use queues::{DeferredOrder, Failure, OwnerBefore, QueueError};
use store::now_ms;
use telemetry::measure::Count;
use tokio::time::Instant;

use crate::{EventHandler, OrderError, classification::Class};

/// Events of an order that were tried, and how often.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    pub(crate) order_id: OrderId,
    pub(crate) first: Version,
    pub(crate) last: Version,
    /// Who owned the order before the events, if an attempt has found out.
    pub(crate) before: Option<OwnerBefore>,
    /// How many attempts were made, this one included.
    pub(crate) round: u32,
    /// When the first of them was made, in milliseconds since 1970.
    pub(crate) begun_at_ms: i64,
    /// Whether the events waited for a missing one, and now have done so as long as they may.
    pub(crate) waits: bool,
}

impl Attempt {
    /// The first attempt, for the change feed.
    pub(crate) fn first(order_id: OrderId, (first, last): (Version, Version)) -> Self {
        Self { order_id, first, last, before: None, round: 1, begun_at_ms: now_ms(), waits: false }
    }

    fn is_over(&self) -> bool {
        let age_ms = now_ms().saturating_sub(self.begun_at_ms);
        Duration::from_millis(u64::try_from(age_ms).unwrap_or_default()) > DEFERRED_FOR_MAX
    }
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
    pub(crate) async fn set_aside(&self, attempt: Attempt, error: &OrderError) -> Result<(), QueueError> {
        let Attempt { order_id, first, last, before, round, begun_at_ms, waits } = attempt.clone();
        let reason = telemetry::reason(error);
        let class = error.class();
        // What comes before a gap is done with.
        let (missing, due) = error.gap().unwrap_or_default();
        let (first, last) = (first.max(missing), last.max(due));
        let is_over = match class {
            Class::Lasting => true,
            Class::Waiting => waits,
            Class::Passing => attempt.is_over(),
            Class::Progress => false,
        };
        if is_over {
            return self.dead_letter(&Failure::not_folded(&order_id, first, last, reason)).await;
        }
        if class == Class::Waiting {
            return self.wait(Attempt { first, last, ..attempt }).await;
        }
        let (name, first_version, last_version) = (order_id.as_str(), first.get(), last.get());
        tracing::warn!(order_id = name, first_version, last_version, round, reason, "an order is deferred");
        Count::Deferred.add(1);
        let before = before.or_else(|| error.owner_before());
        if class == Class::Progress {
            // Whoever makes progress begins anew, at once.
            let (round, deferred_at_ms) = (1, now_ms());
            let deferred = DeferredOrder { order_id, first, last, before, round, deferred_at_ms, waits };
            return self.deferred.send(&deferred, Duration::ZERO).await;
        }
        let delay = fan_out::retry_delay(round, fastrand::f64());
        let round = round.saturating_add(1);
        // What is folded and was not pushed waits for no event.
        let waits = waits && matches!(error, OrderError::NotFolded(_));
        let deferred = DeferredOrder { order_id, first, last, before, round, deferred_at_ms: begun_at_ms, waits };
        self.defer(deferred, delay).await
    }

    /// Has events looked at again when they have waited for a missing one as long as they may. Until then whoever folds that one
    /// goes on with them: the stored projection says that they are there.
    async fn wait(&self, attempt: Attempt) -> Result<(), QueueError> {
        let Attempt { order_id, first, last, round, begun_at_ms, .. } = attempt;
        let (name, first_version, last_version) = (order_id.as_str(), first.get(), last.get());
        tracing::info!(order_id = name, first_version, last_version, "events wait for one that is missing");
        let round = round.saturating_add(1);
        let waiting =
            DeferredOrder { order_id, first, last, before: None, round, deferred_at_ms: begun_at_ms, waits: true };
        self.deferred.send(&waiting, limits::GAP_LASTS_MAX).await
    }

    /// Defers the next events of an order that was deferred a moment ago, without an attempt.
    ///
    /// # Errors
    /// [`QueueError`] if the order is on no queue.
    pub(crate) async fn defer_again(&self, attempt: Attempt) -> Result<(), QueueError> {
        let Attempt { order_id, first, last, before, round, begun_at_ms, waits } = attempt;
        let (name, first_version, last_version) = (order_id.as_str(), first.get(), last.get());
        tracing::info!(order_id = name, first_version, last_version, "an order is deferred with those before it");
        Count::Deferred.add(1);
        let deferred = DeferredOrder { order_id, first, last, before, round, deferred_at_ms: begun_at_ms, waits };
        self.defer(deferred, limits::DEFERRED_LATELY).await
    }

    /// Sends a deferred order, unless a message that is on its way is about its events too: however many events an order
    /// gets while it cannot be folded, it has a few messages on the queue.
    async fn defer(&self, deferred: DeferredOrder, delay: Duration) -> Result<(), QueueError> {
        if self.lately.covers(&deferred.order_id, deferred.first) {
            return Ok(());
        }
        self.deferred.send(&deferred, delay).await?;
        // Events that waited may be done with when their message comes, and nothing is read then.
        if !deferred.waits {
            self.lately.note(&deferred.order_id, deferred.first, delay);
        }
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
