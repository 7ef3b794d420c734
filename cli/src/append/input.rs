//! A file of events, read as it comes: a JSON array or NDJSON.
//!
//! Each event has the line on which it begins. Nothing of an event's content is repeated in its error, except the name of
//! a key that stands twice.

use std::io::{self, BufRead, BufReader, Read};

use domain::{
    Event, EventData, EventRef, Json,
    json::{JsonError, Unfinished},
};

/// An event of the file, or what is wrong with it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The line on which it begins, from 1.
    pub(super) number: usize,
    pub(super) event: Result<Event, String>,
}

/// Why a file is not read to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum FileError {
    #[error("cannot be read")]
    Io(#[from] io::Error),
    #[error("it is compressed by gzip: append what `gzip -dc` makes of it")]
    Gzip,
    #[error("it is UTF-16: save it as UTF-8")]
    Utf16,
    #[error(
        "line {0}: an event goes on over several lines: write each on one line (`jq -c .`), or all in a JSON array"
    )]
    SeveralLines(usize),
    #[error("line {0}: the file ends inside its JSON array")]
    UnfinishedArray(usize),
    #[error("line {0}: something follows the JSON array")]
    BehindArray(usize),
}

/// Reads a file and hands over each event as soon as it is there, until `take` wants no more (`false`).
pub(super) fn read(source: impl Read, mut take: impl FnMut(Line) -> bool) -> Result<(), FileError> {
    let mut source = BufReader::new(text(source)?);
    let mut line = 1;
    loop {
        let Some(byte) = source.fill_buf()?.first().copied() else { return Ok(()) };
        match byte {
            b'[' => {
                source.consume(1);
                return array(source, line, &mut take);
            }
            byte if byte.is_ascii_whitespace() => {
                source.consume(1);
                line += usize::from(byte == b'\n');
            }
            _ => return lines(source, line, &mut take),
        }
    }
}

/// The text behind a UTF-8 byte-order mark; what is no UTF-8 is named by what it looks like.
fn text(mut source: impl Read) -> Result<impl Read, FileError> {
    let mut begin = Vec::with_capacity(4);
    source.by_ref().take(4).read_to_end(&mut begin)?;
    match begin.as_slice() {
        [0x1f, 0x8b, ..] => return Err(FileError::Gzip),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..] => return Err(FileError::Utf16),
        [0xef, 0xbb, 0xbf, ..] => drop(begin.drain(..3)),
        _ => {}
    }
    Ok(io::Cursor::new(begin).chain(source))
}

/// An event on each line that is not blank.
fn lines(mut source: impl BufRead, first: usize, take: &mut impl FnMut(Line) -> bool) -> Result<(), FileError> {
    let mut unfinished: Option<Line> = None;
    let mut text = Vec::new();
    for number in first.. {
        text.clear();
        if source.read_until(b'\n', &mut text)? == 0 {
            break;
        }
        let trimmed = text.trim_ascii();
        if trimmed.is_empty() {
            continue;
        }
        if let Some(before) = unfinished.take() {
            if !trimmed.starts_with(b"{") {
                return Err(FileError::SeveralLines(before.number));
            }
            if !take(before) {
                return Ok(());
            }
        }
        let line = Line { number, event: event(trimmed, number) };
        if line.event.is_err() && trimmed.starts_with(b"{") && Unfinished::is(trimmed) {
            unfinished = Some(line);
        } else if !take(line) {
            return Ok(());
        }
    }
    if let Some(line) = unfinished {
        take(line);
    }
    Ok(())
}

