//! Hand-written histories, good ones and bad ones.

use serde_json::{Map, Value, json};

use super::{log::digest, *};
use crate::history::{Append, Heard, Said, Viewer};

const BOUND: Moment = 1_000_000;

fn fields(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// A history of the order `o`, in milliseconds: client 1 is alice's, client 2 is bob's, client 3 sees every order.
#[derive(Default)]
struct Story {
    history: History,
    watches: u64,
}

impl Story {
    fn new() -> Self {
        let mut story = Self::default();
        for (client, user) in [(1, "alice"), (2, "bob"), (3, "support")] {
            let viewer = Viewer { user: user.to_owned(), reads_all: user == "support" };
            story.history.viewers.insert(client, viewer);
        }
        story
    }

    /// Events with these data, the first at this time, and each a second after the one before.
    fn log(mut self, at_ms: u64, log: &[Value]) -> Self {
        let before = u64::try_from(self.history.appends.len()).unwrap();
        for (index, data) in (0..).zip(log) {
            let (version, at) = (before + index + 1, (at_ms + index * 1_000) * 1_000);
            let event_ref = format!("r{version}");
            let append = Append { order_id: "o".to_owned(), version, event_ref, data: fields(data), at };
            self.history.appends.push(append);
        }
        self
    }

    fn hears(mut self, at_ms: u64, said: Said) -> Self {
        self.history.heard.push(Heard { at: at_ms * 1_000, said });
        self
    }

    fn watches(mut self, at_ms: u64, client: ClientId) -> Self {
        self.watches += 1;
        let watch = self.watches;
        self.hears(at_ms, Said::Watching { watch, client, order_id: "o".to_owned(), since: 0 })
    }

    /// The last watch is shown these versions, and the fold of the log up to the last of them.
    fn shown(self, at_ms: u64, versions: std::ops::RangeInclusive<u64>) -> Self {
        let version = *versions.end();
        let mut folded = Map::new();
        for append in self.history.appends.iter().filter(|append| append.version <= version) {
            folded.extend(append.data.clone());
        }
        let events = versions.map(|version| (version, format!("r{version}"))).collect();
        self.told(at_ms, version, events, false, &Value::Object(folded))
    }

    /// The last watch is shown that there is no order.
    fn hidden(self, at_ms: u64) -> Self {
        self.told(at_ms, 0, Vec::new(), false, &json!({}))
    }

    fn told(self, at_ms: u64, version: u64, events: Vec<(u64, String)>, reset: bool, projection: &Value) -> Self {
        let (watch, projection) = (self.watches, digest(&fields(projection)));
        self.hears(at_ms, Said::Update { watch, version, events, reset, projection })
    }

    fn ended(self, at_ms: u64, code: &str) -> Self {
        let watch = self.watches;
        self.hears(at_ms, Said::Ended { watch, code: code.to_owned() })
    }

    fn faults(mut self, end_ms: u64, expected: Expected) -> Vec<Fault> {
        self.history.ended_at = end_ms * 1_000;
        let rules = Rules { stale_max: BOUND, faulty: [("o".to_owned(), expected)].into() };
        check(&self.history, &rules).into_iter().map(|violation| violation.fault).collect()
    }
}

/// Three events, of which a watcher that sees every order has seen what there was before.
fn three_events() -> Story {
    let log = [json!({"n": 1}), json!({"n": 2}), json!({"n": 3})];
    Story::new().log(1_000, &log).watches(0, 3).hidden(10)
}

#[test]
fn every_event_once_and_in_order_is_a_good_history() {
    let story = three_events().shown(1_100, 1..=1).shown(2_900, 2..=2).shown(3_000, 3..=3);
    assert_eq!(story.faults(9_000, Expected::Prompt), []);
    let story = three_events().shown(3_100, 1..=3);
    assert_eq!(story.faults(9_000, Expected::Eventual), [], "several at once");
}

#[test]
fn a_callback_before_the_acknowledgement_is_not_late() {
    assert_eq!(three_events().shown(900, 1..=3).faults(9_000, Expected::Prompt), []);
}

#[test]
fn a_version_that_is_left_out_is_found() {
    let story = three_events().shown(1_100, 1..=1).shown(3_100, 3..=3);
    assert_eq!(story.faults(9_000, Expected::Eventual), [Fault::Skipped { after: 1, next: 3 }]);
    let without_events = three_events().told(3_100, 3, Vec::new(), false, &json!({"n": 3}));
    assert_eq!(without_events.faults(9_000, Expected::Eventual), [Fault::Skipped { after: 0, next: 3 }]);
}

#[test]
fn a_version_that_is_shown_twice_is_found() {
    let story = three_events().shown(1_100, 1..=2).shown(1_200, 2..=3);
    assert_eq!(story.faults(9_000, Expected::Eventual), [Fault::Doubled { version: 2 }]);
}

#[test]
fn versions_out_of_order_are_found() {
    let story = three_events().shown(1_100, 1..=1).shown(1_200, 3..=3).shown(1_300, 2..=2).shown(1_400, 3..=3);
    assert_eq!(
        story.faults(9_000, Expected::Eventual),
        [Fault::Skipped { after: 1, next: 3 }, Fault::Doubled { version: 2 }]
    );
}

#[test]
fn an_event_that_nobody_appended_is_found() {
    let story = three_events().told(1_100, 1, vec![(1, "another".to_owned())], false, &json!({"n": 1}));
    assert_eq!(story.shown(1_200, 2..=3).faults(9_000, Expected::Eventual), [Fault::Foreign { version: 1 }]);
    let beyond = three_events().shown(1_100, 1..=3).told(1_200, 4, vec![(4, "r4".to_owned())], false, &json!({"n": 4}));
    let faults = beyond.faults(9_000, Expected::Eventual);
    assert!(faults.contains(&Fault::Foreign { version: 4 }), "{faults:?}");
}

#[test]
fn a_projection_that_is_not_the_fold_is_found() {
    let refs = |versions: std::ops::RangeInclusive<u64>| versions.map(|n| (n, format!("r{n}"))).collect();
    let story = three_events().told(1_100, 3, refs(1..=3), false, &json!({"n": 2}));
    assert_eq!(story.faults(9_000, Expected::Eventual), [Fault::WrongProjection { version: 3 }]);
}

#[test]
fn who_stands_behind_the_log_in_the_end_is_found() {
    let story = three_events().shown(1_100, 1..=2);
    assert_eq!(story.faults(3_500, Expected::Prompt), [Fault::LeftBehind { at: 2, head: 3 }]);
    assert_eq!(three_events().shown(1_100, 1..=2).faults(9_000, Expected::Stuck), [], "an order that is set aside");
    let silent = Story::new().log(1_000, &[json!({})]).watches(0, 3);
    assert_eq!(silent.faults(9_000, Expected::Prompt), [Fault::NeverAnswered]);
}

#[test]
fn an_event_that_is_shown_late_is_found_unless_its_order_is_the_faulty_one() {
    let late = || three_events().shown(1_100, 1..=1).shown(3_200, 2..=3);
    assert_eq!(late().faults(9_000, Expected::Prompt), [Fault::Stale { version: 2, ms: 1_200 }]);
    assert_eq!(late().faults(9_000, Expected::Eventual), []);
    let never = three_events().shown(1_100, 1..=2).faults(4_500, Expected::Prompt);
    assert_eq!(never, [Fault::LeftBehind { at: 2, head: 3 }, Fault::Stale { version: 3, ms: 1_500 }]);
}

#[test]
fn events_before_the_first_answer_are_not_late() {
    let story = Story::new().log(1_000, &[json!({})]).watches(500, 3).shown(5_000, 1..=1);
    assert_eq!(story.faults(9_000, Expected::Prompt), []);
}

/// An order of alice, then of bob, then of alice again.
fn lost_and_found() -> Story {
    let owners = ["alice", "bob", "alice"].map(|user| json!({"userId": user}));
    Story::new().log(1_000, &owners)
}

#[test]
fn an_order_that_is_lost_and_found_is_a_good_history() {
    let story = lost_and_found().watches(0, 1).hidden(10).shown(1_100, 1..=1).ended(2_100, "forbidden");
    let story = story.watches(2_101, 1).hidden(2_200).shown(3_100, 1..=3);
    assert_eq!(story.faults(9_000, Expected::Prompt), []);
    let bob = lost_and_found().watches(0, 2).hidden(10).shown(2_100, 1..=2).ended(3_100, "forbidden");
    assert_eq!(bob.watches(3_101, 2).hidden(3_200).faults(9_000, Expected::Prompt), []);
}

#[test]
fn who_never_hears_of_an_order_again_is_found() {
    let story = lost_and_found().watches(0, 1).hidden(10).shown(1_100, 1..=1).ended(2_100, "forbidden");
    let faults = story.watches(2_101, 1).hidden(2_200).faults(9_000, Expected::Prompt);
    assert_eq!(faults, [Fault::LeftBehind { at: 0, head: 3 }, Fault::Stale { version: 3, ms: 6_000 }]);
}

#[test]
fn who_is_told_twice_is_found() {
    let story = lost_and_found().watches(0, 1).hidden(10).shown(1_100, 1..=1).ended(2_100, "forbidden");
    let story = story.watches(2_101, 1).hidden(2_200).ended(2_300, "forbidden");
    let faults = story.watches(2_301, 1).hidden(2_400).shown(3_100, 1..=3).faults(9_000, Expected::Prompt);
    assert_eq!(faults, [Fault::ForbiddenTwice { told: 2, lost: 1 }]);
}

#[test]
fn who_still_shows_an_order_of_another_is_found() {
    let story = Story::new().log(1_000, &[json!({"userId": "alice"}), json!({"userId": "bob"})]);
    let faults = story.watches(0, 1).hidden(10).shown(1_100, 1..=1).faults(9_000, Expected::Prompt);
    assert_eq!(faults, [Fault::NotTold { at: 1 }]);
}

#[test]
fn who_is_shown_an_order_of_another_is_found() {
    let story = Story::new().log(1_000, &[json!({"userId": "alice"})]).watches(0, 2).hidden(10);
    let faults = story.shown(1_100, 1..=1).faults(9_000, Expected::Prompt);
    assert_eq!(faults, [Fault::ShownToAnother { version: 1 }, Fault::NotTold { at: 1 }]);
}

#[test]
fn who_lost_an_order_while_it_was_away_may_be_told_that_there_is_none() {
    let away = lost_and_found().watches(0, 1).hidden(10).shown(1_100, 1..=1);
    let story = away.told(2_100, 0, Vec::new(), true, &json!({})).shown(3_100, 1..=3);
    assert_eq!(story.faults(9_000, Expected::Prompt), []);
}

#[test]
fn another_reset_is_found() {
    let story = three_events().shown(1_100, 1..=1).told(1_200, 0, Vec::new(), true, &json!({})).shown(1_300, 1..=3);
    assert_eq!(story.faults(9_000, Expected::Prompt), [Fault::Reset { version: 0 }]);
}

#[test]
fn an_error_that_no_page_should_get_and_a_word_after_it_are_found() {
    let story = three_events().shown(1_100, 1..=1).ended(1_200, "too_large").shown(1_300, 2..=3);
    let code = "too_large".to_owned();
    assert_eq!(story.faults(9_000, Expected::Eventual), [Fault::Ended { code }, Fault::AfterTheEnd]);
}

#[test]
fn the_figures_are_those_of_the_prompt_orders() {
    let mut history = three_events().shown(1_100, 1..=1).shown(2_300, 2..=2).shown(3_050, 3..=3).history;
    history.ended_at = 9_000_000;
    let mut rules = Rules { stale_max: BOUND, faulty: [].into() };
    let prompt = figures(&history, &rules);
    assert_eq!((prompt.timed, prompt.p50_ms, prompt.p99_ms, prompt.max_ms), (3, 100, 300, 300));
    rules.faulty.insert("o".to_owned(), Expected::Eventual);
    assert_eq!(figures(&history, &rules).timed, 0);
}

#[test]
fn a_digest_does_not_hang_on_the_order_of_fields() {
    let text = r#"{"b":{"y":[1,{"d":2,"c":1.2}],"x":"é"},"a":true}"#;
    let other = r#"{"a":true,"b":{"x":"é","y":[1,{"c":1.2,"d":2}]}}"#;
    let digest_of = |text: &str| digest(&serde_json::from_str(text).unwrap());
    assert_eq!(digest_of(text), digest_of(other));
    assert_ne!(digest_of(text), digest_of(r#"{"a":true}"#));
}
