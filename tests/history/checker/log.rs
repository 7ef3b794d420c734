//! What the log says: each version's event, owner and projection, from the acknowledged appends alone.

use std::collections::{BTreeMap, BTreeSet};

use ring::digest::{SHA256, digest as hash};
use serde_json::{Map, Value};

use crate::history::{Append, History, Said, Viewer};

/// The log of one order.
#[derive(Default)]
pub(super) struct Log<'a> {
    /// Version 1 first.
    pub(super) appends: Vec<&'a Append>,
    owners: Vec<Option<String>>,
    /// The digest of the projection at each version that some client showed.
    pub(super) digests: BTreeMap<u64, String>,
}

impl Log<'_> {
    pub(super) fn head(&self) -> u64 {
        self.appends.last().map_or(0, |append| append.version)
    }

    pub(super) fn event_ref(&self, version: u64) -> Option<&String> {
        let index = usize::try_from(version.checked_sub(1)?).ok()?;
        self.appends.get(index).map(|append| &append.event_ref)
    }

    /// The owner as of a version.
    pub(super) fn owner(&self, version: u64) -> Option<&str> {
        let index = usize::try_from(version.checked_sub(1)?).ok()?;
        self.owners.get(index)?.as_deref()
    }

    pub(super) fn is_always_seen_by(&self, viewer: &Viewer) -> bool {
        self.owners.iter().all(|owner| viewer.may_see(owner.as_deref()))
    }

    /// How often this viewer could see the order before an event and not after it.
    pub(super) fn losses_of(&self, viewer: &Viewer) -> usize {
        let seen: Vec<bool> = self.owners.iter().map(|owner| viewer.may_see(owner.as_deref())).collect();
        seen.windows(2).filter(|pair| pair[0] && !pair[1]).count()
    }
}

/// Every order's log. Its versions are 1, 2, 3, …, or the history itself is wrong.
pub(super) fn logs(history: &History) -> BTreeMap<&str, Log<'_>> {
    let shown = shown_versions(history);
    let mut logs: BTreeMap<&str, Log<'_>> = BTreeMap::new();
    for append in &history.appends {
        logs.entry(&append.order_id).or_default().appends.push(append);
    }
    // An order that somebody watches may have no event.
    for order_id in shown.keys() {
        logs.entry(order_id).or_default();
    }
    for (order_id, log) in &mut logs {
        log.appends.sort_by_key(|append| append.version);
        let is_shown = |version| shown.get(order_id).is_some_and(|versions| versions.contains(&version));
        let mut fields = Map::new();
        if is_shown(0) {
            log.digests.insert(0, digest(&fields));
        }
        for (append, version) in log.appends.iter().zip(1..) {
            assert_eq!(append.version, version, "the versions of {order_id}, as they were acknowledged");
            merge(&mut fields, &append.data);
            log.owners.push(fields.get("userId").and_then(Value::as_str).map(str::to_owned));
            if is_shown(version) {
                log.digests.insert(version, digest(&fields));
            }
        }
    }
    logs
}

fn shown_versions(history: &History) -> BTreeMap<&str, BTreeSet<u64>> {
    let mut order_ids = BTreeMap::new();
    let mut shown: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
    for heard in &history.heard {
        match &heard.said {
            Said::Watching { watch, order_id, .. } => {
                order_ids.insert(*watch, order_id.as_str());
            }
            Said::Update { watch, version, .. } => {
                shown.entry(order_ids[watch]).or_default().insert(*version);
            }
            Said::Ended { .. } => {}
        }
    }
    shown
}

/// The product's fold, written a second time: shallow, the later field wins whole, `null` removes.
fn merge(fields: &mut Map<String, Value>, later: &Map<String, Value>) {
    for (name, value) in later {
        if value.is_null() {
            fields.remove(name);
        } else {
            fields.insert(name.clone(), value.clone());
        }
    }
}

/// SHA-256 of the fields as JSON with sorted names: `clients.mjs` makes the same of what a page is shown.
pub(super) fn digest(fields: &Map<String, Value>) -> String {
    let mut text = String::new();
    write_object(fields, &mut text);
    let hashed = hash(&SHA256, text.as_bytes());
    hashed.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write_object(fields: &Map<String, Value>, text: &mut String) {
    let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
    text.push('{');
    for (index, (name, value)) in sorted.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&Value::from(name.as_str()).to_string());
        text.push(':');
        write_value(value, text);
    }
    text.push('}');
}

fn write_value(value: &Value, text: &mut String) {
    match value {
        Value::Object(fields) => write_object(fields, text),
        Value::Array(values) => {
            text.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_value(value, text);
            }
            text.push(']');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => text.push_str(&value.to_string()),
    }
}
