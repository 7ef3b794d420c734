//! What became of a FaunaDB document, in `fauna_feed`.
//!
//! Owns: the format `{id S, ts N, orderId S}`; `ts` is the version that was read last, in microseconds since 1970, and
//! `orderId` the order that it was appended to, absent if it is no event.
//! Must not know: what is in the document.
//! Source: `docs/tables.md`.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::OrderId;

use super::{BrokenItem, Item, key_text, number, text};
use crate::fauna_feed::Mark;

/// The item of a document.
#[must_use]
pub fn to_item(id: &str, mark: &Mark) -> Item {
    let mut item = Item::from([
        ("id".to_owned(), AttributeValue::S(id.to_owned())),
        ("ts".to_owned(), AttributeValue::N(mark.ts_us.to_string())),
    ]);
    let order_id = mark.order_id.iter().map(|id| ("orderId".to_owned(), AttributeValue::S(id.as_str().to_owned())));
    item.extend(order_id);
    item
}

/// The document of an item.
///
/// # Errors
/// [`BrokenItem`] for an item that is none.
pub fn from_item(item: &Item) -> Result<Mark, BrokenItem> {
    let read = || {
        let order_id = if item.contains_key("orderId") {
            Some(OrderId::new(text(item, "orderId")?).map_err(|invalid| invalid.to_string())?)
        } else {
            None
        };
        Ok(Mark { ts_us: number(item, "ts")?, order_id })
    };
    read().map_err(|reason| BrokenItem { key: key_text(item, &["id"]), reason })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_what_was_stored() {
        for order_id in [None, Some(OrderId::new("guid_1").unwrap())] {
            let mark = Mark { ts_us: 1_605_999_005_510_000, order_id };
            assert_eq!(from_item(&to_item("document", &mark)), Ok(mark));
        }
        let broken = from_item(&Item::from([("id".to_owned(), AttributeValue::S("d".into()))])).unwrap_err();
        assert_eq!(broken.reason, "the attribute ts is missing");
    }
}
