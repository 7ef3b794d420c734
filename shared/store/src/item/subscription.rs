//! A subscription in `subscriptions`.
//!
//! Owns: the format `{orderId S, connectionId S, principalId S, readsAll BOOL, expiresAt N}`; `readsAll` is there if it is
//! true, `expiresAt` is in seconds since 1970.
//! Must not know: the connection's row.
//! Source: `docs/tables.md`.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{ConnectionId, OrderId, Principal, PrincipalId, Subscription};

use super::{BrokenItem, Item, is_set, key_text, number, text};

/// The item of a subscription.
#[must_use]
pub fn to_item(subscription: &Subscription) -> Item {
    let mut item = key(&subscription.order_id, &subscription.connection_id);
    item.insert("principalId".to_owned(), AttributeValue::S(subscription.principal.id.as_str().to_owned()));
    if subscription.principal.reads_all {
        item.insert("readsAll".to_owned(), AttributeValue::Bool(true));
    }
    item.insert("expiresAt".to_owned(), AttributeValue::N(subscription.expires_at_s.to_string()));
    item
}

/// The key of a subscription.
#[must_use]
pub fn key(order_id: &OrderId, connection_id: &ConnectionId) -> Item {
    Item::from([
        ("orderId".to_owned(), AttributeValue::S(order_id.as_str().to_owned())),
        ("connectionId".to_owned(), AttributeValue::S(connection_id.as_str().to_owned())),
    ])
}

/// The connection alone, of an item that may hold its key alone.
///
/// # Errors
/// [`BrokenItem`] for an item without a connection id.
pub fn connection_id_of(item: &Item) -> Result<ConnectionId, BrokenItem> {
    let connection_id = text(item, "connectionId").map(ConnectionId::new);
    connection_id.map_err(|reason| BrokenItem { key: key_text(item, &["orderId", "connectionId"]), reason })
}

/// The subscription of an item.
///
/// # Errors
/// [`BrokenItem`] for an item that is no subscription.
pub fn from_item(item: &Item) -> Result<Subscription, BrokenItem> {
    let read = || -> Result<Subscription, String> {
        let principal_id = PrincipalId::new(text(item, "principalId")?).map_err(|invalid| invalid.to_string())?;
        Ok(Subscription {
            order_id: OrderId::new(text(item, "orderId")?).map_err(|invalid| invalid.to_string())?,
            connection_id: ConnectionId::new(text(item, "connectionId")?),
            principal: Principal { id: principal_id, reads_all: is_set(item, "readsAll")? },
            expires_at_s: number(item, "expiresAt")?,
        })
    };
    read().map_err(|reason| BrokenItem { key: key_text(item, &["orderId", "connectionId"]), reason })
}
