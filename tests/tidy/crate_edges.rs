//! Who may import whom: the table of ARCHITECTURE.md against the manifests. A function's dependencies are its permissions.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use cargo_metadata::{Dependency, MetadataCommand, Package};

use super::repository::{assert_none, file_name, root, source};

/// A crate's folder, and the folders' last names of those of ours that it imports.
type Edges = BTreeMap<String, BTreeSet<String>>;

const TABLE: &str = "ARCHITECTURE.md";
const COLUMNS: [&str; 2] = ["room", "imports"];
const FUNCTIONS: &str = "functions/";

/// It imports what its tests are about.
const FREE: &str = "tests";

fn folder(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().to_str().unwrap().replace('\\', "/")
}

/// What the manifests say, of tests and build scripts too.
fn manifests() -> Edges {
    let metadata = MetadataCommand::new().current_dir(root()).no_deps().exec().expect("cargo metadata");
    let import = |dependency: &Dependency| Some(file_name(dependency.path.as_ref()?.as_str()).to_owned());
    let edges = |package: &Package| {
        let imports = package.dependencies.iter().filter_map(import).collect();
        (folder(package.manifest_path.parent().unwrap().as_std_path()), imports)
    };
    metadata.packages.iter().map(edges).filter(|(folder, _)| folder != FREE).collect()
}

/// The rows of the page's table of rooms, as far as they are `crates`; names stand in backticks.
fn table(page: &str, crates: &BTreeSet<&str>) -> Edges {
    let cells = |line: &str| line.trim().trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    let mut lines = page.lines().map(cells);
    lines
        .by_ref()
        .find(|header: &Vec<String>| header.iter().zip(COLUMNS).all(|(cell, name)| cell == name) && header.len() > 1);
    let mut edges = Edges::new();
    for row in lines.skip(1).take_while(|row| row.len() > 1) {
        let mut imports: BTreeSet<String> = quoted(&row[1]).map(str::to_owned).collect();
        if row[1].contains("the functions") {
            imports.extend(crates.iter().filter_map(|folder| folder.strip_prefix(FUNCTIONS)).map(str::to_owned));
        }
        let rooms = quoted(&row[0]).filter(|room| crates.contains(room));
        edges.extend(rooms.map(|room| (room.to_owned(), imports.clone())));
    }
    edges
}

fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

fn text((folder, imports): (&String, &BTreeSet<String>)) -> String {
    let imports = imports.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    format!("{folder} → {}", if imports.is_empty() { "nothing of ours" } else { &imports })
}

#[test]
fn a_crate_imports_what_the_architecture_says() {
    let manifests = manifests();
    let table = table(&source(TABLE).text, &manifests.keys().map(String::as_str).collect());
    let lines = |edges: &Edges| edges.iter().map(text).collect::<BTreeSet<_>>();
    let (said, done) = (lines(&table), lines(&manifests));
    let said_only = said.difference(&done).map(|line| format!("{TABLE} says: {line}"));
    let done_only = done.difference(&said).map(|line| format!("the manifest:       {line}"));
    let broken: Vec<_> = said_only.chain(done_only).collect();
    assert_none("the table of the rooms and the manifests differ", &broken);
}

#[test]
fn the_table_is_read_by_its_first_columns() {
    let page = "| a | b |\n\n| room | imports | is |\n|---|---|---|\n| `a`, `functions/f` | nothing | `x` |\n\
                | `b` | the functions, `a` | y |\n| `infra` | | z |\n\n| `c` | `a` |\n";
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
    let wanted = [("a", set(&[])), ("b", set(&["a", "f"])), ("functions/f", set(&[]))];
    let wanted: Edges = wanted.into_iter().map(|(room, imports)| (room.to_owned(), imports)).collect();
    assert_eq!(table(page, &BTreeSet::from(["a", "b", "c", "functions/f"])), wanted);
}
