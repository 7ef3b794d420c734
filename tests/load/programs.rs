//! The programs as they are deployed.
//!
//! Owns: building them, and where they are.
//! Must not know: what is measured of them.
//! Source: the release profile.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use tests::stack::root;

/// The functions, by their packages.
pub(crate) const FUNCTIONS: [&str; 5] = ["authorizer", "connect", "disconnect", "subscribe", "event-handler"];

/// Builds the functions into a folder.
pub(crate) fn build(target: &Path) {
    let packages = FUNCTIONS.iter().flat_map(|function| ["-p", *function]);
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--release", "--target-dir"]).arg(target).args(packages).current_dir(root());
    assert!(cargo.status().unwrap().success(), "the functions build");
}

/// A function's program.
pub(crate) fn function(name: &str) -> PathBuf {
    let target = root().join("target");
    build(&target);
    target.join("release").join(name)
}
