//! The four rules of the guarantee, each by what it does and in which order.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod busy;
mod gaps;
mod owners;
mod pages;
mod push;

use std::time::Duration;

use domain::{ConnectionId, Identity, OrderId, Principal, PrincipalId, Version, limits};
use local::websocket_api::Limits;
use queues::batch::{BatchItemFailure, BatchResponse};
use serde_json::{Value, json};
use store::Connection;
use tests::{
    browser::Browser,
    gateway::{InProcess, deliver},
};
use tokio::time::Instant;

fn order(id: &str) -> OrderId {
    OrderId::new(id).unwrap()
}

/// A connection of nobody in particular, that was opened long ago.
fn connection(connection_id: &str) -> Connection {
    let principal = Principal::with_scope(PrincipalId::new("user_123").unwrap(), "");
    let identity = Identity { principal, expires_at_s: None };
    Connection { connection_id: ConnectionId::new(connection_id), identity, connected_at_ms: 0 }
}

/// The versions of an update's events, and its own.
fn versions(update: &Value) -> (Vec<u64>, u64) {
    let events = update["events"].as_array().unwrap().iter();
    (events.map(|event| event["version"].as_u64().unwrap()).collect(), update["version"].as_u64().unwrap())
}

#[tokio::test]
async fn the_projection_is_stored_before_the_subscribers_are_read() {
    let gateway = InProcess::start().await;
    gateway.append("o", 1..=1).await;
    assert_eq!(gateway.deliver("o", &[1]).await, BatchResponse::default());
    let calls =
        ["GetItem order_projections, consistent", "PutItem order_projections", "Query subscriptions, consistent"];
    assert_eq!(gateway.counted.take().calls, calls);
}

/// What is stored of the order "o", as a foreign program reads it.
async fn stored(gateway: &InProcess) -> Value {
    let projection = gateway.store.projections.get(&order("o")).await.unwrap();
    let fields: Value = serde_json::from_str(&domain::Json::Object(projection.fields().clone()).to_string()).unwrap();
    json!({"version": projection.version().get(), "fields": fields})
}

#[tokio::test]
async fn the_next_event_is_folded_without_a_read_by_the_process_that_stored_the_one_before() {
    let gateway = InProcess::start().await;
    gateway.append("o", 1..=3).await;
    let steady = ["PutItem order_projections", "Query subscriptions, consistent"];
    for (batch, is_read) in [(vec![1], true), (vec![2, 3], false), (vec![3], true)] {
        assert_eq!(gateway.deliver("o", &batch).await, BatchResponse::default());
        let calls = gateway.counted.take().calls;
        assert_eq!(calls[0] == "GetItem order_projections, consistent", is_read, "{batch:?}: {calls:?}");
        assert!(is_read || calls == steady, "{calls:?}");
    }
    assert_eq!(stored(&gateway).await["version"], 3);
}

#[tokio::test]
async fn what_a_process_remembers_never_goes_over_what_another_stored() {
    let mended = |version: &str| {
        let fields = json!({"orderId": {"S": "o"}, "eventName": {"S": "A"}, "mended": {"BOOL": true}});
        json!({"orderId": {"S": "o"}, "version": {"N": version}, "projection": {"M": fields}, "updatedAt": {"N": "0"}})
    };
    let gateway = InProcess::start().await;
    let (mut browser, _snapshot) = Browser::subscribed(&gateway.websocket_url, "o").await;
    gateway.append("o", 1..=5).await;
    assert_eq!(gateway.deliver("o", &[1]).await, BatchResponse::default());
    // Another projection at the same version, as after a rebuild.
    gateway.put("order_projections", mended("1"));
    assert_eq!(gateway.deliver("o", &[2]).await, BatchResponse::default());
    assert_eq!(
        (&stored(&gateway).await["fields"]["mended"], &stored(&gateway).await["version"]),
        (&json!(true), &json!(2))
    );
    // Another process went on, and its version comes here again.
    gateway.put("order_projections", mended("4"));
    assert_eq!(gateway.deliver("o", &[3]).await, BatchResponse::default());
    assert_eq!(stored(&gateway).await["version"], 4);
    for (events, version) in [(vec![1], 1), (vec![2], 2), (vec![3, 4], 4)] {
        let update = browser.next().await;
        assert_eq!(versions(&update), (events, version));
        assert_eq!(update["projection"]["mended"] == true, version > 1, "{update}");
    }
    // The table was emptied: the log is folded from its beginning.
    assert_eq!(gateway.deliver("o", &[5]).await, BatchResponse::default());
    gateway.delete("order_projections", json!({"orderId": {"S": "o"}}));
    gateway.append("o", 6..=6).await;
    assert_eq!(gateway.deliver("o", &[6]).await, BatchResponse::default());
    let emptied = stored(&gateway).await;
    assert_eq!((&emptied["version"], &emptied["fields"]["mended"]), (&json!(6), &Value::Null));
}

