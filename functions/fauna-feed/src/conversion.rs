//! FQL's values in an event's JSON, and back, without loss.
//!
//! Owns: what stands for what; `docs/fauna.md` has it as a table.
//! Must not know: documents, events, HTTP.
//! Source: FaunaDB `Renderable.scala`, `Parser.scala`; DynamoDB's range of numbers.

use domain::Fields;
use serde_json::{Map, Number, Value};

/// What an object is wrapped in that has a name which begins with `@`.
const OBJECT_TAG: &str = "@obj";

/// What stands for a double that DynamoDB has no number for. FaunaDB never writes it.
const DOUBLE_TAG: &str = "@double";

/// The tags of values that are neither JSON nor an object.
const TAGS: [&str; 7] = ["@ref", "@ts", "@date", "@bytes", "@uuid", "@set", "@query"];

/// DynamoDB's numbers, by the exponents of their first digit.
const EXPONENTS: std::ops::RangeInclusive<i64> = -130..=125;

/// What FaunaDB sent is no value of FQL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has an object that is no value of FQL: a tag among other names, or one that is not known")]
pub struct NotFql;

/// The fields of a document's `data`, as FaunaDB's wire has it.
///
/// # Errors
/// [`NotFql`] for what no FaunaDB sends; `None` stands for what is no object.
pub fn from_wire(data: Value) -> Result<Option<Fields>, NotFql> {
    let Value::Object(fields) = data else { return Ok(None) };
    match only(&fields) {
        // The top is always an object: it needs no wrapping to be told from a tagged value.
        Some((OBJECT_TAG, Value::Object(inner))) => from_fields(inner.clone()).map(Some),
        Some((tag, _)) if TAGS.contains(&tag) || tag == DOUBLE_TAG => Ok(None),
        Some(_) | None if has_tag(&fields) => Err(NotFql),
        Some(_) | None => from_fields(fields).map(Some),
    }
}

/// The same back: what FaunaDB's wire would have.
#[must_use]
pub fn to_wire(fields: &Fields) -> Value {
    let fields: Fields = fields.iter().map(|(name, value)| (name.clone(), to_value(value))).collect();
    if has_tag(&fields) { tagged(OBJECT_TAG, Value::Object(fields)) } else { Value::Object(fields) }
}

/// Whether two values are the same, numbers by their value: DynamoDB gives `1.0` back as `1`.
#[must_use]
pub fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => decimal(one) == decimal(other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            let is_in_other = |(name, value): (&String, &Value)| other.get(name).is_some_and(|own| is_same(value, own));
            one.len() == other.len() && one.iter().all(is_in_other)
        }
        _ => one == other,
    }
}

/// A number's sign, digits and exponent, the same for each way to write it.
fn decimal(number: &Number) -> (bool, String, i64) {
    let text = number.to_string();
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((&text, "0"));
    let (whole, fraction) = mantissa.trim_start_matches('-').split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{}{fraction}", whole.trim_start_matches('-'));
    let significant = digits.trim_end_matches('0');
    let dropped = digits.len().saturating_sub(significant.len());
    let places = i64::try_from(fraction.len()).unwrap_or(i64::MAX);
    let exponent = exponent.parse::<i64>().unwrap_or_default() - places + i64::try_from(dropped).unwrap_or(i64::MAX);
    let significant = significant.trim_start_matches('0');
    if significant.is_empty() {
        (false, String::new(), 0)
    } else {
        (text.starts_with('-'), significant.to_owned(), exponent)
    }
}

fn from_fields(fields: Fields) -> Result<Fields, NotFql> {
    fields.into_iter().map(|(name, value)| Ok((name, from_value(value)?))).collect()
}

fn from_value(value: Value) -> Result<Value, NotFql> {
    match value {
        Value::Number(number) => Ok(from_number(number)),
        Value::Array(values) => values.into_iter().map(from_value).collect::<Result<_, _>>().map(Value::Array),
        Value::Object(fields) => from_object(fields),
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(value),
    }
}

