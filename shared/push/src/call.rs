//! One call to `@connections`.
//!
//! Owns: classifying API Gateway's answers, once.
//! Must not know: retries, other connections.
//! Source: Smithy model of `apigatewaymanagementapi`; 5xx and silence as seen on AWS.

use aws_sdk_apigatewaymanagement::{
    Client,
    config::http::HttpResponse,
    error::{ProvideErrorMetadata, SdkError},
    primitives::Blob,
};
use domain::ConnectionId;

/// How one call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    Accepted,
    Gone,
    TooLarge,
    Throttled,
    /// A server error or a broken connection: it can pass.
    Unanswered,
    /// No answer in time: it can pass.
    Silent,
    /// API Gateway does not want this call: trying again does not help.
    Refused,
}

pub(crate) async fn post(client: &Client, connection_id: &ConnectionId, frame: &str) -> Attempt {
    let post = client.post_to_connection().connection_id(connection_id.as_str()).data(Blob::new(frame));
    attempt("PostToConnection", connection_id, post.send().await)
}

pub(crate) async fn delete(client: &Client, connection_id: &ConnectionId) -> Attempt {
    let delete = client.delete_connection().connection_id(connection_id.as_str());
    attempt("DeleteConnection", connection_id, delete.send().await)
}

fn attempt<T, E: ProvideErrorMetadata>(
    operation: &'static str,
    connection_id: &ConnectionId,
    answer: Result<T, SdkError<E, HttpResponse>>,
) -> Attempt {
    let Err(error) = answer else { return Attempt::Accepted };
    let status = error.raw_response().map(|response| response.status().as_u16());
    let attempt = match status {
        Some(410) => Attempt::Gone,
        Some(413) => Attempt::TooLarge,
        Some(429) => Attempt::Throttled,
        None if matches!(error, SdkError::TimeoutError(_)) => Attempt::Silent,
        Some(500..) | None => Attempt::Unanswered,
        Some(_) => Attempt::Refused,
    };
    let code = error.code().unwrap_or("none");
    tracing::info!(operation, connection_id = connection_id.as_str(), status, code, ?attempt, "not accepted");
    attempt
}
