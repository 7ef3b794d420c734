//! Somebody else's application on the stack: a template, and a function in Python.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::{collections::BTreeMap, net::Ipv4Addr, path::PathBuf, sync::Arc, time::Duration};

use futures_util::{SinkExt, StreamExt};
use local::{Command, Data, Stack, StackOptions, StartError};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_tungstenite::{connect_async, tungstenite::Message};

const PATIENCE: Duration = Duration::from_secs(30);

fn template() -> Value {
    let uri = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/${Echo.Arn}/invocations";
    let route = |key: &str| {
        json!({"Type": "AWS::ApiGatewayV2::Route", "Properties": {
            "ApiId": {"Ref": "Api"}, "RouteKey": key, "RouteResponseSelectionExpression": "$default",
            "Target": {"Fn::Join": ["/", ["integrations", {"Ref": "Integration"}]]}}})
    };
    let response = json!({"Type": "AWS::ApiGatewayV2::RouteResponse", "Properties": {
        "ApiId": {"Ref": "Api"}, "RouteId": {"Ref": "Default"}, "RouteResponseKey": "$default"}});
    json!({
        "Parameters": {"Stage": {"Type": "String", "Default": "live"}},
        "Resources": {
            "Echo": {"Type": "AWS::Lambda::Function", "Properties": {
                "Handler": "echo", "Timeout": 1, "Environment": {"Variables": {"MINE": {"Ref": "Stage"}}}}},
            "Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {
                "Name": "echo", "ProtocolType": "WEBSOCKET", "RouteSelectionExpression": "$request.body.action"}},
            "Stage0": {"Type": "AWS::ApiGatewayV2::Stage", "Properties": {"ApiId": {"Ref": "Api"}, "StageName": {"Ref": "Stage"}}},
            "Integration": {"Type": "AWS::ApiGatewayV2::Integration", "Properties": {
                "ApiId": {"Ref": "Api"}, "IntegrationType": "AWS_PROXY", "IntegrationUri": {"Fn::Sub": uri}}},
            "Connect": route("$connect"),
            "Default": route("$default"),
            "Response": response,
            "Unknown": {"Type": "AWS::Events::Rule"},
        },
    })
}

fn options(template: Value) -> StackOptions {
    let bootstrap = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/stack/bootstrap.py");
    let command = Command { program: "python3".into(), args: vec![bootstrap.to_str().unwrap().to_owned()] };
    StackOptions {
        template,
        parameters: BTreeMap::from([("Stage".to_owned(), "dev".to_owned()), ("Other".to_owned(), "x".to_owned())]),
        address: Ipv4Addr::LOCALHOST.into(),
        port: 0,
        dynamodb_port: 0,
        data: Data::Ephemeral,
        commands: Arc::new(move |function| (function.handler == "echo").then(|| command.clone())),
        faults: local::Faults::default(),
        environment: Vec::new(),
    }
}

#[tokio::test]
async fn a_function_of_any_language_is_served_and_replaced_when_it_breaks() {
    let stack = Stack::start(options(template())).await.unwrap();
    assert!(stack.websocket_url().ends_with("/dev"));
    assert_eq!(stack.warnings(), ["resource Unknown is not emulated: its type is AWS::Events::Rule"]);
    let (mut socket, _) = connect_async(stack.websocket_url()).await.unwrap();
    // What fails is an error frame; a process that broke is replaced, one that only reported an error serves on.
    let failed = "Internal server error";
    let asked = [
        ("ok", "2"),
        ("raise", failed),
        ("ok", "4"),
        ("malformed", failed),
        ("exit", failed),
        ("ok", "1"),
        ("hang", failed),
        ("ok", "1"),
    ];
    for (action, expected) in asked {
        socket.send(Message::text(json!({"action": action}).to_string())).await.unwrap();
        let answer = timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
        let answer: Value = serde_json::from_str(answer.to_text().unwrap()).unwrap();
        if expected == failed {
            assert_eq!(answer["message"], failed, "{action}");
        } else {
            assert_eq!(answer["served"].to_string(), expected, "{action}");
            assert_eq!((&answer["handler"], &answer["mine"]), (&json!("echo"), &json!("dev")));
        }
    }
    drop(socket);
    stack.stop().await;
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let mut broken = template();
    broken["Resources"]["Default"]["Properties"]["Target"] = json!("integrations/Nothing");
    let refused = Stack::start(options(broken)).await.err().unwrap().to_string();
    assert_eq!(refused, "the template cannot be run: resource Default, property Target: there is no such integration");
    let mut other = template();
    other["Resources"]["Echo"]["Properties"]["Handler"] = json!("other");
    let refused = Stack::start(options(other)).await.err().unwrap();
    assert!(matches!(refused, StartError::NoProgram(function) if function == "Echo"));
}
