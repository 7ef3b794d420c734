//! Pushing one update to subscribers of an order, as far as they may see it.
//!
//! *Invariant:* each subscriber of the page ends in one of four ways: it has the update, it is forgotten, it is closed, or it
//! is on the page queue. A push that fails never fails the change feed.

use std::{collections::BTreeSet, time::Duration};

use domain::{
    ConnectionId, OrderId, Subscription, Version,
    fan_out::{self, Audience, Before, Health, Outcome, Settlement},
    limits::CLOSE_ROUND_MIN,
};
use futures_util::{StreamExt, stream};
use protocol::{ErrorCode, ErrorMessage, Message, Update};
use queues::{OwnerBefore, PageOfSubscribers, QueueError};
use store::{Forgotten, Store, Witness, now_ms, subscriptions::Subscribers};
use telemetry::{
    measure::{self, Count},
    trace::Segment,
};
use tokio::time::{Instant, timeout_at};

use crate::{
    Delivery, Folded,
    folded::{Correction, owner_as_of},
};

/// Why subscribers of an order are left without an update, and nothing takes care of them.
#[derive(Debug, thiserror::Error)]
pub enum DeliveryError {
    /// The page queue did not take them.
    #[error("{subscribers} subscribers of order `{order_id}` could not be put on the page queue")]
    NotHandedOver {
        /// The order.
        order_id: OrderId,
        /// How many there are.
        subscribers: usize,
        /// What SQS says.
        #[source]
        source: QueueError,
    },
    /// The stage that was pushed to does not know them, and did not issue their ids.
    #[error(
        "{subscribers} subscribers of order `{order_id}` are connected to another stage than {stage}: \
         --management-url must be the ManagementEndpoint of the deployment whose tables these are"
    )]
    OfAnotherStage {
        /// The order.
        order_id: OrderId,
        /// How many there are.
        subscribers: usize,
        /// The stage that was pushed to.
        stage: String,
    },
    /// They could not be reached, and whoever pushed has no page queue.
    #[error("{subscribers} subscribers of order `{order_id}` could not be reached")]
    NotReached {
        /// The order.
        order_id: OrderId,
        /// How many there are.
        subscribers: usize,
    },
}

/// Connections that are settled at once: closed, forgotten, or unsubscribed.
pub(crate) const SETTLEMENTS_IN_FLIGHT_MAX: usize = 16;

/// Who is left after a round of pushes.
#[derive(Debug, Default)]
struct Remaining {
    /// Subscribers to push to once more.
    left: Vec<ConnectionId>,
    /// Connections that could not be closed.
    close: Vec<ConnectionId>,
}

