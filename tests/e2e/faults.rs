//! What goes wrong on AWS now and then, on real processes and sockets: every event arrives once and in order all the same.

use std::time::Duration;

use serde_json::{Value, json};
use tests::{PATIENCE, browser::Browser, stack::Stack};
use tokio::time::{sleep, timeout};

use crate::tail::{Tail, append, event};

/// Appends events to an order, one after the other, while a tail follows it, with these faults.
fn survives(faults: &Value, events: u64) {
    let stack = Stack::start_with_faults(&json!({"faults": faults}));
    let tail = Tail::start(&stack, &["o"], usize::try_from(events).unwrap());
    for n in 1..=events {
        append(&stack, &[event("o", n)]);
    }
    tail.ends_complete(&["o"], events);
    assert_eq!(stack.json_lines(&["verify"]), [json!({"orders": 1, "events": events, "differences": 0})]);
}

/// How many rows a table has.
async fn rows(stack: &Stack, table: &str) -> u64 {
    stack.dynamodb("Scan", &json!({"TableName": table, "Select": "COUNT"})).await["Count"].as_u64().unwrap()
}

#[test]
fn an_event_handler_that_is_killed_between_write_and_push_loses_nothing() {
    let kill =
        |after: &str| json!({"fault": "kill", "function": "event-handler", "after": after, "every": 2, "times": 2});
    survives(&json!([kill("PutItem order_projections"), kill("Query subscriptions")]), 6);
}

#[test]
fn an_event_handler_that_is_killed_before_the_write_loses_nothing() {
    let kill =
        |before: &str| json!({"fault": "kill", "function": "event-handler", "before": before, "every": 2, "times": 2});
    survives(&json!([kill("GetItem order_projections"), kill("PutItem order_projections")]), 6);
}

#[test]
fn an_event_handler_that_is_killed_at_a_push_neither_loses_nor_doubles() {
    let before = json!({"fault": "kill", "function": "event-handler", "before": "PostToConnection", "times": 2});
    let after =
        json!({"fault": "kill", "function": "event-handler", "after": "PostToConnection", "from": 2, "times": 2});
    survives(&json!([before, after]), 5);
}

#[test]
fn a_subscribe_function_that_is_killed_is_asked_again() {
    let before = json!({"fault": "kill", "function": "subscribe", "before": "PutItem subscriptions"});
    let after = json!({"fault": "kill", "function": "subscribe", "after": "PutItem subscriptions"});
    let reading = json!({"fault": "kill", "function": "subscribe", "after": "GetItem order_projections"});
    survives(&json!([before, after, reading]), 3);
}

#[test]
fn a_post_that_is_throttled_or_fails_or_hangs_is_tried_again() {
    let throttled = json!({"fault": "throttle_post", "every": 3, "times": 2});
    let failed = json!({"fault": "fail_post", "from": 2, "times": 1});
    let delivered = json!({"fault": "fail_post", "delivered": true, "from": 5, "times": 2});
    let hanging = json!({"fault": "hang_post", "from": 9, "times": 1});
    let hanging_delivered = json!({"fault": "hang_post", "delivered": true, "from": 11, "times": 1});
    survives(&json!([throttled, failed, delivered, hanging, hanging_delivered]), 8);
}

#[test]
fn a_connection_that_takes_no_push_is_closed_and_resumes() {
    survives(&json!([{"fault": "throttle_post", "from": 2, "times": 4}]), 4);
}

#[test]
fn a_message_that_is_lost_with_its_connection_is_resumed() {
    survives(&json!([{"fault": "lose_post", "from": 2, "every": 2, "times": 2}]), 5);
}

#[test]
fn messages_that_overtake_each_other_are_put_in_order() {
    survives(&json!([{"fault": "delay_post", "ms": 300, "every": 3, "times": 3}]), 8);
}

#[test]
fn a_batch_that_comes_late_or_twice_changes_nothing() {
    let duplicate = json!({"fault": "duplicate_batch", "every": 2, "times": 3});
    let delay = json!({"fault": "delay_batch", "ms": 200, "every": 3, "times": 2});
    survives(&json!([duplicate, delay]), 8);
}

