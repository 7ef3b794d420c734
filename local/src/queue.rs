//! Queues: where what could not be processed goes.
//!
//! Owns: that a message is on disk before it counts as sent.
//! Must not know: what a message says.
//! Source: SQS as an on-failure destination. A queue is a file of JSON lines, `queues/NAME.ndjson` in the data folder.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

/// All queues of a stack.
#[derive(Debug)]
pub struct Queues {
    folder: Option<PathBuf>,
    in_memory: Mutex<BTreeMap<String, Vec<Value>>>,
}

impl Queues {
    /// The queues of a data folder, or of memory alone.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn open(data: Option<&Path>) -> io::Result<Self> {
        let folder = data.map(|data| data.join("queues"));
        folder.as_ref().map(fs::create_dir_all).transpose()?;
        Ok(Self { folder, in_memory: Mutex::default() })
    }

    fn in_memory(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Value>>> {
        self.in_memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message.
    ///
    /// # Errors
    /// If it could not be written down.
    pub fn send(&self, queue: &str, message: &Value) -> io::Result<()> {
        if let Some(folder) = &self.folder {
            let mut file = OpenOptions::new().create(true).append(true).open(folder.join(format!("{queue}.ndjson")))?;
            file.write_all(format!("{message}\n").as_bytes())?;
            file.sync_data()?;
        } else {
            self.in_memory().entry(queue.to_owned()).or_default().push(message.clone());
        }
        tracing::warn!(queue, "a message went to the failure queue");
        Ok(())
    }

    /// All messages of a queue, oldest first.
    ///
    /// # Errors
    /// If they cannot be read.
    pub fn messages(&self, queue: &str) -> io::Result<Vec<Value>> {
        let Some(folder) = &self.folder else { return Ok(self.in_memory().get(queue).cloned().unwrap_or_default()) };
        match fs::read_to_string(folder.join(format!("{queue}.ndjson"))) {
            Ok(text) => text.lines().map(|line| serde_json::from_str(line).map_err(io::Error::from)).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_queue_keeps_its_messages_in_order() {
        let folder = tempfile::TempDir::new().unwrap();
        for data in [None, Some(folder.path())] {
            let queues = Queues::open(data).unwrap();
            assert_eq!(queues.messages("q").unwrap(), Vec::<Value>::new());
            queues.send("q", &json!({"a": "b\nc"})).unwrap();
            queues.send("q", &json!(2)).unwrap();
            assert_eq!(queues.messages("q").unwrap(), [json!({"a": "b\nc"}), json!(2)]);
        }
        assert_eq!(Queues::open(Some(folder.path())).unwrap().messages("q").unwrap().len(), 2);
    }
}
