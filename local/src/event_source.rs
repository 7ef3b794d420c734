//! The event source mapping: from a table's change feed to a function, at least once and in order.
//!
//! Owns: when a batch is tried, retried, split and given up, and how far the change feed is done with.
//! Must not know: what a record says, beyond its filter.
//! Source: Lambda developer guide on DynamoDB Streams; replies as recorded from AWS.

mod batch;
mod checkpoint;
mod decision;
mod failure_document;
mod filter;
mod record;

use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::Value;
use tokio::sync::watch;

use crate::{
    application::EventSourceMapping,
    dynamodb::{ChangeFeed, Position},
    faults::Faults,
    lambda::{Functions, InvokeError},
    limits,
    queue::Queues,
};
use batch::Waiting;
pub(crate) use checkpoint::Checkpoint;
use decision::{Decision, Outcome, decide};
use failure_document::Condition;
pub(crate) use filter::is_pattern;
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
        let mut waiting = Waiting::default();
        let mut read_to = None;
        let mut records_read = 0;
        let mut came_at: Option<Instant> = None;
        loop {
            let (read, next) = self.feed.read(&iterator)?;
            iterator = next;
            if !read.is_empty() {
                came_at = Some(Instant::now());
            }
            for record in &read {
                let (record, shown) = Record::new(record, self.feed.arn())?;
                read_to = Some((record.sequence_number.clone(), record.event_id.clone()));
                // Filtering comes before a record joins a batch.
                if filter::passes(&self.mapping.filters, &shown) {
                    waiting.push(record);
                }
            }
            records_read += read.len();
            let records_max = self.mapping.batch_size.saturating_mul(self.mapping.parallelization_factor);
            let due_in = waiting.due_in(records_max, self.mapping.batching_window);
            if due_in.is_none_or(|wait| wait.is_zero()) {
                if self.process(waiting.take()).await?.is_err() {
                    return Ok(());
                }
                if let Some((sequence_number, event_id)) = read_to.take() {
                    self.checkpoint.write(&sequence_number)?;
                    self.feed.done(u64::try_from(std::mem::take(&mut records_read))?, &event_id)?;
                }
            }
            let is_busy = came_at.is_some_and(|at| at.elapsed() < limits::BUSY_FOR);
            let pause = if is_busy { limits::BUSY_POLL_PAUSE } else { limits::POLL_PAUSE };
            if read.is_empty() && self.pause(pause).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Works on records until each is done or given up: in batches one after the other, or in as many lanes at once as the
    /// mapping's parallelization factor says.
    async fn process(&self, records: Vec<Record>) -> anyhow::Result<Result<(), Stopped>> {
        let lanes = batch::lanes(records, self.mapping.parallelization_factor);
        // Of several lanes none says how far the change feed is done with.
        let is_ordered = self.mapping.parallelization_factor <= 1;
        let worked = join_all(lanes.into_iter().map(|lane| self.work(lane, is_ordered))).await;
        for lane in worked {
            if lane?.is_err() {
                return Ok(Err(Stopped));
            }
        }
        Ok(Ok(()))
    }

    async fn work(&self, records: Vec<Record>, is_ordered: bool) -> anyhow::Result<Result<(), Stopped>> {
        let batches = batch::batches(records, self.mapping.batch_size);
        let mut due: Vec<Batch> = batches.into_iter().rev().map(|records| Batch { records, attempts: 0 }).collect();
        let done = |record: &Record| if is_ordered { self.checkpoint.write(&record.sequence_number) } else { Ok(()) };
        while let Some(mut batch) = due.pop() {
            let too_old = batch::too_old(&batch.records, self.mapping.record_age_max, SystemTime::now());
            if too_old > 0 {
                let left = batch.records.split_off(too_old);
                self.give_up(&batch.records, Condition::RecordAgeExceeded, batch.attempts, None)?;
                due.push(Batch { records: left, attempts: batch.attempts });
                continue;
            }
            let Some(last) = batch.records.last() else { continue };
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
                Decision::Done => done(last)?,
                Decision::Continue { from, split } => {
                    from.checked_sub(1).and_then(|index| batch.records.get(index)).map(done).transpose()?;
                    let Batch { mut records, attempts } = batch;
                    let mut left = records.split_off(from);
                    let attempts = decision::attempts_after(attempts, from, split, &outcome);
                    if self.mapping.retry_attempts_max.is_some_and(|retries| attempts > retries) {
                        self.give_up(&left, Condition::RetryAttemptsExhausted, attempts, Some(&outcome))?;
                        left.last().map(done).transpose()?;
                        continue;
                    }
                    let second = split.map(|split| left.split_off(split));
                    due.extend(second.map(|records| Batch { records, attempts: 0 }));
                    due.push(Batch { records: left, attempts });
                    let pause = pause_max(attempts, &outcome).mul_f64(fastrand::f64());
                    if self.pause(pause).await.is_err() {
                        return Ok(Err(Stopped));
                    }
                }
            }
        }
        Ok(Ok(()))
    }

    async fn invoke(&self, records: &[Record]) -> Outcome {
        let records: Vec<&str> = records.iter().map(|record| record.text.as_str()).collect();
        let payload = Bytes::from(format!(r#"{{"Records":[{}]}}"#, records.join(",")));
        if let Some(delay) = self.faults.delays_batch(&self.handler) {
            tokio::time::sleep(delay).await;
        }
        match self.functions.invoke(&self.mapping.function, payload).await {
            Ok(reply) => Outcome::Replied(serde_json::from_slice(&reply).unwrap_or(Value::Null)),
            Err(error) => {
                tracing::warn!(mapping = self.mapping.logical_id, %error, "a batch failed");
                let never_ran = matches!(error, InvokeError::NotStarted { .. } | InvokeError::Throttled { .. });
                if never_ran { Outcome::NotInvoked } else { Outcome::Failed }
            }
        }
    }

    /// Tells the on-failure destination of records that are not tried again.
    fn give_up(
        &self,
        records: &[Record],
        condition: Condition,
        invokes: u32,
        outcome: Option<&Outcome>,
    ) -> anyhow::Result<()> {
        let source = failure_document::Source {
            function_name: &self.function_name,
            stream_arn: self.feed.arn(),
            shard_id: self.feed.shard_id(),
        };
        let document = failure_document::of(source, records, condition, invokes, outcome);
        if let (Some(queue), Some(document)) = (&self.mapping.on_failure, document) {
            self.queues.send(queue, &document.to_string())?;
        }
        Ok(())
    }

    /// Waits, unless the stack stops.
    async fn pause(&self, pause: Duration) -> Result<(), Stopped> {
        let mut stopped = self.stopped.clone();
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            _ = stopped.wait_for(|stopped| *stopped) => Err(Stopped),
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
