//! FQL's values in an event's JSON, and back, without loss.
//!
//! Owns: what stands for what; `docs/fauna.md` has it as a table.
//! Must not know: documents, events, HTTP.
//! Source: FaunaDB `Renderable.scala`, `Parser.scala`; DynamoDB's range of numbers.

use domain::{Fields, Json, json::Number};

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
pub fn from_wire(data: Json) -> Result<Option<Fields>, NotFql> {
    let Json::Object(fields) = data else { return Ok(None) };
    match only(&fields) {
        // The top is always an object: it needs no wrapping to be told from a tagged value.
        Some((OBJECT_TAG, Json::Object(inner))) => from_fields(inner.clone()).map(Some),
        Some((tag, _)) if TAGS.contains(&tag) || tag == DOUBLE_TAG => Ok(None),
        Some(_) | None if has_tag(&fields) => Err(NotFql),
        Some(_) | None => from_fields(fields).map(Some),
    }
}

/// The same back: what FaunaDB's wire would have.
#[must_use]
pub fn to_wire(fields: &Fields) -> Json {
    let fields: Fields = fields.iter().map(|(name, value)| (name.clone(), to_value(value))).collect();
    if has_tag(&fields) { tagged(OBJECT_TAG, Json::Object(fields)) } else { Json::Object(fields) }
}

/// Whether two values are the same, numbers by their value: DynamoDB gives `1.0` back as `1`.
#[must_use]
pub fn is_same(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Number(one), Json::Number(other)) => one.decimal() == other.decimal(),
        (Json::Array(one), Json::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Json::Object(one), Json::Object(other)) => {
            let is_in_other = |(name, value): (&String, &Json)| other.get(name).is_some_and(|own| is_same(value, own));
            one.len() == other.len() && one.iter().all(is_in_other)
        }
        _ => one == other,
    }
}

fn from_fields(fields: Fields) -> Result<Fields, NotFql> {
    fields.into_iter().map(|(name, value)| Ok((name, from_value(value)?))).collect()
}

fn from_value(value: Json) -> Result<Json, NotFql> {
    match value {
        Json::Number(number) => Ok(from_number(number)),
        Json::Array(values) => values.into_iter().map(from_value).collect::<Result<_, _>>().map(Json::Array),
        Json::Object(fields) => from_object(fields),
        Json::Null | Json::Bool(_) | Json::String(_) => Ok(value),
    }
}

/// An object within: a tagged value and a wrapped object stay as they are, so that nothing is taken for something else.
fn from_object(fields: Fields) -> Result<Json, NotFql> {
    match only(&fields) {
        Some((OBJECT_TAG, Json::Object(inner))) => Ok(tagged(OBJECT_TAG, Json::Object(from_fields(inner.clone())?))),
        Some((tag, _)) if TAGS.contains(&tag) => Ok(Json::Object(fields)),
        Some(_) | None if has_tag(&fields) => Err(NotFql),
        Some(_) | None => from_fields(fields).map(Json::Object),
    }
}

fn to_value(value: &Json) -> Json {
    match value {
        Json::Array(values) => Json::Array(values.iter().map(to_value).collect()),
        Json::Object(fields) => match only(fields) {
            Some((DOUBLE_TAG, Json::String(digits))) => {
                Number::parse(digits).map_or_else(|| Json::Object(fields.clone()), Json::Number)
            }
            Some((tag, _)) if TAGS.contains(&tag) => Json::Object(fields.clone()),
            Some(_) | None => {
                Json::Object(fields.iter().map(|(name, value)| (name.clone(), to_value(value))).collect())
            }
        },
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => value.clone(),
    }
}

/// A number stays as it is written: a long has no point and no exponent, a double has. One that DynamoDB cannot hold, or
/// would not give back (a zero below zero), is written as a text.
fn from_number(number: Number) -> Json {
    let text = number.to_string();
    let is_double = text.contains(['.', 'e', 'E']);
    let double = number.to_f64();
    if !is_double || !double.is_finite() {
        return Json::Number(number);
    }
    let is_storable = if double == 0.0 { double.is_sign_positive() } else { is_in_range(double) };
    if is_storable { Json::Number(number) } else { tagged(DOUBLE_TAG, Json::String(text)) }
}

/// Whether DynamoDB has a number for a double that is not zero.
fn is_in_range(double: f64) -> bool {
    let text = format!("{double:e}");
    let exponent = text.split_once('e').and_then(|(_, exponent)| exponent.parse().ok());
    exponent.is_some_and(|exponent| EXPONENTS.contains(&exponent))
}

fn tagged(tag: &str, value: Json) -> Json {
    Json::Object(Fields::from([(tag.to_owned(), value)]))
}

