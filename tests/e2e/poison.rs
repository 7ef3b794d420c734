//! An item that is no event: it goes to the failure queue, and other orders go on.

use std::{fs, time::Duration};

use serde_json::{Value, json};
use tempfile::TempDir;
use tests::{
    PATIENCE,
    browser::Browser,
    stack::{Data, Stack},
};
use tokio::time::{sleep, timeout};

#[tokio::test]
async fn poison_goes_to_the_failure_queue_and_other_orders_go_on() {
    let folder = TempDir::new().unwrap();
    let stack = Stack::start(Data::Folder(folder.path()));
    let (mut browser, _snapshot) = Browser::subscribed(&stack.websocket_url, "good").await;
    let poison = json!({"orderId": {"S": "bad"}, "version": {"N": "1"}, "ref": {"S": "no ref"}});
    stack.dynamodb("PutItem", &json!({"TableName": "order_stream", "Item": poison})).await;
    let event = json!({"ref": "1", "ts": 0, "data": {"eventName": "A", "orderId": "good"}});
    assert!(stack.run_with_input(&["append", "-"], &event.to_string()).status.success());
    assert_eq!(browser.next().await["version"], 1);

    let queue = async {
        loop {
            let files = fs::read_dir(folder.path().join("queues")).unwrap();
            let texts = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect::<String>();
            if !texts.is_empty() {
                return texts;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    let messages = timeout(PATIENCE, queue).await.unwrap();
    let messages: Vec<Value> = messages.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0]["requestContext"]["condition"], "RetryAttemptsExhausted");
    assert_eq!(messages[0]["DDBStreamBatchInfo"]["batchSize"], 1);
}
