//! Where a browser puts its token.
//!
//! Owns: the two places: the list of sub-protocols and the query. A browser can set no other header.
//! Must not know: what is in a token.
//! Source: `Sec-WebSocket-Protocol: foldcast, TOKEN`; `?token=TOKEN`. The first is preferred: addresses get into logs.

use std::{collections::BTreeMap, fmt};

const SUB_PROTOCOL_HEADER: &str = "Sec-WebSocket-Protocol";
const SUB_PROTOCOL: &str = "foldcast";
const QUERY_NAME: &str = "token";

/// A token as it came. It is never shown.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Token(String);

impl Token {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The one token of an upgrade: `None` if there is none, or if there are several.
    pub(crate) fn of(headers: &BTreeMap<String, String>, query: &BTreeMap<String, String>) -> Option<Self> {
        let header = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(SUB_PROTOCOL_HEADER));
        let offered: Vec<&str> = header
            .into_iter()
            .flat_map(|(_, value)| value.split(','))
            .map(str::trim)
            .filter(|name| *name != SUB_PROTOCOL)
            .collect();
        let in_query = query.get(QUERY_NAME).map(String::as_str);
        let mut tokens = offered.into_iter().chain(in_query).filter(|token| !token.is_empty());
        let token = tokens.next()?;
        tokens.next().is_none().then(|| Self(token.to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(offered: Option<&str>, query: &[(&str, &str)]) -> Option<String> {
        let pairs = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let headers = offered.map(|offered| ("sec-webSocket-protocol", offered));
        Token::of(&pairs(headers.as_slice()), &pairs(query)).map(|token| token.0)
    }

    #[test]
    fn a_token_comes_as_a_sub_protocol_or_in_the_query() {
        assert_eq!(token(Some("foldcast, a.b.c"), &[]).as_deref(), Some("a.b.c"));
        assert_eq!(token(Some("a.b.c,foldcast"), &[]).as_deref(), Some("a.b.c"));
        assert_eq!(token(None, &[("token", "a.b.c"), ("x", "y")]).as_deref(), Some("a.b.c"));
        assert_eq!(token(Some("foldcast"), &[("token", "a.b.c")]).as_deref(), Some("a.b.c"));
    }

    #[test]
    fn no_token_or_two_are_none() {
        assert_eq!(token(None, &[]), None);
        assert_eq!(token(Some("foldcast, "), &[("token", "")]), None);
        assert_eq!(token(Some("foldcast, a.b.c, d.e.f"), &[]), None);
        assert_eq!(token(Some("foldcast, a.b.c"), &[("token", "d.e.f")]), None);
        assert_eq!(token(None, &[("Token", "a.b.c")]), None);
    }

    #[test]
    fn a_token_is_not_shown() {
        assert_eq!(format!("{:?}", Token("a.b.c".into())), "Token");
    }
}
