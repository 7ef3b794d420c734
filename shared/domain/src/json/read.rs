//! From a text to JSON, without recursion: the depth of what is read is bounded by a number, not by the stack.

use json_event_parser::{JsonEvent, LowLevelJsonParser};

use super::{Fields, Json, Number};
use crate::limits::JSON_LEVELS_MAX;

/// Why a text is no JSON that is taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It breaks JSON's grammar.
    #[error("not JSON (line {line}, column {column})")]
    Syntax {
        /// The line, from 1.
        line: u64,
        /// The column, in bytes, from 1.
        column: u64,
    },
    /// Lists and objects are one in another.
    #[error("nested too deeply: more than {JSON_LEVELS_MAX} levels")]
    TooDeep,
    /// An object has two fields of one name.
    #[error("the key {0:?} stands twice in an object")]
    DuplicateKey(String),
}

/// Which of two fields of one name counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Duplicates {
    LastWins,
    Refused,
}

/// A list or an object that is not complete.
enum Open {
    Array(Vec<Json>),
    /// With the name whose value is next.
    Object(Fields, String),
}

impl Json {
    /// Reads a text that is one JSON value. Of two fields of one name the last one counts.
    ///
    /// # Errors
    /// [`JsonError`] if it is not JSON, or nested more than [`JSON_LEVELS_MAX`] levels deep.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, JsonError> {
        read(text.as_ref(), Duplicates::LastWins)
    }

    /// The same, for what a producer wrote: two fields of one name are an error.
    ///
    /// # Errors
    /// [`JsonError`] if it is not JSON, nested more than [`JSON_LEVELS_MAX`] levels deep, or a name stands twice.
    pub fn parse_strict(text: impl AsRef<[u8]>) -> Result<Self, JsonError> {
        read(text.as_ref(), Duplicates::Refused)
    }
}

/// The tokens of a text and where each ends.
struct Tokens<'a> {
    parser: LowLevelJsonParser,
    text: &'a [u8],
    offset: usize,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { parser: LowLevelJsonParser::new(), text, offset: 0 }
    }

    fn next(&mut self) -> Result<JsonEvent<'a>, JsonError> {
        loop {
            let rest = self.text.get(self.offset..).unwrap_or_default();
            let result = self.parser.parse_next(rest, true);
            self.offset += result.consumed_bytes;
            match result.event {
                Some(Ok(event)) => return Ok(event),
                Some(Err(error)) => {
                    let start = error.location().start;
                    return Err(JsonError::Syntax { line: start.line + 1, column: start.column + 1 });
                }
                None => {}
            }
        }
    }
}

fn read(text: &[u8], duplicates: Duplicates) -> Result<Json, JsonError> {
    let mut tokens = Tokens::new(text);
    let mut open: Vec<Open> = Vec::new();
    loop {
        let value = match tokens.next()? {
            JsonEvent::Null => Json::Null,
            JsonEvent::Boolean(truth) => Json::Bool(truth),
            JsonEvent::Number(digits) => Json::Number(Number(digits.into_owned())),
            JsonEvent::String(text) => Json::String(text.into_owned()),
            opening @ (JsonEvent::StartArray | JsonEvent::StartObject) => {
                if open.len() >= JSON_LEVELS_MAX {
                    return Err(JsonError::TooDeep);
                }
                let is_array = opening == JsonEvent::StartArray;
                open.push(if is_array { Open::Array(Vec::new()) } else { Open::Object(Fields::new(), String::new()) });
                continue;
            }
            JsonEvent::ObjectKey(key) => {
                if let Some(Open::Object(fields, name)) = open.last_mut() {
                    if duplicates == Duplicates::Refused && fields.contains_key(key.as_ref()) {
                        return Err(JsonError::DuplicateKey(key.into_owned()));
                    }
                    *name = key.into_owned();
                }
                continue;
            }
            JsonEvent::EndArray | JsonEvent::EndObject => match open.pop() {
                Some(Open::Array(values)) => Json::Array(values),
                Some(Open::Object(fields, _)) => Json::Object(fields),
                // The parser matches them.
                None => continue,
            },
            // The parser takes no text without a value.
            JsonEvent::Eof => continue,
        };
        match open.last_mut() {
            Some(Open::Array(values)) => values.push(value),
            Some(Open::Object(fields, name)) => drop(fields.insert(std::mem::take(name), value)),
            None => return end(&mut tokens).map(|()| value),
        }
    }
}

/// Nothing follows a value but blanks.
fn end(tokens: &mut Tokens<'_>) -> Result<(), JsonError> {
    while tokens.next()? != JsonEvent::Eof {}
    Ok(())
}

