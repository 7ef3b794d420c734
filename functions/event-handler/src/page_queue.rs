//! The queue of the pages that wait for the function `fan-out`.
//!
//! Owns: cutting an order's subscribers into pages, and that each of them is on the queue before it counts as handed over.
//! Must not know: who takes a page, what it does.
//! Source: SQS, `SendMessageBatch`: some messages of a call may be taken and others not.

use aws_sdk_sqs::{
    Client,
    error::{BuildError, SdkError},
    operation::send_message_batch::SendMessageBatchError,
    types::SendMessageBatchRequestEntry,
};
use delivery::{Folded, Handover};
use domain::{
    ConnectionId, OrderId,
    fan_out::Page,
    limits::{PAGE_SUBSCRIBERS_MAX, PAGES_PER_CALL_MAX},
};
use failures::SQS_ENDPOINT_VARIABLE;
use store::{CallError, SdkConfig, Subscriptions};

/// The variable with the queue's address, as the template sets it.
const PAGE_QUEUE_VARIABLE: &str = "PAGE_QUEUE_URL";

/// The variable with the most subscribers of a page; absent, it is [`PAGE_SUBSCRIBERS_MAX`].
const PAGE_SUBSCRIBERS_VARIABLE: &str = "PAGE_SUBSCRIBERS_MAX";

/// The queue of pages of a deployment.
#[derive(Clone, Debug)]
pub(crate) struct PageQueue {
    client: Client,
    url: String,
    subscribers_max: usize,
}

/// A variable of the queue is missing or wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MissingPageQueue {
    /// There is no address.
    #[error("the environment variable {PAGE_QUEUE_VARIABLE} must be the https:// address of the queue of pages")]
    Url,
    /// The size of a page is none.
    #[error("the environment variable {PAGE_SUBSCRIBERS_VARIABLE} must be from 1 to {PAGE_SUBSCRIBERS_MAX}")]
    SubscribersMax,
}

/// Why an order's pages were not all handed over. Those that were are pushed to, and once more when the events come again.
#[derive(Debug, thiserror::Error)]
pub enum NotHandedOver {
    /// The subscribers were not read.
    #[error("the subscribers were not read")]
    NoSubscribers(#[from] CallError),
    /// SQS did not serve the call.
    #[error("the queue of pages did not take a call")]
    Call(#[source] Box<SdkError<SendMessageBatchError>>),
    /// SQS took some pages of a call and not others.
    #[error("the queue of pages did not take {0} pages")]
    Left(usize),
    /// A message is none.
    #[error("a page is no message")]
    Message(#[from] BuildError),
}

impl PageQueue {
    /// The queue that the environment names, with the region, credentials and HTTP client of `sdk`.
    ///
    /// # Errors
    /// [`MissingPageQueue`] if no variable names it, or the size of its pages is none.
    pub(crate) fn from_vars(sdk: &SdkConfig, var: impl Fn(&str) -> Option<String>) -> Result<Self, MissingPageQueue> {
        let is_address = |url: &String| url.starts_with("https://") || url.starts_with("http://");
        let url = var(PAGE_QUEUE_VARIABLE).filter(is_address).ok_or(MissingPageQueue::Url)?;
        let subscribers_max = match var(PAGE_SUBSCRIBERS_VARIABLE) {
            None => PAGE_SUBSCRIBERS_MAX,
            Some(text) => {
                let number = text.parse().ok().filter(|number| (1..=PAGE_SUBSCRIBERS_MAX).contains(number));
                number.ok_or(MissingPageQueue::SubscribersMax)?
            }
        };
        let mut config = aws_sdk_sqs::config::Builder::from(sdk);
        config.set_endpoint_url(var(SQS_ENDPOINT_VARIABLE).filter(is_address));
        Ok(Self { client: Client::from_conf(config.build()), url, subscribers_max })
    }

    /// Subscribers that one invocation pushes to.
    #[must_use]
    pub(crate) fn subscribers_max(&self) -> usize {
        self.subscribers_max
    }

    /// Hands over all subscribers of an order, of whom the first page has so many and ends at `end`, and says how many there
    /// are.
    ///
    /// # Errors
    /// [`NotHandedOver`] if one page of them is not on the queue.
    pub(crate) async fn hand_over(
        &self,
        order_id: &OrderId,
        folded: &Folded,
        subscriptions: &Subscriptions,
        (first, end): (usize, ConnectionId),
    ) -> Result<usize, NotHandedOver> {
        let mut subscribers = first;
        let mut pages = vec![Page { after: None, last: Some(end.clone()) }];
        let mut after = Some(end);
        while let Some(begin) = after.take() {
            let (count, end) = subscriptions.page_end(order_id, &begin, self.subscribers_max).await?;
            subscribers += count;
            after.clone_from(&end);
            if count > 0 {
                pages.push(Page { after: Some(begin), last: end });
            }
            if pages.len() >= PAGES_PER_CALL_MAX {
                self.send(order_id, folded, &pages).await?;
                pages.clear();
            }
        }
        self.send(order_id, folded, &pages).await?;
        Ok(subscribers)
    }

    /// Sends at most [`PAGES_PER_CALL_MAX`] pages; they are on the queue when this returns.
    async fn send(&self, order_id: &OrderId, folded: &Folded, pages: &[Page]) -> Result<(), NotHandedOver> {
        let entry = |(index, page): (usize, &Page)| {
            let handover = Handover::new(order_id, folded, page.clone());
            SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(handover.to_text()).build()
        };
        let entries = pages.iter().enumerate().map(entry).collect::<Result<Vec<_>, _>>()?;
        if entries.is_empty() {
            return Ok(());
        }
        let send = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries));
        let sent = send.send().await.map_err(|error| NotHandedOver::Call(Box::new(error)))?;
        let left = pages.len().saturating_sub(sent.successful().len());
        if left == 0 { Ok(()) } else { Err(NotHandedOver::Left(left)) }
    }
}
