//! DynamoDB: the embedded engine, its tables and its HTTP port.
//!
//! Owns: creating what the template declares, and mending where the engine is not as AWS.
//! Must not know: what is stored, who reads a change feed.
//! Source: dynoxide-rs 3.2.0; `_stream_records` is its private table, so its version is pinned and a test holds the mend.

mod change_feed;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex},
};

use anyhow::{Context as _, bail};
use dynoxide::{
    Database,
    actions::{
        create_table::CreateTableRequest, describe_table::DescribeTableRequest, list_tables::ListTablesRequest,
        update_time_to_live::UpdateTimeToLiveRequest,
    },
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

use crate::{
    application::{StreamView, Table},
    limits,
};
pub(crate) use change_feed::{ChangeFeed, Position};

/// The file of a data folder that holds the tables.
const FILE: &str = "dynamodb.sqlite";

/// Without it, every write and every read of a change feed costs as much as all records that were ever written.
const INDEX: &str = "CREATE INDEX IF NOT EXISTS _stream_records_by_sequence \
                     ON _stream_records (table_name, CAST(sequence_number AS INTEGER))";

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

    /// Tags a table.
    pub(crate) fn tag(&self, table: &str, key: &str, value: &str) -> anyhow::Result<()> {
        let described = self.database.describe_table(DescribeTableRequest { table_name: table.to_owned() })?;
        let described = serde_json::to_value(described)?;
        let arn = described.pointer("/Table/TableArn").with_context(|| format!("the table {table} has no ARN"))?;
        let request = json!({"ResourceArn": arn, "Tags": [{"Key": key, "Value": value}]});
        self.database.tag_resource(serde_json::from_value(request)?)?;
        Ok(())
    }

    /// A reader of a table's change feed, which shows this of each record.
    pub(crate) fn change_feed(&self, table: &str, view: StreamView) -> anyhow::Result<ChangeFeed> {
        ChangeFeed::open(self.database.clone(), Arc::clone(&self.mend), table, view)
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

fn create(database: &Database, table: &Table) -> anyhow::Result<()> {
    let mut create = table.create.clone();
    if table.stream_view.is_some() {
        // Only with both images can a record of a put that changed nothing be told from others.
        let stream = json!({"StreamEnabled": true, "StreamViewType": StreamView::NewAndOldImages.as_str()});
        create.insert("StreamSpecification".to_owned(), stream);
    }
    let create: CreateTableRequest = serde_json::from_value(Value::Object(create))?;
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
        Table {
            name: "log".into(),
            create,
            stream_view: Some(StreamView::NewImage),
            time_to_live: Some("expires".into()),
        }
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
        let mut feed = dynamodb.change_feed("log", StreamView::NewImage).unwrap();
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
    async fn a_put_that_changes_nothing_is_no_record_and_a_view_shows_its_images() {
        let dynamodb = start(None).await.unwrap();
        put(&dynamodb, 1);
        put(&dynamodb, 1);
        let more = json!({"TableName": "log", "Item": {"k": {"S": "1"}, "more": {"N": "1"}}});
        dynamodb.database.put_item(serde_json::from_value(more).unwrap()).unwrap();
        let views = [
            (StreamView::KeysOnly, [false, false]),
            (StreamView::NewImage, [true, false]),
            (StreamView::OldImage, [false, true]),
            (StreamView::NewAndOldImages, [true, true]),
        ];
        for (view, [shows_new, shows_old]) in views {
            let feed = dynamodb.change_feed("log", view).unwrap();
            let (records, _) = feed.read(&feed.iterator(&Position::TrimHorizon).unwrap()).unwrap();
            let names: Vec<&str> = records.iter().map(|record| record.event_name.as_str()).collect();
            assert_eq!(names, ["INSERT", "MODIFY"], "the second put changed nothing");
            let change = &records[1].dynamodb;
            assert_eq!((change.new_image.is_some(), change.old_image.is_some()), (shows_new, shows_old));
            assert_eq!(change.stream_view_type, view.as_str());
        }
        dynamodb.stop().await;
    }

    #[tokio::test]
    async fn an_item_that_expired_is_removed_by_dynamodb_itself() {
        let dynamodb = start(None).await.unwrap();
        let old = json!({"TableName": "log", "Item": {"k": {"S": "old"}, "expires": {"N": "1000000000"}}});
        dynamodb.database.put_item(serde_json::from_value(old).unwrap()).unwrap();
        put(&dynamodb, 1);
        assert_eq!(dynamodb.database.sweep_ttl().unwrap(), 1);
        let feed = dynamodb.change_feed("log", StreamView::OldImage).unwrap();
        let (records, _) = feed.read(&feed.iterator(&Position::TrimHorizon).unwrap()).unwrap();
        let removed = records.iter().find(|record| record.event_name == "REMOVE").unwrap();
        let user = removed.user_identity.as_ref().unwrap();
        assert_eq!((user.identity_type.as_str(), user.principal_id.as_str()), ("Service", "dynamodb.amazonaws.com"));
        dynamodb.stop().await;
    }

    #[tokio::test]
    async fn data_survives_and_other_keys_are_refused() {
        let folder = tempfile::TempDir::new().unwrap();
        let dynamodb = start(Some(folder.path())).await.unwrap();
        put(&dynamodb, 1);
        dynamodb.stop().await;
        let dynamodb = start(Some(folder.path())).await.unwrap();
        let feed = dynamodb.change_feed("log", StreamView::NewImage).unwrap();
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