#[tokio::test]
async fn the_subscription_is_recorded_before_the_projection_is_read() {
    let gateway = InProcess::start().await;
    let (_browser, _snapshot) = Browser::subscribed(&gateway.websocket_url, "o").await;
    let calls = ["UpdateItem connections", "PutItem subscriptions", "GetItem order_projections, consistent"];
    assert_eq!(gateway.counted.take().calls, calls);
}

#[tokio::test]
async fn what_is_folded_already_is_pushed_up_to_the_projection() {
    let gateway = InProcess::start().await;
    let (mut browser, _snapshot) = Browser::subscribed(&gateway.websocket_url, "o").await;
    gateway.append("o", 1..=3).await;
    let batches = [(vec![1], 1..=1), (vec![1], 1..=1), (vec![2, 3], 2..=3), (vec![2], 2..=3)];
    for (batch, run) in batches {
        assert_eq!(gateway.deliver("o", &batch).await, BatchResponse::default());
        let update = browser.next().await;
        assert_eq!(versions(&update), (run.clone().collect(), *run.end()));
        assert_eq!(update["projection"]["n"], update["version"]);
        assert!(!update.to_string().contains("secret"));
    }
}

#[tokio::test]
async fn an_event_ahead_of_its_predecessors_ends_well() {
    let gateway = InProcess::start().await;
    gateway.append("o", 1..=4).await;
    assert_eq!(gateway.deliver("o", &[1]).await, BatchResponse::default());
    let (mut browser, _snapshot) = Browser::subscribed(&gateway.websocket_url, "o").await;
    assert_eq!(gateway.deliver("o", &[4]).await, BatchResponse::default());
    assert_eq!(versions(&browser.next().await), (vec![4], 4));
    let projection = gateway.store.projections.get(&order("o")).await.unwrap();
    assert_eq!(projection.version(), Version::new(4));
    assert_eq!(gateway.deliver("o", &[2, 3]).await, BatchResponse::default());
    assert_eq!(versions(&browser.next().await), (vec![2, 3, 4], 4));
}

#[tokio::test]
async fn a_broken_projection_goes_to_the_failure_queue_and_other_orders_go_on() {
    let gateway = InProcess::start().await;
    gateway.append("o", 1..=1).await;
    gateway.put("order_projections", json!({"orderId": {"S": "o"}, "version": {"S": "secret"}}));
    assert_eq!(gateway.deliver("o", &[1]).await, BatchResponse::default());
    let failures = gateway.failures();
    let reason = failures[0]["reason"].as_str().unwrap();
    assert!(failures.len() == 1 && reason.ends_with("the attribute version must be a number"), "{reason}");
    assert!(!reason.contains("secret"), "no content is on the queue");
}

#[tokio::test]
async fn a_failure_that_the_queue_does_not_take_comes_again() {
    let gateway = InProcess::start().await;
    gateway.append("o", 1..=1).await;
    gateway.put("order_projections", json!({"orderId": {"S": "o"}, "version": {"S": "x"}}));
    let failed = BatchResponse { batch_item_failures: vec![BatchItemFailure { item_identifier: "1".into() }] };
    assert_eq!(deliver(&gateway.handler_without_api_gateway(), "o", &[1]).await, failed);
}

