//! Invocations of the functions: how one begins, and what its end means.

use std::time::Duration;

use domain::Event;
use event_handler::EventHandler;
use queues::batch::{BatchResponse, QueueBatch, QueueMessage};
use serde_json::{Value, json};
use tokio::{task::JoinHandle, time::Instant};

use super::{
    World,
    queues::{DEFERRED, PAGES},
};
use crate::gate::ACTOR;

/// How long an invocation of a function may take.
pub(super) const INVOCATION_MAX: Duration = Duration::from_secs(25);

/// Records of one batch.
const BATCH_RECORDS_MAX: usize = 6;

/// An invocation, or a producer's append.
pub(super) struct Actor {
    pub(super) role: Role,
    task: JoinHandle<Outcome>,
}

#[derive(Clone, Debug)]
pub(super) enum Role {
    Producer(Box<Event>),
    /// The batch that is due.
    Batch {
        from: usize,
        to: usize,
    },
    /// A batch that comes once more, or too early.
    StrayBatch,
    /// A message of a queue.
    Message {
        queue: &'static str,
        message_id: String,
    },
    Connect {
        browser: usize,
        connection_id: String,
    },
    /// What a browser says.
    Speech {
        connection_id: String,
    },
    Disconnect,
}

pub(super) enum Outcome {
    Batch(Option<BatchResponse>),
    /// Whether a message of a queue is done with.
    Message(bool),
    Reply(Option<Value>),
    Appended(bool),
}

impl World {
    pub(super) fn begin(&mut self, role: Role, work: impl Future<Output = Outcome> + 'static) -> u64 {
        self.begun += 1;
        let id = self.begun;
        self.tell(format!("#{id} begins: {role:?}"));
        let task = tokio::task::spawn_local(ACTOR.scope(id, work));
        self.actors.insert(id, Actor { role, task });
        id
    }

    pub(super) fn append(&mut self) {
        let without_gaps = self.due_without_gaps();
        let index = without_gaps[self.random.usize(0..without_gaps.len())];
        let event = self.due.remove(index).unwrap();
        self.appended_to.insert(event.order_id().clone());
        let (log, appended) = (self.store.event_log.clone(), event.clone());
        self.begin(Role::Producer(Box::new(event)), async move {
            Outcome::Appended(log.append(&appended, None).await.is_ok())
        });
    }

    pub(super) fn deliver(&mut self) {
        let from = self.done;
        let to = self.feed.records.len().min(from + self.random.usize(1..=BATCH_RECORDS_MAX));
        let id = self.invoke(from, to, Role::Batch { from, to });
        self.batch = Some((id, to));
    }

    pub(super) fn deliver_stray(&mut self) {
        let from = self.random.usize(0..self.feed.records.len());
        let to = self.feed.records.len().min(from + self.random.usize(1..=BATCH_RECORDS_MAX));
        self.report.fault(if from < self.done { "batch delivered again" } else { "batch delivered too early" });
        self.invoke(from, to, Role::StrayBatch);
    }

    fn invoke(&mut self, from: usize, to: usize, role: Role) -> u64 {
        let batch = json!({"Records": self.feed.records[from..to]});
        let handler = self.handler();
        self.begin(role, async move {
            Outcome::Batch(handler.handle(&batch.to_string(), Instant::now() + INVOCATION_MAX).await.ok())
        })
    }

    fn handler(&mut self) -> EventHandler {
        self.handlers[usize::from(self.random.u8(0..4) == 0)].clone()
    }

    /// A message of a queue is received, and now and then one that another invocation has.
    fn receive(&mut self, queue: &str) -> (String, String) {
        let twice = self.kinds.strays && self.random.u8(0..8) == 0;
        let random = &mut self.random;
        let (message_id, body, is_again) = self.queues.receive(queue, twice, |count| random.usize(0..count));
        if is_again {
            self.report.fault("message of a queue delivered again");
        }
        (message_id, body)
    }

