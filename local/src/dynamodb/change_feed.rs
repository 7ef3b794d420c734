//! A table's change feed: the engine's records, mended to AWS's.
//!
//! Owns: positions, trimming, what a view shows, and that a put that changes nothing is no record.
//! Must not know: who reads.
//! Source: DynamoDB developer guide, "Change data capture with DynamoDB Streams".

use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use dynoxide::{
    Database,
    actions::{
        describe_stream::DescribeStreamRequest,
        get_records::{GetRecordsRequest, Record},
        get_shard_iterator::GetShardIteratorRequest,
    },
};

use crate::{
    application::StreamView,
    limits,
    template::{ACCOUNT_ID, REGION},
};

/// Everything of a change feed behind a record. The newest record stays in any case: the next number follows from it.
const TRIM: &str = "DELETE FROM _stream_records WHERE table_name = ?1 AND CAST(sequence_number AS INTEGER) < \
                    (SELECT CAST(sequence_number AS INTEGER) FROM _stream_records WHERE table_name = ?1 AND event_id = ?2)";

/// A reader of one table's change feed.
pub(crate) struct ChangeFeed {
    database: Database,
    mend: Arc<Mutex<rusqlite::Connection>>,
    table: String,
    stream_arn: String,
    shard_id: String,
    view: StreamView,
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
    pub(super) fn open(
        database: Database,
        mend: Arc<Mutex<rusqlite::Connection>>,
        table: &str,
        view: StreamView,
    ) -> anyhow::Result<Self> {
        let stream_arn = stream_arn(table);
        let described =
            database.describe_stream(DescribeStreamRequest { stream_arn: stream_arn.clone(), ..Default::default() });
        let shards =
            described.with_context(|| format!("the table {table} has no change feed"))?.stream_description.shards;
        let shard_id = shards.into_iter().next().context("a change feed has a shard")?.shard_id;
        Ok(Self { database, mend, table: table.to_owned(), stream_arn, shard_id, view, read: 0 })
    }

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

    /// The next records as AWS has them, and the iterator after them.
    pub(crate) fn read(&self, iterator: &str) -> anyhow::Result<(Vec<Record>, String)> {
        let limit = Some(limits::RECORDS_PER_READ_MAX);
        let answer = self.database.get_records(GetRecordsRequest { shard_iterator: iterator.to_owned(), limit })?;
        let changes = answer.records.into_iter().filter(is_change).map(|record| seen(record, self.view));
        Ok((changes.collect(), answer.next_shard_iterator.context("the change feed has ended")?))
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

/// Whether a write changed its item.
fn is_change(record: &Record) -> bool {
    let images = (&record.dynamodb.old_image, &record.dynamodb.new_image);
    !matches!(images, (Some(old), Some(new)) if old == new)
}

/// A record as its table's view shows it.
fn seen(mut record: Record, view: StreamView) -> Record {
    let change = &mut record.dynamodb;
    view.as_str().clone_into(&mut change.stream_view_type);
    if matches!(view, StreamView::KeysOnly | StreamView::OldImage) {
        change.new_image = None;
    }
    if matches!(view, StreamView::KeysOnly | StreamView::NewImage) {
        change.old_image = None;
    }
    record
}

/// The ARN of a table's change feed.
fn stream_arn(table: &str) -> String {
    format!("arn:aws:dynamodb:{REGION}:{ACCOUNT_ID}:table/{table}/stream/local")
}
