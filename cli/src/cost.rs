//! `foldcast cost`: what a load costs on AWS, and which quotas bind.
//!
//! Owns: what is printed: a line of JSON, or the tables of docs/cost.md.
//! Must not know: AWS; it calls nothing.
//! Source: docs/cost.md.

mod bill;
mod event;
mod load;
mod page;
mod quotas;

use serde_json::json;

use crate::{args, failure::Failure};
use event::Event;
use load::Load;

pub(crate) fn run(options: &args::Cost) -> Result<(), Failure> {
    if options.page {
        print!("{}", page::tables());
        return Ok(());
    }
    let args::Cost { connections, events_per_minute, subscribers, ping_seconds, heads_seconds, .. } = *options;
    let args::Cost { event_bytes, projection_bytes, message_bytes, .. } = *options;
    let event = Event { subscribers, event_bytes, projection_bytes, message_bytes };
    let load = Load { connections, events_per_minute, ping_seconds, heads_seconds, event };
    let quotas: Vec<_> = load.quotas().iter().map(quotas::Quota::json).collect();
    let (append, event, month) = (event.append().json(), event.bill().json(), load.month().json());
    let heads = load.heads().json();
    println!("{}", json!({"append": append, "event": event, "heads": heads, "month": month, "quotas": quotas}));
    Ok(())
}
