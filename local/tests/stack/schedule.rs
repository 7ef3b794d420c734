//! A function that a rule of EventBridge invokes.

use std::time::Duration;

use local::Stack;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::rig::{options, template};

#[tokio::test]
async fn a_schedule_invokes_its_function_with_eventbridges_event() {
    let folder = tempfile::TempDir::new().unwrap();
    let seen = folder.path().join("seen");
    let variables = json!({"SEEN": seen.to_str().unwrap()});
    let function = json!({"Handler": "any", "Timeout": 20, "Environment": {"Variables": variables}});
    let mut template = template(function, None);
    let targets = json!([{"Id": "t", "Arn": {"Fn::GetAtt": ["Function", "Arn"]}}]);
    let rule = json!({"Name": "each-minute", "ScheduleExpression": "rate(1 minute)", "Targets": targets});
    template["Resources"]["Rule"] = json!({"Type": "AWS::Events::Rule", "Properties": rule});
    let stack = Stack::start(options(template)).await.unwrap();
    assert!(stack.warnings().is_empty(), "{:?}", stack.warnings());
    let written = async {
        loop {
            match std::fs::read_to_string(&seen) {
                Ok(text) if text.ends_with('\n') => return text,
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    let event: Value = serde_json::from_str(&timeout(Duration::from_secs(30), written).await.unwrap()).unwrap();
    assert_eq!((&event["source"], &event["detail-type"]), (&json!("aws.events"), &json!("Scheduled Event")));
    assert_eq!((&event["detail"], event["id"].as_str().unwrap().len()), (&json!({}), 36));
    assert!(event["resources"][0].as_str().unwrap().ends_with(":rule/each-minute"));
    // What the schedule invoked is one invocation like any other.
    let ended = async {
        while stack.watch().invocations().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(30), ended).await.unwrap();
    assert_eq!(stack.watch().invocations()[0].error, None);
    stack.stop().await;
}
