//! One open connection, from the answered upgrade to `$disconnect`.
//!
//! Owns: reading and writing its socket, its time limits, and that `$disconnect` runs once, after everything.
//! Must not know: the upgrade, `@connections`.
//! Source: close codes and time limits of API Gateway's WebSocket APIs; DISCONNECT's causes as recorded.

use std::{future::Future, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{
    SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::AsyncReadExt,
    sync::{Semaphore, mpsc},
    time::{self, Instant},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message, Utf8Bytes,
        error::{CapacityError, ProtocolError},
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::{
    IntegrationError, Limits, Route, Shared,
    event::{self, ConnectionContext, now_ms},
    registry::{Handle, Outbound},
    reply::{ErrorFrame, ProxyReply},
};

pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// How a connection ended, as `$disconnect` is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    status_code: u16,
    reason: String,
}

impl Ended {
    /// The connection was lost without a close frame.
    pub(super) fn lost() -> Self {
        Self { status_code: 1006, reason: "Connection closed abnormally".to_owned() }
    }

    /// The browser closed it.
    fn by_client(frame: Option<CloseFrame>) -> Self {
        match frame {
            Some(frame) => Self { status_code: frame.code.into(), reason: frame.reason.to_string() },
            None => Self { status_code: 1005, reason: "Client-side close frame status not set".to_owned() },
        }
    }
}

/// Opens a connection: it can be posted to at once, and runs until its socket ends.
pub(super) fn open<F>(context: ConnectionContext, shared: Arc<Shared>, socket: impl FnOnce(Arc<Shared>) -> F)
where
    F: Future<Output = Result<Socket, Ended>> + Send + 'static,
{
    let (outbound, due) = mpsc::channel(shared.limits.outbound_messages_max);
    let handle = Handle::new(context, outbound);
    shared.registry.insert(handle.clone());
    let socket = socket(Arc::clone(&shared));
    tokio::spawn(async move {
        let ended = match socket.await {
            Ok(socket) => Box::pin(run(socket, &handle, due, &shared)).await,
            Err(ended) => ended,
        };
        let context = &handle.context;
        shared.registry.remove(&context.connection_id);
        tracing::info!(connection_id = context.connection_id, status_code = ended.status_code, "disconnected");
        if let Some(route) = shared.api.routes.get("$disconnect").filter(|_| !shared.faults.misses_disconnect()) {
            let event = event::disconnect(&shared.api, context, ended.status_code, &ended.reason);
            if let Err(error) = invoke(&shared.limits, route, event.json).await {
                tracing::warn!(connection_id = context.connection_id, %error, "$disconnect failed");
            }
        }
        shared.registry.ended();
    });
}

/// Runs an integration within its time.
pub(super) async fn invoke(limits: &Limits, route: &Route, event: Bytes) -> Result<Bytes, IntegrationError> {
    let reply = (route.integration)(event);
    time::timeout(limits.integration_time_out, reply).await.unwrap_or(Err(IntegrationError::TimedOut))
}

async fn run(socket: Socket, handle: &Handle, due: mpsc::Receiver<Outbound>, shared: &Arc<Shared>) -> Ended {
    let (sink, stream) = socket.split();
    let mut writing = Box::pin(write(sink, due, handle));
    let mut reading = Box::pin(read(stream, handle, shared));
    let close_time_out = shared.limits.close_time_out;
    tokio::select! {
        (end, stream) = &mut reading => match end {
            End::Closed(ended) => ended,
            End::MustClose(code, reason) => {
                handle.close(code, reason);
                let finish = async {
                    let (_, sink) = writing.await;
                    if let Ok(socket) = stream.reunite(sink) {
                        drain(socket).await;
                    }
                };
                time::timeout(close_time_out, finish).await.ok();
                Ended { status_code: code.into(), reason: reason.to_owned() }
            }
        },
        () = handle.is_lost() => Ended::lost(),
        () = handle.must_end() => {
            if handle.is_dead() {
                // The close frame does not get through: the socket ends when its browser gives it up.
                drop(reading.await);
                return Ended::lost();
            }
            // The close frame leaves, and the browser answers it; one that reads nothing is not waited for.
            let (ended, _) = time::timeout(close_time_out, &mut writing).await.ok().unzip();
            time::timeout(close_time_out, reading).await.ok();
            ended.unwrap_or_else(Ended::lost)
        }
        (ended, _) = &mut writing => {
            // The browser's half of the closing handshake; what it says before that goes nowhere.
            time::timeout(close_time_out, reading).await.ok();
            ended
        }
    }
}

/// How reading ended.
enum End {
    /// There is nothing more to read.
    Closed(Ended),
    /// The browser broke a rule or its time is over: it has to be told.
    MustClose(CloseCode, &'static str),
}

/// Reads on until the browser has closed its side: a socket that is dropped with unread bytes is reset, and the close frame
/// may be lost with it.
async fn drain(mut socket: Socket) {
    while let Some(Ok(_)) = socket.next().await {}
    let mut rest = [0; 4096];
    while matches!(socket.get_mut().read(&mut rest).await, Ok(1..)) {}
}

/// Writes what is due, until told to close or the socket fails.
async fn write(
    mut sink: SplitSink<Socket, Message>,
    mut due: mpsc::Receiver<Outbound>,
    handle: &Handle,
) -> (Ended, SplitSink<Socket, Message>) {
    while let Some(outbound) = due.recv().await {
        match outbound {
            // A dead connection takes nothing, and its sender hears nothing.
            Outbound::Text(..) if handle.is_dead() => std::future::pending().await,
            Outbound::Text(text, taken) => {
                if sink.send(Message::text(text)).await.is_err() {
                    break;
                }
                handle.touch();
                // Whoever posted may have given up waiting.
                taken.map(|taken| taken.send(()).ok());
            }
            Outbound::Close(code, reason) => {
                let frame = CloseFrame { code, reason: Utf8Bytes::from_static(frame_reason(code, reason)) };
                // A socket that takes no close frame is closed all the same.
                sink.send(Message::Close(Some(frame))).await.ok();
                return (Ended { status_code: code.into(), reason: reason.to_owned() }, sink);
            }
        }
    }
    (Ended::lost(), sink)
}

/// The reason of a close frame is the one that `$disconnect` is told, but for a normal closure, which has none.
fn frame_reason(code: CloseCode, reason: &'static str) -> &'static str {
    if code == CloseCode::Normal { "" } else { reason }
}

/// Reads messages until the socket ends, or the browser has to be told to close.
async fn read(mut stream: SplitStream<Socket>, handle: &Handle, shared: &Arc<Shared>) -> (End, SplitStream<Socket>) {
    let in_flight = Arc::new(Semaphore::new(shared.limits.messages_in_flight_max));
    let life_ends = Instant::now() + shared.limits.life_max;
    let end = loop {
        let message = tokio::select! {
            message = stream.next() => message,
            () = time::sleep_until(life_ends) => break End::MustClose(CloseCode::Away, "Going away"),
            () = idle(handle, shared.limits.idle_max) => break End::MustClose(CloseCode::Away, "Going away"),
        };
        match message {
            Some(Ok(Message::Text(_))) if handle.is_dead() => {}
            Some(Ok(Message::Text(text))) => {
                handle.touch();
                // The semaphore is never closed.
                let Ok(permit) = Arc::clone(&in_flight).acquire_owned().await else { break End::Closed(Ended::lost()) };
                let (handle, shared) = (handle.clone(), Arc::clone(shared));
                tokio::spawn(async move {
                    serve(&text, &handle, &shared).await;
                    drop(permit);
                });
            }
            Some(Ok(Message::Binary(_))) => {
                break End::MustClose(CloseCode::Unsupported, "Binary frames are not supported");
            }
            Some(Ok(Message::Close(frame))) => {
                // The answer to the close frame leaves with the next read.
                stream.next().await;
                break End::Closed(Ended::by_client(frame));
            }
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
            Some(Err(error)) => match broken_rule(&error) {
                Some((code, reason)) => break End::MustClose(code, reason),
                None => break End::Closed(Ended::lost()),
            },
            None => break End::Closed(Ended::lost()),
        }
    };
    (end, stream)
}

/// The close code for what a browser must not send; `None` for a connection that was lost.
fn broken_rule(error: &Error) -> Option<(CloseCode, &'static str)> {
    match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => Some((CloseCode::Size, "Message too long")),
        Error::Utf8(_) => Some((CloseCode::Invalid, "Invalid UTF-8")),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => None,
        Error::Protocol(_) => Some((CloseCode::Protocol, "Protocol error")),
        Error::Capacity(_)
        | Error::ConnectionClosed
        | Error::AlreadyClosed
        | Error::Io(_)
        | Error::Tls(_)
        | Error::WriteBufferFull(_)
        | Error::AttackAttempt
        | Error::Url(_)
        | Error::Http(_)
        | Error::HttpFormat(_) => None,
    }
}

/// Ends when no message has gone either way for so long.
async fn idle(handle: &Handle, idle_max: Duration) {
    loop {
        let silent_ms = u64::try_from(now_ms() - handle.last_active_ms()).unwrap_or(0);
        match idle_max.checked_sub(Duration::from_millis(silent_ms)) {
            Some(left) if !left.is_zero() => time::sleep(left).await,
            Some(_) | None => return,
        }
    }
}

/// Serves one message by the route that it selects.
async fn serve(body: &str, handle: &Handle, shared: &Arc<Shared>) {
    let context = &handle.context;
    let selected = shared.selection.select(body).filter(|key| !matches!(key.as_str(), "$connect" | "$disconnect"));
    let selected = selected.and_then(|key| shared.api.routes.get_key_value(&key));
    let Some((route_key, route)) = selected.or_else(|| shared.api.routes.get_key_value("$default")) else {
        let request_id = super::ids::request_id();
        return say(handle, ErrorFrame::Forbidden.text(&context.connection_id, &request_id)).await;
    };
    let event = event::message(&shared.api, context, route_key, body);
    let error_frame = match invoke(&shared.limits, route, event.json).await {
        Ok(reply) => match ProxyReply::read(&reply) {
            Some(ProxyReply { body: Some(body), .. }) if route.has_route_response => return say(handle, body).await,
            Some(_) => return,
            None => ErrorFrame::InternalServerError,
        },
        Err(IntegrationError::TimedOut) => ErrorFrame::EndpointRequestTimedOut,
        Err(IntegrationError::Failed(reason)) => {
            tracing::warn!(connection_id = context.connection_id, route_key, reason, "the integration failed");
            ErrorFrame::InternalServerError
        }
    };
    say(handle, error_frame.text(&context.connection_id, &event.request_id)).await;
}

/// Sends a text to a browser that may be gone by then.
async fn say(handle: &Handle, text: String) {
    handle.outbound.send(Outbound::Text(text, None)).await.ok();
}
