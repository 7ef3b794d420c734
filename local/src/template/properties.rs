//! The properties of the resource types that are run: which are followed, and which mean nothing on one machine.
//!
//! Owns: naming every other property, since it could change what the application does.
//! Must not know: what a property says.
//! Source: CloudFormation's template reference.

use serde_json::{Map, Value};

/// A resource type, what of it is followed, and what is passed over in silence: names, rights, logs, encryption.
type Known = (&'static str, &'static [&'static str], &'static [&'static str]);

const KNOWN: [Known; 11] = [
    (
        "AWS::ApiGatewayV2::Api",
        &["ProtocolType", "RouteSelectionExpression"],
        &["ApiKeySelectionExpression", "Description", "DisableSchemaValidation", "IpAddressType", "Name", "Tags"],
    ),
    (
        "AWS::ApiGatewayV2::Authorizer",
        &["AuthorizerType", "AuthorizerUri", "IdentitySource"],
        // No result is cached for a WebSocket API.
        &["ApiId", "AuthorizerCredentialsArn", "AuthorizerResultTtlInSeconds", "Name"],
    ),
    (
        "AWS::ApiGatewayV2::Integration",
        &["IntegrationType", "IntegrationUri", "RequestTemplates", "TemplateSelectionExpression", "TimeoutInMillis"],
        &["ApiId", "ConnectionType", "CredentialsArn", "Description", "IntegrationMethod", "PassthroughBehavior"],
    ),
    (
        "AWS::ApiGatewayV2::IntegrationResponse",
        &["IntegrationId", "IntegrationResponseKey", "ResponseTemplates", "TemplateSelectionExpression"],
        &["ApiId"],
    ),
    (
        "AWS::ApiGatewayV2::Route",
        &["AuthorizationType", "AuthorizerId", "RouteKey", "RouteResponseSelectionExpression", "Target"],
        &["ApiId", "OperationName"],
    ),
    (
        "AWS::ApiGatewayV2::Stage",
        &["DefaultRouteSettings", "RouteSettings", "StageName", "StageVariables"],
        &["AccessLogSettings", "ApiId", "AutoDeploy", "DeploymentId", "Description", "Tags"],
    ),
    (
        "AWS::DynamoDB::Table",
        &[
            "AttributeDefinitions",
            "GlobalSecondaryIndexes",
            "KeySchema",
            "LocalSecondaryIndexes",
            "StreamSpecification",
            "TableName",
            "TimeToLiveSpecification",
        ],
        &[
            "BillingMode",
            "ContributorInsightsSpecification",
            "DeletionProtectionEnabled",
            "OnDemandThroughput",
            "PointInTimeRecoverySpecification",
            "ProvisionedThroughput",
            "ResourcePolicy",
            "SSESpecification",
            "TableClass",
            "Tags",
            "WarmThroughput",
        ],
    ),
    ("AWS::Events::Rule", &["Name", "ScheduleExpression", "State", "Targets"], &["Description", "Tags"]),
    (
        "AWS::Lambda::EventSourceMapping",
        &[
            "BatchSize",
            "BisectBatchOnFunctionError",
            "DestinationConfig",
            "Enabled",
            "EventSourceArn",
            "FilterCriteria",
            "FunctionName",
            "FunctionResponseTypes",
            "MaximumBatchingWindowInSeconds",
            "MaximumRecordAgeInSeconds",
            "MaximumRetryAttempts",
            "ParallelizationFactor",
            "ScalingConfig",
            "StartingPosition",
            "TumblingWindowInSeconds",
        ],
        &["KmsKeyArn", "MetricsConfig", "Tags"],
    ),
    (
        "AWS::Lambda::Function",
        &["Environment", "FunctionName", "Handler", "MemorySize", "ReservedConcurrentExecutions", "Timeout"],
        &[
            "Architectures",
            "Code",
            "CodeSigningConfigArn",
            "Description",
            "EphemeralStorage",
            "KmsKeyArn",
            "LoggingConfig",
            "PackageType",
            "Role",
            "Runtime",
            "RuntimeManagementConfig",
            "Tags",
            "TracingConfig",
        ],
    ),
    (
        "AWS::SQS::Queue",
        &["QueueName", "RedrivePolicy", "VisibilityTimeout"],
        &["KmsDataKeyReusePeriodSeconds", "KmsMasterKeyId", "MessageRetentionPeriod", "SqsManagedSseEnabled", "Tags"],
    ),
];

/// A sentence for each property of a resource that is neither followed nor without meaning here.
pub(super) fn warnings(logical_id: &str, kind: &str, properties: &Map<String, Value>) -> Vec<String> {
    let Some((_, followed, passed_over)) = KNOWN.iter().find(|(known, ..)| *known == kind) else { return Vec::new() };
    let is_known = |name: &str| followed.contains(&name) || passed_over.contains(&name);
    let is_off = |value: &Value| match value {
        Value::Null => true,
        Value::Bool(truth) => !truth,
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Number(_) | Value::String(_) => false,
    };
    let unknown = properties.iter().filter(|(name, value)| !is_known(name) && !is_off(value));
    unknown.map(|(name, _)| format!("resource {logical_id}, property {name}: it is not emulated")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_property_that_is_not_known_is_named_unless_it_is_off() {
        let Value::Object(properties) = json!({"Handler": "h", "Role": "r", "Layers": ["l"], "VpcConfig": {}}) else {
            unreachable!("it is an object")
        };
        assert_eq!(
            warnings("F", "AWS::Lambda::Function", &properties),
            ["resource F, property Layers: it is not emulated"]
        );
        assert_eq!(warnings("F", "AWS::S3::Bucket", &properties), [""; 0]);
    }
}
