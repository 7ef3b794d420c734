//! One order's way from delivered events to pushed updates.
//!
//! Owns: rule 1 of the guarantee: the projection is written before the subscribers are read.
//! Must not know: batches, records, the failure queue.
//! Source: the guarantee.

use delivery::Delivery;
use domain::{LoggedEvent, OrderId, limits::PAGE_SUBSCRIBERS_MAX};
use store::{SdkConfig, Store};
use tokio::time::Instant;

use crate::{FanOutError, FoldError, page_queue::PageQueue};

/// What folding and pushing an order takes.
#[derive(Clone, Debug)]
pub struct Orders {
    pub(crate) store: Store,
    pub(crate) delivery: Delivery,
    /// Where the subscribers of an order go that has more than a page of them; absent, they are pushed to here.
    pub(crate) pages: Option<PageQueue>,
}

/// Why an order's events are not done with.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The projection is as it was.
    #[error("the events were not folded")]
    NotFolded(#[from] FoldError),
    /// The projection is stored, and some subscribers do not have the update.
    #[error("the update was not pushed")]
    NotPushed(#[from] FanOutError),
}

impl Orders {
    /// Reads the environment, but for what `sdk` has. Every subscriber is pushed to here, however many there are.
    ///
    /// # Errors
    /// The variable that is missing or wrong.
    pub fn with_sdk(sdk: &SdkConfig, var: &impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let delivery = Delivery::with_sdk("event-handler", sdk, var)?;
        Ok(Self { store: delivery.store().clone(), delivery, pages: None })
    }

    /// The same, for whoever has little time: orders with more than a page of subscribers are handed over.
    ///
    /// # Errors
    /// The variable that is missing or wrong.
    pub fn in_pages(sdk: &SdkConfig, var: &impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        Ok(Self { pages: Some(PageQueue::from_vars(sdk, var)?), ..Self::with_sdk(sdk, var)? })
    }

    pub(crate) fn page_subscribers_max(&self) -> usize {
        self.pages.as_ref().map_or(PAGE_SUBSCRIBERS_MAX, PageQueue::subscribers_max)
    }

    /// Rule 1: the projection is written before the subscribers are read.
    pub(crate) async fn fold_and_push(
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
