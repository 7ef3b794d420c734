//! From records to batches: what is handed over together, and what may go at the same time.
//!
//! Owns: lanes, the size of a batch, when a batch is due.
//! Must not know: invocations.
//! Source: Lambda developer guide: a batch is due when it is full, its window is over or it reaches 6 MB; with a
//! parallelization factor the order is kept for each item.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

use super::record::Record;
use crate::limits::PAYLOAD_BYTES_MAX;

/// What an event is beside its records: `{"Records":[…]}`.
const ENVELOPE_BYTES: usize = 16;

/// Records that wait to be handed over.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    records: Vec<Record>,
    bytes: usize,
    since: Option<Instant>,
}

impl Waiting {
    pub(super) fn push(&mut self, record: Record) {
        self.bytes += record.text.len() + 1;
        self.since.get_or_insert_with(Instant::now);
        self.records.push(record);
    }

    /// How long to wait for more; `None` if nothing waits.
    pub(super) fn due_in(&self, records_max: usize, window: Duration) -> Option<Duration> {
        let is_full = self.records.len() >= records_max || self.bytes + ENVELOPE_BYTES >= PAYLOAD_BYTES_MAX;
        let waited = self.since?.elapsed();
        Some(if is_full { Duration::ZERO } else { window.saturating_sub(waited) })
    }

    pub(super) fn take(&mut self) -> Vec<Record> {
        std::mem::take(self).records
    }
}

/// Spreads records over lanes, each of which is worked on in order; an item's records are all in one.
pub(super) fn lanes(records: Vec<Record>, lanes_max: usize) -> Vec<Vec<Record>> {
    if lanes_max <= 1 {
        return vec![records];
    }
    let mut lanes = vec![Vec::new(); lanes_max];
    for record in records {
        let mut hasher = DefaultHasher::new();
        record.keys.hash(&mut hasher);
        let lane = usize::try_from(hasher.finish()).unwrap_or(0) % lanes_max;
        if let Some(lane) = lanes.get_mut(lane) {
            lane.push(record);
        }
    }
    lanes.retain(|lane| !lane.is_empty());
    lanes
}

/// Cuts records into batches of at most so many and of at most 6 MB; one record always fits.
pub(super) fn batches(records: Vec<Record>, batch_size: usize) -> Vec<Vec<Record>> {
    let (mut batches, mut batch, mut bytes) = (Vec::new(), Vec::new(), ENVELOPE_BYTES);
    for record in records {
        if !batch.is_empty() && (batch.len() >= batch_size || bytes + record.text.len() + 1 > PAYLOAD_BYTES_MAX) {
            batches.push(std::mem::take(&mut batch));
            bytes = ENVELOPE_BYTES;
        }
        bytes += record.text.len() + 1;
        batch.push(record);
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

/// How many records at the beginning are older than the mapping allows.
pub(super) fn too_old(records: &[Record], age_max: Option<Duration>, now: SystemTime) -> usize {
    let Some(age_max) = age_max else { return 0 };
    let now = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    let age =
        |record: &Record| now.saturating_sub(Duration::try_from_secs_f64(record.created_at_s).unwrap_or_default());
    records.iter().take_while(|record| age(record) > age_max).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(number: usize, key: &str, bytes: usize) -> Record {
        Record {
            sequence_number: number.to_string(),
            event_id: String::new(),
            created_at_s: 0.0,
            keys: key.to_owned(),
            text: "x".repeat(bytes),
        }
    }

    fn sizes(batches: &[Vec<Record>]) -> Vec<usize> {
        batches.iter().map(Vec::len).collect()
    }

    #[test]
    fn a_batch_has_its_size_or_6_mb() {
        let small = (0..25).map(|number| record(number, "k", 10)).collect();
        assert_eq!(sizes(&batches(small, 10)), [10, 10, 5]);
        let large = (0..5).map(|number| record(number, "k", 3_000_000)).collect();
        assert_eq!(sizes(&batches(large, 10)), [2, 2, 1]);
        assert_eq!(sizes(&batches(vec![record(0, "k", 7_000_000)], 10)), [1]);
    }

    #[test]
    fn the_records_of_an_item_are_in_one_lane_and_in_order() {
        let records: Vec<Record> = (0..100).map(|number| record(number, &(number % 7).to_string(), 1)).collect();
        let lanes = lanes(records, 4);
        assert!(lanes.len() > 1 && lanes.len() <= 4);
        for key in 0..7 {
            let key = key.to_string();
            let with_key: Vec<Vec<usize>> = lanes
                .iter()
                .map(|lane| lane.iter().filter(|record| record.keys == key))
                .map(|records| records.map(|record| record.sequence_number.parse().unwrap()).collect())
                .filter(|numbers: &Vec<usize>| !numbers.is_empty())
                .collect();
            assert_eq!(with_key.len(), 1);
            assert!(with_key[0].is_sorted());
        }
    }

    #[test]
    fn records_at_the_beginning_may_be_too_old() {
        let records: Vec<Record> = [100.0, 150.5, 200.0, 100.0]
            .into_iter()
            .map(|created_at_s| Record { created_at_s, ..record(0, "k", 1) })
            .collect();
        let now = UNIX_EPOCH + Duration::from_secs(220);
        assert_eq!(too_old(&records, Some(Duration::from_secs(60)), now), 2);
        assert_eq!(too_old(&records, Some(Duration::from_secs(200)), now), 0);
        assert_eq!(too_old(&records, None, now), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_waits_is_due_when_it_is_full_or_its_window_is_over() {
        let (size, window) = (3, Duration::from_secs(5));
        let mut waiting = Waiting::default();
        assert_eq!(waiting.due_in(size, window), None);
        waiting.push(record(0, "k", 1));
        assert_eq!(waiting.due_in(size, window), Some(window));
        assert_eq!(waiting.due_in(size, Duration::ZERO), Some(Duration::ZERO));
        tokio::time::advance(Duration::from_secs(4)).await;
        waiting.push(record(1, "k", 1));
        assert_eq!(waiting.due_in(size, window), Some(Duration::from_secs(1)), "it begins with the first record");
        waiting.push(record(2, "k", 1));
        assert_eq!(waiting.due_in(size, window), Some(Duration::ZERO));
        assert_eq!((waiting.take().len(), waiting.due_in(size, window)), (3, None));
        waiting.push(record(3, "k", 6 * 1024 * 1024));
        assert_eq!(waiting.due_in(size, window), Some(Duration::ZERO), "6 MB are due at once");
    }
}
