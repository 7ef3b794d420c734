//! The step of the foreign clients: programs of others against the local stack.
//!
//! Owns: running the tests with Python and with Node.
//! Must not know: what the tests ask.
//! Source: tests/foreign/.

use std::path::Path;

use crate::{
    npm::{install, npm},
    python,
    step::{self, program},
    tally::Tally,
};

const PYTHON: &str = "tests/foreign/python";
const JAVASCRIPT: &str = "tests/foreign/javascript";

/// Runs them against this binary.
pub(crate) fn test(foldcast: &Path) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let programs = python::environment("foreign-venv", &format!("{PYTHON}/requirements.txt"))?;
    let mut python = program(programs.join("python"), &["-B", "-m", "unittest", "discover", "-v", "-s", PYTHON]);
    python.env("FOLDCAST_BINARY", foldcast);
    tally += step::run_tests("foreign clients in Python", python)?;
    install(JAVASCRIPT)?;
    let mut javascript = npm(JAVASCRIPT, &["test"]);
    javascript.env("FOLDCAST_BINARY", foldcast);
    tally += step::run_tests("foreign clients in JavaScript", javascript)?;
    Ok(tally)
}
