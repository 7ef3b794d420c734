//! A connection in `connections`.
//!
//! Owns: the format `{connectionId S, principalId S, connectedAt N, expiresAt N, orders SS, stage S}`; `connectedAt` is in
//! milliseconds, `expiresAt`, which time-to-live reads, in seconds since 1970. `orders` comes and goes with subscriptions,
//! `stage` comes with the first of them.
//! Must not know: why a connection has a subscription.
//! Source: `docs/tables.md`.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;

use domain::Stage;

use super::{BrokenItem, Item, key_text, number, text};
use crate::Connection;

/// The item of a connection without a subscription.
#[must_use]
pub fn to_item(connection: &Connection) -> Item {
    Item::from([
        ("connectionId".to_owned(), AttributeValue::S(connection.connection_id.as_str().to_owned())),
        ("principalId".to_owned(), AttributeValue::S(connection.identity.principal.id.as_str().to_owned())),
        ("connectedAt".to_owned(), AttributeValue::N(connection.connected_at_ms.to_string())),
        ("expiresAt".to_owned(), AttributeValue::N(connection.expires_at_s().to_string())),
    ])
}

/// The orders of an item that a connection subscribes to.
///
/// # Errors
/// [`BrokenItem`] for an item whose orders are no set of strings.
pub fn orders(item: &Item) -> Result<BTreeSet<String>, BrokenItem> {
    match item.get("orders") {
        Some(AttributeValue::Ss(orders)) => Ok(orders.iter().cloned().collect()),
        Some(_) => Err(BrokenItem {
            key: key_text(item, &["connectionId"]),
            reason: "the attribute orders must be a set of strings".to_owned(),
        }),
        None => Ok(BTreeSet::new()),
    }
}

/// When the connection of an item was opened, in milliseconds since 1970, and which stage issued its id; `None` of an item that
/// does not say both.
#[must_use]
pub fn stage(item: &Item) -> Option<(i64, Stage)> {
    Some((number(item, "connectedAt").ok()?, Stage::new(text(item, "stage").ok()?)))
}

/// Until when is paid of the allowance whose item this is, in milliseconds since 1970.
#[must_use]
pub fn paid_until_ms(item: &Item) -> Option<i64> {
    number(item, "paidUntil").ok()
}
