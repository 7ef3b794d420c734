//! What each crate's manifest leaves to the root.

use toml::{Table, Value};

use super::repository::{Source, assert_none, file_name, files, source, sources_ending};

const INHERITED: [&str; 5] = ["version", "edition", "rust-version", "license", "publish"];
const DEPENDENCY_TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// The crates of the workspace; a fuzz crate is a workspace of its own.
fn members() -> Vec<(Source, Table)> {
    let manifests = sources_ending("/Cargo.toml").into_iter();
    manifests
        .map(|source| (source.text.parse().unwrap_or_else(|error| panic!("{}: {error}", source.path)), source))
        .map(|(table, source): (Table, Source)| (source, table))
        .filter(|(_, table)| !table.contains_key("workspace"))
        .collect()
}

fn is_inherited(value: Option<&Value>) -> bool {
    value.and_then(|value| value.get("workspace")).and_then(Value::as_bool) == Some(true)
}

/// The dependency tables of a manifest, those of a `target` too.
fn dependencies(manifest: &Table) -> Vec<(&String, &Value)> {
    let targets = manifest.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let tables = std::iter::once(manifest).chain(targets.filter_map(Value::as_table));
    let tables = tables.flat_map(|table| DEPENDENCY_TABLES.iter().filter_map(|name| table.get(*name)?.as_table()));
    tables.flatten().collect()
}

#[test]
fn versions_stand_in_the_root_alone() {
    let mut broken = Vec::new();
    for (source, manifest) in members() {
        let package = manifest.get("package");
        let own = INHERITED.into_iter().filter(|key| !is_inherited(package.and_then(|package| package.get(key))));
        broken.extend(own.map(|key| format!("{}: `{key}.workspace = true` is missing", source.path)));
        let own = dependencies(&manifest).into_iter().filter(|(_, value)| {
            !is_inherited(Some(value)) || ["version", "path", "git"].iter().any(|key| value.get(key).is_some())
        });
        broken.extend(own.map(|(name, _)| format!("{}: `{name}.workspace = true` is missing", source.path)));
    }
    assert_none("a version that stands once is changed once", &broken);
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    let crates = members().into_iter().filter(|(_, manifest)| !is_inherited(manifest.get("lints")));
    let broken: Vec<_> = crates.map(|(source, _)| source.path).collect();
    assert_none("`[lints] workspace = true` is missing", &broken);
}

#[test]
fn no_crate_has_features() {
    let crates = members().into_iter().filter(|(_, manifest)| manifest.contains_key("features"));
    let broken: Vec<_> = crates.map(|(source, _)| source.path).collect();
    assert_none("what is compiled is what is tested: no Cargo features of our own", &broken);
}

#[test]
fn a_clippy_configuration_repeats_the_one_of_the_root() {
    let root: Table = source("clippy.toml").text.parse().unwrap();
    let is_configuration = |path: &String| ["clippy.toml", ".clippy.toml"].contains(&file_name(path));
    let mut broken = Vec::new();
    for path in files().into_iter().filter(is_configuration) {
        let own: Table = source(&path).text.parse().unwrap();
        let lost = root.iter().filter(|(key, value)| !own.get(*key).is_some_and(|own| repeats(own, value)));
        broken.extend(lost.map(|(key, _)| format!("{path}: the value of the root for `{key}` is missing")));
    }
    assert_none("a crate's clippy.toml replaces the root's, it does not add to it", &broken);
}

/// Equal; a list may add to the root's.
fn repeats(own: &Value, root: &Value) -> bool {
    match (own.as_array(), root.as_array()) {
        (Some(own), Some(root)) => root.iter().all(|entry| own.contains(entry)),
        _ => own == root,
    }
}

#[test]
fn infra_is_never_published() {
    let manifest: serde_json::Value = serde_json::from_str(&source("infra/package.json").text).unwrap();
    assert_eq!(manifest["private"], true);
}

#[test]
fn a_lock_file_names_no_host() {
    let locks =
        sources_ending("package-lock.json").into_iter().filter(|lock| lock.text.contains("\"resolved\": \"http"));
    let broken: Vec<_> = locks.map(|lock| lock.path).collect();
    assert_none("npm's lock file has integrity and no addresses (npm's `omit-lockfile-registry-resolved`)", &broken);
}

#[test]
fn what_is_measured_against_has_exact_versions() {
    let manifest: serde_json::Value = serde_json::from_str(&source("tests/load/peers/package.json").text).unwrap();
    let versions = manifest["dependencies"].as_object().unwrap().iter();
    let is_exact = |version: &str| version.split('.').filter(|number| number.parse::<u64>().is_ok()).count() == 3;
    // `npm:NAME@VERSION` is another package by this name.
    let version = |required: &serde_json::Value| {
        required.as_str().and_then(|required| required.rsplit('@').next()).map(str::to_owned)
    };
    let loose = versions.filter(|(_, required)| !version(required).is_some_and(|version| is_exact(&version)));
    let broken: Vec<_> = loose.map(|(name, version)| format!("{name} {version}")).collect();
    assert_none("a number is of one version: none of tests/load/peers has a range", &broken);
}
