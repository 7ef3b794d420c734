//! Queues: where what could not be processed goes, until somebody takes it out.
//!
//! Owns: that a message is on disk before it counts as sent, is hidden while a receiver has it, and goes elsewhere once it
//! was received often enough.
//! Must not know: what a message says, how it is asked for.
//! Source: SQS standard queues. A queue is a file of JSON lines, `queues/NAME.ndjson` in the data folder.

mod invoking;
mod sqs;

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use tokio::sync::Notify;

use crate::{
    application::{Queue, Redrive},
    lambda::uuid,
    limits,
};
pub(crate) use invoking::Invoking;
pub use sqs::{answer, queue_url};

/// All queues of a stack.
#[derive(Debug)]
pub struct Queues {
    folder: Option<PathBuf>,
    queues: BTreeMap<String, (Queue, Mutex<Vec<Queued>>)>,
    /// Told of each message that is sent.
    sent: Notify,
}

/// Why a queue does not do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The stack has no such queue.
    #[error("there is no queue {0}")]
    NoQueue(String),
    /// Nobody has the message.
    #[error("nobody has the message")]
    NotReceived,
    /// The queue's file cannot be written.
    #[error("the queue's file cannot be written")]
    File(#[from] io::Error),
}

/// A message on a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub message_id: String,
    /// When it was sent, in milliseconds since 1970.
    pub sent_at_ms: u64,
    /// What it says.
    pub body: String,
}

#[derive(Debug)]
struct Queued {
    message: Message,
    receives: u32,
    /// Nobody receives it before this.
    delayed_until: Option<Instant>,
    /// A receiver has it until then.
    hidden_until: Option<Instant>,
}

/// A message as a receiver has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The message.
    pub message: Message,
    /// How often it was received, this time included.
    pub receives: u32,
}

