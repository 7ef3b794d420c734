//! How soon each artefact of `cargo xtask package` gives its first answer, and what memory and processor time real work takes.
//!
//! `cargo run -p tests --example artefacts -- FOLDER…`, such as `target/lambda-x86-64`. The programs are those of Lambda; the
//! DynamoDB is the embedded engine over HTTP without TLS, so that figures compare programs and are no promise of AWS.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::as_conversions,
    reason = "a benchmark that cannot go on has failed, and prints what it measured"
)]

#[expect(dead_code, reason = "the authorizer's own tests use all of it")]
#[path = "../../functions/authorizer/tests/tokens/issuer.rs"]
mod issuer;
mod lambda;
#[expect(dead_code, reason = "the benchmarks use all of it")]
mod process;
mod work;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use lambda::Answered;
use work::{FUNCTIONS, Work};

/// Processes of one program; the median of an uneven number is one of them.
const STARTS: usize = 21;

/// Processes that get all the work; its memory is the most of them, its processor time the least.
const HEAVY_STARTS: usize = 5;

#[tokio::main]
async fn main() {
    let folders: Vec<PathBuf> = std::env::args().skip(1).map(PathBuf::from).collect();
    assert!(!folders.is_empty(), "which folders? such as target/lambda-x86-64");
    let columns = ["function", "bytes", "first /next, ms", "first answer, ms", "peak, KB", "CPU, ms"];
    let [function, bytes, ready, first, peak, cpu] = columns;
    println!("{function:<14} {bytes:>10} | {ready:>22} | {first:>22} | {peak:>9} | {cpu:>8} | folder");
    for function in FUNCTIONS {
        let mut starts: Vec<Vec<Answered>> = folders.iter().map(|_| Vec::new()).collect();
        // In turns, so that what else the machine does falls on each alike.
        for _ in 0..STARTS {
            for (folder, starts) in folders.iter().zip(&mut starts) {
                starts.push(answered(&program(folder, function), &Work::first(function)).await);
            }
        }
        let mut heavy: Vec<Vec<Answered>> = folders.iter().map(|_| Vec::new()).collect();
        for _ in 0..HEAVY_STARTS {
            for (folder, heavy) in folders.iter().zip(&mut heavy) {
                heavy.push(answered(&program(folder, function), &Work::heavy(function)).await);
            }
        }
        for ((folder, starts), heavy) in folders.iter().zip(&starts).zip(&heavy) {
            let bytes = std::fs::metadata(program(folder, function)).unwrap().len();
            let ready = spread(starts.iter().map(|start| start.ready));
            let first = spread(starts.iter().map(|start| start.first));
            let peak = heavy.iter().map(|heavy| heavy.peak_kb).fold(0.0, f64::max);
            let cpu = heavy.iter().map(|heavy| heavy.cpu).min().unwrap().as_millis();
            let folder = folder.display();
            println!("{function:<14} {bytes:>10} | {ready:>22} | {first:>22} | {peak:>9} | {cpu:>8} | {folder}");
        }
    }
}

async fn answered(program: &Path, work: &Work) -> Answered {
    lambda::work(Command::new(program), work).await
}

fn program(folder: &Path, function: &str) -> PathBuf {
    folder.join(function).join("bootstrap")
}

/// The least and the median.
fn spread(times: impl Iterator<Item = Duration>) -> String {
    let mut times: Vec<Duration> = times.collect();
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
    format!("least {:.1} median {:.1}", ms(times[0]), ms(times[times.len() / 2]))
}
