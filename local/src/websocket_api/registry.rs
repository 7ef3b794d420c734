//! The connections that are open.
//!
//! Owns: finding a connection by its id, and handing it what is to be sent.
//! Must not know: sockets, events.
//! Source: a connection can be posted to only after its `$connect` has returned; before and after that it is gone.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::Serialize;
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    time::Instant,
};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use super::event::ConnectionContext;

/// What a connection's writer is told to do.
#[derive(Debug)]
pub(super) enum Outbound {
    /// Send a text; the sender hears when the socket has taken it.
    Text(String, Option<oneshot::Sender<()>>),
    /// Close with this code and reason.
    Close(CloseCode, &'static str),
}

/// An open connection.
#[derive(Clone, Debug)]
pub(super) struct Handle {
    pub(super) context: ConnectionContext,
    pub(super) outbound: mpsc::Sender<Outbound>,
    opened_at: Instant,
    /// When a message last went either way, in milliseconds since the connection was opened.
    last_active_ms: Arc<AtomicU64>,
    /// Told when the connection has to end even if its browser reads nothing.
    ending: Arc<Notify>,
    /// Told when the connection is lost without a word.
    lost: Arc<Notify>,
    /// Whether the browser is out of reach, and the connection has not noticed.
    dead: Arc<AtomicBool>,
}

/// What an operator sees of an open connection. Times are in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenConnection {
    /// Its id.
    pub connection_id: String,
    /// When it was opened.
    pub connected_at_ms: i64,
    /// When a message last went either way.
    pub last_active_at_ms: i64,
}

/// All open connections by their ids.
#[derive(Debug)]
pub(super) struct Registry {
    open: Mutex<HashMap<String, Handle>>,
    /// Connections whose `$disconnect` has not run, open or not.
    count: watch::Sender<usize>,
}

impl Default for Registry {
    fn default() -> Self {
        Self { open: Mutex::default(), count: watch::Sender::new(0) }
    }
}

impl Handle {
    pub(super) fn new(context: ConnectionContext, outbound: mpsc::Sender<Outbound>) -> Self {
        Self {
            context,
            outbound,
            opened_at: Instant::now(),
            last_active_ms: Arc::default(),
            ending: Arc::default(),
            lost: Arc::default(),
            dead: Arc::default(),
        }
    }

    /// Closes the connection, a browser that reads nothing after a short while.
    pub(super) fn close(&self, code: CloseCode, reason: &'static str) {
        // A full queue belongs to a browser that reads nothing: it is not told.
        self.outbound.try_send(Outbound::Close(code, reason)).ok();
        self.ending.notify_one();
    }

    /// Ends when the connection has to.
    pub(super) async fn must_end(&self) {
        self.ending.notified().await;
    }

    /// Loses the connection without a close frame, and with it whatever its socket has not taken.
    pub(super) fn lose(&self) {
        self.lost.notify_one();
    }

    /// Ends when the connection is lost.
    pub(super) async fn is_lost(&self) {
        self.lost.notified().await;
    }

    /// Puts the browser out of reach: nothing gets through in either direction, and no side is told.
    pub(super) fn die(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    pub(super) fn touch(&self) {
        let open_ms = u64::try_from(self.opened_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_active_ms.store(open_ms, Ordering::Relaxed);
    }

    fn active_for(&self) -> Duration {
        Duration::from_millis(self.last_active_ms.load(Ordering::Relaxed))
    }

    pub(super) fn last_active(&self) -> Instant {
        self.opened_at + self.active_for()
    }

    /// When a message last went either way, in milliseconds since 1970.
    pub(super) fn last_active_epoch_ms(&self) -> i64 {
        self.context.connected_at_ms + i64::try_from(self.active_for().as_millis()).unwrap_or(0)
    }
}

impl Registry {
    fn open(&self) -> MutexGuard<'_, HashMap<String, Handle>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn insert(&self, handle: Handle) {
        self.count.send_modify(|count| *count += 1);
        self.open().insert(handle.context.connection_id.clone(), handle);
    }

    /// Makes a connection gone: nothing can be posted to it from here on.
    pub(super) fn remove(&self, connection_id: &str) {
        self.open().remove(connection_id);
    }

    /// A removed connection has run its `$disconnect`.
    pub(super) fn ended(&self) {
        self.count.send_modify(|count| *count -= 1);
    }

    pub(super) fn get(&self, connection_id: &str) -> Option<Handle> {
        self.open().get(connection_id).cloned()
    }

    /// All open connections, the oldest first.
    pub(super) fn list(&self) -> Vec<OpenConnection> {
        let shown = |handle: &Handle| OpenConnection {
            connection_id: handle.context.connection_id.clone(),
            connected_at_ms: handle.context.connected_at_ms,
            last_active_at_ms: handle.last_active_epoch_ms(),
        };
        let mut open: Vec<OpenConnection> = self.open().values().map(shown).collect();
        open.sort_by_key(|connection| connection.connected_at_ms);
        open
    }

    /// Tells every connection to close, as the service does before a restart.
    pub(super) fn close_all(&self) {
        for handle in self.open().values() {
            handle.close(CloseCode::Restart, "Service restart");
        }
    }

    pub(super) async fn until_empty(&self) {
        // The sender lives as long as this registry.
        self.count.subscribe().wait_for(|count| *count == 0).await.ok();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_connection_counts_until_its_disconnect_has_run() {
        let registry = Registry::default();
        for connection_id in ["a", "b"] {
            let context = ConnectionContext {
                connection_id: connection_id.to_owned(),
                connected_at_ms: 0,
                source_ip: Ipv4Addr::LOCALHOST.into(),
                user_agent: None,
                authorizer: None,
                access_key_id: None,
            };
            registry.insert(Handle::new(context, mpsc::channel(1).0));
        }
        registry.remove("a");
        registry.remove("b");
        registry.ended();
        assert!(registry.get("b").is_none(), "it is gone");
        assert!(registry.until_empty().now_or_never().is_none(), "and its $disconnect is still running");
        registry.ended();
        registry.until_empty().await;
    }
}
