//! The local stack itself: how fast it is ready, what a connection costs, what a burst does.
//!
//! Owns: scenarios on the example `echo`.
//! Must not know: Foldcast's functions.
//! Source: docs/local.md, "Limits".

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{SinkExt, StreamExt, stream};
use tests::stack::{Data, Stack, echo, root};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::{
    broadcast::BareServer,
    client::{Socket, connect},
    interleaved::Rounds,
    offline::Offline,
    process,
    report::{Cell, Table},
};

const STARTS: usize = 21;
const OFFLINE_STARTS: usize = 5;
const CONNECTIONS: usize = 10_000;
const BURST: usize = 100_000;

/// Clients that connect at the same time.
const AT_ONCE: usize = 256;

/// The quotas on connections and requests a second, out of the way.
pub(crate) const UNLIMITED: &str = r#"{"connections_per_second_max": 1000000, "connections_burst_max": 1000000,
    "requests_per_second_max": 1000000, "requests_burst_max": 1000000}"#;

const METHOD: &str = "The local stack with the example `local/examples/echo`, somebody else's application, release build; 10,000 connections for memory and upgrades. The bare \
server accepts WebSockets with `tokio-tungstenite` and does nothing else: no HTTP server before it, no limits, no messages. serverless-offline runs the same example in \
Node.js, in its own process, and needs a function for `$connect`. Memory is `VmRSS` of the server's process; that of one connection is what it grew by, which in Node.js says nothing. A ratio is the other's over ours. The burst runs at AWS's quota of \
500 connections a second.";

/// What many connections cost one server.
struct Idle {
    kb: f64,
    /// What the server has in all.
    mb: f64,
    upgrades_per_second: f64,
    answers_per_second: Option<f64>,
}

/// Runs all of it.
pub(crate) async fn run() -> Table {
    let mut rows = vec![start_up().await];
    rows.extend(idle_connections().await);
    rows.extend(burst().await);
    let columns =
        vec!["what", "unit", "measured", "a bare server", "ratio to it", "serverless-offline", "ratio to that"];
    Table { title: "The local stack", method: METHOD.to_owned(), columns, rows }
}

fn row(what: &str, unit: &str, measured: f64, digits: usize, others: [Option<f64>; 2]) -> Vec<Cell> {
    let mut row = vec![what.into(), unit.into(), Cell::Number(measured, digits)];
    for other in others {
        let cell = |number: Option<f64>, digits| number.map_or(Cell::Empty, |number| Cell::Number(number, digits));
        row.extend([cell(other, digits), cell(other.map(|other| other / measured), 2)]);
    }
    row
}

