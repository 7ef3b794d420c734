//! The orders that are tailed.
//!
//! Owns: what is asked of the gateway for each, and the lines that an update becomes: one an event, each with the
//! projection as of that event, however many travelled together.
//! Must not know: the socket.
//! Source: redaction and fold commute, so the events that are sent fold to the projections that would have been.

use std::collections::BTreeMap;

use domain::{OrderId, Redacted, Version};
use protocol::{
    Follower, Message, SentEvent, Step, Update,
    follower::folded,
    parts::Lost,
    request::{Wanted, subscribe},
};

/// Orders named in one message, so that it stays under API Gateway's 32 KB a frame.
const ORDERS_PER_SUBSCRIBE: usize = 50;

/// Every order that is tailed, and where it stands.
#[derive(Debug)]
pub(super) struct Orders(BTreeMap<OrderId, Follower>);

/// What an update leads to.
#[derive(Debug, Default)]
pub(super) struct Taken {
    /// What to print.
    pub(super) lines: Vec<String>,
    /// What to send.
    pub(super) ask: Vec<String>,
    /// Whether something that was asked failed, and has to be asked again.
    pub(super) failed: bool,
}

impl Orders {
    pub(super) fn new(order_ids: Vec<OrderId>, since: Option<u64>) -> Self {
        let follower = || since.map_or_else(Follower::default, |since| Follower::resuming(Version::new(since)));
        Self(order_ids.into_iter().map(|order_id| (order_id, follower())).collect())
    }

    pub(super) fn disconnected(&mut self) {
        self.0.values_mut().for_each(Follower::disconnected);
    }

    /// The messages that subscribe to every order, from where it stands.
    pub(super) fn subscribe_all(&mut self) -> Vec<String> {
        self.subscribe(|_follower| true)
    }

    /// The messages that subscribe to the orders whose answer is due.
    pub(super) fn subscribe_unanswered(&mut self) -> Vec<String> {
        self.subscribe(Follower::awaits_answer)
    }

    fn subscribe(&mut self, is_wanted: impl Fn(&Follower) -> bool) -> Vec<String> {
        let wanted = self.0.iter_mut().filter(|(_, follower)| is_wanted(follower));
        let wanted: Vec<Wanted> = wanted.map(|(order_id, follower)| follower.ask(order_id)).collect();
        wanted.chunks(ORDERS_PER_SUBSCRIBE).map(subscribe).collect()
    }

    pub(super) fn accept(&mut self, update: &Update) -> Taken {
        let Some(follower) = self.0.get_mut(&update.order_id) else { return Taken::default() };
        let before = follower.projection().cloned();
        let lines = match follower.accept(update) {
            Step::Started | Step::Reset | Step::Refolded => vec![Message::Update(update.clone()).text()],
            Step::Advanced(events) => lines(update, before.as_ref(), &events),
            Step::Duplicate | Step::Gap | Step::GapAwaited => Vec::new(),
        };
        let ask = follower.must_resume().then(|| subscribe(&[follower.ask(&update.order_id)]));
        Taken { lines, ask: ask.into_iter().collect(), failed: false }
    }

    /// Takes what is known to be lost: an order that is behind resumes, and an answer that was due counts as failed.
    pub(super) fn lost(&mut self, lost: &[Lost]) -> Taken {
        let mut failed = false;
        for each in lost {
            match each {
                Lost::Named { order_id, version } => {
                    let Some(follower) = self.0.get_mut(order_id) else { continue };
                    follower.missed(*version);
                    failed |= follower.awaits_answer();
                }
                Lost::Unnamed => return Taken { ask: self.subscribe_all(), ..Taken::default() },
            }
        }
        Taken { ask: self.subscribe(Follower::must_resume), failed, ..Taken::default() }
    }
}

