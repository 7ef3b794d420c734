//! `foldcast cost` says what the functions really call, and what DynamoDB meters for it.

use std::process::Command;

use domain::{Event, EventData, EventRef, OrderId};
use serde_json::{Value, json};
use store::{Store, aws::sdk_config};
use tests::{browser::Browser, counted::Bill, engine::variables, gateway::InProcess, stack::binary};

const ORDER: &str = "0b0a7b0c-5a5e-4f0e-9c56-6f1d1b1f6a01";
const USER: &str = "7d7d5d61-5a5e-4f0e-9c56-6f1d1b1f6a02";

/// What the command says of an event that goes to so many.
fn said(subscribers: usize) -> Value {
    let subscribers = subscribers.to_string();
    let args = ["cost", "--subscribers", &subscribers, "--event-bytes", "200", "--projection-bytes", "200"];
    let output = Command::new(binary()).args(args).output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Calls and units together.
fn counts(bill: &Bill) -> (usize, f64) {
    (bill.calls.len(), bill.capacity_units)
}

fn said_counts(said: &Value) -> (usize, f64) {
    let number = |name: &str| said[name].as_f64().unwrap();
    let calls = said["dynamodbCalls"].as_u64().unwrap();
    (usize::try_from(calls).unwrap(), number("readUnits") + number("writeUnits"))
}

#[tokio::test]
async fn the_cost_of_an_event_is_what_is_counted() {
    let gateway = InProcess::start().await;
    let var = variables(gateway.counted.url.clone());
    let store = Store::from_vars(&sdk_config(&var).unwrap(), &var).unwrap();
    let data = json!({"eventName": "OrderChanged", "orderId": ORDER, "n": 1});
    let data = EventData::new(domain::Json::from(data).into_object().unwrap()).unwrap();
    let event = Event { event_ref: EventRef::parse("1").unwrap(), ts_us: 0, data };
    store.event_log.append(&event, None).await.unwrap();
    assert_eq!(counts(&gateway.counted.take()), said_counts(&said(0)["append"]), "an append");

    gateway.deliver(ORDER, &[1]).await;
    assert_eq!(counts(&gateway.counted.take()), said_counts(&said(0)["event"]), "its fold, and nobody to push to");

    let mut browser = Browser::connect(&gateway.websocket_url).await;
    browser.ask(&json!({"action": "heads", "orders": {ORDER: 1}}).to_string()).await;
    assert_eq!(counts(&gateway.counted.take()), said_counts(&said(0)["heads"]), "whether it is level");

    let many = 500;
    for n in 0..many {
        gateway.record_subscription_of(ORDER, &format!("{n:015}="), USER, "", 4_102_444_800).await;
    }
    store.subscriptions.of_order(&OrderId::new(ORDER).unwrap()).await.unwrap();
    let read = gateway.counted.take().capacity_units;
    let (_, with) = said_counts(&said(many)["event"]);
    let (_, without) = said_counts(&said(0)["event"]);
    assert!((with - without + 1.0 - read).abs() < f64::EPSILON, "{many} rows: {read}, and not {with} - {without} + 1");
}
