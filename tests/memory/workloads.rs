//! The largest work that a function may be given: rows, and the invocations that are about them.

use std::time::Duration;

use serde_json::{Map, Value, json};
use tests::engine::Engine;

use crate::lambda::Job;

const TEMPLATE: &str = include_str!("../../infra/template.json");

/// The connection whose messages `subscribe` gets.
const ID: &str = "L0SM9cOFvHcCIhw=";

/// How long API Gateway takes for a post.
const POST_TAKES: Duration = Duration::from_millis(20);

/// Values of a large event that is folded. What is not optimized takes as long for a fifth of them.
const FOLDED_VALUES: usize = if cfg!(debug_assertions) { 10_000 } else { 50_000 };

/// What one process is given to do.
pub(crate) struct Workload {
    pub(crate) function: &'static str,
    pub(crate) name: String,
    items: Vec<(&'static str, Value)>,
    event: Value,
}

impl Workload {
    fn subscribe(name: &str, items: Vec<(&'static str, Value)>, message: &Value) -> Self {
        Self { function: "subscribe", name: name.to_owned(), items, event: message_event(message) }
    }

    /// One message that subscribes to orders with this content, which DynamoDB's types are written in.
    fn subscribe_to(name: &str, orders: usize, content: &Value) -> Self {
        let items = (0..orders).map(|number| projection(&order(number), content)).collect();
        let wanted: Vec<Value> = (0..orders).map(|number| json!({"orderId": order(number)})).collect();
        Self::subscribe(name, items, &json!({"action": "subscribe", "orders": wanted}))
    }

    /// One batch of the first events of orders with this content, each with a subscriber.
    fn batch(name: &str, orders: usize, content: &Value) -> Self {
        let items = (0..orders).map(|number| subscription(&order(number), number)).collect();
        let record = |number: usize| json!({"dynamodb": {"SequenceNumber": number.to_string(), "NewImage": image(&order(number), 1, content)}});
        let event = json!({"Records": (0..orders).map(record).collect::<Vec<Value>>()});
        Self { function: "event-handler", name: name.to_owned(), items, event }
    }

    /// One batch with a small event of each of these orders, whose projections have this content.
    fn small_batch(name: &str, orders: usize, content: &Value) -> Self {
        let small = json!({"note": {"S": "x".repeat(100)}});
        let rows = |number: usize| [subscription(&order(number), number), projection(&order(number), content)];
        let items = (0..orders).flat_map(rows).collect();
        let record = |number: usize| json!({"dynamodb": {"SequenceNumber": number.to_string(), "NewImage": image(&order(number), 2, &small)}});
        let event = json!({"Records": (0..orders).map(record).collect::<Vec<Value>>()});
        Self { function: "event-handler", name: name.to_owned(), items, event }
    }

    /// A page of a thousand subscribers of an order with this content.
    fn page(name: &str, content: &Value) -> Self {
        let mut items = vec![projection(&order(0), content), ("order_stream", image(&order(0), 1, content))];
        items.extend((0..1_000).map(|number| subscription(&order(0), number)));
        let page = json!({"orderId": order(0), "first": 1, "version": 1, "before": {"owner": null}});
        let event = json!({"Records": [{"messageId": "m", "body": page.to_string()}]});
        Self { function: "fan-out", name: name.to_owned(), items, event }
    }
}

impl Job for Workload {
    fn events(&self) -> Vec<Value> {
        vec![self.event.clone()]
    }

    fn prepare(&self, engine: &Engine) {
        for (table, item) in &self.items {
            let request = json!({"TableName": table, "Item": item});
            engine.database.put_item(serde_json::from_value(request).unwrap()).unwrap();
        }
    }

    fn check(&self, answer: &Value) {
        match self.function {
            "subscribe" => {
                let last: Value = serde_json::from_str(answer["body"].as_str().unwrap()).unwrap();
                assert!(["update", "history", "part"].contains(&last["type"].as_str().unwrap()), "{last}");
            }
            _ => assert_eq!(*answer, json!({"batchItemFailures": []})),
        }
    }

