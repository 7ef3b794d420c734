//! Judges a history: every event once and in order, every projection the fold of the log, nobody left behind, nobody
//! shown an order of another, and no order later than a bound. It knows nothing of the stack that made the history.

mod log;
mod staleness;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use crate::history::{ClientId, Heard, History, Moment, Said, Viewer};

use log::{Log, logs};
pub(crate) use staleness::{Figures, figures};

/// What is expected of an order beyond that nothing false is ever shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Each event is shown within the bound.
    Prompt,
    /// Each event is shown in the end: the order is what is faulty.
    Eventual,
    /// The same, and whoever loses the order may be told again: a function that told them is killed before it wrote that down.
    Retold,
    /// The order stands still, set aside with a reason.
    Stuck,
}

/// What a history is judged by.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// Longest time from the acknowledgement of an append to the callback, in microseconds.
    pub(crate) stale_max: Moment,
    /// The orders that are not prompt.
    pub(crate) faulty: BTreeMap<String, Expected>,
}

impl Rules {
    pub(crate) fn of(&self, order_id: &str) -> Expected {
        self.faulty.get(order_id).copied().unwrap_or(Expected::Prompt)
    }
}

/// Something that must not happen, at a client and an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Violation {
    pub(crate) client: ClientId,
    pub(crate) order_id: String,
    pub(crate) fault: Fault,
}

/// What must not happen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Versions between two that were shown.
    Skipped { after: u64, next: u64 },
    /// A version that was shown before.
    Doubled { version: u64 },
    /// An event that the log does not have at that version.
    Foreign { version: u64 },
    /// A projection that is not the fold of the log.
    WrongProjection { version: u64 },
    /// The history ended, and the client stood behind the log.
    LeftBehind { at: u64, head: u64 },
    /// An event was shown later than the bound, or not at all for longer than the bound.
    Stale { version: u64, ms: u64 },
    /// A version of an order that was another's at that version.
    ShownToAnother { version: u64 },
    /// The history ended, and the client still showed an order that is another's.
    NotTold { at: u64 },
    /// Told more often that it lost the order than it lost it.
    ForbiddenTwice { told: usize, lost: usize },
    /// The log was said to be another one.
    Reset { version: u64 },
    /// An error that no page should get.
    Ended { code: String },
    /// A callback after the error that ended it.
    AfterTheEnd,
    /// Subscribed, and never told anything.
    NeverAnswered,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client {} on {}: {:?}", self.client, self.order_id, self.fault)
    }
}

/// One watch, with what it was told.
struct Watch<'a> {
    client: ClientId,
    order_id: &'a str,
    since: u64,
    told: Vec<&'a Heard>,
}

impl Watch<'_> {
    /// Why it ended, and when.
    fn end(&self) -> Option<(Moment, &str)> {
        self.told.iter().find_map(|heard| match &heard.said {
            Said::Ended { code, .. } => Some((heard.at, code.as_str())),
            Said::Watching { .. } | Said::Update { .. } => None,
        })
    }
}

/// The watches in the order in which they began.
fn watches(history: &History) -> Vec<Watch<'_>> {
    let mut watches: BTreeMap<u64, Watch<'_>> = BTreeMap::new();
    for heard in &history.heard {
        match &heard.said {
            Said::Watching { watch, client, order_id, since } => {
                watches.insert(*watch, Watch { client: *client, order_id, since: *since, told: Vec::new() });
            }
            Said::Update { watch, .. } | Said::Ended { watch, .. } => {
                watches.get_mut(watch).expect("a watch begins before it is told something").told.push(heard);
            }
        }
    }
    watches.into_values().collect()
}

/// Everything in a history that must not be.
pub(crate) fn check(history: &History, rules: &Rules) -> Vec<Violation> {
    let logs = logs(history);
    let empty = Log::default();
    let mut violations = Vec::new();
    let mut by_order: BTreeMap<(ClientId, &str), Vec<Watch<'_>>> = BTreeMap::new();
    for watch in watches(history) {
        by_order.entry((watch.client, watch.order_id)).or_default().push(watch);
    }
    for ((client, order_id), watches) in by_order {
        let viewer = &history.viewers[&client];
        let log = logs.get(order_id).unwrap_or(&empty);
        let mut faults: Vec<Fault> = Vec::new();
        let mut at = 0;
        for watch in &watches {
            at = follow(watch, log, viewer, &mut faults);
        }
        if rules.of(order_id) != Expected::Retold {
            told_of_losses(&watches, log, viewer, &mut faults);
        }
        let last = watches.last().expect("a group has a watch");
        if rules.of(order_id) != Expected::Stuck {
            standing(last, at, log, viewer, &mut faults);
        }
        if rules.of(order_id) == Expected::Prompt {
            let late = staleness::of_order(&watches, log, viewer, history.ended_at);
            let late = late.into_iter().filter(|shown| shown.late > rules.stale_max);
            faults.extend(late.map(|shown| Fault::Stale { version: shown.version, ms: shown.late / 1_000 }));
        }
        violations.extend(faults.into_iter().map(|fault| Violation { client, order_id: order_id.to_owned(), fault }));
    }
    violations
}

