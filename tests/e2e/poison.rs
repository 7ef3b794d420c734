//! What cannot be folded goes to the failure queue with its key and a reason, and everything else goes on.

use std::{fs, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{
    PATIENCE,
    browser::Browser,
    stack::{Data, Stack},
};
use tokio::time::{sleep, timeout};

use crate::{
    settled,
    tail::{append, event},
};

/// Waits until so many messages are on the stack's queues.
async fn failures(folder: &TempDir, count: usize) -> Vec<Value> {
    let read = || {
        let files = fs::read_dir(folder.path().join("queues")).unwrap();
        let texts = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect::<String>();
        let lines = texts.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| serde_json::from_str(line["body"].as_str().unwrap()).unwrap()).collect::<Vec<Value>>()
    };
    let arrived = async {
        loop {
            let messages = read();
            if messages.len() >= count {
                return messages;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, arrived).await.unwrap()
}

fn with(event: Value, fields: &Value) -> Value {
    let mut event = event;
    event["data"].as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    event
}

#[tokio::test]
async fn poison_goes_to_the_failure_queue_and_other_orders_go_on() {
    let folder = TempDir::new().unwrap();
    let stack = Stack::start(Data::Folder(folder.path()));
    let (mut good, _snapshot) = Browser::subscribed(&stack.websocket_url, "good").await;
    let (mut bad, _snapshot) = Browser::subscribed(&stack.websocket_url, "bad").await;
    let poison = json!({"orderId": {"S": "bad"}, "version": {"N": "1"}, "ref": {"S": "secret"}});
    stack.dynamodb("PutItem", &json!({"TableName": "order_stream", "Item": poison})).await;
    append(&stack, &[event("good", 1), event("bad", 2)]);
    assert_eq!(good.next().await["version"], 1);

    let messages = failures(&folder, 2).await;
    let poison = messages.iter().find(|message| message["failure"] == "poison").unwrap();
    assert_eq!(
        (&poison["key"], poison["reason"].as_str().unwrap()),
        (&json!("orderId=\"bad\" version=1"), "the attribute ts is missing")
    );
    let behind = messages.iter().find(|message| message["failure"] == "not_folded").unwrap();
    assert_eq!((&behind["orderId"], &behind["firstVersion"]), (&json!("bad"), &json!(2)));
    assert!(behind["reason"].as_str().unwrap().contains("orderId=\"bad\" version=1"), "{behind}");
    assert!(!json!(messages).to_string().contains("secret"), "no content is on the queue");
    assert_eq!(stack.run(&["verify"]).status.code(), Some(1), "the order is seen to be broken");

    // mended: a good event in the poison's place, and the order made again from its log
    let mended = json!({"orderId": {"S": "bad"}, "version": {"N": "1"}, "ref": {"S": "1"}, "ts": {"N": "0"},
                        "data": {"M": {"eventName": {"S": "A"}, "orderId": {"S": "bad"}}}});
    stack.dynamodb("PutItem", &json!({"TableName": "order_stream", "Item": mended})).await;
    let rebuilt = stack.json_lines(&["rebuild", "bad"]);
    assert_eq!(rebuilt, [json!({"orderId": "bad", "from": 0, "to": 2, "changed": true})]);
    let update = bad.next().await;
    assert_eq!((&update["version"], update["events"].as_array().unwrap().len()), (&json!(2), 2));
    assert_eq!(stack.json_lines(&["verify"]), [json!({"orders": 2, "events": 3, "differences": 0})]);
}

#[tokio::test]
async fn a_version_that_no_browser_holds_is_dead_lettered_and_stops_nobody_else() {
    let folder = TempDir::new().unwrap();
    let stack = Stack::start(Data::Folder(folder.path()));
    let versions = ["18446744073709551615", "9223372036854775807", "9007199254740992"];
    for (index, version) in versions.iter().enumerate() {
        let order_id = format!("bad{index}");
        let data = json!({"eventName": {"S": "A"}, "orderId": {"S": order_id}});
        let item = json!({"orderId": {"S": order_id}, "version": {"N": version}, "ref": {"S": "1"}, "ts": {"N": "0"},
                          "data": {"M": data}});
        stack.dynamodb("PutItem", &json!({"TableName": "order_stream", "Item": item})).await;
    }
    let (mut good, _snapshot) = Browser::subscribed(&stack.websocket_url, "good").await;
    append(&stack, &[event("good", 1)]);
    assert_eq!(good.next().await["version"], 1);
    let messages = failures(&folder, versions.len()).await;
    for (index, version) in versions.iter().enumerate() {
        let key = format!("orderId=\"bad{index}\" version={version}");
        let poison = messages.iter().find(|message| message["key"] == key.as_str()).unwrap();
        assert_eq!(poison["reason"], "the attribute version must be from 0 to 9007199254740991");
    }
    assert_eq!(stack.run_with_input(&["append", "-"], &event("bad0", 2).to_string()).status.code(), Some(1));
    assert_eq!(stack.run(&["rebuild", "bad0"]).status.code(), Some(1), "no order is whole with such an item");
    let verified = String::from_utf8(stack.run(&["verify"]).stdout).unwrap();
    let verified: Vec<Value> = verified.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (summary, broken) = verified.split_last().unwrap();
    assert_eq!(*summary, json!({"orders": 4, "events": 1, "differences": 3}), "each order is looked at");
    assert!(broken.iter().all(|line| line["difference"] == "broken"), "{broken:?}");
}

#[tokio::test]
async fn a_projection_over_400_kb_is_not_lost_and_stops_nobody_else() {
    let folder = TempDir::new().unwrap();
    let stack = Stack::start(Data::Folder(folder.path()));
    let (mut large, _snapshot) = Browser::subscribed(&stack.websocket_url, "large").await;
    let (mut other, _snapshot) = Browser::subscribed(&stack.websocket_url, "other").await;
    let half = "x".repeat(250_000);
    append(&stack, &[with(event("large", 1), &json!({"a": half}))]);
    assert_eq!(large.next_whole().await.0["version"], 1);
    append(&stack, &[with(event("large", 2), &json!({"b": half})), event("other", 3)]);
    assert_eq!(other.next().await["version"], 1);
    let messages = failures(&folder, 1).await;
    assert_eq!((&messages[0]["orderId"], &messages[0]["lastVersion"]), (&json!("large"), &json!(2)));
    assert!(messages[0]["reason"].as_str().unwrap().contains("DynamoDB takes at most"), "{}", messages[0]);
    let whole = stack.json_lines(&["fold", "large"]);
    assert_eq!(whole[0]["b"], json!(half), "the log has every event, and folds whole");

    append(&stack, &[with(event("large", 4), &json!({"a": null}))]);
    let verified = stack.json_lines(&["verify"]);
    assert_eq!(verified, [json!({"orders": 2, "events": 4, "differences": 0})], "it fits again: folded from the log");
}

#[tokio::test]
async fn a_projection_that_is_not_the_fold_is_rebuilt_once() {
    let stack = Stack::start(Data::Ephemeral);
    append(&stack, &[event("o", 1), event("o", 2)]);
    settled(&stack);
    let wrong = json!({"orderId": {"S": "o"}, "version": {"N": "2"}, "projection": {"M": {}}, "updatedAt": {"N": "0"}});
    stack.dynamodb("PutItem", &json!({"TableName": "order_projections", "Item": wrong})).await;
    assert_eq!(stack.run(&["verify"]).status.code(), Some(1));
    let (mut browser, snapshot) = Browser::subscribed(&stack.websocket_url, "o").await;
    assert_eq!((&snapshot["version"], &snapshot["projection"]), (&json!(2), &json!({})));
    let rebuilt = |changed: bool| [json!({"orderId": "o", "from": 2, "to": 2, "changed": changed})];
    assert_eq!(stack.json_lines(&["rebuild", "o"]), rebuilt(true));
    let update = browser.next().await;
    assert_eq!((&update["version"], &update["events"], &update["refolded"]), (&json!(2), &json!([]), &json!(true)));
    assert_eq!(update["projection"]["n"], 2, "whoever looked at the wrong one is shown the right one");
    assert_eq!(stack.json_lines(&["rebuild", "o"]), rebuilt(false));
    assert_eq!(browser.next().await.get("refolded"), None);
    settled(&stack);
}

#[tokio::test]
async fn browsers_begin_anew_when_a_projection_turns_out_to_be_ahead_of_its_log() {
    let stack = Stack::start(Data::Ephemeral);
    append(&stack, &[event("o", 1)]);
    settled(&stack);
    let ahead = json!({"orderId": {"S": "o"}, "version": {"N": "9"}, "projection": {"M": {}}, "updatedAt": {"N": "0"}});
    stack.dynamodb("PutItem", &json!({"TableName": "order_projections", "Item": ahead})).await;
    let (mut browser, snapshot) = Browser::subscribed(&stack.websocket_url, "o").await;
    assert_eq!(snapshot["version"], 9);
    assert_eq!(stack.json_lines(&["rebuild", "o"]), [json!({"orderId": "o", "from": 9, "to": 1, "changed": true})]);
    let update = browser.next().await;
    assert_eq!(
        (&update["version"], &update["reset"], &update["projection"]["n"]),
        (&json!(1), &json!(true), &json!(1))
    );
}
