//! The promises of each table, on the embedded engine over HTTP.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

#[expect(unreachable_pub, reason = "the harness of the crate `tests`, where it is public")]
#[path = "../../../../tests/src/engine.rs"]
mod engine;
mod event_log;
mod projections;
mod subscriptions;

use domain::{Event, EventData, EventRef, OrderId};
use engine::{Engine, variables};
use serde_json::{Value, json};
use store::{Store, aws::sdk_config};

/// The tables of an engine.
fn open(engine: &Engine) -> Store {
    let var = variables(engine.url.clone());
    Store::from_vars(&sdk_config(&var).unwrap(), &var).unwrap()
}

fn order(id: &str) -> OrderId {
    OrderId::new(id).unwrap()
}

fn event(order_id: &str, event_ref: u64, more: &Value) -> Event {
    let mut data = json!({"eventName": "OrderPlaced", "orderId": order_id});
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let data = EventData::new(data.as_object().unwrap().clone()).unwrap();
    Event { event_ref: EventRef::parse(&event_ref.to_string()).unwrap(), ts_us: 1_605_999_005_510_000, data }
}
