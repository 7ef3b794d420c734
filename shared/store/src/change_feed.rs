//! The change feed of `order_stream`: what Lambda hands to the event handler.
//!
//! A batch is read record by record, each from its own text, so that a malformed record concerns no other one.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::{primitives::Blob, types::AttributeValue};
use domain::{Json, LoggedEvent, json};
use serde::Deserialize;

use crate::item::{self, BrokenItem, Item};

/// One record of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedRecord {
    /// The record's place in the change feed, by which a failure is reported; empty if the record has none, which reports
    /// the whole batch.
    pub sequence_number: String,
    /// The appended event.
    pub event: Result<LoggedEvent, BrokenItem>,
    /// The length of the record's text.
    pub bytes: usize,
}

/// An invocation that is no batch of change feed records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the invocation has no list Records")]
pub struct UnreadableBatch;

/// Reads a batch.
///
/// # Errors
/// [`UnreadableBatch`] if it is none. What is wrong with one record stands in its place.
pub fn read(invocation: &str) -> Result<Vec<FeedRecord>, UnreadableBatch> {
    let records = json::elements(invocation, Some("Records")).ok().flatten().ok_or(UnreadableBatch)?;
    Ok(records.into_iter().map(record).collect())
}

/// Source: DynamoDB Streams records as Lambda delivers them.
fn record(text: &str) -> FeedRecord {
    let bytes = text.len();
    let malformed = |keys: &Item, reason| Err(BrokenItem { key: item::event::key_of(keys), reason });
    let mut change = match Json::parse(text) {
        Ok(Json::Object(mut record)) => record.remove("dynamodb").and_then(Json::into_object).unwrap_or_default(),
        Ok(_) => Default::default(),
        Err(error) => {
            let (sequence_number, keys) = keys_of_unreadable(text).unwrap_or_default();
            return FeedRecord { sequence_number, event: malformed(&keys, format!("the record is {error}")), bytes };
        }
    };
    let sequence_number = change.get("SequenceNumber").and_then(Json::as_str).unwrap_or_default().to_owned();
    let event = match change.remove("NewImage").and_then(item_of) {
        Some(image) => item::event::from_item(image),
        None => {
            let keys = change.remove("Keys").and_then(item_of).unwrap_or_default();
            malformed(&keys, "the record's NewImage is no map of DynamoDB's types".to_owned())
        }
    };
    FeedRecord { sequence_number, event, bytes }
}

