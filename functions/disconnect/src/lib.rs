//! `$disconnect`: forgets a connection.
//!
//! Owns: that nothing of an ended connection stays longer than it must.
//! Must not know: orders' contents, messages; it has no right to send.
//! Source: API Gateway sends DISCONNECT at most once and maybe never; time-to-live and 410 clean up what is left.

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use domain::{ConnectionId, VariableError};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::{Value, json};
use store::{CallError, Connections, Subscriptions, TableName, aws};

/// Why a connection was not forgotten.
#[derive(Debug, thiserror::Error)]
pub enum DisconnectError {
    /// The invocation is none of API Gateway's.
    #[error("the invocation has no requestContext.connectionId")]
    NoConnectionId,
    /// DynamoDB did not serve a call.
    #[error("the connection could not be forgotten")]
    NotForgotten(#[from] CallError),
}

/// What the function works with.
#[derive(Clone, Debug)]
pub struct Disconnect {
    connections: Connections,
    subscriptions: Subscriptions,
}

/// Serves `$disconnect` until Lambda ends the process.
///
/// # Errors
/// What is wrong with the environment, or with the Runtime API.
pub async fn run(var: impl Fn(&str) -> Option<String>) -> Result<(), lambda_runtime::Error> {
    let disconnect = Disconnect::from_vars(&var)?;
    let disconnect = &disconnect;
    let serve = async |event: LambdaEvent<ApiGatewayWebsocketProxyRequest>| {
        disconnect.handle(event.payload).await.map_err(lambda_runtime::Error::from)
    };
    lambda_runtime::run(service_fn(serve)).await
}

impl Disconnect {
    /// Reads the environment.
    ///
    /// # Errors
    /// The variable that is missing or wrong.
    pub fn from_vars(var: &impl Fn(&str) -> Option<String>) -> Result<Self, VariableError> {
        let client = aws::dynamodb(&aws::sdk_config(var)?);
        let connections = Connections::new(client.clone(), TableName::connections(var)?);
        Ok(Self::new(connections, Subscriptions::new(client, TableName::subscriptions(var)?)))
    }

    /// What forgets connections in these tables.
    #[must_use]
    pub fn new(connections: Connections, subscriptions: Subscriptions) -> Self {
        Self { connections, subscriptions }
    }

    /// Removes the connection's subscriptions, then the connection.
    ///
    /// # Errors
    /// [`DisconnectError`]; the rows that are left end by time-to-live.
    pub async fn handle(&self, request: ApiGatewayWebsocketProxyRequest) -> Result<Value, DisconnectError> {
        let connection_id = request.request_context.connection_id.ok_or(DisconnectError::NoConnectionId)?;
        let connection_id = ConnectionId::new(connection_id);
        store::forget(&self.connections, &self.subscriptions, &connection_id).await?;
        tracing::info!(connection_id = connection_id.as_str(), "disconnected");
        Ok(json!({"statusCode": 200}))
    }
}
