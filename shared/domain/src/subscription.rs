//! A browser's connection and what it subscribes to.
//!
//! Owns: the ids of connections and principals, and when their rows end.
//! Must not know: sockets, tables, how an id is put into a URL.
//! Source: API Gateway makes connection ids; their life is `limits::CONNECTION_LIFE_MAX`.

use std::fmt;

use crate::{OrderId, limits};

/// API Gateway's id of a WebSocket connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(String);

impl ConnectionId {
    /// Takes the id as API Gateway gave it.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who a connection is, as the authorizer found.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrincipalId(String);

impl PrincipalId {
    /// The principal of every connection of an API without authorizer.
    pub const ANONYMOUS: &'static str = "anonymous";

    /// Takes the authorizer's `principalId`; without one the principal is [`PrincipalId::ANONYMOUS`].
    #[must_use]
    pub fn from_authorizer(principal_id: Option<&str>) -> Self {
        Self(principal_id.unwrap_or(Self::ANONYMOUS).to_owned())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// That a connection is to get an order's updates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The order.
    pub order_id: OrderId,
    /// The connection.
    pub connection_id: ConnectionId,
    /// Who the connection is.
    pub principal_id: PrincipalId,
    /// When the row may be removed, in seconds since 1970.
    pub expires_at_s: i64,
}

/// When the rows of a connection may be removed, in seconds since 1970: after its longest life and some grace.
#[must_use]
pub fn expires_at_s(connected_at_ms: i64) -> i64 {
    let life = limits::CONNECTION_LIFE_MAX.saturating_add(limits::ROW_GRACE);
    (connected_at_ms / 1000).saturating_add_unsigned(life.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_outlives_the_longest_connection() {
        assert_eq!(expires_at_s(1_605_999_005_510), 1_605_999_005 + 7_200 + 600);
        assert_eq!(expires_at_s(i64::MAX) - i64::MAX / 1000, 7_800);
    }
}
