//! An order with more subscribers than one invocation pushes to: they are handed over in pages.

use local::websocket_api::Limits;
use queues::batch::BatchResponse;
use serde_json::json;
use tests::{
    browser::Browser,
    gateway::{InProcess, deliver},
};

use crate::{owners::hears_nothing, versions};

/// A gateway with pages of two, and five browsers that look at the order `o`: three pages.
async fn five_browsers_in_pages_of_two() -> (InProcess, Vec<Browser>) {
    let gateway = InProcess::start_in_pages(Limits::default(), 2).await;
    let mut browsers = Vec::new();
    for _ in 0..5 {
        browsers.push(Browser::subscribed(&gateway.websocket_url, "o").await.0);
    }
    (gateway, browsers)
}

/// How many messages of this shape a failed batch has.
fn failed(sequence_number: &str) -> serde_json::Value {
    json!({"batchItemFailures": [{"itemIdentifier": sequence_number}]})
}

#[tokio::test]
async fn an_order_with_more_subscribers_than_a_page_is_handed_over_and_each_gets_the_update_once() {
    let (gateway, mut browsers) = five_browsers_in_pages_of_two().await;
    gateway.append("o", 1..=1).await;
    assert_eq!(gateway.deliver("o", &[1]).await, BatchResponse::default());
    assert_eq!(gateway.pages().len(), 3);
    assert_eq!(gateway.work_on_pages().await, 0);
    for browser in &mut browsers {
        assert_eq!(versions(&browser.next().await), (vec![1], 1));
        hears_nothing(browser).await;
    }
}

#[tokio::test]
async fn a_page_has_no_event_and_no_field_of_one() {
    let (gateway, _browsers) = five_browsers_in_pages_of_two().await;
    gateway.append("o", 1..=1).await;
    gateway.deliver("o", &[1]).await;
    for page in gateway.pages() {
        assert!(!page.body.contains("secret") && !page.body.contains("OrderChanged"), "{}", page.body);
    }
}

#[tokio::test]
async fn a_full_page_and_nobody_behind_it_is_not_handed_over() {
    let gateway = InProcess::start_in_pages(Limits::default(), 2).await;
    let mut browsers = Vec::new();
    for _ in 0..2 {
        browsers.push(Browser::subscribed(&gateway.websocket_url, "o").await.0);
    }
    gateway.append("o", 1..=1).await;
    assert_eq!(gateway.deliver("o", &[1]).await, BatchResponse::default());
    assert_eq!(gateway.pages().len(), 0, "one invocation pushes to a page");
    for browser in &mut browsers {
        assert_eq!(versions(&browser.next().await), (vec![1], 1));
    }
}

#[tokio::test]
async fn pages_that_the_queue_does_not_take_make_the_events_come_again() {
    let (gateway, _browsers) = five_browsers_in_pages_of_two().await;
    gateway.append("o", 1..=1).await;
    let handler = gateway.handler_without_api_gateway_in_pages_of(2);
    assert_eq!(json!(deliver(&handler, "o", &[1]).await), failed("1"));
}

#[tokio::test]
async fn a_page_that_is_not_pushed_to_comes_again_and_no_other_page_with_it() {
    let gateway = InProcess::start_in_pages(Limits::default(), 5).await;
    // Connections that take no push and cannot be closed; and behind them browsers.
    for number in 0..5 {
        gateway.record_subscription("o", &format!("-0SM9cOFvHcCIh{number}=")).await;
    }
    let mut browsers = Vec::new();
    for _ in 0..2 {
        browsers.push(Browser::subscribed(&gateway.websocket_url, "o").await.0);
    }
    gateway.append("o", 1..=1).await;
    assert_eq!(gateway.deliver("o", &[1]).await, BatchResponse::default());
    let message = |page: &local::queue::Message| json!({"messageId": page.message_id, "body": page.body});
    let batch = json!({"Records": gateway.pages().iter().map(message).collect::<Vec<_>>()});
    let first = gateway.pages()[0].message_id.clone();
    let response = gateway.fan_out_without_api_gateway(&batch).await;
    assert_eq!(response["batchItemFailures"].as_array().unwrap().len(), 2, "no queue takes who is left");
    let unreadable = json!({"Records": [{"messageId": "unreadable", "body": "{}"}, message(&gateway.pages()[1])]});
    assert_eq!(gateway.fan_out(&unreadable).await, failed("unreadable"));
    for browser in &mut browsers {
        assert_eq!(versions(&browser.next().await), (vec![1], 1), "its page was not held up");
    }
    assert_eq!(gateway.pages()[0].message_id, first);
}

