//! What a principal's messages may cost, and that an ordinary message costs no call more for it.

use std::time::Duration;

use domain::{
    limits::{
        PRINCIPAL_COST_A_MINUTE_MAX, PRINCIPAL_COST_AT_ONCE_MAX, PROCESS_COST_A_MINUTE_MAX, PROCESS_COST_AT_ONCE_MAX,
        REFUSALS_MAX,
    },
    price,
};
use serde_json::{Value, json};
use subscribe::Subscribe;
use tests::{
    counted::{Bill, Counted},
    engine::{Engine, variables},
};
use tokio::time::Instant;

use crate::connections::Connections;

const NOW_MS: i64 = 1_800_000_000_000;

/// A projection that is nearly as large as an item may be.
const LARGE_BYTES: usize = 390_000;

/// What serving the large order once more costs: how far a message may be beyond the allowance before it is stopped.
const STEP_MAX: u64 = 70_000;

/// What a message calls that subscribes to an order.
const SUBSCRIBE: [&str; 3] =
    ["UpdateItem connections", "PutItem subscriptions", "GetItem order_projections, consistent"];

struct Rig {
    engine: Engine,
    counted: Counted,
    connections: Connections,
    subscribe: Subscribe,
}

/// What messages cost, all together.
#[derive(Debug, Default)]
struct Cost {
    messages: u64,
    read_units: u64,
    write_units: u64,
    posts: u64,
    nano_dollars: u64,
}

impl Rig {
    async fn start() -> Self {
        let engine = Engine::start().await;
        let counted = Counted::start(&engine.url).await;
        let connections = Connections::start().await;
        let (aws, origin) = (variables(counted.url.clone()), connections.origin.clone());
        let var = move |name: &str| match name {
            "REDACTED_FIELDS" => Some(String::new()),
            "MANAGEMENT_ENDPOINT" => Some(format!("{origin}/local")),
            _ => aws(name),
        };
        let subscribe = Subscribe::from_vars(&var).unwrap();
        let rig = Self { engine, counted, connections, subscribe };
        for (order_id, bytes) in [("large", LARGE_BYTES), ("small", 1_000)] {
            let fields = json!({"userId": {"S": "user_123"}, "note": {"S": "x".repeat(bytes)}});
            let item = json!({"orderId": {"S": order_id}, "version": {"N": "1"}, "projection": {"M": fields}});
            rig.put("order_projections", item);
        }
        rig
    }

    fn put(&self, table: &str, item: Value) {
        let put = json!({"TableName": table, "Item": item});
        self.engine.database.put_item(serde_json::from_value(put).unwrap()).unwrap();
    }

    /// Other processes have spent of the principal's allowance, which is paid until then.
    fn put_paid_until(&self, paid_until_ms: i64) {
        let paid_until = json!({"N": paid_until_ms.to_string()});
        self.put("connections", json!({"connectionId": {"S": "allowance#user_123"}, "paidUntil": paid_until}));
    }

    /// Sends a message at a time, and gives the last frame of its answer; none if the connection is closed.
    async fn ask_at(&self, now_ms: i64, message: &Value) -> Option<Value> {
        let authorizer = json!({"principalId": "user_123", "scope": "", "expiresAt": "9999999999"});
        let context = json!({"connectionId": "L0SM9cOFvHc=", "requestId": "r", "connectedAt": NOW_MS,
                             "requestTimeEpoch": now_ms, "authorizer": authorizer});
        let request = json!({"requestContext": context, "body": message.to_string()});
        let deadline = Instant::now() + Duration::from_secs(20);
        let reply = self.subscribe.handle(serde_json::from_value(request).unwrap(), deadline).await.unwrap();
        reply.get("body").and_then(Value::as_str).map(|body| serde_json::from_str(body).unwrap())
    }

    /// Subscribes to the large order again and again at a time until that is refused.
    async fn subscribe_until_refused(&self, now_ms: i64) -> (Cost, Value) {
        let mut cost = Cost::default();
        let message = json!({"action": "subscribe", "orderId": "large"});
        loop {
            let answer = self.ask_at(now_ms, &message).await.unwrap();
            let Bill { calls, capacity_units } = self.counted.take();
            let write_units = calls.iter().map(|call| match call.split(' ').next() {
                Some("PutItem") => 2,
                Some("UpdateItem") => 1,
                _ => 0,
            });
            let write_units: u64 = write_units.sum();
            let all_units: u64 = format!("{capacity_units:.0}").parse().unwrap();
            let read_units = all_units - write_units;
            let sent = price::message_in(message.to_string().len()) + price::message_out(answer.to_string().len());
            cost.messages += 1;
            cost.posts += self.connections.take();
            cost.read_units += read_units;
            cost.write_units += write_units;
            cost.nano_dollars += sent + price::INVOCATION + self.connections.take_nano_dollars();
            cost.nano_dollars += read_units * price::READ_UNIT + write_units * price::WRITE_UNIT;
            if answer.get("type").is_some_and(|kind| kind == "error") {
                return (cost, answer);
            }
        }
    }
}

