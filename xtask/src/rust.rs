//! The steps of the Rust workspace.
//!
//! Owns: format, lints, building everything once, the Rust tests.
//! Must not know: other languages.
//! Source: style of the workspace in Cargo.toml, rustfmt.toml and clippy.toml.

use std::path::PathBuf;

use anyhow::Context as _;
use serde_json::Value;

use crate::{
    npm,
    step::{self, program},
    tally::Tally,
};

const BINARY: &str = "foldcast";

/// Format and lints.
pub(crate) fn lint() -> anyhow::Result<()> {
    step::run("format", program("cargo", &["fmt", "--all", "--check"]))?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"];
    step::run("lints", program("cargo", &clippy))
}

/// Builds everything with the features of the whole workspace, so that the tests compile nothing twice, and answers
/// where the binary is.
pub(crate) fn build() -> anyhow::Result<PathBuf> {
    let args = ["build", "--workspace", "--all-targets", "--message-format", "json-render-diagnostics"];
    let messages = step::read("build", program("cargo", &args))?;
    let found = messages.lines().filter_map(|line| executable(&serde_json::from_str(line).ok()?)).next_back();
    found.with_context(|| format!("cargo built no binary `{BINARY}`"))
}

/// The path in cargo's message about the binary itself, not about its unit tests.
fn executable(message: &Value) -> Option<PathBuf> {
    let is_binary = message.pointer("/target/name")? == BINARY && message.pointer("/profile/test")? == false;
    is_binary.then(|| message.get("executable")?.as_str().map(PathBuf::from)).flatten()
}

/// Every test of the workspace.
pub(crate) fn test() -> anyhow::Result<Tally> {
    step::run_tests("Rust tests", program("cargo", &["test", "--workspace"]))
}

/// The benchmarks of the workspace with these names, or all.
pub(crate) fn bench(names: &[String]) -> anyhow::Result<()> {
    npm::install("tests/load/peers")?;
    // With the features of the whole workspace, as `foldcast` is built: nothing is compiled twice.
    let mut bench = program("cargo", &["bench", "--workspace", "--bench", "load", "--"]);
    bench.args(names);
    step::run("benchmarks", bench)
}
