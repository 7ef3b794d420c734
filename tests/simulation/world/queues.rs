//! The queues of SQS: at least once, in no order, with a delay where the sender asks for one.

use std::{collections::BTreeMap, time::Duration};

use queues::DeferredOrder;
use serde_json::{Value, json};
use tokio::time::Instant;

/// What the queues' URLs end with.
pub(super) const PAGES: &str = "pages";
pub(super) const DEFERRED: &str = "orders";
pub(super) const FAILURES: &str = "failures";

/// All queues, by the last segment of their URL.
#[derive(Debug, Default)]
pub(super) struct Queues {
    queues: BTreeMap<String, Vec<Waiting>>,
    sent: u64,
}

#[derive(Debug)]
struct Waiting {
    message_id: String,
    body: String,
    /// From when on it can be received.
    due: Instant,
    is_received: bool,
}

impl Waiting {
    fn is_due(&self) -> bool {
        self.due <= Instant::now()
    }
}

impl Queues {
    /// Serves `SendMessage` and `SendMessageBatch`; of a batch, those that `is_taken` chooses are taken.
    pub(super) fn send(&mut self, request: &Value, mut is_taken: impl FnMut() -> bool) -> Value {
        let queue = request["QueueUrl"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
        let Some(entries) = request["Entries"].as_array() else {
            return json!({"MessageId": self.put(&queue, request), "MD5OfMessageBody": ""});
        };
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in entries {
            if is_taken() {
                let message_id = self.put(&queue, entry);
                successful.push(json!({"Id": entry["Id"], "MessageId": message_id, "MD5OfMessageBody": ""}));
            } else {
                failed.push(json!({"Id": entry["Id"], "Code": "InternalError", "SenderFault": false}));
            }
        }
        json!({"Successful": successful, "Failed": failed})
    }

    fn put(&mut self, queue: &str, message: &Value) -> String {
        self.sent += 1;
        let delay = Duration::from_secs(message["DelaySeconds"].as_u64().unwrap_or_default());
        let waiting = Waiting {
            message_id: format!("m{}", self.sent),
            body: message["MessageBody"].as_str().unwrap().to_owned(),
            due: Instant::now() + delay,
            is_received: false,
        };
        let message_id = waiting.message_id.clone();
        self.queues.entry(queue.to_owned()).or_default().push(waiting);
        message_id
    }

    fn of(&self, queue: &str) -> &[Waiting] {
        self.queues.get(queue).map_or(&[], Vec::as_slice)
    }

    /// The bodies of a queue.
    pub(super) fn bodies(&self, queue: &str) -> impl Iterator<Item = &str> {
        self.of(queue).iter().map(|message| message.body.as_str())
    }

    pub(super) fn is_empty(&self, queue: &str) -> bool {
        self.of(queue).is_empty()
    }

    /// Whether no order is deferred, but for events that wait for a missing one: nobody needs these messages once it is there.
    pub(super) fn has_only_waiting(&self) -> bool {
        self.bodies(DEFERRED).all(|body| DeferredOrder::parse(body).is_some_and(|deferred| deferred.waits))
    }

    /// Whether a message can be received.
    pub(super) fn has_due(&self, queue: &str) -> bool {
        self.of(queue).iter().any(|message| !message.is_received && message.is_due())
    }

    /// When the next message can be received, if some wait.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let waiting = [PAGES, DEFERRED].into_iter().flat_map(|queue| self.of(queue));
        waiting.filter(|message| !message.is_received && !message.is_due()).map(|message| message.due).min()
    }

    /// Receives one of the messages, by `draw`; with `twice` it may be one that somebody has received. The answer is its
    /// id and body, and whether it was received before.
    pub(super) fn receive(
        &mut self,
        queue: &str,
        twice: bool,
        draw: impl FnOnce(usize) -> usize,
    ) -> (String, String, bool) {
        let messages = self.queues.get_mut(queue).unwrap();
        let mut free: Vec<&mut Waiting> =
            messages.iter_mut().filter(|message| message.is_due() && (twice || !message.is_received)).collect();
        let index = draw(free.len());
        let message = &mut free[index];
        let is_again = std::mem::replace(&mut message.is_received, true);
        (message.message_id.clone(), message.body.clone(), is_again)
    }

    /// The invocation failed, or was killed: others may have the message.
    pub(super) fn show(&mut self, queue: &str, message_id: &str) {
        let messages = self.queues.get_mut(queue).into_iter().flatten();
        messages.filter(|message| message.message_id == message_id).for_each(|message| message.is_received = false);
    }

    pub(super) fn delete(&mut self, queue: &str, message_id: &str) {
        if let Some(messages) = self.queues.get_mut(queue) {
            messages.retain(|message| message.message_id != message_id);
        }
    }
}
