//! A request's JSON, as FaunaDB reads it.
//!
//! Owns: long and double kept apart, the first of two equal names, and which numbers are no JSON.
//! Must not know: what a query means.
//! Source: FaunaDB `ast/Parser.scala`; fact sheet, 1.2: duplicate keys and integers outside of 64 bits.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;

/// A JSON value of a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Long(i64),
    Double(f64),
    Text(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// The text is no JSON that FaunaDB reads.
#[derive(Debug)]
pub(super) struct NotJson;

/// The fields of an object in their order, the first of two equal names alone.
struct RawFields(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for RawFields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = RawFields;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawFields, A::Error> {
                let mut fields: Vec<(String, Box<RawValue>)> = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, Box<RawValue>>()? {
                    if fields.iter().all(|(known, _)| *known != name) {
                        fields.push((name, value));
                    }
                }
                Ok(RawFields(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

impl Json {
    pub(super) fn parse(text: &str) -> Result<Self, NotJson> {
        let text = text.trim();
        let read = |_unreadable| NotJson;
        Ok(match text.bytes().next().ok_or(NotJson)? {
            b'{' => {
                let fields: RawFields = serde_json::from_str(text).map_err(read)?;
                let parsed = fields.0.into_iter().map(|(name, value)| Ok((name, Self::parse(value.get())?)));
                Self::Object(parsed.collect::<Result<_, _>>()?)
            }
            b'[' => {
                let values: Vec<Box<RawValue>> = serde_json::from_str(text).map_err(read)?;
                Self::Array(values.iter().map(|value| Self::parse(value.get())).collect::<Result<_, _>>()?)
            }
            b'"' => Self::Text(serde_json::from_str(text).map_err(read)?),
            b't' | b'f' => Self::Bool(serde_json::from_str(text).map_err(read)?),
            b'n' => serde_json::from_str(text).map(|()| Self::Null).map_err(read)?,
            _ => Self::number(text)?,
        })
    }

    fn number(text: &str) -> Result<Self, NotJson> {
        domain::json::Number::parse(text).ok_or(NotJson)?;
        if text.contains(['.', 'e', 'E']) {
            text.parse().map(Self::Double).map_err(|_unreadable| NotJson)
        } else {
            text.parse().map(Self::Long).map_err(|_too_large| NotJson)
        }
    }

    /// A field of an object.
    pub(super) fn get(&self, name: &str) -> Option<&Json> {
        let Self::Object(fields) = self else { return None };
        fields.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_two_equal_names_counts_and_numbers_keep_their_type() {
        let read = Json::parse(r#" {"a":1,"a":2,"b":[1.0,1e400,"é",null,true]} "#).unwrap();
        assert_eq!(read.get("a"), Some(&Json::Long(1)));
        let Some(Json::Array(values)) = read.get("b") else { panic!("no array") };
        let expected = [Json::Double(1.0), Json::Double(f64::INFINITY), Json::Text("é".into()), Json::Null];
        assert_eq!(values[..4], expected);
        for text in ["9223372036854775808", "", "{", "[1,]", "nope", "01"] {
            assert!(Json::parse(text).is_err(), "{text}");
        }
    }
}
