//! Benchmarks: what the local stack costs, printed by the run that measured it.
//!
//! Owns: which benchmarks there are.
//! Must not know: what is fast enough.
//! Source: `cargo xtask bench`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::as_conversions,
    reason = "a benchmark that cannot go on has failed, and prints what it measured"
)]

mod client;
mod local_stack;

#[tokio::main]
async fn main() {
    local_stack::start_up();
    local_stack::idle_connections().await;
    local_stack::burst().await;
}
