//! The promises of each table, over HTTP: on the embedded engine, or on Amazon's DynamoDB Local.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

#[expect(unreachable_pub, reason = "the harness of the crate `tests`, where it is public")]
#[path = "../../../../tests/src/aws_json.rs"]
mod aws_json;
mod change_feed;
#[expect(dead_code, unreachable_pub, reason = "the harness of the crate `tests`, where all of it is used")]
#[path = "../../../../tests/src/engine.rs"]
mod engine;
mod event_log;
mod fauna_feed;
mod projections;
mod refusals;
mod sizes;
mod subscriptions;
mod tables;

use domain::{Event, EventData, EventRef, Fields, Json, LoggedEvent, OrderId, Origin, Version};
use engine::ChangeFeed;
use serde_json::{Value, json};
use store::Store;
use tables::Tables;

/// Empty tables.
async fn open() -> Store {
    Tables::make(ChangeFeed::Off).await.store
}

fn order(id: &str) -> OrderId {
    OrderId::new(id).unwrap()
}

fn event(order_id: &str, event_ref: u64, more: &Value) -> Event {
    event_of(order_id, event_ref, Json::from(more.clone()))
}

fn event_of(order_id: &str, event_ref: u64, more: Json) -> Event {
    let mut data = Json::from(json!({"eventName": "OrderPlaced", "orderId": order_id})).into_object().unwrap();
    data.extend(more.into_object().unwrap());
    let data = EventData::new(data).unwrap();
    Event { event_ref: EventRef::parse(&event_ref.to_string()).unwrap(), ts_us: 1_605_999_005_510_000, data }
}

/// The first event of an order, with this data.
fn logged(data: Fields) -> LoggedEvent {
    let event = Event { event_ref: EventRef::parse("1").unwrap(), ts_us: 0, data: EventData::new(data).unwrap() };
    LoggedEvent { version: Version::FIRST, event, origin: Origin::default() }
}
