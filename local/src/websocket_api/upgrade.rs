//! The upgrade: from an HTTP request to an open connection.
//!
//! Owns: that it is answered only after `$connect` has returned, and with its status.
//! Must not know: messages.
//! Source: developer guide, "$connect"; RFC 6455, section 4.2.

use std::{net::SocketAddr, sync::Arc};

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header, request::Parts};
use hyper::{body::Incoming, upgrade::OnUpgrade};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

use super::{
    Answer, Shared, authorizer,
    connection::{self, Ended},
    event::{self, ConnectionContext, UpgradeRequest},
    ids,
    reply::{self, ErrorFrame, ProxyReply},
    spelling::Spelling,
};

/// Bytes that a connection reads at once; the default of 128 KB is what most of an idle connection's memory would be.
const READ_BUFFER_BYTES: usize = 1024;

pub(super) async fn answer(
    mut request: Request<Incoming>,
    spelling: Spelling,
    peer: SocketAddr,
    shared: Arc<Shared>,
) -> Answer {
    let header_bytes: usize = request.headers().values().map(HeaderValue::len).sum();
    if request.uri().path_and_query().is_some_and(|target| target.as_str().len() > shared.limits.url_bytes_max) {
        return reply::empty(StatusCode::URI_TOO_LONG);
    }
    if header_bytes > shared.limits.header_bytes_max {
        return reply::empty(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    }
    let Some(key) = websocket_key(request.method(), request.headers()) else {
        return reply::empty(StatusCode::UPGRADE_REQUIRED);
    };
    if !shared.throttles.take_connection() {
        return reply::too_many_requests();
    }
    let accept_key = derive_accept_key(key.as_bytes());
    let user_agent = request.headers().get(header::USER_AGENT);
    let mut context = ConnectionContext {
        connection_id: ids::connection_id(),
        connected_at_ms: event::now_ms(),
        source_ip: peer.ip(),
        user_agent: user_agent.and_then(|value| value.to_str().ok()).map(str::to_owned),
        authorizer: None,
        access_key_id: None,
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let (head, _) = request.into_parts();
    let accepted = match admit(&shared, &mut context, &head, &spelling).await {
        Ok(accepted) => accepted,
        Err(refusal) => return refusal,
    };
    tracing::info!(connection_id = context.connection_id, "connected");
    connection::open(context, Arc::clone(&shared), move |shared| websocket(upgrade, shared));
    switching_protocols(&accept_key, accepted.and_then(|reply| reply.sub_protocol).as_deref())
}

/// Asks who may refuse the browser: the authorizer first, then `$connect`.
async fn admit(
    shared: &Arc<Shared>,
    context: &mut ConnectionContext,
    head: &Parts,
    spelling: &Spelling,
) -> Result<Option<ProxyReply>, Answer> {
    authorizer::authorize(shared, context, head, spelling).await?;
    connect(shared, context, UpgradeRequest { uri: &head.uri, headers: &head.headers, spelling }).await
}

/// The key of a request that asks for a WebSocket of version 13.
fn websocket_key<'a>(method: &Method, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
    let has_token = |name, token: &str| {
        let values = headers.get_all(name).into_iter().filter_map(|value: &HeaderValue| value.to_str().ok());
        values.flat_map(|value| value.split(',')).any(|value| value.trim().eq_ignore_ascii_case(token))
    };
    let asks = method == Method::GET
        && has_token(header::CONNECTION, "upgrade")
        && has_token(header::UPGRADE, "websocket")
        && has_token(header::SEC_WEBSOCKET_VERSION, "13");
    headers.get(header::SEC_WEBSOCKET_KEY).filter(|_| asks)
}

/// Asks `$connect`, if there is such a route. The refusal has its status; 502 if it has none.
async fn connect(
    shared: &Arc<Shared>,
    context: &ConnectionContext,
    upgrade: UpgradeRequest<'_>,
) -> Result<Option<ProxyReply>, Answer> {
    let Some(route) = shared.api.routes.get("$connect") else { return Ok(None) };
    let event = event::connect(&shared.api, context, upgrade);
    let reply = connection::invoke(&shared.limits, route, event.json).await;
    match reply.map(|reply| ProxyReply::read(&reply)) {
        Ok(Some(reply)) if reply.status.is_success() => Ok(Some(reply)),
        Ok(Some(reply)) => {
            tracing::info!(connection_id = context.connection_id, status = reply.status.as_u16(), "refused");
            Err(reply::empty(reply.status))
        }
        Ok(None) | Err(_) => {
            tracing::warn!(connection_id = context.connection_id, "$connect failed");
            let body = ErrorFrame::InternalServerError.text(&context.connection_id, &event.request_id);
            Err(reply::with_body(StatusCode::BAD_GATEWAY, "application/json", body.into()))
        }
    }
}

fn switching_protocols(accept_key: &str, sub_protocol: Option<&str>) -> Answer {
    let mut answer = reply::empty(StatusCode::SWITCHING_PROTOCOLS);
    let headers = answer.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(accept_key) = HeaderValue::from_str(accept_key) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept_key);
    }
    if let Some(sub_protocol) = sub_protocol.and_then(|name| HeaderValue::from_str(name).ok()) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, sub_protocol);
    }
    answer
}

/// The socket, once the browser has the answer.
async fn websocket(upgrade: OnUpgrade, shared: Arc<Shared>) -> Result<connection::Socket, Ended> {
    let upgraded = upgrade.await.map_err(|_lost| Ended::lost())?;
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_frame_size(Some(shared.limits.frame_bytes_max))
        .max_message_size(Some(shared.limits.message_bytes_max));
    Ok(WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await)
}