impl Delivery {
    /// Pushes to these subscribers of a page, who were read after the projection was stored, as far as they may see the
    /// order. Those who could not be reached are put on the page queue.
    ///
    /// # Errors
    /// [`DeliveryError`] if some of them are left without the update.
    pub async fn deliver(
        &self,
        page: PageOfSubscribers,
        folded: &Folded,
        Subscribers { readable, broken }: Subscribers,
        deadline: Instant,
    ) -> Result<(), DeliveryError> {
        self.remove_broken(&broken).await;
        let order_id = &page.order_id;
        let subscribers = readable.len();
        let version = folded.projection.version().get();
        if subscribers == 0 && page.close.is_empty() {
            tracing::info!(order_id = order_id.as_str(), version, subscribers, "nobody to push to");
            return Ok(());
        }
        let round = page.rounds.saturating_add(1);
        let (shown, hidden, expired) = sorted(readable, folded.projection.owner());
        let pushed = shown.len();
        let update = Update {
            refolded: folded.correction == Some(Correction::Refolded),
            reset: folded.correction == Some(Correction::Reset),
            ..Update::redacted(order_id.clone(), &folded.events, &folded.projection, &self.redaction)
        };
        let mut outcomes = self.push_to(ids(shown), &Message::Update(update), deadline).await;
        self.follow(order_id, folded);
        count(&outcomes);
        match self.lost(order_id, folded, hidden, deadline).await {
            Ok(lost) => outcomes.extend(self.tell_lost(order_id, &lost, deadline).await),
            Err(unknown) => outcomes.extend(ids(unknown).into_iter().map(|id| (id, Outcome::Unattempted))),
        }
        let Settlement { mut forget, mut close, left } = self.settle(outcomes, round, deadline).await;
        let gone = forget.len();
        close.extend(page.close.iter().cloned().chain(ids(expired)));
        let open = self.close_all(&close, deadline).await;
        let still_open: BTreeSet<&ConnectionId> = open.iter().collect();
        // Its rows are of no use any more, and `$disconnect` may be missed.
        forget.extend(close.into_iter().filter(|connection_id| !still_open.contains(connection_id)));
        let closed = forget.len() - gone;
        let strangers = self.forget_all(forget).await;
        let remaining = left.len() + open.len();
        tracing::info!(
            order_id = order_id.as_str(),
            version,
            round,
            subscribers,
            pushed,
            gone,
            closed,
            left = remaining,
            "pushed"
        );
        let order_id = page.order_id.clone();
        self.hand_over(page, Remaining { left, close: open }).await?;
        if strangers > 0 && self.pages.is_none() {
            let stage = self.push.stage().as_str().to_owned();
            return Err(DeliveryError::OfAnotherStage { order_id, subscribers: strangers, stage });
        }
        Ok(())
    }

    /// Settles outcomes. What is known of API Gateway decides about failures; a late round in which nothing is known of it
    /// probes some of the connections first.
    async fn settle(&self, outcomes: Vec<(ConnectionId, Outcome)>, round: u32, deadline: Instant) -> Settlement {
        let is_failed = |outcome: &Outcome| matches!(outcome, Outcome::Throttled | Outcome::Failed);
        let mut health = self.push.health();
        if round >= CLOSE_ROUND_MIN && health != Health::Up {
            let failed = outcomes.iter().filter(|(_, outcome)| is_failed(outcome));
            let probed: Vec<ConnectionId> = failed.map(|(id, _)| id.clone()).collect();
            health = self.push.probe(&probed, deadline).await;
        }
        fan_out::settle(outcomes, round, health)
    }

    /// Puts who is left on the page queue.
    async fn hand_over(&self, page: PageOfSubscribers, remaining: Remaining) -> Result<(), DeliveryError> {
        let Remaining { left, close } = remaining;
        let subscribers = left.len() + close.len();
        if subscribers == 0 {
            return Ok(());
        }
        let order_id = page.order_id.clone();
        let Some(pages) = &self.pages else { return Err(DeliveryError::NotReached { order_id, subscribers }) };
        let rounds = page.rounds.saturating_add(1);
        let begun_at_ms = page.begun_at_ms.or_else(|| Some(now_ms()));
        let next = PageOfSubscribers { rounds, left: Some(left), close, begun_at_ms, ..page };
        let delay = fan_out::retry_delay(rounds, fastrand::f64());
        pages.send(&[next], delay).await.map_err(|source| DeliveryError::NotHandedOver {
            order_id,
            subscribers,
            source,
        })
    }

    /// Says how long the update took, and tells its trace if it has one.
    fn follow(&self, order_id: &OrderId, Folded { projection, events, steps, .. }: &Folded) {
        let pushed_at_ms = now_ms();
        let Some(appended_at_ms) = events.iter().find_map(|logged| logged.origin.appended_at_ms) else { return };
        let lag_ms = pushed_at_ms.saturating_sub(appended_at_ms);
        measure::lag(Duration::from_millis(u64::try_from(lag_ms).unwrap_or_default()));
        let Some(trace_id) = events.iter().find_map(|logged| logged.origin.trace_id.as_ref()) else { return };
        let version = projection.version().get();
        tracing::info!(order_id = order_id.as_str(), version, trace_id = trace_id.as_str(), lag_ms, "traced");
        let steps = steps.iter().copied().chain([("push", pushed_at_ms)]).collect();
        let (trace_id, order_id) = (trace_id.as_str(), order_id.as_str());
        self.daemon.send(self.function, &Segment { trace_id, order_id, version, steps, begun_at_ms: appended_at_ms });
    }