#[tokio::test]
async fn an_order_that_a_message_names_a_hundred_times_costs_what_it_costs_once() {
    let rig = Rig::start().await;
    for count in [1, 100] {
        let orders = vec![json!({"orderId": "large"}); count];
        let answer = rig.ask_at(NOW_MS, &json!({"action": "subscribe", "orders": orders})).await.unwrap();
        assert_eq!(answer["type"], "part");
        let (Bill { calls, .. }, posts) = (rig.counted.take(), rig.connections.take());
        println!("the same order {count:>3} times: {posts} posts, calls {calls:?}");
        assert_eq!(calls, SUBSCRIBE);
        assert_eq!(posts + 1, answer["parts"].as_u64().unwrap(), "the last part is the route response");
        let unsubscribe = json!({"action": "unsubscribe", "orders": vec!["large"; count]});
        assert_eq!(rig.ask_at(NOW_MS, &unsubscribe).await.unwrap()["type"], "unsubscribed");
        assert_eq!((rig.counted.take().calls.len(), rig.connections.take()), (2, 0));
    }
}

#[tokio::test]
async fn what_a_process_grants_costs_no_call() {
    let rig = Rig::start().await;
    let message = json!({"action": "subscribe", "orderId": "small"});
    // Two messages, an invocation, a row with its index entry, the connection's row and a projection are less.
    for _ in 0..PROCESS_COST_AT_ONCE_MAX / 5_000 {
        rig.ask_at(NOW_MS, &message).await.unwrap();
        assert_eq!(rig.counted.take().calls, SUBSCRIBE);
    }
}

/// How long the allowance takes to grow by so much.
fn grows_in_ms(nano_dollars: u64) -> i64 {
    i64::try_from(nano_dollars * 60_000 / PRINCIPAL_COST_A_MINUTE_MAX).unwrap()
}

#[tokio::test]
async fn one_principal_costs_no_more_than_it_may() {
    let rig = Rig::start().await;
    // So that the test is short, most of what may be spent at once is spent.
    let left = 1_500_000;
    rig.put_paid_until(NOW_MS + grows_in_ms(PRINCIPAL_COST_AT_ONCE_MAX - left));
    let (first, answer) = rig.subscribe_until_refused(NOW_MS).await;
    println!("with {left} nano-dollars of the principal's, and what a process grants: {first:?}");
    assert_eq!(answer["code"], "internal", "every client tries again later");
    assert!(answer["message"].as_str().unwrap().starts_with("too many requests"), "{answer}");
    assert!(answer["retryAfterMs"].as_u64().unwrap() > 0, "{answer}");
    let at_once = PROCESS_COST_AT_ONCE_MAX + left;
    assert!(first.nano_dollars <= at_once + STEP_MAX, "{} nano-dollars", first.nano_dollars);
    assert!(first.nano_dollars >= at_once / 10 * 9, "{} nano-dollars", first.nano_dollars);

    rig.ask_at(NOW_MS, &json!({"action": "subscribe", "orderId": "small"})).await.unwrap();
    assert_eq!(rig.counted.take().calls, [""; 0], "whoever is refused costs no call");
    rig.connections.take_nano_dollars();

    let (later, _) = rig.subscribe_until_refused(NOW_MS + 6_000).await;
    println!("6 seconds later: {later:?}");
    let grown = (PROCESS_COST_A_MINUTE_MAX + PRINCIPAL_COST_A_MINUTE_MAX) / 10;
    assert!(later.nano_dollars <= grown + STEP_MAX, "{} nano-dollars", later.nano_dollars);
}

#[tokio::test]
async fn what_other_processes_spent_is_spent_and_a_flood_is_closed() {
    let rig = Rig::start().await;
    rig.put_paid_until(NOW_MS + 3_600_000);
    let (own, _) = rig.subscribe_until_refused(NOW_MS).await;
    println!("what one process grants: {own:?}");
    assert!(own.nano_dollars <= PROCESS_COST_AT_ONCE_MAX + STEP_MAX, "{} nano-dollars", own.nano_dollars);
    let ping = json!({"action": "ping"});
    // One was refused above.
    for _ in 1..REFUSALS_MAX {
        assert_eq!(rig.ask_at(NOW_MS, &ping).await.unwrap()["code"], "internal");
    }
    assert_eq!(rig.ask_at(NOW_MS, &ping).await, None);
    assert_eq!(rig.connections.take_closes(), 1);
}

#[tokio::test]
async fn an_order_that_cannot_be_understood_is_named_and_leaves_the_others_served() {
    let rig = Rig::start().await;
    let history = json!({"action": "history", "orderId": "small", "from": 2, "to": 1});
    let answer = rig.ask_at(NOW_MS, &history).await.unwrap();
    assert_eq!((&answer["orderId"], &answer["code"]), (&json!("small"), &json!("bad_request")));
    let orders = json!([{"orderId": "small", "since": -1}, {"orderId": ""}, {"orderId": "other"}]);
    let last = rig.ask_at(NOW_MS, &json!({"action": "subscribe", "orders": orders})).await.unwrap();
    assert_eq!(rig.connections.take() + 1, 3, "an answer each: {last}");
}
