//! How long a backfill takes, and how much memory: `cargo bench -p tests --bench backfill -- 100000` prints it.
//!
//! The feed is the command `foldcast fauna backfill` in a process of its own; FaunaDB and DynamoDB are in this one.

#![expect(clippy::print_stdout, reason = "printing is what it is for")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a measurement that cannot go on has failed")]

use std::{
    fs,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tests::{
    engine::Engine,
    fauna::{Fauna, ROOT_SECRET},
    stack::binary,
};

const DOCUMENTS: u64 = 100_000;

/// Events of one order.
const EVENTS: u64 = 10;

/// Bytes of an event's note: an event is 1 KB, about.
const NOTE_BYTES: usize = 900;

/// Documents of one transaction of the set-up.
const TRANSACTION: u64 = 500;

#[tokio::main]
async fn main() {
    let documents = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(DOCUMENTS);
    let fauna = Fauna::start().await;
    write(&fauna, documents);
    let engine = Engine::start().await;
    let mut command = Command::new(binary());
    command.args(["fauna", "backfill", "--endpoint-url", &engine.url]);
    command.env("FAUNA_URL", &fauna.url).env("FAUNA_SECRET", ROOT_SECRET).stdout(Stdio::piped());
    let begun = Instant::now();
    let mut process = command.spawn().unwrap();
    let mut memory_kb = 0;
    while process.try_wait().unwrap().is_none() {
        memory_kb = peak_memory_kb(process.id()).unwrap_or(memory_kb);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let output = process.wait_with_output().unwrap();
    assert!(output.status.success(), "the backfill failed");
    let counts: Value = serde_json::from_slice(&output.stdout).unwrap();
    let appended = counts["appended"].as_u64().unwrap() + counts["there"].as_u64().unwrap();
    assert_eq!(appended, documents, "{counts}");
    println!("{}", json!({"documents": documents, "seconds": seconds, "peakMemoryKb": memory_kb, "counts": counts}));
}

fn write(fauna: &Fauna, documents: u64) {
    let field = |name: &str| json!({"object": {"field": [name]}});
    fauna.query(&json!({"create_collection": {"object": {"name": "order_stream"}}}));
    let values = [field("ts"), field("ref")];
    let index = json!({"name": "order_stream_by_ts", "source": {"collection": "order_stream"}, "values": values});
    fauna.query(&json!({"create_index": {"object": index}}));
    let note = "x".repeat(NOTE_BYTES);
    let create = |n: u64| {
        let data =
            json!({"eventName": "OrderChanged", "orderId": format!("order-{}", n / EVENTS), "n": n, "note": note});
        json!({"create": {"collection": "order_stream"}, "params": {"quote": {"data": data}}})
    };
    let mut written = 0;
    while written < documents {
        let end = documents.min(written + TRANSACTION);
        // What is answered is large and of no interest: the count of it is.
        fauna.query(&json!({"count": (written..end).map(create).collect::<Vec<_>>()}));
        written = end;
    }
}

/// The largest memory that a process had so far, in KB.
fn peak_memory_kb(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}
