//! Cutting an order's subscribers into pages for the function `fan-out`.

use delivery::Folded;
use domain::{
    ConnectionId, OrderId,
    fan_out::Page,
    limits::{PAGE_SUBSCRIBERS_MAX, PAGES_PER_CALL_MAX},
};
use queues::{PageOfSubscribers, PageQueue, QueueError};
use std::time::Duration;
use store::{CallError, Subscriptions};

/// The variable with the most subscribers of a page; absent, it is [`PAGE_SUBSCRIBERS_MAX`].
const PAGE_SUBSCRIBERS_VARIABLE: &str = "PAGE_SUBSCRIBERS_MAX";

/// The variable with the size of a page has another value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the environment variable {PAGE_SUBSCRIBERS_VARIABLE} must be a number from 1 to {PAGE_SUBSCRIBERS_MAX}")]
pub struct MalformedPageSizeError;

/// Why an order's subscribers are not all on the page queue. Those that are get the update, and once more when the order's
/// events are retried.
#[derive(Debug, thiserror::Error)]
pub enum HandOverError {
    /// The subscribers were not read.
    #[error("the subscribers were not read")]
    NoSubscribers(#[from] CallError),
    /// The queue did not take every page.
    #[error("the page queue did not take every page")]
    NotSent(#[from] QueueError),
}

/// Reads how many subscribers one invocation pushes to.
///
/// # Errors
/// [`MalformedPageSizeError`].
pub(crate) fn subscribers_max(var: impl Fn(&str) -> Option<String>) -> Result<usize, MalformedPageSizeError> {
    let Some(text) = var(PAGE_SUBSCRIBERS_VARIABLE) else { return Ok(PAGE_SUBSCRIBERS_MAX) };
    let number = text.parse().ok().filter(|number| (1..=PAGE_SUBSCRIBERS_MAX).contains(number));
    number.ok_or(MalformedPageSizeError)
}

/// A run of an order's subscribers that begins with the first of them.
pub(crate) struct FirstPage {
    /// How many there are.
    pub(crate) subscribers: usize,
    /// The last of them.
    pub(crate) end: ConnectionId,
}

/// Puts all subscribers of an order on the page queue, in pages of at most `subscribers_max`, and says how many there are.
///
/// # Errors
/// [`HandOverError`] if one page of them is not on the queue.
pub(crate) async fn hand_over(
    queue: &PageQueue,
    subscriptions: &Subscriptions,
    order_id: &OrderId,
    folded: &Folded,
    first: FirstPage,
    subscribers_max: usize,
) -> Result<usize, HandOverError> {
    let page = |after, last| folded.page(order_id, Page { after, last });
    let mut subscribers = first.subscribers;
    let mut pages: Vec<PageOfSubscribers> = vec![page(None, Some(first.end.clone()))];
    let mut after = Some(first.end);
    while let Some(begin) = after.take() {
        let (count, end) = subscriptions.page_end(order_id, &begin, subscribers_max).await?;
        subscribers += count;
        after.clone_from(&end);
        if count > 0 {
            pages.push(page(Some(begin), end));
        }
        if pages.len() >= PAGES_PER_CALL_MAX {
            queue.send(&pages, Duration::ZERO).await?;
            pages.clear();
        }
    }
    queue.send(&pages, Duration::ZERO).await?;
    Ok(subscribers)
}
