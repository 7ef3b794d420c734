//! The WebSocket API of a template: its stage, routes, integrations and route responses.
//!
//! Owns: following a route to its function.
//! Must not know: how a message is served.
//! Source: `AWS::ApiGatewayV2::*`; an integration's URI ends in `/functions/{ARN}/invocations`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    Resource, TemplateError,
    intrinsics::{Resolver, api_id, function_arn},
    open,
};
use crate::application::{Application, RouteTarget, WebSocketApi};

const ROUTE_SELECTION_DEFAULT: &str = "$request.body.action";

/// The API of the template, if it has one.
pub(super) fn read(
    resources: &Map<String, Value>,
    resolver: &Resolver<'_>,
    application: &Application,
) -> Result<Option<WebSocketApi>, TemplateError> {
    let of_type = |kind: &str| {
        let typed = resources.iter().filter(|(_, resource)| resource.get("Type").and_then(Value::as_str) == Some(kind));
        typed.map(|(logical_id, resource)| open(logical_id, resource, resolver)).collect::<Vec<_>>()
    };
    let apis = of_type("AWS::ApiGatewayV2::Api");
    let api = match apis.as_slice() {
        [] => return Ok(None),
        [api] => api,
        [_, second, ..] => return Err(TemplateError::at(second.logical_id, "Type", "a stack runs one WebSocket API")),
    };
    if api.required_text("ProtocolType")? != "WEBSOCKET" {
        return Err(TemplateError::at(api.logical_id, "ProtocolType", "it must be WEBSOCKET"));
    }
    let stages = of_type("AWS::ApiGatewayV2::Stage");
    let [stage] = stages.as_slice() else {
        return Err(TemplateError::at(api.logical_id, "Type", "it must have one stage"));
    };
    let variables = stage.get("StageVariables")?;
    let responses = of_type("AWS::ApiGatewayV2::RouteResponse");
    let with_response: Vec<String> =
        responses.iter().map(|response| response.required_text("RouteId")).collect::<Result<_, _>>()?;
    let mut routes = BTreeMap::new();
    for route in of_type("AWS::ApiGatewayV2::Route") {
        let selects_response = route.text("RouteResponseSelectionExpression")?.is_some();
        let has_route_response = selects_response && with_response.iter().any(|route_id| route_id == route.logical_id);
        let function = function_of(&route, resources, resolver, application)?;
        routes.insert(route.required_text("RouteKey")?, RouteTarget { function, has_route_response });
    }
    Ok(Some(WebSocketApi {
        api_id: api_id(api.logical_id),
        stage: stage.required_text("StageName")?,
        route_selection_expression: api
            .text("RouteSelectionExpression")?
            .unwrap_or_else(|| ROUTE_SELECTION_DEFAULT.to_owned()),
        stage_variables: stage.texts("StageVariables", variables.as_ref())?,
        routes,
    }))
}

/// The function behind a route's integration.
fn function_of(
    route: &Resource<'_>,
    resources: &Map<String, Value>,
    resolver: &Resolver<'_>,
    application: &Application,
) -> Result<String, TemplateError> {
    let target = route.required_text("Target")?;
    let integration_id = target.strip_prefix("integrations/").unwrap_or_default();
    let integration = resources.get_key_value(integration_id);
    let (logical_id, integration) =
        integration.ok_or_else(|| TemplateError::at(route.logical_id, "Target", "there is no such integration"))?;
    let integration = open(logical_id, integration, resolver);
    if integration.required_text("IntegrationType")? != "AWS_PROXY" {
        return Err(TemplateError::at(logical_id, "IntegrationType", "only AWS_PROXY is emulated"));
    }
    let uri = integration.required_text("IntegrationUri")?;
    let function = application.functions.values().find(|function| uri.contains(&function_arn(&function.name)));
    let function = function.map(|function| function.logical_id.clone());
    function.ok_or_else(|| TemplateError::at(logical_id, "IntegrationUri", "it names no function of the template"))
}
