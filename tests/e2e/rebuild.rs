//! `foldcast rebuild` brings every order to its log's head, and goes on where it was interrupted.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader},
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::stack::{Data, Stack};

use crate::{
    settled,
    tail::{append, event},
};

const ORDERS: usize = 300;

fn order_ids() -> Vec<String> {
    (0..ORDERS).map(|n| format!("order_{n:03}")).collect()
}

fn append_orders(stack: &Stack) {
    append(stack, &order_ids().iter().map(|order_id| event(order_id, 1)).collect::<Vec<_>>());
}

async fn lose_projection(stack: &Stack, order_id: &str) {
    let key = json!({"orderId": {"S": order_id}});
    stack.dynamodb("DeleteItem", &json!({"TableName": "order_projections", "Key": key})).await;
}

async fn put_first_event(stack: &Stack, order_id: &str, data: Option<Value>) {
    let mut item = json!({"orderId": {"S": order_id}, "version": {"N": "1"}, "ref": {"S": "1"}, "ts": {"N": "0"}});
    if let Some(data) = data {
        item["data"] = data;
    }
    stack.dynamodb("PutItem", &json!({"TableName": "order_stream", "Item": item})).await;
}

/// The orders that the lines name.
fn named(lines: &[Value]) -> BTreeSet<String> {
    lines.iter().filter_map(|line| line["orderId"].as_str().map(str::to_owned)).collect()
}

fn lines(stdout: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn every_order_is_rebuilt_those_without_a_projection_too() {
    let stack = Stack::start(Data::Ephemeral);
    append(&stack, &[event("whole", 1), event("lost", 1), event("lost", 2), event("broken", 1)]);
    settled(&stack);
    lose_projection(&stack, "lost").await;
    put_first_event(&stack, "broken", None).await;
    let rebuilt = stack.run(&["rebuild"]);
    assert_eq!(rebuilt.status.code(), Some(1), "one order cannot be folded");
    let said = String::from_utf8_lossy(&rebuilt.stderr).into_owned();
    assert!(said.starts_with("foldcast: cannot rebuild broken: ") && said.lines().count() == 1, "{said}");
    let lines = lines(&rebuilt.stdout);
    assert_eq!(lines.last().unwrap(), &json!({"orders": 2, "changed": 1, "skipped": 0, "failed": 1}));
    assert!(lines.contains(&json!({"orderId": "lost", "from": 0, "to": 2, "changed": true})), "{lines:?}");
    assert!(lines.contains(&json!({"orderId": "whole", "from": 1, "to": 1, "changed": false})), "{lines:?}");

    let data = json!({"M": {"eventName": {"S": "OrderChanged"}, "orderId": {"S": "broken"}, "n": {"N": "1"}}});
    put_first_event(&stack, "broken", Some(data)).await;
    let rebuilt = stack.json_lines(&["rebuild"]);
    assert_eq!(rebuilt.last().unwrap(), &json!({"orders": 3, "changed": 0, "skipped": 0, "failed": 0}));
    settled(&stack);
}

#[tokio::test]
async fn a_rebuild_that_was_killed_goes_on_where_it_was() {
    let (stack, folder) = (Stack::start(Data::Ephemeral), TempDir::new().unwrap());
    append_orders(&stack);
    settled(&stack);
    // The last order cannot be folded: whenever the kill comes, the file stays.
    let last = order_ids().pop().unwrap();
    put_first_event(&stack, &last, None).await;
    let file = folder.path().join("rebuild");
    let rebuild = ["rebuild", "--resume", file.to_str().unwrap()];
    let mut process = stack.command(&rebuild).spawn().unwrap();
    let printed = BufReader::new(process.stdout.take().unwrap()).lines().take(20);
    let printed: Vec<Value> = printed.map(|line| serde_json::from_str(&line.unwrap()).unwrap()).collect();
    process.kill().unwrap();
    process.wait().unwrap();
    let text = fs::read_to_string(&file).unwrap();
    let whole = text.lines().skip(1).filter_map(|line| serde_json::from_str::<String>(line).ok());
    let done: BTreeSet<String> = whole.collect();
    assert!(done.is_superset(&named(&printed)), "what was printed is written down");

    for order_id in order_ids() {
        lose_projection(&stack, &order_id).await;
    }
    let resumed = stack.run(&rebuild);
    assert_eq!(resumed.status.code(), Some(1), "the last order cannot be folded");
    let lines_of_resumed = lines(&resumed.stdout);
    let all: BTreeSet<String> = order_ids().into_iter().collect();
    let mut expected: BTreeSet<String> = all.difference(&done).cloned().collect();
    expected.remove(&last);
    assert_eq!(named(&lines_of_resumed), expected, "those that were not done, and no others");
    let summary = lines_of_resumed.last().unwrap();
    assert_eq!((&summary["skipped"], &summary["failed"]), (&json!(done.len()), &json!(1)));

    // What failed is not done: it is the one order that the next run has.
    let data = json!({"M": {"eventName": {"S": "OrderChanged"}, "orderId": {"S": last}, "n": {"N": "1"}}});
    put_first_event(&stack, &last, Some(data)).await;
    let rebuilt = stack.json_lines(&rebuild);
    assert_eq!(rebuilt[0], json!({"orderId": last, "from": 0, "to": 1, "changed": true}));
    assert_eq!(rebuilt[1], json!({"orders": 1, "changed": 1, "skipped": ORDERS - 1, "failed": 0}));
    assert!(!file.exists(), "the next rebuild begins anew");
}

#[tokio::test]
async fn the_file_of_another_deployment_is_refused() {
    let (stack, folder) = (Stack::start(Data::Ephemeral), TempDir::new().unwrap());
    append(&stack, &[event("o", 1)]);
    let file = folder.path().join("rebuild");
    fs::write(&file, "\"order_stream at eu-west-1\"\n\"o\"\n").unwrap();
    let refused = stack.run(&["rebuild", "--resume", file.to_str().unwrap()]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(2), 0));
    let named = stack.run(&["rebuild", "o", "--resume", file.to_str().unwrap()]);
    assert_eq!(named.status.code(), Some(2), "named orders are few");
}
