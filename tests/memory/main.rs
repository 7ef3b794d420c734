//! How much memory each function takes at the largest work that it may be given.
//!
//! Each workload runs in a process of its own, as Lambda runs it: a Runtime API, the embedded DynamoDB and `@connections` that
//! takes 20 ms for a post. The table has the most memory that was resident (`VmHWM`) beside the function's `memorySize`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
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

#[tokio::test]
async fn no_work_takes_more_memory_than_its_function_has() {
    let mut rows = Vec::new();
    for workload in workloads() {
        let mut command = Command::new(tests::stack::binary());
        command.args(["function", workload.function]);
        let peak_mb = lambda::work(command, &workload).await.peak_kb / 1_024.0;
        let memory_mb = workloads::memory_mb(workload.function);
        println!("| `{}` | {} | {peak_mb:.0} | {memory_mb:.0} |", workload.function, workload.name);
        rows.push((workload.name, peak_mb, memory_mb));
    }
    let too_large: Vec<_> = rows.iter().filter(|(_, peak_mb, memory_mb)| *peak_mb > memory_mb * SHARE_MAX).collect();
    assert!(too_large.is_empty(), "over {SHARE_MAX} of the memory: {too_large:?}");
}
