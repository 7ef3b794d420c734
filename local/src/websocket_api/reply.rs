//! What goes back: replies of integrations, error frames, HTTP answers.
//!
//! Owns: the bytes of everything that API Gateway itself says.
//! Must not know: connections.
//! Source: frames and bodies as recorded from AWS, spaces included.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::Value;

use super::{Answer, ids};

/// What API Gateway tells a browser in an integration's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorFrame {
    /// The integration failed or its reply is malformed.
    InternalServerError,
    /// The integration took too long.
    EndpointRequestTimedOut,
    /// There is no route for the message.
    Forbidden,
    /// The route, the stage or the account takes no more.
    TooManyRequests,
}

impl ErrorFrame {
    pub(super) fn text(self, connection_id: &str, request_id: &str) -> String {
        let message = match self {
            Self::InternalServerError => "Internal server error",
            Self::EndpointRequestTimedOut => "Endpoint request timed out",
            Self::Forbidden => "Forbidden",
            Self::TooManyRequests => "Too Many Requests",
        };
        format!(r#"{{"message": "{message}", "connectionId":"{connection_id}", "requestId":"{request_id}"}}"#)
    }
}

/// A Lambda proxy reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProxyReply {
    pub(super) status: StatusCode,
    pub(super) body: Option<String>,
    /// The one header of `$connect`'s reply that reaches the browser.
    pub(super) sub_protocol: Option<String>,
}

impl ProxyReply {
    /// Reads a reply; `None` if it is malformed.
    pub(super) fn read(reply: &[u8]) -> Option<Self> {
        let reply: Value = serde_json::from_slice(reply).ok()?;
        let status = u16::try_from(reply.get("statusCode")?.as_u64()?).ok()?;
        let header = |headers: &str| {
            let headers = reply.get(headers)?.as_object()?;
            let (_, value) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-protocol"))?;
            value.as_str().or_else(|| value.as_array()?.first()?.as_str()).map(str::to_owned)
        };
        Some(Self {
            status: StatusCode::from_u16(status).ok()?,
            body: reply.get("body").and_then(Value::as_str).filter(|body| !body.is_empty()).map(str::to_owned),
            sub_protocol: header("headers").or_else(|| header("multiValueHeaders")),
        })
    }
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Answer {
    with_body(status, "", Bytes::new())
}

/// An answer with an error's name and message, as AWS's services give them.
pub(super) fn error(status: StatusCode, error_type: &'static str, message: &str) -> Answer {
    let body = serde_json::json!({"message": message}).to_string();
    typed(with_body(status, "application/json", body.into()), error_type)
}

/// The stage, the API or the path does not exist.
pub(super) fn forbidden() -> Answer {
    error(StatusCode::FORBIDDEN, "ForbiddenException", "Forbidden")
}

/// More connect than the account or the stage takes.
pub(super) fn too_many_requests() -> Answer {
    error(StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", "Too Many Requests")
}

/// An answer of this content type.
pub(super) fn with_body(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    if !content_type.is_empty() {
        headers.insert("content-type", HeaderValue::from_static(content_type));
    }
    if let Ok(request_id) = HeaderValue::from_str(&ids::request_id()) {
        headers.insert("x-amzn-requestid", request_id);
    }
    answer
}

/// The answer with the header from which SDKs read which error it is.
pub(super) fn typed(mut answer: Answer, error_type: &'static str) -> Answer {
    answer.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(error_type));
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_frames_are_byte_for_byte_those_of_aws() {
        assert_eq!(
            ErrorFrame::Forbidden.text("XDmENcnwIE0CFEQ=", "XDmGEE2RoE0FRdQ="),
            r#"{"message": "Forbidden", "connectionId":"XDmENcnwIE0CFEQ=", "requestId":"XDmGEE2RoE0FRdQ="}"#
        );
    }

    #[test]
    fn a_reply_needs_a_status_and_may_have_a_body_and_a_sub_protocol() {
        let reply = ProxyReply::read(br#"{"statusCode":200,"body":"x","headers":{"Sec-WebSocket-Protocol":"a"}}"#);
        let (status, body, sub_protocol) = (StatusCode::OK, Some("x".to_owned()), Some("a".to_owned()));
        assert_eq!(reply, Some(ProxyReply { status, body, sub_protocol }));
        let multi =
            ProxyReply::read(br#"{"statusCode":400,"body":"","multiValueHeaders":{"sec-websocket-protocol":["b"]}}"#);
        let sub_protocol = Some("b".to_owned());
        assert_eq!(multi, Some(ProxyReply { status: StatusCode::BAD_REQUEST, body: None, sub_protocol }));
        for malformed in ["", "null", "{}", r#"{"statusCode":"200"}"#, r#"{"statusCode":7}"#, "\"ok\""] {
            assert_eq!(ProxyReply::read(malformed.as_bytes()), None, "{malformed}");
        }
    }
}
