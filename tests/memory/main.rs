//! How much memory each function takes at the largest work that it may be given.
//!
//! Each workload runs in a process of its own, as Lambda runs it: a Runtime API, the embedded DynamoDB and `@connections` that
//! takes 20 ms for a post. The table has the most memory that was resident (`VmHWM`) beside the function's `memorySize`.

#![expect(
    clippy::as_conversions,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and prints what it measured"
)]

#[expect(dead_code, reason = "the benchmarks use all of it")]
#[path = "../load/lambda.rs"]
mod lambda;
#[expect(dead_code, reason = "the benchmarks use all of it")]
#[path = "../load/process.rs"]
mod process;
mod workloads;

use std::process::Command;

use workloads::workloads;

/// Of a function's memory, what the largest work may take; the rest is for what nobody thought of.
const SHARE_MAX: f64 = 0.8;

/// Gives a function each of its workloads, and prints what they took.
async fn measure(function: &str) {
    let memory_mb = workloads::memory_mb(function);
    let mut too_large = Vec::new();
    for workload in workloads().into_iter().filter(|workload| workload.function == function) {
        let mut command = Command::new(tests::stack::binary());
        command.args(["function", function]);
        let peak_mb = lambda::work(command, &workload).await.peak_kb / 1_024.0;
        println!("| `{function}` | {} | {peak_mb:.0} | {memory_mb:.0} |", workload.name);
        if peak_mb > memory_mb * SHARE_MAX {
            too_large.push(workload.name);
        }
    }
    assert!(too_large.is_empty(), "over {SHARE_MAX} of {memory_mb} MB: {too_large:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_message_takes_more_memory_than_subscribe_has() {
    measure("subscribe").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_batch_takes_more_memory_than_the_event_handler_has() {
    measure("event-handler").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_takes_more_memory_than_the_fan_out_has() {
    measure("fan-out").await;
}
