//! The steps of `infra/`.
//!
//! Owns: its tests, its template, and what of cfn-lint's findings is none.
//! Must not know: what is in the template.
//! Source: infra/README.md.

use crate::{
    npm::{install, npm},
    python,
    step::{self, program},
    tally::Tally,
};

const FOLDER: &str = "infra";

const TEMPLATE: &str = "infra/template.json";

/// W3005 is about a dependency that is said twice, as the CDK does.
const NO_FINDING: &str = "W3005";

/// CloudFormation's rules, the types, and the tests of the template.
pub(crate) fn test() -> anyhow::Result<Tally> {
    lint()?;
    install(FOLDER)?;
    step::run_tests("infra tests", npm(FOLDER, &["test"]))
}

/// What CloudFormation would refuse, as far as it can be known without it.
fn lint() -> anyhow::Result<()> {
    let lint = python::environment("lint-venv", "infra/lint/requirements.txt")?.join("cfn-lint");
    step::run("cfn-lint", program(lint, &["--ignore-checks", NO_FINDING, "--", TEMPLATE]))
}

/// Writes `template.json`, or only says whether it is stale.
pub(crate) fn template(check: bool) -> anyhow::Result<()> {
    install(FOLDER)?;
    let script = ["run", "template"];
    let check: &[&str] = if check { &["--", "--check"] } else { &[] };
    step::run("template", npm(FOLDER, &[&script, check].concat()))
}
