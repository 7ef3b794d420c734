//! `cargo xtask`: what cargo cannot say.
//!
//! Owns: the commands, and the order of the steps of `cargo xtask test`.
//! Must not know: the product.
//! Source: README.md, "Two commands".

mod client;
mod dynamodb_local;
mod foreign;
mod infra;
mod npm;
mod package;
mod python;
mod rust;
mod step;
mod tally;
mod tools;

use std::{path::Path, process::ExitCode, time::Instant};

use clap::Parser;

use step::seconds;
use tally::Tally;

/// What cargo cannot say.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Command {
    /// Set up what the tests need and run them all
    Test {
        /// Run the contract tests of the tables alone, on Amazon's DynamoDB Local (needs Java 17 and Maven)
        #[arg(long)]
        dynamodb_local: bool,
    },
    /// Measure, with optimized programs, print what was measured and write target/bench/report.json and docs/performance.md
    Bench {
        /// Only these benchmarks, and no page
        names: Vec<String>,
    },
    /// Build each function for Lambda, arm64 and x86-64, check it, and print its size
    Package,
    /// Write infra/template.json from the CDK code
    Template {
        /// Write nothing: fail if the file is stale
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Test { dynamodb_local: false } => test(),
        Command::Test { dynamodb_local: true } => dynamodb_local::test().map(close),
        Command::Bench { names } => rust::bench(&names),
        Command::Package => package::package(&std::env::var_os("PATH").unwrap_or_default()),
        Command::Template { check } => infra::template(check),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs every step and ends with `N passed, N failed` alone on a line.
fn test() -> anyhow::Result<()> {
    let started = Instant::now();
    tools::check()?;
    rust::lint()?;
    let foldcast = rust::build()?;
    let mut tally = Tally::default();
    tally += rust::test()?;
    tally += infra::test()?;
    tally += client::test(&foldcast)?;
    tally += foreign::test(&foldcast)?;
    eprintln!("\nall steps passed in {}", seconds(started));
    close(tally);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the closing line is what the command is for")]
fn close(tally: Tally) {
    println!("{tally}");
}

/// The root of the workspace.
fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}