/// Where a record is in the change feed and its key, whatever else is in it.
fn keys_of_unreadable(text: &str) -> Option<(String, Item)> {
    #[derive(Deserialize)]
    struct Record {
        dynamodb: Change,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Change {
        sequence_number: String,
        keys: BTreeMap<String, BTreeMap<String, String>>,
    }
    let Change { sequence_number, keys } = serde_json::from_str::<Record>(text).ok()?.dynamodb;
    let key = |(name, value): (String, BTreeMap<String, String>)| {
        let value: Json = value.into_iter().map(|(tag, text)| (tag, Json::from(text))).collect();
        Some((name, attribute(value)?))
    };
    Some((sequence_number, keys.into_iter().filter_map(key).collect()))
}

/// A record's image as an item; `None` for anything else.
fn item_of(image: Json) -> Option<Item> {
    image.into_object()?.into_iter().map(|(name, value)| Some((name, attribute(value)?))).collect()
}

/// A value in DynamoDB's types. Its one field says which.
fn attribute(value: Json) -> Option<AttributeValue> {
    let mut fields = value.into_object()?.into_iter();
    let (Some((tag, value)), None) = (fields.next(), fields.next()) else { return None };
    let texts = |values: Vec<Json>| values.into_iter().map(text).collect::<Option<Vec<String>>>();
    Some(match (tag.as_str(), value) {
        ("S", Json::String(text)) => AttributeValue::S(text),
        ("N", Json::String(digits)) => AttributeValue::N(digits),
        ("B", Json::String(encoded)) => AttributeValue::B(blob(&encoded)?),
        ("BOOL", Json::Bool(truth)) => AttributeValue::Bool(truth),
        ("NULL", Json::Bool(truth)) => AttributeValue::Null(truth),
        ("L", Json::Array(values)) => AttributeValue::L(values.into_iter().map(attribute).collect::<Option<_>>()?),
        ("M", map) => AttributeValue::M(item_of(map)?),
        ("SS", Json::Array(values)) => AttributeValue::Ss(texts(values)?),
        ("NS", Json::Array(values)) => AttributeValue::Ns(texts(values)?),
        ("BS", Json::Array(values)) => {
            AttributeValue::Bs(texts(values)?.iter().map(|encoded| blob(encoded)).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

fn text(value: Json) -> Option<String> {
    if let Json::String(text) = value { Some(text) } else { None }
}

fn blob(encoded: &str) -> Option<Blob> {
    aws_smithy_types::base64::decode(encoded).ok().map(Blob::new)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn image() -> Value {
        json!({
            "orderId": {"S": "guid_1"}, "version": {"N": "2"}, "ref": {"S": "7"}, "ts": {"N": "5"},
            "data": {"M": {"eventName": {"S": "A"}, "orderId": {"S": "guid_1"}, "n": {"N": "1.5"},
                           "gone": {"NULL": true}, "list": {"L": [{"BOOL": true}]}}},
        })
    }

    fn read_one(change: Value) -> FeedRecord {
        let batch = json!({"Records": [{"eventName": "INSERT", "dynamodb": change}]});
        read(&batch.to_string()).unwrap().remove(0)
    }

    #[test]
    fn a_record_is_an_event_and_its_place() {
        let record = read_one(json!({"SequenceNumber": "100", "NewImage": image()}));
        assert_eq!(record.sequence_number, "100");
        let data = record.event.unwrap().event.data;
        let expected = json!({"eventName": "A", "orderId": "guid_1", "n": 1.5, "gone": null, "list": [true]});
        assert_eq!(Json::Object(data.into_fields()), expected);
    }

    #[test]
    fn a_broken_record_spoils_no_other() {
        let keys = json!({"orderId": {"S": "guid_1"}, "version": {"N": "2"}});
        let broken =
            [json!({"SequenceNumber": "1", "Keys": keys}), json!({"SequenceNumber": "2", "Keys": keys, "NewImage": 7})];
        for change in broken {
            let broken = read_one(change).event.unwrap_err();
            assert_eq!(broken.key, "orderId=\"guid_1\" version=2");
        }
        let record = read_one(json!({"SequenceNumber": "3", "NewImage": {"orderId": {"S": "guid_1"}}}));
        assert_eq!(record.event.unwrap_err().key, "orderId=\"guid_1\" version=?");
    }

    #[test]
    fn a_key_that_means_something_to_a_parser_is_a_key() {
        for key in ["$serde_json::private::Number", "$serde_json::private::RawValue", "__proto__"] {
            let mut image = image();
            image["data"]["M"][key] = json!({"S": "1"});
            image["data"]["M"]["nested"] = json!({"M": {key: {"S": "12"}}});
            let record = json!({"dynamodb": {"SequenceNumber": "1", "NewImage": image}});
            let fields = read_one(record["dynamodb"].clone()).event.unwrap().event.data.into_fields();
            assert_eq!(fields[key], Json::from("1"));
            assert_eq!(fields["nested"], json!({key: "12"}));
        }
    }

    #[test]
    fn whatever_one_record_is_the_others_are_read_and_it_is_named_as_far_as_it_can_be() {
        let good = json!({"dynamodb": {"SequenceNumber": "9", "NewImage": image()}}).to_string();
        let keys = r#""Keys":{"orderId":{"S":"guid_1"},"version":{"N":"2"}}"#;
        let deep = format!("{}1{}", r#"{"L":["#.repeat(100), "]}".repeat(100));
        let known = "orderId=\"guid_1\" version=2";
        let unknown = "orderId=? version=?";
        let odd = [
            ("7".to_owned(), "", unknown),
            ("{}".to_owned(), "", unknown),
            (r#"{"dynamodb":[]}"#.to_owned(), "", unknown),
            (format!(r#"{{"dynamodb":{{{keys}}}}}"#), "", known),
            (format!(r#"{{"dynamodb":{{"SequenceNumber":"1",{keys},"NewImage":{{"data":{deep}}}}}}}"#), "1", known),
            (format!(r#"{{"dynamodb":{{"SequenceNumber":"1",{keys},"NewImage":{{"data":{{"S":1}}}}}}}}"#), "1", known),
        ];
        for (odd, sequence_number, key) in odd {
            let records = read(&format!(r#"{{"Records":[{odd},{good}]}}"#)).unwrap();
            assert_eq!(records[0].sequence_number, sequence_number, "{odd:.80}");
            assert_eq!(records[0].event.as_ref().unwrap_err().key, key, "{odd:.80}");
            assert!(records[1].event.is_ok());
        }
    }

    #[test]
    fn every_type_of_dynamodb_is_read() {
        let binary = |value: Value| attribute(Json::from(value)).unwrap();
        assert_eq!(binary(json!({"B": "AQI="})), AttributeValue::B(Blob::new([1, 2])));
        assert_eq!(binary(json!({"BS": ["AQI="]})), AttributeValue::Bs(vec![Blob::new([1, 2])]));
        assert_eq!(binary(json!({"SS": ["a"]})), AttributeValue::Ss(vec!["a".to_owned()]));
        assert_eq!(binary(json!({"NS": ["1"]})), AttributeValue::Ns(vec!["1".to_owned()]));
        for other in [json!({}), json!({"S": 7}), json!({"S": "a", "N": "1"}), json!({"X": "a"}), json!([])] {
            assert_eq!(attribute(Json::from(other)), None);
        }
    }

    #[test]
    fn an_invocation_of_another_kind_is_refused() {
        for invocation in ["{}", "[]", r#"{"Records":7}"#, ""] {
            assert_eq!(read(invocation), Err(UnreadableBatch));
        }
    }
}
