//! What the pages and the workflow tell people and machines to run is there.

use super::repository::{assert_none, source, sources_ending};

const XTASK: &str = "xtask/src/main.rs";
const WORKFLOW: &str = ".github/workflows/test.yml";
const CI: &str = ".ci/run";
const TEST: &str = "cargo xtask test";

/// The commands of `cargo xtask`, by the variants of its enum.
fn xtask_commands() -> Vec<String> {
    let text = source(XTASK).text;
    let variants = text.split_once("enum Command {").unwrap().1.split("\n}").next().unwrap();
    let variants = variants
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(char::is_uppercase));
    variants.map(|line| line.trim_end_matches([' ', ',', '{']).to_lowercase()).collect()
}

#[test]
fn a_page_names_xtask_commands_that_exist() {
    let commands = xtask_commands();
    assert!(commands.contains(&"test".to_owned()), "{commands:?}");
    let mut broken = Vec::new();
    for page in sources_ending(".md") {
        for (number, line) in page.lines() {
            let named = line.split("cargo xtask ").skip(1);
            let named = named.map(|rest| rest.split(|c: char| !c.is_ascii_lowercase()).next().unwrap());
            let unknown = named.filter(|name| !name.is_empty() && !commands.iter().any(|command| command == name));
            broken.extend(unknown.map(|name| format!("{}:{number}: cargo xtask {name}", page.path)));
        }
    }
    assert_none("a page names a command that xtask/src/main.rs has", &broken);
}

#[test]
fn the_workflow_runs_the_documented_command() {
    let workflow = source(WORKFLOW).text;
    let runs: Vec<_> = workflow.lines().filter_map(|line| line.trim().strip_prefix("- run: ")).collect();
    assert_eq!(runs.last(), Some(&CI), "{WORKFLOW} ends with {CI}");
    let script = source(CI).text;
    assert_eq!(script.lines().last(), Some(TEST), "{CI} ends with {TEST}");
    for page in ["README.md", "CONTRIBUTING.md"] {
        assert!(source(page).text.contains(TEST), "{page} names {TEST}");
    }
}
