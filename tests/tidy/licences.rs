//! Dependencies are what `deny.toml` lets in. cargo-deny reads the same file; this needs nothing installed.

use std::collections::BTreeSet;

use cargo_metadata::{
    Metadata, MetadataCommand, Package,
    semver::{Version, VersionReq},
};
use toml::{Table, Value};

use super::{
    repository::{assert_none, root, source},
    spdx,
};

fn metadata() -> Metadata {
    MetadataCommand::new().current_dir(root()).exec().expect("cargo metadata")
}

fn deny(section: &str, key: &str) -> Vec<Value> {
    let config: Table = source("deny.toml").text.parse().unwrap();
    let list = config.get(section).and_then(|table| table.get(key)).and_then(Value::as_array);
    list.unwrap_or_else(|| panic!("deny.toml has no list `{key}` in [{section}]")).clone()
}

/// A crate that cargo-deny would refuse: `name`, `name@1.2.3` or `name:<1`.
struct Ban {
    name: String,
    versions: VersionReq,
}

impl Ban {
    fn new(spec: &str) -> Self {
        let (name, versions) = match spec.split_once([':', '@']) {
            None => (spec, "*".to_owned()),
            Some((name, version)) if spec.contains('@') => (name, format!("={version}")),
            Some((name, versions)) => (name, versions.to_owned()),
        };
        Self { name: name.to_owned(), versions: VersionReq::parse(&versions).unwrap() }
    }

    fn is(&self, name: &str, version: &Version) -> bool {
        self.name == name && self.versions.matches(version)
    }
}

#[test]
fn every_dependency_has_a_licence_that_is_allowed() {
    let allowed = deny("licenses", "allow");
    let is_allowed = |name: &str| allowed.iter().any(|licence| licence.as_str() == Some(name));
    let metadata = metadata();
    let mut broken = Vec::new();
    for package in &metadata.packages {
        let verdict = match package.license.as_deref() {
            None => Err("no licence expression".to_owned()),
            Some(expression) => spdx::is_satisfied(expression, &is_allowed),
        };
        let licence = package.license.as_deref().unwrap_or_default();
        match verdict {
            Ok(true) => {}
            Ok(false) => broken.push(format!("{} {}: {licence}", package.name, package.version)),
            Err(error) => broken.push(format!("{} {}: {error}", package.name, package.version)),
        }
    }
    assert_none("a licence outside `licenses.allow` of deny.toml", &broken);
}

#[test]
fn every_dependency_comes_from_one_registry() {
    let metadata = metadata();
    let foreign = metadata.packages.iter().filter(|package| !metadata.workspace_members.contains(&package.id));
    let sources: BTreeSet<_> =
        foreign.map(|package| package.source.as_ref().map(|source| source.repr.as_str())).collect();
    let is_registry = sources.iter().all(|source| source.is_some_and(|source| source.starts_with("registry+")));
    assert!(is_registry && sources.len() == 1, "dependencies come from crates.io alone: {sources:?}");
}

#[test]
fn no_dependency_is_banned() {
    let spec = |ban: &Value| ban.as_str().or_else(|| ban.get("crate")?.as_str()).map(Ban::new);
    let bans: Vec<_> = deny("bans", "deny").iter().map(|ban| spec(ban).expect("a ban names a crate")).collect();
    assert!(!bans.is_empty());
    let metadata = metadata();
    let is_banned = |package: &&Package| bans.iter().any(|ban| ban.is(&package.name, &package.version));
    let broken = metadata.packages.iter().filter(is_banned);
    let broken: Vec<_> = broken.map(|package| format!("{} {}", package.name, package.version)).collect();
    assert_none("deny.toml says why these are banned; `cargo tree --invert NAME` says who brings them", &broken);
}

#[test]
fn a_ban_is_read_as_cargo_deny_reads_it() {
    let version = |text| Version::parse(text).unwrap();
    assert!(Ban::new("a").is("a", &version("3.2.1")) && !Ban::new("a").is("ab", &version("3.2.1")));
    assert!(Ban::new("a:<1").is("a", &version("0.14.2")) && !Ban::new("a:<1").is("a", &version("1.0.0")));
    assert!(Ban::new("a@1.2.3").is("a", &version("1.2.3")) && !Ban::new("a@1.2.3").is("a", &version("1.2.4")));
}
