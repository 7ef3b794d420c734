//! Behaviour as users see it: real processes, real sockets, by the commands of README.md.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod append;
mod messages;
mod pipeline;
mod restart;
mod up;

use std::path::PathBuf;

use serde_json::Value;

/// The example log that README.md appends.
fn example() -> PathBuf {
    tests::stack::root().join("examples/order_stream.json")
}

/// The example's events.
fn example_events() -> Vec<Value> {
    serde_json::from_str(&std::fs::read_to_string(example()).unwrap()).unwrap()
}

/// What the first order of the example folds to, `stripeToken` included.
fn example_projection() -> Value {
    let file = tests::stack::root().join("examples/projection_guid_123.json");
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}
