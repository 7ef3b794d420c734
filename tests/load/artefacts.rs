//! How soon each artefact of `cargo xtask package` gives its first answer, and how much memory it takes for real work.
//!
//! `cargo run -p tests --example artefacts -- FOLDER…`, such as `target/lambda-x86-64`. The programs are those of Lambda; the
//! DynamoDB is the embedded engine over HTTP without TLS, so that figures compare programs and are no promise of AWS.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::as_conversions,
    reason = "a benchmark that cannot go on has failed, and prints what it measured"
)]

#[path = "artefacts/lambda.rs"]
mod lambda;
#[path = "artefacts/work.rs"]
mod work;

use std::{path::PathBuf, time::Duration};

use lambda::{Answered, Lambda};
use work::{FUNCTIONS, Work};

/// Processes of one program; the median of an uneven number is one of them.
const STARTS: usize = 21;

#[tokio::main]
async fn main() {
    let folders: Vec<PathBuf> = std::env::args().skip(1).map(PathBuf::from).collect();
    assert!(!folders.is_empty(), "which folders? such as target/lambda-x86-64");
    println!(
        "{:<14} {:>10} | {:>22} | {:>22} | {:>9} | folder",
        "function", "bytes", "first /next, ms", "first answer, ms", "peak, KB"
    );
    for function in FUNCTIONS {
        let mut measured: Vec<(Vec<Answered>, u64)> = folders.iter().map(|_| (Vec::new(), 0)).collect();
        // In turns, so that what else the machine does falls on each alike.
        for _ in 0..STARTS {
            for (folder, (starts, _)) in folders.iter().zip(&mut measured) {
                let work = Work::first(function);
                starts.push(Lambda::start(&folder.join(function).join("bootstrap"), work).await.work().await);
            }
        }
        for (folder, (starts, peak_kb)) in folders.iter().zip(&mut measured) {
            let program = folder.join(function).join("bootstrap");
            *peak_kb = Lambda::start(&program, Work::heavy(function)).await.work().await.peak_kb;
            let bytes = std::fs::metadata(&program).unwrap().len();
            let ready = spread(starts.iter().map(|start| start.ready));
            let first = spread(starts.iter().map(|start| start.first));
            let folder = folder.display();
            println!("{function:<14} {bytes:>10} | {ready:>22} | {first:>22} | {peak_kb:>9} | {folder}");
        }
    }
}

/// The least and the median.
fn spread(times: impl Iterator<Item = Duration>) -> String {
    let mut times: Vec<Duration> = times.collect();
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1_000.0;
    format!("least {:.1} median {:.1}", ms(times[0]), ms(times[times.len() / 2]))
}