    /// Who of those that may not see the order could see it before. The former owner is read from the log only for an event
    /// that is delivered again; if that fails, it is not known of any of them.
    async fn lost(
        &self,
        order_id: &OrderId,
        folded: &Folded,
        hidden: Vec<Subscription>,
        deadline: Instant,
    ) -> Result<Vec<Subscription>, Vec<Subscription>> {
        let version = folded.before.version();
        let hidden: Vec<_> = hidden.into_iter().filter(|each| each.hidden_at.is_none_or(|at| at <= version)).collect();
        let owner = match &folded.before {
            OwnerBefore::Known { owner, .. } => owner.clone(),
            OwnerBefore::AsOf(_) if hidden.is_empty() => None,
            OwnerBefore::AsOf(version) => {
                let read = timeout_at(deadline, owner_as_of(self, order_id, *version)).await;
                match read.map_err(|_late| "there was no time to read it".to_owned()) {
                    Ok(Ok(owner)) => owner,
                    Ok(Err(error)) => return Err(self.not_told(order_id, &telemetry::reason(&error), hidden)),
                    Err(reason) => return Err(self.not_told(order_id, &reason, hidden)),
                }
            }
        };
        let before = Before { owner: owner.as_deref(), version };
        Ok(fan_out::audience(hidden, before, folded.projection.owner(), now_ms() / 1_000).lost)
    }

    fn not_told(&self, order_id: &OrderId, reason: &str, hidden: Vec<Subscription>) -> Vec<Subscription> {
        let order_id = order_id.as_str();
        tracing::warn!(order_id, reason, "the former owner is not known: who lost the order is told later");
        hidden
    }

    async fn push_to(
        &self,
        connection_ids: Vec<ConnectionId>,
        message: &Message,
        deadline: Instant,
    ) -> Vec<(ConnectionId, Outcome)> {
        if connection_ids.is_empty() {
            return Vec::new();
        }
        self.push.send_all(connection_ids, message.frames().into(), deadline).await
    }

    /// Tells those who may see the order no longer, and then ends their subscriptions: whoever dies in between tells them
    /// again. Whose row is another one by now has subscribed again, and keeps it.
    async fn tell_lost(
        &self,
        order_id: &OrderId,
        lost: &[Subscription],
        deadline: Instant,
    ) -> Vec<(ConnectionId, Outcome)> {
        let error = ErrorMessage::new(ErrorCode::Forbidden, "the order has another owner", "");
        let message = Message::Error(error.about(order_id.clone()));
        let outcomes = self.push_to(ids(lost.to_vec()), &message, deadline).await;
        let is_told = |outcome: &Outcome| *outcome == Outcome::Delivered;
        let told: BTreeSet<_> = outcomes.iter().filter(|(_, outcome)| is_told(outcome)).map(|(id, _)| id).collect();
        let ends = lost.iter().filter(|subscription| told.contains(&subscription.connection_id));
        let ends = ends.map(|subscription| async move {
            let ended = self.end(subscription).await.unwrap_or(false);
            let (order_id, connection_id) = (order_id.as_str(), subscription.connection_id.as_str());
            tracing::info!(order_id, connection_id, ended, "told that it lost the order");
        });
        stream::iter(ends).for_each_concurrent(SETTLEMENTS_IN_FLIGHT_MAX, |end| end).await;
        outcomes
    }

