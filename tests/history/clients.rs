//! The process with the clients, and the recording of what they are told.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard},
    thread,
};

use rustix::time::{ClockId, clock_gettime};
use serde::Deserialize;
use serde_json::{Value, json};
use tests::stack::root;

use crate::history::{Append, ClientId, Heard, History, Moment, Said};

/// Now, by the clock that the clients' process has too.
pub(crate) fn now() -> Moment {
    let time = clock_gettime(ClockId::Monotonic);
    u64::try_from(time.tv_sec).unwrap() * 1_000_000 + u64::try_from(time.tv_nsec).unwrap() / 1_000
}

/// A line of the clients' process.
#[derive(Deserialize)]
struct Line {
    at: Moment,
    said: Option<Said>,
    counted: Option<Counted>,
}

/// What came over the wire to all clients.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Counted {
    /// Connections that were opened.
    pub(crate) sockets: usize,
    /// Messages, each part of one counted.
    pub(crate) frames: usize,
}

/// What has been recorded, and where everybody stands by it.
#[derive(Default)]
pub(crate) struct Recording {
    pub(crate) history: History,
    pub(crate) counted: Option<Counted>,
    /// Where the last watch of each client and order stands; `None` until its first callback.
    standing: BTreeMap<(ClientId, String), Option<u64>>,
    watches: BTreeMap<u64, (ClientId, String)>,
    /// The head of each order's log, and its owner there.
    heads: BTreeMap<String, (u64, Option<String>)>,
}

impl Recording {
    pub(crate) fn append(&mut self, append: Append) {
        let (head, owner) = self.heads.entry(append.order_id.clone()).or_default();
        *head = append.version.max(*head);
        match append.data.get("userId") {
            Some(Value::String(user)) => *owner = Some(user.clone()),
            Some(_) => *owner = None,
            None => {}
        }
        self.history.appends.push(append);
    }

    fn hear(&mut self, heard: Heard) {
        match &heard.said {
            Said::Watching { watch, client, order_id, .. } => {
                self.watches.insert(*watch, (*client, order_id.clone()));
                self.standing.insert((*client, order_id.clone()), None);
            }
            Said::Update { watch, version, .. } => {
                self.standing.insert(self.watches[watch].clone(), Some(*version));
            }
            Said::Ended { .. } => {}
        }
        self.history.heard.push(heard);
    }

    /// Whether every watch had its first callback.
    pub(crate) fn is_answered(&self, watches: usize) -> bool {
        self.standing.len() >= watches && self.standing.values().all(Option::is_some)
    }

    /// The clients and orders that do not show what they have to show; of these orders only.
    pub(crate) fn behind(&self, is_meant: impl Fn(&str) -> bool) -> usize {
        let behind = self.standing.iter().filter(|((client, order_id), at)| {
            let (head, owner) = self.heads.get(order_id).cloned().unwrap_or_default();
            let is_seen = self.history.viewers[client].may_see(owner.as_deref());
            is_meant(order_id) && **at != Some(if is_seen { head } else { 0 })
        });
        behind.count()
    }
}

/// The process with the clients; it ends when it is dropped.
pub(crate) struct Clients {
    process: Child,
    input: ChildStdin,
    recording: Arc<Mutex<Recording>>,
}

impl Clients {
    pub(crate) fn start() -> Self {
        let client = root().join("client/src/index.js");
        let mut command = Command::new("node");
        command.args(["--experimental-websocket", "--no-warnings"]);
        command.arg(root().join("tests/history/clients.mjs")).arg(client);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = process.stdin.take().unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let recording = Arc::new(Mutex::new(Recording::default()));
        let shared = Arc::clone(&recording);
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let Line { at, said, counted } =
                    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
                let mut recording = shared.lock().unwrap();
                recording.counted = counted.or(recording.counted);
                if let Some(said) = said {
                    recording.hear(Heard { at, said });
                }
            }
        });
        Self { process, input, recording }
    }

    pub(crate) fn recording(&self) -> MutexGuard<'_, Recording> {
        self.recording.lock().unwrap()
    }

    /// Opens a page.
    pub(crate) fn open(&mut self, client: ClientId, url: &str, token: Option<&str>) {
        self.command(&json!({"does": "open", "client": client, "url": url, "token": token}));
    }

    /// Lets a page watch an order from its first event on, and again whenever it is told that the order is another's.
    pub(crate) fn watch(&mut self, client: ClientId, order_id: &str) {
        self.command(&json!({"does": "watch", "client": client, "orderId": order_id}));
    }

    /// Asks what came over the wire; the answer is recorded.
    pub(crate) fn count(&mut self) {
        self.recording().counted = None;
        self.command(&json!({"does": "count"}));
    }

    fn command(&mut self, command: &Value) {
        writeln!(self.input, "{command}").unwrap();
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        // It may have ended already.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
