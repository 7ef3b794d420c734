//! The Runtime API of one sandbox.
//!
//! Owns: handing over one invocation at a time, and taking its reply.
//! Must not know: the process on the other side.
//! Source: AWS's Runtime Interface Emulator, whose state machine, errors and limits these are.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

use crate::template::{ACCOUNT_ID, REGION};

const INVOCATION: &str = "/2018-06-01/runtime/invocation/";
const ERROR_TYPE_HEADER: &str = "lambda-runtime-function-error-type";
const RESPONSE_MODE_HEADER: &str = "lambda-runtime-function-response-mode";

type Answer = Response<Full<Bytes>>;

/// An error that a function reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionError {
    /// What kind of error it is.
    pub error_type: String,
    /// The error as the function reported it.
    pub body: Bytes,
}

impl FunctionError {
    fn ended() -> Self {
        Self { error_type: "Runtime.ExitError".to_owned(), body: Bytes::new() }
    }
}

type Reply = Result<Bytes, FunctionError>;

/// How initialization ended.
type Init = Result<(), FunctionError>;

/// A Runtime API on a port of its own; it ends when it is dropped.
pub struct RuntimeApi {
    address: SocketAddr,
    due: mpsc::Sender<Invocation>,
    state: Arc<State>,
    init: watch::Receiver<Option<Init>>,
    accepting: JoinHandle<()>,
}

struct Invocation {
    request_id: String,
    headers: HeaderMap,
    payload: Bytes,
    reply: oneshot::Sender<Reply>,
}

/// What the API knows of its process.
struct State {
    due: tokio::sync::Mutex<mpsc::Receiver<Invocation>>,
    current: Mutex<Option<(String, oneshot::Sender<Reply>)>>,
    init: watch::Sender<Option<Init>>,
    has_extension: AtomicBool,
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl RuntimeApi {
    /// Starts one.
    ///
    /// # Errors
    /// The operating system's, if there is no port.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (due, taken) = mpsc::channel(1);
        let (sender, init) = watch::channel(None);
        let has_extension = AtomicBool::new(false);
        let state = Arc::new(State { due: taken.into(), current: Mutex::default(), init: sender, has_extension });
        let served = Arc::clone(&state);
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Head and body leave in one write or two; without this the second waits for 40 ms.
                stream.set_nodelay(true).ok();
                let state = Arc::clone(&served);
                let service = service_fn(move |request| {
                    let state = Arc::clone(&state);
                    async move { Ok::<_, Infallible>(state.answer(request).await) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { address, due, state, init, accepting })
    }

    /// Where it listens: a function's `AWS_LAMBDA_RUNTIME_API`.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends when the process asks for its first invocation, or reports that it cannot come up.
    ///
    /// # Errors
    /// What the process reported.
    pub async fn ready(&mut self) -> Result<(), FunctionError> {
        match self.init.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Ok(())),
            Err(_ended) => Err(FunctionError::ended()),
        }
    }

    /// Whether an extension was registered: its process is told before it is killed.
    pub(super) fn has_extension(&self) -> bool {
        self.state.has_extension.load(Ordering::Relaxed)
    }

    /// Hands over an invocation and waits for the reply.
    ///
    /// # Errors
    /// What the function reported.
    pub async fn invoke(&self, function: &str, payload: Bytes, time_out: Duration) -> Result<Bytes, FunctionError> {
        let (reply, replied) = oneshot::channel();
        let request_id = uuid();
        let headers = headers(&request_id, function, time_out);
        let invocation = Invocation { request_id, headers, payload, reply };
        if self.due.send(invocation).await.is_err() {
            return Err(FunctionError::ended());
        }
        replied.await.unwrap_or_else(|_dropped| Err(FunctionError::ended()))
    }
}

