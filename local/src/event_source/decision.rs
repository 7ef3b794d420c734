//! What a function's reply means for a batch.
//!
//! Owns: every recorded case of `ReportBatchItemFailures`, as a pure function.
//! Must not know: invocations, retries, clocks.
//! Source: LocalStack's event source mapping tests, recorded from AWS.

use serde_json::Value;

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Outcome {
    /// The function replied; a reply that is no JSON is null.
    Replied(Value),
    /// The function failed, timed out or ended.
    Failed,
    /// The function could not be invoked at all.
    NotInvoked,
}

/// What becomes of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// All its records are done.
    Done,
    /// Records from this one on come again: as one batch, or split after so many of them.
    Continue {
        /// Index of the first record that comes again.
        from: usize,
        /// How many of them are tried first and alone.
        split: Option<usize>,
    },
}

/// Decides on a batch of these sequence numbers.
pub(super) fn decide(sequence_numbers: &[&str], outcome: &Outcome, reports: bool, bisect: bool) -> Decision {
    let from = match outcome {
        Outcome::Replied(_) if !reports => return Decision::Done,
        Outcome::Replied(reply) => match reported(sequence_numbers, reply) {
            Reported::None => return Decision::Done,
            Reported::From(index) => index,
            Reported::Whole => 0,
        },
        Outcome::Failed | Outcome::NotInvoked => 0,
    };
    let left = sequence_numbers.len() - from;
    let can_split = bisect && from == 0 && left > 1 && *outcome != Outcome::NotInvoked;
    Decision::Continue { from, split: can_split.then_some(left / 2) }
}

/// The attempts that a batch has used up. One that got shorter is another batch, and a function that could not be invoked
/// was not tried: only a failure of the same batch counts.
pub(super) fn attempts_after(attempts: u32, from: usize, split: Option<usize>, outcome: &Outcome) -> u32 {
    if from > 0 || split.is_some() {
        0
    } else if *outcome == Outcome::NotInvoked {
        attempts
    } else {
        attempts + 1
    }
}

enum Reported {
    None,
    From(usize),
    Whole,
}

fn reported(sequence_numbers: &[&str], reply: &Value) -> Reported {
    let failures = match reply.get("batchItemFailures") {
        None | Some(Value::Null) => return Reported::None,
        Some(Value::Array(failures)) => failures,
        Some(_) => return Reported::Whole,
    };
    let index = |failure: &Value| {
        let identifier = failure.get("itemIdentifier")?.as_str()?;
        sequence_numbers.iter().position(|sequence_number| *sequence_number == identifier)
    };
    let mut lowest = None;
    for failure in failures {
        match index(failure) {
            Some(index) => lowest = Some(lowest.map_or(index, |lowest: usize| lowest.min(index))),
            None => return Reported::Whole,
        }
    }
    lowest.map_or(Reported::None, Reported::From)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const WHOLE: Decision = Decision::Continue { from: 0, split: None };

    fn on_reply(reply: Value) -> Decision {
        decide(&["10", "20", "30", "40"], &Outcome::Replied(reply), true, false)
    }

    #[test]
    fn a_reply_without_failures_is_success() {
        for reply in
            [json!([]), Value::Null, json!({}), json!({"batchItemFailures": []}), json!({"batchItemFailures": null})]
        {
            assert_eq!(on_reply(reply.clone()), Decision::Done, "{reply}");
        }
    }

    #[test]
    fn a_failure_that_names_no_record_fails_the_whole_batch() {
        for failure in [
            json!({"itemIdentifier": 10}),
            json!({"itemIdentifier": "50"}),
            json!({"itemIdentifier": ""}),
            json!({"itemIdentifier": null}),
            json!({"foo": "10"}),
            json!({"foo": ""}),
        ] {
            assert_eq!(on_reply(json!({"batchItemFailures": [failure]})), WHOLE, "{failure}");
        }
        assert_eq!(decide(&["10"], &Outcome::Failed, true, false), WHOLE);
    }

    #[test]
    fn only_a_failure_of_the_same_batch_uses_up_an_attempt() {
        assert_eq!(attempts_after(3, 0, None, &Outcome::Failed), 4);
        assert_eq!(attempts_after(3, 0, None, &Outcome::NotInvoked), 3);
        assert_eq!(attempts_after(3, 0, Some(2), &Outcome::Failed), 0);
        assert_eq!(attempts_after(3, 1, None, &Outcome::Failed), 0);
    }

    #[test]
    fn several_failures_come_again_from_the_lowest_on() {
        let failures = json!({"batchItemFailures": [{"itemIdentifier": "30"}, {"itemIdentifier": "20"}]});
        assert_eq!(on_reply(failures), Decision::Continue { from: 1, split: None });
    }

    #[test]
    fn a_reply_is_not_looked_at_unless_the_mapping_asks_for_it() {
        let failures = Outcome::Replied(json!({"batchItemFailures": [{"itemIdentifier": "10"}]}));
        assert_eq!(decide(&["10"], &failures, false, true), Decision::Done);
    }

    #[test]
    fn a_batch_that_fails_from_its_first_record_is_split_in_halves_and_else_at_the_failure() {
        let numbers = ["10", "20", "30", "40"];
        let half = Decision::Continue { from: 0, split: Some(2) };
        assert_eq!(decide(&numbers, &Outcome::Failed, true, true), half);
        let at = |number: &str| Outcome::Replied(json!({"batchItemFailures": [{"itemIdentifier": number}]}));
        assert_eq!(decide(&numbers, &at("10"), true, true), half);
        assert_eq!(decide(&numbers, &at("30"), true, true), Decision::Continue { from: 2, split: None });
        assert_eq!(decide(&["10"], &Outcome::Failed, true, true), WHOLE);
        assert_eq!(decide(&numbers, &Outcome::NotInvoked, true, true), WHOLE);
    }
}
