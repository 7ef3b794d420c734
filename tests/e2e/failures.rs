//! What could not be folded is looked at and mended by `foldcast failures`, and nothing is lost on the way.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tests::{
    PATIENCE,
    aws_json::call,
    stack::{Data, Stack},
};
use tokio::time::{sleep, timeout};

use crate::tail::{append, event};

/// More than one receiving call hands over.
const MANY: usize = 35;

/// What SQS is asked by somebody else.
async fn sqs(stack: &Stack, operation: &str, request: &Value) -> Value {
    let origin = stack.management_url.trim_end_matches("/local");
    call(origin, "local", &format!("AmazonSQS.{operation}"), request).await
}

async fn send(stack: &Stack, body: &str) {
    let queues = sqs(stack, "ListQueues", &json!({})).await;
    let urls = queues["QueueUrls"].as_array().unwrap().iter();
    let url = urls.clone().find(|url| url.as_str().unwrap().contains("Failure")).unwrap();
    sqs(stack, "SendMessage", &json!({"QueueUrl": url, "MessageBody": body})).await;
}

/// An order whose first event is no event and whose second one is good.
async fn poisoned(stack: &Stack, order_id: &str) {
    let poison = json!({"orderId": {"S": order_id}, "version": {"N": "1"}, "ref": {"S": "secret"}});
    stack.dynamodb("PutItem", &json!({"TableName": "order_stream", "Item": poison})).await;
    append(stack, &[event(order_id, 2)]);
}

async fn mended(stack: &Stack, order_id: &str) {
    let good = json!({"orderId": {"S": order_id}, "version": {"N": "1"}, "ref": {"S": "1"}, "ts": {"N": "0"},
                      "data": {"M": {"eventName": {"S": "A"}, "orderId": {"S": order_id}}}});
    stack.dynamodb("PutItem", &json!({"TableName": "order_stream", "Item": good})).await;
}

