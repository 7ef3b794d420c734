//! The steps of `infra/`.
//!
//! Owns: its tests, its template.
//! Must not know: what is in the template.
//! Source: infra/README.md.

use crate::{
    npm::{install, npm},
    step,
    tally::Tally,
};

const FOLDER: &str = "infra";

/// The types, and the tests of the template.
pub(crate) fn test() -> anyhow::Result<Tally> {
    install(FOLDER)?;
    step::run_tests("infra tests", npm(FOLDER, &["test"]))
}

/// Writes `template.json`, or only says whether it is stale.
pub(crate) fn template(check: bool) -> anyhow::Result<()> {
    install(FOLDER)?;
    let script = ["run", "template"];
    let check: &[&str] = if check { &["--", "--check"] } else { &[] };
    step::run("template", npm(FOLDER, &[&script, check].concat()))
}