/// The events of an array, behind its bracket.
fn array(mut source: impl BufRead, first: usize, take: &mut impl FnMut(Line) -> bool) -> Result<(), FileError> {
    let (mut number, mut begun, mut is_over) = (first, first, false);
    let (mut text, mut has_comma) = (Vec::new(), false);
    let mut unfinished = Unfinished::default();
    loop {
        let bytes = source.fill_buf()?;
        if bytes.is_empty() {
            return if is_over { Ok(()) } else { Err(FileError::UnfinishedArray(number)) };
        }
        let count = bytes.len();
        for &byte in bytes {
            let is_between = unfinished.is_between();
            match byte {
                b'\n' | b'\r' | b' ' | b'\t' if text.is_empty() => number += usize::from(byte == b'\n'),
                _ if is_over => return Err(FileError::BehindArray(number)),
                b',' | b']' if is_between => {
                    is_over = byte == b']';
                    let at = if text.is_empty() { number } else { begun };
                    let is_event = !is_over || has_comma || !text.is_empty();
                    if is_event && !take(Line { number: at, event: event(text.trim_ascii(), at) }) {
                        return Ok(());
                    }
                    has_comma = true;
                    text.clear();
                }
                _ => {
                    begun = if text.is_empty() { number } else { begun };
                    number += usize::from(byte == b'\n');
                    unfinished.push(byte);
                    text.push(byte);
                }
            }
        }
        source.consume(count);
    }
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

/// Reads an event that begins on this line.
fn event(text: &[u8], number: usize) -> Result<Event, String> {
    let line = |line: u64| number + usize::try_from(line).unwrap_or_default().saturating_sub(1);
    let value = Json::parse_strict(text).map_err(|error| match error {
        JsonError::Syntax { .. } if std::str::from_utf8(text).is_err() => "the event is not UTF-8".to_owned(),
        JsonError::Syntax { line: at, column } => {
            format!("the event is not JSON: see line {}, column {column}", line(at))
        }
        JsonError::TooDeep | JsonError::DuplicateKey(_) => format!("the event cannot be stored: {error}"),
    })?;
    let Json::Object(mut fields) = value else { return Err("the event must be a JSON object".to_owned()) };
    let (event_ref, ts, data) = (fields.remove("ref"), fields.remove("ts"), fields.remove("data"));
    if !fields.is_empty() {
        return Err("the event must have \"ref\", \"ts\" and \"data\" and nothing else, which would be lost".to_owned());
    }
    let Some(Json::String(event_ref)) = event_ref else {
        return Err("ref must be a string".to_owned());
    };
    let event_ref = EventRef::parse(&event_ref).map_err(|invalid| invalid.to_string())?;
    let ts_us = ts.as_ref().and_then(Json::as_i64).ok_or("ts must be a whole number: microseconds since 1970")?;
    let Some(Json::Object(data)) = data else { return Err("data must be an object".to_owned()) };
    let data = EventData::new(data).map_err(|invalid| invalid.to_string())?;
    Ok(Event { event_ref, ts_us, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"ref":"7","ts":5,"data":{"eventName":"A","orderId":"guid_1"}}"#;

    /// What is read of a file that comes a byte at a time.
    fn parse(text: impl AsRef<[u8]>) -> Result<Vec<Line>, FileError> {
        struct Slowly<'a>(&'a [u8]);
        impl Read for Slowly<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let length = buffer.len().min(1);
                self.0.read(&mut buffer[..length])
            }
        }
        let mut lines = Vec::new();
        read(Slowly(text.as_ref()), |line| {
            lines.push(line);
            true
        })?;
        Ok(lines)
    }

    fn numbers(text: &str) -> Vec<(usize, bool)> {
        parse(text).unwrap().into_iter().map(|line| (line.number, line.event.is_ok())).collect()
    }

    #[test]
    fn each_event_has_the_line_on_which_it_begins() {
        assert_eq!(numbers(&format!("{GOOD}\n\n7\n{GOOD}\n")), [(1, true), (3, false), (4, true)]);
        assert_eq!(numbers(&format!("\n[\n  {GOOD},\n  {{\n\n}},\n {GOOD}]")), [(3, true), (4, false), (7, true)]);
        assert_eq!(numbers(&format!("\r\n{GOOD}\r\n")), [(2, true)]);
        assert_eq!(numbers(""), []);
        assert_eq!(numbers("[]"), []);
        assert_eq!(numbers("[ \n ]\n"), []);
        assert_eq!(numbers(&format!("[{GOOD},\n]")), [(1, true), (2, false)]);
        assert_eq!(numbers("[,]"), [(1, false), (1, false)]);
    }

    #[test]
    fn a_file_that_is_no_list_of_events_has_one_error() {
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let pretty = "{\n  \"ref\": \"7\",\n  \"ts\": 5\n}\n".repeat(50);
        let cases: [(&[u8], &str); 8] = [
            (b"\x1f\x8b\x08\x00", "it is compressed by gzip: append what `gzip -dc` makes of it"),
            (&utf16("\u{feff}[]"), "it is UTF-16: save it as UTF-8"),
            (&utf16(GOOD), "it is UTF-16: save it as UTF-8"),
            (b"\xfe\xff\0[", "it is UTF-16: save it as UTF-8"),
            (
                pretty.as_bytes(),
                "line 1: an event goes on over several lines: write each on one line (`jq -c .`), or all in a JSON array",
            ),
            (b"[\n{},\n{]", "line 3: the file ends inside its JSON array"),
            (b"[1", "line 1: the file ends inside its JSON array"),
            (b"[]\n[]", "line 2: something follows the JSON array"),
        ];
        for (text, error) in cases {
            assert_eq!(parse(text).unwrap_err().to_string(), error);
        }
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        for text in [format!("\u{feff}{GOOD}\n"), format!("\u{feff}[{GOOD}]"), format!("\u{feff}\n{GOOD}")] {
            assert!(parse(&text).unwrap().remove(0).event.is_ok(), "{text}");
        }
        assert_eq!(parse("\u{feff}").unwrap(), []);
    }

    #[test]
    fn a_line_that_is_cut_off_is_a_bad_event_and_the_next_ones_are_good() {
        assert_eq!(numbers(&format!("{{\"ref\":\n{GOOD}\n{{\"ref\"")), [(1, false), (2, true), (3, false)]);
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
        let deep = format!("{{\"x\":{}", "[".repeat(100_000));
        let cases = [
            ("{".to_owned(), "the event is not JSON: see line 4, column 2"),
            ("{\"a\":\n x}".to_owned(), "the event is not JSON: see line 5, column 2"),
            (deep, "the event cannot be stored: nested too deeply: more than 128 levels"),
            (
                event_with("{\"event", "{\"x\":1,\"x\":1,\"event"),
                "the event cannot be stored: the key \"x\" stands twice in an object",
            ),
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
            assert_eq!(event(text.as_bytes(), 4).unwrap_err(), reason, "{text:.80}");
        }
        assert_eq!(event(b"{\"a\":\"\xff\"}", 1).unwrap_err(), "the event is not UTF-8");
    }
}
