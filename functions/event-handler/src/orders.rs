//! One order's way from events that are due to pushed updates.
//!
//! *Invariant:* the projection is written before the subscribers are read (rule 1 of the guarantee).

use delivery::Delivery;
use domain::{OrderId, limits};
use queues::PageQueue;
use store::{SdkConfig, Store, aws};
use tokio::time::Instant;

use crate::{
    FanOutError, FoldError,
    fold::{Due, Fold},
    pages,
};

/// What folding and pushing an order takes.
#[derive(Clone, Debug)]
pub struct Orders {
    pub(crate) store: Store,
    pub(crate) delivery: Delivery,
    /// Subscribers that one invocation pushes to; more are handed over in pages, where there is a page queue.
    pub(crate) page_subscribers_max: usize,
}

/// Why an order's events are not done with.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The projection is as it was, or not at the last event yet.
    #[error("the events were not folded")]
    NotFolded(#[from] FoldError),
    /// The projection is stored, and some subscribers do not have the update.
    #[error("the update was not pushed")]
    NotPushed(#[from] FanOutError),
}

impl Orders {
    /// Reads the environment, except for what `sdk` has. Every subscriber is pushed to here, however many there are, and
    /// those who cannot be reached are an error.
    ///
    /// # Errors
    /// The variable that is missing or malformed.
    pub fn with_sdk(sdk: &SdkConfig, var: &impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        Self::open(None, sdk, var)
    }

    /// The same for the function, which has little time: orders with more than a page of subscribers are handed over, as is
    /// whoever cannot be reached.
    ///
    /// # Errors
    /// The variable that is missing or malformed.
    pub fn in_pages(sdk: &SdkConfig, var: &impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        // What fails here is deferred, so that it does not hold up the batch.
        Self::open(Some(PageQueue::from_vars(sdk, var)?), &aws::impatient(sdk), var)
    }

    fn open(pages: Option<PageQueue>, sdk: &SdkConfig, var: &impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let delivery = Delivery::with_sdk("event-handler", pages, sdk, var)?;
        let page_subscribers_max = pages::subscribers_max(var)?;
        Ok(Self { store: delivery.store().clone(), delivery, page_subscribers_max })
    }

    /// Folds and pushes the events that are due. Folding ends at `fold_by`, and pushing at `push_by`.
    pub(crate) async fn fold_and_push(
        &self,
        order_id: &OrderId,
        due: &Due,
        Deadlines { fold_by, push_by }: Deadlines,
    ) -> Result<(), OrderError> {
        let Fold { folded, rest, .. } = self.fold(order_id, due, fold_by).await?;
        if let Some(folded) = &folded {
            self.fan_out(order_id, folded, push_by).await?;
        }
        rest.map_or(Ok(()), |rest| Err(rest.into()))
    }
}

/// When an invocation ends what it does, for all of its orders together, so that the next batch of the change feed does not
/// wait for a long log or for connections that do not answer. What is left by then is deferred, or on the page queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadlines {
    pub(crate) fold_by: Instant,
    pub(crate) push_by: Instant,
}

impl Deadlines {
    pub(crate) fn of(now: Instant, deadline: Instant) -> Self {
        let push_by = deadline.min(now + limits::PUSH_BEFORE_PAGES_MAX);
        Self { fold_by: now + push_by.saturating_duration_since(now) / 2, push_by }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_orders_of_a_batch_hold_up_the_next_one_for_seconds() {
        let now = Instant::now();
        let bound = limits::PUSH_BEFORE_PAGES_MAX;
        let of = |left| Deadlines::of(now, now + left);
        assert_eq!(of(Duration::from_secs(55)), Deadlines { fold_by: now + bound / 2, push_by: now + bound });
        let second = Duration::from_secs(1);
        assert_eq!(of(second), Deadlines { fold_by: now + second / 2, push_by: now + second });
    }
}
