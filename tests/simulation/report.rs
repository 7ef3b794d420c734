//! What a simulation counted.
//!
//! Owns: the figures and how they are printed.
//! Must not know: how they came about.
//! Source: `docs/evidence.md` quotes what is printed here.

use std::{collections::BTreeMap, fmt, time::Duration};

/// The counts of some seeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    pub(crate) seeds: u64,
    pub(crate) steps: u64,
    pub(crate) browsers: u64,
    pub(crate) events: u64,
    pub(crate) calls: u64,
    /// Events that browsers showed.
    pub(crate) deliveries: u64,
    /// Updates that brought a browser nothing.
    pub(crate) duplicates: u64,
    /// Updates that showed a browser that it is behind.
    pub(crate) gaps: u64,
    /// Subscribes because of a gap.
    pub(crate) resumes: u64,
    pub(crate) connections: u64,
    /// Pages of subscribers that were handed over and taken, again and again if need be.
    pub(crate) pages: u64,
    /// Orders that were set aside and tried again.
    pub(crate) deferred: u64,
    pub(crate) faults: BTreeMap<&'static str, u64>,
    /// Projections that were stored over what the handler remembered, and that were refused because it was stale.
    pub(crate) folds_unread: u64,
    pub(crate) folds_stale: u64,
    /// Events of orders that a browser subscribed to and may not see.
    pub(crate) hidden: u64,
    /// Orders that browsers were told are no longer their own, and logs that browsers began anew.
    pub(crate) orders_lost: u64,
    pub(crate) resets: u64,
    /// Messages that the client in Rust had no room for until they were complete.
    pub(crate) messages_missed: u64,
    /// How long it took after the faults until every good browser was level while bad things stayed bad, and how long an
    /// event took after that.
    pub(crate) recoveries: Vec<Duration>,
    pub(crate) reaches: Vec<Duration>,
    /// Events that a browser should have shown and did not.
    pub(crate) lost: u64,
}

impl Report {
    pub(crate) fn fault(&mut self, kind: &'static str) {
        *self.faults.entry(kind).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.steps += other.steps;
        self.browsers += other.browsers;
        self.orders_lost += other.orders_lost;
        self.resets += other.resets;
        self.messages_missed += other.messages_missed;
        self.events += other.events;
        self.calls += other.calls;
        self.deliveries += other.deliveries;
        self.duplicates += other.duplicates;
        self.gaps += other.gaps;
        self.resumes += other.resumes;
        self.connections += other.connections;
        self.pages += other.pages;
        self.deferred += other.deferred;
        self.folds_unread += other.folds_unread;
        self.folds_stale += other.folds_stale;
        self.hidden += other.hidden;
        self.lost += other.lost;
        self.recoveries.extend(&other.recoveries);
        self.reaches.extend(&other.reaches);
        for (kind, count) in &other.faults {
            *self.faults.entry(kind).or_default() += count;
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seeds, steps, events, calls, deliveries, duplicates, gaps, resumes, connections, .. } = self;
        let Self {
            recoveries,
            reaches,
            deferred,
            messages_missed,
            pages,
            browsers,
            orders_lost,
            resets,
            folds_unread,
            folds_stale,
            hidden,
            lost,
            faults,
            ..
        } = self;
        writeln!(
            f,
            "simulation: {seeds} seeds, {browsers} browsers, {steps} steps, {calls} calls, {connections} connections, \
             {pages} pages, {deferred} deferred orders"
        )?;
        writeln!(f, "  events appended {events}, delivered to browsers {deliveries}, hidden from others {hidden}")?;
        writeln!(
            f,
            "  duplicates dropped {duplicates}, gaps seen {gaps}, resumes because of a gap {resumes}, incomplete messages dropped {messages_missed}"
        )?;
        writeln!(f, "  orders lost to another owner {orders_lost}, started over {resets}")?;
        writeln!(f, "  folds without a read {folds_unread}, refused as stale and read {folds_stale}")?;
        let total: u64 = faults.values().sum();
        let kinds: Vec<String> = faults.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
        writeln!(f, "  faults {total}: {}", kinds.join(", "))?;
        let (recovered, recovered_max) = median_and_max(recoveries);
        let (reached, reached_max) = median_and_max(reaches);
        writeln!(
            f,
            "  while bad things stayed bad, {} times: level after the faults within {recovered:.1?}, at most \
             {recovered_max:.1?}; {} later events reached everybody within {reached:.1?}, at most {reached_max:.1?}",
            recoveries.len(),
            reaches.len()
        )?;
        write!(f, "  events lost {lost}")
    }
}

/// The median, and the longest.
fn median_and_max(durations: &[Duration]) -> (Duration, Duration) {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    (sorted.get(sorted.len() / 2).copied().unwrap_or_default(), sorted.last().copied().unwrap_or_default())
}
