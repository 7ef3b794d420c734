//! What stands in a source file, and what must not.

use super::repository::{Source, assert_none, files, sources, sources_ending};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_MAIN_LINES_MAX: usize = 40;

/// Spelled in two halves, so that this file keeps the manner too.
const UNFINISHED_WORDS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];
const UNFINISHED_MACROS: [&str; 2] = [concat!("to", "do!"), concat!("unimpl", "emented!")];
const MACHINE_PATHS: [&str; 4] =
    [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];

/// Names that say nothing (style, "Words").
const EMPTY_NAMES: [&str; 7] = ["common", "data", "helper", "helpers", "info", "manager", "utils"];

/// The places in `sources` where a line is `bad`.
fn places<'a>(sources: impl IntoIterator<Item = &'a Source>, bad: impl Fn(&str) -> bool) -> Vec<String> {
    let lines = |source: &'a Source| source.lines().map(|(number, line)| (source.path.as_str(), number, line));
    let bad_lines = sources.into_iter().flat_map(lines).filter(|(_, _, line)| bad(line));
    bad_lines.map(|(path, number, line)| format!("{path}:{number}: {}", line.trim())).collect()
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|text| text.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|text| text.chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

#[test]
fn a_module_begins_with_a_sentence_about_itself() {
    let modules =
        sources_ending(".rs").into_iter().filter(|source| source.file_name() != "main.rs" && !source.is_test());
    let bare = modules.filter(|source| !source.text.starts_with("//!") && !source.text.starts_with("#![doc"));
    let broken: Vec<_> = bare.map(|source| source.path).collect();
    assert_none("a module's header says in one to four sentences what it does", &broken);
}

#[test]
fn a_file_holds_at_most_500_lines() {
    let is_generated = |source: &Source| {
        let ends = [".snap", ".d.ts", "infra/template.json"];
        source.is_locked() || ends.iter().any(|end| source.path.ends_with(end))
    };
    let long = sources().into_iter().filter(|source| !is_generated(source));
    let long =
        long.map(|source| (source.text.lines().count(), source.path)).filter(|(lines, _)| *lines > FILE_LINES_MAX);
    let broken: Vec<_> = long.map(|(lines, path)| format!("{path}: {lines} lines")).collect();
    assert_none("a file over 500 lines holds more than one idea", &broken);
}

#[test]
fn the_main_of_a_function_only_wires() {
    let mains = sources_ending("/src/main.rs").into_iter().filter(|source| source.path.starts_with("functions/"));
    let long = mains.map(|source| (source.text.lines().count(), source.path));
    let broken: Vec<_> = long
        .filter(|(lines, _)| *lines > FUNCTION_MAIN_LINES_MAX)
        .map(|(lines, path)| format!("{path}: {lines} lines"))
        .collect();
    assert_none("a function's main.rs is at most 40 lines", &broken);
}

#[test]
fn only_the_edge_reads_the_environment() {
    let is_edge =
        |source: &Source| source.is_test() || source.file_name() == "main.rs" || source.path == "cli/src/deployment.rs";
    let reads = |line: &str| line.contains("env::var") || line.contains("env::{");
    let mut broken = Vec::new();
    for source in sources_ending(".rs").iter().filter(|source| !is_edge(source)) {
        let lines = source.code().filter(|(_, line)| reads(line));
        broken.extend(lines.map(|(number, line)| format!("{}:{number}: {}", source.path, line.trim())));
    }
    assert_none("main.rs reads the environment and hands it on as `impl Fn(&str) -> Option<String>`", &broken);

    let infra = sources_ending(".ts");
    let inner = infra.iter().filter(|source| source.path.starts_with("infra/lib/"));
    let broken = places(inner, |line| line.contains("process.env"));
    assert_none("infra/bin/app.ts alone reads the environment", &broken);
}

#[test]
fn a_function_has_one_thread() {
    let is_main = |source: &&Source| source.path.starts_with("functions/") && source.path.ends_with("/src/main.rs");
    let mains = sources_ending(".rs");
    let mains: Vec<&Source> = mains.iter().filter(is_main).collect();
    assert!(mains.len() >= 7, "every function has its main.rs");
    let threads = mains.iter().filter(|main| !main.text.contains(r#"#[tokio::main(flavor = "current_thread")]"#));
    let broken: Vec<_> = threads.map(|main| main.path.clone()).collect();
    assert_none("Lambda gives a function one processor or less: decision 11", &broken);
}

#[test]
fn no_test_is_ignored() {
    let broken = places(&sources_ending(".rs"), |line| line.contains(concat!("#[ig", "nore")));
    assert_none("a test that is not run is no test", &broken);
}

#[test]
fn nothing_is_left_for_later() {
    let sources = sources();
    let read = sources.iter().filter(|source| !source.is_locked());
    let broken = places(read, |line| {
        UNFINISHED_MACROS.iter().any(|name| line.contains(name))
            || UNFINISHED_WORDS.iter().any(|word| has_word(line, word))
    });
    assert_none("what is not finished is an issue, not a word in a file", &broken);
}

#[test]
fn an_exception_from_a_lint_is_expected_and_not_allowed() {
    let broken = places(&sources_ending(".rs"), |line| {
        ["#[al", "#![al"].iter().any(|start| line.trim_start().starts_with(&format!("{start}low(")))
    });
    assert_none("`#[expect(…, reason = \"…\")]` ends with its cause", &broken);
}

#[test]
fn no_path_of_a_machine_is_in_a_file() {
    let broken = places(&sources(), |line| MACHINE_PATHS.iter().any(|path| line.contains(path)));
    assert_none("a clone works wherever it lies", &broken);
}

#[test]
fn a_name_says_something() {
    let stem = |part: &str| part.split('.').next().is_some_and(|stem| EMPTY_NAMES.contains(&stem));
    let broken: Vec<_> = files().into_iter().filter(|path| path.split('/').any(stem)).collect();
    assert_none("no utils, common, helpers, manager, data or info", &broken);
}

#[test]
fn a_word_is_whole() {
    assert!(has_word("say it (NOW): go", "NOW"));
    assert!(!has_word("mktemp NOWNOWNOW KNOW NOW_", "NOW"));
}
