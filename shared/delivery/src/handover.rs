//! A page of subscribers that is handed over: which of them get which update.
//!
//! Owns: the message's JSON, in both directions.
//! Must not know: how it travels, what the update says; it holds keys and versions, and no event.
//! Source: `docs/decisions/0009-many-subscribers-are-reached-in-pages.md`.

use domain::{ConnectionId, OrderId, Version, fan_out::Page};
use serde::{Deserialize, Serialize};

use crate::{Folded, OwnerBefore};

/// A page of subscribers and the update that it is to get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    /// The order.
    pub order_id: OrderId,
    /// The first event of the update; none, if it travels without events.
    pub first: Option<Version>,
    /// The version of the projection that was stored.
    pub version: Version,
    /// Whose order it was before.
    pub before: OwnerBefore,
    /// The subscribers.
    pub page: Page,
}

/// A text that is no page that was handed over.
#[derive(Debug, thiserror::Error)]
pub enum UnreadableHandover {
    /// It has another shape.
    #[error("it is no page of subscribers")]
    Shape(#[from] serde_json::Error),
    /// Its order id is none.
    #[error("its orderId is none")]
    OrderId(#[from] domain::order_id::InvalidOrderId),
}

/// The message, as it is on the queue.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    order_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<u64>,
    version: u64,
    before: Before,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Before {
    Owner(Option<String>),
    AsOf(u64),
}

impl Handover {
    /// What a page of an order's subscribers is to get.
    #[must_use]
    pub fn new(order_id: &OrderId, folded: &Folded, page: Page) -> Self {
        Self {
            order_id: order_id.clone(),
            first: folded.events.first().map(|logged| logged.version),
            version: folded.projection.version(),
            before: folded.before.clone(),
            page,
        }
    }

    /// The message, as it is on the queue.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self { order_id, first, version, before, page } = self;
        let text = |id: &Option<ConnectionId>| id.as_ref().map(|id| id.as_str().to_owned());
        let message = Message {
            order_id: order_id.as_str().to_owned(),
            first: first.map(Version::get),
            version: version.get(),
            before: match before {
                OwnerBefore::Known(owner) => Before::Owner(owner.clone()),
                OwnerBefore::AsOf(version) => Before::AsOf(version.get()),
            },
            after: text(&page.after),
            last: text(&page.last),
        };
        serde_json::json!(message).to_string()
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`UnreadableHandover`] for a text that is none.
    pub fn parse(text: &str) -> Result<Self, UnreadableHandover> {
        let Message { order_id, first, version, before, after, last } = serde_json::from_str(text)?;
        Ok(Self {
            order_id: OrderId::new(order_id)?,
            first: first.map(Version::new),
            version: Version::new(version),
            before: match before {
                Before::Owner(owner) => OwnerBefore::Known(owner),
                Before::AsOf(version) => OwnerBefore::AsOf(Version::new(version)),
            },
            page: Page { after: after.map(ConnectionId::new), last: last.map(ConnectionId::new) },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handovers() -> Vec<Handover> {
        let whole = Handover {
            order_id: OrderId::new("guid_1").unwrap(),
            first: Some(Version::new(7)),
            version: Version::new(9),
            before: OwnerBefore::Known(Some("user_1".to_owned())),
            page: Page { after: Some(ConnectionId::new("a=")), last: Some(ConnectionId::new("b=")) },
        };
        let first = Page { after: None, ..whole.page.clone() };
        let last = Page { last: None, ..whole.page.clone() };
        vec![
            Handover { before: OwnerBefore::AsOf(Version::new(6)), first: None, ..whole.clone() },
            Handover { before: OwnerBefore::Known(None), page: first, ..whole.clone() },
            Handover { page: last, ..whole.clone() },
            whole,
        ]
    }

    #[test]
    fn every_page_on_the_wire() {
        let lines: Vec<String> = handovers().iter().map(Handover::to_text).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn what_is_read_is_what_was_handed_over() {
        for handover in handovers() {
            assert_eq!(Handover::parse(&handover.to_text()).unwrap(), handover);
        }
    }

    #[test]
    fn a_text_that_is_no_page_is_refused() {
        for text in
            ["", "{}", "[]", r#"{"orderId":"o","version":1}"#, r#"{"orderId":7,"version":1,"before":{"asOf":0}}"#]
        {
            assert!(matches!(Handover::parse(text), Err(UnreadableHandover::Shape(_))), "{text}");
        }
        let nameless = Handover::parse(r#"{"orderId":"","version":1,"before":{"asOf":0}}"#);
        assert!(matches!(nameless, Err(UnreadableHandover::OrderId(_))));
    }
}
