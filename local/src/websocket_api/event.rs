//! The events that integrations get: CONNECT, MESSAGE, DISCONNECT.
//!
//! Owns: which keys are there and which are absent; what is null is left out.
//! Must not know: what an integration does with them.
//! Source: events recorded from AWS and the fixtures of `aws_lambda_events`.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Uri};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

use super::{Api, ids, spelling::Spelling};

const REQUEST_TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");

/// Headers of one hop: a proxy integration is not shown them, an authorizer sees those of API Gateway's own hop.
const HOP_HEADERS: [(&str, &str); 3] = [("Connection", "upgrade"), ("content-length", "0"), ("Upgrade", "websocket")];

/// What every event of a connection repeats.
#[derive(Clone, Debug)]
pub(super) struct ConnectionContext {
    pub(super) connection_id: String,
    pub(super) connected_at_ms: i64,
    pub(super) source_ip: IpAddr,
    pub(super) user_agent: Option<String>,
    /// What an authorizer knows of the browser.
    pub(super) authorizer: Option<Arc<Map<String, Value>>>,
    /// The access key that the upgrade was signed with, where IAM authorizes.
    pub(super) access_key_id: Option<Arc<str>>,
}

/// An event and the id by which its answer names it.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) request_id: String,
    pub(super) json: Bytes,
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    let now = OffsetDateTime::now_utc().unix_timestamp_nanos() / 1_000_000;
    i64::try_from(now).unwrap_or(i64::MAX)
}

/// What a browser asks to be connected with.
#[derive(Clone, Copy, Debug)]
pub(super) struct UpgradeRequest<'a> {
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
    pub(super) spelling: &'a Spelling,
}

pub(super) fn connect(api: &Api, context: &ConnectionContext, upgrade: UpgradeRequest<'_>) -> Event {
    let mut event = Map::new();
    insert_both(&mut event, "headers", "multiValueHeaders", &upgrade.shown_headers(context.source_ip));
    let query = query_values(upgrade.uri.query().unwrap_or_default());
    if !query.is_empty() {
        insert_both(&mut event, "queryStringParameters", "multiValueQueryStringParameters", &query);
    }
    finish(api, context, "$connect", "CONNECT", Map::new(), event)
}

/// What an authorizer is asked: the upgrade with all its headers. What is empty is there, unlike in a proxy event.
pub(super) fn request_authorizer(
    api: &Api,
    context: &ConnectionContext,
    upgrade: UpgradeRequest<'_>,
    method_arn: &str,
) -> Map<String, Value> {
    let mut headers = upgrade.shown_headers(context.source_ip);
    headers.extend(HOP_HEADERS.map(|(name, value)| (name.to_owned(), vec![value.to_owned()])));
    let (request_context, _) = request_context(api, context, "$connect", "CONNECT");
    let mut event = Map::from_iter([
        ("type".to_owned(), json!("REQUEST")),
        ("methodArn".to_owned(), json!(method_arn)),
        ("stageVariables".to_owned(), json!(api.stage_variables)),
        ("requestContext".to_owned(), request_context.into()),
    ]);
    insert_both(&mut event, "headers", "multiValueHeaders", &headers);
    let query = query_values(upgrade.uri.query().unwrap_or_default());
    insert_both(&mut event, "queryStringParameters", "multiValueQueryStringParameters", &query);
    event
}

/// Values by their names: the last one of each, and all of them.
fn insert_both(event: &mut Map<String, Value>, single: &str, multi: &str, values: &BTreeMap<String, Vec<String>>) {
    let last: Map<String, Value> =
        values.iter().filter_map(|(name, values)| Some((name.clone(), json!(values.last()?)))).collect();
    event.insert(single.to_owned(), last.into());
    event.insert(multi.to_owned(), json!(values));
}

pub(super) fn message(api: &Api, context: &ConnectionContext, route_key: &str, body: &str) -> Event {
    let more = Map::from_iter([("messageId".to_owned(), json!(ids::request_id()))]);
    let event = Map::from_iter([("body".to_owned(), json!(body))]);
    finish(api, context, route_key, "MESSAGE", more, event)
}

pub(super) fn disconnect(api: &Api, context: &ConnectionContext, status_code: u16, reason: &str) -> Event {
    let more = Map::from_iter([
        ("disconnectStatusCode".to_owned(), json!(status_code)),
        ("disconnectReason".to_owned(), json!(reason)),
    ]);
    let headers = [("Host", domain_name(api)), ("x-api-key", String::new()), ("X-Forwarded-For", String::new())];
    let headers = headers.into_iter().chain([("x-restapi", String::new())]);
    let (mut single, mut multi) = (Map::new(), Map::new());
    for (name, value) in headers {
        multi.insert(name.to_owned(), json!([value]));
        single.insert(name.to_owned(), json!(value));
    }
    let event = Map::from_iter([("headers".to_owned(), single.into()), ("multiValueHeaders".to_owned(), multi.into())]);
    finish(api, context, "$disconnect", "DISCONNECT", more, event)
}

