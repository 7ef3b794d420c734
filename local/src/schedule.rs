//! EventBridge's schedules: a function is invoked again and again.
//!
//! Owns: when, and the event that it gets.
//! Must not know: what the function does.
//! Source: EventBridge user guide, "Creating a rule that runs on a schedule": a rate counts from the rule's creation, here
//! from the stack's start.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use serde_json::{Value, json};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{
    application::Schedule,
    lambda::{Functions, uuid},
    template::{ACCOUNT_ID, REGION},
};

/// A schedule at work.
pub(crate) struct Scheduler {
    pub(crate) schedule: Schedule,
    pub(crate) functions: Arc<Functions>,
    pub(crate) stopped: watch::Receiver<bool>,
}

impl Scheduler {
    /// Invokes the function at once and then at each period, whether or not the last invocation has ended, until the stack
    /// stops; invocations that run then end with it.
    pub(crate) async fn run(mut self) {
        let mut due = interval(self.schedule.period);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut running = JoinSet::new();
        loop {
            tokio::select! {
                at = due.tick() => {
                    let late = at.elapsed();
                    running.spawn(invoke(self.schedule.clone(), Arc::clone(&self.functions), late));
                }
                Some(_ended) = running.join_next() => {}
                _stopped = self.stopped.wait_for(|stopped| *stopped) => return,
            }
        }
    }
}

async fn invoke(schedule: Schedule, functions: Arc<Functions>, late: Duration) {
    let event = schedule.input.clone().unwrap_or_else(|| event(&schedule.rule_name, SystemTime::now() - late));
    if let Err(error) = functions.invoke(&schedule.function, Bytes::from(event.to_string())).await {
        tracing::error!(rule = schedule.rule_name, "a scheduled invocation failed: {error}");
    }
}

/// What EventBridge sends where the target has no input of its own.
fn event(rule_name: &str, due: SystemTime) -> Value {
    let seconds = OffsetDateTime::from(due).replace_nanosecond(0);
    let time = seconds.ok().and_then(|seconds| seconds.format(&Rfc3339).ok()).unwrap_or_default();
    json!({
        "version": "0",
        "id": uuid(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": ACCOUNT_ID,
        "time": time,
        "region": REGION,
        "resources": [format!("arn:aws:events:{REGION}:{ACCOUNT_ID}:rule/{rule_name}")],
        "detail": {},
    })
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn a_scheduled_event_is_eventbridges() {
        let mut event = event("every-minute", UNIX_EPOCH + Duration::from_millis(1_444_323_186_700));
        assert_eq!(event["id"].take().as_str().unwrap().len(), 36);
        let expected = json!({
            "version": "0", "id": null, "detail-type": "Scheduled Event", "source": "aws.events", "account": ACCOUNT_ID,
            "time": "2015-10-08T16:53:06Z", "region": REGION, "detail": {},
            "resources": [format!("arn:aws:events:{REGION}:{ACCOUNT_ID}:rule/every-minute")],
        });
        assert_eq!(event, expected);
    }
}
