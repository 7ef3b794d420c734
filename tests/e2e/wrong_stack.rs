//! A command that is told another stack's address does no harm, and one that is told nothing finds its own stack.

use std::process::Output;

use serde_json::json;
use tests::{
    browser::Browser,
    stack::{Data, Stack},
};

use crate::{
    settled,
    tail::{append, event},
};

/// A stack whose order `o` has an event and a subscriber, and another stack beside it.
async fn stacks() -> (Stack, Browser, Stack) {
    let (stack, other) = (Stack::start(Data::Ephemeral), Stack::start(Data::Ephemeral));
    append(&stack, &[event("o", 1)]);
    settled(&stack);
    let (browser, snapshot) = Browser::subscribed(&stack.websocket_url, "o").await;
    assert_eq!(snapshot["version"], 1);
    (stack, browser, other)
}

async fn lose_projection(stack: &Stack) {
    let delete = json!({"TableName": "order_projections", "Key": {"orderId": {"S": "o"}}});
    stack.dynamodb("DeleteItem", &delete).await;
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

async fn hears_the_next_event(stack: &Stack, browser: &mut Browser, version: u64) {
    append(stack, &[event("o", version)]);
    assert_eq!(browser.next().await["version"], version);
}

#[tokio::test]
async fn a_rebuild_by_another_stacks_address_fails_and_the_subscriber_hears_the_next_event() {
    let (stack, mut browser, other) = stacks().await;
    for flag in [true, false] {
        lose_projection(&stack).await;
        let mut command = stack.command(&["rebuild", "o"]);
        if flag {
            command.args(["--management-url", &other.management_url]);
        } else {
            command.env("MANAGEMENT_ENDPOINT", &other.management_url);
        }
        let Output { status, stderr, .. } = command.output().unwrap();
        let said = text(&stderr);
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("connected to another stage than {}", other.management_url)), "{said}");
    }
    hears_the_next_event(&stack, &mut browser, 2).await;
}

#[tokio::test]
async fn a_rebuild_without_an_address_pushes_to_the_stack_of_the_tables() {
    let (stack, mut browser, _other) = stacks().await;
    lose_projection(&stack).await;
    assert_eq!(
        stack.json_lines(&["rebuild", "o"]),
        [json!({"orderId": "o", "from": 0, "to": 1, "changed": true})],
        "it reached the browser"
    );
    assert_eq!(browser.next().await["version"], 1);
    hears_the_next_event(&stack, &mut browser, 2).await;
}

#[tokio::test]
async fn the_failure_queue_is_that_of_the_stack_of_the_tables() {
    let (stack, _browser, other) = stacks().await;
    let malformed = json!({"orderId": {"S": "bad"}, "version": {"N": "1"}, "ref": {"S": "1"}});
    other.dynamodb("PutItem", &json!({"TableName": "order_stream", "Item": malformed})).await;
    while other.json_lines(&["failures", "list"]).is_empty() {}
    assert!(stack.json_lines(&["failures", "list"]).is_empty(), "the other stack's messages are not this one's");
    let mut list = stack.command(&["failures", "list"]);
    let listed = list.env("MANAGEMENT_ENDPOINT", &other.management_url).output().unwrap();
    assert_eq!(text(&listed.stdout), "", "whatever address is set, the messages are about orders of these tables");
}
