//! JSON as it was written: every digit of a number is kept, and every key is a key.
//!
//! A general parser of Rust passes numbers that no machine type holds through objects with secret keys, so that data with
//! such a key is read as something else. [`Json`] is read ([`Json::parse`]) and written ([`Json::write`]) without any.

mod number;
mod read;
mod write;

use std::collections::BTreeMap;

pub use number::{Decimal, Number};
pub use read::{JsonError, Unfinished, elements};
pub use write::{write_fields, write_string};

/// A JSON object: field name to value, sorted by name.
pub type Fields = BTreeMap<String, Json>;

/// A JSON value.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Json {
    /// `null`
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as it is written.
    Number(Number),
    /// A text.
    String(String),
    /// A list.
    Array(Vec<Self>),
    /// An object.
    Object(Fields),
}

impl Json {
    /// The field of an object.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_object()?.get(name)
    }

    /// What is at the end of these names, each of a field of an object.
    #[must_use]
    pub fn at<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Option<&Self> {
        path.into_iter().try_fold(self, Self::get)
    }

    /// The text of a string.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Self::String(text) = self { Some(text) } else { None }
    }

    /// `true` or `false`.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(truth) = self { Some(*truth) } else { None }
    }

    /// A number that is written as a whole one of at most 64 bits, from 0.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        if let Self::Number(Number(digits)) = self { digits.parse().ok() } else { None }
    }

    /// A number that is written as a whole one of at most 64 bits.
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        if let Self::Number(Number(digits)) = self { digits.parse().ok() } else { None }
    }

    /// The values of a list.
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Self::Array(values) = self { Some(values) } else { None }
    }

    /// The fields of an object.
    #[must_use]
    pub fn as_object(&self) -> Option<&Fields> {
        if let Self::Object(fields) = self { Some(fields) } else { None }
    }

    /// Whether both are the same, numbers by their value.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Number(one), Self::Number(other)) => one == other || one.decimal() == other.decimal(),
            (Self::Array(one), Self::Array(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.is_same(other))
            }
            (Self::Object(one), Self::Object(other)) => are_same(one, other),
            (one, other) => one == other,
        }
    }

    /// The fields of an object, without a copy.
    #[must_use]
    pub fn into_object(self) -> Option<Fields> {
        if let Self::Object(fields) = self { Some(fields) } else { None }
    }
}

/// Whether two objects are the same, numbers by their value.
#[must_use]
pub fn are_same(one: &Fields, other: &Fields) -> bool {
    let pairs = || one.iter().zip(other);
    one.len() == other.len()
        && pairs().all(|((name, one), (other_name, other))| name == other_name && one.is_same(other))
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Json {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Json {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Self {
        Self::Number(Number(number.to_string()))
    }
}

impl From<i64> for Json {
    fn from(number: i64) -> Self {
        Self::Number(Number(number.to_string()))
    }
}

impl From<Number> for Json {
    fn from(number: Number) -> Self {
        Self::Number(number)
    }
}

impl From<Fields> for Json {
    fn from(fields: Fields) -> Self {
        Self::Object(fields)
    }
}

impl From<Vec<Self>> for Json {
    fn from(values: Vec<Self>) -> Self {
        Self::Array(values)
    }
}

impl FromIterator<(String, Self)> for Json {
    fn from_iter<I: IntoIterator<Item = (String, Self)>>(fields: I) -> Self {
        Self::Object(fields.into_iter().collect())
    }
}

/// What this process made itself, such as by `json!`.
impl From<serde_json::Value> for Json {
    fn from(value: serde_json::Value) -> Self {
        use serde_json::Value;
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(truth),
            Value::Number(number) => Self::Number(Number(number.to_string())),
            Value::String(text) => Self::String(text),
            Value::Array(values) => Self::Array(values.into_iter().map(Self::from).collect()),
            Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, Self::from(value))).collect(),
        }
    }
}

impl PartialEq<serde_json::Value> for Json {
    fn eq(&self, other: &serde_json::Value) -> bool {
        let other = Self::from(other.clone());
        *self == other
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Any JSON, with the keys that mean something to one parser or another.
    pub(crate) fn any_json() -> impl Strategy<Value = Json> {
        let name = || {
            prop_oneof![
                Just("$serde_json::private::Number".to_owned()),
                Just("$serde_json::private::RawValue".to_owned()),
                Just("__proto__".to_owned()),
                "[0-9]{0,3}",
                "\\PC{0,4}",
            ]
        };
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            "-?(0|[1-9][0-9]{0,37})(\\.[0-9]{1,4})?([eE][+-]?[0-9]{1,3})?"
                .prop_map(|text| { Json::Number(Number::parse(&text).unwrap()) }),
            any::<String>().prop_map(Json::from),
        ];
        leaf.prop_recursive(6, 48, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Json::Array),
                prop::collection::btree_map(name(), inner, 0..5).prop_map(Json::Object),
            ]
        })
    }

    #[test]
    fn no_key_has_a_meaning() {
        for key in ["$serde_json::private::Number", "$serde_json::private::RawValue", "__proto__", ""] {
            for value in ["\"12\"", "12", "{}", "\"[1]\""] {
                let text = format!("{{\"x\":{{\"{key}\":{value}}}}}");
                assert_eq!(Json::parse(&text).unwrap().to_string(), text);
            }
        }
    }

    #[test]
    fn a_number_keeps_its_digits() {
        for text in ["0", "-0", "-0.0", "1.10", "9007199254740993", "12345678901234567890123456789012345678", "1E+125"]
        {
            assert_eq!(Json::parse(text).unwrap(), Json::Number(Number::parse(text).unwrap()));
            assert_eq!(Json::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_made_by_the_macro_is_what_is_read() {
        let made = Json::from(json!({"a": [1, -2, 1.5, null, true], "b": {"c": "d"}}));
        assert_eq!(made, Json::parse(r#"{"b":{"c":"d"},"a":[1,-2,1.5,null,true]}"#).unwrap());
        assert_eq!(made, json!({"a": [1, -2, 1.5, null, true], "b": {"c": "d"}}));
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_written(json in any_json()) {
            let text = json.to_string();
            prop_assert_eq!(Json::parse(&text).unwrap(), json.clone());
            prop_assert_eq!(Json::parse_strict(&text).unwrap(), json);
        }

        #[test]
        fn any_text_is_json_exactly_if_another_parser_says_so(text in "[\\[\\]{}:,\"\\\\ue0-9a-f.truenls+ -]{0,12}") {
            let other = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(Json::parse(&text).is_ok(), other, "{}", text);
        }
    }
}
