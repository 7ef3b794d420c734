//! A file of events.
//!
//! Owns: reading a JSON array or NDJSON, naming the line of each event and what is wrong with a bad one.
//! Must not know: the log. Nothing of an event's content is repeated in its error.
//! Source: README.md, "Commands"; an event is `{ref, ts, data}`.

use domain::{Event, EventData, EventRef};
use serde_json::{Value, value::RawValue};

/// An event of the file, or what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The line on which it begins, from 1.
    pub(super) number: usize,
    pub(super) event: Result<Event, String>,
}

/// Reads a JSON array, if the text begins as one, else NDJSON: an event on each line that is not blank.
pub(super) fn parse(text: &str) -> Result<Vec<Line>, String> {
    if !text.trim_start().starts_with('[') {
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        return Ok(lines.map(|(index, line)| Line { number: index + 1, event: event(line) }).collect());
    }
    let entries: Vec<&RawValue> = serde_json::from_str(text)
        .map_err(|error| format!("line {}: the file is no JSON array that can be read", error.line()))?;
    let mut lines = Vec::with_capacity(entries.len());
    let (mut number, mut counted) = (1, 0);
    for entry in entries {
        // The entry is a slice of the text: its place in memory is its place in the text.
        let place = entry.get().as_ptr().addr() - text.as_ptr().addr();
        number += text.get(counted..place).unwrap_or_default().matches('\n').count();
        counted = place;
        lines.push(Line { number, event: event(entry.get()) });
    }
    Ok(lines)
}

/// The unit that a `ts` seems to have, if it is plainly not in microseconds: 1973 or later in that unit, and before 1973 in
/// microseconds.
pub(super) fn other_unit(ts_us: i64) -> Option<&'static str> {
    const UNTIL_1973_S: i64 = 3 * 365 * 24 * 60 * 60;
    let thousandfold = UNTIL_1973_S * 1_000;
    match ts_us {
        UNTIL_1973_S.. if ts_us < thousandfold => Some("seconds"),
        UNTIL_1973_S.. if ts_us < thousandfold * 1_000 => Some("milliseconds"),
        _ => None,
    }
}

fn event(text: &str) -> Result<Event, String> {
    let value: Value = serde_json::from_str(text).map_err(|_unreadable| "the event is not JSON".to_owned())?;
    let Value::Object(mut fields) = value else { return Err("the event must be a JSON object".to_owned()) };
    let (event_ref, ts, data) = (fields.remove("ref"), fields.remove("ts"), fields.remove("data"));
    if !fields.is_empty() {
        return Err("the event must have \"ref\", \"ts\" and \"data\" and nothing else, which would be lost".to_owned());
    }
    let Some(Value::String(event_ref)) = event_ref else {
        return Err("ref must be a string".to_owned());
    };
    let event_ref = EventRef::parse(&event_ref).map_err(|invalid| invalid.to_string())?;
    let ts_us = ts.as_ref().and_then(Value::as_i64).ok_or("ts must be a whole number: microseconds since 1970")?;
    let Some(Value::Object(data)) = data else { return Err("data must be an object".to_owned()) };
    let data = EventData::new(data).map_err(|invalid| invalid.to_string())?;
    Ok(Event { event_ref, ts_us, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"ref":"7","ts":5,"data":{"eventName":"A","orderId":"guid_1"}}"#;

    fn numbers(text: &str) -> Vec<(usize, bool)> {
        parse(text).unwrap().into_iter().map(|line| (line.number, line.event.is_ok())).collect()
    }

    #[test]
    fn each_event_has_the_line_on_which_it_begins() {
        assert_eq!(numbers(&format!("{GOOD}\n\n7\n{GOOD}\n")), [(1, true), (3, false), (4, true)]);
        assert_eq!(numbers(&format!("\n[\n  {GOOD},\n  {{\n\n}},\n {GOOD}]")), [(3, true), (4, false), (7, true)]);
        assert_eq!(numbers(""), []);
        assert_eq!(numbers("[]"), []);
        assert_eq!(parse("[\n{},\n{]").unwrap_err(), "line 3: the file is no JSON array that can be read");
    }

    #[test]
    fn a_time_before_1973_is_in_another_unit_if_it_is_a_time_of_today_in_that_one() {
        for (ts_us, unit) in [
            (1_606_006_246_020_000, None),
            (94_608_000_000_000, None),
            (94_607_999_999_999, Some("milliseconds")),
            (1_606_006_246_020, Some("milliseconds")),
            (1_606_006_246, Some("seconds")),
            (94_607_999, None),
            (0, None),
            (-1_606_006_246, None),
        ] {
            assert_eq!(other_unit(ts_us), unit, "{ts_us}");
        }
    }

    #[test]
    fn a_bad_event_has_one_clear_reason() {
        let event_with = |part: &str, other: &str| GOOD.replace(part, other);
        let cases = [
            ("{".to_owned(), "the event is not JSON"),
            ("7".to_owned(), "the event must be a JSON object"),
            (event_with(r#""ref":"7","#, ""), "ref must be a string"),
            (event_with(r#""7""#, "7"), "ref must be a string"),
            (event_with("7", ""), "a ref must be 1 to 128 bytes without control characters"),
            (event_with("5", "\"5\""), "ts must be a whole number: microseconds since 1970"),
            (
                event_with(r#""ts""#, r#""more":1,"ts""#),
                "the event must have \"ref\", \"ts\" and \"data\" and nothing else, which would be lost",
            ),
            (event_with(r#"{"eventName":"A","orderId":"guid_1"}"#, "[]"), "data must be an object"),
            (event_with("eventName", "name"), "data.eventName must be a string that is not empty"),
            (event_with("orderId", "order"), "data.orderId must be a string"),
        ];
        for (text, reason) in cases {
            assert_eq!(event(&text).unwrap_err(), reason, "{text}");
        }
    }
}
