//! Python environments.
//!
//! Owns: an environment under `target/` that holds the required packages and no others, made anew when they change.
//! Must not know: what the packages are for.
//! Source: the modules venv and pip.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use crate::{
    root,
    step::{self, program},
};

/// The folder with the programs of the environment of this name, which has what the file below the root requires.
pub(crate) fn environment(name: &str, requirements: &str) -> anyhow::Result<PathBuf> {
    let folder = root().join("target").join(name);
    let programs = folder.join("bin");
    let python = programs.join("python");
    let installed = folder.join("requirements.txt");
    let required = root().join(requirements);
    let wanted = fs::read(&required).with_context(|| format!("cannot read {}", required.display()))?;
    if fs::read(&installed).is_ok_and(|installed| installed == wanted) && works(&python) {
        return Ok(programs);
    }
    let path = folder.to_string_lossy();
    if step::run("Python environment", program("python3", &["-m", "venv", "--clear", &path])).is_err() {
        bail!("`python3 -m venv` fails: install Python's venv (Debian: apt-get install python3-venv)");
    }
    let required = required.to_string_lossy();
    let pip = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check", "-r", &required];
    step::run("Python packages", program(&python, &pip))?;
    fs::write(&installed, wanted).with_context(|| format!("cannot write {}", installed.display()))?;
    Ok(programs)
}

/// An environment breaks when the Python that made it goes.
fn works(python: &Path) -> bool {
    program(python, &["--version"]).output().is_ok_and(|output| output.status.success())
}
