//! The step of `client/`: its types, its unit tests, and a page in Chromium.
//!
//! Owns: Chromium, which is installed where it is missing.
//! Must not know: what the tests ask.
//! Source: client/package.json.

use std::path::Path;

use anyhow::ensure;

use crate::{
    npm::{install, npm},
    step::{self, program},
    tally::Tally,
};

const FOLDER: &str = "client";
const CHROMIUM: &str = "/usr/bin/chromium";

/// Runs the tests with this binary as the local stack.
pub(crate) fn test(foldcast: &Path) -> anyhow::Result<Tally> {
    install_chromium()?;
    install(FOLDER)?;
    let mut command = npm(FOLDER, &["test"]);
    command.env("FOLDCAST_BINARY", foldcast);
    step::run_tests("client tests", command)
}

/// Debian's Chromium, unless it is there.
fn install_chromium() -> anyhow::Result<()> {
    let is_there = || Path::new(CHROMIUM).exists();
    if is_there() {
        return Ok(());
    }
    // A fresh machine has no lists of packages. Where there is no apt-get, the end below says what to do.
    let chromium = ["install", "-y", "-qq", "--no-install-recommends", "chromium"];
    step::run("package lists", program("apt-get", &["update", "-qq"]))
        .and_then(|()| step::run("Chromium", program("apt-get", &chromium)))
        .ok();
    ensure!(
        is_there(),
        "install Chromium as {CHROMIUM}; `npm test` in client/ takes another one from the variable CHROMIUM"
    );
    Ok(())
}