    fn post_takes(&self) -> Duration {
        POST_TAKES
    }
}

/// All of them, by function.
pub(crate) fn workloads() -> Vec<Workload> {
    let small = json!({"note": {"S": "x".repeat(1_000)}});
    let text = |bytes: usize| json!({"note": {"S": "x".repeat(bytes)}});
    let fields = |count: usize| {
        let fields: Map<String, Value> = (0..count).map(|number| (format!("{number:x}"), json!({"N": "1"}))).collect();
        json!({"fields": {"M": fields}})
    };
    let objects = json!({"objects": {"L": vec![json!({"M": {"a": {"N": "1"}}}); 50_000]}});
    let log = || (1..=1_000).map(|version| ("order_stream", image(&order(0), version, &text(10_000))));
    let long = || log().chain([projection_at(&order(0), 1_000, &text(10_000))]).collect();
    let resume = json!({"action": "subscribe", "orderId": order(0), "since": 0});
    let history = json!({"action": "history", "orderId": order(0), "from": 1, "to": 1_000});
    vec![
        Workload::subscribe_to("one order of 1 KB", 1, &small),
        Workload::subscribe_to("100 orders of 1 KB", 100, &small),
        Workload::subscribe_to("6 orders of 50,000 fields", 6, &fields(50_000)),
        Workload::subscribe_to("6 orders of 50,000 objects with one field", 6, &objects),
        Workload::subscribe_to("16 orders of 390 KB", 16, &text(390_000)),
        Workload::subscribe("a resume of 1,000 events of 10 KB", long(), &resume),
        Workload::subscribe("the history of 1,000 events of 10 KB", long(), &history),
        Workload::batch(&format!("5 events of {FOLDED_VALUES} fields"), 5, &fields(FOLDED_VALUES)),
        Workload::batch("100 events of 58 KB", 100, &text(58_000)),
        Workload::small_batch("12 small events of orders of 50,000 fields", 12, &fields(50_000)),
        Workload::small_batch("32 small events of orders of 390 KB", 32, &text(390_000)),
        Workload::page("a page of 1,000 subscribers, 390 KB", &text(390_000)),
        Workload::page("a page of 1,000 subscribers, 50,000 fields", &fields(50_000)),
    ]
}

/// A function's memory, as the template has it.
pub(crate) fn memory_mb(function: &str) -> f64 {
    let template: Value = serde_json::from_str(TEMPLATE).unwrap();
    let mut resources = template["Resources"].as_object().unwrap().values();
    let handler = |resource: &&Value| resource["Properties"]["Handler"] == function;
    resources.find(handler).unwrap()["Properties"]["MemorySize"].as_f64().unwrap()
}

fn order(number: usize) -> String {
    format!("order_{number}")
}

fn projection(order_id: &str, content: &Value) -> (&'static str, Value) {
    projection_at(order_id, 1, content)
}

fn projection_at(order_id: &str, version: u64, content: &Value) -> (&'static str, Value) {
    let item = json!({"orderId": {"S": order_id}, "version": {"N": version.to_string()}, "projection": {"M": content},
                      "updatedAt": {"N": "0"}});
    ("order_projections", item)
}

fn subscription(order_id: &str, number: usize) -> (&'static str, Value) {
    let item = json!({"orderId": {"S": order_id}, "connectionId": {"S": format!("{number:015}=")},
                      "readsAll": {"BOOL": true}, "principalId": {"S": "user_123"},
                      "expiresAt": {"N": "4102444800"}});
    ("subscriptions", item)
}

/// An event with this content, as its table has it.
fn image(order_id: &str, version: u64, content: &Value) -> Value {
    let mut data = json!({"eventName": {"S": "OrderChanged"}, "orderId": {"S": order_id}});
    data.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
    let version = version.to_string();
    json!({"orderId": {"S": order_id}, "version": {"N": version}, "ref": {"S": version}, "ts": {"N": "0"},
           "data": {"M": data}})
}

fn message_event(message: &Value) -> Value {
    json!({
        "requestContext": {
            "routeKey": "subscribe", "eventType": "MESSAGE", "messageDirection": "IN", "connectionId": ID,
            "stage": "local", "connectedAt": 4_000_000_000_000_i64, "requestTimeEpoch": 4_000_000_000_000_i64,
            "apiId": "a", "requestTime": "26/Nov/2026:00:00:00 +0000", "requestId": "XfGLwFTktjMFsLg=",
            "extendedRequestId": "XfGLwFTktjMFsLg=", "domainName": "a.execute-api.us-east-1.amazonaws.com",
            "identity": {"sourceIp": "127.0.0.1"},
            "authorizer": {"principalId": "user_123", "scope": "orders:read:all"},
        },
        "isBase64Encoded": false,
        "body": message.to_string(),
    })
}
