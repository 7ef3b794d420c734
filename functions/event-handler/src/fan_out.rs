//! Reaching every subscriber of an order that was folded.
//!
//! *Invariant:* the subscribers are read after the projection was stored (rule 1 of the guarantee).

use delivery::{DeliveryError, Folded};
use domain::{ConnectionId, OrderId, fan_out::Page};
use store::CallError;
use telemetry::measure;
use tokio::time::Instant;

use crate::{
    HandOverError, Orders,
    pages::{self, FirstPage},
};

/// Why an update is not on its way to every subscriber.
#[derive(Debug, thiserror::Error)]
pub enum FanOutError {
    /// The subscribers were not read.
    #[error("the subscribers were not read")]
    NoSubscribers(#[from] CallError),
    /// Subscribers are left who did not get it.
    #[error("the update was not delivered")]
    NotDelivered(#[from] DeliveryError),
    /// A page of subscribers is not on the queue.
    #[error("the subscribers were not handed over")]
    NotHandedOver(#[from] HandOverError),
}

impl Orders {
    /// Pushes to the subscribers that there are after the projection was stored. If they are more than a page, they are
    /// handed over, or pushed to page by page where there is no page queue.
    pub(crate) async fn fan_out(
        &self,
        order_id: &OrderId,
        folded: &Folded,
        deadline: Instant,
    ) -> Result<(), FanOutError> {
        let subscriptions = &self.store.subscriptions;
        let (first, end) = subscriptions.first_of_order(order_id, self.page_subscribers_max).await?;
        match (end, self.delivery.pages()) {
            (None, _) => {
                measure::fan_out(first.readable.len());
                let all = folded.page(order_id, Page::default());
                self.delivery.deliver(all, folded, first, deadline).await?;
            }
            (Some(end), Some(queue)) => {
                let first = FirstPage { subscribers: first.rows(), end };
                let size = self.page_subscribers_max;
                let subscribers = pages::hand_over(queue, subscriptions, order_id, folded, first, size).await?;
                measure::fan_out(subscribers);
                let version = folded.projection.version().get();
                tracing::info!(order_id = order_id.as_str(), version, subscribers, "handed over in pages");
            }
            (Some(end), None) => {
                let page = folded.page(order_id, Page { after: None, last: Some(end.clone()) });
                let delivered = self.delivery.deliver(page, folded, first, deadline).await;
                self.deliver_after(order_id, folded, end, deadline).await?;
                delivered?;
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
        let (mut after, mut delivered) = (Some(after), Ok(()));
        while let Some(begin) = after.take() {
            let (_, end) = subscriptions.page_end(order_id, &begin, self.page_subscribers_max).await?;
            after.clone_from(&end);
            let page = Page { after: Some(begin), last: end };
            let subscribers = subscriptions.of_page(order_id, &page).await?;
            // A page that could not be reached is reported in the end, and keeps the update from no other page.
            delivered =
                delivered.and(self.delivery.deliver(folded.page(order_id, page), folded, subscribers, deadline).await);
        }
        Ok(delivered?)
    }
}
