//! A client's view of one order: what turns an at-least-once wire into every event once, in order.
//!
//! Owns: dropping what it has, noticing a gap, knowing where to resume.
//! Must not know: sockets, clocks, how an update is shown.
//! Source: "What a client does" in README.md of this crate.

use domain::{EventRef, OrderId, Redacted, Version, fold};

use crate::{
    message::{SentEvent, Update},
    request::{Since, Wanted},
};

/// Where a client stands in one order's log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Follower {
    position: Option<Position>,
    /// The highest version that any update named; ahead of the position while a gap is open.
    seen: Version,
    /// The highest version that any update named since the last subscribe.
    seen_since_asked: Version,
    awaits_answer: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Position {
    version: Version,
    event_ref: Option<EventRef>,
    projection: Option<Redacted>,
}

/// What an update means to a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The starting point: the projection as it stands. Events before it are not sent.
    Started,
    /// The log is another one: everything before this is void.
    Reset,
    /// The next events, in order.
    Advanced(Vec<SentEvent>),
    /// No event, and another projection of the same version: the order was folded again.
    Refolded,
    /// Nothing that the client does not have.
    Duplicate,
    /// Events are missing: subscribe again, with [`Follower::since`].
    Gap,
    /// Events are missing, and the subscribe that will bring them is not answered yet.
    GapAwaited,
}

impl Follower {
    /// A follower that has the events up to `since` already.
    #[must_use]
    pub fn resuming(since: Version) -> Self {
        let position = Position { version: since, event_ref: None, projection: None };
        Self { position: Some(position), seen: since, ..Self::default() }
    }

    /// Where to resume; absent before the first answer.
    #[must_use]
    pub fn since(&self) -> Option<Since> {
        self.position.as_ref().map(|at| Since { version: at.version, event_ref: at.event_ref.clone() })
    }

    /// The version up to which the client has all events.
    #[must_use]
    pub fn version(&self) -> Version {
        self.position.as_ref().map_or(Version::NONE, |at| at.version)
    }

    /// The projection at [`Follower::version`], if it is known.
    #[must_use]
    pub fn projection(&self) -> Option<&Redacted> {
        self.position.as_ref().and_then(|at| at.projection.as_ref())
    }

    /// What to subscribe with; its answer is due from here on.
    pub fn ask(&mut self, order_id: &OrderId) -> Wanted {
        self.awaits_answer = true;
        self.seen_since_asked = Version::NONE;
        Wanted { order_id: order_id.clone(), since: self.since() }
    }

    /// The connection was lost, and with it every answer that was due.
    pub fn disconnected(&mut self) {
        self.awaits_answer = false;
    }

    /// Whether a subscribe was sent whose answer is due. One that failed has to be sent again.
    #[must_use]
    pub fn awaits_answer(&self) -> bool {
        self.awaits_answer
    }

    /// Takes an update of this order.
    pub fn accept(&mut self, update: &Update) -> Step {
        self.seen_since_asked = self.seen_since_asked.max(update.version);
        // The answer about an order without events, or of another: what was seen before it was asked for is no gap any more,
        // and what was seen since then is one.
        let is_empty = update.version == Version::NONE && (update.reset || self.version() == Version::NONE);
        self.seen = match (is_empty, update.reset) {
            (true, _) => self.seen_since_asked,
            (false, true) => update.version,
            (false, false) => self.seen.max(update.version),
        };
        let Some(at) = self.position.as_mut().filter(|_| !update.reset) else {
            let restarted = self.position.is_some();
            self.awaits_answer = false;
            self.position = Some(Position {
                version: update.version,
                event_ref: update.events.last().map(|event| event.event_ref.clone()),
                projection: update.projection.clone(),
            });
            return if restarted { Step::Reset } else { Step::Started };
        };
        if update.version < at.version {
            return self.after(Step::Duplicate);
        }
        if update.version == at.version {
            let Some(projection) = &update.projection else { return self.answered(Step::Duplicate) };
            let before = at.projection.replace(projection.clone());
            // An answer to a resume may bring it as well: it does not say what the client has.
            let is_other = before.is_some_and(|before| before != *projection);
            return self.answered(if is_other { Step::Refolded } else { Step::Duplicate });
        }
        let begins_at_or_before_next = update.events.first().is_some_and(|event| event.version <= at.version.next());
        if !begins_at_or_before_next {
            return self.after(Step::Duplicate);
        }
        let fresh: Vec<SentEvent> = update.events.iter().filter(|event| event.version > at.version).cloned().collect();
        let before = at.projection.take();
        at.version = update.version;
        at.event_ref = fresh.last().map(|event| event.event_ref.clone());
        at.projection = update.projection.clone().or_else(|| before.map(|before| folded(&before, &fresh)));
        self.answered(Step::Advanced(fresh))
    }

