//! Who a connection is, and which orders it may see.
//!
//! Owns: the one rule of who may see an order, the scopes, and the words by which an authorizer tells the other functions of both.
//! Must not know: tokens, how an authorizer finds out.
//! Source: design of the product; an authorizer's context is flat and made of strings, as API Gateway wants it.

use std::collections::BTreeMap;

use crate::limits::{CLOCK_SKEW_S, PRINCIPAL_ID_BYTES_MAX};

/// The scope that allows to see every order.
pub const READ_ALL_SCOPE: &str = "orders:read:all";

/// The variable with the scopes of a connection that no authorizer knows. Absent, such a connection is refused.
const ANONYMOUS_SCOPE_VARIABLE: &str = "ANONYMOUS_SCOPE";

const PRINCIPAL_ID_KEY: &str = "principalId";
const SCOPE_KEY: &str = "scope";
const EXPIRES_AT_KEY: &str = "expiresAt";

/// Who a connection is: 1 to 256 bytes of UTF-8 without control characters; a user's id as in a projection's `userId`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PrincipalId(String);

/// A text that is no principal's id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a principal's id must have 1 to {PRINCIPAL_ID_BYTES_MAX} bytes and no control characters")]
pub struct InvalidPrincipalId;

impl PrincipalId {
    /// Checks a text.
    ///
    /// # Errors
    /// [`InvalidPrincipalId`] says the rule.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidPrincipalId> {
        let text = text.into();
        let is_valid = (1..=PRINCIPAL_ID_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
        if is_valid { Ok(Self(text)) } else { Err(InvalidPrincipalId) }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who a connection is, and what of all orders it may see.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Principal {
    /// Who it is.
    pub id: PrincipalId,
    /// Whether it may see every order, and not its own alone.
    pub reads_all: bool,
}

impl Principal {
    /// A principal with the scopes of a list that is separated by blanks, as in a token's `scope`.
    #[must_use]
    pub fn with_scope(id: PrincipalId, scope: &str) -> Self {
        Self { id, reads_all: scope.split_ascii_whitespace().any(|scope| scope == READ_ALL_SCOPE) }
    }

    /// Whether it may see an order of this owner. An order without an owner is nobody's.
    #[must_use]
    pub fn may_see(&self, owner: Option<&str>) -> bool {
        self.reads_all || owner == Some(self.id.as_str())
    }
}

/// What is known of a connection: who it is, and for how long its token says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Who it is.
    pub principal: Principal,
    /// When its token expires, in seconds since 1970; nobody's token does not.
    pub expires_at_s: Option<i64>,
}

impl Identity {
    /// What an authorizer hands over, by name: all of it is text.
    #[must_use]
    pub fn to_context(&self) -> BTreeMap<&'static str, String> {
        let scope = if self.principal.reads_all { READ_ALL_SCOPE } else { "" };
        let expires_at = self.expires_at_s.map(|expires_at_s| (EXPIRES_AT_KEY, expires_at_s.to_string()));
        let rest = [(PRINCIPAL_ID_KEY, self.principal.id.as_str().to_owned()), (SCOPE_KEY, scope.to_owned())];
        rest.into_iter().chain(expires_at).collect()
    }

    /// Reads what an authorizer handed over. `None` if it says nothing valid: such a connection is to be refused.
    #[must_use]
    pub fn from_context<'a>(get: impl Fn(&str) -> Option<&'a str>) -> Option<Self> {
        let id = PrincipalId::new(get(PRINCIPAL_ID_KEY)?).ok()?;
        let expires_at_s = get(EXPIRES_AT_KEY).map(|text| text.parse().ok());
        Some(Self {
            principal: Principal::with_scope(id, get(SCOPE_KEY).unwrap_or_default()),
            // An expiry that cannot be read is none that may be passed over.
            expires_at_s: expires_at_s.map_or(Some(None), |read| read.map(Some))?,
        })
    }

    /// When its token ends, in seconds since 1970: as late as the clocks may be apart.
    #[must_use]
    pub fn ends_at_s(&self) -> Option<i64> {
        self.expires_at_s.map(|expires_at_s| expires_at_s.saturating_add(CLOCK_SKEW_S))
    }

    /// Whether its token has expired.
    #[must_use]
    pub fn has_expired(&self, now_s: i64) -> bool {
        self.ends_at_s().is_some_and(|ends_at_s| ends_at_s <= now_s)
    }
}

