//! How far a change feed is done with.
//!
//! Owns: one sequence number, on disk after each batch.
//! Must not know: what a batch is.
//! Source: ours. A checkpoint that is lost or broken costs records that come again, never one that is lost.

use std::{fs, path::PathBuf};

use anyhow::Context as _;

/// A mapping's checkpoint; without a file it lives as long as the process.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    file: Option<PathBuf>,
}

impl Checkpoint {
    /// The checkpoint in this file.
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        Self { file }
    }

    /// The last sequence number that is done with, if one is known.
    pub(super) fn read(&self) -> Option<String> {
        let text = fs::read_to_string(self.file.as_ref()?).ok()?;
        let text = text.trim();
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then(|| text.to_owned())
    }

    /// Replaces it as a whole: a crash leaves the one before or the one after.
    pub(super) fn write(&self, sequence_number: &str) -> anyhow::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let beside = file.with_extension("next");
        let written = fs::write(&beside, sequence_number).and_then(|()| fs::rename(&beside, file));
        written.with_context(|| format!("the checkpoint {} was not written", file.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_what_was_last_written_and_a_broken_one_is_none() {
        let folder = tempfile::TempDir::new().unwrap();
        let file = folder.path().join("mapping");
        let checkpoint = Checkpoint::new(Some(file.clone()));
        assert_eq!(checkpoint.read(), None);
        checkpoint.write("100000000000000000001").unwrap();
        assert_eq!(Checkpoint::new(Some(file.clone())).read().as_deref(), Some("100000000000000000001"));
        fs::write(&file, "1\0\0").unwrap();
        assert_eq!(checkpoint.read(), None);
    }
}
