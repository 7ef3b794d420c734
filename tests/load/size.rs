//! How large the programs are, and how much of others is in them.
//!
//! Owns: the sizes, the counts of crates, and why the heavy ones are there.
//! Must not know: how fast they are.
//! Source: the profiles `function` and `release`; `cargo tree`.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use tests::stack::cargo;

use crate::{
    programs::{self, FUNCTIONS},
    report::{Cell, Table},
};

/// Heavy crates, and what they are there for.
const HEAVY: [(&str, &str); 7] = [
    ("lambda_runtime", "the Runtime API"),
    ("aws-sdk-dynamodb", "the tables"),
    ("aws-sdk-sqs", "the failure queue"),
    ("aws-sdk-apigatewaymanagement", "`@connections`"),
    ("rustls", "TLS"),
    ("reqwest", "an issuer's keys, or FaunaDB"),
    ("dynoxide-rs", "the embedded DynamoDB"),
];

const METHOD: &str = "Each program as it is built on this machine, stripped: the functions as they are deployed (the profile `function`), `foldcast` as `cargo build --release` \
makes it. Crates are those that are linked in, without build scripts' and tests' (`cargo tree -e normal`).";

/// Looks at every program.
pub(crate) fn run() -> Table {
    let functions = FUNCTIONS.iter().map(|&name| (name, programs::function(name)));
    let programs = functions.chain([("foldcast-cli", tests::stack::binary().to_owned())]);
    let row = |(package, program): (&str, PathBuf)| {
        let crates = crates(package);
        let heavy = HEAVY.iter().filter(|(name, _)| crates.contains(*name));
        let heavy: Vec<String> = heavy.map(|(name, why)| format!("`{name}` ({why})")).collect();
        vec![
            Cell::from(format!("`{}`", program.file_name().unwrap().display())),
            Cell::Number(fs::metadata(&program).unwrap().len() as f64 / 1e6, 2),
            Cell::Number(crates.len() as f64, 0),
            Cell::from(heavy.join(", ")),
        ]
    };
    let columns = vec!["program", "MB", "crates", "heavy ones"];
    Table { title: "Size", method: METHOD.to_owned(), columns, rows: programs.map(row).collect() }
}

/// How long a first build takes.
pub(crate) fn clean_build() -> Table {
    let seconds = |what: &str, build: &dyn Fn(&Path)| {
        let folder = tempfile::TempDir::new().unwrap();
        let begun = Instant::now();
        build(folder.path());
        vec![what.into(), Cell::Number(begun.elapsed().as_secs_f64(), 0)]
    };
    let foldcast = |target: &Path| {
        let mut cargo = cargo();
        cargo.args(["build", "--quiet", "--bin", "foldcast", "--target-dir"]).arg(target);
        assert!(cargo.status().unwrap().success(), "foldcast builds");
    };
    let rows = vec![
        seconds("`foldcast`, as the first `cargo run` builds it", &foldcast),
        seconds("all functions, as they are deployed", &programs::build),
    ];
    let method = "Into an empty folder, by cargo alone; what it downloads is there.".to_owned();
    Table { title: "Clean build", method, columns: vec!["what", "s"], rows }
}

/// The crates that are linked into a program, ours among them.
fn crates(package: &str) -> BTreeSet<String> {
    let args = ["tree", "--quiet", "-p", package, "-e", "normal", "--prefix", "none", "--format", "{p}"];
    let tree = cargo().args(args).output().unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    tree.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}
