//! The lines that the functions log, and the page that lists them.

use std::collections::{BTreeMap, BTreeSet};

use super::repository::{Source, assert_none, source, sources_ending};

const PAGE: &str = "docs/logging.md";

/// A line's message, and its level and fields.
type Lines = BTreeMap<String, BTreeSet<(String, BTreeSet<String>)>>;

/// The calls of `tracing` in a source, each as its level and its arguments.
fn calls(source: &Source) -> Vec<(String, String)> {
    let mut calls = Vec::new();
    for part in source.text.split("tracing::").skip(1) {
        let Some((level, rest)) = part.split_once("!(") else { continue };
        if !["error", "warn", "info", "debug", "trace"].contains(&level) {
            continue;
        }
        let mut depth = 1;
        let end = rest.char_indices().find(|(_, character)| {
            depth += match character {
                '(' => 1,
                ')' => -1,
                _ => 0,
            };
            depth == 0
        });
        calls.push((level.to_owned(), rest[..end.unwrap().0].to_owned()));
    }
    calls
}

/// The message and the names of the fields.
fn read(arguments: &str) -> (String, BTreeSet<String>) {
    let (fields, message) = arguments.trim().trim_end_matches([',', '"']).rsplit_once('"').unwrap();
    let mut depth = 0;
    let separated = fields.split(|character: char| {
        depth += match character {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        character == ',' && depth == 0
    });
    let name = |field: &str| field.split('=').next().unwrap().trim().trim_start_matches(['%', '?']).to_owned();
    (message.to_owned(), separated.map(name).filter(|name| !name.is_empty()).collect())
}

fn logged() -> Lines {
    let mut lines = Lines::new();
    let ours = |source: &Source| {
        ["functions/", "shared/"].iter().any(|folder| source.path.starts_with(folder)) && !source.is_test()
    };
    for (level, arguments) in sources_ending(".rs").iter().filter(|source| ours(source)).flat_map(calls) {
        let (message, fields) = read(&arguments);
        lines.entry(message).or_default().insert((level, fields));
    }
    lines
}

/// The rows of the page's table of lines.
fn listed() -> Lines {
    let mut lines = Lines::new();
    let page = source(PAGE);
    let rows = page.text.lines().skip_while(|line| !line.starts_with("| line |")).skip(2);
    for row in rows.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>();
        let message = quoted(cells[0]).pop_first().unwrap();
        lines.entry(message).or_default().insert((cells[1].to_owned(), quoted(cells[2])));
    }
    lines
}

#[test]
fn every_line_that_is_logged_is_listed_with_its_level_and_its_fields() {
    let (logged, listed) = (logged(), listed());
    let all = logged.keys().chain(listed.keys()).collect::<BTreeSet<_>>();
    let differs = all.into_iter().filter(|message| logged.get(*message) != listed.get(*message));
    let broken: Vec<_> = differs
        .map(|message| format!("{message}: logged {:?}, listed {:?}", logged.get(message), listed.get(message)))
        .collect();
    assert_none("docs/logging.md lists what the functions log", &broken);
    assert!(logged.len() > 15, "{} lines", logged.len());
}

#[test]
fn a_call_is_read_whole() {
    let text = "tracing::warn!(\n  order_id = f(a, b),\n  %error,\n  ?causes,\n  lag_ms,\n  \"not (served\"\n)";
    let source = Source { path: "x".to_owned(), text: text.replace("not (served", "not served") };
    let (level, arguments) = calls(&source).remove(0);
    let fields = ["causes", "error", "lag_ms", "order_id"].map(str::to_owned).into();
    assert_eq!((level.as_str(), read(&arguments)), ("warn", ("not served".to_owned(), fields)));
}
