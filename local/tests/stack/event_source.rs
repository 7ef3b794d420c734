//! The event source mapping: every recorded case, with a real function and a real change feed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::rig::Mapped;

fn keys(batches: &[Vec<String>]) -> Vec<String> {
    batches.iter().map(|batch| batch.join(" ")).collect()
}

/// The mapping of most tests: items that are there before its first read come in one batch.
fn reporting(more: Value) -> Value {
    let mut mapping =
        json!({"FunctionResponseTypes": ["ReportBatchItemFailures"], "MaximumBatchingWindowInSeconds": 2});
    mapping.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    mapping
}

#[tokio::test]
async fn a_record_has_the_shape_of_aws() {
    let mapped = Mapped::start(json!({})).await;
    mapped.put(&[("a", "ok"), ("a", "else")]).await;
    mapped.dynamodb("DeleteItem", &json!({"TableName": "items", "Key": {"k": {"S": "a"}}})).await;
    let records = loop {
        let seen = mapped.seen();
        let records: Vec<Value> = seen.iter().flat_map(|batch| batch["records"].as_array().unwrap().clone()).collect();
        if records.len() == 3 {
            break records;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let fields = |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    let outer = ["awsRegion", "dynamodb", "eventID", "eventName", "eventSource", "eventSourceARN", "eventVersion"];
    let inner = [
        "ApproximateCreationDateTime",
        "Keys",
        "NewImage",
        "OldImage",
        "SequenceNumber",
        "SizeBytes",
        "StreamViewType",
    ];
    let without = |image: &str| -> Vec<String> {
        inner.iter().filter(|name| **name != image).map(|name| (*name).to_owned()).collect()
    };
    let expected = [
        ("INSERT", without("OldImage"), 1 + 1 + 1 + 1 + 2 + 2),
        ("MODIFY", inner.map(str::to_owned).to_vec(), 16),
        ("REMOVE", without("NewImage"), 2 + 8),
    ];
    for (record, (name, shown, size)) in records.iter().zip(expected) {
        assert_eq!((fields(record), fields(&record["dynamodb"])), (outer.map(str::to_owned).to_vec(), shown), "{name}");
        assert_eq!(record["eventName"], name);
        assert_eq!(record["eventVersion"], "1.1");
        assert_eq!(record["eventSource"], "aws:dynamodb");
        assert_eq!(record["awsRegion"], "us-east-1");
        assert_eq!(record["eventID"].as_str().unwrap().len(), 32);
        let arn = record["eventSourceARN"].as_str().unwrap();
        assert!(arn.starts_with("arn:aws:dynamodb:us-east-1:000000000000:table/items/stream/"), "{arn}");
        assert_eq!(record["dynamodb"]["SizeBytes"], size, "{name}");
        let number = record["dynamodb"]["SequenceNumber"].as_str().unwrap();
        assert!(number.bytes().all(|byte| byte.is_ascii_digit()), "{number}");
        assert!(record["dynamodb"]["ApproximateCreationDateTime"].as_f64().unwrap() > 1.6e9);
    }
    mapped.stack.stop().await;
}

#[tokio::test]
async fn attempts_are_retries_and_one_and_then_the_failure_document_comes() {
    for (retries, attempts) in [(1, 2), (3, 4)] {
        let mapped = Mapped::start(json!({"MaximumRetryAttempts": retries, "BatchSize": 1})).await;
        mapped.put(&[("bad", "raise"), ("good", "ok")]).await;
        let document = mapped.failure().await;
        let request = &document["requestContext"];
        assert_eq!(request["condition"], "RetryAttemptsExhausted");
        assert_eq!(request["approximateInvokeCount"], attempts);
        assert_eq!(request["functionArn"], "arn:aws:lambda:us-east-1:000000000000:function:Function");
        let response = json!({"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"});
        assert_eq!(document["responseContext"], response);
        assert_eq!(document["version"], "1.0");
        let info = &document["DDBStreamBatchInfo"];
        assert_eq!((&info["batchSize"], &info["startSequenceNumber"]), (&json!(1), &info["endSequenceNumber"]));
        assert!(info.get("payload").is_none() && document.get("payload").is_none(), "the records are not in it");
        let mut expected = vec!["bad".to_owned(); attempts];
        expected.push("good".to_owned());
        assert_eq!(keys(&mapped.batches(attempts + 1).await), expected);
        mapped.stack.stop().await;
    }
}

#[tokio::test]
async fn a_reported_failure_comes_again_with_all_behind_it_and_its_document_has_no_function_error() {
    let mapped = Mapped::start(reporting(json!({"MaximumRetryAttempts": 1}))).await;
    mapped.put(&[("1", "ok"), ("2", "ok"), ("3", "report"), ("4", "report-too"), ("5", "ok")]).await;
    let document = mapped.failure().await;
    assert_eq!(document["responseContext"]["functionError"], Value::Null);
    assert_eq!(document["DDBStreamBatchInfo"]["batchSize"], 3, "what was still failing");
    assert_eq!(keys(&mapped.batches(3).await), ["1 2 3 4 5", "3 4 5", "3 4 5"]);
    mapped.stack.stop().await;
}

#[tokio::test]
async fn a_reply_without_failures_is_success_and_one_that_names_no_record_fails_the_batch() {
    for (reply, attempts) in [
        ("[]", 1),
        ("null", 1),
        ("{}", 1),
        (r#"{"batchItemFailures":[]}"#, 1),
        (r#"{"batchItemFailures":null}"#, 1),
        (r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#, 2),
        (r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#, 2),
        (r#"{"batchItemFailures":[{"itemIdentifier":"nothing"}]}"#, 2),
        (r#"{"batchItemFailures":[{"foo":"bar"}]}"#, 2),
    ] {
        let mapping =
            json!({"FunctionResponseTypes": ["ReportBatchItemFailures"], "BatchSize": 1, "MaximumRetryAttempts": 1});
        let mapped = Mapped::start_with(mapping, &[("reply", reply)]).await;
        mapped.put(&[("1", "ok"), ("2", "ok")]).await;
        let expected: Vec<String> =
            ["1", "2"].iter().flat_map(|key| std::iter::repeat_n((*key).to_owned(), attempts)).collect();
        assert_eq!(keys(&mapped.batches(2 * attempts).await), expected, "{reply}");
        mapped.stack.stop().await;
    }
}

#[tokio::test]
async fn without_the_response_type_a_reply_is_not_looked_at() {
    let mapped = Mapped::start(json!({"BatchSize": 1, "MaximumRetryAttempts": 1})).await;
    mapped.put(&[("1", "report"), ("2", "ok")]).await;
    assert_eq!(keys(&mapped.batches(2).await), ["1", "2"]);
    mapped.stack.stop().await;
}

#[tokio::test]
async fn bisecting_finds_the_one_bad_record_and_does_not_count_as_a_retry() {
    let mapping =
        json!({"MaximumBatchingWindowInSeconds": 2, "MaximumRetryAttempts": 0, "BisectBatchOnFunctionError": true});
    let mapped = Mapped::start(mapping).await;
    mapped.put(&[("1", "ok"), ("2", "ok"), ("3", "raise"), ("4", "ok")]).await;
    let document = mapped.failure().await;
    assert_eq!(document["DDBStreamBatchInfo"]["batchSize"], 1);
    assert_eq!(keys(&mapped.batches(5).await), ["1 2 3 4", "1 2", "3 4", "3", "4"]);
    mapped.stack.stop().await;
}

#[tokio::test]
async fn a_batch_is_handed_over_when_it_is_full_or_its_window_is_over() {
    let mapped = Mapped::start(json!({"BatchSize": 2, "MaximumBatchingWindowInSeconds": 2})).await;
    mapped.put(&[("1", "ok"), ("2", "ok"), ("3", "ok")]).await;
    assert_eq!(keys(&mapped.batches(2).await), ["1 2", "3"]);
    mapped.stack.stop().await;
}

#[tokio::test]
async fn filtered_records_reach_no_function_and_hold_nothing_up() {
    let pattern = json!({"eventName": ["INSERT"], "dynamodb": {"NewImage": {"do": {"S": ["ok"]}}}}).to_string();
    let mapped = Mapped::start(json!({"BatchSize": 1, "FilterCriteria": {"Filters": [{"Pattern": pattern}]}})).await;
    mapped.put(&[("1", "raise"), ("2", "ok"), ("2", "raise"), ("3", "ok")]).await;
    assert_eq!(keys(&mapped.batches(2).await), ["2", "3"]);
    let mapped = mapped.restart().await;
    mapped.put(&[("4", "ok")]).await;
    let mut count = 3;
    let mut all = keys(&mapped.batches(count).await);
    while all.last().is_none_or(|key| key != "4") {
        count += 1;
        all = keys(&mapped.batches(count).await);
    }
    // What was handed over just before the restart may not have been done.
    all.dedup();
    assert_eq!(all, ["2", "3", "4"], "the checkpoint is behind what was filtered");
    mapped.stack.stop().await;
}

#[tokio::test]
async fn a_parallelization_factor_serves_other_items_meanwhile_and_keeps_the_order_of_each() {
    let mapping = json!({"BatchSize": 1, "MaximumBatchingWindowInSeconds": 1, "ParallelizationFactor": 10});
    let mapped = Mapped::start(mapping).await;
    let items: Vec<String> = (0..12).map(|number| format!("item{number}")).collect();
    let mut put = vec![("slow", "wait")];
    put.extend(items.iter().map(|item| (item.as_str(), "ok")));
    put.extend([("slow", "ok"), ("item0", "again")]);
    mapped.put(&put).await;
    // Ten records are due at once: all come but those behind the slow one in its lane.
    let before = keys(&mapped.batches(6).await);
    assert!(before.iter().filter(|key| *key == "slow").count() <= 1, "its next record waits for it: {before:?}");
    mapped.let_go_on();
    let all = keys(&mapped.batches(put.len()).await);
    assert_eq!(all.len(), put.len());
    let seen = mapped.seen();
    let of = |key: &str| -> Vec<Value> {
        let records = seen.iter().filter(|batch| batch["items"][0] == key);
        records.map(|batch| batch["records"][0]["dynamodb"]["NewImage"]["do"]["S"].clone()).collect()
    };
    assert_eq!((of("slow"), of("item0")), (vec![json!("wait"), json!("ok")], vec![json!("ok"), json!("again")]));
    mapped.stack.stop().await;
}

#[tokio::test]
async fn what_is_done_does_not_come_again_after_a_restart_and_what_is_not_done_does() {
    let mapped = Mapped::start(json!({"BatchSize": 1})).await;
    mapped.put(&[("1", "ok"), ("2", "wait")]).await;
    assert_eq!(keys(&mapped.batches(2).await), ["1", "2"]);
    let mapped = mapped.restart().await;
    assert_eq!(keys(&mapped.batches(3).await), ["1", "2", "2"]);
    mapped.let_go_on();
    mapped.put(&[("3", "ok")]).await;
    assert_eq!(keys(&mapped.batches(4).await), ["1", "2", "2", "3"]);
    mapped.stack.stop().await;
}

#[tokio::test]
async fn latest_begins_after_what_is_there() {
    let mapped = Mapped::start(json!({"BatchSize": 1, "StartingPosition": "LATEST"})).await;
    mapped.put(&[("1", "ok")]).await;
    assert_eq!(keys(&mapped.batches(1).await), ["1"]);
    mapped.stack.stop().await;
}

#[tokio::test]
async fn a_function_that_exits_is_a_failed_batch_and_is_replaced() {
    let mapped = Mapped::start(json!({"BatchSize": 1, "MaximumRetryAttempts": 1})).await;
    mapped.put(&[("1", "exit"), ("2", "ok")]).await;
    assert_eq!(mapped.failure().await["responseContext"]["functionError"], "Unhandled");
    assert_eq!(keys(&mapped.batches(3).await), ["1", "1", "2"]);
    mapped.stack.stop().await;
}