/// The texts of the values of a list, in a field of an object or at the top if `field` is `None`: each can be read apart from
/// the others. `None` in the place of the list if there is none.
///
/// # Errors
/// [`JsonError`] if the text as a whole breaks JSON's grammar.
pub fn elements<'a>(text: &'a str, field: Option<&str>) -> Result<Option<Vec<&'a str>>, JsonError> {
    let mut tokens = Tokens::new(text.as_bytes());
    // How deep a value is nested is the matter of whoever reads it.
    tokens.parser = LowLevelJsonParser::new().with_max_stack_size(usize::MAX);
    let list_level = usize::from(field.is_some());
    let (mut level, mut is_due, mut is_list) = (0_usize, field.is_none(), false);
    let mut found: Option<Vec<&'a str>> = None;
    let mut start = 0;
    loop {
        let before = tokens.offset;
        let event = tokens.next()?;
        let is_value = match event {
            JsonEvent::Eof => return Ok(found),
            JsonEvent::ObjectKey(ref key) => {
                if level == 1 && field.is_some() {
                    is_due = field == Some(key.as_ref());
                }
                false
            }
            JsonEvent::StartArray | JsonEvent::StartObject => {
                if level == list_level && is_due {
                    is_list = event == JsonEvent::StartArray;
                    // The last of two fields of one name counts.
                    found = is_list.then(Vec::new);
                    is_due = false;
                } else if is_list && level == list_level + 1 {
                    start = before;
                }
                level += 1;
                false
            }
            JsonEvent::EndArray | JsonEvent::EndObject => {
                level = level.saturating_sub(1);
                if is_list && level == list_level {
                    is_list = false;
                }
                is_list && level == list_level + 1
            }
            JsonEvent::String(_) | JsonEvent::Number(_) | JsonEvent::Boolean(_) | JsonEvent::Null => {
                if level == list_level && is_due {
                    (found, is_due) = (None, false);
                }
                let is_value = is_list && level == list_level + 1;
                start = if is_value { before } else { start };
                is_value
            }
        };
        if is_value && let Some(found) = &mut found {
            let value = text.get(start..tokens.offset).unwrap_or_default();
            found.push(value.trim_start_matches([' ', '\t', '\r', '\n', ',']));
        }
    }
}

/// Whether a value that comes byte by byte is still open: within a text, a list or an object. It takes what is no JSON too.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unfinished {
    levels: usize,
    is_in_text: bool,
    is_escaped: bool,
}

impl Unfinished {
    /// Whether a text ends within a value.
    #[must_use]
    pub fn is(text: &[u8]) -> bool {
        let mut unfinished = Self::default();
        text.iter().for_each(|byte| unfinished.push(*byte));
        !unfinished.is_between()
    }

    /// The next byte.
    pub fn push(&mut self, byte: u8) {
        if self.is_in_text {
            self.is_in_text = self.is_escaped || byte != b'"';
            self.is_escaped = !self.is_escaped && byte == b'\\';
            return;
        }
        match byte {
            b'"' => self.is_in_text = true,
            b'[' | b'{' => self.levels += 1,
            b']' | b'}' => self.levels = self.levels.saturating_sub(1),
            _ => {}
        }
    }

    /// Nothing is open.
    #[must_use]
    pub fn is_between(&self) -> bool {
        self.levels == 0 && !self.is_in_text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(levels: usize) -> String {
        "[".repeat(levels) + &"]".repeat(levels)
    }

    #[test]
    fn what_is_nested_too_deeply_is_called_so_however_deep_it_is() {
        assert!(Json::parse(nested(JSON_LEVELS_MAX)).is_ok());
        for levels in [JSON_LEVELS_MAX + 1, 100_000] {
            assert_eq!(Json::parse(nested(levels)), Err(JsonError::TooDeep));
            assert_eq!(Json::parse("{\"a\":".repeat(levels)), Err(JsonError::TooDeep));
        }
    }

    #[test]
    fn an_error_names_its_place() {
        assert_eq!(Json::parse("{\n \"a\": x}"), Err(JsonError::Syntax { line: 2, column: 7 }));
        for text in
            ["", " ", "{", "[1,]", "{\"a\":1,}", "1 2", "\"\u{1}\"", r#""\ud800""#, r#""\q""#, "tru", "{\"a\" 1}"]
        {
            assert!(matches!(Json::parse(text), Err(JsonError::Syntax { .. })), "{text}");
        }
        assert!(matches!(Json::parse(b"\"\xff\""), Err(JsonError::Syntax { .. })));
    }

    #[test]
    fn of_two_fields_of_one_name_the_last_counts_or_none() {
        let text = r#"{"a":{"b":1,"b":2}}"#;
        assert_eq!(Json::parse(text).unwrap().to_string(), r#"{"a":{"b":2}}"#);
        assert_eq!(Json::parse_strict(text), Err(JsonError::DuplicateKey("b".to_owned())));
        assert!(Json::parse_strict(r#"[{"b":1},{"b":2}]"#).is_ok());
    }

    #[test]
    fn a_value_is_unfinished_within_a_text_a_list_or_an_object() {
        for open in ["{", "[", "\"", r#""\""#, r#"{"a":"}"#, "[{}", r#"["\\","#] {
            assert!(Unfinished::is(open.as_bytes()), "{open}");
        }
        for over in ["", "1", "{}", r#""\\""#, r#"{"a":"{"}"#, "}", "[]]", "x"] {
            assert!(!Unfinished::is(over.as_bytes()), "{over}");
        }
    }

    #[test]
    fn the_elements_of_a_list_are_slices_of_the_text() {
        let text = r#" {"a":[9],"list": [ {"x":[1, {}]} ,"é\"," ,null,[],-1.50],"b":{"list":[1]}} "#;
        assert_eq!(
            elements(text, Some("list")).unwrap().unwrap(),
            [r#"{"x":[1, {}]}"#, r#""é\",""#, "null", "[]", "-1.50"]
        );
        assert_eq!(elements(text, Some("a")).unwrap().unwrap(), ["9"]);
        assert_eq!(elements(text, Some("b")), Ok(None));
        assert_eq!(elements(text, Some("c")), Ok(None));
        assert_eq!(elements(text, None), Ok(None));
        assert_eq!(elements("[1,[2] ]", None).unwrap().unwrap(), ["1", "[2]"]);
        assert_eq!(elements("[]", None).unwrap().unwrap(), [""; 0]);
        assert_eq!(elements("7", None), Ok(None));
        assert!(elements("[1", None).is_err());
        let deep = format!("[{},1]", nested(1_000));
        assert_eq!(elements(&deep, None).unwrap().unwrap().len(), 2);
    }
}
