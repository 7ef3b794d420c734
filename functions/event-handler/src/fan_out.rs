//! Reaching every subscriber of an order that was folded.
//!
//! Owns: that an order with more subscribers than one invocation pushes to is handed over in pages.
//! Must not know: who may see the order, what becomes of a push.
//! Source: rule 1 of the guarantee: the subscribers are read after the projection was written.

use delivery::{DeliveryError, Folded};
use domain::{ConnectionId, OrderId, fan_out::Page};
use store::CallError;
use telemetry::measure;
use tokio::time::Instant;

use crate::{NotHandedOver, Orders};

/// Why an update has to be pushed again.
#[derive(Debug, thiserror::Error)]
pub enum FanOutError {
    /// The subscribers were not read.
    #[error("the subscribers were not read")]
    NoSubscribers(#[from] CallError),
    /// Subscribers that were read did not get it.
    #[error("the update was not delivered")]
    NotDelivered(#[from] DeliveryError),
    /// A page of subscribers is not on the queue.
    #[error("the subscribers were not handed over")]
    NotHandedOver(#[from] NotHandedOver),
}

impl Orders {
    /// Pushes to the subscribers that there are after the projection was stored; if they are more than a page, they are
    /// handed over, or pushed to page by page where nobody takes pages.
    pub(crate) async fn fan_out(
        &self,
        order_id: &OrderId,
        folded: &Folded,
        deadline: Instant,
    ) -> Result<(), FanOutError> {
        let subscriptions = &self.store.subscriptions;
        let (first, end) = subscriptions.first_of_order(order_id, self.page_subscribers_max()).await?;
        let rows = first.rows();
        match (end, &self.pages) {
            (None, _) => {
                measure::fan_out(first.readable.len());
                self.delivery.remove_broken(&first.broken).await;
                self.delivery.deliver(order_id, folded, first.readable, deadline).await?;
            }
            (Some(end), Some(pages)) => {
                let subscribers = pages.hand_over(order_id, folded, subscriptions, (rows, end)).await?;
                measure::fan_out(subscribers);
                let version = folded.projection.version().get();
                tracing::info!(order_id = order_id.as_str(), version, subscribers, "handed over in pages");
            }
            (Some(end), None) => {
                self.delivery.remove_broken(&first.broken).await;
                self.delivery.deliver(order_id, folded, first.readable, deadline).await?;
                self.deliver_after(order_id, folded, end, deadline).await?;
            }
        }
        Ok(())
    }

    async fn deliver_after(
        &self,
        order_id: &OrderId,
        folded: &Folded,
        after: ConnectionId,
        deadline: Instant,
    ) -> Result<(), FanOutError> {
        let subscriptions = &self.store.subscriptions;
        let mut after = Some(after);
        while let Some(begin) = after.take() {
            let (_, end) = subscriptions.page_end(order_id, &begin, self.page_subscribers_max()).await?;
            after.clone_from(&end);
            let page = subscriptions.of_page(order_id, &Page { after: Some(begin), last: end }).await?;
            self.delivery.remove_broken(&page.broken).await;
            self.delivery.deliver(order_id, folded, page.readable, deadline).await?;
        }
        Ok(())
    }
}