/// Lists again and again until there are so many messages.
async fn listed(stack: &Stack, count: usize) -> Vec<Value> {
    let arrived = async {
        loop {
            let lines = stack.json_lines(&["failures", "list"]);
            if lines.len() == count {
                return lines;
            }
            sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, arrived).await.unwrap()
}

fn ids(lines: &[Value]) -> BTreeSet<&str> {
    lines.iter().map(|line| line["id"].as_str().unwrap()).collect()
}

/// A command's exit code, and its lines.
fn run(stack: &Stack, args: &[&str]) -> (Option<i32>, Vec<Value>) {
    let output = stack.run(args);
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

#[tokio::test]
async fn a_failure_stays_on_the_queue_until_its_order_is_rebuilt() {
    let stack = Stack::start(Data::Ephemeral);
    poisoned(&stack, "bad").await;
    let messages = listed(&stack, 2).await;
    let poison = messages.iter().find(|message| message["kind"] == "poison").unwrap();
    assert_eq!((&poison["orderId"], &poison["key"]), (&json!("bad"), &json!("orderId=\"bad\" version=1")));
    let behind = messages.iter().find(|message| message["kind"] == "not_folded").unwrap();
    let versions = (&behind["orderId"], &behind["firstVersion"], &behind["lastVersion"]);
    assert_eq!(versions, (&json!("bad"), &json!(2), &json!(2)));
    assert!(messages.iter().all(|message| message["sentAt"].as_str().unwrap().ends_with('Z')), "{messages:?}");
    assert!(!json!(messages).to_string().contains("secret"), "no content is shown");

    let (code, lines) = run(&stack, &["failures", "replay", "--all"]);
    assert_eq!((code, &lines[2]), (Some(1), &json!({"replayed": 0, "left": 2})));
    assert!(lines[..2].iter().all(|line| line["replayed"] == false && line["orderId"] == "bad"), "{lines:?}");
    assert_eq!(ids(&listed(&stack, 2).await), ids(&messages), "what failed again is still there");

    mended(&stack, "bad").await;
    let id = poison["id"].as_str().unwrap();
    let replayed = stack.json_lines(&["failures", "replay", id]);
    let line = json!({"id": id, "orderId": "bad", "replayed": true, "from": 0, "to": 2, "changed": true});
    assert_eq!(replayed, [line, json!({"replayed": 1, "left": 0})]);
    assert_eq!(ids(&listed(&stack, 1).await), ids(std::slice::from_ref(behind)), "the other one was not asked for");
    let (code, _lines) = run(&stack, &["failures", "replay", "--all"]);
    assert_eq!(code, Some(0));
    assert!(stack.json_lines(&["failures", "list"]).is_empty());
    assert_eq!(stack.json_lines(&["verify"]), [json!({"orders": 1, "events": 2, "differences": 0})]);
}

#[tokio::test]
async fn one_failure_that_lasts_does_not_keep_the_others() {
    let stack = Stack::start(Data::Ephemeral);
    poisoned(&stack, "bad").await;
    poisoned(&stack, "good").await;
    listed(&stack, 4).await;
    mended(&stack, "good").await;
    let (code, lines) = run(&stack, &["failures", "replay", "--all"]);
    assert_eq!((code, lines.last().unwrap()), (Some(1), &json!({"replayed": 2, "left": 2})));
    assert!(listed(&stack, 2).await.iter().all(|message| message["orderId"] == "bad"));
    let (code, lines) = run(&stack, &["failures", "replay", "no-such-id"]);
    assert_eq!((code, &lines[0]["replayed"]), (Some(1), &json!(false)));
}

#[tokio::test]
async fn a_list_hides_and_loses_no_message() {
    let stack = Stack::start(Data::Ephemeral);
    for n in 0..MANY {
        let behind =
            json!({"failure": "not_folded", "orderId": "o", "firstVersion": n, "lastVersion": n, "reason": "r"});
        send(&stack, &behind.to_string()).await;
    }
    let first = stack.json_lines(&["failures", "list"]);
    let again = stack.json_lines(&["failures", "list"]);
    assert_eq!(
        (first.len(), &first),
        (MANY, &again),
        "the second list follows at once and sees all, in the same order"
    );
    assert_eq!(ids(&first).len(), MANY);
}

#[tokio::test]
async fn a_document_of_lambda_is_shown_with_what_to_do_and_deleted_by_hand() {
    let stack = Stack::start(Data::Ephemeral);
    let document = json!({
        "requestContext": {"requestId": "r", "functionArn": "a", "condition": "RecordAgeExceeded", "approximateInvokeCount": 9},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "version": "1.0", "timestamp": "2026-11-26T10:00:00.000Z",
        "DDBStreamBatchInfo": {
            "shardId": "shardId-1", "startSequenceNumber": "100", "endSequenceNumber": "300", "batchSize": 2, "streamArn": "s",
            "approximateArrivalOfFirstRecord": "2026-11-25T10:00:00Z", "approximateArrivalOfLastRecord": "2026-11-25T10:00:00Z",
        },
    });
    send(&stack, &document.to_string()).await;
    send(&stack, "a stranger's secret").await;
    let messages = listed(&stack, 2).await;
    let given_up = messages.iter().find(|message| message["kind"] == "given_up").unwrap();
    assert_eq!((&given_up["reason"], &given_up["startSequenceNumber"]), (&json!("RecordAgeExceeded"), &json!("100")));
    let unreadable = messages.iter().find(|message| message["kind"] == "unreadable").unwrap();
    assert_eq!(unreadable["bytes"], 19);
    assert!(!json!(messages).to_string().contains("secret"), "what nobody knows is shown nowhere");

    let id = given_up["id"].as_str().unwrap();
    let shown = stack.run(&["failures", "show", id]);
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert!(shown["advice"].as_str().unwrap().contains("foldcast rebuild"), "{shown}");
    let (code, lines) = run(&stack, &["failures", "replay", id]);
    assert_eq!((code, &lines[0]["replayed"]), (Some(1), &json!(false)), "no order is named");
    assert_eq!(stack.json_lines(&["failures", "delete", id]), [json!({"id": id, "deleted": true})]);
    assert_eq!(listed(&stack, 1).await[0]["kind"], "unreadable");
    assert_eq!(run(&stack, &["failures", "delete", id]).0, Some(1), "it is not there any more");
    assert_eq!(run(&stack, &["failures", "show", id]).0, Some(1));
    assert_eq!(run(&stack, &["failures", "replay"]).0, Some(2), "which?");
}