#[tokio::test]
async fn a_connection_that_is_gone_is_forgotten_and_nobody_else_notices() {
    let gateway = InProcess::start().await;
    let gone = "L0SM9cOFvHcCIhw=";
    gateway.store.connections.put(&connection(gone)).await.unwrap();
    for order_id in ["o", "p"] {
        gateway.record_subscription(order_id, gone).await;
    }
    let (mut browser, _snapshot) = Browser::subscribed(&gateway.websocket_url, "o").await;
    gateway.append("o", 1..=1).await;
    drop(gateway.counted.take());
    assert_eq!(gateway.deliver("o", &[1]).await, BatchResponse::default());
    // Its own row first, which says which stage issued its id: what is left of its subscriptions is found by their next push.
    let forgetting = gateway.counted.take().calls.split_off(3);
    assert_eq!(forgetting, ["DeleteItem connections", "Query subscriptions", "BatchWriteItem subscriptions"]);
    assert_eq!(versions(&browser.next().await), (vec![1], 1));
    assert_eq!(gateway.store.subscriptions.of_order(&order("o")).await.unwrap().readable.len(), 1);
    assert_eq!(gateway.store.subscriptions.of_order(&order("p")).await.unwrap().readable, []);
}

#[tokio::test]
async fn a_row_that_is_no_subscription_holds_up_nobody_and_is_removed() {
    let gateway = InProcess::start().await;
    let (mut browser, _snapshot) = Browser::subscribed(&gateway.websocket_url, "o").await;
    gateway.put("subscriptions", json!({"orderId": {"S": "o"}, "connectionId": {"S": "L0SM9cOFvHcCIhw="}}));
    gateway.append("o", 1..=1).await;
    assert_eq!(gateway.deliver("o", &[1]).await, BatchResponse::default());
    assert_eq!(versions(&browser.next().await), (vec![1], 1));
    let left = gateway.store.subscriptions.of_order(&order("o")).await.unwrap();
    assert_eq!((left.readable.len(), left.broken), (1, vec![]));
}

#[tokio::test]
async fn subscribers_who_cannot_be_reached_wait_on_the_page_queue_and_the_record_is_done() {
    let gateway = InProcess::start().await;
    for number in 0..5 {
        gateway.record_subscription("o", &format!("L0SM9cOFvHcCIh{number}=")).await;
    }
    let rows = async || gateway.store.subscriptions.of_order(&order("o")).await.unwrap().rows();
    gateway.append("o", 1..=2).await;
    assert_eq!(deliver(&gateway.handler_without_connections(), "o", &[1, 2]).await, BatchResponse::default());
    let page: Value = serde_json::from_str(&gateway.pages()[0].body).unwrap();
    let left = page["left"].as_array().unwrap().len();
    assert_eq!((gateway.pages().len(), left, &page["rounds"], &page["version"]), (1, 5, &json!(1), &json!(2)));
    assert_eq!(gateway.store.projections.get(&order("o")).await.unwrap().version(), Version::new(2));
    assert_eq!(rows().await, 5, "nobody is forgotten");
    // API Gateway is there again, and knows none of them.
    assert_eq!(gateway.work_on_pages().await, 0);
    assert_eq!(rows().await, 0);
}

#[tokio::test]
async fn a_record_is_retried_only_if_no_queue_takes_what_failed() {
    let gateway = InProcess::start().await;
    gateway.record_subscription("o", "L0SM9cOFvHcCIh1=").await;
    gateway.append("o", 1..=2).await;
    let failed = BatchResponse { batch_item_failures: vec![BatchItemFailure { item_identifier: "1".into() }] };
    assert_eq!(deliver(&gateway.handler_without_api_gateway(), "o", &[1, 2]).await, failed);
    assert_eq!((gateway.pages().len(), gateway.deferred().len(), gateway.failures().len()), (0, 0, 0));
}

