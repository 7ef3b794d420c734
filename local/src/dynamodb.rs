//! DynamoDB: the embedded engine, its tables and its HTTP port.
//!
//! Owns: creating what the template declares, and mending where the engine is not as AWS.
//! Must not know: what is stored, who reads a change feed.
//! Source: dynoxide-rs 3.2.0; `_stream_records` is its private table, so its version is pinned and a test holds the mend.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context as _, bail};
use dynoxide::{
    Database,
    actions::{
        create_table::CreateTableRequest,
        describe_stream::DescribeStreamRequest,
        describe_table::DescribeTableRequest,
        get_records::{GetRecordsRequest, Record},
        get_shard_iterator::GetShardIteratorRequest,
        list_tables::ListTablesRequest,
        update_time_to_live::UpdateTimeToLiveRequest,
    },
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::{
    application::Table,
    limits,
    template::{ACCOUNT_ID, REGION},
};

/// The file of a data folder that holds the tables.
const FILE: &str = "dynamodb.sqlite";

/// Without it, every write and every read of a change feed costs as much as all records that were ever written.
const INDEX: &str = "CREATE INDEX IF NOT EXISTS _stream_records_by_sequence \
                     ON _stream_records (table_name, CAST(sequence_number AS INTEGER))";

/// Everything of a change feed behind a record. The newest record stays in any case: the next number follows from it.
const TRIM: &str = "DELETE FROM _stream_records WHERE table_name = ?1 AND CAST(sequence_number AS INTEGER) < \
                    (SELECT CAST(sequence_number AS INTEGER) FROM _stream_records WHERE table_name = ?1 AND event_id = ?2)";

/// The running engine.
pub(crate) struct DynamoDb {
    database: Database,
    mend: Arc<Mutex<rusqlite::Connection>>,
    serving: JoinHandle<()>,
    sweeping: JoinHandle<()>,
    stop: oneshot::Sender<()>,
}

impl DynamoDb {
    /// Opens the tables of a folder, or of memory alone, creates what is missing, and serves them.
    pub(crate) fn start<'a>(
        folder: Option<&Path>,
        tables: impl Iterator<Item = &'a Table>,
        listener: TcpListener,
    ) -> anyhow::Result<Self> {
        let path = match folder {
            Some(folder) => folder.join(FILE).to_str().context("the data folder's name is no UTF-8")?.to_owned(),
            None => format!("file:/foldcast-{:016x}?vfs=memdb", fastrand::u64(..)),
        };
        let database = Database::new(&path).with_context(|| format!("the database {path} cannot be opened"))?;
        let mend = rusqlite::Connection::open(&path).context("the database cannot be opened twice")?;
        mend.execute_batch(INDEX).context("the change feed's index cannot be made")?;
        for table in tables {
            create(&database, table).with_context(|| format!("the table {} cannot be made", table.name))?;
        }
        let (stop, stopped) = oneshot::channel();
        let serve = dynoxide::server::serve_with_shutdown(listener, database.clone(), async {
            // A sender that is gone has stopped too.
            stopped.await.ok();
        });
        let serving = tokio::spawn(async move {
            if let Err(error) = serve.await {
                tracing::error!(error, "DynamoDB's port ended");
            }
        });
        let sweeping = tokio::spawn(sweep(database.clone()));
        Ok(Self { database, mend: Arc::new(Mutex::new(mend)), serving, sweeping, stop })
    }

    /// A reader of a table's change feed.
    pub(crate) fn change_feed(&self, table: &str) -> anyhow::Result<ChangeFeed> {
        let stream_arn = stream_arn(table);
        let described = self
            .database
            .describe_stream(DescribeStreamRequest { stream_arn: stream_arn.clone(), ..Default::default() });
        let shards =
            described.with_context(|| format!("the table {table} has no change feed"))?.stream_description.shards;
        let shard_id = shards.into_iter().next().context("a change feed has a shard")?.shard_id;
        let (database, mend) = (self.database.clone(), Arc::clone(&self.mend));
        Ok(ChangeFeed { database, mend, table: table.to_owned(), stream_arn, shard_id, read: 0 })
    }

    /// Stops serving.
    pub(crate) async fn stop(self) {
        self.sweeping.abort();
        // A server that has ended has stopped too.
        self.stop.send(()).ok();
        let aborting = self.serving.abort_handle();
        if tokio::time::timeout(limits::STOP_TIME_OUT, self.serving).await.is_err() {
            aborting.abort();
        }
    }
}

