//! A FaunaDB for tests: the v4 wire protocol before an evaluator of queries, in memory.
//!
//! Owns: one server a test on a port of its own, its faults, and what a test does behind its back.
//! Must not know: who calls, what Foldcast makes of the answers.
//! Source: the fact sheet of FaunaDB's server; the vectors in `tests/fauna/vectors.rs` hold it to that.

#![expect(clippy::wildcard_enum_match_arm, reason = "a value of any other type is refused")]

mod database;
mod error;
mod http;
mod json;
mod query;
mod reference;
mod set;
mod time;
mod value;

use std::{
    collections::VecDeque,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use hyper::HeaderMap;
use serde_json::Value;
use tokio::{net::TcpListener, task::JoinHandle};

pub use database::Role;
use database::{Database, Key, State};
use http::Shared;
use json::Json;
use query::Query;

/// How long a connection may be idle. Source: `network_http_keepalive_timeout_ms`.
pub const IDLE_MAX: Duration = Duration::from_secs(5);

/// The secret of the key that may do everything.
pub const ROOT_SECRET: &str = "secret";

/// What goes wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: this request is served.
    Serve,
    /// It is answered so, unread.
    Answer(u16, &'static str),
    /// It is never answered.
    Hang,
    /// Its connection ends before it is read.
    Reset,
    /// It is done, and its connection ends before the answer.
    Lose,
}

/// What a request was, as a test looks at it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: String,
}

/// A running server, or a stopped one that keeps what it holds.
pub struct Fauna {
    /// Its address.
    pub url: String,
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Option<JoinHandle<()>>,
}

impl Fauna {
    /// Starts an empty server whose one key is [`ROOT_SECRET`].
    pub async fn start() -> Self {
        Self::start_with(IDLE_MAX).await
    }

    /// Starts one that closes connections which are idle for this long.
    pub async fn start_with(idle_max: Duration) -> Self {
        let mut state = State::default();
        state.databases.insert(String::new(), Database::default());
        let secret = ROOT_SECRET.to_owned();
        state.keys.push(Key { secret, role: Role::Admin, database: String::new() });
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            faults: Mutex::default(),
            lasting: Mutex::default(),
            seen: Mutex::default(),
            idle_max,
        });
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = Some(tokio::spawn(http::serve(listener, Arc::clone(&shared))));
        Self { url: format!("http://{address}"), address, shared, accepting }
    }

    /// Ends the server with all its connections; what it holds stays.
    pub async fn stop(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            accepting.await.ok();
        }
    }

    /// Starts it again where it was.
    pub async fn restart(&mut self) {
        self.stop().await;
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.accepting = Some(tokio::spawn(http::serve(listener, Arc::clone(&self.shared))));
    }

    /// What goes wrong with the next requests, one each.
    pub fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        *lock(&self.shared.faults) = faults.into_iter().collect::<VecDeque<_>>();
    }

    /// What goes wrong with all requests after those, until it is said otherwise.
    pub fn lasting_fault(&self, fault: Option<Fault>) {
        *lock(&self.shared.lasting) = fault;
    }

    /// The requests since the last look.
    #[must_use]
    pub fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut *lock(&self.shared.seen))
    }

    /// Forgets the requests until here.
    pub fn forget_seen(&self) {
        lock(&self.shared.seen).clear();
    }

    /// Moves its clock.
    pub fn advance(&self, by_us: i64) {
        lock(&self.shared.state).clock_ahead_us += by_us;
    }

    /// How long an index over many documents is built.
    pub fn index_build(&self, build: Duration) {
        lock(&self.shared.state).index_build = build;
    }

    /// Takes an id, as a transaction does that commits later.
    #[must_use]
    pub fn reserve_id(&self) -> i64 {
        lock(&self.shared.state).next_id()
    }

    /// A key of the root database with this role.
    #[must_use]
    pub fn key(&self, role: Role) -> String {
        let mut state = lock(&self.shared.state);
        let secret = format!("fnB{:x}", state.next_id());
        state.keys.push(Key { secret: secret.clone(), role, database: String::new() });
        secret
    }

    /// Takes a key away.
    pub fn revoke(&self, secret: &str) {
        lock(&self.shared.state).keys.retain(|key| key.secret != secret);
    }

    /// Evaluates a query behind HTTP's back: status and body.
    #[must_use]
    pub fn query_text(&self, query: &str) -> (u16, String) {
        let mut state = lock(&self.shared.state);
        let Ok(expression) = Json::parse(query) else { return (400, String::new()) };
        match Query::new(&mut state, String::new(), Role::Admin, 0).run(&expression) {
            Ok(answer) => (200, answer.value.render()),
            Err(errors) => (errors.status(), errors.render()),
        }
    }

    /// Evaluates a query that has to succeed, and gives its resource.
    pub fn query(&self, query: &Value) -> Value {
        let (status, body) = self.query_text(&query.to_string());
        assert_eq!(status, 200, "{query}: {body}");
        serde_json::from_str(&body).unwrap()
    }
}

impl Drop for Fauna {
    fn drop(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
