//! How long after its acknowledgement each event is shown.

use std::{collections::BTreeMap, fmt};

use super::{Rules, Watch, log::Log, logs, watches};
use crate::history::{ClientId, History, Moment, Said, Viewer};

/// An event at one client.
pub(super) struct Shown {
    pub(super) version: u64,
    /// From the acknowledgement to the callback, or to the end of the history if there is none.
    pub(super) late: Moment,
}

/// How late each event of an order was at one client. Events that were there before a watch had its first answer, or that
/// its user may not see, do not count.
pub(super) fn of_order(watches: &[Watch<'_>], log: &Log<'_>, viewer: &Viewer, ended_at: Moment) -> Vec<Shown> {
    watches.iter().flat_map(|watch| of_watch(watch, log, viewer, ended_at)).collect()
}

fn of_watch(watch: &Watch<'_>, log: &Log<'_>, viewer: &Viewer, ended_at: Moment) -> Vec<Shown> {
    let Some(opened_at) = watch.told.first().map(|heard| heard.at) else { return Vec::new() };
    let end = watch.end().map(|(at, _)| at);
    let due = log.appends.iter().filter(|append| {
        append.at >= opened_at
            && append.version > watch.since
            && end.is_none_or(|end| append.at < end)
            && viewer.may_see(log.owner(append.version))
    });
    let mut callbacks = watch.told.iter().peekable();
    let mut shown = Vec::new();
    for append in due {
        // The callbacks of a watch have rising versions, as the appends have.
        while callbacks.next_if(|heard| shown_version(&heard.said).is_some_and(|at| at < append.version)).is_some() {}
        let at = callbacks.peek().map_or(ended_at, |heard| heard.at);
        shown.push(Shown { version: append.version, late: at.saturating_sub(append.at) });
    }
    shown
}

fn shown_version(said: &Said) -> Option<u64> {
    match said {
        Said::Update { version, .. } => Some(*version),
        Said::Watching { .. } | Said::Ended { .. } => None,
    }
}

/// How a history went, as one line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) clients: usize,
    pub(crate) appends: usize,
    pub(crate) callbacks: usize,
    /// Events at clients of prompt orders, and how late they were, in milliseconds.
    pub(crate) timed: usize,
    pub p50_ms: u64,
    pub p99_ms: u64,
    pub(crate) max_ms: u64,
}

/// The figures of a history, with the staleness of the prompt orders alone.
pub(crate) fn figures(history: &History, rules: &Rules) -> Figures {
    let logs = logs(history);
    let mut by_order: BTreeMap<(ClientId, &str), Vec<Watch<'_>>> = BTreeMap::new();
    for watch in watches(history) {
        by_order.entry((watch.client, watch.order_id)).or_default().push(watch);
    }
    let mut late = Vec::new();
    for ((client, order_id), watches) in &by_order {
        if let (super::Expected::Prompt, Some(log)) = (rules.of(order_id), logs.get(order_id)) {
            let shown = of_order(watches, log, &history.viewers[client], history.ended_at);
            late.extend(shown.into_iter().map(|shown| shown.late / 1_000));
        }
    }
    late.sort_unstable();
    let quantile = |hundredths: usize| late.get((late.len() * hundredths / 100).min(late.len().saturating_sub(1)));
    Figures {
        clients: history.viewers.len(),
        appends: history.appends.len(),
        callbacks: history.heard.iter().filter(|heard| shown_version(&heard.said).is_some()).count(),
        timed: late.len(),
        p50_ms: quantile(50).copied().unwrap_or_default(),
        p99_ms: quantile(99).copied().unwrap_or_default(),
        max_ms: late.last().copied().unwrap_or_default(),
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clients, appends, callbacks, timed, p50_ms, p99_ms, max_ms } = self;
        write!(
            f,
            "{clients} clients, {appends} appends, {callbacks} callbacks; {timed} events shown after p50 {p50_ms} ms, \
             p99 {p99_ms} ms, at most {max_ms} ms"
        )
    }
}