impl State {
    fn current(&self) -> MutexGuard<'_, Option<(String, oneshot::Sender<Reply>)>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> Answer {
        let path = request.uri().path().to_owned();
        let method = request.method().clone();
        let below = path.strip_prefix(INVOCATION).map(|below| below.split('/').collect::<Vec<_>>());
        match (method, below.as_deref(), path.as_str()) {
            (Method::GET, Some(["next"]), _) => self.next().await,
            (Method::POST, Some([request_id, "response"]), _) => self.reply(request_id, request, false).await,
            (Method::POST, Some([request_id, "error"]), _) => self.reply(request_id, request, true).await,
            (Method::POST, None, "/2018-06-01/runtime/init/error") => self.init_error(request).await,
            (Method::GET, None, "/2018-06-01/ping") => text(StatusCode::OK, "pong"),
            (Method::POST, None, "/2020-01-01/extension/register") => {
                self.has_extension.store(true, Ordering::Relaxed);
                registered()
            }
            (Method::GET, None, "/2020-01-01/extension/event/next") => std::future::pending().await,
            _ => error(StatusCode::NOT_FOUND, "NotFound", "there is no such call"),
        }
    }

    /// Blocks until there is an invocation.
    async fn next(&self) -> Answer {
        if self.current().is_some() {
            return error(StatusCode::FORBIDDEN, "InvalidStateTransition", "the invocation before has no reply");
        }
        self.init.send_if_modified(|init| {
            let is_first = init.is_none();
            init.get_or_insert(Ok(()));
            is_first
        });
        let Some(invocation) = self.due.lock().await.recv().await else { return std::future::pending().await };
        let Invocation { request_id, headers, payload, reply } = invocation;
        *self.current() = Some((request_id, reply));
        let mut answer = Response::new(Full::new(payload));
        *answer.headers_mut() = headers;
        answer
    }

    async fn reply(&self, request_id: &str, request: Request<Incoming>, is_error: bool) -> Answer {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        let error_type = header(ERROR_TYPE_HEADER).map(error_type);
        let is_of_a_known_mode = header(RESPONSE_MODE_HEADER).is_none_or(|mode| mode == "streaming");
        if !is_of_a_known_mode && self.current().as_ref().is_some_and(|(current, _)| current == request_id) {
            return error(StatusCode::BAD_REQUEST, "InvalidFunctionResponseMode", "the mode is streaming or absent");
        }
        let body = Limited::new(request.into_body(), crate::limits::REPLY_BYTES_MAX).collect().await;
        let current = self.current().take_if(|(current, _)| current == request_id);
        let Some((_, reply)) = current else {
            return error(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID");
        };
        let (outcome, answer) = match body {
            Ok(body) if is_error => {
                let error_type = error_type.unwrap_or_else(|| "Runtime.Unknown".to_owned());
                (Err(FunctionError { error_type, body: body.to_bytes() }), accepted())
            }
            Ok(body) => (Ok(body.to_bytes()), accepted()),
            Err(cause) if cause.is::<LengthLimitError>() => {
                let too_large = "Function.ResponseSizeTooLarge";
                let message = "Exceeded maximum allowed payload size (6291556 bytes).";
                let body = json!({"errorType": too_large, "errorMessage": message}).to_string().into();
                let answer = error(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message);
                (Err(FunctionError { error_type: too_large.to_owned(), body }), answer)
            }
            Err(_) => {
                let error_type = "Runtime.TruncatedResponse".to_owned();
                let answer = error(StatusCode::BAD_REQUEST, "TruncatedResponse", "the body ended early");
                (Err(FunctionError { error_type, body: Bytes::new() }), answer)
            }
        };
        // The caller may have given up waiting.
        reply.send(outcome).ok();
        answer
    }

    async fn init_error(&self, request: Request<Incoming>) -> Answer {
        let body = Limited::new(request.into_body(), crate::limits::REPLY_BYTES_MAX).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        let reported: Value = serde_json::from_slice(&body).unwrap_or_default();
        let reported = reported.get("errorType").and_then(Value::as_str).unwrap_or_default();
        let failed = FunctionError { error_type: error_type(reported), body };
        let is_init = self.init.send_if_modified(|init| {
            let is_init = init.is_none();
            init.get_or_insert(Err(failed));
            is_init
        });
        if is_init { accepted() } else { error(StatusCode::FORBIDDEN, "InvalidStateTransition", "init is over") }
    }
}

fn headers(request_id: &str, function: &str, time_out: Duration) -> HeaderMap {
    let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default() + time_out;
    let values = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", request_id.to_owned()),
        ("lambda-runtime-deadline-ms", deadline.as_millis().to_string()),
        ("lambda-runtime-invoked-function-arn", format!("arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{function}")),
        (
            "lambda-runtime-trace-id",
            format!("Root=1-{:08x}-{:024x};Sampled=0", deadline.as_secs(), fastrand::u128(..) >> 32),
        ),
    ];
    let mut headers = HeaderMap::new();
    for (name, value) in values {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    headers
}

/// A random UUID of version 4.
pub(crate) fn uuid() -> String {
    let bits = (fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default().to_owned();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

/// `Runtime.Xxx` and `Function.Xxx` are kept, anything else is unknown.
fn error_type(reported: &str) -> String {
    let (prefix, rest) = reported.split_once('.').unwrap_or_default();
    let is_kept = rest.len() > 1
        && rest.starts_with(|first: char| first.is_ascii_uppercase())
        && rest.bytes().all(|byte| byte.is_ascii_alphabetic());
    match prefix {
        "Runtime" | "Function" if is_kept => reported.to_owned(),
        "Function" => "Function.Unknown".to_owned(),
        _ => "Runtime.Unknown".to_owned(),
    }
}

fn accepted() -> Answer {
    text(StatusCode::ACCEPTED, r#"{"status":"OK"}"#)
}

fn error(status: StatusCode, error_type: &str, message: &str) -> Answer {
    text(status, &json!({"errorMessage": message, "errorType": error_type}).to_string())
}

fn registered() -> Answer {
    let mut answer = text(StatusCode::OK, "{}");
    if let Ok(identifier) = HeaderValue::from_str(&uuid()) {
        answer.headers_mut().insert("lambda-extension-identifier", identifier);
    }
    answer
}

fn text(status: StatusCode, body: &str) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::copy_from_slice(body.as_bytes())));
    *answer.status_mut() = status;
    answer
}

#[cfg(test)]
mod state_machine;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_version_4() {
        let id = uuid();
        let parts: Vec<usize> = id.split('-').map(str::len).collect();
        assert_eq!(parts, [8, 4, 4, 4, 12]);
        assert!(id.as_bytes()[14] == b'4' && b"89ab".contains(&id.as_bytes()[19]), "{id}");
    }

    #[test]
    fn an_error_type_of_another_shape_is_unknown() {
        let cases = [
            ("unhandled", "Runtime.Unknown"),
            ("Runtime.oops", "Runtime.Unknown"),
            ("Runtime.ExitError", "Runtime.ExitError"),
            ("Function.Oops", "Function.Oops"),
            ("Function.no good", "Function.Unknown"),
        ];
        for (reported, kept) in cases {
            assert_eq!(error_type(reported), kept);
        }
    }
}
