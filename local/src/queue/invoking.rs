//! The mapping from a queue to a function: at least once, in no order, several batches at a time.
//!
//! Owns: when a function is invoked with messages, and which of them are done.
//! Must not know: what a message says.
//! Source: Lambda developer guide, "Using Lambda with Amazon SQS"; a message that is not done is visible again after the
//! queue's time-out.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    Queues, Received,
    sqs::{md5_of, queue_arn},
};
use crate::{application::QueueMapping, faults::Faults, lambda::Functions, limits, template::REGION};

/// How long a poller waits for messages at a time. Source: Lambda polls for up to 20 seconds.
const WAIT: Duration = Duration::from_secs(20);

/// One mapping and what it works with.
#[derive(Clone)]
pub(crate) struct Invoking {
    pub(crate) mapping: QueueMapping,
    /// The function's `Handler`, by which faults name it.
    pub(crate) handler: String,
    pub(crate) queues: Arc<Queues>,
    pub(crate) functions: Arc<Functions>,
    pub(crate) stopped: watch::Receiver<bool>,
    pub(crate) faults: Faults,
}

impl Invoking {
    /// Takes messages and invokes the function, until the stack stops.
    pub(crate) async fn run(self) {
        let pollers = self.mapping.concurrency_max.unwrap_or(limits::SANDBOXES_PER_FUNCTION_MAX);
        join_all((0..pollers).map(|_| self.clone().poll())).await;
    }

    async fn poll(mut self) {
        let mut stopped = self.stopped.clone();
        loop {
            let worked = tokio::select! {
                worked = self.work() => worked,
                _ = stopped.wait_for(|stopped| *stopped) => return,
            };
            if let Err(error) = worked {
                tracing::error!(mapping = self.mapping.logical_id, "the queue is read again: {error:#}");
                tokio::time::sleep(limits::RETRY_PAUSE_MAX).await;
            }
        }
    }

    async fn work(&mut self) -> anyhow::Result<()> {
        let QueueMapping { queue, batch_size, .. } = &self.mapping;
        let hidden = self.queues.declared(queue)?.visibility_time_out;
        let messages = self.queues.wait(queue, *batch_size, hidden, WAIT).await?;
        if messages.is_empty() {
            return Ok(());
        }
        if let Some(delay) = self.faults.delays_batch(&self.handler) {
            tokio::time::sleep(delay).await;
        }
        let payload = self.payload(&messages);
        let reply = self.functions.invoke(&self.mapping.function, payload.clone()).await;
        if reply.is_ok() && self.faults.duplicates_batch(&self.handler) {
            self.functions.invoke(&self.mapping.function, payload).await.ok();
        }
        let ids: Vec<&str> = messages.iter().map(|received| received.message.message_id.as_str()).collect();
        let done = match reply {
            Ok(reply) => done(&ids, &serde_json::from_slice(&reply).unwrap_or(Value::Null), &self.mapping),
            Err(error) => {
                tracing::warn!(mapping = self.mapping.logical_id, %error, "a batch failed");
                Vec::new()
            }
        };
        if !done.is_empty() {
            self.queues.delete(queue, |message| done.contains(&message.message_id.as_str()))?;
        }
        Ok(())
    }

    fn payload(&self, messages: &[Received]) -> Bytes {
        let record = |Received { message, receives }: &Received| {
            json!({
                "messageId": message.message_id, "receiptHandle": message.message_id, "body": message.body,
                "attributes": {
                    "ApproximateReceiveCount": receives.to_string(), "SentTimestamp": message.sent_at_ms.to_string(),
                },
                "messageAttributes": {}, "md5OfBody": md5_of(&message.body), "eventSource": "aws:sqs",
                "eventSourceARN": queue_arn(&self.mapping.queue), "awsRegion": REGION,
            })
        };
        Bytes::from(json!({"Records": messages.iter().map(record).collect::<Vec<_>>()}).to_string())
    }
}

/// The messages that a reply says are done: all but those that it reports. A reply that reports something else than one of
/// them is a failure of them all.
fn done<'a>(ids: &[&'a str], reply: &Value, mapping: &QueueMapping) -> Vec<&'a str> {
    let failures = match reply.get("batchItemFailures") {
        Some(Value::Array(failures)) if mapping.report_batch_item_failures => failures,
        None | Some(Value::Null) => return ids.to_vec(),
        Some(_) if mapping.report_batch_item_failures => return Vec::new(),
        Some(_) => return ids.to_vec(),
    };
    let failed: Option<Vec<&str>> =
        failures.iter().map(|failure| failure.get("itemIdentifier")?.as_str().filter(|id| ids.contains(id))).collect();
    match failed {
        Some(failed) => ids.iter().copied().filter(|id| !failed.contains(id)).collect(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_reply(reply: &Value, report_batch_item_failures: bool) -> Vec<&'static str> {
        let mapping = QueueMapping {
            logical_id: "M".to_owned(),
            queue: "q".to_owned(),
            function: "F".to_owned(),
            batch_size: 10,
            report_batch_item_failures,
            concurrency_max: None,
        };
        done(&["a", "b", "c"], reply, &mapping)
    }

    #[test]
    fn what_a_reply_reports_comes_again_and_the_rest_is_done() {
        for reply in [json!(null), json!({}), json!({"batchItemFailures": []}), json!({"batchItemFailures": null})] {
            assert_eq!(on_reply(&reply, true), ["a", "b", "c"], "{reply}");
        }
        let reported = json!({"batchItemFailures": [{"itemIdentifier": "c"}, {"itemIdentifier": "a"}]});
        assert_eq!(on_reply(&reported, true), ["b"]);
        assert_eq!(on_reply(&reported, false), ["a", "b", "c"], "nobody asked");
    }

    #[test]
    fn a_report_of_no_message_of_the_batch_fails_them_all() {
        for failure in [
            json!({"itemIdentifier": ""}),
            json!({"itemIdentifier": null}),
            json!({"id": "a"}),
            json!({"itemIdentifier": "d"}),
        ] {
            let reply = json!({"batchItemFailures": [{"itemIdentifier": "a"}, failure]});
            assert_eq!(on_reply(&reply, true), [""; 0], "{reply}");
        }
        assert_eq!(on_reply(&json!({"batchItemFailures": "a"}), true), [""; 0]);
    }
}
