//! The events that are being appended: each order's one after the other, several orders at once, printed in the order in
//! which they were read.

use std::collections::{BTreeMap, VecDeque};

use domain::{Event, OrderId, Version};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use serde_json::json;
use store::{Appended, EventLog, event_log::AppendError};

/// What helps against a failure that passes.
const AGAIN: &str = "; append the file again, what is in the log already stays as it is";

/// Orders that are appended to at once.
const ORDERS_IN_FLIGHT_MAX: usize = 16;

/// Events that are read and not printed yet.
const EVENTS_MAX: usize = 1_000;

/// Orders whose head is remembered, which saves a read of each next event.
const HEADS_MAX: usize = 10_000;

/// What was appended so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    pub(super) appended: usize,
    pub(super) was_there: usize,
}

/// An event, its place among all events, and the line on which it begins.
struct Placed {
    place: usize,
    line: usize,
    event: Event,
}

struct Done {
    place: usize,
    event: Event,
    appended: Appended,
}

pub(super) struct Window<'a> {
    log: &'a EventLog,
    heads: BTreeMap<OrderId, Version>,
    /// Orders that have an event in flight or ready, and the events behind it.
    orders: BTreeMap<OrderId, VecDeque<Placed>>,
    ready: VecDeque<Placed>,
    in_flight: FuturesUnordered<BoxFuture<'a, anyhow::Result<Done>>>,
    /// Lines that wait for the ones before them.
    lines: BTreeMap<usize, String>,
    next_read: usize,
    next_printed: usize,
    counts: Counts,
}

impl<'a> Window<'a> {
    pub(super) fn new(log: &'a EventLog) -> Self {
        Self {
            log,
            heads: BTreeMap::new(),
            orders: BTreeMap::new(),
            ready: VecDeque::new(),
            in_flight: FuturesUnordered::new(),
            lines: BTreeMap::new(),
            next_read: 0,
            next_printed: 0,
            counts: Counts::default(),
        }
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    pub(super) fn has_room(&self) -> bool {
        self.next_read - self.next_printed < EVENTS_MAX
    }

    pub(super) fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Takes the next event of the file.
    pub(super) fn push(&mut self, line: usize, event: Event) {
        let placed = Placed { place: self.next_read, line, event };
        self.next_read += 1;
        match self.orders.get_mut(placed.event.order_id()) {
            Some(behind) => behind.push_back(placed),
            None => {
                self.orders.insert(placed.event.order_id().clone(), VecDeque::new());
                self.ready.push_back(placed);
            }
        }
        self.start();
    }

    fn start(&mut self) {
        while self.in_flight.len() < ORDERS_IN_FLIGHT_MAX {
            let Some(Placed { place, line, event }) = self.ready.pop_front() else { return };
            let (log, head) = (self.log, self.heads.get(event.order_id()).copied());
            let append = async move {
                let appended = log.append(&event, head).await.map_err(|error| {
                    let advice = match &error {
                        AppendError::RefTaken { .. } | AppendError::NotStorable(_) => "",
                        AppendError::Contended { .. } | AppendError::Call(_) | AppendError::Broken(_) => AGAIN,
                    };
                    anyhow::Error::new(error).context(format!("line {line} was not appended{advice}"))
                })?;
                Ok(Done { place, event, appended })
            };
            self.in_flight.push(append.boxed());
        }
    }

    /// Waits until an event is appended, and gives the lines that can be printed.
    pub(super) async fn next_appended(&mut self) -> anyhow::Result<Vec<String>> {
        let Some(done) = self.in_flight.next().await else { return Ok(Vec::new()) };
        let Done { place, event, appended: Appended { version, was_there } } = done?;
        let order_id = event.order_id();
        if was_there {
            self.counts.was_there += 1;
        } else {
            self.counts.appended += 1;
            if self.heads.len() >= HEADS_MAX {
                self.heads.clear();
            }
            self.heads.insert(order_id.clone(), version);
        }
        match self.orders.get_mut(order_id).and_then(VecDeque::pop_front) {
            Some(next) => self.ready.push_back(next),
            None => drop(self.orders.remove(order_id)),
        }
        self.start();
        let (order_id, event_ref) = (order_id.as_str(), event.event_ref.to_string());
        self.lines.insert(place, json!({"orderId": order_id, "ref": event_ref, "version": version.get()}).to_string());
        let mut printable = Vec::new();
        while let Some(line) = self.lines.remove(&self.next_printed) {
            printable.push(line);
            self.next_printed += 1;
        }
        Ok(printable)
    }

    /// The lines that still wait for one that did not come.
    pub(super) fn into_lines(self) -> impl Iterator<Item = String> {
        self.lines.into_values()
    }
}
