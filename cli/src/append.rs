//! `foldcast append`: events from a file to the log.
//!
//! Owns: that nothing of a bad file is appended, that each order's events go in the file's order, and the progress.
//! Must not know: how an append wins its version.
//! Source: README.md, "Commands".

mod input;

use std::{
    collections::BTreeMap,
    fs,
    future::ready,
    io::{self, Read},
    path::Path,
};

use anyhow::{Context as _, anyhow};
use domain::{Event, OrderId};
use futures_util::{StreamExt, stream};
use serde_json::json;
use store::{Appended, EventLog};
use tokio::sync::mpsc;

use crate::{
    args, deployment,
    failure::Failure,
    progress::{self, print_line},
};
use input::Line;

/// Orders that are appended to at once.
const ORDERS_IN_FLIGHT_MAX: usize = 16;

/// Bad events that are named before the rest is only counted.
const BAD_EVENTS_NAMED_MAX: usize = 20;

pub(crate) async fn run(options: args::Append) -> Result<(), Failure> {
    let args::Append { file, skip_bad, target } = options;
    let text = read(&file)?;
    let lines = input::parse(&text).map_err(|error| Failure::failed(anyhow!("{}: {error}", file.display())))?;
    let (events, bad) = sort(lines);
    report_bad(&file, &bad);
    warn_of_units(&file, &events);
    if !bad.is_empty() && !skip_bad {
        let (bad, good) = (bad.len(), events.len());
        return Err(Failure::failed(anyhow!(
            "nothing was appended: {bad} of {} events are bad (--skip-bad appends the others)",
            bad + good
        )));
    }
    let store = deployment::open(&target)?;
    append_all(&store.event_log, events).await
}

fn read(file: &Path) -> Result<String, Failure> {
    let read = if file == Path::new("-") {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map(|_bytes| text)
    } else {
        fs::read_to_string(file)
    };
    let text = read.with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text)
}

type BadLine = (usize, String);

fn sort(lines: Vec<Line>) -> (Vec<(usize, Event)>, Vec<BadLine>) {
    let (mut events, mut bad) = (Vec::new(), Vec::new());
    for Line { number, event } in lines {
        let storable = event.and_then(|event| match store::event_log::check(&event) {
            Ok(()) => Ok(event),
            Err(not_storable) => Err(not_storable.to_string()),
        });
        match storable {
            Ok(event) => events.push((number, event)),
            Err(reason) => bad.push((number, reason)),
        }
    }
    (events, bad)
}

fn report_bad(file: &Path, bad: &[BadLine]) {
    for (number, reason) in bad.iter().take(BAD_EVENTS_NAMED_MAX) {
        eprintln!("foldcast: {} line {number}: {reason}", file.display());
    }
    if bad.len() > BAD_EVENTS_NAMED_MAX {
        eprintln!("foldcast: … and {} more", bad.len() - BAD_EVENTS_NAMED_MAX);
    }
}

/// Names the first event whose time is plainly in another unit. It orders nothing, so it is taken as it is.
fn warn_of_units(file: &Path, events: &[(usize, Event)]) {
    let mut doubtful = events.iter().filter_map(|(line, event)| Some((line, input::other_unit(event.ts_us)?)));
    let Some((line, unit)) = doubtful.next() else { return };
    let more = match doubtful.count() {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let file = file.display();
    eprintln!("foldcast: warning: {file} line {line}: ts seems to be in {unit}, and is taken as microseconds{more}");
}

/// Appends each order's events one after the other, several orders at once, and prints in the file's order.
async fn append_all(log: &EventLog, events: Vec<(usize, Event)>) -> Result<(), Failure> {
    let progress = progress::bar(events.len(), "events");
    let mut orders: BTreeMap<OrderId, Vec<Placed>> = BTreeMap::new();
    for (place, (line, event)) in events.into_iter().enumerate() {
        orders.entry(event.order_id().clone()).or_default().push(Placed { place, line, event });
    }
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let append_each = async move {
        let orders = orders.into_values().map(|events| append_order(log, events, sender.clone()));
        stream::iter(orders)
            .buffer_unordered(ORDERS_IN_FLIGHT_MAX)
            .filter_map(|failed| ready(failed.err()))
            .next()
            .await
    };
    let print_each = async {
        let (mut waiting, mut next_place) = (BTreeMap::new(), 0);
        while let Some((place, line)) = receiver.recv().await {
            progress.inc(1);
            waiting.insert(place, line);
            while let Some(line) = waiting.remove(&next_place) {
                print_line(&progress, &line)?;
                next_place += 1;
            }
        }
        waiting.values().try_for_each(|line| print_line(&progress, line))
    };
    let (failed, printed) = futures_util::join!(append_each, print_each);
    progress.finish_and_clear();
    printed.context("cannot print")?;
    failed.map_or(Ok(()), |error| Err(Failure::failed(error)))
}

/// An event and its place among all events and in the file.
struct Placed {
    place: usize,
    line: usize,
    event: Event,
}

async fn append_order(
    log: &EventLog,
    events: Vec<Placed>,
    sender: mpsc::UnboundedSender<(usize, String)>,
) -> anyhow::Result<()> {
    let mut head = None;
    for Placed { place, line, event } in events {
        let Appended { version, was_there } = log.append(&event, head).await.with_context(|| {
            format!("line {line} was not appended; append the file again, what is in the log already stays as it is")
        })?;
        head = if was_there { head } else { Some(version) };
        let (order_id, event_ref) = (event.order_id().as_str(), event.event_ref.as_str());
        let line = json!({"orderId": order_id, "ref": event_ref, "version": version.get()}).to_string();
        if sender.send((place, line)).is_err() {
            break;
        }
    }
    Ok(())
}
