//! The event source mapping: from a table's change feed to a function, at least once and in order.
//!
//! Owns: when a batch is tried, retried, split and given up, and how far the change feed is done with.
//! Must not know: what a record says, beyond its filter.
//! Source: Lambda developer guide on DynamoDB Streams; replies as recorded from AWS.

mod checkpoint;
mod decision;
mod filter;
mod record;

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{
    application::EventSourceMapping,
    dynamodb::{ChangeFeed, Position},
    faults::Faults,
    lambda::{Functions, InvokeError, uuid},
    limits,
    queue::Queues,
    template::function_arn,
};
pub(crate) use checkpoint::Checkpoint;
use decision::{Decision, Outcome, decide};
use record::Record;

/// One mapping and what it works with.
pub(crate) struct EventSource {
    pub(crate) mapping: EventSourceMapping,
    pub(crate) function_name: String,
    /// The function's `Handler`, by which faults name it.
    pub(crate) handler: String,
    pub(crate) feed: ChangeFeed,
    pub(crate) functions: Arc<Functions>,
    pub(crate) queues: Arc<Queues>,
    pub(crate) checkpoint: Checkpoint,
    pub(crate) stopped: watch::Receiver<bool>,
    pub(crate) faults: Faults,
}

/// Why the rest of a batch is not worked on.
struct Stopped;

/// A run of records that is tried as one.
struct Batch {
    records: Vec<Record>,
    attempts: u32,
}

impl EventSource {
    /// Reads the change feed and invokes the function, until the stack stops. What fails on the way, such as a full disk,
    /// is tried again from the checkpoint.
    pub(crate) async fn run(mut self) {
        while let Err(error) = self.follow().await {
            tracing::error!(mapping = self.mapping.logical_id, "the change feed is read again: {error:#}");
            if self.pause(limits::RETRY_PAUSE_MAX).await.is_err() {
                return;
            }
        }
    }

    async fn follow(&mut self) -> anyhow::Result<()> {
        let begin = if self.mapping.from_latest { Position::Latest } else { Position::TrimHorizon };
        let position = self.checkpoint.read().map_or(begin, Position::After);
        let mut iterator = self.feed.iterator(&position)?;
        loop {
            let (read, next) = self.feed.read(&iterator)?;
            iterator = next;
            if read.is_empty() {
                let poll = tokio::time::sleep(limits::POLL_PAUSE);
                tokio::select! {
                    () = poll => continue,
                    _ = self.stopped.wait_for(|stopped| *stopped) => return Ok(()),
                }
            }
            let records =
                read.iter().map(|record| Record::new(record, self.feed.arn())).collect::<anyhow::Result<Vec<_>>>()?;
            let mut matching = Vec::new();
            let mut last = None;
            for record in records {
                last = Some(record.clone());
                if filter::passes(&self.mapping.filters, &record.json) {
                    matching.push(record);
                }
                if matching.len() == self.mapping.batch_size
                    && self.process(std::mem::take(&mut matching)).await?.is_err()
                {
                    return Ok(());
                }
            }
            if self.process(matching).await?.is_err() {
                return Ok(());
            }
            if let Some(last) = last {
                self.checkpoint.write(&last.sequence_number)?;
                self.feed.done(u64::try_from(read.len())?, &last.event_id)?;
            }
        }
    }

    /// Works on a batch until each of its records is done or given up.
    async fn process(&mut self, records: Vec<Record>) -> anyhow::Result<Result<(), Stopped>> {
        let mut due = vec![Batch { records, attempts: 0 }];
        while let Some(batch) = due.pop() {
            let Some(last) = batch.records.last().map(|record| record.sequence_number.clone()) else { continue };
            let mut stopped = self.stopped.clone();
            let outcome = tokio::select! {
                outcome = self.invoke(&batch.records) => outcome,
                _ = stopped.wait_for(|stopped| *stopped) => return Ok(Err(Stopped)),
            };
            let sequence_numbers: Vec<&str> =
                batch.records.iter().map(|record| record.sequence_number.as_str()).collect();
            let bisect = self.mapping.bisect;
            match decide(&sequence_numbers, &outcome, self.mapping.report_batch_item_failures, bisect) {
                Decision::Done if self.faults.duplicates_batch(&self.handler) => due.push(batch),
                Decision::Done => self.checkpoint.write(&last)?,
                Decision::Continue { from, split } => {
                    if let Some(done) = from.checked_sub(1).and_then(|index| batch.records.get(index)) {
                        self.checkpoint.write(&done.sequence_number)?;
                    }
                    let Batch { mut records, attempts } = batch;
                    let mut left = records.split_off(from);
                    let attempts = decision::attempts_after(attempts, from, split, &outcome);
                    if self.is_given_up(attempts, &left) {
                        self.give_up(&left, attempts, &outcome)?;
                        continue;
                    }
                    let second = split.map(|split| left.split_off(split));
                    due.extend(second.map(|records| Batch { records, attempts: 0 }));
                    due.push(Batch { records: left, attempts });
                    if self.pause(pause_max(attempts, &outcome)).await.is_err() {
                        return Ok(Err(Stopped));
                    }
                }
            }
        }
        Ok(Ok(()))
    }