/// One update an event. The projection before them is known, except after a resume from the command line at a version
/// above 0: then all but the last event have none.
fn lines(update: &Update, before: Option<&Redacted>, events: &[SentEvent]) -> Vec<String> {
    let first_of_log = events.first().is_some_and(|event| event.version == Version::FIRST);
    let empty = Redacted::default();
    let mut projection = before.or(first_of_log.then_some(&empty)).cloned();
    let last = events.len().saturating_sub(1);
    let mut lines = Vec::with_capacity(events.len());
    for (index, event) in events.iter().enumerate() {
        projection = projection.map(|projection| folded(&projection, std::slice::from_ref(event)));
        let sent = update.projection.clone().filter(|_| index == last);
        let projection = sent.or_else(|| projection.clone());
        let one = Update {
            order_id: update.order_id.clone(),
            version: event.version,
            events: vec![event.clone()],
            projection,
            reset: false,
            refolded: false,
        };
        lines.push(Message::Update(one).text());
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn update(json: &Value) -> Update {
        let Message::Update(update) = Message::read(&json.to_string()).unwrap() else { panic!("no update: {json}") };
        update
    }

    fn event(version: u64) -> Value {
        json!({"version": version, "ref": version.to_string(), "ts": 0, "data": {format!("f{version}"): version}})
    }

    #[test]
    fn a_burst_that_travelled_as_one_update_is_a_line_an_event() {
        let order_id = OrderId::new("o").unwrap();
        let mut orders = Orders::new(vec![order_id], None);
        let snapshot = json!({"type": "update", "orderId": "o", "version": 0, "events": [], "projection": {}});
        assert_eq!(
            orders.accept(&update(&snapshot)).lines,
            [snapshot.to_string()].map(|_| Message::Update(update(&snapshot)).text())
        );
        let burst = json!({
            "type": "update", "orderId": "o", "version": 2, "events": [event(1), event(2)],
            "projection": {"f1": 1, "f2": 2},
        });
        let lines: Vec<Value> =
            orders.accept(&update(&burst)).lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
        let projections: Vec<&Value> = lines.iter().map(|line| &line["projection"]).collect();
        assert_eq!(projections, [&json!({"f1": 1}), &json!({"f1": 1, "f2": 2})]);
        assert_eq!(lines[1]["version"], 2);
        assert!(orders.accept(&update(&burst)).lines.is_empty());
    }

    #[test]
    fn a_gap_asks_for_what_is_missing() {
        let mut orders = Orders::new(vec![OrderId::new("o").unwrap()], Some(0));
        let ahead = json!({"type": "update", "orderId": "o", "version": 2, "events": [event(2)], "projection": {}});
        let taken = orders.accept(&update(&ahead));
        assert!(taken.lines.is_empty());
        let asked = taken.ask;
        assert_eq!(asked, [r#"{"action":"subscribe","orders":[{"orderId":"o","since":0}]}"#]);
        assert_eq!(orders.subscribe_unanswered(), asked, "an answer that failed is asked for again");
        orders.accept(&update(&json!({
            "type": "update", "orderId": "o", "version": 2, "events": [event(1), event(2)], "projection": {},
        })));
        assert!(orders.subscribe_unanswered().is_empty());
    }

    #[test]
    fn an_update_that_is_lost_is_asked_for_if_it_is_news() {
        let mut orders = Orders::new(["a", "b"].map(|id| OrderId::new(id).unwrap()).to_vec(), Some(3));
        let lost =
            |id: &str, version| Lost::Named { order_id: OrderId::new(id).unwrap(), version: Version::new(version) };
        assert!(orders.lost(&[lost("a", 3), lost("c", 9)]).ask.is_empty());
        let taken = orders.lost(&[lost("a", 4)]);
        assert_eq!(taken.ask, [r#"{"action":"subscribe","orders":[{"orderId":"a","since":3}]}"#]);
        assert!(!taken.failed);
        let taken = orders.lost(&[lost("a", 4)]);
        assert!(taken.failed, "it may have been the answer");
        assert!(taken.ask.is_empty(), "it is asked again after a pause");
        let taken = orders.lost(&[Lost::Unnamed]);
        let every = r#"{"action":"subscribe","orders":[{"orderId":"a","since":3},{"orderId":"b","since":3}]}"#;
        assert_eq!(taken.ask, [every]);
    }
}
