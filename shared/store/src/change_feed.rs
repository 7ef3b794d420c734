//! The change feed of `order_stream`: what Lambda hands to the event handler.
//!
//! Owns: reading a batch record by record, so that one broken record spoils no other.
//! Must not know: what is done with an event.
//! Source: DynamoDB Streams records as Lambda delivers them, `Records[].dynamodb.NewImage`.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::LoggedEvent;
use serde_json::Value;

use crate::item::{self, BrokenItem, Item};

/// One record of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeedRecord {
    /// The record's place in the change feed, by which a failure is reported.
    pub sequence_number: String,
    /// The appended event.
    pub event: Result<LoggedEvent, BrokenItem>,
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
pub fn read(invocation: &Value) -> Result<Vec<FeedRecord>, UnreadableBatch> {
    let records = invocation.get("Records").and_then(Value::as_array).ok_or(UnreadableBatch::NoRecords)?;
    records.iter().map(record).collect()
}

fn record(record: &Value) -> Result<FeedRecord, UnreadableBatch> {
    let change = record.get("dynamodb");
    let sequence_number = change.and_then(|change| change.get("SequenceNumber")).and_then(Value::as_str);
    let sequence_number = sequence_number.ok_or(UnreadableBatch::NoSequenceNumber)?.to_owned();
    let image_of = |name: &str| change.and_then(|change| change.get(name)).and_then(item_of);
    let event = match image_of("NewImage") {
        Some(item) => item::event::from_item(item),
        None => Err(BrokenItem {
            key: item::event::key_of(&image_of("Keys").unwrap_or_default()),
            reason: "the record's NewImage is no map of DynamoDB's types".to_owned(),
        }),
    };
    Ok(FeedRecord { sequence_number, event })
}

/// A record's image as an item; `None` if it is none.
fn item_of(image: &Value) -> Option<Item> {
    let attributes: serde_dynamo::Item = serde_json::from_value(image.clone()).ok()?;
    let attributes = attributes.into_inner().into_iter();
    Some(attributes.map(|(name, value)| (name, AttributeValue::from(value))).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn image() -> Value {
        json!({
            "orderId": {"S": "guid_1"}, "version": {"N": "2"}, "ref": {"S": "7"}, "ts": {"N": "5"},
            "data": {"M": {"eventName": {"S": "A"}, "orderId": {"S": "guid_1"}, "n": {"N": "1.5"},
                           "gone": {"NULL": true}, "list": {"L": [{"BOOL": true}]}}},
        })
    }

    fn read_one(change: Value) -> Result<FeedRecord, UnreadableBatch> {
        read(&json!({"Records": [{"eventName": "INSERT", "dynamodb": change}]})).map(|mut records| records.remove(0))
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
    fn an_invocation_of_another_kind_is_refused() {
        assert_eq!(read(&json!({})), Err(UnreadableBatch::NoRecords));
        assert_eq!(read_one(json!({"NewImage": image()})), Err(UnreadableBatch::NoSequenceNumber));
    }
}
