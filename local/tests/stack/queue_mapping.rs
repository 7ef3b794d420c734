//! The mapping from a queue: messages reach a real function, and what it does not get done comes again, and then ends.

use std::{collections::BTreeMap, time::Duration};

use local::Stack;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::{
    aws_json::call,
    rig::{PATIENCE, options, template},
};

/// A stack whose function takes the messages of the queue `jobs`, ten at a time, twice at most.
async fn start(folder: &tempfile::TempDir) -> Stack {
    let variables = BTreeMap::from([("SEEN", folder.path().join("seen").to_str().unwrap().to_owned())]);
    let function = json!({"Handler": "any", "Timeout": 20, "Environment": {"Variables": variables}});
    let mut template = template(function, None);
    let dead_letters = json!({"deadLetterTargetArn": {"Fn::GetAtt": ["Failures", "Arn"]}, "maxReceiveCount": 2});
    template["Resources"]["Jobs"] = json!({"Type": "AWS::SQS::Queue", "Properties": {
        "QueueName": "jobs", "VisibilityTimeout": 1, "RedrivePolicy": dead_letters}});
    template["Resources"]["Mapping"] = json!({"Type": "AWS::Lambda::EventSourceMapping", "Properties": {
        "EventSourceArn": {"Fn::GetAtt": ["Jobs", "Arn"]}, "FunctionName": {"Ref": "Function"},
        "FunctionResponseTypes": ["ReportBatchItemFailures"], "ScalingConfig": {"MaximumConcurrency": 2}}});
    Stack::start(options(template)).await.unwrap()
}

async fn sqs(stack: &Stack, operation: &str, queue: &str, more: &Value) -> Value {
    let url = stack.management_url();
    let (origin, _) = url.rsplit_once('/').unwrap();
    let mut request = json!({"QueueUrl": format!("http://localhost/000000000000/{queue}")});
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    call(origin, "local", &format!("AmazonSQS.{operation}"), &request).await
}

async fn length(stack: &Stack, queue: &str) -> String {
    let attributes = sqs(stack, "GetQueueAttributes", queue, &json!({"AttributeNames": ["All"]})).await;
    attributes["Attributes"]["ApproximateNumberOfMessages"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn messages_reach_a_function_and_what_it_reports_comes_again_and_then_goes_to_the_other_queue() {
    let folder = tempfile::TempDir::new().unwrap();
    let stack = start(&folder).await;
    let entry = |id: &str, what: &str| json!({"Id": id, "MessageBody": json!({"k": id, "do": what}).to_string()});
    let entries = json!({"Entries": [entry("good", "ok"), entry("bad", "report")]});
    sqs(&stack, "SendMessageBatch", "jobs", &entries).await;
    let moved = async {
        while (length(&stack, "jobs").await, length(&stack, "failures").await) != ("0".to_owned(), "1".to_owned()) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, moved).await.unwrap();
    let seen = std::fs::read_to_string(folder.path().join("seen")).unwrap();
    let batches: Vec<Value> = seen.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let records: Vec<&Value> = batches.iter().flat_map(|batch| batch["records"].as_array().unwrap()).collect();
    let receives = |id: &str| -> Vec<&str> {
        let of = records.iter().filter(|record| record["body"].as_str().unwrap().contains(id));
        of.map(|record| record["attributes"]["ApproximateReceiveCount"].as_str().unwrap()).collect()
    };
    assert_eq!((receives("good"), receives("bad")), (vec!["1"], vec!["1", "2"]));
    let fields: Vec<&str> = records[0].as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "attributes",
        "awsRegion",
        "body",
        "eventSource",
        "eventSourceARN",
        "md5OfBody",
        "messageAttributes",
        "messageId",
        "receiptHandle",
    ];
    assert_eq!(fields, expected);
    assert_eq!(records[0]["eventSourceARN"], "arn:aws:sqs:us-east-1:000000000000:jobs");
    stack.stop().await;
}

#[tokio::test]
async fn a_function_that_fails_has_all_its_messages_again() {
    let folder = tempfile::TempDir::new().unwrap();
    let stack = start(&folder).await;
    let entry = |id: &str, what: &str| json!({"Id": id, "MessageBody": json!({"k": id, "do": what}).to_string()});
    sqs(&stack, "SendMessageBatch", "jobs", &json!({"Entries": [entry("a", "raise"), entry("b", "raise")]})).await;
    let moved = async {
        while length(&stack, "failures").await != "2" {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, moved).await.unwrap();
    stack.stop().await;
}
