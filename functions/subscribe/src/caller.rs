//! Whose message it is.
//!
//! Owns: what of API Gateway's request context this function needs.
//! Must not know: the message.
//! Source: `requestContext` of MESSAGE events; what an authorizer knows stands in each of them.

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequestContext;
use domain::{Anonymous, ConnectionId, Identity, Principal};
use serde_json::Value;
use store::Connection;

/// The connection that a message came over.
#[derive(Clone, Debug)]
pub struct Caller {
    /// The connection, and who it is.
    pub connection: Connection,
    /// API Gateway's id of the message.
    pub request_id: String,
    /// When it came, by API Gateway's clock, in milliseconds since 1970.
    pub requested_at_ms: i64,
}

/// Whether a connection is served.
#[derive(Clone, Debug)]
pub(crate) enum Admission {
    /// It is known, and its token holds.
    Admitted(Caller),
    /// Nobody vouches for it, or no longer.
    Refused(ConnectionId),
}

/// The invocation is none of API Gateway's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the invocation has no requestContext.connectionId")]
pub struct NoCaller;

impl Caller {
    /// Who the connection is.
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.connection.identity.principal
    }

    /// Who pays for what the connection costs: its principal, or the connection itself if nobody vouches for who it is.
    #[must_use]
    pub(crate) fn payer(&self) -> &str {
        match self.connection.identity.expires_at_s {
            Some(_) => self.principal().id.as_str(),
            None => self.connection_id().as_str(),
        }
    }

    /// API Gateway's id of the connection.
    #[must_use]
    pub fn connection_id(&self) -> &ConnectionId {
        &self.connection.connection_id
    }
}

impl Admission {
    /// Reads the context, with API Gateway's clock.
    pub(crate) fn of(
        context: &ApiGatewayWebsocketProxyRequestContext,
        anonymous: &Anonymous,
    ) -> Result<Self, NoCaller> {
        let connection_id = ConnectionId::new(context.connection_id.clone().ok_or(NoCaller)?);
        let of_authorizer = |name: &str| context.authorizer.fields.get(name).and_then(Value::as_str);
        let now_s = context.request_time_epoch / 1_000;
        let identity: Option<Identity> = anonymous.identify(of_authorizer);
        Ok(match identity.filter(|identity| !identity.has_expired(now_s)) {
            None => Self::Refused(connection_id),
            Some(identity) => Self::Admitted(Caller {
                connection: Connection { connection_id, identity, connected_at_ms: context.connected_at },
                request_id: context.request_id.clone().unwrap_or_default(),
                requested_at_ms: context.request_time_epoch,
            }),
        })
    }
}