/// The one field of an object that has one.
fn only(fields: &Fields) -> Option<(&str, &Json)> {
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

    fn fields(value: impl Into<Json>) -> Fields {
        from_wire(value.into()).unwrap().unwrap()
    }

    fn read(text: &str) -> Json {
        Json::parse(text).unwrap()
    }

    #[test]
    fn every_tag_stays_and_the_top_is_unwrapped() {
        let wire = read(
            r#"{"at":{"@ts":"2020-11-21T22:50:05.510Z"},"day":{"@date":"2020-11-21"},"blob":{"@bytes":"AQID"},
            "id":{"@uuid":"4b5dc1d9-90ef-4a8b-9c6b-0b1a5b3d7f2e"},"all":{"@set":{"documents":{"@ref":{"id":"x"}}}},
            "who":{"@ref":{"id":"7","collection":{"@ref":{"id":"users","collection":{"@ref":{"id":"collections"}}}}}},
            "how":{"@query":{"lambda":"x","expr":{"var":"x"}}},"odd":{"@obj":{"@ts":"no time","n":1.0}},"inf":"Infinity"}"#,
        );
        assert_eq!(Json::Object(fields(wire.clone())), wire, "what is tagged reads as FaunaDB wrote it");
        assert_eq!(to_wire(&fields(wire.clone())), wire);
        let escaped = json!({"@obj": {"orderId": "o", "@kind": "x"}});
        assert_eq!(Json::Object(fields(escaped.clone())), json!({"orderId": "o", "@kind": "x"}));
        assert_eq!(to_wire(&fields(escaped.clone())), escaped);
    }

    #[test]
    fn longs_and_doubles_keep_their_digits_and_their_type() {
        let wire = read(r#"{"a":1,"b":1.0,"c":9007199254740993,"d":1.0E10,"e":9223372036854775807,"f":1.5e-130}"#);
        let kept = Json::Object(fields(wire.clone())).to_string();
        assert!(kept.contains("\"c\":9007199254740993") && kept.contains("\"e\":9223372036854775807"), "{kept}");
        assert!(kept.contains("\"a\":1,") && kept.contains("\"b\":1.0,"), "{kept}");
        assert_eq!(to_wire(&fields(wire.clone())).to_string(), wire.to_string());
    }

    #[test]
    fn a_double_that_dynamodb_cannot_hold_is_a_text_with_a_tag() {
        for digits in ["1.7976931348623157E308", "4.9E-324", "-1.0E126", "-0.0"] {
            let wire = read(&format!(r#"{{"n":[{digits}]}}"#));
            let kept = fields(wire.clone());
            assert_eq!(kept["n"], json!([{"@double": digits}]));
            assert_eq!(to_wire(&kept).to_string(), wire.to_string());
        }
    }

    #[test]
    fn what_is_no_fql_is_refused_and_what_is_no_object_is_none() {
        for wire in [json!({"a": {"@ts": "x", "b": 1}}), json!({"a": [{"@new": 1}]}), json!({"@a": 1, "b": 2})] {
            assert_eq!(from_wire(Json::from(wire.clone())), Err(NotFql), "{wire}");
        }
        for wire in [json!("text"), json!(null), json!([]), json!({"@ts": "x"})] {
            assert_eq!(from_wire(Json::from(wire.clone())), Ok(None), "{wire}");
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
    fn wire() -> impl Strategy<Value = Json> {
        let name = "@?[a-z]{0,3}";
        let leaf = prop_oneof![
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<f64>().prop_filter("FaunaDB writes a text", |number| number.is_finite()).prop_map(|number| {
                let text = format!("{number:e}");
                let text = if text.contains('.') { text } else { text.replace('e', ".0e") };
                read(&text)
            }),
            "\\PC{0,6}".prop_map(Json::from),
            prop::sample::select(TAGS.to_vec()).prop_map(|tag| tagged(tag, Json::from("x"))),
        ];
        leaf.prop_recursive(4, 24, 4, move |inner| {
            let object = prop::collection::btree_map(name, inner.clone(), 0..4)
                .prop_map(|map| if has_tag(&map) { tagged(OBJECT_TAG, Json::Object(map)) } else { Json::Object(map) });
            prop_oneof![prop::collection::vec(inner, 0..4).prop_map(Json::Array), object]
        })
    }

    proptest! {
        #[test]
        fn what_comes_back_is_what_was_sent(values in prop::collection::vec(wire(), 1..5)) {
            let data: Fields = values.into_iter().enumerate().map(|(at, value)| (format!("f{at}"), value)).collect();
            let sent = Json::Object(data);
            prop_assert_eq!(to_wire(&fields(sent.clone())).to_string(), sent.to_string());
        }

        #[test]
        fn every_number_passes_through_an_item_of_the_log(number in any::<f64>(), long in any::<i64>()) {
            prop_assume!(number.is_finite());
            let text = format!("{number:e}");
            let text = if text.contains('.') { text } else { text.replace('e', ".0e") };
            let sent = json!({"eventName": "A", "orderId": "o", "l": long});
            let mut sent = Json::from(sent).into_object().unwrap();
            sent.insert("n".to_owned(), read(&text));
            let sent = Json::Object(sent);
            let data = EventData::new(fields(sent.clone())).unwrap();
            let event = Event { event_ref: EventRef::parse("7").unwrap(), ts_us: 1, data };
            let logged = LoggedEvent { version: Version::FIRST, event, origin: Origin::default() };
            let item = store::item::event::to_item(&logged).unwrap();
            let logged = store::item::event::from_item(item).unwrap();
            prop_assert_eq!(to_wire(logged.event.data.fields()).to_string(), sent.to_string());
        }
    }
}
