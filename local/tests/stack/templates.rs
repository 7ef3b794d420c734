//! Templates that start, and those that do not.

use local::{Stack, StartError};
use serde_json::{Value, json};

use crate::rig::{options, template};

fn any() -> Value {
    template(json!({"Handler": "any"}), Some(json!({})))
}

#[tokio::test]
async fn what_is_not_emulated_is_named_at_start() {
    let mut other = any();
    other["Resources"]["Unknown"] = json!({"Type": "AWS::S3::Bucket"});
    other["Resources"]["Provider"] =
        json!({"Type": "AWS::Lambda::Function", "Properties": {"Handler": "index.handler"}});
    other["Resources"]["Function"]["Properties"]["VpcConfig"] = json!({"SubnetIds": []});
    let stack = Stack::start(options(other)).await.unwrap();
    let expected = [
        "resource Unknown is not emulated: its type is AWS::S3::Bucket",
        "resource Function, property VpcConfig: it is not emulated",
        "resource Provider is not run: nothing invokes it, and there is no program for it",
    ];
    for warning in expected {
        assert!(stack.warnings().contains(&warning.to_owned()), "{warning}: {:?}", stack.warnings());
    }
    assert_eq!(stack.warnings().len(), expected.len(), "{:?}", stack.warnings());
    stack.stop().await;
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let mut broken = any();
    broken["Resources"]["Default"]["Properties"]["Target"] = json!("integrations/Nothing");
    let refused = Stack::start(options(broken)).await.err().unwrap().to_string();
    assert_eq!(refused, "the template cannot be run: resource Default, property Target: there is no such integration");
    let mut other = any();
    other["Resources"]["Function"]["Properties"]["Handler"] = json!("other");
    let refused = Stack::start(options(other)).await.err().unwrap();
    assert!(matches!(refused, StartError::NoProgram(function) if function == "Function"));
}

#[tokio::test]
async fn a_property_that_cannot_be_is_named() {
    let wrong = [
        ("Mapping", "BatchSize", json!(10_001), "it must be from 1 to 10000, and not 10001"),
        ("Mapping", "ParallelizationFactor", json!(11), "it must be from 1 to 10, and not 11"),
        ("Mapping", "MaximumRecordAgeInSeconds", json!(5), "it must be from 60 to 604800, and not 5"),
        ("Mapping", "TumblingWindowInSeconds", json!(5), "tumbling windows are not emulated"),
        ("Mapping", "StartingPosition", json!("AT_TIMESTAMP"), "a change feed has TRIM_HORIZON and LATEST"),
        (
            "Mapping",
            "FilterCriteria",
            json!({"Filters": [{"Pattern": "{\"a\": 1}"}]}),
            "Invalid filter pattern definition.",
        ),
        (
            "Default",
            "AuthorizationType",
            json!("AWS_IAM"),
            "Currently, authorization is restricted to the $connect route only",
        ),
        ("Connect", "AuthorizationType", json!("JWT"), "a WebSocket API has NONE, AWS_IAM and CUSTOM, and not JWT"),
        (
            "Function",
            "Environment",
            json!({"Variables": {"A": "a".repeat(4_096)}}),
            "its variables are 4097 bytes, of 4096 at most",
        ),
        (
            "Function",
            "Handler",
            json!({"Fn::ImportValue": "x"}),
            "Fn::ImportValue reads another stack, and there is only this one",
        ),
    ];
    for (resource, property, value, reason) in wrong {
        let mut template = any();
        template["Resources"][resource]["Properties"][property] = value;
        let refused = Stack::start(options(template)).await.err().unwrap().to_string();
        assert_eq!(refused, format!("the template cannot be run: resource {resource}, property {property}: {reason}"));
    }
}
