//! The steps of `infra/`.
//!
//! Owns: installing its packages when they are absent or older than their lock file, its tests, its template.
//! Must not know: what is in the template.
//! Source: infra/README.md.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use crate::{
    root,
    step::{self, program},
    tally::Tally,
};

/// The types, and the tests of the template.
pub(crate) fn test() -> anyhow::Result<Tally> {
    install()?;
    step::run_tests("infra tests", npm(&["test"]))
}

/// Writes `template.json`, or only says whether it is stale.
pub(crate) fn template(check: bool) -> anyhow::Result<()> {
    install()?;
    let script = ["run", "template"];
    let check: &[&str] = if check { &["--", "--check"] } else { &[] };
    step::run("template", npm(&[&script, check].concat()))
}

fn install() -> anyhow::Result<()> {
    if is_installed(&folder()) {
        return Ok(());
    }
    step::run("infra packages", npm(&["ci", "--no-audit", "--no-fund"]))
}

/// npm writes a lock file of its own into `node_modules` as its last act.
fn is_installed(folder: &Path) -> bool {
    let changed = |path: &str| -> Option<SystemTime> { fs::metadata(folder.join(path)).ok()?.modified().ok() };
    let installed = changed("node_modules/.package-lock.json");
    installed.is_some() && installed >= changed("package-lock.json")
}

fn folder() -> PathBuf {
    root().join("infra")
}

fn npm(args: &[&str]) -> Command {
    let mut command = program("npm", args);
    command.current_dir(folder());
    command
}