#[tokio::test]
async fn a_dead_connection_is_closed_and_forgotten_and_the_others_go_on() {
    let stack = Stack::start_with_faults(&json!({"faults": [{"fault": "dead_connection"}]}));
    let (_dead, _snapshot) = Browser::subscribed(&stack.websocket_url, "a").await;
    append(&stack, &[event("a", 1)]);
    // Its projection is stored: the batch is under way, and every later event is in a later batch.
    assert_eq!(stack.json_lines(&["verify"]), [json!({"orders": 1, "events": 1, "differences": 0})]);
    let (mut alive, _snapshot) = Browser::subscribed(&stack.websocket_url, "b").await;
    append(&stack, &[event("b", 1), event("a", 2)]);
    assert_eq!(alive.next().await["version"], 1);
    let forgotten = async {
        while rows(&stack, "subscriptions").await > 1 {
            sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(PATIENCE, forgotten).await.expect("it is closed in the third round");
    assert_eq!(stack.json_lines(&["verify"]), [json!({"orders": 2, "events": 3, "differences": 0})]);
}

#[tokio::test]
async fn a_missed_disconnect_is_made_good_by_the_next_push() {
    let stack = Stack::start_with_faults(&json!({"faults": [{"fault": "miss_disconnect"}]}));
    let (left, _snapshot) = Browser::subscribed(&stack.websocket_url, "o").await;
    drop(left);
    let (mut stays, _snapshot) = Browser::subscribed(&stack.websocket_url, "o").await;
    assert_eq!(rows(&stack, "subscriptions").await, 2);
    append(&stack, &[event("o", 1)]);
    assert_eq!(stays.next().await["version"], 1);
    let forgotten = async {
        while (rows(&stack, "subscriptions").await, rows(&stack, "connections").await) != (1, 1) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, forgotten).await.expect("410 deletes the connection and its subscriptions");
}

#[test]
fn everything_at_once_under_a_seed_loses_nothing() {
    const ORDERS: [&str; 5] = ["a", "b", "c", "d", "e"];
    const EVENTS: u64 = 40;
    let at = |fault: Value, chance: f64| {
        let mut fault = fault;
        fault["chance"] = json!(chance);
        fault["times"] = json!(1_000_000);
        fault
    };
    let faults = [
        at(json!({"fault": "kill", "function": "event-handler", "after": "PutItem order_projections"}), 0.05),
        at(json!({"fault": "kill", "function": "event-handler", "before": "PutItem order_projections"}), 0.03),
        at(json!({"fault": "kill", "function": "event-handler", "after": "PostToConnection"}), 0.02),
        at(json!({"fault": "kill", "function": "subscribe", "after": "PutItem subscriptions"}), 0.1),
        at(json!({"fault": "duplicate_batch"}), 0.1),
        at(json!({"fault": "delay_batch", "ms": 30}), 0.1),
        at(json!({"fault": "throttle_post"}), 0.1),
        at(json!({"fault": "fail_post"}), 0.05),
        at(json!({"fault": "fail_post", "delivered": true}), 0.05),
        at(json!({"fault": "lose_post"}), 0.03),
        at(json!({"fault": "delay_post", "ms": 100}), 0.1),
        at(json!({"fault": "miss_disconnect"}), 0.5),
    ];
    let stack = Stack::start_with_faults(&json!({"seed": 2026, "faults": faults}));
    let tails: Vec<Tail> = (0..3).map(|_| Tail::start(&stack, &ORDERS, ORDERS.len() * 40)).collect();
    for n in 1..=EVENTS {
        append(&stack, &ORDERS.map(|order_id| event(order_id, n)));
    }
    for tail in tails {
        tail.ends_complete(&ORDERS, EVENTS);
    }
    assert_eq!(stack.json_lines(&["verify"]), [json!({"orders": 5, "events": 200, "differences": 0})]);
}

#[test]
fn a_script_that_cannot_be_followed_is_one_line_and_exit_code_2() {
    let folder = tempfile::TempDir::new().unwrap();
    let script = folder.path().join("faults.json");
    std::fs::write(&script, r#"{"faults":[{"fault":"kill"}]}"#).unwrap();
    let output = std::process::Command::new(tests::stack::binary())
        .args(["up", "--ephemeral", "--port", "0", "--dynamodb-port", "0", "--faults"])
        .arg(&script)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.starts_with("foldcast: the faults ") && said.contains("rule 1 (kill)") && said.lines().count() == 1,
        "{said}"
    );
}
