//! npm in a folder of the checkout.
//!
//! Owns: installing a folder's packages when they are absent or older than their lock file.
//! Must not know: what the packages are for.
//! Source: npm writes a lock file of its own into `node_modules` as its last act.

use std::{fs, path::Path, process::Command, time::SystemTime};

use crate::{
    root,
    step::{self, program},
};

/// npm with these arguments, in a folder below the root.
pub(crate) fn npm(folder: &str, args: &[&str]) -> Command {
    let mut command = program("npm", args);
    command.current_dir(root().join(folder));
    command
}

/// Installs the packages of a folder's lock file.
pub(crate) fn install(folder: &str) -> anyhow::Result<()> {
    if is_installed(&root().join(folder)) {
        return Ok(());
    }
    step::run(&format!("packages of {folder}"), npm(folder, &["ci", "--no-audit", "--no-fund"]))
}

fn is_installed(folder: &Path) -> bool {
    let changed = |path: &str| -> Option<SystemTime> { fs::metadata(folder.join(path)).ok()?.modified().ok() };
    let installed = changed("node_modules/.package-lock.json");
    installed.is_some() && installed >= changed("package-lock.json")
}