/// What becomes of a connection that no authorizer knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anonymous(Option<Identity>);

impl Anonymous {
    /// The id of every connection that no authorizer knows.
    pub const ID: &'static str = "anonymous";

    /// Reads the variable `ANONYMOUS_SCOPE`: the scopes of such a connection. Without it such a connection is refused,
    /// so that an API that lost its authorizer is closed and not open.
    #[must_use]
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Self {
        let principal = |scope: String| Principal::with_scope(PrincipalId(Self::ID.to_owned()), &scope);
        let scope = var(ANONYMOUS_SCOPE_VARIABLE);
        Self(scope.map(|scope| Identity { principal: principal(scope), expires_at_s: None }))
    }

    /// Who a connection is: what its authorizer handed over, else what anonymous connections are. `None` is refused.
    #[must_use]
    pub fn identify<'a>(&self, get: impl Fn(&str) -> Option<&'a str>) -> Option<Identity> {
        match get(PRINCIPAL_ID_KEY) {
            Some(_) => Identity::from_context(get),
            None => self.0.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn principal(id: &str, scope: &str) -> Principal {
        Principal::with_scope(PrincipalId::new(id).unwrap(), scope)
    }

    #[test]
    fn an_order_is_seen_by_its_owner_and_by_who_reads_all() {
        let owned = Some("user_123");
        assert!(principal("user_123", "").may_see(owned));
        assert!(principal("support", "orders:read:all").may_see(owned));
        assert!(principal("support", "openid orders:read:all email").may_see(owned));
        for (id, scope) in [("user_12", ""), ("User_123", ""), ("support", "orders:read"), ("x", "orders:read:all2")] {
            assert!(!principal(id, scope).may_see(owned), "{id} {scope}");
        }
    }

    #[test]
    fn an_order_without_an_owner_is_nobodys() {
        assert!(!principal("7", "").may_see(None));
        assert!(principal("7", READ_ALL_SCOPE).may_see(None));
    }

    #[test]
    fn what_an_authorizer_hands_over_is_what_a_function_reads() {
        for (scope, expires_at_s) in [("", None), (READ_ALL_SCOPE, Some(1_900_000_000))] {
            let identity = Identity { principal: principal("user_123", scope), expires_at_s };
            let context = identity.to_context();
            let get = |name: &str| context.get(name).map(String::as_str);
            assert_eq!(Identity::from_context(get), Some(identity.clone()));
            assert_eq!(Anonymous(None).identify(get), Some(identity));
        }
    }

    #[test]
    fn a_context_that_is_not_valid_is_nobody_even_where_anonymous_connections_are_let_in() {
        let open = Anonymous::from_vars(|_| Some(READ_ALL_SCOPE.to_owned()));
        let long = "x".repeat(PRINCIPAL_ID_BYTES_MAX + 1);
        for (id, expires_at) in [("", "1"), ("a\nb", "1"), (long.as_str(), "1"), ("a", ""), ("a", "soon")] {
            let get = |name: &str| match name {
                "principalId" => Some(id),
                "expiresAt" => Some(expires_at),
                _ => None,
            };
            assert_eq!(open.identify(get), None, "{id:?} {expires_at:?}");
        }
    }

    #[test]
    fn without_an_authorizer_a_connection_is_refused_unless_it_is_said_what_it_may_do() {
        assert_eq!(Anonymous::from_vars(|_| None).identify(|_| None), None);
        let open = Anonymous::from_vars(|_| Some(READ_ALL_SCOPE.to_owned()));
        let identity = open.identify(|_| None).unwrap();
        assert_eq!((identity.principal.id.as_str(), identity.principal.reads_all), (Anonymous::ID, true));
        assert!(!identity.has_expired(i64::MAX));
    }

    #[test]
    fn a_token_has_expired_once_no_clock_takes_it_for_valid() {
        let identity = Identity { principal: principal("a", ""), expires_at_s: Some(100) };
        assert!(!identity.has_expired(99 + CLOCK_SKEW_S));
        assert!(identity.has_expired(100 + CLOCK_SKEW_S));
    }
}
