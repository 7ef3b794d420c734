//! One order's way from events that are due to pushed updates.
//!
//! *Invariant:* the projection is written before the subscribers are read (rule 1 of the guarantee).

use delivery::Delivery;
use domain::{OrderId, limits};
use queues::PageQueue;
use store::{SdkConfig, Store};
use tokio::time::Instant;

use crate::{FanOutError, FoldError, fold::Due, pages};

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
        Self::open(Some(PageQueue::from_vars(sdk, var)?), sdk, var)
    }

    fn open(pages: Option<PageQueue>, sdk: &SdkConfig, var: &impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let delivery = Delivery::with_sdk("event-handler", pages, sdk, var)?;
        let page_subscribers_max = pages::subscribers_max(var)?;
        Ok(Self { store: delivery.store().clone(), delivery, page_subscribers_max })
    }

    /// Folds and pushes the events that are due. Folding may take half of the time that is left, so that there is time to
    /// push.
    pub(crate) async fn fold_and_push(
        &self,
        order_id: &OrderId,
        due: &Due,
        deadline: Instant,
    ) -> Result<(), OrderError> {
        let now = Instant::now();
        let fold_by = now + deadline.saturating_duration_since(now) / 2;
        let folded = self.fold(order_id, due, fold_by).await?;
        let push_by = if self.delivery.pages().is_some() { push_by(Instant::now(), deadline) } else { deadline };
        self.fan_out(order_id, &folded, push_by).await?;
        Ok(())
    }
}

/// When pushing an order's update ends, so that the next batch of the change feed does not wait for connections that do not
/// answer. Whoever is left by then is on the page queue.
fn push_by(now: Instant, deadline: Instant) -> Instant {
    deadline.min(now + limits::PUSH_BEFORE_PAGES_MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn connections_that_do_not_answer_hold_up_the_change_feed_for_seconds() {
        let now = Instant::now();
        let bound = limits::PUSH_BEFORE_PAGES_MAX;
        assert_eq!(push_by(now, now + Duration::from_secs(55)), now + bound);
        assert_eq!(push_by(now, now + Duration::from_secs(1)), now + Duration::from_secs(1));
    }
}
