//! Benchmarks: what Foldcast costs, and what others cost that do the same, printed by the run that measured it.
//!
//! Owns: which benchmarks there are.
//! Must not know: what is fast enough.
//! Source: `cargo xtask bench`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::as_conversions,
    reason = "a benchmark that cannot go on has failed, and prints what it measured"
)]

mod broadcast;
mod client;
mod cold_start;
mod fold;
mod interleaved;
#[expect(dead_code, reason = "the authorizer's own tests use all of it")]
#[path = "../../functions/authorizer/tests/tokens/issuer.rs"]
mod issuer;
mod lag;
mod lambda;
mod local_stack;
mod machine;
mod offline;
mod process;
mod programs;
mod push;
mod report;
mod side;
mod size;
mod work;

use std::io::{BufRead, stdin};

use tokio::runtime::{Builder, Runtime};

use machine::Machine;
use report::Table;

/// The benchmarks, in the order of the page.
const NAMES: [&str; 9] =
    ["push", "cold-start", "warm", "lag", "fold", "local-stack", "broadcast", "size", "clean-build"];

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    match args.as_slice() {
        [side, name, url] if side == "side" => match name.as_str() {
            "bare-server" | "fold" | "parse" => Builder::new_multi_thread(),
            // What pushes is a function, and that has one thread.
            _ => Builder::new_current_thread(),
        }
        .enable_all()
        .build()
        .unwrap()
        .block_on(serve(name, url)),
        _ => Runtime::new().unwrap().block_on(measure(&args)),
    }
}

/// Runs the benchmarks with these names, or all.
async fn measure(args: &[String]) {
    let unknown = args.iter().find(|arg| !NAMES.contains(&arg.as_str()));
    assert!(unknown.is_none(), "there is no benchmark {unknown:?}, only {NAMES:?}");
    let mut machine = Machine::look();
    let is_asked_for = |name: &&str| args.is_empty() || args.iter().any(|arg| arg == name);
    let mut tables: Vec<Table> = Vec::new();
    for name in NAMES.into_iter().filter(is_asked_for) {
        println!("measuring {name}");
        let table = run(name).await;
        table.print();
        tables.push(table);
    }
    machine.look_again();
    report::write(&machine, &tables, tables.len() == NAMES.len());
}

async fn run(name: &str) -> Table {
    match name {
        "push" => push::run().await,
        "cold-start" => cold_start::run().await,
        "warm" => cold_start::run_warm().await,
        "lag" => lag::run().await,
        "fold" => fold::run().await,
        "local-stack" => local_stack::run().await,
        "broadcast" => broadcast::run().await,
        "size" => size::run(),
        _ => size::clean_build(),
    }
}

/// Is one side of a comparison until there is no more input.
async fn serve(side: &str, url: &str) {
    let bare = match side {
        "bare-server" => Some(broadcast::Bare::start()),
        _ => None,
    };
    for line in stdin().lock().lines() {
        let asked = serde_json::from_str(&line.unwrap()).unwrap();
        let answer = match (&bare, side) {
            (Some(bare), _) => bare.round(&asked).await,
            (None, "fold") => fold::fold(url).await,
            (None, "parse") => fold::parse(url).await,
            (None, _) => push::sides::round(side, url, &asked).await,
        };
        println!("{answer}");
    }
}
