//! The server's HTTP: endpoints, headers, keys, faults, idle connections.
//!
//! Owns: what is said of a request before and after its query.
//! Must not know: what a query does.
//! Source: FaunaDB `FQL1Routes.scala`, `TMPEndpoint.setHeaders`, `HttpClient.scala` `AuthType`; fact sheet, 1.1.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::Instant,
};

use super::{
    Fault, Seen,
    database::{Key, Role, State},
    error::protocol_error,
    json::Json,
    lock,
    query::Query,
    value::Api,
};

const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;
const QUERY_TIME_OUT_MAX_MS: i64 = 600_000;

/// How far a client's last seen transaction may be ahead before a read gives up waiting, in microseconds.
const AHEAD_MAX_US: i64 = 10_000_000;

const UNAUTHORIZED: (u16, &str) = (401, r#"{"errors":[{"code":"unauthorized","description":"Unauthorized"}]}"#);

/// What all connections of a server share.
pub(super) struct Shared {
    pub(super) state: Mutex<State>,
    pub(super) faults: Mutex<VecDeque<Fault>>,
    pub(super) lasting: Mutex<Option<Fault>>,
    pub(super) seen: Mutex<Vec<Seen>>,
    pub(super) idle_max: Duration,
}

type Answer = Response<Full<Bytes>>;

/// Serves until it is dropped, and every connection with it.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                connections.spawn(connection(stream, Arc::clone(&shared)));
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

/// Serves a connection until its client ends it or is idle for too long.
async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    stream.set_nodelay(true).ok();
    let idle_max = shared.idle_max;
    // Since when nothing is in flight; none while something is.
    let (busy, mut idle_since) = watch::channel(Some(Instant::now()));
    let busy = Arc::new(busy);
    let service = service_fn(move |request| {
        let (shared, busy) = (Arc::clone(&shared), Arc::clone(&busy));
        async move {
            busy.send_replace(None);
            let answer = shared.serve(request).await;
            busy.send_replace(Some(Instant::now()));
            answer
        }
    });
    let mut served = std::pin::pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    loop {
        let since = *idle_since.borrow_and_update();
        let idle = async {
            match since {
                Some(since) => tokio::time::sleep_until(since + idle_max).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ended = served.as_mut() => return,
            _changed = idle_since.changed() => {}
            () = idle => return,
        }
    }
}

impl Shared {
    async fn serve(&self, request: Request<Incoming>) -> io::Result<Answer> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let text = String::from_utf8_lossy(&body).into_owned();
        lock(&self.seen).push(Seen { headers: head.headers.clone(), body: text.clone() });
        let fault = lock(&self.faults).pop_front().or_else(|| lock(&self.lasting).clone());
        let reset = || io::Error::from(io::ErrorKind::ConnectionReset);
        match fault.unwrap_or(Fault::Serve) {
            Fault::Serve => {}
            Fault::Answer(status, body) => return Ok(answer(status, body.to_owned())),
            Fault::Hang => std::future::pending().await,
            Fault::Reset => return Err(reset()),
            Fault::Lose => {
                self.answer(&head.method, head.uri.path(), &head.headers, &text);
                return Err(reset());
            }
        }
        if body.len() > BODY_BYTES_MAX {
            return Ok(answer(413, String::new()));
        }
        Ok(self.answer(&head.method, head.uri.path(), &head.headers, &text))
    }

    fn answer(&self, method: &Method, path: &str, headers: &HeaderMap, body: &str) -> Answer {
        match (method, path) {
            (&Method::POST, "/") => self.query(headers, body).unwrap_or_else(|(status, body)| answer(status, body)),
            (&Method::GET, "/ping") => answer(200, r#"{"resource":"Scope write is OK"}"#.to_owned()),
            _ => answer(404, protocol_error("not found", "Resource not found.")),
        }
    }

    fn query(&self, headers: &HeaderMap, body: &str) -> Result<Answer, (u16, String)> {
        let mut state = lock(&self.state);
        let key = key(&state, headers).ok_or_else(|| (UNAUTHORIZED.0, UNAUTHORIZED.1.to_owned()))?;
        let bad = |description: &str| (400, protocol_error("bad request", description));
        let api = match text(headers, "x-faunadb-api-version").unwrap_or("2.1") {
            "2.0" | "2.1" => Api::Classes,
            "2.7" | "2.12" | "3" | "4" | "5" | "UNSTABLE" => Api::Collections,
            _ => return Err(bad("Invalid API version.")),
        };
        let number = |name: &str| text(headers, name).map(|value| value.parse::<i64>().map_err(|_no| bad("header")));
        let time_out = number("x-query-timeout").transpose()?.unwrap_or(120_000);
        if !(1..=QUERY_TIME_OUT_MAX_MS).contains(&time_out) {
            return Err(bad("Invalid query timeout."));
        }
        let last_seen = number("x-last-seen-txn").transpose()?.unwrap_or(0);
        if last_seen.saturating_sub(state.now_us()) > AHEAD_MAX_US {
            return Err((503, protocol_error("time out", "Read timed out.")));
        }
        let not_json = || {
            let description = "Request body is not valid JSON.";
            (400, protocol_error("invalid expression", description))
        };
        let expression = Json::parse(body).map_err(|_not_json| not_json())?;
        let answered = Query::new(&mut state, key.database, key.role, last_seen).run(&expression);
        let (status, text, ts) = match answered {
            Ok(done) => {
                let status = if done.is_created { 201 } else { 200 };
                (status, format!("{{\"resource\":{}}}", done.value.render_for(api)), done.ts)
            }
            Err(errors) => (errors.status(), errors.render(), state.now_us()),
        };
        let mut answer = answer(status, text);
        let costs = ["x-compute-ops", "x-byte-read-ops", "x-byte-write-ops", "x-query-time", "x-txn-retries"];
        for (name, value) in costs.map(|name| (name, 0)).into_iter().chain([("x-txn-time", ts)]) {
            answer.headers_mut().insert(name, value.into());
        }
        Ok(answer)
    }
}

fn answer(status: u16, body: String) -> Answer {
    let mut answer = Response::new(Full::from(body));
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json;charset=utf-8"));
    headers.insert("x-faunadb-build", header::HeaderValue::from_static("stand-in"));
    answer
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The key of a request: `Bearer SECRET`, `Basic base64(SECRET:)`, or of an admin `SECRET:DATABASE:ROLE`.
fn key(state: &State, headers: &HeaderMap) -> Option<Key> {
    let authorization = text(headers, "authorization")?;
    let secret = match authorization.split_once(' ')? {
        ("Bearer", secret) => secret.to_owned(),
        ("Basic", encoded) => {
            let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
            decoded.strip_suffix(':').unwrap_or(&decoded).to_owned()
        }
        _ => return None,
    };
    let mut parts = secret.split(':');
    let secret = parts.next()?;
    let key = state.keys.iter().find(|key| key.secret == secret)?.clone();
    match (parts.next(), parts.next()) {
        (None, None) => Some(key),
        (Some(database), Some(role)) if key.role == Role::Admin && state.databases.contains_key(database) => {
            let role = match role {
                "admin" => Role::Admin,
                "server" => Role::Server,
                "server-readonly" => Role::ServerReadOnly,
                _ => Role::Client,
            };
            Some(Key { secret: key.secret, role, database: database.to_owned() })
        }
        _ => None,
    }
}
