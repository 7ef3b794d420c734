//! What one event costs: exact counts of DynamoDB calls and capacity units, which must not grow with the log.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::time::Duration;

use domain::{OrderId, Version};
use event_handler::{BatchResponse, EventHandler};
use serde_json::{Value, json};
use store::{Store, aws::sdk_config};
use tests::{
    counted::{Bill, Counted},
    engine::{Engine, variables},
};
use tokio::time::Instant;

const EVENTS: u64 = 10_000;

fn image(version: u64) -> Value {
    json!({
        "orderId": {"S": "guid_1"}, "version": {"N": version.to_string()}, "ref": {"S": version.to_string()},
        "ts": {"N": "1605999005510000"},
        "data": {"M": {"eventName": {"S": "OrderChanged"}, "orderId": {"S": "guid_1"}, "count": {"N": version.to_string()},
                       "note": {"S": "x".repeat(1_000)}}},
    })
}

fn batch(versions: &[u64]) -> Value {
    let record =
        |version: &u64| json!({"dynamodb": {"SequenceNumber": version.to_string(), "NewImage": image(*version)}});
    json!({"Records": versions.iter().map(record).collect::<Vec<_>>()})
}

fn handler(url: &str) -> EventHandler {
    let aws = variables(url.to_owned());
    let var = move |name: &str| match name {
        "REDACTED_FIELDS" => Some("stripeToken".to_owned()),
        // Nobody subscribes here and nothing fails: nothing listens at these addresses, and nothing calls them.
        "MANAGEMENT_ENDPOINT" => Some("http://127.0.0.1:9".to_owned()),
        "FAILURE_QUEUE_URL" => Some("http://127.0.0.1:9/failures".to_owned()),
        "PAGE_QUEUE_URL" => Some("http://127.0.0.1:9/pages".to_owned()),
        _ => aws(name),
    };
    EventHandler::from_vars(&var).unwrap()
}

#[tokio::test]
async fn event_10_000_costs_what_event_2_costs() {
    let engine = Engine::start().await;
    let counted = Counted::start(&engine.url).await;
    let handler = handler(&counted.url);
    let mut bills: Vec<Bill> = Vec::new();
    let mut versions = 1..=EVENTS;
    // The first ten and the last ten alone, a hundred at a time between: batches as the change feed makes them.
    while let Some(first) = versions.next() {
        let alone = !(11..=EVENTS - 10).contains(&first);
        let mut delivered = vec![first];
        while !alone && delivered.len() < 100 && delivered.last().is_some_and(|last| *last < EVENTS - 10) {
            delivered.extend(versions.next());
        }
        for version in &delivered {
            let put = json!({"TableName": "order_stream", "Item": image(*version)});
            engine.database.put_item(serde_json::from_value(put).unwrap()).unwrap();
        }
        let deadline = Instant::now() + Duration::from_secs(60);
        let response = handler.handle(&batch(&delivered), deadline).await.unwrap();
        assert_eq!(response, BatchResponse::default());
        let bill = counted.take();
        if alone {
            println!("event {first:>6}: {} capacity units, calls {:?}", bill.capacity_units, bill.calls);
            bills.push(bill);
        }
    }
    let calls =
        ["GetItem order_projections, consistent", "PutItem order_projections", "Query subscriptions, consistent"];
    for bill in &bills {
        assert_eq!(bill.calls, calls);
    }
    assert_eq!(bills[1], bills[bills.len() - 1], "event 2 and event {EVENTS}");

    let var = variables(engine.url.clone());
    let store = Store::from_vars(&sdk_config(&var).unwrap(), &var).unwrap();
    let projection = store.projections.get(&OrderId::new("guid_1").unwrap()).await.unwrap();
    assert_eq!(projection.version(), Version::new(EVENTS));
    assert_eq!(projection.fields()["count"], json!(EVENTS), "the log folds whole");
}
