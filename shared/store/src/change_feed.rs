//! The change feed of `order_stream`: what Lambda hands to the event handler.
//!
//! A batch is read record by record, each from its own text, so that a malformed record concerns no other one.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::LoggedEvent;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::item::{self, BrokenItem, Item};

/// One record of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedRecord {
    /// The record's place in the change feed, by which a failure is reported.
    pub sequence_number: String,
    /// The appended event.
    pub event: Result<LoggedEvent, BrokenItem>,
    /// The length of the record's text.
    pub bytes: usize,
}

#[derive(Deserialize)]
struct Batch<'a> {
    #[serde(borrow, rename = "Records")]
    records: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    dynamodb: Change<'a>,
}

/// Source: DynamoDB Streams records as Lambda delivers them.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Change<'a> {
    sequence_number: String,
    #[serde(borrow)]
    keys: Option<&'a RawValue>,
    #[serde(borrow)]
    new_image: Option<&'a RawValue>,
}

/// An invocation that is no batch of change feed records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableBatch {
    /// There is no list `Records`.
    #[error("the invocation has no Records")]
    NoRecords,
    /// A record has no sequence number, so its failure could not be reported.
    #[error("a record has no dynamodb.SequenceNumber")]
    NoSequenceNumber,
}

/// Reads a batch.
///
/// # Errors
/// [`UnreadableBatch`] if it is none. What is wrong with one record stands in its place.
pub fn read(invocation: &str) -> Result<Vec<FeedRecord>, UnreadableBatch> {
    let batch: Batch<'_> = serde_json::from_str(invocation).map_err(|_another_shape| UnreadableBatch::NoRecords)?;
    batch.records.into_iter().map(record).collect()
}

fn record(record: &RawValue) -> Result<FeedRecord, UnreadableBatch> {
    let bytes = record.get().len();
    let record: Record<'_> =
        serde_json::from_str(record.get()).map_err(|_another_shape| UnreadableBatch::NoSequenceNumber)?;
    let Change { sequence_number, keys, new_image } = record.dynamodb;
    let event = match new_image.and_then(item_of) {
        Some(item) => item::event::from_item(item),
        None => Err(BrokenItem {
            key: item::event::key_of(&keys.and_then(item_of).unwrap_or_default()),
            reason: "the record's NewImage is no map of DynamoDB's types".to_owned(),
        }),
    };
    Ok(FeedRecord { sequence_number, event, bytes })
}

/// A record's image as an item; `None` for anything else.
fn item_of(image: &RawValue) -> Option<Item> {
    let attributes: serde_dynamo::Item = serde_json::from_str(image.get()).ok()?;
    let attributes = attributes.into_inner().into_iter();
    Some(attributes.map(|(name, value)| (name, AttributeValue::from(value))).collect())
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

    fn read_one(change: Value) -> Result<FeedRecord, UnreadableBatch> {
        let batch = json!({"Records": [{"eventName": "INSERT", "dynamodb": change}]});
        read(&batch.to_string()).map(|mut records| records.remove(0))
    }

    #[test]
    fn a_record_is_an_event_and_its_place() {
        let record = read_one(json!({"SequenceNumber": "100", "NewImage": image()})).unwrap();
        assert_eq!(record.sequence_number, "100");
        let data = record.event.unwrap().event.data;
        let expected = json!({"eventName": "A", "orderId": "guid_1", "n": 1.5, "gone": null, "list": [true]});
        assert_eq!(Value::Object(data.fields().clone()), expected);
    }

    #[test]
    fn a_broken_record_spoils_no_other() {
        let keys = json!({"orderId": {"S": "guid_1"}, "version": {"N": "2"}});
        let broken =
            [json!({"SequenceNumber": "1", "Keys": keys}), json!({"SequenceNumber": "2", "Keys": keys, "NewImage": 7})];
        for change in broken {
            let broken = read_one(change).unwrap().event.unwrap_err();
            assert_eq!(broken.key, "orderId=\"guid_1\" version=2");
        }
        let record = read_one(json!({"SequenceNumber": "3", "NewImage": {"orderId": {"S": "guid_1"}}})).unwrap();
        assert_eq!(record.event.unwrap_err().key, "orderId=\"guid_1\" version=?");
    }

    #[test]
    fn a_key_that_means_something_to_a_parser_concerns_no_other_record() {
        let odd = r#"{"dynamodb":{"SequenceNumber":"1","NewImage":{"data":{"M":{"$serde_json::private::Number":{"S":"1"}}}}}}"#;
        let good = json!({"dynamodb": {"SequenceNumber": "2", "NewImage": image()}});
        let records = read(&format!(r#"{{"Records":[{odd},{good}]}}"#)).unwrap();
        assert!(records[0].event.is_err());
        assert!(records[1].event.is_ok());
    }

    #[test]
    fn an_invocation_of_another_kind_is_refused() {
        assert_eq!(read("{}"), Err(UnreadableBatch::NoRecords));
        assert_eq!(read_one(json!({"NewImage": image()})), Err(UnreadableBatch::NoSequenceNumber));
    }
}
