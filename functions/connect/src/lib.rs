//! `$connect`: lets a browser in and records its connection.
//!
//! Owns: that a connection is accepted only if its page may connect, somebody vouches for it and it is recorded.
//! Must not know: tokens, orders, subscriptions, messages; it has no right to send.
//! Source: API Gateway sends CONNECT once, before the upgrade is answered, and passes the status on.

pub mod origins;

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use domain::{Anonymous, ConnectionId, VariableError};
use lambda_runtime::{LambdaEvent, service_fn};
use origins::Origins;
use serde_json::{Value, json};
use store::{CallError, Connection, Connections, SdkConfig, TableName, aws};

/// The sub-protocol that a browser offers beside its token. Whoever offers one wants it answered (RFC 6455, 4.1).
const SUB_PROTOCOL: &str = "foldcast";

const SUB_PROTOCOL_HEADER: &str = "Sec-WebSocket-Protocol";

/// What the function works with.
#[derive(Clone, Debug)]
pub struct Connect {
    connections: Connections,
    origins: Origins,
    anonymous: Anonymous,
}

/// Why a connection is not accepted, other than by a refusal.
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
    let connect = Connect::from_vars(&var)?;
    let connect = &connect;
    let serve = async |event: LambdaEvent<ApiGatewayWebsocketProxyRequest>| {
        connect.handle(event.payload).await.map_err(lambda_runtime::Error::from)
    };
    lambda_runtime::run(service_fn(serve)).await
}

impl Connect {
    /// Reads the environment.
    ///
    /// # Errors
    /// The variable that is missing or wrong.
    pub fn from_vars(var: &impl Fn(&str) -> Option<String>) -> Result<Self, VariableError> {
        Self::with_sdk(&aws::sdk_config(var)?, var)
    }

    /// Reads the environment, but for what `sdk` has.
    ///
    /// # Errors
    /// The variable that is missing or wrong.
    pub fn with_sdk(sdk: &SdkConfig, var: &impl Fn(&str) -> Option<String>) -> Result<Self, VariableError> {
        Ok(Self {
            connections: Connections::new(aws::dynamodb(sdk), TableName::connections(var)?),
            origins: Origins::from_vars(var)?,
            anonymous: Anonymous::from_vars(var),
        })
    }

    /// Records the connection, or refuses it: 403 for a page that may not connect, 401 for a connection that nobody
    /// vouches for. The answer's status is the one that the browser gets.
    ///
    /// # Errors
    /// [`ConnectError`]; API Gateway refuses the connection then, with status 502.
    pub async fn handle(&self, request: ApiGatewayWebsocketProxyRequest) -> Result<Value, ConnectError> {
        let context = request.request_context;
        let connection_id = context.connection_id.ok_or(ConnectError::NoConnectionId)?;
        let header = |name: &str| request.headers.get(name);
        // An origin that is no text is on no list.
        let origin = header("Origin").map(|origin| origin.to_str().unwrap_or_default());
        if origin.is_some_and(|origin| !self.origins.allow(origin)) {
            return Ok(refusal(403, &connection_id, "its page may not connect"));
        }
        let of_authorizer = |name: &str| context.authorizer.fields.get(name).and_then(Value::as_str);
        let Some(identity) = self.anonymous.identify(of_authorizer) else {
            return Ok(refusal(401, &connection_id, "nobody vouches for it"));
        };
        let connection = Connection {
            connection_id: ConnectionId::new(connection_id),
            identity,
            connected_at_ms: context.connected_at,
        };
        self.connections.put(&connection).await?;
        tracing::info!(connection_id = connection.connection_id.as_str(), "connected");
        let offered = header(SUB_PROTOCOL_HEADER).and_then(|offered| offered.to_str().ok()).unwrap_or_default();
        if offered.split(',').any(|offered| offered.trim() == SUB_PROTOCOL) {
            return Ok(json!({"statusCode": 200, "headers": {SUB_PROTOCOL_HEADER: SUB_PROTOCOL}}));
        }
        Ok(json!({"statusCode": 200}))
    }
}

fn refusal(status: u16, connection_id: &str, reason: &str) -> Value {
    tracing::info!(connection_id, reason, "refused");
    json!({"statusCode": status})
}
