//! One open connection, from the answered upgrade to `$disconnect`.
//!
//! Owns: reading and writing its socket, its time limits, and that `$disconnect` runs once, after everything.
//! Must not know: the upgrade, `@connections`.
//! Source: close codes and time limits of API Gateway's WebSocket APIs; DISCONNECT's causes as recorded.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{
    FutureExt, SinkExt, StreamExt,
    stream::{SplitSink, SplitStream},
};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    sync::{Semaphore, mpsc},
    time::{self, Instant},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Error, Message, Utf8Bytes,
        error::{CapacityError, ProtocolError},
        protocol::{
            CloseFrame,
            frame::{
                Frame,
                coding::{CloseCode, Data, OpCode},
            },
        },
    },
};

use super::{
    Integration, IntegrationError, Limits, Route, Shared,
    event::{self, ConnectionContext},
    ids,
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

/// Runs a route's integration within its time.
pub(super) async fn invoke(limits: &Limits, route: &Route, event: Bytes) -> Result<Bytes, IntegrationError> {
    let time_out = route.time_out.map_or(limits.integration_time_out, |own| own.min(limits.integration_time_out));
    invoke_within(time_out, &route.integration, event).await
}

/// Runs an integration, this long at most.
pub(super) async fn invoke_within(
    time_out: Duration,
    integration: &Integration,
    event: Bytes,
) -> Result<Bytes, IntegrationError> {
    time::timeout(time_out, integration(event)).await.unwrap_or(Err(IntegrationError::TimedOut))
}

async fn run(socket: Socket, handle: &Handle, due: mpsc::Receiver<Outbound>, shared: &Arc<Shared>) -> Ended {
    let (sink, stream) = socket.split();
    let mut writing = Box::pin(write(sink, due, handle, &shared.limits));
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
    // What it copies through is not kept in every connection's task, as an array here would be.
    tokio::io::copy(socket.get_mut(), &mut tokio::io::sink()).await.ok();
}

/// Writes what is due, until told to close or the socket fails.
async fn write(
    mut sink: SplitSink<Socket, Message>,
    mut due: mpsc::Receiver<Outbound>,
    handle: &Handle,
    limits: &Limits,
) -> (Ended, SplitSink<Socket, Message>) {
    let (frame_bytes_max, push_is_activity) = (limits.push_frame_bytes_max.max(1), limits.push_is_activity);
    while let Some(outbound) = due.recv().await {
        match outbound {
            // A dead connection takes nothing, and its sender hears nothing.
            Outbound::Text(..) if handle.is_dead() => std::future::pending().await,
            Outbound::Text(text, taken) => {
                if send(&mut sink, text, frame_bytes_max).await.is_err() {
                    break;
                }
                if push_is_activity {
                    handle.touch();
                }
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

/// Sends a text in as many frames as it takes.
async fn send(sink: &mut SplitSink<Socket, Message>, text: String, frame_bytes_max: usize) -> Result<(), Error> {
    if text.len() <= frame_bytes_max {
        return sink.send(Message::text(text)).await;
    }
    let text = Bytes::from(text);
    let mut opcode = Data::Text;
    for begin in (0..text.len()).step_by(frame_bytes_max) {
        let end = text.len().min(begin + frame_bytes_max);
        let frame = Frame::message(text.slice(begin..end), OpCode::Data(opcode), end == text.len());
        sink.feed(Message::Frame(frame)).await?;
        opcode = Data::Continue;
    }
    sink.flush().await
}

/// The reason of a close frame is the one that `$disconnect` is told, but for a normal closure, which has none.
fn frame_reason(code: CloseCode, reason: &'static str) -> &'static str {
    if code == CloseCode::Normal { "" } else { reason }
}

/// Reads messages until the socket ends, or the browser has to be told to close.
async fn read(mut stream: SplitStream<Socket>, handle: &Handle, shared: &Arc<Shared>) -> (End, SplitStream<Socket>) {
    let in_flight = Arc::new(Semaphore::new(shared.limits.messages_in_flight_max));
    let life_ends = Instant::now() + shared.limits.life_max;
    let mut throttled = 0;
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
                let route_key = route_key(&text, shared);
                if !shared.throttles.take_message(route_key.unwrap_or_default()) {
                    throttled += 1;
                    if throttled > shared.limits.throttled_in_a_row_max {
                        break End::MustClose(CloseCode::Policy, "Too many requests");
                    }
                    say(handle, ErrorFrame::TooManyRequests.text(&handle.context.connection_id, &ids::request_id()))
                        .await;
                    continue;
                }
                throttled = 0;
                // The semaphore is never closed.
                let Ok(permit) = Arc::clone(&in_flight).acquire_owned().await else { break End::Closed(Ended::lost()) };
                let (handle, serving) = (handle.clone(), Arc::clone(shared));
                let route_key = route_key.map(str::to_owned);
                tokio::spawn(async move {
                    let served = serve(&text, route_key.as_deref(), &handle, &serving);
                    if AssertUnwindSafe(served).catch_unwind().await.is_err() {
                        handle.close(CloseCode::Error, "Internal error");
                    }
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
            Some(Ok(Message::Ping(_))) if shared.limits.ping_is_activity => handle.touch(),
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
        let idle_ends = handle.last_active() + idle_max;
        if idle_ends <= Instant::now() {
            return;
        }
        time::sleep_until(idle_ends).await;
    }
}

/// The route that a message selects, `$default` if there is none with its key; no message selects the other two.
fn route_key<'a>(body: &str, shared: &'a Shared) -> Option<&'a str> {
    let selected = shared.selection.select(body).filter(|key| !matches!(key.as_str(), "$connect" | "$disconnect"));
    let selected = selected.and_then(|key| shared.api.routes.get_key_value(&key));
    selected.or_else(|| shared.api.routes.get_key_value("$default")).map(|(key, _)| key.as_str())
}

/// Serves one message by its route.
async fn serve(body: &str, route_key: Option<&str>, handle: &Handle, shared: &Arc<Shared>) {
    let context = &handle.context;
    let route = route_key.and_then(|key| shared.api.routes.get_key_value(key));
    let Some((route_key, route)) = route else {
        return say(handle, ErrorFrame::Forbidden.text(&context.connection_id, &ids::request_id())).await;
    };
    let event = event::message(&shared.api, context, route_key, body);
    let error_frame = match invoke(&shared.limits, route, event.json).await {
        Ok(reply) => match ProxyReply::read(&reply) {
            Some(reply) if shared.limits.error_status_is_error_frame && reply.status.as_u16() >= 400 => {
                ErrorFrame::InternalServerError
            }
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
