//! Reading a CloudFormation template into an application.
//!
//! Owns: which resource types are run, which are passed over in silence, and which are named in a warning.
//! Must not know: how anything runs.
//! Source: CloudFormation's template reference.

mod api;
mod intrinsics;
mod mapping;
mod mock;
mod properties;
mod queue;
mod schedule;

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value};

use crate::{
    application::{Application, Function, StreamView, Table},
    limits,
};
use intrinsics::Resolver;
pub(crate) use intrinsics::function_arn;
pub use intrinsics::{ACCOUNT_ID, REGION};

/// A template that cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the template cannot be run: {0}")]
pub struct TemplateError(String);

impl TemplateError {
    fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// What is wrong with a property of a resource.
    fn at(logical_id: &str, property: &str, reason: impl std::fmt::Display) -> Self {
        Self(format!("resource {logical_id}, property {property}: {reason}"))
    }
}

/// Resource types that are run.
const RUN: [&str; 6] = [
    "AWS::ApiGatewayV2::Api",
    "AWS::DynamoDB::Table",
    "AWS::Events::Rule",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::Function",
    "AWS::SQS::Queue",
];

/// Resource types that mean nothing on one machine: rights, logs, the order of a deployment.
const PASSED_OVER: [&str; 19] = [
    "AWS::ApiGateway::Account",
    "AWS::ApiGatewayV2::Authorizer",
    "AWS::ApiGatewayV2::Deployment",
    "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::IntegrationResponse",
    "AWS::ApiGatewayV2::Route",
    "AWS::ApiGatewayV2::RouteResponse",
    "AWS::ApiGatewayV2::Stage",
    "AWS::CDK::Metadata",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::IAM::ManagedPolicy",
    "AWS::IAM::Policy",
    "AWS::IAM::Role",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::Permission",
    "AWS::Logs::LogGroup",
    "AWS::Logs::MetricFilter",
    "AWS::SQS::QueuePolicy",
];

/// The properties of a table that `CreateTable` takes under the same names.
const CREATE_TABLE_PROPERTIES: [&str; 4] =
    ["KeySchema", "AttributeDefinitions", "GlobalSecondaryIndexes", "LocalSecondaryIndexes"];

/// A resource and its properties.
struct Resource<'a> {
    logical_id: &'a str,
    properties: &'a Map<String, Value>,
    resolver: &'a Resolver<'a>,
}

