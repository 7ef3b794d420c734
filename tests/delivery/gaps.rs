//! Events that are put ahead of their predecessors: they wait, and whoever folds the missing event goes on with them.

use domain::Version;
use queues::batch::BatchResponse;
use serde_json::{Value, json};
use tests::{
    browser::Browser,
    gateway::{InProcess, deliver},
};
use tokio::time::Instant;

use crate::{order, owners::hears_nothing, stored, versions};

/// An item of the log, as a producer that counts for itself puts it.
fn item(version: u64) -> Value {
    let data = json!({"eventName": {"S": "OrderChanged"}, "orderId": {"S": "o"}, "n": {"N": version.to_string()}});
    json!({"orderId": {"S": "o"}, "version": {"N": version.to_string()}, "ref": {"S": version.to_string()},
           "ts": {"N": "0"}, "data": {"M": data}})
}

/// Puts events and hands each to the event handler, one batch a slice.
async fn put(gateway: &InProcess, batches: &[&[u64]]) {
    for batch in batches {
        batch.iter().for_each(|version| gateway.put("order_stream", item(*version)));
        assert_eq!(gateway.deliver("o", batch).await, BatchResponse::default());
    }
}

#[tokio::test]
async fn whoever_folds_a_missing_event_goes_on_with_those_that_wait_for_it() {
    let gateway = InProcess::start().await;
    let (mut browser, _snapshot) = Browser::subscribed(&gateway.websocket_url, "o").await;
    put(&gateway, &[&[2]]).await;
    assert_eq!(stored(&gateway).await["version"], 0);
    put(&gateway, &[&[1]]).await;
    assert_eq!(versions(&browser.next().await), (vec![1, 2], 2));
    put(&gateway, &[&[3]]).await;
    assert_eq!(versions(&browser.next().await), (vec![3], 3));
    assert_eq!(gateway.work_on_deferred().await, 0, "what waited is done with");
    hears_nothing(&mut browser).await;
    assert!(gateway.failures().is_empty());
}

#[tokio::test]
async fn what_comes_before_a_gap_does_not_wait() {
    let gateway = InProcess::start().await;
    let (mut browser, _snapshot) = Browser::subscribed(&gateway.websocket_url, "o").await;
    put(&gateway, &[&[1, 3, 6]]).await;
    assert_eq!(versions(&browser.next().await), (vec![1], 1));
    put(&gateway, &[&[2]]).await;
    assert_eq!(versions(&browser.next().await), (vec![2, 3], 3));
    put(&gateway, &[&[5]]).await;
    put(&gateway, &[&[4]]).await;
    assert_eq!(versions(&browser.next().await), (vec![4, 5, 6], 6));
    assert_eq!(gateway.work_on_deferred().await, 0);
    hears_nothing(&mut browser).await;
    assert!(gateway.failures().is_empty());
}

#[tokio::test]
async fn a_gap_that_lasts_is_dead_lettered_and_closes_all_the_same_when_the_event_arrives() {
    let gateway = InProcess::start().await;
    let (mut browser, _snapshot) = Browser::subscribed(&gateway.websocket_url, "o").await;
    put(&gateway, &[&[1, 3, 4]]).await;
    assert_eq!(versions(&browser.next().await), (vec![1], 1));
    assert!(gateway.failures().is_empty(), "a gap is no failure while it can close");
    assert_eq!(gateway.work_on_deferred().await, 0);
    let failures = gateway.failures();
    let reason = "the events were not folded: the log has no event 2, and event 4 waits for it";
    let failure =
        json!({"failure": "not_folded", "orderId": "o", "firstVersion": 2, "lastVersion": 4, "reason": reason});
    assert_eq!(failures, [failure]);
    put(&gateway, &[&[2]]).await;
    assert_eq!(versions(&browser.next().await), (vec![2, 3, 4], 4));
}

#[tokio::test]
async fn a_process_that_remembers_the_projection_without_the_gap_finds_out_about_it() {
    let gateway = InProcess::start().await;
    let (mut browser, _snapshot) = Browser::subscribed(&gateway.websocket_url, "o").await;
    put(&gateway, &[&[1]]).await;
    assert_eq!(versions(&browser.next().await), (vec![1], 1));
    let other = gateway.handler_without_connections();
    gateway.put("order_stream", item(3));
    assert_eq!(deliver(&other, "o", &[3]).await, BatchResponse::default());
    put(&gateway, &[&[2]]).await;
    assert_eq!(versions(&browser.next().await), (vec![2, 3], 3));
}

