//! A change feed record as Lambda hands it over.
//!
//! Owns: mending where the engine's record is not as AWS's.
//! Must not know: batches.
//! Source: records recorded from AWS; `SizeBytes` counts the UTF-8 of names and values of keys and images.

use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

use crate::template::REGION;

const TIMESTAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// One record.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) sequence_number: String,
    pub(super) event_id: String,
    /// In seconds since 1970.
    pub(super) created_at_s: f64,
    /// The item's keys, as text.
    pub(super) keys: String,
    /// Its JSON, as it stands in an event.
    pub(super) text: String,
}

impl Record {
    /// The record, and what filters see of it.
    pub(super) fn new(
        record: &dynoxide::actions::get_records::Record,
        stream_arn: &str,
    ) -> anyhow::Result<(Self, Value)> {
        let change = &record.dynamodb;
        let mut shown = serde_json::to_value(change)?;
        let images = ["Keys", "NewImage", "OldImage"];
        let size: usize = images.iter().filter_map(|image| shown.get(image)).map(attributes_bytes).sum();
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("SizeBytes".to_owned(), json!(size));
        }
        let mut json = json!({
            "eventID": record.event_id,
            "eventName": record.event_name,
            "eventVersion": record.event_version,
            "eventSource": record.event_source,
            "awsRegion": REGION,
            "dynamodb": shown,
            "eventSourceARN": stream_arn,
        });
        if let (Some(user), Some(fields)) = (&record.user_identity, json.as_object_mut()) {
            let user = json!({"type": user.identity_type, "principalId": user.principal_id});
            fields.insert("userIdentity".to_owned(), user);
        }
        let record = Self {
            sequence_number: change.sequence_number.clone(),
            event_id: record.event_id.clone(),
            created_at_s: change.approximate_creation_date_time,
            keys: json.pointer("/dynamodb/Keys").map(Value::to_string).unwrap_or_default(),
            text: json.to_string(),
        };
        Ok((record, json))
    }
}

/// The bytes of an item in DynamoDB's JSON: names, and values without their types.
fn attributes_bytes(item: &Value) -> usize {
    item.as_object().into_iter().flatten().map(|(name, value)| name.len() + value_bytes(value)).sum()
}

fn value_bytes(value: &Value) -> usize {
    let Some((kind, value)) = value.as_object().and_then(|typed| typed.iter().next()) else { return 0 };
    match (kind.as_str(), value) {
        ("S" | "N" | "B", Value::String(text)) => text.len(),
        ("M", item) => attributes_bytes(item),
        ("L", Value::Array(values)) => values.iter().map(value_bytes).sum(),
        ("SS" | "NS" | "BS", Value::Array(values)) => values.iter().filter_map(Value::as_str).map(str::len).sum(),
        _ => 1,
    }
}

/// A time as failure documents have it.
pub(super) fn timestamp(seconds: f64) -> String {
    let since_1970 = time::Duration::seconds_f64(seconds);
    OffsetDateTime::UNIX_EPOCH.checked_add(since_1970).and_then(|time| time.format(TIMESTAMP).ok()).unwrap_or_default()
}

/// This moment as failure documents have it.
pub(super) fn timestamp_now() -> String {
    OffsetDateTime::now_utc().format(TIMESTAMP).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_count_names_and_values() {
        let item = json!({"id": {"S": "abc"}, "n": {"N": "42"}, "yes": {"BOOL": true}, "m": {"M": {"x": {"L": [{"S": "é"}]}}}});
        assert_eq!(attributes_bytes(&item), (2 + 3) + (1 + 2) + (3 + 1) + (1 + 1 + 2));
        assert_eq!(timestamp(1_605_999_005.0), "2020-11-21T22:50:05.000Z");
    }
}
