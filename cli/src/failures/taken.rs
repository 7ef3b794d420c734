//! The messages of the failure queue that a command has received.
//!
//! Owns: receiving them all, each once, and putting back what is not deleted.
//! Must not know: what is done about them.
//! Source: SQS standard queues: a message may come twice, in any order.

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow};
use futures_util::{StreamExt, stream};
use queues::{FailureQueue, Message, QueueError, Received};

use crate::failure::Failure;

/// Messages that one command looks at: as many as can be received before the first is there for others again.
const TAKEN_MAX: usize = 10_000;

/// Messages that are put back at once.
const PUT_BACK_IN_FLIGHT_MAX: usize = 16;

/// Received messages, by their ids.
pub(super) struct Taken<'queue> {
    queue: &'queue FailureQueue,
    messages: BTreeMap<String, Received>,
    is_cut: bool,
}

impl<'queue> Taken<'queue> {
    /// Receives what the queue has. Whatever ends it, Ctrl-C too, puts back what was received.
    pub(super) async fn receive(queue: &'queue FailureQueue) -> Result<Self, Failure> {
        let mut taken = Self { queue, messages: BTreeMap::new(), is_cut: false };
        let received = tokio::select! {
            received = taken.receive_all() => received.context("cannot read the failure queue").map_err(Failure::failed),
            _ = tokio::signal::ctrl_c() => Err(Failure::failed(anyhow!("interrupted"))),
        };
        match received {
            Ok(()) => Ok(taken),
            Err(failure) => {
                taken.put_back().await;
                Err(failure)
            }
        }
    }

    async fn receive_all(&mut self) -> Result<(), QueueError> {
        loop {
            if self.messages.len() >= TAKEN_MAX {
                self.is_cut = true;
                return Ok(());
            }
            let before = self.messages.len();
            let received = self.queue.receive().await?;
            self.messages.extend(received.into_iter().map(|received| (received.message.id.clone(), received)));
            // None, or those alone that came before: their time of being hidden is over.
            if self.messages.len() == before {
                return Ok(());
            }
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether the queue may have more.
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// One of them.
    pub(super) fn get(&self, id: &str) -> Option<&Message> {
        self.messages.get(id).map(|received| &received.message)
    }

    /// All of them.
    pub(super) fn oldest_first(&self) -> Vec<&Message> {
        let mut messages: Vec<_> = self.messages.values().map(|received| &received.message).collect();
        messages.sort_by(|a, b| (&a.sent_at, &a.id).cmp(&(&b.sent_at, &b.id)));
        messages
    }

    /// Deletes one of them; none is not there.
    pub(super) async fn delete(&mut self, id: &str) -> Option<Result<(), QueueError>> {
        let deleted = self.queue.delete(self.messages.get(id)?).await;
        if deleted.is_ok() {
            self.messages.remove(id);
        }
        Some(deleted)
    }

    /// Puts back what was not deleted. What cannot be put back is there for others a little later, by itself.
    pub(super) async fn put_back(self) {
        let put_back = self.messages.values().map(|received| self.queue.put_back(received));
        stream::iter(put_back).for_each_concurrent(PUT_BACK_IN_FLIGHT_MAX, |done| async { drop(done.await) }).await;
    }
}