#[tokio::test]
async fn a_page_that_comes_late_brings_what_was_folded_meanwhile() {
    let (gateway, mut browsers) = five_browsers_in_pages_of_two().await;
    gateway.append("o", 1..=2).await;
    gateway.deliver("o", &[1]).await;
    gateway.deliver("o", &[2]).await;
    assert_eq!((gateway.pages().len(), gateway.work_on_pages().await), (6, 0));
    for browser in &mut browsers {
        assert_eq!(versions(&browser.next().await), (vec![1, 2], 2));
        assert_eq!(versions(&browser.next().await), (vec![2], 2));
    }
}

#[tokio::test]
async fn a_page_whose_projection_was_taken_away_waits_until_it_is_back() {
    let (gateway, mut browsers) = five_browsers_in_pages_of_two().await;
    gateway.append("o", 1..=1).await;
    gateway.deliver("o", &[1]).await;
    gateway.delete("order_projections", json!({"orderId": {"S": "o"}}));
    assert_eq!(gateway.work_on_pages().await, 3);
    gateway.put(
        "order_projections",
        json!({"orderId": {"S": "o"}, "version": {"N": "1"}, "projection": {"M": {}}, "updatedAt": {"N": "0"}}),
    );
    assert_eq!(gateway.work_on_pages().await, 0);
    assert_eq!(versions(&browsers[0].next().await), (vec![1], 1));
}

#[tokio::test]
async fn a_page_whose_projection_is_broken_goes_to_the_failure_queue_at_once() {
    let (gateway, _browsers) = five_browsers_in_pages_of_two().await;
    gateway.append("o", 1..=1).await;
    gateway.deliver("o", &[1]).await;
    gateway.put("order_projections", json!({"orderId": {"S": "o"}, "version": {"S": "secret"}}));
    assert_eq!(gateway.work_on_pages().await, 0, "no page is retried");
    let failures = gateway.failures();
    assert_eq!(failures.len(), 3, "each page says so");
    let reason = failures[0]["reason"].as_str().unwrap();
    assert!(reason.ends_with("the attribute version must be a number") && !reason.contains("secret"), "{reason}");
    assert_eq!((&failures[0]["failure"], &failures[0]["orderId"]), (&json!("not_folded"), &json!("o")));
}

#[tokio::test]
async fn a_page_goes_on_with_those_who_are_left_and_nobody_gets_the_update_twice() {
    let (gateway, mut browsers) = five_browsers_in_pages_of_two().await;
    gateway.append("o", 1..=1).await;
    gateway.deliver("o", &[1]).await;
    let message = |page: &local::queue::Message| json!({"messageId": page.message_id, "body": page.body});
    let first = gateway.pages().remove(0);
    let batch = json!({"Records": [message(&first)]});
    assert_eq!(gateway.fan_out_without_connections(&batch).await, json!({"batchItemFailures": []}));
    let next: serde_json::Value = serde_json::from_str(&gateway.pages()[3].body).unwrap();
    assert_eq!((next["left"].as_array().unwrap().len(), &next["rounds"]), (2, &json!(1)));
    // One of them has it by now, says the page; only the other one is pushed to.
    let mut one_left = next.clone();
    one_left["left"].as_array_mut().unwrap().truncate(1);
    let batch = json!({"Records": [{"messageId": "m", "body": one_left.to_string()}]});
    gateway.fan_out(&batch).await;
    let mut got = 0;
    for browser in &mut browsers {
        got += usize::from(browser.ask(r#"{"action":"ping"}"#).await["type"] == "update");
    }
    assert_eq!(got, 1);
}

#[tokio::test]
async fn a_page_that_is_older_than_any_connection_is_dropped() {
    let (gateway, _browsers) = five_browsers_in_pages_of_two().await;
    gateway.append("o", 1..=1).await;
    gateway.deliver("o", &[1]).await;
    let mut page: serde_json::Value = serde_json::from_str(&gateway.pages()[0].body).unwrap();
    page["begunAt"] = json!(store::now_ms() - 3 * 60 * 60 * 1_000);
    let batch = json!({"Records": [{"messageId": "m", "body": page.to_string()}]});
    assert_eq!(gateway.fan_out_without_connections(&batch).await, json!({"batchItemFailures": []}));
    assert_eq!(gateway.pages().len(), 3, "nothing is left of it");
}

#[tokio::test]
async fn an_order_with_more_pages_than_a_call_takes_is_handed_over_whole() {
    let gateway = InProcess::start_in_pages(Limits::default(), 1).await;
    for number in 0..23 {
        gateway.record_subscription("o", &format!("L0SM9cOFvHcCI{number:02}=")).await;
    }
    gateway.append("o", 1..=1).await;
    assert_eq!(gateway.deliver("o", &[1]).await, BatchResponse::default());
    assert_eq!(gateway.pages().len(), 23);
}
