//! One call to `@connections`.
//!
//! Owns: the requests on the wire, and classifying API Gateway's answers, once.
//! Must not know: retries, other connections.
//! Source: Smithy model of `apigatewaymanagementapi`; 5xx and silence as seen on AWS.

use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, SharedHttpConnector},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::HttpError,
};
use aws_smithy_types::body::SdkBody;
use aws_types::SdkConfig;
use domain::{ConnectionId, limits, post::Answer};
use http_body_util::{BodyExt, Limited};
use tokio::time::timeout;

use crate::{
    ManagementEndpoint, connector,
    frame::{EMPTY_HASH, Frame},
    signer::{NotSigned, Signable, Signer},
};

/// What a frame is, to API Gateway; the SDKs say so.
const CONTENT_TYPE: &str = "application/octet-stream";

/// The way to an endpoint.
#[derive(Debug)]
pub(crate) struct Caller {
    connector: Option<SharedHttpConnector>,
    endpoint: ManagementEndpoint,
    signer: Signer,
}

/// What is asked of a connection's place.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Request<'a> {
    /// Send this to the browser.
    Post(&'a Frame),
    /// Close the connection.
    Delete,
    /// Say whether there is such a connection.
    Get,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error("there is no HTTP client")]
    NoClient,
    #[error("the request was not signed")]
    NotSigned(#[from] NotSigned),
    #[error("the request is none of HTTP")]
    NoRequest(#[from] HttpError),
    #[error("the connection failed")]
    Broken(#[from] ConnectorError),
    #[error("there was no answer in time")]
    Late(#[from] tokio::time::error::Elapsed),
}

impl Caller {
    pub(crate) fn new(sdk: &SdkConfig, endpoint: &ManagementEndpoint) -> Self {
        Self { connector: connector::of(sdk), endpoint: endpoint.clone(), signer: Signer::new(sdk) }
    }

    pub(crate) async fn attempt(&self, request: Request<'_>, connection_id: &ConnectionId) -> Answer {
        let (method, frame) = match request {
            Request::Post(frame) => ("POST", Some(frame)),
            Request::Delete => ("DELETE", None),
            Request::Get => ("GET", None),
        };
        let answer = timeout(limits::PUSH_TIME_OUT, self.call(method, connection_id, frame)).await;
        let (attempt, status, reason) = match answer.map_err(NoAnswer::from).flatten() {
            Ok(answer) => {
                let (status, reason) = (answer.status().as_u16(), error_type(&answer));
                (classified(status, &reason), Some(status), reason)
            }
            Err(error @ NoAnswer::Late(_)) => (Answer::Silent, None, error.to_string()),
            Err(error) => (Answer::Unanswered, None, error.to_string()),
        };
        if attempt == Answer::Accepted {
            return attempt;
        }
        tracing::info!(method, connection_id = connection_id.as_str(), status, reason, ?attempt, "not accepted");
        attempt
    }

    /// Sends a request and reads its answer, so that its connection can be kept.
    async fn call(
        &self,
        method: &'static str,
        connection_id: &ConnectionId,
        frame: Option<&Frame>,
    ) -> Result<HttpResponse, NoAnswer> {
        let connector = self.connector.as_ref().ok_or(NoAnswer::NoClient)?;
        let request = self.request(method, connection_id, frame).await?;
        let mut answer = connector.call(request).await?;
        let body = Limited::new(answer.take_body(), limits::PUSH_ANSWER_BYTES_MAX);
        // What it says is of no use: the status says it all. A body that is too long or breaks off costs its connection.
        body.collect().await.ok();
        Ok(answer)
    }

    async fn request(
        &self,
        method: &'static str,
        connection_id: &ConnectionId,
        frame: Option<&Frame>,
    ) -> Result<HttpRequest, NoAnswer> {
        let place = self.endpoint.place(connection_id);
        let signing = self.signer.signing().await?;
        let host = self.endpoint.host();
        let content_type = frame.map(|_| CONTENT_TYPE);
        let body_hash = frame.map_or(EMPTY_HASH, |frame| &frame.hash);
        let path = &place.signed_path;
        let authorization = signing.authorization(Signable { method, content_type, path, host, body_hash });
        let body = frame.map_or_else(SdkBody::empty, |frame| SdkBody::from(frame.bytes.clone()));
        let mut request = HttpRequest::new(body);
        request.set_method(method)?;
        request.set_uri(place.url)?;
        let headers = request.headers_mut();
        headers.try_insert("host", host.to_owned())?;
        if let Some(content_type) = content_type {
            headers.try_insert("content-type", content_type)?;
        }
        headers.try_insert("x-amz-date", signing.time().to_owned())?;
        headers.try_insert("authorization", authorization)?;
        if let Some(token) = signing.session_token() {
            headers.try_insert("x-amz-security-token", token.to_owned())?;
        }
        Ok(request)
    }
}

/// A 400 says that there is no such connection only if it is API Gateway's own: whoever stands in between may refuse
/// every call.
fn classified(status: u16, error_type: &str) -> Answer {
    match (status, error_type) {
        (200..300, _) => Answer::Accepted,
        (400, "BadRequestException") => Answer::InvalidId,
        (410, _) => Answer::Gone,
        (413, _) => Answer::TooLarge,
        (429, _) => Answer::Throttled,
        (500.., _) => Answer::Unanswered,
        _ => Answer::Refused,
    }
}

/// The error's name; AWS may put an address behind it.
fn error_type(answer: &HttpResponse) -> String {
    let header = answer.headers().get("x-amzn-errortype").unwrap_or_default();
    header.split(':').next().unwrap_or_default().to_owned()
}
