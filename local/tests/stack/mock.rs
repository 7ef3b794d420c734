//! Routes that API Gateway serves itself.

use local::Stack;
use serde_json::{Value, json};

use crate::{
    lambda::Browser,
    rig::{options, template},
};

/// A template whose route `ping` has a reply ready, with this status, and whose `$connect` has one without a body.
fn with_mocks(status: u16) -> Value {
    let mut template = template(json!({"Handler": "any", "Timeout": 20}), None);
    let resources = template["Resources"].as_object_mut().unwrap();
    let mut add = |logical_id: &str, kind: &str, mut properties: Value| {
        properties["ApiId"] = json!({"Ref": "Api"});
        resources.insert(
            logical_id.to_owned(),
            json!({"Type": format!("AWS::ApiGatewayV2::{kind}"), "Properties": properties}),
        );
    };
    let mock = |status: u16| {
        json!({
            "IntegrationType": "MOCK",
            "RequestTemplates": {"200": json!({"statusCode": status}).to_string()},
            "TemplateSelectionExpression": "200",
        })
    };
    add("Mock", "Integration", mock(200));
    let response = json!({
        "IntegrationId": {"Ref": "Mock"},
        "IntegrationResponseKey": "$default",
        "ResponseTemplates": {"200": r#"{"says": "mock"}"#},
        "TemplateSelectionExpression": "200",
    });
    add("MockResponse", "IntegrationResponse", response);
    let route = |key: &str, integration: &str| {
        json!({
            "RouteKey": key,
            "RouteResponseSelectionExpression": "$default",
            "Target": {"Fn::Join": ["/", ["integrations", {"Ref": integration}]]},
        })
    };
    add("Ping", "Route", route("ping", "Mock"));
    add("PingResponse", "RouteResponse", json!({"RouteId": {"Ref": "Ping"}, "RouteResponseKey": "$default"}));
    // A mock without a route response says nothing.
    add("Silent", "Route", route("silent", "Mock"));
    add("Entrance", "Integration", mock(status));
    add("Connect", "Route", route("$connect", "Entrance"));
    template
}

#[tokio::test]
async fn a_mock_integration_answers_and_invokes_nothing() {
    let stack = Stack::start(options(with_mocks(200))).await.unwrap();
    assert!(stack.warnings().is_empty(), "{:?}", stack.warnings());
    let mut browser = Browser::connect(&stack).await;
    assert_eq!(browser.ask("ping").await, json!({"says": "mock"}));
    browser.send("silent").await;
    assert_eq!(browser.ask("ping").await, json!({"says": "mock"}), "nothing came of the route without a response");
    // The function counts what it serves: this is its first.
    assert_eq!(browser.ask("ok").await["served"], 1);
    stack.stop().await;
}

#[tokio::test]
async fn a_mock_at_connect_lets_in_or_refuses_by_its_status() {
    let stack = Stack::start(options(with_mocks(403))).await.unwrap();
    let refused = tokio_tungstenite::connect_async(stack.websocket_url()).await.unwrap_err();
    assert!(refused.to_string().contains("403"), "{refused}");
    stack.stop().await;
}
