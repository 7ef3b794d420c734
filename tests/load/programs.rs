//! The programs as they are deployed.
//!
//! Owns: building them, and where they are.
//! Must not know: what is measured of them.
//! Source: the profile `function` of Cargo.toml, which `cargo xtask package` builds by too.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use tests::stack::{cargo, root};

/// The functions, by their packages.
pub(crate) const FUNCTIONS: [&str; 7] =
    ["authorizer", "connect", "disconnect", "subscribe", "event-handler", "fan-out", "fauna-feed"];

/// The profile, and its folder of the target folder.
const PROFILE: &str = "function";

/// Builds the functions into a target folder.
pub(crate) fn build(target: &Path) {
    let packages = FUNCTIONS.iter().flat_map(|function| ["-p", *function]);
    let mut cargo = cargo();
    cargo.args(["build", "--quiet", "--profile", PROFILE, "--target-dir"]).arg(target).args(packages);
    assert!(cargo.status().unwrap().success(), "the functions build");
}

/// A function's program.
pub(crate) fn function(name: &str) -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let target = BUILT.get_or_init(|| {
        let target = root().join("target");
        build(&target);
        target
    });
    target.join(PROFILE).join(name)
}
