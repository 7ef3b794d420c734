//! The tables of docs/cost.md.
//!
//! Owns: which loads they show.
//! Must not know: how a load's cost is reckoned.
//! Source: `foldcast cost --page`; a test fails when the page has other ones.

use std::fmt::Write as _;

use super::{
    bill::{Bill, PRICES_AS_OF, dollars, grouped},
    event::Event,
    load::Load,
    quotas::Quota,
};

/// An item of 1 KB, a projection of 2 KB, an update of both.
const EVENT_BYTES: u64 = 1_000;
const PROJECTION_BYTES: u64 = 2_000;
const MESSAGE_BYTES: u64 = 3_000;

/// Each browser sees an event in so many minutes, and each event goes to so many browsers.
const EVENT_EVERY_MINUTES: u64 = 5;
const SUBSCRIBERS: u64 = 2;

/// Requests of API Gateway a second, and read units of a partition a second.
const PUSHES_PER_SECOND: u64 = 10_000;
const PARTITION_UNITS_PER_SECOND: u64 = 3_000;

fn event(subscribers: u64) -> Event {
    Event { subscribers, event_bytes: EVENT_BYTES, projection_bytes: PROJECTION_BYTES, message_bytes: MESSAGE_BYTES }
}

/// All of them, as Markdown.
pub(super) fn tables() -> String {
    let mut page = String::new();
    // Writing to a String cannot fail.
    write_tables(&mut page).ok();
    page
}

fn write_tables(page: &mut String) -> std::fmt::Result {
    writeln!(page, "One event, appended and pushed to so many browsers (prices as of {PRICES_AS_OF}):\n")?;
    writeln!(
        page,
        "| browsers | DynamoDB calls | read units | write units | pushes | invocations | SQS requests | dollars | pushes \
         at 10,000/s | rows read at 3,000 units/s |"
    )?;
    writeln!(page, "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |")?;
    for subscribers in [0, 1, 10, 100, 1_000, 10_000, 100_000, 1_000_000] {
        let event = event(subscribers);
        let Bill { dynamodb_calls, read_units, write_units, pushes, invocations, sqs_requests, .. } =
            event.append() + event.bill();
        let cells = [subscribers, dynamodb_calls, read_units, write_units, pushes, invocations, sqs_requests];
        let cells = cells.map(grouped).join(" | ");
        let price = dollars((event.append() + event.bill()).nano_dollars(), 6);
        let (push_s, read_s) =
            (pushes.div_ceil(PUSHES_PER_SECOND), event.subscription_units().div_ceil(PARTITION_UNITS_PER_SECOND));
        writeln!(page, "| {cells} | {price} | {push_s} s | {read_s} s |")?;
    }
    writeln!(
        page,
        "\nA month of connections that are open all the time; each event goes to {SUBSCRIBERS} browsers, each browser sees an \
         event every {EVENT_EVERY_MINUTES} minutes:\n"
    )?;
    writeln!(
        page,
        "| connections | pings every | events a minute | dollars a month | of it pings, heads and connection-minutes | quotas that bind |"
    )?;
    writeln!(page, "| --- | --- | --- | --- | --- | --- |")?;
    for connections in [1_000, 10_000, 100_000, 1_000_000] {
        for ping_seconds in [60, 540] {
            write_month(page, connections, ping_seconds)?;
        }
    }
    Ok(())
}

fn write_month(page: &mut String, connections: u64, ping_seconds: u64) -> std::fmt::Result {
    let events_per_minute = connections / SUBSCRIBERS / EVENT_EVERY_MINUTES;
    let load = Load { connections, events_per_minute, ping_seconds, heads_seconds: 180, event: event(SUBSCRIBERS) };
    let quiet = Load { events_per_minute: 0, ..load };
    let binding: Vec<_> = load.quotas().iter().filter(|quota| quota.binds()).map(describe).collect();
    let binding = if binding.is_empty() { "none".to_owned() } else { binding.join("; ") };
    let (all, idle) = (dollars(load.month().nano_dollars(), 0), dollars(quiet.month().nano_dollars(), 0));
    let (connections, events) = (grouped(connections), grouped(events_per_minute));
    writeln!(page, "| {connections} | {ping_seconds} s | {events} | {all} | {idle} | {binding} |")
}

fn describe(quota: &Quota) -> String {
    format!("{} ({} of {})", quota.name, grouped(quota.load), grouped(quota.limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = include_str!("../../../docs/cost.md");

    #[test]
    fn the_tables_of_the_page_are_those_of_the_arithmetic() {
        assert!(PAGE.contains(&tables()), "docs/cost.md is stale: put in what `foldcast cost --page` prints");
    }
}