    /// An update up to this version is known to exist and does not come.
    pub fn missed(&mut self, version: Version) {
        self.seen = self.seen.max(version);
        self.seen_since_asked = self.seen_since_asked.max(version);
    }

    fn answered(&mut self, step: Step) -> Step {
        self.awaits_answer = false;
        step
    }

    /// What an update that brought nothing means, given what else was seen.
    fn after(&self, nothing: Step) -> Step {
        match (self.seen > self.version(), self.awaits_answer) {
            (true, true) => Step::GapAwaited,
            (true, false) => Step::Gap,
            (false, _) => nothing,
        }
    }

    /// Whether events are known to be missing and nothing is under way that brings them.
    #[must_use]
    pub fn must_resume(&self) -> bool {
        self.after(Step::Duplicate) == Step::Gap
    }
}

/// A projection after more events. Redaction and fold commute, so the sent events fold to the sent projection.
#[must_use]
pub fn folded(projection: &Redacted, events: &[SentEvent]) -> Redacted {
    let mut fields = projection.fields().clone();
    for event in events {
        fold::merge(&mut fields, event.data.fields());
    }
    domain::Redaction::default().apply(&fields)
}

#[cfg(test)]
mod tests {
    use domain::{Json, Redaction};
    use serde_json::json;

    use super::*;

    fn redacted(version: u64) -> Redacted {
        let fields = Json::from(json!({"eventName": "A", "orderId": "o", "n": version}));
        Redaction::default().take(fields.into_object().unwrap())
    }

    fn event(version: u64) -> SentEvent {
        let event_ref = EventRef::parse(&version.to_string()).unwrap();
        SentEvent { version: Version::new(version), event_ref, ts_us: 0, data: redacted(version) }
    }

    fn update(first: u64, last: u64) -> Update {
        Update {
            order_id: OrderId::new("o").unwrap(),
            version: Version::new(last),
            events: (first..=last).map(event).collect(),
            projection: Some(redacted(last)),
            reset: false,
            refolded: false,
        }
    }

    fn advanced(first: u64, last: u64) -> Step {
        Step::Advanced((first..=last).map(event).collect())
    }

    #[test]
    fn events_that_it_has_are_dropped() {
        let mut follower = Follower::default();
        assert_eq!(follower.accept(&update(8, 7)), Step::Started);
        assert_eq!(follower.accept(&update(8, 8)), advanced(8, 8));
        assert_eq!(follower.accept(&update(8, 8)), Step::Duplicate);
        assert_eq!(follower.accept(&update(7, 10)), advanced(9, 10));
        assert_eq!(follower.accept(&update(7, 7)), Step::Duplicate);
        assert_eq!(follower.projection(), Some(&redacted(10)));
    }

