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

mod client;
mod interleaved;
mod local_stack;
mod machine;
mod process;
mod push;
mod report;
mod side;

use machine::Machine;
use report::Table;

/// The benchmarks, in the order of the page.
const NAMES: [&str; 2] = ["push", "local-stack"];

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with("--")).collect();
    if let [side, name, url] = args.as_slice()
        && side == "side"
    {
        return push::sides::serve(name, url).await;
    }
    let unknown = args.iter().find(|arg| !NAMES.contains(&arg.as_str()));
    assert!(unknown.is_none(), "there is no benchmark {unknown:?}: {NAMES:?}");
    let mut machine = Machine::look();
    let mut tables = Vec::new();
    for name in NAMES.into_iter().filter(|name| args.is_empty() || args.iter().any(|arg| arg == name)) {
        println!("\nmeasuring {name}");
        let measured = run(name).await;
        measured.iter().for_each(Table::print);
        tables.extend(measured);
    }
    machine.look_again();
    report::write(&machine, &tables, args.is_empty());
}

async fn run(name: &str) -> Vec<Table> {
    match name {
        "push" => vec![push::run().await],
        _ => {
            local_stack::start_up();
            Vec::new()
        }
    }
}