fn finish(
    api: &Api,
    context: &ConnectionContext,
    route_key: &str,
    event_type: &str,
    more: Map<String, Value>,
    mut event: Map<String, Value>,
) -> Event {
    let (mut request_context, request_id) = request_context(api, context, route_key, event_type);
    request_context.extend(more);
    if let Some(authorizer) = &context.authorizer {
        request_context.insert("authorizer".to_owned(), Value::Object(Map::clone(authorizer)));
    }
    event.insert("requestContext".to_owned(), request_context.into());
    event.insert("isBase64Encoded".to_owned(), json!(false));
    if !api.stage_variables.is_empty() {
        event.insert("stageVariables".to_owned(), json!(api.stage_variables));
    }
    Event { request_id, json: Value::Object(event).to_string().into() }
}

/// What every event says of its request and its connection, and the request's id.
fn request_context(
    api: &Api,
    context: &ConnectionContext,
    route_key: &str,
    event_type: &str,
) -> (Map<String, Value>, String) {
    let now = OffsetDateTime::now_utc();
    let request_id = ids::request_id();
    let request_context = json!({
        "routeKey": route_key,
        "eventType": event_type,
        "messageDirection": "IN",
        "connectionId": context.connection_id,
        "connectedAt": context.connected_at_ms,
        "requestTimeEpoch": now_ms(),
        "requestTime": now.format(REQUEST_TIME).unwrap_or_default(),
        "requestId": request_id,
        "extendedRequestId": request_id,
        "stage": api.stage,
        "apiId": api.api_id,
        "domainName": domain_name(api),
        "identity": identity(api, context),
    });
    let fields = match request_context {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    };
    (fields, request_id)
}

pub(super) fn domain_name(api: &Api) -> String {
    format!("{}.execute-api.{}.amazonaws.com", api.api_id, api.region)
}

impl UpgradeRequest<'_> {
    /// The browser's headers, and those that API Gateway's front adds.
    fn shown_headers(&self, source_ip: IpAddr) -> BTreeMap<String, Vec<String>> {
        let trace_id = format!("Root=1-{:08x}-{:024x}", now_ms() / 1000, fastrand::u128(..) >> 32);
        let added = [
            ("X-Amzn-Trace-Id", trace_id),
            ("X-Forwarded-For", source_ip.to_string()),
            ("X-Forwarded-Port", "443".to_owned()),
            ("X-Forwarded-Proto", "https".to_owned()),
        ];
        let is_ours = |name: &str| {
            let names = added.iter().map(|(name, _)| *name).chain(HOP_HEADERS.map(|(name, _)| name));
            names.into_iter().any(|ours| ours.eq_ignore_ascii_case(name))
        };
        let mut shown: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (name, value) in self.headers.iter().filter(|(name, _)| !is_ours(name.as_str())) {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            shown.entry(self.spelling.name(name.as_str())).or_default().push(value);
        }
        shown.extend(added.into_iter().map(|(name, value)| (name.to_owned(), vec![value])));
        shown
    }
}

/// Who a browser is: where it comes from, and whose key it signed with.
fn identity(api: &Api, context: &ConnectionContext) -> Map<String, Value> {
    let mut identity = Map::from_iter([("sourceIp".to_owned(), json!(context.source_ip.to_string()))]);
    if let Some(user_agent) = &context.user_agent {
        identity.insert("userAgent".to_owned(), json!(user_agent));
    }
    if let Some(access_key_id) = context.access_key_id.as_deref() {
        let user_arn = format!("arn:aws:iam::{}:user/{access_key_id}", api.account_id);
        let caller = [
            ("accessKey", json!(access_key_id)),
            ("accountId", json!(api.account_id)),
            ("caller", json!(access_key_id)),
            ("user", json!(access_key_id)),
            ("userArn", json!(user_arn)),
        ];
        identity.extend(caller.map(|(name, value)| (name.to_owned(), value)));
    }
    identity
}

