//! A Python environment with the packages of a list and no others.
//!
//! Owns: making it under `target/`, and making it anew when its list changes or its Python goes.
//! Must not know: what the packages are for.
//! Source: the module `venv`; pip checks hashes where the list has them.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, bail};

use crate::{
    root,
    step::{self, program},
};

/// The folder of the environment's programs.
pub(crate) fn environment(name: &str, required: &str) -> anyhow::Result<PathBuf> {
    let folder = root().join("target").join(name);
    let programs = folder.join("bin");
    let (python, installed) = (programs.join("python"), folder.join("requirements.txt"));
    let required = root().join(required);
    let wanted = fs::read(&required).with_context(|| format!("cannot read {}", required.display()))?;
    // An environment breaks when the Python that made it goes.
    let works = || program(&python, &["--version"]).output().is_ok_and(|output| output.status.success());
    if fs::read(&installed).is_ok_and(|installed| installed == wanted) && works() {
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