/// The ARN of a table's change feed.
pub(crate) fn stream_arn(table: &str) -> String {
    format!("arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{table}/stream/local")
}

fn create(database: &Database, table: &Table) -> anyhow::Result<()> {
    let create: CreateTableRequest = serde_json::from_value(Value::Object(table.create.clone()))?;
    if table_names(database)?.contains(&table.name) {
        let described = database.describe_table(DescribeTableRequest { table_name: table.name.clone() })?;
        let described = serde_json::to_value(described)?;
        if described.get("Table").map(shape) != Some(shape(&Value::Object(table.create.clone()))) {
            bail!("the data folder has it with other keys or indexes; move the folder away or take another one");
        }
    } else {
        database.create_table(create)?;
        if let Some(attribute) = &table.time_to_live {
            let specification = json!({"AttributeName": attribute, "Enabled": true});
            let request = json!({"TableName": table.name, "TimeToLiveSpecification": specification});
            database.update_time_to_live(serde_json::from_value::<UpdateTimeToLiveRequest>(request)?)?;
        }
    }
    Ok(())
}

fn table_names(database: &Database) -> anyhow::Result<Vec<String>> {
    Ok(database.list_tables(ListTablesRequest::default())?.table_names)
}

/// What of a table cannot change under its data: its keys, and those of its indexes by their names.
fn shape(table: &Value) -> BTreeMap<String, Option<Value>> {
    let indexes = ["GlobalSecondaryIndexes", "LocalSecondaryIndexes"].into_iter().filter_map(|kind| table.get(kind));
    let indexes = indexes.filter_map(Value::as_array).flatten();
    let keys =
        |of: &Value| (of.get("IndexName").map(Value::to_string).unwrap_or_default(), of.get("KeySchema").cloned());
    indexes.chain([table]).map(keys).collect()
}

/// Removes expired items every now and then.
async fn sweep(database: Database) {
    loop {
        tokio::time::sleep(limits::TIME_TO_LIVE_SWEEP).await;
        let database = database.clone();
        match tokio::task::spawn_blocking(move || database.sweep_ttl()).await {
            Ok(Ok(_removed)) => {}
            Ok(Err(error)) => tracing::warn!(%error, "expired items were not removed"),
            Err(error) => tracing::warn!(%error, "expired items were not removed"),
        }
    }
}

/// A reader of one table's change feed.
pub(crate) struct ChangeFeed {
    database: Database,
    mend: Arc<Mutex<rusqlite::Connection>>,
    table: String,
    stream_arn: String,
    shard_id: String,
    read: u64,
}

/// Where a reader stands in a change feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Position {
    /// Before the oldest record.
    TrimHorizon,
    /// After the newest record.
    Latest,
    /// After the record with this sequence number.
    After(String),
}

impl ChangeFeed {
    /// The change feed's ARN.
    pub(crate) fn arn(&self) -> &str {
        &self.stream_arn
    }

    /// The change feed's one shard.
    pub(crate) fn shard_id(&self) -> &str {
        &self.shard_id
    }

    /// An iterator at a position.
    pub(crate) fn iterator(&self, position: &Position) -> anyhow::Result<String> {
        let (kind, sequence_number) = match position {
            Position::TrimHorizon => ("TRIM_HORIZON", None),
            Position::Latest => ("LATEST", None),
            Position::After(sequence_number) => ("AFTER_SEQUENCE_NUMBER", Some(sequence_number.clone())),
        };
        let request = GetShardIteratorRequest {
            stream_arn: self.stream_arn.clone(),
            shard_id: self.shard_id.clone(),
            shard_iterator_type: kind.to_owned(),
            sequence_number,
        };
        self.database.get_shard_iterator(request)?.shard_iterator.context("the change feed has ended")
    }

    /// The next records, and the iterator after them.
    pub(crate) fn read(&self, iterator: &str) -> anyhow::Result<(Vec<Record>, String)> {
        let limit = Some(limits::RECORDS_PER_READ_MAX);
        let answer = self.database.get_records(GetRecordsRequest { shard_iterator: iterator.to_owned(), limit })?;
        Ok((answer.records, answer.next_shard_iterator.context("the change feed has ended")?))
    }