#[tokio::test]
async fn an_event_that_arrives_while_a_gap_is_noted_closes_it() {
    let gateway = InProcess::start().await;
    let (mut browser, _snapshot) = Browser::subscribed(&gateway.websocket_url, "o").await;
    gateway.put("order_stream", item(2));
    // The missing event is appended and folded after the log was read, and before the gap is noted.
    let projection = json!({"orderId": {"S": "o"}, "version": {"N": "1"}, "updatedAt": {"N": "1"},
                            "projection": {"M": item(1)["data"]["M"]}});
    let (append, fold) = (gateway.putting("order_stream", item(1)), gateway.putting("order_projections", projection));
    gateway.counted.before("PutItem", move || {
        append();
        fold();
    });
    assert_eq!(gateway.deliver("o", &[2]).await, BatchResponse::default());
    assert_eq!(versions(&browser.next().await), (vec![2], 2));
    assert_eq!(gateway.deferred().len(), 0);
}

#[tokio::test]
async fn an_event_that_the_log_does_not_have_waits_and_changes_nothing() {
    let gateway = InProcess::start().await;
    gateway.append("o", 1..=1).await;
    assert_eq!(gateway.deliver("o", &[3]).await, BatchResponse::default());
    assert_eq!(gateway.store.projections.get(&order("o")).await.unwrap().version(), Version::FIRST);
    assert_eq!(gateway.work_on_deferred().await, 0);
    let failures = gateway.failures();
    assert_eq!((failures.len(), &failures[0]["firstVersion"]), (1, &json!(3)));
    assert_eq!(failures[0]["reason"], "the events were not folded: the log has no event 2, and event 3 waits for it");
}

#[tokio::test]
async fn what_waits_and_cannot_be_folded_keeps_no_event_before_it_from_being_folded() {
    let gateway = InProcess::start().await;
    let (mut browser, _snapshot) = Browser::subscribed(&gateway.websocket_url, "o").await;
    put(&gateway, &[&[4]]).await;
    gateway.put("order_stream", json!({"orderId": {"S": "o"}, "version": {"N": "3"}, "ref": {"S": "3"}}));
    put(&gateway, &[&[1]]).await;
    assert_eq!(versions(&browser.next().await), (vec![1], 1));
    put(&gateway, &[&[2]]).await;
    assert_eq!(versions(&browser.next().await), (vec![2], 2));
    assert!(gateway.failures().is_empty());
    assert_eq!(gateway.work_on_deferred().await, 0);
    let failures = gateway.failures();
    assert_eq!((failures.len(), &failures[0]["lastVersion"]), (1, &json!(4)));
    assert!(failures[0]["reason"].as_str().unwrap().contains("orderId=\"o\" version=3"), "{}", failures[0]);
    // An operator puts a good event in its place.
    put(&gateway, &[&[3]]).await;
    assert_eq!(versions(&browser.next().await), (vec![3, 4], 4));
}

#[tokio::test]
async fn events_that_waited_are_pushed_though_folding_them_takes_several_invocations() {
    let gateway = InProcess::start().await;
    let (mut browser, _snapshot) = Browser::subscribed(&gateway.websocket_url, "o").await;
    for version in 1..=4 {
        let data = json!({"eventName": "A", "orderId": "o", "note": "x".repeat(300_000), "n": version});
        gateway.append_data("o", version, &data).await;
    }
    let body = json!({"orderId": "o", "first": 1, "last": 2, "round": 2, "deferredAt": store::now_ms(), "waits": true});
    let mut batch = json!({"Records": [{"messageId": "m", "body": body.to_string()}]});
    // There is time for one part of the log.
    for _ in 0..5 {
        let response = gateway.handler().handle(&batch.to_string(), Instant::now()).await.unwrap();
        assert_eq!(response, BatchResponse::default());
        if let Some(next) = gateway.deferred().pop() {
            batch = json!({"Records": [{"messageId": "m", "body": next.body}]});
        }
    }
    gateway.work_on_pages().await;
    // A large run travels as several updates.
    while browser.next_whole().await.0["version"] != 4 {}
}
