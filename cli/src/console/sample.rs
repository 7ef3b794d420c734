//! A sample order: the example log, one event after the other.
//!
//! Owns: an order id of its own for each, and the pace.
//! Must not know: who asked.
//! Source: examples/order_stream.json.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use domain::{Event, EventData, EventRef, Json};
use serde_json::{Value, json};
use store::Store;

const EXAMPLE: &str = include_str!("../../../examples/order_stream.json");

/// The order of the example that is played.
const ORDER_ID: &str = "guid_123";

/// From one event to the next, so that each can be seen.
const PACE: Duration = Duration::from_millis(900);

/// Begins to play; the answer names the order.
pub(super) fn play(store: &Store) -> anyhow::Result<Value> {
    let order_id = format!("sample_{:06x}", fastrand::u32(..0x0100_0000));
    let example = Json::parse(EXAMPLE).context("the example")?;
    let example = example.as_array().into_iter().flatten();
    let of_order = example.filter(|event| event.at(["data", "orderId"]).and_then(Json::as_str) == Some(ORDER_ID));
    let events = of_order.enumerate().map(|(index, event)| sample(index, event, &order_id));
    let events = events.collect::<anyhow::Result<Vec<_>>>()?;
    let log = store.event_log.clone();
    tokio::spawn(async move {
        for event in events {
            if let Err(error) = log.append(&event, None).await {
                tracing::error!(%error, "the sample order ends here");
                return;
            }
            tokio::time::sleep(PACE).await;
        }
    });
    Ok(json!({"orderId": order_id}))
}

fn sample(index: usize, event: &Json, order_id: &str) -> anyhow::Result<Event> {
    let mut data = event.get("data").and_then(Json::as_object).context("the example's data")?.clone();
    data.insert("orderId".to_owned(), Json::from(order_id));
    let now_us = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let ts_us = i64::try_from(now_us)? + i64::try_from(index)?;
    Ok(Event { event_ref: EventRef::parse(&ts_us.to_string())?, ts_us, data: EventData::new(data)? })
}