    #[test]
    fn another_projection_of_the_same_version_is_news() {
        let mut follower = Follower::default();
        follower.accept(&update(8, 7));
        let pushed = Update { projection: Some(redacted(70)), refolded: true, ..update(8, 7) };
        assert_eq!(follower.accept(&pushed), Step::Refolded);
        assert_eq!(follower.projection(), Some(&redacted(70)));
        assert_eq!(follower.accept(&pushed), Step::Duplicate);
        // Whoever was away when it was pushed hears of it by the answer to a resume.
        follower.ask(&OrderId::new("o").unwrap());
        let answer = Update { projection: Some(redacted(71)), ..update(8, 7) };
        assert_eq!(follower.accept(&answer), Step::Refolded);
        assert!(!follower.awaits_answer());
        assert_eq!(follower.accept(&update(8, 8)), advanced(8, 8));
    }

    #[test]
    fn a_gap_is_healed_by_a_resume() {
        let mut follower = Follower::default();
        follower.accept(&update(6, 5));
        assert_eq!(follower.accept(&update(7, 7)), Step::Gap);
        follower.ask(&OrderId::new("o").unwrap());
        assert_eq!(follower.accept(&update(9, 9)), Step::GapAwaited);
        assert_eq!(follower.since().unwrap().version, Version::new(5));
        assert_eq!(follower.accept(&update(6, 8)), advanced(6, 8));
        assert!(follower.must_resume(), "version 9 was seen and has not come");
        assert_eq!(follower.accept(&Update { events: vec![], ..update(9, 9) }), Step::Gap);
    }

    #[test]
    fn an_update_that_is_known_to_be_lost_is_a_gap_if_it_is_news() {
        let mut follower = Follower::default();
        follower.accept(&update(6, 5));
        follower.missed(Version::new(5));
        assert!(!follower.must_resume());
        follower.missed(Version::new(7));
        assert!(follower.must_resume());
        follower.ask(&OrderId::new("o").unwrap());
        assert!(!follower.must_resume());
        assert_eq!(follower.accept(&update(6, 7)), advanced(6, 7));
        assert!(!follower.must_resume());
    }

    #[test]
    fn an_order_that_is_hidden_is_not_resumed_for_ever() {
        let mut follower = Follower::resuming(Version::NONE);
        assert_eq!(follower.accept(&update(7, 7)), Step::Gap);
        follower.ask(&OrderId::new("o").unwrap());
        assert_eq!(follower.accept(&update(1, 0)), Step::Duplicate);
        assert!(!follower.must_resume());
        assert_eq!(follower.accept(&update(8, 8)), Step::Gap);
    }

    #[test]
    fn a_push_before_the_answer_about_a_hidden_order_is_not_forgotten() {
        let mut follower = Follower::default();
        follower.accept(&update(2, 1));
        follower.ask(&OrderId::new("o").unwrap());
        assert_eq!(follower.accept(&update(3, 3)), Step::GapAwaited);
        assert_eq!(follower.accept(&Update { reset: true, ..update(1, 0) }), Step::Reset);
        assert!(follower.must_resume());
    }

    #[test]
    fn a_push_before_the_snapshot_is_not_lost() {
        let mut follower = Follower::default();
        follower.ask(&OrderId::new("o").unwrap());
        assert_eq!(follower.accept(&update(7, 7)), Step::Started);
        assert_eq!(follower.accept(&update(7, 6)), Step::Duplicate);
        assert_eq!(follower.version(), Version::new(7));
    }

    #[test]
    fn a_reset_starts_over_below() {
        let mut follower = Follower::resuming(Version::new(40));
        let reset = Update { reset: true, events: vec![], ..update(2, 2) };
        assert_eq!(follower.accept(&reset), Step::Reset);
        assert_eq!(follower.accept(&update(3, 3)), advanced(3, 3));
    }

    #[test]
    fn a_long_resume_is_folded_until_its_projection_comes() {
        let mut follower = Follower::default();
        follower.accept(&update(1, 0));
        assert_eq!(follower.accept(&Update { projection: None, ..update(1, 3) }), advanced(1, 3));
        assert_eq!(follower.projection(), Some(&redacted(3)));
    }
}
