//! Somebody else's application: a template, a function in Python, and what the world does to them.

use std::{
    collections::BTreeMap,
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use local::{Command, Data, Faults, Stack, StackOptions, websocket_api::Limits};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::aws_json::call;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A template with one function behind every route, one table, and the mapping between them if there is one.
pub(crate) fn template(function: Value, mapping: Option<Value>) -> Value {
    let uri = "arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/${Function.Arn}/invocations";
    let route = |key: &str| {
        json!({"Type": "AWS::ApiGatewayV2::Route", "Properties": {
            "ApiId": {"Ref": "Api"}, "RouteKey": key, "RouteResponseSelectionExpression": "$default",
            "Target": {"Fn::Join": ["/", ["integrations", {"Ref": "Integration"}]]}}})
    };
    let mut template = json!({
        "Parameters": {"Stage": {"Type": "String", "Default": "live"}},
        "Resources": {
            "Function": {"Type": "AWS::Lambda::Function", "Properties": function},
            "Api": {"Type": "AWS::ApiGatewayV2::Api", "Properties": {
                "Name": "any", "ProtocolType": "WEBSOCKET", "RouteSelectionExpression": "$request.body.action"}},
            "TheStage": {"Type": "AWS::ApiGatewayV2::Stage", "Properties": {
                "ApiId": {"Ref": "Api"}, "StageName": {"Ref": "Stage"}}},
            "Integration": {"Type": "AWS::ApiGatewayV2::Integration", "Properties": {
                "ApiId": {"Ref": "Api"}, "IntegrationType": "AWS_PROXY", "IntegrationUri": {"Fn::Sub": uri}}},
            "Connect": route("$connect"),
            "Default": route("$default"),
            "Response": {"Type": "AWS::ApiGatewayV2::RouteResponse", "Properties": {
                "ApiId": {"Ref": "Api"}, "RouteId": {"Ref": "Default"}, "RouteResponseKey": "$default"}},
            "Items": {"Type": "AWS::DynamoDB::Table", "Properties": {
                "TableName": "items", "BillingMode": "PAY_PER_REQUEST",
                "KeySchema": [{"AttributeName": "k", "KeyType": "HASH"}],
                "AttributeDefinitions": [{"AttributeName": "k", "AttributeType": "S"}],
                "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"}}},
            "Failures": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "failures"}},
        },
    });
    if let Some(Value::Object(mut properties)) = mapping {
        let onto = json!({"OnFailure": {"Destination": {"Fn::GetAtt": ["Failures", "Arn"]}}});
        for (name, value) in [
            ("EventSourceArn", json!({"Fn::GetAtt": ["Items", "StreamArn"]})),
            ("FunctionName", json!({"Ref": "Function"})),
            ("StartingPosition", json!("TRIM_HORIZON")),
            ("DestinationConfig", onto),
        ] {
            properties.entry(name).or_insert(value);
        }
        template["Resources"]["Mapping"] = json!({"Type": "AWS::Lambda::EventSourceMapping", "Properties": properties});
    }
    template
}

pub(crate) fn options(template: Value) -> StackOptions {
    let handler = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/stack/handler.py");
    let command = Command { program: "python3".into(), args: vec![handler.to_str().unwrap().to_owned()] };
    StackOptions {
        template,
        parameters: BTreeMap::from([("Stage".to_owned(), "dev".to_owned()), ("Other".to_owned(), "x".to_owned())]),
        address: Ipv4Addr::LOCALHOST.into(),
        port: 0,
        dynamodb_port: 0,
        data: Data::Ephemeral,
        commands: Arc::new(move |function| (function.handler == "any").then(|| command.clone())),
        environment: Vec::new(),
        faults: Faults::default(),
        limits: Limits::default(),
        authorizes: true,
        beside: None,
    }
}

/// A stack whose function is told of what is put into its table.
pub(crate) struct Mapped {
    pub(crate) stack: Stack,
    pub(crate) folder: tempfile::TempDir,
    template: Value,
}

impl Mapped {
    pub(crate) async fn start(mapping: Value) -> Self {
        Self::start_with(mapping, &[]).await
    }

    /// With these variables of the function.
    pub(crate) async fn start_with(mapping: Value, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::TempDir::new().unwrap();
        let mut environment = BTreeMap::from([
            ("SEEN", folder.path().join("seen").to_str().unwrap().to_owned()),
            ("MAY_GO_ON", folder.path().join("may-go-on").to_str().unwrap().to_owned()),
        ]);
        environment.extend(variables.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let function = json!({"Handler": "any", "Timeout": 20, "Environment": {"Variables": environment}});
        let template = template(function, Some(mapping));
        let stack = Self::run(&template, folder.path()).await;
        Self { stack, folder, template }
    }

    async fn run(template: &Value, folder: &Path) -> Stack {
        let data = Data::Folder(folder.join("data"));
        Stack::start(StackOptions { data, ..options(template.clone()) }).await.unwrap()
    }

    /// Stops the stack and starts it again with the same data.
    pub(crate) async fn restart(self) -> Self {
        self.stack.stop().await;
        let stack = Self::run(&self.template, self.folder.path()).await;
        Self { stack, folder: self.folder, template: self.template }
    }

    /// Puts items, each with a key and what is to be done about it.
    pub(crate) async fn put(&self, items: &[(&str, &str)]) {
        for (key, what) in items {
            self.dynamodb("PutItem", &json!({"TableName": "items", "Item": {"k": {"S": key}, "do": {"S": what}}}))
                .await;
        }
    }

    /// Calls DynamoDB.
    pub(crate) async fn dynamodb(&self, operation: &str, request: &Value) -> Value {
        call(&self.stack.dynamodb_url(), "local", &format!("DynamoDB_20120810.{operation}"), request).await
    }

    /// The batches that the function has seen.
    pub(crate) fn seen(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("seen")).unwrap_or_default();
        text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The keys of each batch that the function has seen, once there are so many batches.
    pub(crate) async fn batches(&self, count: usize) -> Vec<Vec<String>> {
        let seen = async {
            loop {
                let seen = self.seen();
                if seen.len() >= count {
                    return seen;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let seen = timeout(PATIENCE, seen).await.unwrap();
        seen.iter().map(|batch| serde_json::from_value(batch["items"].clone()).unwrap()).collect()
    }

    pub(crate) fn let_go_on(&self) {
        fs::write(self.folder.path().join("may-go-on"), "").unwrap();
    }

    /// The next document on the failure queue, taken off.
    pub(crate) async fn failure(&self) -> Value {
        let url = self.stack.management_url();
        let (origin, _) = url.rsplit_once('/').unwrap();
        let queue = json!({"QueueUrl": "http://localhost/000000000000/failures", "VisibilityTimeout": 600});
        let received = async {
            loop {
                let answer = call(origin, "local", "AmazonSQS.ReceiveMessage", &queue).await;
                if let Some(message) = answer["Messages"].as_array().and_then(|messages| messages.first()) {
                    return serde_json::from_str(message["Body"].as_str().unwrap()).unwrap();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, received).await.unwrap()
    }
}
