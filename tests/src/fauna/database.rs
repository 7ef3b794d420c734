//! What a server holds: databases, keys, collections, documents with their history, indexes, and its clock.
//!
//! Owns: ids and commit times, versions, undoing what a failed query wrote.
//! Must not know: expressions, HTTP.
//! Source: FaunaDB `IDSource.scala`, `Epoch.scala`, `Collection.scala`; fact sheet, 2, 3 and 5.2.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::value::{Fields, Value};

/// Where ids begin, in milliseconds since 1970.
const ID_EPOCH_MS: i64 = 1_336_258_850_000;

/// How long a version is kept beyond `history_days`.
const HISTORY_OFFSET_US: i64 = 15 * 60 * 1_000_000;
const DAY_US: i64 = 24 * 60 * 60 * 1_000_000;

/// Documents that an index takes in while it is made; more are built later.
const BUILT_AT_ONCE_MAX: usize = 128;

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything, databases and keys too.
    Admin,
    /// Everything in its database.
    Server,
    /// Reading.
    ServerReadOnly,
    /// Nothing.
    Client,
}

/// A key's secret, role and database.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) secret: String,
    pub(super) role: Role,
    pub(super) database: String,
}

/// What happened to a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Create,
    Update,
    Delete,
}

/// A document as of a commit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Version {
    pub(super) ts: i64,
    pub(super) action: Action,
    /// All fields but `ref` and `ts`.
    pub(super) fields: Fields,
}

/// A collection.
#[derive(Clone, Debug, Default)]
pub(super) struct Collection {
    pub(super) ts: i64,
    pub(super) fields: Fields,
    /// Each document's versions, the oldest first.
    pub(super) documents: BTreeMap<i64, Vec<Version>>,
}

/// An index.
#[derive(Clone, Debug)]
pub(super) struct Index {
    pub(super) ts: i64,
    pub(super) source: String,
    pub(super) terms: Vec<Vec<String>>,
    pub(super) values: Vec<Vec<String>>,
    active_from: i64,
}

/// A database.
#[derive(Clone, Debug, Default)]
pub(super) struct Database {
    pub(super) collections: BTreeMap<String, Collection>,
    pub(super) indexes: BTreeMap<String, Index>,
}

/// A server's whole state; it outlives its process.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) databases: BTreeMap<String, Database>,
    pub(super) keys: Vec<Key>,
    /// How long an index is built.
    pub(super) index_build: Duration,
    /// By how much its clock is ahead, in microseconds.
    pub(super) clock_ahead_us: i64,
    last_ts: i64,
    last_id: i64,
}

impl State {
    pub(super) fn now_us(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX).saturating_add(self.clock_ahead_us)
    }

    /// The time of a read: everything committed by then is visible, and later commits are later.
    pub(super) fn snapshot(&mut self, last_seen: i64) -> i64 {
        let snapshot = self.now_us().max(last_seen);
        self.last_ts = self.last_ts.max(snapshot);
        snapshot
    }

    /// The time of the next commit.
    pub(super) fn next_ts(&mut self) -> i64 {
        self.last_ts = self.now_us().max(self.last_ts.saturating_add(1));
        self.last_ts
    }

    /// An id of this moment.
    pub(super) fn next_id(&mut self) -> i64 {
        let id = (self.now_us() / 1_000).saturating_sub(ID_EPOCH_MS) << 20 | 515;
        self.last_id = if id > self.last_id { id } else { self.last_id + (1 << 10) };
        self.last_id
    }

    pub(super) fn collection(&self, database: &str, name: &str) -> Option<&Collection> {
        self.databases.get(database)?.collections.get(name)
    }

    pub(super) fn index(&self, database: &str, name: &str) -> Option<&Index> {
        self.databases.get(database)?.indexes.get(name)
    }

    /// An index over so many documents; it is built for a while if there are many.
    pub(super) fn make_index(
        &self,
        ts: i64,
        source: String,
        terms: Vec<Vec<String>>,
        values: Vec<Vec<String>>,
        documents: usize,
    ) -> Index {
        let build = i64::try_from(self.index_build.as_micros()).unwrap_or(i64::MAX);
        let active_from = if documents > BUILT_AT_ONCE_MAX { self.now_us().saturating_add(build) } else { i64::MIN };
        Index { ts, source, terms, values, active_from }
    }
}

impl Index {
    pub(super) fn is_active(&self, now_us: i64) -> bool {
        self.active_from <= now_us
    }
}

impl Collection {
    /// A document as of a time.
    pub(super) fn version(&self, id: i64, snapshot: i64) -> Option<&Version> {
        visible(self.documents.get(&id)?, snapshot)
    }

    /// All documents as of a time, in the order of their ids.
    pub(super) fn versions(&self, snapshot: i64) -> impl Iterator<Item = (i64, &Version)> {
        self.documents.iter().filter_map(move |(id, versions)| Some((*id, visible(versions, snapshot)?)))
    }

    /// The earliest time that can be read; what was before is forgotten.
    pub(super) fn minimum_ts(&self, now_us: i64) -> i64 {
        let days = self.fields.iter().find(|(name, _)| name == "history_days").map(|(_, days)| days.clone());
        match days {
            Some(Value::Long(days)) => now_us.saturating_sub(HISTORY_OFFSET_US).saturating_sub(days * DAY_US),
            Some(_) | None => i64::MIN,
        }
    }
}

fn visible(versions: &[Version], snapshot: i64) -> Option<&Version> {
    let version = versions.iter().rev().find(|version| version.ts <= snapshot)?;
    (version.action != Action::Delete).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_rise_and_hold_their_time() {
        let mut state = State::default();
        let ids: Vec<_> = (0..2_000).map(|_| state.next_id()).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
        let age_ms = state.now_us() / 1_000 - ((ids[0] >> 20) + ID_EPOCH_MS);
        assert!((0..60_000).contains(&age_ms));
        assert_eq!((282_842_364_888_744_451_i64 >> 20) + ID_EPOCH_MS, 1_605_998_348_986, "2020-11-21T22:39:08.986Z");
        assert_eq!(282_842_364_888_744_451_i64 & 1_023, 515);
    }

    #[test]
    fn a_commit_is_later_than_every_read_before_it() {
        let mut state = State::default();
        let snapshot = state.snapshot(state.now_us() + 5_000_000);
        assert!(state.next_ts() > snapshot);
    }
}
