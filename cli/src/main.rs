//! The binary `foldcast`: the local stack with our functions, and the commands that work on a deployment.
//!
//! Owns: the command line, exit codes (0, 1 failed, 2 usage), what is printed.
//! Must not know: how events are stored or folded; it calls the rooms that do.
//! Source: README.md, "Commands".

#![expect(clippy::print_stdout, reason = "printing is what a command line is for")]

mod access;
mod append;
mod args;
mod console;
mod cost;
mod deployment;
mod failure;
mod failures;
mod fauna;
mod fold;
mod function;
mod progress;
mod rebuild;
mod tail;
mod token;
mod up;
mod verify;

use std::process::ExitCode;

use tokio::runtime::Builder;

use args::{Args, Command};
use failure::Failure;

fn main() -> ExitCode {
    let args = match args::parse() {
        Ok(args) => args,
        Err(shown) => return shown.exit(),
    };
    let mut builder = match args.command {
        // As on Lambda, where it has one processor.
        Some(Command::Function { .. }) => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    let runtime = match builder.enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return Failure::failed(error).report(),
    };
    match runtime.block_on(run(args)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn run(args: Args) -> Result<(), Failure> {
    match args.command.unwrap_or_default() {
        Command::Up(options) => Box::pin(up::run(options)).await,
        Command::Append(options) => Box::pin(append::run(options)).await,
        Command::Tail(options) => Box::pin(tail::run(options)).await,
        Command::Fold(options) => Box::pin(fold::run(options)).await,
        Command::Token(options) => token::run(&options),
        Command::Verify(options) => Box::pin(verify::run(options)).await,
        Command::Rebuild(options) => Box::pin(rebuild::run(options)).await,
        Command::Cost(options) => cost::run(&options),
        Command::Failures(options) => Box::pin(failures::run(options)).await,
        Command::Fauna(options) => Box::pin(fauna::run(options)).await,
        Command::Function { name } => Box::pin(function::run(&name)).await,
    }
}
