//! A browser's connection and what it subscribes to.
//!
//! Owns: the id of a connection, and when its rows end.
//! Must not know: sockets, tables, how an id is put into a URL.
//! Source: API Gateway makes connection ids; their life is `limits::CONNECTION_LIFE_MAX`.

use std::fmt;

use crate::{Identity, OrderId, Principal, Version, limits};

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

/// The stage of a WebSocket API, by the address of its `@connections`. It issues a connection's id, and only it can say that
/// the connection is gone.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stage(String);

impl Stage {
    /// Takes the address, without a slash at its end.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        Self(address.into())
    }

    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which write of a subscription's row it is; each write has an id of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RowId(String);

impl RowId {
    /// Takes the id as it is stored.
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

/// That a connection is to get an order's updates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// The order.
    pub order_id: OrderId,
    /// The connection.
    pub connection_id: ConnectionId,
    /// Who the connection is.
    pub principal: Principal,
    /// From when on nothing is pushed and the row may be removed, in seconds since 1970.
    pub expires_at_s: i64,
    /// Which write of the row it is; absent before it is stored, and from a row that another release wrote.
    pub row: Option<RowId>,
    /// The order's version when it was answered as an order without events, since it was another's.
    pub hidden_at: Option<Version>,
}

impl Subscription {
    /// A subscription that is not stored yet.
    #[must_use]
    pub fn new(order_id: OrderId, connection_id: ConnectionId, principal: Principal, expires_at_s: i64) -> Self {
        Self { order_id, connection_id, principal, expires_at_s, row: None, hidden_at: None }
    }
}

/// When the rows of a connection end, in seconds since 1970: with its token, at the latest after the longest life of a
/// connection and some grace.
#[must_use]
pub fn expires_at_s(connected_at_ms: i64, identity: &Identity) -> i64 {
    let life = limits::CONNECTION_LIFE_MAX.saturating_add(limits::ROW_GRACE);
    let longest = (connected_at_ms / 1000).saturating_add_unsigned(life.as_secs());
    identity.ends_at_s().map_or(longest, |ends_at_s| ends_at_s.min(longest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PrincipalId;

    fn identity(expires_at_s: Option<i64>) -> Identity {
        Identity { principal: Principal::with_scope(PrincipalId::new("a").unwrap(), ""), expires_at_s }
    }

    #[test]
    fn a_row_outlives_the_longest_connection_and_not_its_token() {
        let longest = 1_605_999_005 + 7_200 + 600;
        assert_eq!(expires_at_s(1_605_999_005_510, &identity(None)), longest);
        assert_eq!(expires_at_s(1_605_999_005_510, &identity(Some(longest + 1))), longest);
        let token_end = longest - 1 - limits::CLOCK_SKEW_S;
        assert_eq!(
            expires_at_s(1_605_999_005_510, &identity(Some(token_end))),
            longest - 1,
            "as late as the token counts"
        );
        assert_eq!(expires_at_s(i64::MAX, &identity(None)) - i64::MAX / 1000, 7_800);
    }
}
