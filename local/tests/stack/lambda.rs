//! Functions: served, replaced when they break, bounded in time and number.

use std::{fs, time::Duration};

use futures_util::{SinkExt, StreamExt};
use local::{Stack, StackOptions};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite::Message};

use crate::rig::{Mapped, PATIENCE, options, template};

const FAILED: &str = "Internal server error";

pub(crate) struct Browser(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Browser {
    pub(crate) async fn connect(stack: &Stack) -> Self {
        Self(timeout(PATIENCE, connect_async(stack.websocket_url())).await.unwrap().unwrap().0)
    }

    pub(crate) async fn send(&mut self, action: &str) {
        self.0.send(Message::text(json!({"action": action}).to_string())).await.unwrap();
    }

    async fn json(&mut self) -> Value {
        let answer = timeout(PATIENCE, self.0.next()).await.unwrap().unwrap().unwrap();
        serde_json::from_str(answer.to_text().unwrap()).unwrap()
    }

    pub(crate) async fn ask(&mut self, action: &str) -> Value {
        self.send(action).await;
        self.json().await
    }
}

fn function(more: Value) -> Value {
    let mut function = json!({"Handler": "any", "Timeout": 20});
    function.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    function
}

#[tokio::test]
async fn a_function_of_any_language_is_served_and_replaced_when_it_breaks() {
    let stack = Stack::start(options(template(function(json!({"Timeout": 1})), None))).await.unwrap();
    assert!(stack.websocket_url().ends_with("/dev"));
    let mut browser = Browser::connect(&stack).await;
    // A process that broke is replaced, one that only reported an error serves on.
    let asked = [
        ("ok", Some(2)),
        ("raise", None),
        ("ok", Some(4)),
        ("malformed", None),
        ("exit", None),
        ("ok", Some(1)),
        ("hang", None),
        ("ok", Some(1)),
    ];
    for (action, served) in asked {
        let answer = browser.ask(action).await;
        match served {
            Some(served) => assert_eq!(answer["served"], served, "{action}"),
            None => assert_eq!(answer["message"], FAILED, "{action}"),
        }
    }
    drop(browser);
    stack.stop().await;
}

#[tokio::test]
async fn a_function_has_the_templates_variables_and_the_platforms() {
    let variables = json!({"Variables": {"MINE": {"Ref": "Stage"}, "AWS_REGION": "mars", "_HANDLER": "mine"}});
    let function = function(json!({"Environment": variables, "MemorySize": 256, "FunctionName": "named"}));
    let stack = Stack::start(options(template(function, None))).await.unwrap();
    let environment = Browser::connect(&stack).await.ask("ok").await["environment"].clone();
    let expected = [
        ("MINE", "dev"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_DEFAULT_REGION", "us-east-1"),
        ("_HANDLER", "any"),
        ("AWS_LAMBDA_FUNCTION_NAME", "named"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/named"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_ACCESS_KEY_ID", "local"),
        ("AWS_SECRET_ACCESS_KEY", "local"),
        ("TZ", ":UTC"),
    ];
    for (name, value) in expected {
        assert_eq!(environment[name], value, "{name}");
    }
    assert!(environment["AWS_LAMBDA_RUNTIME_API"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(environment.get("AWS_EXECUTION_ENV").is_none(), "it is not set for provided.*");
    assert!(environment.get("CARGO").is_none(), "nothing of this process is inherited");
    stack.stop().await;
}

#[tokio::test]
async fn several_sandboxes_serve_at_a_time_and_beyond_the_reserved_concurrency_an_invocation_is_throttled() {
    let folder = tempfile::TempDir::new().unwrap();
    let may_go_on = folder.path().join("may-go-on");
    let environment = json!({"Variables": {"MAY_GO_ON": may_go_on.to_str().unwrap()}});
    for (reserved, throttled) in [(None, 0), (Some(2), 2)] {
        fs::remove_file(&may_go_on).ok();
        // Longer than an integration waits: an invocation that had to wait would be another error.
        let mut function = function(json!({"Environment": environment, "Timeout": 60}));
        if let Some(reserved) = reserved {
            function["ReservedConcurrentExecutions"] = json!(reserved);
        }
        let stack = Stack::start(options(template(function, None))).await.unwrap();
        let mut browser = Browser::connect(&stack).await;
        for _ in 0..4 {
            browser.send("wait").await;
        }
        for _ in 0..throttled {
            assert_eq!(browser.json().await["message"], FAILED);
        }
        fs::write(&may_go_on, "").unwrap();
        for _ in throttled..4 {
            assert!(browser.json().await["served"].is_u64());
        }
        stack.stop().await;
    }
}

#[tokio::test]
async fn what_does_not_come_up_is_an_error_to_the_caller() {
    for init in ["error", "exit"] {
        let environment = json!({"Variables": {"init": init}});
        let stack = Stack::start(options(template(function(json!({"Environment": environment})), None))).await.unwrap();
        let refused = connect_async(stack.websocket_url()).await.unwrap_err().to_string();
        assert!(refused.contains("502"), "{init}: {refused}");
        stack.stop().await;
    }
}

#[tokio::test]
async fn an_initialization_of_10_seconds_is_run_once_more_within_the_first_invocation() {
    let folder = tempfile::TempDir::new().unwrap();
    let begun = folder.path().join("begun");
    let environment = json!({"Variables": {"init": "slow once", "BEGUN": begun.to_str().unwrap()}});
    let stack = Stack::start(options(template(function(json!({"Environment": environment})), None))).await.unwrap();
    let url = stack.websocket_url();
    let connecting = tokio::spawn(async move { connect_async(url).await.map(|_| ()) });
    while !begun.exists() {
        tokio::task::yield_now().await;
    }
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(10)).await;
    tokio::time::resume();
    timeout(PATIENCE, connecting).await.unwrap().unwrap().unwrap();
    stack.stop().await;
}

#[tokio::test]
async fn a_function_of_the_template_authorizes() {
    let mut template = template(function(json!({})), None);
    let uri = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/${Function.Arn}/invocations";
    template["Resources"]["Authorizer"] = json!({"Type": "AWS::ApiGatewayV2::Authorizer", "Properties": {
        "ApiId": {"Ref": "Api"}, "Name": "tokens", "AuthorizerType": "REQUEST", "AuthorizerUri": {"Fn::Sub": uri},
        "IdentitySource": ["route.request.querystring.token"]}});
    let connect = &mut template["Resources"]["Connect"]["Properties"];
    connect["AuthorizationType"] = json!("CUSTOM");
    connect["AuthorizerId"] = json!({"Ref": "Authorizer"});
    let stack = Stack::start(options(template)).await.unwrap();
    assert_eq!((stack.is_authorized(), stack.warnings()), (true, &[][..]));
    let url = stack.websocket_url();
    for (query, status) in
        [("", "401"), ("?token=unknown", "401"), ("?token=denied", "403"), ("?token=malformed", "500")]
    {
        let refused = connect_async(format!("{url}{query}")).await.unwrap_err().to_string();
        assert!(refused.contains(status), "{query}: {refused}");
    }
    let mut browser = Browser(connect_async(format!("{url}?token=me")).await.unwrap().0);
    let known = browser.ask("ok").await["authorizer"].clone();
    assert_eq!((&known["principalId"], &known["admin"]), (&json!("me"), &json!("true")));
    stack.stop().await;
}

#[tokio::test]
async fn an_invocation_runs_on_when_its_integration_has_given_up() {
    let folder = tempfile::TempDir::new().unwrap();
    let may_go_on = folder.path().join("may-go-on");
    let environment = json!({"Variables": {"MAY_GO_ON": may_go_on.to_str().unwrap()}});
    let function = function(json!({"Environment": environment, "ReservedConcurrentExecutions": 1}));
    let mut template = template(function, None);
    template["Resources"]["Integration"]["Properties"]["TimeoutInMillis"] = json!(3_000);
    let stack = Stack::start(options(template)).await.unwrap();
    let mut browser = Browser::connect(&stack).await;
    assert_eq!(browser.ask("wait").await["message"], "Endpoint request timed out");
    assert_eq!(browser.ask("ok").await["message"], FAILED, "the one sandbox is still busy");
    fs::write(&may_go_on, "").unwrap();
    let served = loop {
        if let Some(served) = browser.ask("ok").await["served"].as_u64() {
            break served;
        }
    };
    assert_eq!(served, 3, "$connect, the message that took too long, and this one");
    stack.stop().await;
}

#[tokio::test]
async fn a_process_with_an_extension_is_told_before_it_is_killed_and_no_other() {
    for (init, is_told) in [("extension", true), ("", false)] {
        let folder = tempfile::TempDir::new().unwrap();
        let ended = folder.path().join("ended");
        let environment = json!({"Variables": {"init": init, "ENDED": ended.to_str().unwrap()}});
        let stack = Stack::start(options(template(function(json!({"Environment": environment})), None))).await.unwrap();
        drop(Browser::connect(&stack).await);
        stack.stop().await;
        assert_eq!(ended.exists(), is_told, "extension: {is_told}");
    }
}

#[tokio::test]
async fn without_authorization_whoever_comes_is_let_in() {
    let mut template = template(function(json!({})), None);
    template["Resources"]["Connect"]["Properties"]["AuthorizationType"] = json!("AWS_IAM");
    let stack = Stack::start(options(template.clone())).await.unwrap();
    assert!(connect_async(stack.websocket_url()).await.unwrap_err().to_string().contains("403"));
    stack.stop().await;
    let stack = Stack::start(StackOptions { authorizes: false, ..options(template) }).await.unwrap();
    Browser::connect(&stack).await;
    stack.stop().await;
}

#[tokio::test]
async fn a_time_out_in_the_middle_of_a_batch_is_a_failure_of_the_batch() {
    let mapped = Mapped::start(json!({"BatchSize": 1, "MaximumRetryAttempts": 0})).await;
    mapped.put(&[("1", "exit")]).await;
    assert_eq!(mapped.failure().await["requestContext"]["approximateInvokeCount"], 1);
    assert_eq!(mapped.batches(1).await.len(), 1);
    timeout(Duration::from_secs(20), mapped.stack.stop()).await.unwrap();
}
