//! A page of an order's subscribers who wait for an update, and the queue of such pages.
//!
//! The message holds keys and versions: whoever takes it reads the update, the subscribers and who may see the order as
//! they are then. `docs/decisions/0009-many-subscribers-are-reached-in-pages.md` says why.

use std::time::Duration;

use aws_types::SdkConfig;
use domain::{ConnectionId, OrderId, Version, fan_out::Page};
use serde::{Deserialize, Serialize};

use crate::queue::{MissingQueueError, PAGE_QUEUE_VARIABLE, Queue, QueueError};

/// Subscribers of an order, and the update that they are to get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageOfSubscribers {
    /// The order.
    pub order_id: OrderId,
    /// The first event of the update; none, if it travels without events.
    pub first: Option<Version>,
    /// The version of the projection that was stored.
    pub version: Version,
    /// Who owned the order before the update.
    pub before: OwnerBefore,
    /// The run of subscribers.
    pub page: Page,
    /// How often the page was pushed to; 0 for a page that was only cut.
    pub rounds: u32,
    /// Those of the run who are left after these rounds; all of them if absent.
    pub left: Option<Vec<ConnectionId>>,
    /// Connections that are to be closed and could not be closed yet.
    pub close: Vec<ConnectionId>,
    /// When the update was first pushed, in milliseconds since 1970; a page of an earlier release does not say.
    pub begun_at_ms: Option<i64>,
}

/// Who owned an order before the events of an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnerBefore {
    /// The owner of the projection that was stored, which had this version.
    Known {
        /// The owner, if the order had one.
        owner: Option<String>,
        /// The version of that projection.
        version: Version,
    },
    /// The stored projection had some of the events already: the owner as of this version, which the log tells.
    AsOf(Version),
}

impl OwnerBefore {
    /// The version as of which it is the owner.
    #[must_use]
    pub fn version(&self) -> Version {
        match self {
            Self::Known { version, .. } | Self::AsOf(version) => *version,
        }
    }
}

/// A text that is no page of subscribers.
#[derive(Debug, thiserror::Error)]
pub enum UnreadablePage {
    /// It has another shape.
    #[error("the text is no page of subscribers")]
    Shape(#[from] serde_json::Error),
    /// Its order id is no order id.
    #[error("the page has an invalid orderId")]
    OrderId(#[from] domain::order_id::InvalidOrderId),
    /// A version is out of range.
    #[error("the page has a version that no event can have")]
    Version,
    /// It does not say who owned the order before.
    #[error("the page has no owner before the update")]
    Owner,
}

/// The message, as it is on the queue.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct WirePage {
    order_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<u64>,
    version: u64,
    #[serde(flatten)]
    before: WireBefore,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<String>,
    #[serde(default)]
    rounds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    left: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    close: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    begun_at: Option<i64>,
}

/// Who owned an order before, as it is on a queue. A release before this one knows `before` alone.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireBefore {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<WireOwner>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner_version: Option<u64>,
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
enum WireOwner {
    Owner(Option<String>),
    AsOf(u64),
}

impl WireBefore {
    pub(crate) fn of(before: Option<&OwnerBefore>) -> Self {
        match before {
            None => Self::default(),
            Some(OwnerBefore::Known { owner, version }) => {
                Self { before: Some(WireOwner::Owner(owner.clone())), owner_version: Some(version.get()) }
            }
            Some(OwnerBefore::AsOf(version)) => {
                Self { before: Some(WireOwner::AsOf(version.get())), owner_version: None }
            }
        }
    }

    /// `first` is the first event after it, for a message of a release that did not say as of when the owner was.
    pub(crate) fn read(self, first: Version) -> Option<OwnerBefore> {
        let version = self.owner_version.map_or(Some(first.previous()), Version::checked)?;
        Some(match self.before? {
            WireOwner::Owner(owner) => OwnerBefore::Known { owner, version },
            WireOwner::AsOf(version) => OwnerBefore::AsOf(Version::checked(version)?),
        })
    }
}

impl PageOfSubscribers {
    /// The message's text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self { order_id, first, version, before, page, rounds, left, close, begun_at_ms } = self;
        let text = |id: &ConnectionId| id.as_str().to_owned();
        let wire = WirePage {
            order_id: order_id.as_str().to_owned(),
            first: first.map(Version::get),
            version: version.get(),
            before: WireBefore::of(Some(before)),
            after: page.after.as_ref().map(text),
            last: page.last.as_ref().map(text),
            rounds: *rounds,
            left: left.as_ref().map(|left| left.iter().map(text).collect()),
            close: close.iter().map(text).collect(),
            begun_at: *begun_at_ms,
        };
        serde_json::json!(wire).to_string()
    }

