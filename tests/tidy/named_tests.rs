//! The tests that pages name.

use std::collections::BTreeSet;

use super::repository::{assert_none, source, sources_ending};

/// Their tables have a last column `test`; and how many tests they name at least.
const PAGES: [(&str, usize); 2] = [("docs/local.md", 100), ("docs/security.md", 20)];

/// The names of all tests: of Rust, Python and JavaScript.
fn tests() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for ending in [".rs", ".py", ".test.js"] {
        for source in sources_ending(ending) {
            for (_, line) in source.lines() {
                let line = line.trim_start();
                let name = ["fn ", "async fn ", "def "].iter().find_map(|begin| line.strip_prefix(begin));
                names.extend(name.and_then(|rest| rest.split('(').next()).map(str::to_owned));
                let title = line.strip_prefix("test('").and_then(|rest| rest.split('\'').next());
                names.extend(title.map(str::to_owned));
            }
        }
    }
    names
}

#[test]
fn a_page_names_tests_that_exist() {
    let tests = tests();
    for (page, least) in PAGES {
        let (named, broken) = look(page, &tests);
        assert_none("a behaviour is held by the test that the page names", &broken);
        assert!(named > least, "{page} names {named} tests");
    }
}

/// How many tests a page names, and those that there are not.
fn look(page: &str, tests: &BTreeSet<String>) -> (usize, Vec<String>) {
    let source = source(page);
    let (mut has_tests, mut named, mut broken) = (false, 0, Vec::new());
    for (number, line) in source.lines() {
        let cells: Vec<&str> = line.trim().trim_matches('|').split(" | ").map(str::trim).collect();
        let last = cells.last().copied().unwrap_or_default();
        if !line.starts_with('|') {
            has_tests = false;
        } else if last == "test" {
            has_tests = true;
        } else if has_tests {
            for name in last.split('`').skip(1).step_by(2) {
                named += 1;
                if !tests.contains(name) {
                    broken.push(format!("{page}:{number}: {name}"));
                }
            }
        }
    }
    (named, broken)
}
