//! The step of the foreign clients: programs of others against the local stack.
//!
//! Owns: a Python environment under `target/` with the pinned packages, and running the tests with it and with Node.
//! Must not know: what the tests ask.
//! Source: tests/foreign/.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use crate::{
    npm::{install, npm},
    root,
    step::{self, program},
    tally::Tally,
};

const PYTHON: &str = "tests/foreign/python";
const JAVASCRIPT: &str = "tests/foreign/javascript";

/// Runs them against this binary.
pub(crate) fn test(foldcast: &Path) -> anyhow::Result<Tally> {
    let mut tally = Tally::default();
    let mut python = program(environment()?, &["-B", "-m", "unittest", "discover", "-v", "-s", PYTHON]);
    python.env("FOLDCAST_BINARY", foldcast);
    tally += step::run_tests("foreign clients in Python", python)?;
    install(JAVASCRIPT)?;
    let mut javascript = npm(JAVASCRIPT, &["test"]);
    javascript.env("FOLDCAST_BINARY", foldcast);
    tally += step::run_tests("foreign clients in JavaScript", javascript)?;
    Ok(tally)
}

/// The Python of an environment that holds the required packages and no others.
fn environment() -> anyhow::Result<PathBuf> {
    let folder = root().join("target/foreign-venv");
    let python = folder.join("bin/python");
    let installed = folder.join("requirements.txt");
    let required = root().join(PYTHON).join("requirements.txt");
    let wanted = fs::read(&required).with_context(|| format!("cannot read {}", required.display()))?;
    if fs::read(&installed).is_ok_and(|installed| installed == wanted) && works(&python) {
        return Ok(python);
    }
    let path = folder.to_string_lossy();
    if step::run("Python environment", program("python3", &["-m", "venv", "--clear", &path])).is_err() {
        bail!("`python3 -m venv` fails: install Python's venv (Debian: apt-get install python3-venv)");
    }
    let required = required.to_string_lossy();
    let pip = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "-r", &required];
    step::run("Python packages", program(&python, &pip))?;
    fs::write(&installed, wanted).with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(python)
}

/// An environment breaks when the Python that made it goes.
fn works(python: &Path) -> bool {
    program(python, &["--version"]).output().is_ok_and(|output| output.status.success())
}
