//! Where an event's way to the browsers began.
//!
//! Owns: when an event was appended, and the trace that follows it from there.
//! Must not know: clocks, who is told of a trace.
//! Source: AWS X-Ray developer guide, "Trace ID": a version, the seconds since 1970, 96 random bits.

use std::fmt;

/// Where an event's way began, as far as its producer says so. It orders nothing and decides nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// When it was appended, in milliseconds since 1970.
    pub appended_at_ms: Option<i64>,
    /// The trace that follows it; most events have none.
    pub trace_id: Option<TraceId>,
}

/// An X-Ray trace id, such as `1-5759e988-bd862e3fe1be46a994272793`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceId(String);

impl TraceId {
    /// The id of a trace that begins at this time, with 96 of these random bits.
    #[must_use]
    pub fn new(begun_at_ms: i64, random: u128) -> Self {
        Self(format!("1-{:08x}-{:024x}", u32::try_from(begun_at_ms / 1_000).unwrap_or(0), random >> 32))
    }

    /// Reads an id; `None` for a text that is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let is_hex = |part: Option<&str>, digits: usize| {
            part.is_some_and(|part| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_hexdigit()))
        };
        let is_id =
            parts.next() == Some("1") && is_hex(parts.next(), 8) && is_hex(parts.next(), 24) && parts.next().is_none();
        is_id.then(|| Self(text.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_was_made() {
        for random in [0, 1, u128::MAX] {
            let id = TraceId::new(1_605_999_005_510, random);
            assert_eq!(TraceId::parse(id.as_str()), Some(id));
        }
        assert_eq!(TraceId::new(1_605_999_005_510, u128::MAX).to_string(), "1-5fb9999d-ffffffffffffffffffffffff");
        for text in [
            "",
            "1-5fb9999d",
            "2-5fb9999d-ffffffffffffffffffffffff",
            "1-5fb9999d-fffffffffffffffffffffffg",
            "1-5fb9999d-ffffffffffffffffffffffff-1",
        ] {
            assert_eq!(TraceId::parse(text), None, "{text}");
        }
    }
}