    async fn invoke(&self, records: &[Record]) -> Outcome {
        let records: Vec<&Value> = records.iter().map(|record| &record.json).collect();
        let payload = Bytes::from(json!({"Records": records}).to_string());
        if let Some(delay) = self.faults.delays_batch(&self.handler) {
            tokio::time::sleep(delay).await;
        }
        match self.functions.invoke(&self.mapping.function, payload).await {
            Ok(reply) => Outcome::Replied(serde_json::from_slice(&reply).unwrap_or(Value::Null)),
            Err(error) => {
                tracing::warn!(mapping = self.mapping.logical_id, %error, "a batch failed");
                let never_ran = matches!(error, InvokeError::NotStarted { .. });
                if never_ran { Outcome::NotInvoked } else { Outcome::Failed }
            }
        }
    }

    fn is_given_up(&self, attempts: u32, records: &[Record]) -> bool {
        let is_used_up = self.mapping.retry_attempts_max.is_some_and(|retries| attempts > retries);
        let oldest = records.first().map_or(0.0, |record| record.created_at_s);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let age = now.saturating_sub(Duration::try_from_secs_f64(oldest).unwrap_or_default());
        is_used_up || self.mapping.record_age_max.is_some_and(|age_max| age > age_max)
    }

    /// Sends the failure document and goes on behind the records.
    fn give_up(&self, records: &[Record], attempts: u32, outcome: &Outcome) -> anyhow::Result<()> {
        let (Some(first), Some(last)) = (records.first(), records.last()) else { return Ok(()) };
        let is_used_up = self.mapping.retry_attempts_max.is_some_and(|retries| attempts > retries);
        let document = json!({
            "requestContext": {
                "requestId": uuid(),
                "functionArn": function_arn(&self.function_name),
                "condition": if is_used_up { "RetryAttemptsExhausted" } else { "RecordAgeExceeded" },
                "approximateInvokeCount": attempts,
            },
            "responseContext": {
                "statusCode": 200,
                "executedVersion": "$LATEST",
                "functionError": if matches!(outcome, Outcome::Replied(_)) { Value::Null } else { json!("Unhandled") },
            },
            "version": "1.0",
            "timestamp": record::timestamp_now(),
            "DDBStreamBatchInfo": {
                "shardId": self.feed.shard_id(),
                "startSequenceNumber": first.sequence_number,
                "endSequenceNumber": last.sequence_number,
                "approximateArrivalOfFirstRecord": record::timestamp(first.created_at_s),
                "approximateArrivalOfLastRecord": record::timestamp(last.created_at_s),
                "batchSize": records.len(),
                "streamArn": self.feed.arn(),
            },
        });
        if let Some(queue) = &self.mapping.on_failure {
            self.queues.send(queue, &document.to_string())?;
        }
        self.checkpoint.write(&last.sequence_number)
    }

    /// Waits between two tries, with full jitter.
    async fn pause(&mut self, pause_max: Duration) -> Result<(), Stopped> {
        tokio::select! {
            () = tokio::time::sleep(pause_max.mul_f64(fastrand::f64())) => Ok(()),
            _ = self.stopped.wait_for(|stopped| *stopped) => Err(Stopped),
        }
    }
}

/// The longest pause before the next try; it doubles with each attempt.
fn pause_max(attempts: u32, outcome: &Outcome) -> Duration {
    if *outcome == Outcome::NotInvoked {
        return limits::RETRY_PAUSE_MAX;
    }
    limits::RETRY_PAUSE_FIRST.saturating_mul(1 << attempts.min(16)).min(limits::RETRY_PAUSE_MAX)
}