#[tokio::test]
async fn an_order_that_dynamodb_does_not_serve_is_deferred_and_folded_and_pushed_later() {
    let gateway = InProcess::start().await;
    let (mut browser, _snapshot) = Browser::subscribed(&gateway.websocket_url, "o").await;
    gateway.append("o", 1..=2).await;
    assert_eq!(deliver(&gateway.handler_without_dynamodb(), "o", &[1, 2]).await, BatchResponse::default());
    let deferred: Value = serde_json::from_str(&gateway.deferred()[0].body).unwrap();
    assert_eq!((&deferred["first"], &deferred["last"], &deferred["round"]), (&json!(1), &json!(2), &json!(2)));
    assert_eq!(gateway.work_on_deferred().await, 0);
    assert_eq!(versions(&browser.next().await), (vec![1, 2], 2));
    assert_eq!(gateway.failures().len(), 0);
}

#[tokio::test]
async fn the_next_events_of_a_deferred_order_share_one_message_and_are_not_tried() {
    let gateway = InProcess::start().await;
    let (mut browser, _snapshot) = Browser::subscribed(&gateway.websocket_url, "o").await;
    let handler = gateway.handler_without_dynamodb();
    gateway.append("o", 1..=5).await;
    for version in 1..=5 {
        assert_eq!(deliver(&handler, "o", &[version]).await, BatchResponse::default());
    }
    let messages = gateway.deferred();
    let messages: Vec<Value> = messages.iter().map(|order| serde_json::from_str(&order.body).unwrap()).collect();
    let tried = messages.iter().map(|message| (message["first"].as_u64(), message["round"].as_u64()));
    assert_eq!(tried.collect::<Vec<_>>(), [(Some(1), Some(2)), (Some(2), Some(1))]);
    assert_eq!(gateway.work_on_deferred().await, 0);
    assert_eq!(versions(&browser.next().await), (vec![1, 2, 3, 4, 5], 5), "the log is read to its head");
}

#[tokio::test]
async fn a_deferred_order_that_fails_again_joins_the_message_that_is_on_its_way() {
    let gateway = InProcess::start().await;
    let handler = gateway.handler_without_dynamodb();
    gateway.append("o", 1..=9).await;
    let defer = async |first, last| {
        let batch = deferred_order(first, last, store::now_ms());
        let before = gateway.deferred().len();
        let deadline = Instant::now() + Duration::from_secs(60);
        assert_eq!(handler.handle(&batch.to_string(), deadline).await.unwrap(), BatchResponse::default());
        gateway.deferred().len() - before
    };
    for version in 5..=6 {
        assert_eq!(deliver(&handler, "o", &[version]).await, BatchResponse::default());
    }
    // The second message is hidden for ten seconds, and is about everything from version 6.
    assert_eq!((defer(7, 9).await, defer(6, 6).await), (0, 0));
    assert_eq!(defer(4, 4).await, 1, "it is not about version 4");
}

#[tokio::test]
async fn an_order_that_was_deferred_for_too_long_is_dead_lettered() {
    let gateway = InProcess::start().await;
    let long_ago = store::now_ms() - i64::try_from(domain::limits::DEFERRED_FOR_MAX.as_millis()).unwrap() - 1;
    let batch = deferred_order(1, 2, long_ago);
    let deadline = Instant::now() + Duration::from_secs(60);
    let response = gateway.handler_without_dynamodb().handle(&batch.to_string(), deadline).await.unwrap();
    assert_eq!((response, gateway.deferred().len()), (BatchResponse::default(), 0));
    let failure = &gateway.failures()[0];
    assert_eq!((&failure["failure"], &failure["lastVersion"]), (&json!("not_folded"), &json!(2)));
}

/// A deferred order as Lambda hands it over.
fn deferred_order(first: u64, last: u64, deferred_at_ms: i64) -> Value {
    let body = json!({"orderId": "o", "first": first, "last": last, "round": 40, "deferredAt": deferred_at_ms});
    json!({"Records": [{"messageId": "m", "body": body.to_string()}]})
}

