//! The local stack itself: how fast it is ready, what a connection costs, what a burst does.
//!
//! Owns: three scenarios on the example `echo`.
//! Must not know: Foldcast's functions.
//! Source: `/proc/PID/status` for memory.

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

use crate::client::{Socket, connect};

const STARTS: usize = 20;
const CONNECTIONS: usize = 10_000;
const BURST: usize = 100_000;

/// Clients that connect at the same time.
const AT_ONCE: usize = 256;

/// From the start of the process to its line `ready`.
pub(crate) fn start_up() {
    // Building it is not part of a start.
    assert!(tests::stack::binary().is_file());
    let mut times: Vec<Duration> = (0..STARTS)
        .map(|_| {
            let begun = Instant::now();
            let stack = Stack::start(Data::Ephemeral);
            let time = begun.elapsed();
            stack.stop();
            time
        })
        .collect();
    times.sort_unstable();
    let ms = |index: usize| times[index].as_secs_f64() * 1e3;
    println!(
        "start-up, process to ready: median {:.1} ms, {:.1} to {:.1} ms, {STARTS} starts",
        ms(STARTS / 2),
        ms(0),
        ms(STARTS - 1)
    );
}

/// Ten thousand connections that say nothing, and then all say something.
pub(crate) async fn idle_connections() {
    let stack = start(r#"{"connections_per_second_max": 1000000, "connections_burst_max": 1000000}"#);
    let before = resident_kb(&stack);
    let begun = Instant::now();
    let opened: Vec<Socket> = stream::iter(0..CONNECTIONS)
        .map(|_| connect(&stack.websocket_url))
        .buffer_unordered(AT_ONCE)
        .map(Result::unwrap)
        .collect()
        .await;
    let (opening, after) = (begun.elapsed(), resident_kb(&stack));
    println!(
        "{} connections opened in {:.1} s; resident memory {:.1} MB before, {:.1} MB after: {:.2} KB a connection",
        opened.len(),
        opening.as_secs_f64(),
        before / 1e3,
        after / 1e3,
        (after - before) / CONNECTIONS as f64
    );
    let begun = Instant::now();
    let answers = stream::iter(opened).map(|mut socket| async move { is_echoed(&mut socket).await });
    let answered =
        answers.buffer_unordered(AT_ONCE).filter(|is_answered| std::future::ready(*is_answered)).count().await;
    println!("{answered} of {CONNECTIONS} answered, one message each, in {:.1} s", begun.elapsed().as_secs_f64());
}

/// A hundred thousand upgrades as fast as they go, at AWS's quota of 500 a second, beside a browser that goes on.
pub(crate) async fn burst() {
    let stack = start("{}");
    let before = resident_kb(&stack);
    let mut other = connect(&stack.websocket_url).await.unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&is_over);
    let beside = tokio::spawn(async move {
        let (mut asked, mut slowest) = (0_u32, Duration::ZERO);
        while !ended.load(Ordering::Relaxed) {
            let begun = Instant::now();
            assert!(is_echoed(&mut other).await, "nobody else is disturbed");
            slowest = slowest.max(begun.elapsed());
            asked += 1;
        }
        (asked, slowest)
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
    let took = begun.elapsed();
    is_over.store(true, Ordering::Relaxed);
    let (asked, slowest) = beside.await.unwrap();
    let count = |status: u16| outcomes.iter().filter(|outcome| **outcome == status).count();
    println!(
        "burst of {BURST} upgrades in {:.1} s: {} let in, {} refused with 429, {} otherwise; resident memory {:.1} MB \
         before, {:.1} MB after; another browser was answered {asked} times meanwhile, after {:.1} ms at most",
        took.as_secs_f64(),
        count(101),
        count(429),
        BURST - count(101) - count(429),
        before / 1e3,
        resident_kb(&stack) / 1e3,
        slowest.as_secs_f64() * 1e3
    );
}

async fn is_echoed(socket: &mut Socket) -> bool {
    socket.send(Message::text("hello")).await.unwrap();
    matches!(socket.next().await, Some(Ok(Message::Text(text))) if text.as_str() == "hello")
}

/// A stack with the example and these limits.
fn start(limits: &str) -> Stack {
    let folder = tempfile::TempDir::new().unwrap();
    let file: PathBuf = folder.path().join("limits.json");
    fs::write(&file, limits).unwrap();
    let template = root().join("local/examples/echo/template.json");
    let function = format!("Echo={}", echo().display());
    let flags = ["--template", template.to_str().unwrap(), "--function", &function];
    Stack::start_with(&[&flags[..], &["--limits", file.to_str().unwrap()]].concat())
}

/// Memory of the stack's own process that is in use.
fn resident_kb(stack: &Stack) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", stack.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
