//! Pushing one update to subscribers of an order, as far as they may see it.
//!
//! Owns: that each outcome leads to what rule 4 says, and that who may see the order no longer is told so once.
//! Must not know: where the update comes from, whether these are all subscribers.
//! Source: rule 4 of the guarantee; the decisions themselves are `domain::fan_out`.

use std::time::Duration;

use domain::{
    ConnectionId, OrderId, Subscription,
    fan_out::{self, Audience, Outcome},
};
use futures_util::{StreamExt, stream};
use protocol::{ErrorCode, ErrorMessage, Message, Update};
use store::{Store, now_ms};
use telemetry::{
    measure::{self, Count},
    trace::Segment,
};
use tokio::time::Instant;

use crate::{Delivery, Folded, OwnerBefore, folded::owner_as_of};

/// Why an update has to be pushed again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    /// So many pushes failed that API Gateway seems to be the cause.
    #[error("more pushes failed than may be settled by closing connections")]
    General,
    /// A connection that took no push could not be closed either.
    #[error("{0} connections took no push and could not be closed")]
    NotClosed(usize),
}

/// How many settlements are under way at once.
const SETTLEMENTS_IN_FLIGHT_MAX: usize = 16;

impl Delivery {
    /// Pushes to these subscribers, who were read after the projection was stored, as far as they may see the order.
    ///
    /// # Errors
    /// [`DeliveryError`] if some of them have to get it again.
    pub async fn deliver(
        &self,
        order_id: &OrderId,
        folded: &Folded,
        subscriptions: Vec<Subscription>,
        deadline: Instant,
    ) -> Result<(), DeliveryError> {
        let subscribers = subscriptions.len();
        let version = folded.projection.version().get();
        if subscribers == 0 {
            tracing::info!(order_id = order_id.as_str(), version, subscribers, "nobody to push to");
            return Ok(());
        }
        let Audience { shown, lost, expired } = self.audience(order_id, folded, subscriptions).await;
        let (shown, lost, expired) = (ids(shown), ids(lost), ids(expired));
        let pushed = shown.len();
        let update = Update::redacted(order_id.clone(), &folded.events, &folded.projection, &self.redaction);
        let mut outcomes = self.push_to(shown, &Message::Update(update), deadline).await;
        self.follow(order_id, folded);
        count(&outcomes);
        outcomes.extend(self.tell_lost(order_id, lost, deadline).await);
        let settlement = fan_out::settle(outcomes, 1, self.push.health());
        let (gone, closed) = (settlement.forget.len(), settlement.close.len() + expired.len());
        tracing::info!(order_id = order_id.as_str(), version, subscribers, pushed, gone, closed, "pushed");
        self.close_all(&expired, deadline).await?;
        self.forget_all(settlement.forget.into_iter().chain(expired)).await;
        self.close_all(&settlement.close, deadline).await?;
        if settlement.left.is_empty() { Ok(()) } else { Err(DeliveryError::General) }
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

    async fn audience(&self, order_id: &OrderId, folded: &Folded, subscriptions: Vec<Subscription>) -> Audience {
        let after = folded.projection.owner();
        let before = match &folded.before {
            OwnerBefore::Known(owner) => owner.clone(),
            OwnerBefore::AsOf(_) if subscriptions.iter().all(|each| each.principal.may_see(after)) => None,
            // Read only for an event that comes again after it gave the order to another owner.
            OwnerBefore::AsOf(version) => owner_as_of(self, order_id, *version).await.unwrap_or_else(|error| {
                tracing::warn!(order_id = order_id.as_str(), %error, "who lost the order is not told");
                None
            }),
        };
        fan_out::audience(subscriptions, before.as_deref(), after, now_ms() / 1_000)
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

    /// Tells those who may see the order no longer, and ends their subscriptions.
    async fn tell_lost(
        &self,
        order_id: &OrderId,
        lost: Vec<ConnectionId>,
        deadline: Instant,
    ) -> Vec<(ConnectionId, Outcome)> {
        let message = Message::Error(ErrorMessage {
            code: ErrorCode::Forbidden,
            message: "the order has another owner".to_owned(),
            request_id: String::new(),
            order_id: Some(order_id.clone()),
        });
        let outcomes = self.push_to(lost, &message, deadline).await;
        let Store { connections, subscriptions, .. } = &self.store;
        for (connection_id, _) in outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Delivered) {
            let ended = store::unsubscribe(connections, subscriptions, connection_id, order_id).await.is_ok();
            tracing::info!(
                order_id = order_id.as_str(),
                connection_id = connection_id.as_str(),
                ended,
                "lost its order"
            );
        }
        outcomes
    }

    /// A connection that cannot be forgotten is forgotten by the next push, which finds it gone again.
    async fn forget_all(&self, connection_ids: impl Iterator<Item = ConnectionId>) {
        let forgets = connection_ids.map(|connection_id| async move {
            let Store { connections, subscriptions, .. } = &self.store;
            let forgotten = store::forget(connections, subscriptions, &connection_id).await.is_ok();
            tracing::info!(connection_id = connection_id.as_str(), forgotten, "gone");
        });
        stream::iter(forgets).for_each_concurrent(SETTLEMENTS_IN_FLIGHT_MAX, |forget| forget).await;
    }

    async fn close_all(&self, connection_ids: &[ConnectionId], deadline: Instant) -> Result<(), DeliveryError> {
        let closes = connection_ids.iter().map(|connection_id| self.push.close(connection_id, deadline));
        let closes = stream::iter(closes).buffer_unordered(SETTLEMENTS_IN_FLIGHT_MAX);
        let open = closes.filter(|closed| std::future::ready(closed.is_err())).count().await;
        if open == 0 { Ok(()) } else { Err(DeliveryError::NotClosed(open)) }
    }
}

/// Counts what became of an update's pushes.
fn count(outcomes: &[(ConnectionId, Outcome)]) {
    let of = |is_meant: fn(Outcome) -> bool| outcomes.iter().filter(|(_, outcome)| is_meant(*outcome)).count();
    Count::UpdatesPushed.add(of(|outcome| outcome == Outcome::Delivered));
    Count::ConnectionsGone.add(of(|outcome| outcome == Outcome::Gone));
    let is_failed =
        |outcome| matches!(outcome, Outcome::TooLarge | Outcome::Throttled | Outcome::Failed | Outcome::Refused);
    Count::PushesFailed.add(of(is_failed));
}

fn ids(subscriptions: Vec<Subscription>) -> Vec<ConnectionId> {
    subscriptions.into_iter().map(|subscription| subscription.connection_id).collect()
}