impl Queues {
    /// These queues by name, with the messages that a data folder has; or of memory alone.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn open(data: Option<&Path>, declared: impl IntoIterator<Item = (String, Queue)>) -> io::Result<Self> {
        let folder = data.map(|data| data.join("queues"));
        folder.as_ref().map(fs::create_dir_all).transpose()?;
        let mut queues = BTreeMap::new();
        for (name, queue) in declared {
            let messages = folder.as_deref().map(|folder| read(&file(folder, &name))).transpose()?;
            queues.insert(name, (queue, Mutex::new(messages.unwrap_or_default())));
        }
        Ok(Self { folder, queues, sent: Notify::new() })
    }

    /// The queues' names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.queues.keys().map(String::as_str)
    }

    fn queue(&self, name: &str) -> Result<MutexGuard<'_, Vec<Queued>>, QueueError> {
        let (_, queue) = self.queues.get(name).ok_or_else(|| QueueError::NoQueue(name.to_owned()))?;
        Ok(queue.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the template says of a queue.
    ///
    /// # Errors
    /// [`QueueError::NoQueue`].
    pub fn declared(&self, name: &str) -> Result<&Queue, QueueError> {
        self.queues.get(name).map(|(declared, _)| declared).ok_or_else(|| QueueError::NoQueue(name.to_owned()))
    }

    /// Sends a message.
    ///
    /// # Errors
    /// [`QueueError`] if it could not be written down.
    pub fn send(&self, name: &str, body: &str) -> Result<Message, QueueError> {
        self.send_delayed(name, body, Duration::ZERO)
    }

    /// Sends a message that nobody receives before `delay` is over, or the stack is started again.
    ///
    /// # Errors
    /// [`QueueError`] if it could not be written down.
    pub fn send_delayed(&self, name: &str, body: &str, delay: Duration) -> Result<Message, QueueError> {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let sent_at_ms = u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX);
        let message = Message { message_id: uuid(), sent_at_ms, body: body.to_owned() };
        self.put(name, &message, delay)?;
        Ok(message)
    }

    fn put(&self, name: &str, message: &Message, delay: Duration) -> Result<(), QueueError> {
        let mut queue = self.queue(name)?;
        if let Some(folder) = &self.folder {
            let mut file = OpenOptions::new().create(true).append(true).open(file(folder, name))?;
            file.write_all(line(message).as_bytes())?;
            file.sync_data()?;
        }
        let delayed_until = Instant::now().checked_add(delay);
        queue.push(Queued { message: message.clone(), receives: 0, delayed_until, hidden_until: None });
        self.sent.notify_waiters();
        if !self.declared(name)?.is_taken {
            tracing::warn!(queue = name, "a message was sent to a queue");
        }
        Ok(())
    }

    /// Moves messages that are visible again though they were received often enough.
    fn redrive(&self, name: &str) -> Result<(), QueueError> {
        let Some(Redrive { queue: target, receives_max }) = &self.declared(name)?.redrive else { return Ok(()) };
        let now = Instant::now();
        let is_done = |queued: &mut Queued| queued.receives >= *receives_max && queued.is_visible(now);
        // Whoever takes a message out moves it; its file has it until the other queue's file has it too.
        let done: Vec<Queued> = self.queue(name)?.extract_if(.., is_done).collect();
        for Queued { message, .. } in done {
            self.put(target, &message, Duration::ZERO)?;
            self.delete(name, |queued| queued.message_id == message.message_id)?;
        }
        Ok(())
    }

    /// The oldest messages that nobody else has, hidden from others for so long.
    ///
    /// # Errors
    /// [`QueueError`], of a file only if messages go to another queue.
    pub fn receive(&self, name: &str, messages_max: usize, hidden: Duration) -> Result<Vec<Received>, QueueError> {
        self.redrive(name)?;
        let now = Instant::now();
        let mut queue = self.queue(name)?;
        let visible = queue.iter_mut().filter(|queued| queued.is_visible(now));
        let received = visible.take(messages_max).map(|queued| {
            queued.receives += 1;
            queued.hidden_until = now.checked_add(hidden);
            Received { message: queued.message.clone(), receives: queued.receives }
        });
        Ok(received.collect())
    }

    /// The same, once there are some, or none after so long.
    ///
    /// # Errors
    /// As [`Self::receive`].
    pub async fn wait(
        &self,
        name: &str,
        messages_max: usize,
        hidden: Duration,
        wait: Duration,
    ) -> Result<Vec<Received>, QueueError> {
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            let sent = self.sent.notified();
            let received = self.receive(name, messages_max, hidden)?;
            let left = deadline.saturating_duration_since(tokio::time::Instant::now());
            if !received.is_empty() || left.is_zero() {
                return Ok(received);
            }
            // A message that another receiver had becomes visible without a word.
            tokio::time::timeout(left.min(limits::QUEUE_POLL_PAUSE), sent).await.ok();
        }
    }

    /// Hides a message that a receiver has for so long from here on; for no time it is there for others at once.
    ///
    /// # Errors
    /// [`QueueError::NotReceived`] if nobody has it.
    pub fn hide(&self, name: &str, message_id: &str, hidden: Duration) -> Result<(), QueueError> {
        let now = Instant::now();
        let mut queue = self.queue(name)?;
        let is_received = |queued: &&mut Queued| queued.hidden_until.is_some_and(|until| until > now);
        let found = queue.iter_mut().find(|queued| queued.message.message_id == message_id);
        let queued = found.filter(is_received).ok_or(QueueError::NotReceived)?;
        queued.hidden_until = now.checked_add(hidden);
        Ok(())
    }

    /// All messages, oldest first, whoever has them.
    ///
    /// # Errors
    /// [`QueueError::NoQueue`].
    pub fn messages(&self, name: &str) -> Result<Vec<Message>, QueueError> {
        Ok(self.queue(name)?.iter().map(|queued| queued.message.clone()).collect())
    }

    /// Removes the messages that `is_done` chooses.
    ///
    /// # Errors
    /// [`QueueError`] if the file could not be written.
    pub fn delete(&self, name: &str, is_done: impl Fn(&Message) -> bool) -> Result<(), QueueError> {
        let mut queue = self.queue(name)?;
        if let Some(folder) = &self.folder {
            let left = queue.iter().map(|queued| &queued.message).filter(|message| !is_done(message));
            let text: String = left.map(line).collect();
            let (target, draft) = (file(folder, name), folder.join(format!("{name}.draft")));
            fs::write(&draft, text)?;
            fs::rename(draft, target)?;
        }
        queue.retain(|queued| !is_done(&queued.message));
        Ok(())
    }
}

impl Queued {
    fn is_visible(&self, now: Instant) -> bool {
        [self.delayed_until, self.hidden_until].into_iter().flatten().all(|until| until <= now)
    }
}

fn file(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.ndjson"))
}

fn line(message: &Message) -> String {
    let Message { message_id, sent_at_ms, body } = message;
    format!("{}\n", json!({"messageId": message_id, "sentAtMs": sent_at_ms, "body": body}))
}

