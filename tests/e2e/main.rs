//! Behaviour as users see it: real processes, real sockets, by the commands of README.md.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod append;
mod cost;
mod failures;
mod faults;
mod fauna;
mod gaps;
mod large;
mod messages;
mod own_application;
mod pages;
mod pipeline;
mod poison;
mod power_cut;
mod rebuild;
mod restart;
mod security;
mod tail;
mod telemetry;
mod up;
mod wrong_stack;

use serde_json::Value;
use tests::stack::{Stack, root};

/// Appends the example log of README.md; the answer is a line an event.
fn append_example(stack: &Stack) -> Vec<Value> {
    stack.json_lines(&["append", root().join("examples/order_stream.json").to_str().unwrap()])
}

/// Waits until every event is folded.
fn settled(stack: &Stack) {
    let report = stack.json_lines(&["verify"]);
    assert_eq!(report[0]["differences"], 0);
}

/// The example's events.
fn example_events() -> Vec<Value> {
    serde_json::from_str(&std::fs::read_to_string(root().join("examples/order_stream.json")).unwrap()).unwrap()
}

/// What the first order of the example folds to, `stripeToken` included.
fn example_projection() -> Value {
    let file = root().join("examples/projection_guid_123.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}
