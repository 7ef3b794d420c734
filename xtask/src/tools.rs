//! What a machine must have before the first step.
//!
//! Owns: the list, the versions, and how to get what is missing.
//! Must not know: what the tools are used for.
//! Source: README.md, "Two commands".

use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};

use crate::step::program;

const NODE_MAJOR_MIN: u32 = 20;

/// The C compiler compiles the SQLite of the embedded DynamoDB.
const NEEDED: [(&[&str], &str); 5] = [
    (&["git"], "git"),
    (&["cc", "gcc", "clang"], "a C compiler"),
    (&["node"], "Node 20 or later"),
    (&["npm"], "npm, which comes with Node"),
    (&["python3"], "Python 3 with its module venv"),
];

/// Says at once what is missing, before an hour of compiling.
pub(crate) fn check() -> anyhow::Result<()> {
    let is_missing = |(names, _): &&(&[&str], &str)| !names.iter().any(|name| version(name).is_ok());
    let missing: Vec<_> = NEEDED.iter().filter(is_missing).map(|(_, title)| *title).collect();
    ensure!(missing.is_empty(), "this machine lacks {}: install it and try again", missing.join(", "));
    let node = version("node")?;
    let major = node.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    ensure!(major >= Some(NODE_MAJOR_MIN), "Node {NODE_MAJOR_MIN} or later is needed, and this is {node}");
    component("fmt", "rustfmt")?;
    component("clippy", "clippy")
}

/// The first line of `name --version`.
fn version(name: &str) -> anyhow::Result<String> {
    let output = program(name, &["--version"]).output().with_context(|| format!("cannot start {name}"))?;
    ensure!(output.status.success(), "{name} --version ended with {}", output.status);
    Ok(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned())
}

/// A part of the Rust toolchain that some installations leave out.
fn component(command: &str, name: &str) -> anyhow::Result<()> {
    let succeeds = |mut command: Command| command.stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    let is_there = || succeeds(program("cargo", &[command, "--version"]));
    if is_there() {
        return Ok(());
    }
    eprintln!("cargo {command} is missing: rustup component add {name}");
    if !succeeds(program("rustup", &["component", "add", name])) || !is_there() {
        bail!(
            "`cargo {command}` is missing and cannot be added: run `rustup component add {name}`, \
             or install the package `{name}` of your distribution"
        );
    }
    Ok(())
}
