//! The queue of pages.
//!
//! Owns: which pages wait, and which of them a function has.
//! Must not know: what a page says.
//! Source: SQS, standard queues: at least once, in no order.

use serde_json::{Value, json};

use super::{INVOCATION_MAX, Instant, Outcome, QueueBatch, QueueMessage, Role, World};

/// The messages of the queue, oldest first.
#[derive(Debug, Default)]
pub(super) struct Pages {
    waiting: Vec<Waiting>,
    sent: u64,
}

#[derive(Debug)]
struct Waiting {
    message_id: String,
    body: String,
    is_hidden: bool,
}

impl Pages {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn has_visible(&self) -> bool {
        self.waiting.iter().any(|page| !page.is_hidden)
    }

    /// Serves `SendMessageBatch`; of the messages, those that `is_taken` chooses are taken.
    pub(super) fn send(&mut self, request: &Value, mut is_taken: impl FnMut() -> bool) -> Value {
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for entry in request["Entries"].as_array().unwrap() {
            if !is_taken() {
                failed.push(json!({"Id": entry["Id"], "Code": "InternalError", "SenderFault": false}));
                continue;
            }
            self.sent += 1;
            let (message_id, body) = (format!("m{}", self.sent), entry["MessageBody"].as_str().unwrap().to_owned());
            successful.push(json!({"Id": entry["Id"], "MessageId": message_id, "MD5OfMessageBody": ""}));
            self.waiting.push(Waiting { message_id, body, is_hidden: false });
        }
        json!({"Successful": successful, "Failed": failed})
    }

    /// The message was received often enough, or too long ago: others may have it.
    pub(super) fn show(&mut self, message_id: &str) {
        self.waiting.iter_mut().filter(|page| page.message_id == message_id).for_each(|page| page.is_hidden = false);
    }

    pub(super) fn delete(&mut self, message_id: &str) {
        self.waiting.retain(|page| page.message_id != message_id);
    }
}

impl World {
    /// A page is taken, and now and then one that another invocation has.
    pub(super) fn deliver_page(&mut self) {
        let twice = self.kinds.strays && self.random.u8(0..8) == 0;
        let count = self.pages.waiting.len();
        let is_free = |index: &usize| twice || !self.pages.waiting[*index].is_hidden;
        let free: Vec<usize> = (0..count).filter(is_free).collect();
        let page = &mut self.pages.waiting[free[self.random.usize(0..free.len())]];
        if page.is_hidden {
            self.report.fault("page delivered again");
        }
        page.is_hidden = true;
        let (message_id, body) = (page.message_id.clone(), page.body.clone());
        let (fan_out, messages) = (self.fan_out.clone(), vec![QueueMessage { message_id: message_id.clone(), body }]);
        self.report.pages += 1;
        self.begin(Role::Page { message_id }, async move {
            let response = fan_out.handle(QueueBatch { messages }, Instant::now() + INVOCATION_MAX).await;
            Outcome::Page(response.batch_item_failures.is_empty())
        });
    }
}
