//! A time's text.
//!
//! Owns: microseconds since 1970 as ISO 8601 in UTC, and back.
//! Must not know: who asks.
//! Source: fact sheet, 1.2: `@ts`.

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

pub(super) fn text(micros: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000);
    time.ok().and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

pub(super) fn micros(text: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000).ok()
}
