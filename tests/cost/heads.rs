//! What it costs to ask whether orders are level.

use std::time::Duration;

use serde_json::{Value, json};
use subscribe::Subscribe;
use tests::{counted::Counted, engine::Engine, engine::variables};
use tokio::time::Instant;

/// Projections of 1 KB, each a read unit; one of them is not stored, which is one too.
const PROJECTION_BYTES: usize = 1_000;

fn message(count: usize) -> Value {
    let versions: serde_json::Map<String, Value> = (0..count).map(|n| (format!("o{n}"), json!(1))).collect();
    let context = json!({"connectionId": "L0SM9cOFvHc=", "requestId": "r", "connectedAt": 0, "requestTimeEpoch": 0});
    json!({"requestContext": context, "body": json!({"action": "heads", "orders": versions}).to_string()})
}

#[tokio::test]
async fn heads_of_an_order_cost_a_read_unit_for_each_4_kb_and_one_call_for_all_of_a_message() {
    let engine = Engine::start().await;
    let counted = Counted::start(&engine.url).await;
    let aws = variables(counted.url.clone());
    let var = move |name: &str| match name {
        "REDACTED_FIELDS" => Some(String::new()),
        // The answer is the route response: nothing is posted.
        "MANAGEMENT_ENDPOINT" => Some("http://127.0.0.1:9/local".to_owned()),
        _ => aws(name),
    };
    let subscribe = Subscribe::from_vars(&var).unwrap();
    for n in 0..99 {
        let fields = json!({"userId": {"S": "user_123"}, "note": {"S": "x".repeat(PROJECTION_BYTES)}});
        let item = json!({"orderId": {"S": format!("o{n}")}, "version": {"N": "1"}, "projection": {"M": fields}});
        let put = json!({"TableName": "order_projections", "Item": item});
        engine.database.put_item(serde_json::from_value(put).unwrap()).unwrap();
    }
    for (count, behind) in [(1, json!({})), (100, json!({"o99": 0}))] {
        let request = serde_json::from_value(message(count)).unwrap();
        let reply = subscribe.handle(request, Instant::now() + Duration::from_secs(20)).await.unwrap();
        let answer: Value = serde_json::from_str(reply["body"].as_str().unwrap()).unwrap();
        assert_eq!(answer, json!({"type": "heads", "orders": behind}));
        let bill = counted.take();
        println!("heads of {count:>3} orders: {} read units, calls {:?}", bill.capacity_units, bill.calls);
        assert_eq!(bill.calls, ["BatchGetItem order_projections, consistent"]);
        assert!((bill.capacity_units - f64::from(u32::try_from(count).unwrap())).abs() < f64::EPSILON);
    }
}
