//! From JSON to a text: numbers as they are, texts escaped where JSON has to.

use std::fmt;

use super::{Fields, Json};

impl Json {
    /// Writes it to the end of a text.
    pub fn write(&self, text: &mut String) {
        match self {
            Self::Null => text.push_str("null"),
            Self::Bool(true) => text.push_str("true"),
            Self::Bool(false) => text.push_str("false"),
            Self::Number(number) => text.push_str(number.as_str()),
            Self::String(string) => write_string(string, text),
            Self::Array(values) => {
                text.push('[');
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        text.push(',');
                    }
                    value.write(text);
                }
                text.push(']');
            }
            Self::Object(fields) => write_fields(fields, text),
        }
    }
}

/// Writes an object to the end of a text.
pub fn write_fields(fields: &Fields, text: &mut String) {
    text.push('{');
    for (index, (name, value)) in fields.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        write_string(name, text);
        text.push(':');
        value.write(text);
    }
    text.push('}');
}

/// Writes a string, with its quotes, to the end of a text.
pub fn write_string(string: &str, text: &mut String) {
    text.push('"');
    let mut rest = string;
    while let Some(at) = rest.bytes().position(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        let (plain, escaped) = rest.split_at(at);
        text.push_str(plain);
        let mut characters = escaped.chars();
        match characters.next() {
            Some('"') => text.push_str("\\\""),
            Some('\\') => text.push_str("\\\\"),
            Some('\u{8}') => text.push_str("\\b"),
            Some('\u{c}') => text.push_str("\\f"),
            Some('\n') => text.push_str("\\n"),
            Some('\r') => text.push_str("\\r"),
            Some('\t') => text.push_str("\\t"),
            Some(control) => text.push_str(&format!("\\u{:04x}", u32::from(control))),
            None => {}
        }
        rest = characters.as_str();
    }
    text.push_str(rest);
    text.push('"');
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text);
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_string_is_written_as_others_write_it(string in any::<String>(), control in "[\u{0}-\u{20}\"\\\\\u{7f}]{0,8}") {
            for string in [string, control] {
                let mut text = String::new();
                write_string(&string, &mut text);
                prop_assert_eq!(text, serde_json::to_string(&string).unwrap());
            }
        }
    }
}
