//! The repository as text: which files it has, what they say, and how a broken manner is reported.

use std::{fs, path::Path, process::Command};

/// A file and its text.
pub(super) struct Source {
    /// From the root, with `/`.
    pub(super) path: String,
    pub(super) text: String,
}

impl Source {
    pub(super) fn file_name(&self) -> &str {
        file_name(&self.path)
    }

    /// The lines that are no comment, each with its number.
    pub(super) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines().filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// Every line with its number; the first is 1.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// In the crate `tests` or in a crate's own `tests/`.
    pub(super) fn is_test(&self) -> bool {
        self.path.split('/').rev().skip(1).any(|folder| folder == "tests" || folder == "test")
    }

    pub(super) fn is_locked(&self) -> bool {
        ["Cargo.lock", "package-lock.json"].contains(&self.file_name())
    }
}

/// The part after the last `/`.
pub(super) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

/// The root of the workspace.
pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The path of every file that git tracks or would with the next `git add`, from the root.
pub(super) fn files() -> Vec<String> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let output = Command::new("git").args(arguments).current_dir(root()).output().expect("git is needed");
    assert!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).unwrap();
    let mut files: Vec<_> = names.split_terminator('\0').map(str::to_owned).collect();
    files.retain(|file| root().join(file).is_file());
    files.sort();
    files.dedup();
    assert!(!files.is_empty(), "git knows no file here");
    files
}

/// Every file that is text.
pub(super) fn sources() -> Vec<Source> {
    let read = |path: String| fs::read_to_string(root().join(&path)).ok().map(|text| Source { path, text });
    files().into_iter().filter_map(read).collect()
}

/// Every text file whose name ends so.
pub(super) fn sources_ending(end: &str) -> Vec<Source> {
    let sources: Vec<_> = sources().into_iter().filter(|source| source.path.ends_with(end)).collect();
    assert!(!sources.is_empty(), "no file ends with {end}");
    sources
}

/// One file.
pub(super) fn source(path: &str) -> Source {
    let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    Source { path: path.to_owned(), text }
}

/// Fails with every place where a manner is broken.
pub(super) fn assert_none(manner: &str, broken: &[String]) {
    assert!(broken.is_empty(), "{manner}\n  {}\n", broken.join("\n  "));
}
