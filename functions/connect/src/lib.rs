//! `$connect`: records a connection.
//!
//! Owns: that a connection is accepted only if it is recorded.
//! Must not know: orders, subscriptions, messages; it has no right to send.
//! Source: API Gateway sends CONNECT once, before the upgrade is answered, and passes the status on.

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use domain::{ConnectionId, PrincipalId};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::{Value, json};
use store::{CallError, Connection, Connections, TableName, aws};

/// Why a connection is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The invocation is none of API Gateway's.
    #[error("the invocation has no requestContext.connectionId")]
    NoConnectionId,
    /// The connection could not be recorded.
    #[error("the connection could not be recorded")]
    NotRecorded(#[from] CallError),
}

/// Serves `$connect` until Lambda ends the process.
///
/// # Errors
/// What is wrong with the environment, or with the Runtime API.
pub async fn run(var: impl Fn(&str) -> Option<String>) -> Result<(), lambda_runtime::Error> {
    let client = aws::dynamodb(&aws::sdk_config(&var)?);
    let connections = Connections::new(client, TableName::connections(&var)?);
    let connections = &connections;
    let serve = async |event: LambdaEvent<ApiGatewayWebsocketProxyRequest>| {
        handle(connections, event.payload).await.map_err(lambda_runtime::Error::from)
    };
    lambda_runtime::run(service_fn(serve)).await
}

/// Records the connection; the answer lets API Gateway accept it.
///
/// # Errors
/// [`ConnectError`]; API Gateway refuses the connection then, with status 502.
pub async fn handle(
    connections: &Connections,
    request: ApiGatewayWebsocketProxyRequest,
) -> Result<Value, ConnectError> {
    let context = request.request_context;
    let connection_id = context.connection_id.ok_or(ConnectError::NoConnectionId)?;
    let principal_id = context.authorizer.fields.get("principalId").and_then(Value::as_str);
    let connection = Connection {
        connection_id: ConnectionId::new(connection_id),
        principal_id: PrincipalId::from_authorizer(principal_id),
        connected_at_ms: context.connected_at,
    };
    connections.put(&connection).await?;
    tracing::info!(connection_id = connection.connection_id.as_str(), "connected");
    Ok(json!({"statusCode": 200}))
}