fn query_values(query: &str) -> BTreeMap<String, Vec<String>> {
    let decode = |text: &str| percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned();
    let mut values: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        values.entry(decode(name)).or_default().push(decode(value));
    }
    values
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::websocket_api::{Authorization, Throttling};

    fn api() -> Api {
        Api {
            api_id: "abcdef1234".into(),
            stage: "local".into(),
            region: "us-east-1".into(),
            account_id: "000000000000".into(),
            route_selection_expression: "$request.body.action".into(),
            routes: BTreeMap::new(),
            stage_variables: BTreeMap::new(),
            authorization: Authorization::None,
            throttling: Throttling::default(),
        }
    }

    fn context() -> ConnectionContext {
        ConnectionContext {
            connection_id: "L0SM9cOFvHcCIhw=".into(),
            connected_at_ms: 1_605_999_005_510,
            source_ip: Ipv4Addr::LOCALHOST.into(),
            user_agent: None,
            authorizer: None,
            access_key_id: None,
        }
    }

    fn connect_to(url: &str, headers: &HeaderMap) -> Value {
        let spelling = Spelling::default();
        let upgrade = UpgradeRequest { uri: &url.parse().unwrap(), headers, spelling: &spelling };
        parsed(&connect(&api(), &context(), upgrade))
    }

    fn keys(value: &Value) -> Vec<&str> {
        value.as_object().unwrap().keys().map(String::as_str).collect()
    }

    fn parsed(event: &Event) -> Value {
        serde_json::from_slice(&event.json).unwrap()
    }

    #[test]
    fn a_message_has_a_body_and_no_headers() {
        let event = parsed(&message(&api(), &context(), "$default", "hi"));
        assert_eq!(keys(&event), ["body", "isBase64Encoded", "requestContext"]);
        let context = &event["requestContext"];
        let expected = [
            "apiId",
            "connectedAt",
            "connectionId",
            "domainName",
            "eventType",
            "extendedRequestId",
            "identity",
            "messageDirection",
            "messageId",
            "requestId",
            "requestTime",
            "requestTimeEpoch",
            "routeKey",
            "stage",
        ];
        assert_eq!(keys(context), expected);
        assert_eq!(context["requestId"], context["extendedRequestId"]);
        assert_eq!(context["domainName"], "abcdef1234.execute-api.us-east-1.amazonaws.com");
        assert_eq!(keys(&context["identity"]), ["sourceIp"]);
    }

    #[test]
    fn a_connect_has_headers_and_a_query_only_if_the_url_has_one() {
        let mut headers = HeaderMap::new();
        for (name, value) in [("host", "h"), ("upgrade", "websocket"), ("sec-websocket-key", "k"), ("x-a", "1")] {
            headers.insert(name, value.parse().unwrap());
        }
        headers.append("x-a", "2".parse().unwrap());
        let event = connect_to("/local", &headers);
        assert_eq!(keys(&event), ["headers", "isBase64Encoded", "multiValueHeaders", "requestContext"]);
        let shown = [
            "Host",
            "Sec-WebSocket-Key",
            "X-A",
            "X-Amzn-Trace-Id",
            "X-Forwarded-For",
            "X-Forwarded-Port",
            "X-Forwarded-Proto",
        ];
        assert_eq!(keys(&event["headers"]), shown);
        assert_eq!((&event["headers"]["X-A"], &event["multiValueHeaders"]["X-A"]), (&json!("2"), &json!(["1", "2"])));
        let event = connect_to("/local?a=1&a=%20b&c", &headers);
        assert_eq!(event["queryStringParameters"], json!({"a": " b", "c": ""}));
        assert_eq!(event["multiValueQueryStringParameters"], json!({"a": ["1", " b"], "c": [""]}));
    }

    #[test]
    fn a_disconnect_has_its_cause_and_four_headers() {
        let event = parsed(&disconnect(&api(), &context(), 1005, "Client-side close frame status not set"));
        assert_eq!(keys(&event), ["headers", "isBase64Encoded", "multiValueHeaders", "requestContext"]);
        assert_eq!(keys(&event["headers"]), ["Host", "X-Forwarded-For", "x-api-key", "x-restapi"]);
        assert_eq!(event["requestContext"]["disconnectStatusCode"], 1005);
        assert_eq!(event["requestContext"]["routeKey"], "$disconnect");
    }

    #[test]
    fn a_request_time_is_in_english_and_utc() {
        let event = parsed(&message(&api(), &context(), "$default", ""));
        let time = event["requestContext"]["requestTime"].as_str().unwrap().to_owned();
        let (day, rest) = time.split_once('/').unwrap();
        assert!(day.len() == 2 && rest.ends_with(" +0000") && rest.as_bytes()[3] == b'/', "{time}");
    }
}
