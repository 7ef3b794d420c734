//! Producers that count for themselves, and put events ahead of their predecessors.

use futures_util::{StreamExt, stream};
use serde_json::json;
use tests::{
    browser::Browser,
    stack::{Data, Stack},
};

use crate::{settled, tail::Tail};

const EVENTS: u64 = 300;

async fn put(stack: &Stack, version: u64) {
    let data = json!({"eventName": {"S": "A"}, "orderId": {"S": "o"}, "n": {"N": version.to_string()}});
    let item = json!({"orderId": {"S": "o"}, "version": {"N": version.to_string()}, "ref": {"S": format!("r-{version}")},
                      "ts": {"N": "0"}, "data": {"M": data}});
    let put =
        json!({"TableName": "order_stream", "Item": item, "ConditionExpression": "attribute_not_exists(orderId)"});
    stack.dynamodb("PutItem", &put).await;
}

#[tokio::test]
async fn three_hundred_racing_puts_leave_no_failure() {
    let stack = Stack::start(Data::Ephemeral);
    let tail = Tail::start(&stack, &["o"], usize::try_from(EVENTS).unwrap());
    stream::iter(1..=EVENTS).for_each_concurrent(16, |version| put(&stack, version)).await;
    tail.ends_complete(&["o"], EVENTS);
    settled(&stack);
    assert!(stack.json_lines(&["failures", "list"]).is_empty());
}

#[tokio::test]
async fn an_event_that_is_put_before_its_predecessor_is_pushed_when_that_one_comes() {
    let stack = Stack::start(Data::Ephemeral);
    let (mut browser, _snapshot) = Browser::subscribed(&stack.websocket_url, "o").await;
    put(&stack, 2).await;
    let projection = json!({"TableName": "order_projections", "Key": {"orderId": {"S": "o"}}, "ConsistentRead": true});
    while stack.dynamodb("GetItem", &projection).await["Item"]["ahead"]["N"] != "2" {
        tokio::task::yield_now().await;
    }
    put(&stack, 1).await;
    let update = browser.next().await;
    assert_eq!((&update["version"], update["events"].as_array().unwrap().len()), (&json!(2), 2));
    settled(&stack);
    assert!(stack.json_lines(&["failures", "list"]).is_empty());
}
