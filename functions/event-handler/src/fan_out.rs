//! Pushing one update to every subscriber of an order.
//!
//! Owns: that each outcome leads to what rule 4 says.
//! Must not know: where the update comes from.
//! Source: rule 4 of the guarantee; the decision itself is `domain::fan_out`.

use domain::{ConnectionId, OrderId, fan_out};
use futures_util::{StreamExt, stream};
use protocol::{Message, Update};
use store::{Store, subscriptions::ListError};
use tokio::time::Instant;

use crate::{Orders, fold::Folded};

/// Why an update has to be pushed again.
#[derive(Debug, thiserror::Error)]
pub enum FanOutError {
    /// The subscribers were not read.
    #[error("the subscribers were not read")]
    NoSubscribers(#[from] ListError),
    /// So many pushes failed that API Gateway seems to be the cause.
    #[error("more pushes failed than may be settled by closing connections")]
    General,
    /// A connection that took no push could not be closed either.
    #[error("{0} connections took no push and could not be closed")]
    NotClosed(usize),
}

/// How many settlements are under way at once.
const SETTLEMENTS_IN_FLIGHT_MAX: usize = 16;

impl Orders {
    /// Pushes to the subscribers that there are after the projection was stored.
    pub(crate) async fn fan_out(
        &self,
        order_id: &OrderId,
        folded: &Folded,
        deadline: Instant,
    ) -> Result<(), FanOutError> {
        let subscriptions = self.store.subscriptions.of_order(order_id).await?;
        let subscribers = subscriptions.len();
        let version = folded.projection.version().get();
        if subscribers == 0 {
            tracing::info!(order_id = order_id.as_str(), version, subscribers, "folded");
            return Ok(());
        }
        let update = Update::redacted(order_id.clone(), &folded.events, &folded.projection, &self.redaction);
        let frames = Message::Update(update).frames();
        let connection_ids = subscriptions.into_iter().map(|subscription| subscription.connection_id).collect();
        let outcomes = self.push.send_all(connection_ids, frames.into(), deadline).await;
        let settlement = fan_out::settle(outcomes);
        let (gone, closed) = (settlement.forget.len(), settlement.close.len());
        tracing::info!(order_id = order_id.as_str(), version, subscribers, gone, closed, "folded and pushed");
        self.forget_all(settlement.forget).await;
        self.close_all(settlement.close).await?;
        if settlement.retry { Err(FanOutError::General) } else { Ok(()) }
    }

    /// A connection that cannot be forgotten is forgotten by the next push, which finds it gone again.
    async fn forget_all(&self, connection_ids: Vec<ConnectionId>) {
        let forgets = connection_ids.into_iter().map(|connection_id| async move {
            let Store { connections, subscriptions, .. } = &self.store;
            let forgotten = store::forget(connections, subscriptions, &connection_id).await.is_ok();
            tracing::info!(connection_id = connection_id.as_str(), forgotten, "gone");
        });
        stream::iter(forgets).for_each_concurrent(SETTLEMENTS_IN_FLIGHT_MAX, |forget| forget).await;
    }

    async fn close_all(&self, connection_ids: Vec<ConnectionId>) -> Result<(), FanOutError> {
        let closes = connection_ids.iter().map(|connection_id| self.push.close(connection_id));
        let closes = stream::iter(closes).buffer_unordered(SETTLEMENTS_IN_FLIGHT_MAX);
        let open = closes.filter(|closed| std::future::ready(closed.is_err())).count().await;
        if open == 0 { Ok(()) } else { Err(FanOutError::NotClosed(open)) }
    }
}