    /// Reads a message's text.
    ///
    /// # Errors
    /// [`UnreadablePage`] for a text of another kind.
    pub fn parse(text: &str) -> Result<Self, UnreadablePage> {
        let WirePage { order_id, first, version, before, after, last, rounds, left, close, begun_at } =
            serde_json::from_str(text)?;
        let ids = |ids: Vec<String>| ids.into_iter().map(ConnectionId::new).collect();
        let checked = |number| Version::checked(number).ok_or(UnreadablePage::Version);
        let (first, version) = (first.map(checked).transpose()?, checked(version)?);
        Ok(Self {
            order_id: OrderId::new(order_id)?,
            first,
            version,
            before: before.read(first.unwrap_or(version)).ok_or(UnreadablePage::Owner)?,
            page: Page { after: after.map(ConnectionId::new), last: last.map(ConnectionId::new) },
            rounds,
            left: left.map(ids),
            close: ids(close),
            begun_at_ms: begun_at,
        })
    }
}

/// The queue of pages, from which the function `fan-out` takes them.
#[derive(Clone, Debug)]
pub struct PageQueue(Queue);

impl PageQueue {
    /// Opens the queue that the environment names, with the region, credentials and HTTP client of `sdk`.
    ///
    /// # Errors
    /// [`MissingQueueError`] if no variable names it.
    pub fn from_vars(sdk: &SdkConfig, var: impl Fn(&str) -> Option<String>) -> Result<Self, MissingQueueError> {
        Queue::from_vars(PAGE_QUEUE_VARIABLE, sdk, var).map(Self)
    }

    /// Sends pages, to be taken after `delay`, which SQS counts in whole seconds.
    ///
    /// # Errors
    /// [`QueueError`] if SQS does not take each of them.
    pub async fn send(&self, pages: &[PageOfSubscribers], delay: Duration) -> Result<(), QueueError> {
        let texts: Vec<String> = pages.iter().map(PageOfSubscribers::to_text).collect();
        self.0.send(&texts, delay).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages() -> Vec<PageOfSubscribers> {
        let ids = |ids: &[&str]| ids.iter().copied().map(ConnectionId::new).collect::<Vec<_>>();
        let owner = Some("user_1".to_owned());
        let whole = PageOfSubscribers {
            order_id: OrderId::new("guid_1").unwrap(),
            first: Some(Version::new(7)),
            version: Version::new(9),
            before: OwnerBefore::Known { owner, version: Version::new(6) },
            page: Page { after: Some(ConnectionId::new("a=")), last: Some(ConnectionId::new("b=")) },
            rounds: 0,
            left: None,
            close: Vec::new(),
            begun_at_ms: Some(1_605_999_005_512),
        };
        let first = Page { after: None, ..whole.page.clone() };
        let last = Page { last: None, ..whole.page.clone() };
        let nobodys = OwnerBefore::Known { owner: None, version: Version::NONE };
        vec![
            PageOfSubscribers { before: OwnerBefore::AsOf(Version::new(6)), first: None, ..whole.clone() },
            PageOfSubscribers { before: nobodys, page: first, ..whole.clone() },
            PageOfSubscribers { page: last, ..whole.clone() },
            PageOfSubscribers { rounds: 2, left: Some(ids(&["aa=", "ab="])), close: ids(&["ac="]), ..whole.clone() },
            whole,
        ]
    }

    #[test]
    fn every_page_on_the_wire() {
        let lines: Vec<String> = pages().iter().map(PageOfSubscribers::to_text).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn a_page_is_read_as_it_was_sent() {
        for page in pages() {
            assert_eq!(PageOfSubscribers::parse(&page.to_text()).unwrap(), page);
        }
    }

    #[test]
    fn a_page_of_a_release_without_rounds_is_read() {
        let page = r#"{"after":"a=","before":{"owner":"user_1"},"first":7,"last":"b=","orderId":"guid_1","version":9}"#;
        let expected = PageOfSubscribers { begun_at_ms: None, ..pages().pop().unwrap() };
        assert_eq!(PageOfSubscribers::parse(page).unwrap(), expected);
    }

    #[test]
    fn the_release_before_finds_the_owner_where_it_was() {
        let page: serde_json::Value = serde_json::from_str(&pages().pop().unwrap().to_text()).unwrap();
        assert_eq!(
            (&page["before"], &page["ownerVersion"]),
            (&serde_json::json!({"owner": "user_1"}), &serde_json::json!(6))
        );
    }

    #[test]
    fn a_text_of_another_kind_is_refused() {
        for text in
            ["", "{}", "[]", r#"{"orderId":"o","version":1}"#, r#"{"orderId":7,"version":1,"before":{"asOf":0}}"#]
        {
            let parsed = PageOfSubscribers::parse(text);
            assert!(matches!(parsed, Err(UnreadablePage::Shape(_) | UnreadablePage::Owner)), "{text}");
        }
        let nameless = PageOfSubscribers::parse(r#"{"orderId":"","version":1,"before":{"asOf":0}}"#);
        assert!(matches!(nameless, Err(UnreadablePage::OrderId(_))));
        let endless = format!(r#"{{"orderId":"o","version":{},"before":{{"asOf":0}}}}"#, u64::MAX);
        assert!(matches!(PageOfSubscribers::parse(&endless), Err(UnreadablePage::Version)));
    }
}
