//! A connection in `connections`.
//!
//! Owns: the format `{connectionId S, principalId S, connectedAt N, expiresAt N}`; `connectedAt` is in milliseconds,
//! `expiresAt`, which time-to-live reads, in seconds since 1970.
//! Must not know: what the connection subscribes to.
//! Source: `docs/tables.md`.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::subscription;

use super::Item;
use crate::Connection;

/// The item of a connection.
#[must_use]
pub fn to_item(connection: &Connection) -> Item {
    let expires_at_s = subscription::expires_at_s(connection.connected_at_ms);
    Item::from([
        ("connectionId".to_owned(), AttributeValue::S(connection.connection_id.as_str().to_owned())),
        ("principalId".to_owned(), AttributeValue::S(connection.principal_id.as_str().to_owned())),
        ("connectedAt".to_owned(), AttributeValue::N(connection.connected_at_ms.to_string())),
        ("expiresAt".to_owned(), AttributeValue::N(expires_at_s.to_string())),
    ])
}