impl Resource<'_> {
    /// A property with its intrinsics resolved; `None` if it is absent.
    fn get(&self, property: &str) -> Result<Option<Value>, TemplateError> {
        let value = self.properties.get(property).map(|value| self.resolver.resolve(value)).transpose();
        let value = value.map_err(|reason| TemplateError::at(self.logical_id, property, reason))?;
        Ok(value.filter(|value| !value.is_null()))
    }

    fn text(&self, property: &str) -> Result<Option<String>, TemplateError> {
        self.get(property)?.map(|value| self.as_text(property, &value)).transpose()
    }

    fn required_text(&self, property: &str) -> Result<String, TemplateError> {
        self.text(property)?.ok_or_else(|| TemplateError::at(self.logical_id, property, "it is missing"))
    }

    fn whole_number(&self, property: &str) -> Result<Option<i64>, TemplateError> {
        let number = |value: Value| {
            let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
            number.ok_or_else(|| TemplateError::at(self.logical_id, property, "it must be a whole number"))
        };
        self.get(property)?.map(number).transpose()
    }

    fn seconds(&self, property: &str) -> Result<Option<Duration>, TemplateError> {
        let seconds = self.whole_number(property)?.and_then(|seconds| u64::try_from(seconds).ok());
        Ok(seconds.map(Duration::from_secs))
    }

    fn flag(&self, property: &str) -> Result<bool, TemplateError> {
        Ok(self.get(property)?.is_some_and(|value| value == Value::Bool(true) || value == "true"))
    }

    /// A map of texts, such as a function's variables.
    fn texts(&self, property: &str, value: Option<&Value>) -> Result<BTreeMap<String, String>, TemplateError> {
        let Some(fields) = value.and_then(Value::as_object) else { return Ok(BTreeMap::new()) };
        fields.iter().map(|(name, value)| Ok((name.clone(), self.as_text(property, value)?))).collect()
    }

    fn as_text(&self, property: &str, value: &Value) -> Result<String, TemplateError> {
        match value {
            Value::String(text) => Ok(text.clone()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(truth) => Ok(truth.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => {
                Err(TemplateError::at(self.logical_id, property, "it must be a string"))
            }
        }
    }
}

/// Reads a template; `parameters` go before the template's defaults, those that it does not declare are not used.
///
/// # Errors
/// [`TemplateError`] names the resource and the property.
pub fn read(template: &Value, parameters: &BTreeMap<String, String>) -> Result<Application, TemplateError> {
    let resources = template.get("Resources").and_then(Value::as_object);
    let resources = resources.ok_or_else(|| TemplateError::new("it has no Resources"))?;
    let resources = &made(resources, &Resolver::new(template, resources, parameters))?;
    let resolver = Resolver::new(template, resources, parameters);
    let mut application = Application::default();
    let of_type = |wanted: &str| {
        let typed =
            resources.iter().filter(|(_, resource)| resource.get("Type").and_then(Value::as_str) == Some(wanted));
        typed.map(|(logical_id, resource)| (logical_id.clone(), resource)).collect::<Vec<_>>()
    };
    for (logical_id, resource) in of_type("AWS::Lambda::Function") {
        let function = function(&open(&logical_id, resource, &resolver))?;
        application.functions.insert(logical_id, function);
    }
    for (logical_id, resource) in of_type("AWS::DynamoDB::Table") {
        let table = table(&open(&logical_id, resource, &resolver))?;
        application.tables.insert(logical_id, table);
    }
    for (logical_id, resource) in of_type("AWS::SQS::Queue") {
        let (name, queue) = queue::read(&open(&logical_id, resource, &resolver))?;
        application.queues.insert(name, queue);
    }
    for (logical_id, resource) in of_type("AWS::Lambda::EventSourceMapping") {
        let resource = open(&logical_id, resource, &resolver);
        let enabled = resource.get("Enabled")?;
        let is_enabled = enabled.is_none_or(|enabled| enabled != Value::Bool(false) && enabled != "false");
        if let Some(mapping) = queue::mapping(&resource, &application)? {
            if is_enabled {
                application.take_queue(&mapping.queue);
                application.queue_mappings.insert(logical_id, mapping);
            }
        } else {
            let mapping = mapping::read(&resource, &application)?;
            if is_enabled {
                application.mappings.insert(logical_id, mapping);
            }
        }
    }
    for (logical_id, resource) in of_type("AWS::Events::Rule") {
        match schedule::read(&open(&logical_id, resource, &resolver), &application)? {
            Ok(schedules) => application.schedules.extend(schedules),
            Err(reason) => application.warnings.push(format!("resource {logical_id} {reason}")),
        }
    }
    application.api = api::read(resources, &resolver, &application)?;
    for (logical_id, resource) in resources {
        let kind = resource.get("Type").and_then(Value::as_str).unwrap_or("none");
        let is_run = RUN.contains(&kind);
        if !is_run && !PASSED_OVER.contains(&kind) {
            application.warnings.push(format!("resource {logical_id} is not emulated: its type is {kind}"));
        }
        application.warnings.extend(properties::warnings(logical_id, kind, intrinsics::properties(resource)));
    }
    Ok(application)
}

/// The resources that are made: those whose condition does not say otherwise.
fn made(resources: &Map<String, Value>, resolver: &Resolver<'_>) -> Result<Map<String, Value>, TemplateError> {
    let is_made = |logical_id: &str, resource: &Value| match resource.get("Condition").and_then(Value::as_str) {
        Some(name) => {
            resolver.holds(name).map_err(|reason| TemplateError(format!("resource {logical_id}, Condition: {reason}")))
        }
        None => Ok(true),
    };
    let made = resources.iter().map(|(logical_id, resource)| {
        let kept = is_made(logical_id, resource)?.then(|| (logical_id.clone(), resource.clone()));
        Ok(kept)
    });
    made.filter_map(Result::transpose).collect()
}

fn open<'a>(logical_id: &'a str, resource: &'a Value, resolver: &'a Resolver<'a>) -> Resource<'a> {
    Resource { logical_id, properties: intrinsics::properties(resource), resolver }
}

fn function(resource: &Resource<'_>) -> Result<Function, TemplateError> {
    let environment = resource.get("Environment")?;
    let variables = environment.as_ref().and_then(|environment| environment.get("Variables"));
    let variables = resource.texts("Environment", variables)?;
    let environment_bytes: usize = variables.iter().map(|(name, value)| name.len() + value.len()).sum();
    if environment_bytes > limits::ENVIRONMENT_BYTES_MAX {
        let reason =
            format!("its variables are {environment_bytes} bytes, of {} at most", limits::ENVIRONMENT_BYTES_MAX);
        return Err(TemplateError::at(resource.logical_id, "Environment", reason));
    }
    let concurrency_max = resource.whole_number("ReservedConcurrentExecutions")?;
    let memory_mb = resource.whole_number("MemorySize")?.and_then(|memory| u32::try_from(memory).ok());
    Ok(Function {
        logical_id: resource.logical_id.to_owned(),
        name: resource.text("FunctionName")?.unwrap_or_else(|| resource.logical_id.to_owned()),
        handler: resource.text("Handler")?.unwrap_or_default(),
        environment: variables,
        time_out: resource.seconds("Timeout")?.unwrap_or(Duration::from_secs(3)),
        memory_mb: memory_mb.unwrap_or(128),
        concurrency_max: concurrency_max.and_then(|concurrency| usize::try_from(concurrency).ok()),
    })
}

fn table(resource: &Resource<'_>) -> Result<Table, TemplateError> {
    let mut create = Map::new();
    for property in CREATE_TABLE_PROPERTIES {
        if let Some(value) = resource.get(property)? {
            create.insert(property.to_owned(), value);
        }
    }
    if !create.contains_key("KeySchema") {
        return Err(TemplateError::at(resource.logical_id, "KeySchema", "it is missing"));
    }
    let name = resource.text("TableName")?.unwrap_or_else(|| resource.logical_id.to_owned());
    create.insert("TableName".to_owned(), Value::String(name.clone()));
    create.insert("BillingMode".to_owned(), Value::String("PAY_PER_REQUEST".to_owned()));
    let stream = resource.get("StreamSpecification")?;
    let view = stream.as_ref().and_then(|stream| stream.get("StreamViewType")?.as_str());
    let parsed = |view| {
        let reason = format!("there is no StreamViewType {view}");
        StreamView::parse(view).ok_or_else(|| TemplateError::at(resource.logical_id, "StreamSpecification", reason))
    };
    let stream_view = view.map(parsed).transpose()?;
    let time_to_live =
        resource.get("TimeToLiveSpecification")?.filter(|ttl| ttl.get("Enabled") == Some(&Value::Bool(true)));
    let time_to_live = time_to_live.as_ref().and_then(|ttl| ttl.get("AttributeName")).and_then(Value::as_str);
    Ok(Table { name, create, stream_view, time_to_live: time_to_live.map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_resources(resources: &Value) -> Result<Application, TemplateError> {
        read(&json!({"Resources": resources}), &BTreeMap::new())
    }

    #[test]
    fn a_function_has_lambdas_defaults() {
        let application = read_resources(&json!({"F": {"Type": "AWS::Lambda::Function", "Properties": {
            "Handler": "connect", "Code": {"S3Bucket": {"Ref": "Nowhere"}},
            "Environment": {"Variables": {"A": {"Ref": "AWS::Region"}, "N": 7}},
        }}}));
        let function = &application.unwrap().functions["F"];
        assert_eq!((function.name.as_str(), function.handler.as_str()), ("F", "connect"));
        assert_eq!((function.time_out, function.memory_mb), (Duration::from_secs(3), 128));
        assert_eq!(function.environment, [("A", "us-east-1"), ("N", "7")].map(|(a, b)| (a.into(), b.into())).into());
    }

    #[test]
    fn what_is_wrong_is_named_by_resource_and_property() {
        let error = read_resources(&json!({"T": {"Type": "AWS::DynamoDB::Table"}})).unwrap_err();
        assert_eq!(error.to_string(), "the template cannot be run: resource T, property KeySchema: it is missing");
        assert_eq!(read(&json!([]), &BTreeMap::new()).unwrap_err().0, "it has no Resources");
        let imported =
            json!({"F": {"Type": "AWS::Lambda::Function", "Properties": {"Handler": {"Fn::ImportValue": "x"}}}});
        assert!(read_resources(&imported).unwrap_err().0.contains("another stack"));
    }

    #[test]
    fn a_type_that_is_not_emulated_is_named_and_no_error() {
        let application = read_resources(&json!({"B": {"Type": "AWS::S3::Bucket"}, "R": {"Type": "AWS::IAM::Role"}}));
        assert_eq!(application.unwrap().warnings, ["resource B is not emulated: its type is AWS::S3::Bucket"]);
    }

    #[test]
    fn a_resource_is_made_if_its_condition_holds() {
        let template = json!({
            "Parameters": {"Stage": {"Default": "live"}},
            "Conditions": {"Live": {"Fn::Equals": [{"Ref": "Stage"}, "live"]}},
            "Resources": {
                "F": {"Type": "AWS::Lambda::Function", "Condition": "Live", "Properties": {"Handler": "h"}},
                "Bucket": {"Type": "AWS::S3::Bucket", "Condition": "Live"},
            },
        });
        let read = |stage: &str| read(&template, &BTreeMap::from([("Stage".to_owned(), stage.to_owned())])).unwrap();
        assert_eq!((read("live").functions.len(), read("live").warnings.len()), (1, 1));
        assert_eq!((read("dev").functions.len(), read("dev").warnings.len()), (0, 0));
    }

    #[test]
    fn a_mapping_that_is_not_enabled_is_not_run() {
        let read = |enabled: Value| {
            let resources = json!({
                "F": {"Type": "AWS::Lambda::Function", "Properties": {"Handler": "h"}},
                "T": {"Type": "AWS::DynamoDB::Table", "Properties": {
                    "KeySchema": [], "StreamSpecification": {"StreamViewType": "NEW_IMAGE"}}},
                "M": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": {
                    "EventSourceArn": {"Fn::GetAtt": ["T", "StreamArn"]}, "FunctionName": {"Ref": "F"},
                    "StartingPosition": "LATEST", "Enabled": enabled}},
            });
            read_resources(&resources).unwrap().mappings.len()
        };
        assert_eq!([json!(true), json!(false), json!("false"), Value::Null].map(read), [1, 0, 0, 1]);
    }
}
