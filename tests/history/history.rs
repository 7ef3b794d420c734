//! What is recorded while a stack is tried: appends that were acknowledged, and everything that a page was told.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// A moment of the machine's monotonic clock, in microseconds: the same clock in every process.
pub(crate) type Moment = u64;

/// Which client of `@foldcast/client`: a page with one connection.
pub(crate) type ClientId = u32;

/// An event that the log has.
#[derive(Clone, Debug)]
pub(crate) struct Append {
    pub(crate) order_id: String,
    pub(crate) version: u64,
    pub(crate) event_ref: String,
    pub(crate) data: Map<String, Value>,
    /// When its producer knew.
    pub(crate) at: Moment,
}

/// Who a client is.
#[derive(Clone, Debug)]
pub(crate) struct Viewer {
    pub(crate) user: String,
    pub(crate) reads_all: bool,
}

/// What a page was told, and when.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) at: Moment,
    pub(crate) said: Said,
}

/// What happened to a watch: one call of `subscribe`, until it is told of an error.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Said {
    /// A client subscribes to an order, and has its events up to `since`.
    #[serde(rename_all = "camelCase")]
    Watching { watch: u64, client: ClientId, order_id: String, since: u64 },
    /// A callback with events (version and ref) and the digest of the projection after them.
    Update { watch: u64, version: u64, events: Vec<(u64, String)>, reset: bool, projection: String },
    /// The callback for an error.
    Ended { watch: u64, code: String },
}

/// Everything that happened.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    pub(crate) viewers: BTreeMap<ClientId, Viewer>,
    pub(crate) appends: Vec<Append>,
    pub(crate) heard: Vec<Heard>,
    /// When the recording ended.
    pub(crate) ended_at: Moment,
}

impl Viewer {
    /// Whether this user may see an order of that owner.
    pub(crate) fn may_see(&self, owner: Option<&str>) -> bool {
        self.reads_all || owner == Some(self.user.as_str())
    }
}