/// Follows one watch callback by callback; the answer is the version that it shows in the end.
fn follow(watch: &Watch<'_>, log: &Log<'_>, viewer: &Viewer, faults: &mut Vec<Fault>) -> u64 {
    let mut at = watch.since;
    let mut has_ended = false;
    for heard in &watch.told {
        if has_ended {
            faults.push(Fault::AfterTheEnd);
        }
        match &heard.said {
            Said::Update { version, events, reset, projection, .. } => {
                if *reset {
                    // Who lost an order while it was away is answered as if there were none.
                    if *version != 0 || log.is_always_seen_by(viewer) {
                        faults.push(Fault::Reset { version: *version });
                    }
                    at = *version;
                }
                at = advance(at, *version, events, log, faults);
                if log.digests.get(version).is_none_or(|folded| folded != projection) {
                    faults.push(Fault::WrongProjection { version: *version });
                }
                if *version > 0 && !viewer.may_see(log.owner(*version)) {
                    faults.push(Fault::ShownToAnother { version: *version });
                }
            }
            Said::Ended { code, .. } => {
                has_ended = true;
                if code != "forbidden" {
                    faults.push(Fault::Ended { code: code.clone() });
                }
            }
            Said::Watching { .. } => {}
        }
    }
    at
}

/// Moves by the events of one callback to its version.
fn advance(mut at: u64, version: u64, events: &[(u64, String)], log: &Log<'_>, faults: &mut Vec<Fault>) -> u64 {
    for (shown, event_ref) in events {
        match shown {
            shown if *shown <= at => faults.push(Fault::Doubled { version: *shown }),
            shown if *shown > at + 1 => faults.push(Fault::Skipped { after: at, next: *shown }),
            _ => {}
        }
        if log.event_ref(*shown) != Some(event_ref) {
            faults.push(Fault::Foreign { version: *shown });
        }
        at = *shown;
    }
    match version {
        version if version < at => faults.push(Fault::Doubled { version }),
        version if version > at => faults.push(Fault::Skipped { after: at, next: version }),
        _ => {}
    }
    version
}

/// A client is told that it lost an order at most as often as it lost it.
fn told_of_losses(watches: &[Watch<'_>], log: &Log<'_>, viewer: &Viewer, faults: &mut Vec<Fault>) {
    let told = watches.iter().filter_map(Watch::end).filter(|(_, code)| *code == "forbidden").count();
    let lost = log.losses_of(viewer);
    if told > lost {
        faults.push(Fault::ForbiddenTwice { told, lost });
    }
}

/// Where the last watch of an order has to stand when the history ends.
fn standing(last: &Watch<'_>, at: u64, log: &Log<'_>, viewer: &Viewer, faults: &mut Vec<Fault>) {
    let head = log.head();
    let is_seen = head == 0 || viewer.may_see(log.owner(head));
    match last.end() {
        Some(_) => {}
        None if last.told.is_empty() => faults.push(Fault::NeverAnswered),
        None if is_seen && at != head => faults.push(Fault::LeftBehind { at, head }),
        None if !is_seen && at > 0 => faults.push(Fault::NotTold { at }),
        None => {}
    }
}

/// What is wrong, a line a kind, for whoever reads a failed test.
pub(crate) fn summary(violations: &[Violation]) -> String {
    let mut kinds: BTreeMap<String, Vec<&Violation>> = BTreeMap::new();
    for violation in violations {
        let text = format!("{:?}", violation.fault);
        let kind = text.split(' ').next().unwrap_or_default().to_owned();
        kinds.entry(kind).or_default().push(violation);
    }
    let line = |(kind, violations): (String, Vec<&Violation>)| {
        let clients: BTreeSet<_> = violations.iter().map(|violation| violation.client).collect();
        let order_ids: BTreeSet<_> = violations.iter().map(|violation| violation.order_id.as_str()).collect();
        let (count, first) = (violations.len(), violations[0]);
        format!("  {kind}: {count} at {} clients and {} orders, first {first}", clients.len(), order_ids.len())
    };
    kinds.into_iter().map(line).collect::<Vec<_>>().join("\n")
}
