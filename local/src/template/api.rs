//! The WebSocket API of a template: its stage, routes, integrations, route responses and authorizer.
//!
//! Owns: following a route to its function, or to the reply that stands in the template.
//! Must not know: how a message is served.
//! Source: `AWS::ApiGatewayV2::*`; an integration's URI ends in `/functions/{ARN}/invocations`.

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

use serde_json::{Map, Value};

use super::{
    Resource, TemplateError,
    intrinsics::{Resolver, api_id, function_arn},
    mock, open,
};
use crate::{
    application::{Application, AuthorizationTarget, AuthorizerTarget, IntegrationTarget, RouteTarget, WebSocketApi},
    websocket_api::{IdentitySource, Rate, Throttling},
};

/// `TimeoutInMillis` of an integration. Source: API Gateway's quotas.
const INTEGRATION_MS: RangeInclusive<u64> = 50..=29_000;

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
    let (mut routes, mut authorization) = (BTreeMap::new(), AuthorizationTarget::None);
    for route in of_type("AWS::ApiGatewayV2::Route") {
        let selects_response = route.text("RouteResponseSelectionExpression")?.is_some();
        let has_route_response = selects_response && with_response.iter().any(|route_id| route_id == route.logical_id);
        let (integration, time_out) = integration_of(&route, resources, resolver, application)?;
        let route_key = route.required_text("RouteKey")?;
        let authorized_by = authorization_of(&route, resources, resolver, application)?;
        if route_key == "$connect" {
            authorization = authorized_by;
        } else if authorized_by != AuthorizationTarget::None {
            let reason = "Currently, authorization is restricted to the $connect route only";
            return Err(TemplateError::at(route.logical_id, "AuthorizationType", reason));
        }
        routes.insert(route_key, RouteTarget { integration, has_route_response, time_out });
    }
    Ok(Some(WebSocketApi {
        api_id: api_id(api.logical_id),
        stage: stage.required_text("StageName")?,
        route_selection_expression: api
            .text("RouteSelectionExpression")?
            .unwrap_or_else(|| ROUTE_SELECTION_DEFAULT.to_owned()),
        stage_variables: stage.texts("StageVariables", variables.as_ref())?,
        routes,
        authorization,
        throttling: throttling(stage)?,
    }))
}

/// What is behind a route's integration, and how long it may take.
fn integration_of(
    route: &Resource<'_>,
    resources: &Map<String, Value>,
    resolver: &Resolver<'_>,
    application: &Application,
) -> Result<(IntegrationTarget, Option<Duration>), TemplateError> {
    let target = route.required_text("Target")?;
    let integration_id = target.strip_prefix("integrations/").unwrap_or_default();
    let integration = resources.get_key_value(integration_id);
    let (logical_id, integration) =
        integration.ok_or_else(|| TemplateError::at(route.logical_id, "Target", "there is no such integration"))?;
    let integration = open(logical_id, integration, resolver);
    let target = match integration.required_text("IntegrationType")?.as_str() {
        "AWS_PROXY" => IntegrationTarget::Function(named_by(&integration, "IntegrationUri", application)?),
        "MOCK" => IntegrationTarget::Mock(mock::read(&integration, resources, resolver)?),
        _ => return Err(TemplateError::at(logical_id, "IntegrationType", "only AWS_PROXY and MOCK are emulated")),
    };
    let time_out_ms = integration.whole_number("TimeoutInMillis")?.map(|milliseconds| {
        let within = u64::try_from(milliseconds).ok().filter(|milliseconds| INTEGRATION_MS.contains(milliseconds));
        let reason = || format!("it must be from 50 to 29000, and not {milliseconds}");
        within.ok_or_else(|| TemplateError::at(logical_id, "TimeoutInMillis", reason()))
    });
    let time_out = time_out_ms.transpose()?.map(Duration::from_millis);
    Ok((target, time_out))
}

/// The throttling of a stage; a route or a stage without numbers has none.
fn throttling(stage: &Resource<'_>) -> Result<Throttling, TemplateError> {
    let rate = |settings: &Value| {
        let number = |name: &str| settings.get(name).and_then(|value| value.as_f64().or(value.as_str()?.parse().ok()));
        Some(Rate { per_second: number("ThrottlingRateLimit")?, burst: number("ThrottlingBurstLimit")? })
    };
    let settings = stage.get("RouteSettings")?;
    let settings = settings.as_ref().and_then(Value::as_object).into_iter().flatten();
    Ok(Throttling {
        default_route: stage.get("DefaultRouteSettings")?.as_ref().and_then(rate),
        routes: settings.filter_map(|(key, settings)| Some((key.clone(), rate(settings)?))).collect(),
    })
}

/// How a route is authorized.
fn authorization_of(
    route: &Resource<'_>,
    resources: &Map<String, Value>,
    resolver: &Resolver<'_>,
    application: &Application,
) -> Result<AuthorizationTarget, TemplateError> {
    match route.text("AuthorizationType")?.as_deref() {
        None | Some("NONE") => return Ok(AuthorizationTarget::None),
        Some("AWS_IAM") => return Ok(AuthorizationTarget::Iam),
        Some("CUSTOM") => {}
        Some(other) => {
            let reason = format!("a WebSocket API has NONE, AWS_IAM and CUSTOM, and not {other}");
            return Err(TemplateError::at(route.logical_id, "AuthorizationType", reason));
        }
    }
    let authorizer = resources.get_key_value(&route.required_text("AuthorizerId")?);
    let (logical_id, authorizer) =
        authorizer.ok_or_else(|| TemplateError::at(route.logical_id, "AuthorizerId", "there is no such authorizer"))?;
    let authorizer = open(logical_id, authorizer, resolver);
    if authorizer.required_text("AuthorizerType")? != "REQUEST" {
        return Err(TemplateError::at(logical_id, "AuthorizerType", "a WebSocket API has REQUEST authorizers only"));
    }
    let sources = authorizer.get("IdentitySource")?;
    let sources = match &sources {
        None => &[],
        Some(Value::Array(sources)) => sources.as_slice(),
        Some(one) => std::slice::from_ref(one),
    };
    let source = |source: &Value| {
        let text = authorizer.as_text("IdentitySource", source)?;
        text.parse().map_err(|error| TemplateError::at(logical_id, "IdentitySource", error))
    };
    let identity_sources = sources.iter().map(source).collect::<Result<Vec<IdentitySource>, _>>()?;
    let function = named_by(&authorizer, "AuthorizerUri", application)?;
    Ok(AuthorizationTarget::Lambda(AuthorizerTarget { function, identity_sources }))
}

/// The function whose ARN is in a URI.
fn named_by(resource: &Resource<'_>, property: &str, application: &Application) -> Result<String, TemplateError> {
    let uri = resource.required_text(property)?;
    let function = application.functions.values().find(|function| uri.contains(&function_arn(&function.name)));
    let function = function.map(|function| function.logical_id.clone());
    function.ok_or_else(|| TemplateError::at(resource.logical_id, property, "it names no function of the template"))
}
