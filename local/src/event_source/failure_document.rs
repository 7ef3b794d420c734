//! What an on-failure destination is told of records that are given up.
//!
//! Owns: the document's fields.
//! Must not know: when records are given up.
//! Source: documents recorded from AWS: without the records themselves, times in whole milliseconds and seconds.

use serde_json::{Value, json};

use super::{
    decision::Outcome,
    record::{self, Record},
};
use crate::{lambda::uuid, template::function_arn};

/// Why records are given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// They failed as often as the mapping allows.
    RetryAttemptsExhausted,
    /// They are older than the mapping allows.
    RecordAgeExceeded,
}

/// Of which change feed, and for which function.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source<'a> {
    pub(super) function_name: &'a str,
    pub(super) stream_arn: &'a str,
    pub(super) shard_id: &'a str,
}

/// The document on records that were handed over `invokes` times, the last time with this outcome.
pub(super) fn of(
    source: Source<'_>,
    records: &[Record],
    condition: Condition,
    invokes: u32,
    outcome: Option<&Outcome>,
) -> Option<Value> {
    let (first, last) = (records.first()?, records.last()?);
    let failed = matches!(outcome, Some(Outcome::Failed | Outcome::NotInvoked));
    Some(json!({
        "requestContext": {
            "requestId": uuid(),
            "functionArn": function_arn(source.function_name),
            "condition": match condition {
                Condition::RetryAttemptsExhausted => "RetryAttemptsExhausted",
                Condition::RecordAgeExceeded => "RecordAgeExceeded",
            },
            "approximateInvokeCount": invokes,
        },
        "responseContext": {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": if failed { json!("Unhandled") } else { Value::Null },
        },
        "version": "1.0",
        "timestamp": record::timestamp_now(),
        "DDBStreamBatchInfo": {
            "shardId": source.shard_id,
            "startSequenceNumber": first.sequence_number,
            "endSequenceNumber": last.sequence_number,
            "approximateArrivalOfFirstRecord": record::timestamp(first.created_at_s),
            "approximateArrivalOfLastRecord": record::timestamp(last.created_at_s),
            "batchSize": records.len(),
            "streamArn": source.stream_arn,
        },
    }))
}
