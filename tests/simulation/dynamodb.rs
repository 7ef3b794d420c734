//! DynamoDB without sockets: the embedded engine, one operation at a time.
//!
//! Owns: the operations that the functions use, as JSON in and out, and the change feed's records.
//! Must not know: who calls, what goes wrong.
//! Source: dynoxide-rs; its own HTTP server does the same before a socket.

use dynoxide::{
    Database,
    actions::{
        describe_table::DescribeTableRequest, get_records::GetRecordsRequest,
        get_shard_iterator::GetShardIteratorRequest,
    },
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

const SHARD_RECORDS_MAX: usize = 1_000;

/// Serves an operation: status and body.
pub(crate) fn serve(database: &Database, operation: &str, request: &Value) -> (u16, Vec<u8>) {
    match operation {
        "BatchGetItem" => run(request, |request| database.batch_get_item(request)),
        "BatchWriteItem" => run(request, |request| database.batch_write_item(request)),
        "DeleteItem" => run(request, |request| database.delete_item(request)),
        "GetItem" => run(request, |request| database.get_item(request)),
        "PutItem" => run(request, |request| database.put_item(request)),
        "Query" => run(request, |request| database.query(request)),
        "UpdateItem" => run(request, |request| database.update_item(request)),
        _ => panic!("an operation that is not simulated: {operation}"),
    }
}

fn run<R: DeserializeOwned, A: Serialize>(
    request: &Value,
    operation: impl FnOnce(R) -> dynoxide::Result<A>,
) -> (u16, Vec<u8>) {
    match operation(serde_json::from_value(request.clone()).unwrap()) {
        Ok(answer) => (200, serde_json::to_vec(&answer).unwrap()),
        Err(error) => (error.status_code(), serde_json::to_vec(&error.to_response()).unwrap()),
    }
}

/// The change feed of the log.
pub(crate) struct Feed {
    database: Database,
    iterator: String,
    /// Every record so far, as Lambda hands it over.
    pub(crate) records: Vec<Value>,
}

impl Feed {
    pub(crate) fn new(database: Database) -> Self {
        let described =
            database.describe_table(DescribeTableRequest { table_name: "order_stream".to_owned() }).unwrap();
        let described = serde_json::to_value(described).unwrap();
        let stream_arn = described["Table"]["LatestStreamArn"].as_str().unwrap().to_owned();
        let request = GetShardIteratorRequest {
            shard_id: shard_id(&database, &stream_arn),
            stream_arn,
            shard_iterator_type: "TRIM_HORIZON".to_owned(),
            sequence_number: None,
        };
        let iterator = database.get_shard_iterator(request).unwrap().shard_iterator.unwrap();
        Self { database, iterator, records: Vec::new() }
    }

    /// Reads what was written since the last time.
    pub(crate) fn read(&mut self) {
        let request = GetRecordsRequest { shard_iterator: self.iterator.clone(), limit: Some(SHARD_RECORDS_MAX) };
        let answer = self.database.get_records(request).unwrap();
        self.iterator = answer.next_shard_iterator.unwrap();
        let records = answer.records.iter().filter(|record| record.event_name == "INSERT");
        self.records.extend(records.map(|record| json!({"eventName": "INSERT", "dynamodb": record.dynamodb})));
    }
}

fn shard_id(database: &Database, stream_arn: &str) -> String {
    let request = json!({"StreamArn": stream_arn});
    let described = database.describe_stream(serde_json::from_value(request).unwrap()).unwrap();
    described.stream_description.shards.into_iter().next().unwrap().shard_id
}
