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
    process,
    report::{Cell, Table},
};

const STARTS: usize = 20;
const CONNECTIONS: usize = 10_000;
const BURST: usize = 100_000;

/// Clients that connect at the same time.
const AT_ONCE: usize = 256;

/// The quotas on connections and requests a second, out of the way.
pub(crate) const UNLIMITED: &str = r#"{"connections_per_second_max": 1000000, "connections_burst_max": 1000000,
    "requests_per_second_max": 1000000, "requests_burst_max": 1000000}"#;

const METHOD: &str = "The local stack with the example `local/examples/echo`, somebody else's application, release build; 10,000 connections for memory and upgrades. The bare \
server accepts WebSockets with `tokio-tungstenite` and does nothing else: no HTTP server before it, no function for `$connect`, no limits. Memory is `VmRSS` of the server's \
process, by the number of connections. The burst runs at AWS's quota of 500 connections a second.";

/// Runs all of it.
pub(crate) async fn run() -> Table {
    let mut rows = vec![start_up()];
    rows.extend(idle_connections().await);
    rows.extend(burst().await);
    let columns = vec!["what", "measured", "unit", "a bare server's", "ratio"];
    Table { title: "The local stack", method: METHOD.to_owned(), columns, rows }
}

fn row(what: &str, measured: Cell, unit: &str) -> Vec<Cell> {
    vec![what.into(), measured, unit.into(), Cell::Empty, Cell::Empty]
}

/// From the start of the process to its line `ready`.
fn start_up() -> Vec<Cell> {
    // Building it is not part of a start.
    assert!(tests::stack::binary().is_file());
    let mut times = Rounds::default();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let stack = Stack::start(Data::Ephemeral);
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        stack.stop();
    }
    row("start of the process to its line `ready`, of `foldcast up --ephemeral`", Cell::Number(times.median(), 1), "ms")
}

/// Ten thousand connections that say nothing, and then all say something; the same of a bare server, without the message.
async fn idle_connections() -> Vec<Vec<Cell>> {
    let stack = start(UNLIMITED);
    let before = process::memory_kb(stack.id(), "VmRSS");
    let begun = Instant::now();
    let opened = open(&stack.websocket_url).await;
    let per_second = CONNECTIONS as f64 / begun.elapsed().as_secs_f64();
    let kb = (process::memory_kb(stack.id(), "VmRSS") - before) / CONNECTIONS as f64;
    let begun = Instant::now();
    let answers = stream::iter(opened).map(|mut socket| async move { is_echoed(&mut socket).await });
    let answered = answers.buffer_unordered(AT_ONCE).filter(|answered| std::future::ready(*answered)).count().await;
    assert_eq!(answered, CONNECTIONS);
    let answers_per_second = CONNECTIONS as f64 / begun.elapsed().as_secs_f64();

    let bare = BareServer::start();
    let bare_before = process::memory_kb(bare.side.id(), "VmRSS");
    let begun = Instant::now();
    let bare_opened = open(&bare.url).await;
    let bare_per_second = CONNECTIONS as f64 / begun.elapsed().as_secs_f64();
    let bare_kb = (process::memory_kb(bare.side.id(), "VmRSS") - bare_before) / CONNECTIONS as f64;
    drop(bare_opened);
    let beside = |what: &str, measured: f64, unit: &str, other: f64, digits: usize| {
        let ratio = Cell::Number(measured / other, 2);
        vec![what.into(), Cell::Number(measured, digits), unit.into(), Cell::Number(other, digits), ratio]
    };
    vec![
        beside("resident memory of an idle connection", kb, "KB", bare_kb, 2),
        beside("upgrades, 256 at once, each with its `$connect`", per_second, "a second", bare_per_second, 0),
        row("messages to a function and back, 256 at once", Cell::Number(answers_per_second, 0), "a second"),
    ]
}

async fn open(url: &str) -> Vec<Socket> {
    let opened = stream::iter(0..CONNECTIONS).map(|_| connect(url)).buffer_unordered(AT_ONCE).map(Result::unwrap);
    opened.collect().await
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
    vec![
        row("burst of 100,000 upgrades: answered, let in or 429", Cell::Number(BURST as f64 / took, 0), "a second"),
        row("the same: memory that the stack grew by", Cell::Number(grown, 1), "MB"),
        row("the same: the slowest answer to another browser", Cell::Number(slowest.as_secs_f64() * 1e3, 1), "ms"),
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
