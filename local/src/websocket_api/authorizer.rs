//! Authorization of `$connect`: whether a browser may connect, and what later events say of it.
//!
//! Owns: identity sources, reading what an authorizer returns, the refusals 401, 403 and 500.
//! Must not know: how a policy matches, what `$connect` does.
//! Source: developer guide, "Create an API Gateway Lambda REQUEST authorizer"; refusals as on AWS.

mod policy;

use std::{fmt, str::FromStr, sync::Arc};

use http::{StatusCode, request::Parts};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{
    Answer, Integration, IntegrationError, Shared, connection,
    event::{self, ConnectionContext, UpgradeRequest},
    reply, signature,
    spelling::Spelling,
};
use policy::{Decision, Policy};

/// What an authorizer says when a browser is unknown, word for word.
pub const UNAUTHORIZED: &str = "Unauthorized";

/// How `$connect` is authorized.
#[derive(Debug, Default)]
pub enum Authorization {
    /// Whoever comes is let in.
    #[default]
    None,
    /// A function decides.
    Lambda(Authorizer),
    /// The upgrade is signed with the stack's key, in its headers or its query.
    Iam,
}

/// The authorizer of `$connect`.
pub struct Authorizer {
    /// What decides.
    pub integration: Integration,
    /// What a browser must bring before the authorizer is asked.
    pub identity_sources: Vec<IdentitySource>,
}

/// A part of the upgrade that must be there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IdentitySource {
    /// `route.request.header.NAME`
    Header(String),
    /// `route.request.querystring.NAME`
    QueryString(String),
    /// `stageVariables.NAME`
    StageVariable(String),
    /// `context.PATH`
    Context(String),
}

/// A text that is no identity source.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} is no identity source of a WebSocket API; it begins with route.request.header, route.request.querystring, stageVariables or context"
)]
pub struct IdentitySourceError(String);

impl FromStr for IdentitySource {
    type Err = IdentitySourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let source = match text.split_once('.') {
            Some(("stageVariables", name)) => Self::StageVariable(name.to_owned()),
            Some(("context", path)) => Self::Context(path.to_owned()),
            _ => match text.strip_prefix("route.request.").and_then(|rest| rest.split_once('.')) {
                Some(("header", name)) => Self::Header(name.to_owned()),
                Some(("querystring", name)) => Self::QueryString(name.to_owned()),
                _ => return Err(IdentitySourceError(text.to_owned())),
            },
        };
        if text.ends_with('.') { Err(IdentitySourceError(text.to_owned())) } else { Ok(source) }
    }
}

impl fmt::Debug for Authorizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorizer").field("identity_sources", &self.identity_sources).finish_non_exhaustive()
    }
}

impl IdentitySource {
    /// Whether an authorizer's event has it, with a value.
    fn is_in(&self, event: &Map<String, Value>) -> bool {
        let fields = |name: &str| event.get(name).and_then(Value::as_object);
        let value = match self {
            Self::Header(name) => fields("headers").and_then(|headers| {
                headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name)).map(|(_, value)| value)
            }),
            Self::QueryString(name) => fields("queryStringParameters").and_then(|query| query.get(name)),
            Self::StageVariable(name) => fields("stageVariables").and_then(|variables| variables.get(name)),
            Self::Context(path) => {
                let context = event.get("requestContext");
                context.and_then(|context| path.split('.').try_fold(context, |value, name| value.get(name)))
            }
        };
        value.is_some_and(|value| !value.is_null() && value != "")
    }
}

/// Lets a browser in as the stage wants it. What is known of it then goes into every event of the connection.
pub(super) async fn authorize(
    shared: &Arc<Shared>,
    context: &mut ConnectionContext,
    request: &Parts,
    spelling: &Spelling,
) -> Result<(), Answer> {
    match &shared.api.authorization {
        Authorization::None => Ok(()),
        Authorization::Lambda(authorizer) => {
            let upgrade = UpgradeRequest { uri: &request.uri, headers: &request.headers, spelling };
            ask(authorizer, shared, context, upgrade).await
        }
        Authorization::Iam => {
            let verified = signature::verify(request, b"", shared);
            verified.map_err(|refused| refused.answer())?;
            context.access_key_id = Some(shared.credentials.access_key_id.as_str().into());
            Ok(())
        }
    }
}

async fn ask(
    authorizer: &Authorizer,
    shared: &Arc<Shared>,
    context: &mut ConnectionContext,
    upgrade: UpgradeRequest<'_>,
) -> Result<(), Answer> {
    let method_arn = method_arn(shared);
    let event = event::request_authorizer(&shared.api, context, upgrade, &method_arn);
    if !authorizer.identity_sources.iter().all(|source| source.is_in(&event)) {
        return Err(unauthorized());
    }
    let asked_at = Instant::now();
    let event = Value::Object(event).to_string();
    let time_out = shared.limits.integration_time_out;
    let output = match connection::invoke_within(time_out, &authorizer.integration, event.into()).await {
        Ok(output) => output,
        Err(IntegrationError::Failed(reason)) if reason == UNAUTHORIZED => return Err(unauthorized()),
        Err(error) => return Err(misconfigured(context, &error.to_string())),
    };
    if output.len() > shared.limits.authorizer_bytes_max {
        return Err(misconfigured(context, "its reply is too large"));
    }
    let Some(Output { policy, mut known }) = Output::read(&output) else {
        return Err(misconfigured(context, "its reply is malformed"));
    };
    match policy.decide(&method_arn) {
        Decision::Allow => {}
        Decision::ExplicitDeny => return Err(denied(" with an explicit deny")),
        Decision::NotCovered => return Err(denied("")),
    }
    let latency_ms = u64::try_from(asked_at.elapsed().as_millis()).unwrap_or(u64::MAX);
    known.insert("integrationLatency".to_owned(), json!(latency_ms));
    context.authorizer = Some(Arc::new(known));
    Ok(())
}