    /// Counts records that are done with, and removes those far behind the last of them.
    pub(crate) fn done(&mut self, records: u64, last_event_id: &str) -> anyhow::Result<()> {
        self.read += records;
        if self.read < limits::RECORDS_KEPT_BEHIND {
            return Ok(());
        }
        self.read = 0;
        let mend = self.mend.lock().unwrap_or_else(PoisonError::into_inner);
        let trimmed = mend.execute(TRIM, rusqlite::params![self.table, last_event_id])?;
        tracing::debug!(table = self.table, trimmed, "the change feed was trimmed");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn table() -> Table {
        let create = json!({
            "TableName": "log", "BillingMode": "PAY_PER_REQUEST",
            "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
            "StreamSpecification": {"StreamEnabled": true, "StreamViewType": "NEW_IMAGE"},
        });
        let Value::Object(create) = create else { panic!("no object") };
        Table { name: "log".into(), create, has_change_feed: true, time_to_live: None }
    }

    async fn start(folder: Option<&Path>) -> anyhow::Result<DynamoDb> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        DynamoDb::start(folder, [&table()].into_iter(), listener)
    }

    fn put(dynamodb: &DynamoDb, key: u64) {
        let put = json!({"TableName": "log", "Item": {"k": {"S": key.to_string()}}});
        dynamodb.database.put_item(serde_json::from_value(put).unwrap()).unwrap();
    }

    #[tokio::test]
    async fn a_change_feed_is_read_from_a_position_and_survives_trimming() {
        let dynamodb = start(None).await.unwrap();
        let mut feed = dynamodb.change_feed("log").unwrap();
        (0..5).for_each(|key| put(&dynamodb, key));
        let (records, _) = feed.read(&feed.iterator(&Position::TrimHorizon).unwrap()).unwrap();
        assert_eq!(records.len(), 5);
        let third = &records[2];
        let after = Position::After(third.dynamodb.sequence_number.clone());
        assert_eq!(feed.read(&feed.iterator(&after).unwrap()).unwrap().0.len(), 2);
        feed.done(limits::RECORDS_KEPT_BEHIND, &third.event_id).unwrap();
        let (left, next) = feed.read(&feed.iterator(&Position::TrimHorizon).unwrap()).unwrap();
        assert_eq!(
            left.iter().map(|record| &record.event_id).collect::<Vec<_>>(),
            records[2..].iter().map(|record| &record.event_id).collect::<Vec<_>>()
        );
        put(&dynamodb, 5);
        assert_eq!(feed.read(&next).unwrap().0.len(), 1);
        dynamodb.stop().await;
    }

    #[tokio::test]
    async fn a_change_feed_is_searched_by_its_index() {
        let dynamodb = start(None).await.unwrap();
        let mend = dynamodb.mend.lock().unwrap();
        let plan = |sql: &str| -> String {
            let mut plan = mend.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let rows = plan.query_map([], |row| row.get::<_, String>(3)).unwrap();
            rows.map(Result::unwrap).collect()
        };
        // The two statements of the engine: one for each write, one for each read.
        let queries = [
            "SELECT COALESCE(MAX(CAST(sequence_number AS INTEGER)), 0) + 1 FROM _stream_records WHERE table_name = 'log'",
            "SELECT event_id FROM _stream_records WHERE table_name = 'log' AND shard_id = 's' \
             AND CAST(sequence_number AS INTEGER) > 7 ORDER BY CAST(sequence_number AS INTEGER) ASC LIMIT 10",
        ];
        for sql in queries {
            let plan = plan(sql);
            assert!(
                plan.contains("SEARCH _stream_records USING") && plan.contains("_stream_records_by_sequence"),
                "{plan}"
            );
            assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        }
    }

    #[tokio::test]
    async fn data_survives_and_other_keys_are_refused() {
        let folder = tempfile::TempDir::new().unwrap();
        let dynamodb = start(Some(folder.path())).await.unwrap();
        put(&dynamodb, 1);
        dynamodb.stop().await;
        let dynamodb = start(Some(folder.path())).await.unwrap();
        let feed = dynamodb.change_feed("log").unwrap();
        assert_eq!(feed.read(&feed.iterator(&Position::TrimHorizon).unwrap()).unwrap().0.len(), 1);
        dynamodb.stop().await;
        let mut other = table();
        other.create["KeySchema"][0]["AttributeName"] = json!("other");
        other.create["AttributeDefinitions"][0]["AttributeName"] = json!("other");
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let refused = DynamoDb::start(Some(folder.path()), [&other].into_iter(), listener);
        assert!(refused.is_err_and(|error| format!("{error:#}").contains("move the folder away")));
    }
}