/// An object within: a tagged value and a wrapped object stay as they are, so that nothing is taken for something else.
fn from_object(fields: Fields) -> Result<Value, NotFql> {
    match only(&fields) {
        Some((OBJECT_TAG, Value::Object(inner))) => Ok(tagged(OBJECT_TAG, Value::Object(from_fields(inner.clone())?))),
        Some((tag, _)) if TAGS.contains(&tag) => Ok(Value::Object(fields)),
        Some(_) | None if has_tag(&fields) => Err(NotFql),
        Some(_) | None => from_fields(fields).map(Value::Object),
    }
}

fn to_value(value: &Value) -> Value {
    match value {
        Value::Array(values) => Value::Array(values.iter().map(to_value).collect()),
        Value::Object(fields) => match only(fields) {
            Some((DOUBLE_TAG, Value::String(digits))) => {
                digits.parse::<Number>().map_or_else(|_no_number| Value::Object(fields.clone()), Value::Number)
            }
            Some((tag, _)) if TAGS.contains(&tag) => Value::Object(fields.clone()),
            Some(_) | None => {
                Value::Object(fields.iter().map(|(name, value)| (name.clone(), to_value(value))).collect())
            }
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// A number stays as it is written: a long has no point and no exponent, a double has. One that DynamoDB cannot hold, or
/// would not give back (a zero below zero), is written as a text.
fn from_number(number: Number) -> Value {
    let text = number.to_string();
    let is_double = text.contains(['.', 'e', 'E']);
    let Some(double) = number.as_f64().filter(|_| is_double) else { return Value::Number(number) };
    let is_storable = if double == 0.0 { double.is_sign_positive() } else { is_in_range(double) };
    if is_storable { Value::Number(number) } else { tagged(DOUBLE_TAG, Value::String(text)) }
}

/// Whether DynamoDB has a number for a double that is not zero.
fn is_in_range(double: f64) -> bool {
    let text = format!("{double:e}");
    let exponent = text.split_once('e').and_then(|(_, exponent)| exponent.parse().ok());
    exponent.is_some_and(|exponent| EXPONENTS.contains(&exponent))
}

fn tagged(tag: &str, value: Value) -> Value {
    Value::Object(Map::from_iter([(tag.to_owned(), value)]))
}

/// The one field of an object that has one.
fn only(fields: &Fields) -> Option<(&str, &Value)> {
    let mut each = fields.iter();
    let (name, value) = each.next()?;
    each.next().is_none().then_some((name.as_str(), value))
}

fn has_tag(fields: &Fields) -> bool {
    fields.keys().any(|name| name.starts_with('@'))
}

#[cfg(test)]
mod tests {
    use domain::{Event, EventData, EventRef, LoggedEvent, Origin, Version};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        from_wire(value).unwrap().unwrap()
    }

    fn read(text: &str) -> Value {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn every_tag_stays_and_the_top_is_unwrapped() {
        let wire = read(
            r#"{"at":{"@ts":"2020-11-21T22:50:05.510Z"},"day":{"@date":"2020-11-21"},"blob":{"@bytes":"AQID"},
            "id":{"@uuid":"4b5dc1d9-90ef-4a8b-9c6b-0b1a5b3d7f2e"},"all":{"@set":{"documents":{"@ref":{"id":"x"}}}},
            "who":{"@ref":{"id":"7","collection":{"@ref":{"id":"users","collection":{"@ref":{"id":"collections"}}}}}},
            "how":{"@query":{"lambda":"x","expr":{"var":"x"}}},"odd":{"@obj":{"@ts":"no time","n":1.0}},"inf":"Infinity"}"#,
        );
        assert_eq!(Value::Object(fields(wire.clone())), wire, "what is tagged reads as FaunaDB wrote it");
        assert_eq!(to_wire(&fields(wire.clone())), wire);
        let escaped = json!({"@obj": {"orderId": "o", "@kind": "x"}});
        assert_eq!(Value::Object(fields(escaped.clone())), json!({"orderId": "o", "@kind": "x"}));
        assert_eq!(to_wire(&fields(escaped.clone())), escaped);
    }

    #[test]
    fn longs_and_doubles_keep_their_digits_and_their_type() {
        let wire = read(r#"{"a":1,"b":1.0,"c":9007199254740993,"d":1.0E10,"e":9223372036854775807,"f":1.5e-130}"#);
        let kept = Value::Object(fields(wire.clone())).to_string();
        assert!(kept.contains("\"c\":9007199254740993") && kept.contains("\"e\":9223372036854775807"), "{kept}");
        assert!(kept.contains("\"a\":1,") && kept.contains("\"b\":1.0,"), "{kept}");
        assert_eq!(to_wire(&fields(wire.clone())).to_string(), wire.to_string());
    }

    #[test]
    fn a_double_that_dynamodb_cannot_hold_is_a_text_with_a_tag() {
        for digits in ["1.7976931348623157E308", "4.9E-324", "-1.0E126", "-0.0"] {
            let wire = read(&format!(r#"{{"n":[{digits}]}}"#));
            let kept = fields(wire.clone());
            assert_eq!(kept["n"][0], json!({"@double": wire["n"][0].to_string()}));
            assert_eq!(to_wire(&kept).to_string(), wire.to_string());
        }
    }

    #[test]
    fn what_is_no_fql_is_refused_and_what_is_no_object_is_none() {
        for wire in [json!({"a": {"@ts": "x", "b": 1}}), json!({"a": [{"@new": 1}]}), json!({"@a": 1, "b": 2})] {
            assert_eq!(from_wire(wire.clone()), Err(NotFql), "{wire}");
        }
        for wire in [json!("text"), json!(null), json!([]), json!({"@ts": "x"})] {
            assert_eq!(from_wire(wire.clone()), Ok(None), "{wire}");
        }
    }

    #[test]
    fn numbers_are_the_same_by_their_value() {
        let same = [
            ("1", "1.0"),
            ("1.0E10", "10000000000"),
            ("0", "-0.0"),
            ("120", "1.2e2"),
            ("[{\"a\":2.50}]", "[{\"a\":2.5}]"),
        ];
        for (one, other) in same {
            assert!(is_same(&read(one), &read(other)), "{one} {other}");
        }
        let different = [
            ("9007199254740993", "9007199254740992"),
            ("1", "-1"),
            ("1", "10"),
            ("1", "\"1\""),
            ("[1]", "[1,1]"),
            ("{}", "[]"),
        ];
        for (one, other) in different {
            assert!(!is_same(&read(one), &read(other)), "{one} {other}");
        }
    }

    /// A value as FaunaDB's wire has it.
    fn wire() -> impl Strategy<Value = Value> {
        let name = "@?[a-z]{0,3}";
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_filter("FaunaDB writes a text", |number| number.is_finite()).prop_map(|number| {
                let text = format!("{number:e}");
                let text = if text.contains('.') { text } else { text.replace('e', ".0e") };
                read(&text)
            }),
            "\\PC{0,6}".prop_map(Value::from),
            prop::sample::select(TAGS.to_vec()).prop_map(|tag| tagged(tag, json!("x"))),
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            let object = prop::collection::btree_map(name, inner.clone(), 0..4).prop_map(|map| {
                let fields: Fields = map.into_iter().collect();
                if has_tag(&fields) { tagged(OBJECT_TAG, Value::Object(fields)) } else { Value::Object(fields) }
            });
            prop_oneof![prop::collection::vec(inner, 0..4).prop_map(Value::Array), object]
        })
    }

    proptest! {
        #[test]
        fn what_comes_back_is_what_was_sent(values in prop::collection::vec(wire(), 1..5)) {
            let data: Fields = values.into_iter().enumerate().map(|(at, value)| (format!("f{at}"), value)).collect();
            let sent = Value::Object(data);
            prop_assert_eq!(to_wire(&fields(sent.clone())).to_string(), sent.to_string());
        }

        #[test]
        fn every_number_passes_through_an_item_of_the_log(number in any::<f64>(), long in any::<i64>()) {
            prop_assume!(number.is_finite());
            let text = format!("{number:e}");
            let text = if text.contains('.') { text } else { text.replace('e', ".0e") };
            let sent = json!({"eventName": "A", "orderId": "o", "n": read(&text), "l": long});
            let data = EventData::new(fields(sent.clone())).unwrap();
            let event = Event { event_ref: EventRef::parse("7").unwrap(), ts_us: 1, data };
            let logged = LoggedEvent { version: Version::FIRST, event, origin: Origin::default() };
            let item = store::item::event::to_item(&logged).unwrap();
            let logged = store::item::event::from_item(item).unwrap();
            prop_assert_eq!(to_wire(logged.event.data.fields()).to_string(), sent.to_string());
        }
    }
}