/// The ARN that a policy has to cover.
fn method_arn(shared: &Shared) -> String {
    let api = &shared.api;
    format!("arn:aws:execute-api:{}:{}:{}/{}/$connect", api.region, api.account_id, api.api_id, api.stage)
}

fn unauthorized() -> Answer {
    reply::error(StatusCode::UNAUTHORIZED, "UnauthorizedException", UNAUTHORIZED)
}

fn denied(how: &str) -> Answer {
    let message = format!("User is not authorized to access this resource{how}");
    reply::error(StatusCode::FORBIDDEN, "AccessDeniedException", &message)
}

fn misconfigured(context: &ConnectionContext, reason: &str) -> Answer {
    tracing::warn!(connection_id = context.connection_id, reason, "the authorizer failed");
    reply::error(StatusCode::INTERNAL_SERVER_ERROR, "AuthorizerConfigurationException", "Internal server error")
}

/// What an authorizer returned.
struct Output {
    policy: Policy,
    /// The principal and the context, as events name them.
    known: Map<String, Value>,
}

impl Output {
    /// Reads a reply; `None` if it is malformed.
    fn read(reply: &[u8]) -> Option<Self> {
        let reply: Value = serde_json::from_slice(reply).ok()?;
        let principal_id = reply.get("principalId")?.as_str()?;
        let policy = Policy::read(reply.get("policyDocument")?)?;
        let mut known = Map::new();
        match reply.get("context") {
            None | Some(Value::Null) => {}
            Some(Value::Object(fields)) => {
                for (name, value) in fields {
                    match value {
                        Value::Null => {}
                        Value::Bool(_) | Value::Number(_) => {
                            known.insert(name.clone(), json!(value.to_string()));
                        }
                        Value::String(_) => {
                            known.insert(name.clone(), value.clone());
                        }
                        // Only flat values are allowed.
                        Value::Array(_) | Value::Object(_) => return None,
                    }
                }
            }
            Some(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => return None,
        }
        known.insert("principalId".to_owned(), json!(principal_id));
        Some(Self { policy, known })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_source_is_spelled_as_for_websocket_apis() {
        let parse = |text: &str| text.parse::<IdentitySource>();
        assert_eq!(parse("route.request.header.Auth"), Ok(IdentitySource::Header("Auth".into())));
        assert_eq!(parse("route.request.querystring.token"), Ok(IdentitySource::QueryString("token".into())));
        assert_eq!(parse("stageVariables.a"), Ok(IdentitySource::StageVariable("a".into())));
        assert_eq!(parse("context.identity.sourceIp"), Ok(IdentitySource::Context("identity.sourceIp".into())));
        for text in ["$request.header.Auth", "method.request.header.Auth", "route.request.header.", ""] {
            assert_eq!(parse(text), Err(IdentitySourceError(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn an_identity_source_that_is_missing_or_empty_is_not_there() {
        let event = json!({
            "headers": {"X-Auth": "a", "Empty": ""}, "queryStringParameters": {"token": "t", "none": ""},
            "stageVariables": {"v": "1"}, "requestContext": {"identity": {"sourceIp": "127.0.0.1"}},
        });
        let event = event.as_object().unwrap();
        let is_in = |text: &str| text.parse::<IdentitySource>().unwrap().is_in(event);
        let there = ["route.request.header.x-auth", "route.request.querystring.token", "stageVariables.v"];
        assert!(there.into_iter().all(is_in) && is_in("context.identity.sourceIp"));
        let absent =
            ["route.request.header.empty", "route.request.querystring.none", "route.request.querystring.Token"];
        assert!(!absent.into_iter().any(is_in) && !is_in("stageVariables.w") && !is_in("context.identity.userAgent"));
    }

    #[test]
    fn a_context_is_flat_and_becomes_strings() {
        let output = |context: Value| {
            let policy = json!({"Version": "2012-10-17", "Statement": []});
            let reply = json!({"principalId": "me", "policyDocument": policy, "context": context});
            Output::read(reply.to_string().as_bytes()).map(|output| Value::Object(output.known))
        };
        let flat = json!({"n": 1, "yes": true, "text": "x", "nothing": null, "principalId": "another"});
        assert_eq!(output(flat), Some(json!({"n": "1", "yes": "true", "text": "x", "principalId": "me"})));
        assert_eq!(output(Value::Null), Some(json!({"principalId": "me"})));
        for malformed in [json!({"list": []}), json!({"object": {}}), json!("text")] {
            assert_eq!(output(malformed.clone()), None, "{malformed}");
        }
    }

    #[test]
    fn an_authorizers_reply_needs_a_principal_and_a_policy() {
        for malformed in
            ["", "null", "{}", "\"Allow\"", r#"{"principalId":"me"}"#, r#"{"policyDocument":{"Statement":[]}}"#]
        {
            assert!(Output::read(malformed.as_bytes()).is_none(), "{malformed}");
        }
    }
}
