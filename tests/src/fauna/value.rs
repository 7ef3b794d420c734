//! A value of FQL: what a query works with and answers.
//!
//! Owns: its JSON on the wire in both directions, and the order of values in an index.
//! Must not know: collections, queries.
//! Source: FaunaDB `Renderable.scala`, `JSONWriter.scala`; fact sheet, 1.2.

use std::cmp::Ordering;

use super::{
    json::Json,
    reference::{Ref, read_ref},
    set::Set,
};

/// Named values in their order.
pub(super) type Fields = Vec<(String, Value)>;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Long(i64),
    Double(f64),
    Text(String),
    Array(Vec<Value>),
    Object(Fields),
    Ref(Ref),
    /// A tagged scalar, as it was written: `@ts`, `@date`, `@bytes`, `@uuid`.
    Tagged(&'static str, String),
    Set(Box<Set>),
    Page(Box<Page>),
    /// An expression that is a value: `@query`.
    Query(Box<Json>),
}

/// A page of a set.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Page {
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
    pub(super) elements: Vec<Value>,
}

/// The tags of scalars.
const SCALAR_TAGS: [&str; 4] = ["@ts", "@date", "@bytes", "@uuid"];

/// The version of the API that a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Api {
    /// 2.1: refs say `class`.
    Classes,
    /// 2.7 and later: refs say `collection`.
    Collections,
}

/// A literal: what stands under `quote`, `@obj` or a tag.
pub(super) fn literal(json: &Json) -> Result<Value, String> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(truth) => Value::Bool(*truth),
        Json::Long(number) => Value::Long(*number),
        Json::Double(number) => Value::Double(*number),
        Json::Text(text) => Value::Text(text.clone()),
        Json::Array(values) => Value::Array(values.iter().map(literal).collect::<Result<_, _>>()?),
        Json::Object(fields) => match tagged(json)? {
            Some(value) => value,
            None => Value::Object(literal_fields(fields)?),
        },
    })
}

fn literal_fields(fields: &[(String, Json)]) -> Result<Fields, String> {
    fields.iter().map(|(name, value)| Ok((name.clone(), literal(value)?))).collect()
}

/// The value of an object whose one key is a tag.
pub(super) fn tagged(json: &Json) -> Result<Option<Value>, String> {
    let Json::Object(fields) = json else { return Ok(None) };
    let [(tag, inner)] = fields.as_slice() else { return Ok(None) };
    if let Some(tag) = SCALAR_TAGS.into_iter().find(|own| own == tag) {
        let Json::Text(text) = inner else { return Err(format!("{tag} must be a string")) };
        return Ok(Some(Value::Tagged(tag, text.clone())));
    }
    match (tag.as_str(), inner) {
        ("@obj", Json::Object(fields)) => Ok(Some(Value::Object(literal_fields(fields)?))),
        ("@ref", inner) => Ok(Some(Value::Ref(read_ref(inner).ok_or("it is no ref")?))),
        ("@query", inner) => Ok(Some(Value::Query(Box::new(inner.clone())))),
        ("@set", _) => Err("a set is no literal here".to_owned()),
        _ => Ok(None),
    }
}

impl Value {
    /// Its type, as errors name it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "Null",
            Self::Bool(_) => "Boolean",
            Self::Long(_) => "Integer",
            Self::Double(_) => "Double",
            Self::Text(_) => "String",
            Self::Array(_) => "Array",
            Self::Object(_) => "Object",
            Self::Ref(_) => "Ref",
            Self::Tagged("@ts", _) => "Timestamp",
            Self::Tagged("@date", _) => "Date",
            Self::Tagged("@bytes", _) => "Bytes",
            Self::Tagged(..) => "UUID",
            Self::Set(_) => "Set",
            Self::Page(_) => "Page",
            Self::Query(_) => "Lambda",
        }
    }

    /// The fields of an object or page.
    pub(super) fn fields(&self) -> Option<Fields> {
        match self {
            Self::Object(fields) => Some(fields.clone()),
            Self::Page(page) => Some(page.fields()),
            Self::Null
            | Self::Bool(_)
            | Self::Long(_)
            | Self::Double(_)
            | Self::Text(_)
            | Self::Array(_)
            | Self::Ref(_)
            | Self::Tagged(..)
            | Self::Set(_)
            | Self::Query(_) => None,
        }
    }

    pub(super) fn field(&self, name: &str) -> Option<Value> {
        self.fields()?.into_iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Long(_) | Self::Double(_) => 0,
            Self::Text(_) => 1,
            Self::Tagged(..) => 2,
            Self::Bool(_) => 3,
            Self::Ref(_) => 4,
            Self::Array(_) => 5,
            Self::Object(_) | Self::Page(_) | Self::Set(_) | Self::Query(_) => 6,
            Self::Null => 7,
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            #[expect(clippy::as_conversions, reason = "a number is compared with one that is none of 64 bits")]
            Self::Long(number) => Some(*number as f64),
            Self::Double(number) => Some(*number),
            _ => None,
        }
    }

    /// The order of an index.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Long(own), Self::Long(other)) => own.cmp(other),
            (Self::Text(own), Self::Text(other)) => own.cmp(other),
            (Self::Tagged(tag, own), Self::Tagged(other_tag, other)) => (tag, own).cmp(&(other_tag, other)),
            (Self::Bool(own), Self::Bool(other)) => own.cmp(other),
            (Self::Ref(own), Self::Ref(other)) => own.cmp(other),
            (Self::Array(own), Self::Array(other)) => {
                let each = own.iter().zip(other).map(|(own, other)| own.order(other));
                each.fold(Ordering::Equal, Ordering::then).then(own.len().cmp(&other.len()))
            }
            _ => match (self.number(), other.number()) {
                (Some(own), Some(other)) => own.total_cmp(&other),
                _ => self.rank().cmp(&other.rank()).then_with(|| self.render().cmp(&other.render())),
            },
        }
    }

    /// Its JSON, as the current API has it.
    pub(super) fn render(&self) -> String {
        self.render_for(Api::Collections)
    }

    /// Its JSON on the wire.
    pub(super) fn render_for(&self, api: Api) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(truth) => truth.to_string(),
            Self::Long(number) => number.to_string(),
            Self::Double(number) => double(*number),
            Self::Text(text) => quoted(text),
            Self::Array(values) => array(values, api),
            Self::Object(fields) => object(fields, api),
            Self::Ref(reference) => reference.render(api),
            Self::Tagged(tag, text) => format!("{{{}:{}}}", quoted(tag), quoted(text)),
            Self::Set(set) => format!("{{\"@set\":{}}}", set.render(api)),
            Self::Page(page) => object(&page.fields(), api),
            Self::Query(expression) => format!("{{\"@query\":{}}}", render_json(expression)),
        }
    }
}

