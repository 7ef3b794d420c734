//! The file by which an interrupted rebuild goes on where it was.
//!
//! Owns: that an order is in the file only after it was rebuilt, and that a torn line counts for nothing.
//! Must not know: how an order is rebuilt. Rebuilding an order twice is harmless, leaving one out is not.
//! Source: the first line names the deployment, each further one is an order's id as a JSON string.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write},
    path::PathBuf,
};

use anyhow::{Context as _, ensure};
use domain::OrderId;

/// The orders that are done.
pub(super) struct Resume {
    path: PathBuf,
    file: File,
    done: BTreeSet<String>,
}

impl Resume {
    /// Opens the file of a rebuild of this deployment, or begins it.
    pub(super) fn open(path: PathBuf, deployment: &str) -> anyhow::Result<Self> {
        let named = || format!("the file {} of --resume", path.display());
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", named())),
        };
        // What follows the last end of a line was being written when the process ended.
        let whole = text.get(..text.rfind('\n').map_or(0, |end| end + 1)).unwrap_or_default();
        let lines = whole.lines().map(serde_json::from_str::<String>).collect::<Result<Vec<_>, _>>();
        let mut lines = lines.ok().with_context(|| format!("{} was not written by foldcast", named()))?.into_iter();
        let first = lines.next();
        let is_begun = first.is_some();
        ensure!(
            first.as_deref().is_none_or(|first| first == deployment),
            "{} is of a rebuild of {}, and this is {deployment}",
            named(),
            first.unwrap_or_default()
        );
        // What was written here must be foldcast's own, or nothing: another's file stays as it is.
        ensure!(is_begun || text.len() <= line(deployment).len(), "{} was not written by foldcast", named());
        let open = || -> io::Result<File> {
            let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
            file.set_len(whole.len().try_into().unwrap_or(u64::MAX))?;
            if !is_begun {
                file.write_all(line(deployment).as_bytes())?;
            }
            Ok(file)
        };
        let file = open().with_context(|| format!("cannot write {}", named()))?;
        Ok(Self { path, file, done: lines.collect() })
    }

    /// Whether an order was rebuilt by an earlier run.
    pub(super) fn is_done(&self, order_id: &OrderId) -> bool {
        self.done.contains(order_id.as_str())
    }

    /// Writes down that an order was rebuilt.
    pub(super) fn done(&mut self, order_id: &OrderId) -> anyhow::Result<()> {
        let written = self.file.write_all(line(order_id.as_str()).as_bytes());
        written.with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Every order is done: the next rebuild begins anew.
    pub(super) fn end(self) -> anyhow::Result<()> {
        fs::remove_file(&self.path).with_context(|| format!("cannot remove {}", self.path.display()))
    }
}

fn line(text: &str) -> String {
    format!("{}\n", serde_json::Value::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "order_stream at us-east-1";

    fn order(id: &str) -> OrderId {
        OrderId::new(id).unwrap()
    }

    fn file() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("rebuild");
        (folder, path)
    }

    #[test]
    fn an_order_is_done_once_it_was_written_down_whole() {
        let (_folder, path) = file();
        let mut resume = Resume::open(path.clone(), HERE).unwrap();
        resume.done(&order("a \"b\" \\")).unwrap();
        resume.done(&order("torn")).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.trim_end()).unwrap();
        let mut resume = Resume::open(path.clone(), HERE).unwrap();
        assert!(resume.is_done(&order("a \"b\" \\")));
        assert!(!resume.is_done(&order("torn")), "its line has no end");
        resume.done(&order("c")).unwrap();
        let resume = Resume::open(path.clone(), HERE).unwrap();
        assert!(resume.is_done(&order("c")) && !resume.is_done(&order("torn")));
        resume.end().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_died_with_its_first_line_is_begun_anew() {
        let (_folder, path) = file();
        for torn in ["", "\"order_st"] {
            fs::write(&path, torn).unwrap();
            Resume::open(path.clone(), HERE).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), line(HERE), "{torn:?}");
        }
    }

    #[test]
    fn a_file_of_another_deployment_or_of_another_program_is_refused_and_stays() {
        let (_folder, path) = file();
        for text in ["\"order_stream at eu-west-1\"\n\"a\"\n", "# notes\n", "a letter without any end of a line in it"]
        {
            fs::write(&path, text).unwrap();
            assert!(Resume::open(path.clone(), HERE).is_err(), "{text}");
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
    }
}
