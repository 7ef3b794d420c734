//! `@connections`: posting to a connection, asking for it, closing it.
//!
//! Owns: each operation's answer on the wire.
//! Must not know: who posts what.
//! Source: Smithy model of `apigatewaymanagementapi`; bodies and statuses as recorded from AWS.

use std::sync::Arc;

use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use percent_encoding::percent_decode_str;
use serde_json::{Map, json};
use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};
use tokio::{
    sync::{mpsc::error::TrySendError, oneshot},
    time::{sleep, timeout},
};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::faults::PostFault;

use super::{
    Answer, Limits, Shared, ids,
    registry::{Handle, Outbound},
    reply, signature,
};

const TIMESTAMP: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// What `$disconnect` is told of a deleted connection.
const CLOSED_NORMALLY: &str = "Connection Closed Normally";

pub(super) async fn answer(request: Request<Incoming>, connection_id: &str, shared: &Arc<Shared>) -> Answer {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, shared.limits.post_bytes_max).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            return reply::error(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLargeException", "Message too long");
        }
        Err(_) => return reply::empty(StatusCode::BAD_REQUEST),
    };
    if shared.limits.verify_signatures
        && let Err(refused) = signature::verify(&parts, &body, shared)
    {
        return refused.answer();
    }
    if !shared.throttles.take_callback() {
        return limit_exceeded();
    }
    let connection_id = percent_decode_str(connection_id).decode_utf8_lossy();
    if !ids::is_connection_id(&connection_id) {
        return reply::error(StatusCode::BAD_REQUEST, "BadRequestException", "Invalid connectionId");
    }
    let Some(handle) = shared.registry.get(&connection_id) else { return gone() };
    match parts.method {
        Method::POST => {
            let text = String::from_utf8_lossy(&body).into_owned();
            match shared.faults.post() {
                None => post(&handle, text, &shared.limits).await,
                Some(fault) => post_with(fault, &handle, text, &shared.limits).await,
            }
        }
        Method::GET => get(&handle),
        Method::DELETE => delete(&handle, shared),
        _ => reply::forbidden(),
    }
}

fn gone() -> Answer {
    reply::typed(reply::empty(StatusCode::GONE), "GoneException")
}

fn limit_exceeded() -> Answer {
    reply::typed(reply::empty(StatusCode::TOO_MANY_REQUESTS), "LimitExceededException")
}

/// What AWS answers on a bad day.
async fn post_with(fault: PostFault, handle: &Handle, text: String, limits: &Limits) -> Answer {
    match fault {
        PostFault::Throttle => limit_exceeded(),
        PostFault::Fail { delivered } => {
            if delivered {
                post(handle, text, limits).await;
            }
            reply::error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", "Internal server error")
        }
        PostFault::Hang { delivered } => {
            if delivered {
                post(handle, text, limits).await;
            }
            no_answer(limits).await
        }
        PostFault::Lose => {
            handle.lose();
            reply::empty(StatusCode::OK)
        }
        PostFault::Delay(delay) => {
            let handle = handle.clone();
            tokio::spawn(async move {
                sleep(delay).await;
                // A browser that left meanwhile has lost the message, as it would have anyway.
                handle.outbound.send(Outbound::Text(text, None)).await.ok();
            });
            reply::empty(StatusCode::OK)
        }
        PostFault::Dead => {
            handle.die();
            post(handle, text, limits).await
        }
    }
}

/// The caller's patience ends first, and with it this.
async fn no_answer(limits: &Limits) -> Answer {
    sleep(limits.life_max).await;
    reply::empty(StatusCode::GATEWAY_TIMEOUT)
}

/// Answers when the browser's socket has taken the message, so that one POST after the other keeps their order.
async fn post(handle: &Handle, text: String, limits: &Limits) -> Answer {
    if handle.is_dead() {
        return no_answer(limits).await;
    }
    if text.is_empty() {
        return reply::empty(StatusCode::OK);
    }
    let (taken, is_taken) = oneshot::channel();
    match handle.outbound.try_send(Outbound::Text(text, Some(taken))) {
        Ok(()) => {}
        Err(TrySendError::Full(_)) => return limit_exceeded(),
        Err(TrySendError::Closed(_)) => return gone(),
    }
    match timeout(limits.post_time_out, is_taken).await {
        Ok(Ok(())) => reply::empty(StatusCode::OK),
        Ok(Err(_closed)) => gone(),
        Err(_slow) => limit_exceeded(),
    }
}

fn get(handle: &Handle) -> Answer {
    let context = &handle.context;
    let mut identity = Map::from_iter([("sourceIp".to_owned(), json!(context.source_ip.to_string()))]);
    if let Some(user_agent) = &context.user_agent {
        identity.insert("userAgent".to_owned(), json!(user_agent));
    }
    let body = json!({
        "connectedAt": timestamp(context.connected_at_ms),
        "identity": identity,
        "lastActiveAt": timestamp(handle.last_active_epoch_ms()),
    });
    reply::with_body(StatusCode::OK, "application/json", body.to_string().into())
}

fn timestamp(epoch_ms: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(i128::from(epoch_ms) * 1_000_000);
    time.ok().and_then(|time| time.format(TIMESTAMP).ok()).unwrap_or_default()
}

/// The connection is gone from here on, whether its browser hears of it or not.
fn delete(handle: &Handle, shared: &Shared) -> Answer {
    shared.registry.remove(&handle.context.connection_id);
    handle.close(CloseCode::Normal, CLOSED_NORMALLY);
    reply::empty(StatusCode::NO_CONTENT)
}