    pub(super) fn deliver_page(&mut self) {
        let (message_id, body) = self.receive(PAGES);
        let (fan_out, messages) = (self.fan_out.clone(), vec![QueueMessage { message_id: message_id.clone(), body }]);
        self.report.pages += 1;
        self.begin(Role::Message { queue: PAGES, message_id }, async move {
            let response = fan_out.handle(QueueBatch { messages }, Instant::now() + INVOCATION_MAX).await;
            Outcome::Message(response.batch_item_failures.is_empty())
        });
    }

    pub(super) fn deliver_deferred(&mut self) {
        let (message_id, body) = self.receive(DEFERRED);
        let record = json!({"messageId": message_id, "body": body, "eventSource": "aws:sqs"});
        let (handler, batch) = (self.handler(), json!({"Records": [record]}));
        self.report.deferred += 1;
        self.begin(Role::Message { queue: DEFERRED, message_id }, async move {
            let response = handler.handle(&batch.to_string(), Instant::now() + INVOCATION_MAX).await;
            Outcome::Message(response.is_ok_and(|response| response.batch_item_failures.is_empty()))
        });
    }

    /// A function's process ends at once; what it asked for may still be under way.
    pub(super) fn kill(&mut self) {
        let index = self.random.usize(0..self.actors.len());
        let id = *self.actors.keys().nth(index).unwrap();
        let actor = self.actors.remove(&id).unwrap();
        actor.task.abort();
        self.report.fault("invocation killed");
        self.tell(format!("#{id} is killed"));
        self.ended(id, actor.role, None);
    }

    /// Takes note of the invocations that have ended.
    pub(super) async fn finish(&mut self) {
        let finished: Vec<u64> =
            self.actors.iter().filter(|(_, actor)| actor.task.is_finished()).map(|(id, _)| *id).collect();
        for id in finished {
            let Actor { role, task } = self.actors.remove(&id).unwrap();
            let outcome = task.await.expect("a function does not panic");
            self.tell(format!("#{id} ends"));
            self.ended(id, role, Some(outcome));
        }
    }

    fn ended(&mut self, id: u64, role: Role, outcome: Option<Outcome>) {
        match (role, outcome) {
            (Role::Producer(_), Some(Outcome::Appended(true))) | (Role::Disconnect | Role::StrayBatch, _) => {}
            (Role::Producer(event), _) => {
                self.due.push_back(*event);
                self.drop_events_of_spoiled_logs();
            }
            (Role::Message { queue, message_id }, Some(Outcome::Message(true))) => {
                self.queues.delete(queue, &message_id);
            }
            (Role::Message { queue, message_id }, _) => self.queues.show(queue, &message_id),
            (Role::Batch { from, to }, outcome) => {
                assert_eq!(self.batch, Some((id, to)));
                self.batch = None;
                self.done = match outcome {
                    Some(Outcome::Batch(Some(response))) => self.first_failure(from, to, &response),
                    _ => from,
                };
            }
            (Role::Connect { browser, connection_id }, outcome) => {
                let is_connected = matches!(outcome, Some(Outcome::Reply(Some(_))));
                self.connected(browser, &connection_id, is_connected);
            }
            (Role::Speech { connection_id }, outcome) => {
                let frame = match outcome {
                    Some(Outcome::Reply(Some(reply))) => reply["body"].as_str().map(str::to_owned),
                    _ => {
                        Some(r#"{"message": "Internal server error", "connectionId":"c", "requestId":"r"}"#.to_owned())
                    }
                };
                if let (Some(socket), Some(frame)) = (self.sockets.get_mut(&connection_id), frame) {
                    socket.wire.push_back(frame);
                }
            }
        }
    }

    /// Where the next batch begins: at the first record that was reported, or behind all.
    fn first_failure(&mut self, from: usize, to: usize, response: &BatchResponse) -> usize {
        let is_reported = |record: &Value| {
            let failures = &response.batch_item_failures;
            failures.iter().any(|failure| record["dynamodb"]["SequenceNumber"] == failure.item_identifier.as_str())
        };
        let reported = self.feed.records[from..to].iter().position(is_reported);
        if reported.is_some() {
            *self.report.faults.entry("batch reported").or_default() += 1;
        }
        reported.map_or(to, |index| from + index)
    }
}