impl Page {
    fn fields(&self) -> Fields {
        let cursor = |name: &str, cursor: &Option<Value>| cursor.clone().map(|cursor| (name.to_owned(), cursor));
        let cursors = cursor("before", &self.before).into_iter().chain(cursor("after", &self.after));
        cursors.chain([("data".to_owned(), Value::Array(self.elements.clone()))]).collect()
    }
}

/// A text as JSON: raw UTF-8, control characters escaped.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn array(values: &[Value], api: Api) -> String {
    let values: Vec<_> = values.iter().map(|value| value.render_for(api)).collect();
    format!("[{}]", values.join(","))
}

/// An object; one with a key that begins with `@` is wrapped whole.
fn object(fields: &Fields, api: Api) -> String {
    let entries = fields.iter().map(|(name, value)| format!("{}:{}", quoted(name), value.render_for(api)));
    let text = format!("{{{}}}", entries.collect::<Vec<_>>().join(","));
    let is_escaped = fields.iter().any(|(name, _)| name.starts_with('@'));
    if is_escaped { format!("{{\"@obj\":{text}}}") } else { text }
}

/// An expression as it was written.
fn render_json(json: &Json) -> String {
    match json {
        Json::Null => "null".to_owned(),
        Json::Bool(truth) => truth.to_string(),
        Json::Long(number) => number.to_string(),
        Json::Double(number) => double(*number),
        Json::Text(text) => quoted(text),
        Json::Array(values) => format!("[{}]", values.iter().map(render_json).collect::<Vec<_>>().join(",")),
        Json::Object(fields) => {
            let entries = fields.iter().map(|(name, value)| format!("{}:{}", quoted(name), render_json(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
    }
}

/// A double as Java writes it; what is no JSON number is a text.
fn double(number: f64) -> String {
    if number.is_nan() {
        return quoted("NaN");
    }
    if number.is_infinite() {
        return quoted(if number > 0.0 { "Infinity" } else { "-Infinity" });
    }
    if number == 0.0 || (1e-3..1e7).contains(&number.abs()) {
        let text = number.to_string();
        return if text.contains('.') { text } else { format!("{text}.0") };
    }
    let text = format!("{number:E}");
    let (mantissa, exponent) = text.split_once('E').unwrap_or((&text, "0"));
    let point = if mantissa.contains('.') { "" } else { ".0" };
    format!("{mantissa}{point}E{exponent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_double_is_written_as_java_writes_it() {
        let cases = [
            (1.0, "1.0"),
            (-0.0, "-0.0"),
            (1000.0, "1000.0"),
            (1e10, "1.0E10"),
            (1.25e-7, "1.25E-7"),
            (0.001, "0.001"),
            (f64::INFINITY, "\"Infinity\""),
            (f64::NAN, "\"NaN\""),
        ];
        for (number, text) in cases {
            assert_eq!(double(number), text);
        }
    }

    #[test]
    fn an_object_with_a_key_like_a_tag_is_wrapped() {
        let fields = vec![("z".to_owned(), Value::Long(2)), ("@k".to_owned(), Value::Long(1))];
        assert_eq!(Value::Object(fields).render(), r#"{"@obj":{"z":2,"@k":1}}"#);
    }
}