#[tokio::test]
async fn a_log_that_is_too_long_for_one_invocation_is_folded_bit_by_bit() {
    let gateway = InProcess::start().await;
    for version in 1..=8 {
        let data = json!({"eventName": "A", "orderId": "o", "note": "x".repeat(300_000), "n": version});
        gateway.append_data("o", version, &data).await;
    }
    let mut batch = deferred_order(8, 8, store::now_ms());
    let mut stored = vec![0];
    while stored.last() != Some(&8) {
        // There is time for one part of the log.
        let response = gateway.handler().handle(&batch.to_string(), Instant::now()).await.unwrap();
        assert_eq!(response, BatchResponse::default());
        stored.push(gateway.store.projections.get(&order("o")).await.unwrap().version().get());
        assert!(stored.is_sorted_by(|before, after| before < after), "each invocation makes progress: {stored:?}");
        if let Some(next) = gateway.deferred().pop() {
            batch = json!({"Records": [{"messageId": "m", "body": next.body}]});
        }
    }
    assert!(stored.len() > 3, "{stored:?}");
    assert_eq!(gateway.failures().len(), 0);
}

#[tokio::test]
async fn a_browser_that_reads_nothing_is_closed_and_holds_up_nobody() {
    let limits = Limits {
        post_time_out: Duration::from_millis(200),
        close_time_out: Duration::from_millis(200),
        ..Limits::default()
    };
    let gateway = InProcess::start_with(limits).await;
    let (mut reading, _snapshot) = Browser::subscribed(&gateway.websocket_url, "o").await;
    let (_silent, _snapshot) = Browser::subscribed(&gateway.websocket_url, "o").await;
    let data = json!({"eventName": "A", "orderId": "o", "note": "x".repeat(120_000)});
    let data = domain::EventData::new(domain::Json::from(data).into_object().unwrap()).unwrap();
    let event = domain::Event { event_ref: domain::EventRef::parse("1").unwrap(), ts_us: 0, data };
    gateway.store.event_log.append(&event, None).await.unwrap();
    // The last event is small and the projection large: each delivery is a message that fills the silent one's socket.
    gateway.append("o", 2..=2).await;
    let mut deliveries = 0;
    while gateway.pages().is_empty() {
        assert_eq!(gateway.deliver("o", &[2]).await, BatchResponse::default());
        assert_eq!(versions(&reading.next().await), (vec![2], 2));
        deliveries += 1;
        assert!(deliveries < 1_000, "the silent browser takes everything");
    }
    assert!(deliveries > 1);
    let mut rounds = 1;
    while gateway.work_on_pages().await > 0 {
        rounds += 1;
        assert!(rounds < limits::CLOSE_ROUND_MIN, "the silent browser is still there");
    }
    owners::hears_nothing(&mut reading).await;
    assert_eq!(gateway.deliver("o", &[2]).await, BatchResponse::default());
    assert_eq!(gateway.store.subscriptions.of_order(&order("o")).await.unwrap().rows(), 1);
}

#[tokio::test]
async fn an_update_of_300_kb_arrives_in_parts() {
    let gateway = InProcess::start().await;
    let (mut browser, _snapshot) = Browser::subscribed(&gateway.websocket_url, "o").await;
    let data = json!({"eventName": "A", "orderId": "o", "note": "x".repeat(300_000)});
    let data = domain::EventData::new(domain::Json::from(data).into_object().unwrap()).unwrap();
    let event = domain::Event { event_ref: domain::EventRef::parse("1").unwrap(), ts_us: 0, data };
    gateway.store.event_log.append(&event, None).await.unwrap();
    gateway.append("o", 2..=2).await;
    assert_eq!(gateway.deliver("o", &[2]).await, BatchResponse::default());
    let mut assembler = protocol::parts::Assembler::default();
    let whole = loop {
        if let protocol::parts::Assembled::Whole(whole) = assembler.accept(&browser.next_text().await) {
            break whole;
        }
    };
    let update: Value = serde_json::from_str(&whole).unwrap();
    assert_eq!(versions(&update), (vec![2], 2));
    assert_eq!(update["projection"]["note"].as_str().unwrap().len(), 300_000);
}