    /// Ends a subscription, unless its row is another one by now.
    async fn end(&self, subscription: &Subscription) -> Result<bool, store::CallError> {
        let Subscription { order_id, connection_id, .. } = subscription;
        let Store { connections, subscriptions, .. } = &self.store;
        if !subscriptions.delete_row(subscription).await? {
            return Ok(false);
        }
        // Room that is not freed is found again when the connection ends.
        if let Err(error) = connections.free_room(connection_id, order_id).await {
            let (order_id, connection_id) = (order_id.as_str(), connection_id.as_str());
            tracing::warn!(order_id, connection_id, reason = telemetry::reason(&error), "room is not freed");
        }
        Ok(true)
    }

    /// Forgets connections, and says how many of them another stage issued: a stage that was named by mistake calls every
    /// connection gone. A connection that cannot be forgotten is forgotten by the next push, which finds it gone again.
    async fn forget_all(&self, connection_ids: Vec<ConnectionId>) -> usize {
        // A function has the page queue, and the stage of its own deployment; a command has the one that it was told.
        let witness = Witness { stage: self.push.stage(), trusts_unknown: self.pages.is_some() };
        let forgets = connection_ids.into_iter().map(|connection_id| async move {
            let Store { connections, subscriptions, .. } = &self.store;
            let forgotten = store::forget_gone(connections, subscriptions, &connection_id, witness).await;
            let is_stranger = matches!(forgotten, Ok(Forgotten::OfAnotherStage));
            let connection_id = connection_id.as_str();
            if is_stranger {
                tracing::warn!(connection_id, "not forgotten: another stage issued its id");
            } else {
                tracing::info!(connection_id, forgotten = matches!(forgotten, Ok(Forgotten::Yes)), "gone");
            }
            is_stranger
        });
        let forgets = stream::iter(forgets).buffer_unordered(SETTLEMENTS_IN_FLIGHT_MAX);
        forgets.filter(|is_stranger| std::future::ready(*is_stranger)).count().await
    }

    /// Closes connections; the answer has those that are still open.
    async fn close_all(&self, connection_ids: &[ConnectionId], deadline: Instant) -> Vec<ConnectionId> {
        let closes = connection_ids.iter().map(|connection_id| async move {
            let closed = self.push.close(connection_id, deadline).await;
            closed.is_err().then(|| connection_id.clone())
        });
        stream::iter(closes).buffer_unordered(SETTLEMENTS_IN_FLIGHT_MAX).filter_map(std::future::ready).collect().await
    }
}

/// Those that may see an order of this owner, those that may not, and those whose time has ended.
fn sorted(
    subscriptions: Vec<Subscription>,
    owner: Option<&str>,
) -> (Vec<Subscription>, Vec<Subscription>, Vec<Subscription>) {
    let nobody = Before { owner: None, version: Version::NONE };
    let hidden: Vec<_> = subscriptions.iter().filter(|each| !each.principal.may_see(owner)).cloned().collect();
    let now_s = now_ms() / 1_000;
    let Audience { shown, expired, .. } = fan_out::audience(subscriptions, nobody, owner, now_s);
    (shown, hidden.into_iter().filter(|each| each.expires_at_s > now_s).collect(), expired)
}

/// Counts what became of an update's pushes.
fn count(outcomes: &[(ConnectionId, Outcome)]) {
    let (mut delivered, mut gone, mut failed) = (0, 0, 0);
    for (_, outcome) in outcomes {
        match outcome {
            Outcome::Delivered => delivered += 1,
            Outcome::Gone | Outcome::InvalidId => gone += 1,
            Outcome::TooLarge | Outcome::Throttled | Outcome::Failed | Outcome::Refused | Outcome::Unattempted => {
                failed += 1;
            }
        }
    }
    Count::UpdatesPushed.add(delivered);
    Count::ConnectionsGone.add(gone);
    Count::PushesFailed.add(failed);
}

fn ids(subscriptions: Vec<Subscription>) -> Vec<ConnectionId> {
    subscriptions.into_iter().map(|subscription| subscription.connection_id).collect()
}
