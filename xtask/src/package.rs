//! `cargo xtask package`: each function as Lambda runs it.
//!
//! Owns: building for Amazon Linux 2023 on both architectures, and what is checked of each program before it is an artefact.
//! Must not know: how the artefacts are deployed, what a function does.
//! Source: docs/artefacts.md.

mod budget;
mod program_file;

use std::{env, ffi::OsStr, fs, path::Path};

use anyhow::{Context as _, bail};

use crate::{
    python, root,
    step::{self, program},
};
use program_file::{Architecture, ProgramFile};

const FUNCTIONS: &str = "functions";
const REQUIRED: &str = "xtask/cargo-lambda.requirements.txt";

/// The profile of Cargo.toml that is chosen for Lambda. Cargo names a folder of `target/` after it: `lambda` is taken.
const PROFILE: &str = "function";

/// Each architecture's folder under `target/`: what is deployed is in the one that cargo-lambda has by itself.
const FOLDERS: [(Architecture, &str); 2] = [(Architecture::Arm64, "lambda"), (Architecture::X86_64, "lambda-x86-64")];

/// A program and its zip.
struct Artefact {
    function: String,
    file: ProgramFile,
    zip_bytes: u64,
}

/// Builds, checks and prints every artefact; one that breaks a rule fails the command when all are printed.
///
/// `path` is the PATH, where cargo finds cargo-lambda once its folder stands first.
pub(crate) fn package(path: &OsStr) -> anyhow::Result<()> {
    let functions = functions()?;
    let tools = python::environment("cargo-lambda-venv", REQUIRED)?;
    let path = env::join_paths([tools.clone()].into_iter().chain(env::split_paths(path)))?;
    let mut artefacts = Vec::new();
    for (architecture, folder) in FOLDERS {
        let folder = root().join("target").join(folder);
        build(&functions, architecture, &folder, &path)?;
        for function in &functions {
            artefacts.push(zip(function, architecture, &folder, &tools)?);
        }
    }
    let broken = report(&artefacts);
    if broken.is_empty() { Ok(()) } else { bail!("{}", broken.join("; ")) }
}

/// The crates of `functions/`, by their names.
fn functions() -> anyhow::Result<Vec<String>> {
    let folder = root().join(FUNCTIONS);
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.join("Cargo.toml").is_file() {
            names.extend(path.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    Ok(names)
}

fn build(functions: &[String], architecture: Architecture, folder: &Path, path: &OsStr) -> anyhow::Result<()> {
    let target = architecture.target();
    step::run("target", program("rustup", &["target", "add", target]))?;
    let folder = folder.to_string_lossy();
    let mut command = program("cargo", &["lambda", "build", "--profile", PROFILE, "--locked", "--target", target]);
    // Its own optimizations end with `panic = "abort"`, and the runtime reports a panic: Cargo.toml says what there is.
    command.args(["--disable-optimizations", "--lambda-dir", &folder]);
    for function in functions {
        command.args(["--package", function, "--bin", function]);
    }
    command.env("PATH", path);
    step::run(&format!("functions for {architecture}"), command)
}

/// Puts a program into the zip that Lambda takes, beside its folder.
fn zip(function: &str, architecture: Architecture, folder: &Path, tools: &Path) -> anyhow::Result<Artefact> {
    let bootstrap = folder.join(function).join("bootstrap");
    let file = ProgramFile::read(&bootstrap, architecture)?;
    let zip = folder.join(format!("{function}.zip"));
    let (into, from) = (zip.to_string_lossy(), bootstrap.to_string_lossy());
    step::quietly("zip", program(tools.join("python"), &["-m", "zipfile", "-c", &into, &from]))?;
    let zip_bytes = fs::metadata(&zip).with_context(|| format!("cannot read {into}"))?.len();
    Ok(Artefact { function: function.to_owned(), file, zip_bytes })
}

/// Prints a table and answers what is wrong.
#[expect(clippy::print_stdout, reason = "the table is what the command is for")]
fn report(artefacts: &[Artefact]) -> Vec<String> {
    println!("{:<14} {:<7} {:>10} {:>10} {:>10}  glibc", "function", "arch", "bootstrap", "zip", "at most");
    let mut broken = Vec::new();
    for Artefact { function, file, zip_bytes } in artefacts {
        let budget = budget::of(function);
        let most = budget.map_or_else(|| "?".to_owned(), |bytes| bytes.to_string());
        let ProgramFile { architecture, bytes, glibc } = file;
        let architecture = architecture.to_string();
        println!("{function:<14} {architecture:<7} {bytes:>10} {zip_bytes:>10} {most:>10}  {glibc}");
        broken.extend(budget::check(function, *bytes).map(|broken| format!("{broken} ({architecture})")));
        broken.extend(file.check_glibc().map(|broken| format!("{function} ({architecture}): {broken}")));
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_has_a_budget() {
        let functions = functions().unwrap();
        assert!(functions.len() >= 5, "{functions:?}");
        let without: Vec<_> = functions.iter().filter(|function| budget::of(function).is_none()).collect();
        assert!(without.is_empty(), "xtask/src/package/budget.rs has no budget of {without:?}");
    }
}
