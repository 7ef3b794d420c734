//! Whose message it is.
//!
//! Owns: what of API Gateway's request context this function needs.
//! Must not know: the message.
//! Source: `requestContext` of MESSAGE events.

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequestContext;
use domain::{ConnectionId, PrincipalId};
use serde_json::Value;

/// The connection that a message came over.
#[derive(Clone, Debug)]
pub struct Caller {
    /// API Gateway's id of the connection.
    pub connection_id: ConnectionId,
    /// Who it is.
    pub principal_id: PrincipalId,
    /// When it was opened, in milliseconds since 1970.
    pub connected_at_ms: i64,
    /// API Gateway's id of the message.
    pub request_id: String,
}

/// The invocation is none of API Gateway's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the invocation has no requestContext.connectionId")]
pub struct NoCaller;

impl Caller {
    pub(crate) fn of(context: &ApiGatewayWebsocketProxyRequestContext) -> Result<Self, NoCaller> {
        let principal_id = context.authorizer.fields.get("principalId").and_then(Value::as_str);
        Ok(Self {
            connection_id: ConnectionId::new(context.connection_id.clone().ok_or(NoCaller)?),
            principal_id: PrincipalId::from_authorizer(principal_id),
            connected_at_ms: context.connected_at,
            request_id: context.request_id.clone().unwrap_or_default(),
        })
    }
}