fn read(file: &Path) -> io::Result<Vec<Queued>> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let queued = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        let text = |name: &str| line.get(name).and_then(Value::as_str).map(str::to_owned);
        let sent_at_ms = line.get("sentAtMs")?.as_u64()?;
        let message = Message { message_id: text("messageId")?, sent_at_ms, body: text("body")? };
        Some(Queued { message, receives: 0, delayed_until: None, hidden_until: None })
    };
    // The last line of a file may be torn: its sender was told of no success.
    Ok(text.lines().filter_map(queued).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies(queues: &Queues) -> Vec<String> {
        queues.messages("q").unwrap().into_iter().map(|message| message.body).collect()
    }

    #[test]
    fn a_queue_keeps_its_messages_until_they_are_deleted() {
        let folder = tempfile::TempDir::new().unwrap();
        for data in [None, Some(folder.path())] {
            let queues = Queues::open(data, [("q".to_owned(), Queue::default())]).unwrap();
            let first = queues.send("q", "a\nb").unwrap();
            queues.send("q", "2").unwrap();
            assert_eq!(bodies(&queues), ["a\nb", "2"]);
            queues.delete("q", |message| message.message_id == first.message_id).unwrap();
            assert_eq!(bodies(&queues), ["2"]);
            assert!(matches!(queues.send("r", ""), Err(QueueError::NoQueue(_))));
        }
        fs::OpenOptions::new()
            .append(true)
            .open(folder.path().join("queues/q.ndjson"))
            .unwrap()
            .write_all(b"{\"b")
            .unwrap();
        assert_eq!(bodies(&Queues::open(Some(folder.path()), [("q".to_owned(), Queue::default())]).unwrap()), ["2"]);
    }

    #[test]
    fn a_received_message_is_hidden_and_comes_again() {
        let queues = Queues::open(None, [("q".to_owned(), Queue::default())]).unwrap();
        queues.send("q", "1").unwrap();
        let hidden = Duration::from_secs(30);
        assert_eq!(queues.receive("q", 10, Duration::ZERO).unwrap().len(), 1);
        assert_eq!(queues.receive("q", 10, hidden).unwrap().first().unwrap().receives, 2);
        assert_eq!(queues.receive("q", 10, hidden).unwrap(), []);
    }

    #[test]
    fn a_delayed_message_is_not_received_before_its_time() {
        let queues = Queues::open(None, [("q".to_owned(), Queue::default())]).unwrap();
        queues.send_delayed("q", "late", Duration::from_secs(900)).unwrap();
        queues.send_delayed("q", "now", Duration::ZERO).unwrap();
        let received = queues.receive("q", 10, Duration::ZERO).unwrap();
        assert_eq!(received.iter().map(|received| received.message.body.as_str()).collect::<Vec<_>>(), ["now"]);
        assert_eq!(bodies(&queues), ["late", "now"]);
    }

    #[test]
    fn a_message_that_was_received_often_enough_goes_to_the_other_queue() {
        let redrive = Some(Redrive { queue: "dead".to_owned(), receives_max: 2 });
        let declared = [("q", Queue { redrive, ..Queue::default() }), ("dead", Queue::default())];
        let folder = tempfile::TempDir::new().unwrap();
        let declared = declared.map(|(name, queue)| (name.to_owned(), queue));
        let queues = Queues::open(Some(folder.path()), declared.clone()).unwrap();
        let sent = queues.send("q", "1").unwrap();
        for receives in 1..=2 {
            assert_eq!(queues.receive("q", 10, Duration::ZERO).unwrap()[0].receives, receives);
        }
        assert_eq!(queues.receive("q", 10, Duration::ZERO).unwrap(), []);
        let again = Queues::open(Some(folder.path()), declared).unwrap();
        for queues in [queues, again] {
            assert_eq!((queues.messages("q").unwrap(), queues.messages("dead").unwrap()), (vec![], vec![sent.clone()]));
        }
    }

    #[test]
    fn a_receiver_puts_a_message_back_or_keeps_it_for_longer() {
        let queues = Queues::open(None, [("q".to_owned(), Queue::default())]).unwrap();
        let id = queues.send("q", "1").unwrap().message_id;
        let hide = |seconds| queues.hide("q", &id, Duration::from_secs(seconds));
        assert!(matches!(hide(0), Err(QueueError::NotReceived)), "nobody has it");
        let receive = |hidden| queues.receive("q", 10, hidden).unwrap().len();
        assert_eq!(receive(Duration::from_secs(30)), 1);
        hide(60).unwrap();
        assert_eq!(receive(Duration::ZERO), 0);
        hide(0).unwrap();
        assert_eq!(receive(Duration::ZERO), 1);
        assert!(matches!(queues.hide("q", "other", Duration::ZERO), Err(QueueError::NotReceived)));
    }
}