/// From the start of the process until it takes connections.
async fn start_up() -> Vec<Cell> {
    // Building it is not part of a start.
    assert!(tests::stack::binary().is_file());
    let (mut ms, mut offline_ms) = (Rounds::default(), Rounds::default());
    for round in 0..STARTS {
        let begun = Instant::now();
        let stack = Stack::start(Data::Ephemeral);
        ms.push(begun.elapsed().as_secs_f64() * 1e3);
        stack.stop();
        if round < OFFLINE_STARTS {
            let begun = Instant::now();
            Offline::start("serverless.yml").await;
            offline_ms.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    let what = "start of the process, with Foldcast's application or its peer in Node.js, until it takes connections";
    row(what, "ms", ms.median(), 1, [None, Some(offline_ms.median())])
}

/// Ten thousand connections that say nothing, and then all say something.
async fn idle_connections() -> Vec<Vec<Cell>> {
    let stack = start(UNLIMITED);
    let own = connections(&stack.websocket_url, stack.id(), true).await;
    drop(stack);
    let server = BareServer::start();
    let bare = connections(&server.url, server.side.id(), false).await;
    drop(server);
    let server = Offline::start("echo.yml").await;
    let offline = connections(&server.websocket_url, server.id(), true).await;
    let upgrades = [Some(bare.upgrades_per_second), Some(offline.upgrades_per_second)];
    let answers = own.answers_per_second.unwrap_or_default();
    vec![
        row("resident memory of an idle connection", "KB", own.kb, 2, [Some(bare.kb), None]),
        row("resident memory with all of them", "MB", own.mb, 1, [Some(bare.mb), Some(offline.mb)]),
        row("upgrades, 256 at once", "a second", own.upgrades_per_second, 0, upgrades),
        row("messages to a function and back, 256 at once", "a second", answers, 0, [None, offline.answers_per_second]),
    ]
}

async fn connections(url: &str, server: u32, answers: bool) -> Idle {
    // What the server does once only is no part of a connection.
    drop(connect(url).await.unwrap());
    let before = process::memory_kb(server, "VmRSS");
    let begun = Instant::now();
    let opened = stream::iter(0..CONNECTIONS).map(|_| connect(url)).buffer_unordered(AT_ONCE).map(Result::unwrap);
    let opened: Vec<Socket> = opened.collect().await;
    let upgrades_per_second = CONNECTIONS as f64 / begun.elapsed().as_secs_f64();
    let after = process::memory_kb(server, "VmRSS");
    let (kb, mb) = ((after - before) / CONNECTIONS as f64, after / 1024.0);
    let mut idle = Idle { kb, mb, upgrades_per_second, answers_per_second: None };
    if answers {
        let begun = Instant::now();
        let answers = stream::iter(opened).map(|mut socket| async move { is_echoed(&mut socket).await });
        let answered = answers.buffer_unordered(AT_ONCE).filter(|answered| std::future::ready(*answered)).count().await;
        assert_eq!(answered, CONNECTIONS);
        idle.answers_per_second = Some(CONNECTIONS as f64 / begun.elapsed().as_secs_f64());
    }
    idle
}

/// A hundred thousand upgrades as fast as they go, at AWS's quota of 500 a second, beside a browser that goes on.
async fn burst() -> Vec<Vec<Cell>> {
    let stack = start("{}");
    let before = process::memory_kb(stack.id(), "VmRSS");
    let mut other = connect(&stack.websocket_url).await.unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&is_over);
    let beside = tokio::spawn(async move {
        let mut slowest = Duration::ZERO;
        while !ended.load(Ordering::Relaxed) {
            let begun = Instant::now();
            assert!(is_echoed(&mut other).await, "nobody else is disturbed");
            slowest = slowest.max(begun.elapsed());
        }
        slowest
    });
    let begun = Instant::now();
    let outcomes: Vec<u16> = stream::iter(0..BURST)
        .map(|_| async {
            match connect(&stack.websocket_url).await {
                Ok(_) => 101,
                Err(Error::Http(answer)) => answer.status().as_u16(),
                Err(_) => 0,
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let took = begun.elapsed().as_secs_f64();
    is_over.store(true, Ordering::Relaxed);
    let slowest = beside.await.unwrap();
    let grown = (process::memory_kb(stack.id(), "VmRSS") - before) / 1024.0;
    let count = |status: u16| outcomes.iter().filter(|outcome| **outcome == status).count();
    assert_eq!(count(101) + count(429), BURST, "each is let in or refused");
    let alone = [None, None];
    vec![
        row("burst of 100,000 upgrades: answered, let in or 429", "a second", BURST as f64 / took, 0, alone),
        row("the same: memory that the stack grew by", "MB", grown, 1, alone),
        row("the same: the slowest answer to another browser", "ms", slowest.as_secs_f64() * 1e3, 1, alone),
    ]
}

pub(crate) async fn is_echoed(socket: &mut Socket) -> bool {
    socket.send(Message::text("hello")).await.unwrap();
    matches!(socket.next().await, Some(Ok(Message::Text(text))) if text.as_str() == "hello")
}

/// A stack with the example and these limits.
pub(crate) fn start(limits: &str) -> Stack {
    let folder = tempfile::TempDir::new().unwrap();
    let file: PathBuf = folder.path().join("limits.json");
    fs::write(&file, limits).unwrap();
    let template = root().join("local/examples/echo/template.json");
    let function = format!("Echo={}", echo().display());
    let flags = ["--template", template.to_str().unwrap(), "--function", &function];
    Stack::start_with(&[&flags[..], &["--limits", file.to_str().unwrap()]].concat())
}
