//! What one order's events of a batch call for.
//!
//! Owns: the decision, from the versions alone, what is folded, what is read from the log and what is pushed.
//! Must not know: DynamoDB, `async`; it plans and does nothing.
//! Source: rule 3 of the guarantee: what is folded already is pushed all the same.

use std::ops::RangeInclusive;

use domain::{Version, limits::PUSHED_RUN_EVENTS_MAX};

/// What to do about an order, given where its stored projection stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The events to fold into the projection: empty if all are in it.
    pub fold: RangeInclusive<Version>,
    /// The events to push: from the first that was delivered to the version that the projection will have. Absent if
    /// they are too many for one update, which then travels without events.
    pub push: Option<RangeInclusive<Version>>,
    /// Whether the delivered events do not cover both: the rest is in the log.
    pub read_log: bool,
}

/// Plans for a projection that stands `at` a version and for events that were delivered, whatever their order and
/// however often. If an event is known to be `ahead`, all up to it are due. `None` if nothing was delivered.
#[must_use]
pub fn plan(at: Version, delivered: &[Version], ahead: Option<Version>) -> Option<Plan> {
    let first = *delivered.iter().min()?;
    let last = *delivered.iter().max()?;
    let head = last.max(at).max(ahead.unwrap_or_default());
    let fold = at.next()..=head;
    let push = first..=head;
    let covers = |range: &RangeInclusive<Version>| {
        let distinct: std::collections::BTreeSet<_> =
            delivered.iter().filter(|version| range.contains(version)).collect();
        u64::try_from(distinct.len()).ok() == Some(length(range))
    };
    let push = (length(&push) <= PUSHED_RUN_EVENTS_MAX).then_some(push);
    let read_log = !covers(&fold) || push.as_ref().is_some_and(|push| !covers(push));
    Some(Plan { fold, push, read_log })
}

fn length(range: &RangeInclusive<Version>) -> u64 {
    range.end().get().saturating_add(1).saturating_sub(range.start().get())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn planned(at: u64, delivered: &[u64]) -> (Vec<u64>, Vec<u64>, bool) {
        let delivered: Vec<Version> = delivered.iter().copied().map(Version::new).collect();
        let plan = plan(Version::new(at), &delivered, None).unwrap();
        let list = |range: RangeInclusive<Version>| (range.start().get()..=range.end().get()).collect();
        (list(plan.fold), plan.push.map_or(vec![], list), plan.read_log)
    }

    #[test]
    fn the_next_events_are_folded_and_pushed_without_the_log() {
        assert_eq!(planned(0, &[1]), (vec![1], vec![1], false));
        assert_eq!(planned(6, &[7, 8]), (vec![7, 8], vec![7, 8], false));
        assert_eq!(planned(6, &[8, 7, 7]), (vec![7, 8], vec![7, 8], false));
    }

    #[test]
    fn what_is_folded_already_is_pushed_up_to_the_projection() {
        assert_eq!(planned(7, &[7]), (vec![], vec![7], false));
        assert_eq!(planned(9, &[7]), (vec![], vec![7, 8, 9], true));
        assert_eq!(planned(7, &[6, 7, 8]), (vec![8], vec![6, 7, 8], false));
    }

    #[test]
    fn an_event_ahead_of_its_predecessors_has_them_read_and_folded() {
        assert_eq!(planned(4, &[7]), (vec![5, 6, 7], vec![7], true));
        assert_eq!(planned(0, &[2, 4]), (vec![1, 2, 3, 4], vec![2, 3, 4], true));
    }

    #[test]
    fn the_highest_number_is_a_version_like_any_other() {
        let highest = Version::new(u64::MAX);
        let plan = plan(Version::NONE, &[highest], None).unwrap();
        assert_eq!(plan, Plan { fold: Version::FIRST..=highest, push: Some(highest..=highest), read_log: true });
    }

    #[test]
    fn whoever_folds_an_event_goes_on_to_those_that_wait_for_it() {
        let planned =
            |at, delivered, ahead| plan(Version::new(at), &[Version::new(delivered)], Some(Version::new(ahead)));
        let run = |first, last| Version::new(first)..=Version::new(last);
        assert_eq!(planned(2, 3, 5), Some(Plan { fold: run(3, 5), push: Some(run(3, 5)), read_log: true }));
        assert_eq!(planned(2, 3, 3), Some(Plan { fold: run(3, 3), push: Some(run(3, 3)), read_log: false }));
        assert_eq!(planned(2, 2, 5), Some(Plan { fold: run(3, 5), push: Some(run(2, 5)), read_log: true }));
    }

    #[test]
    fn a_run_that_is_too_long_is_pushed_without_events() {
        assert_eq!(planned(1_000, &[1]).1.len(), 1_000);
        assert_eq!(planned(1_001, &[1]), (vec![], vec![], false));
    }

    proptest! {
        #[test]
        fn every_event_up_to_the_head_is_folded_and_every_delivered_one_is_pushed(
            at in 0u64..30, delivered in prop::collection::vec(1u64..30, 1..10),
        ) {
            let (fold, push, read_log) = planned(at, &delivered);
            let head = delivered.iter().copied().max().unwrap().max(at);
            prop_assert_eq!(&fold, &(at + 1..=head).collect::<Vec<_>>());
            prop_assert!(delivered.iter().all(|version| push.contains(version)));
            prop_assert_eq!(push.last(), Some(&head));
            let missing = fold.iter().chain(&push).any(|version| !delivered.contains(version));
            prop_assert_eq!(read_log, missing);
        }
    }
}
