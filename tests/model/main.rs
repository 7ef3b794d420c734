//! The protocol as a law: every interleaving of a small world, state by state.
//!
//! The decisions are the real ones: `event_handler::plan`, `domain::fan_out::{audience, settle}`, `protocol::Follower`. Around
//! them stands a model of the tables, the change feed, the page queue, API Gateway and the functions' steps, each of which
//! can be the last one. Each question has a world of its own, so that its states can be counted.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed"
)]

mod browser;
mod handler;
mod rules;
mod state;
mod subscribe;
mod system;

use stateright::{Checker, Model};

use rules::{Bounds, Rules};
use system::{COMPLETE, COSTLY, HELD, System};

/// Threads of a whole check; with one, the same counter-example is found each time.
const THREADS: usize = 2;

/// Checks every reachable state, and prints how many there are.
fn check(name: &str, rules: Rules, bounds: Bounds, threads: usize) -> impl Checker<System> + use<> {
    let checker = System { rules, bounds }.checker().threads(threads).spawn_bfs().join();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    println!("model, {name}: {states} states, {} transitions, {depth} steps deep", checker.state_count());
    checker
}

/// Takes a rule out and finds what goes wrong then, in a world that has only what it takes.
fn find(property: &'static str, rule: &str, rules: Rules, bounds: Bounds) {
    let checker = check(&format!("without the rule that {rule}"), rules, bounds, 1);
    let path = checker.discovery(property).unwrap_or_else(|| panic!("without the rule it holds: {property}"));
    let actions = path.into_actions();
    println!("  not \"{property}\" after {} steps:", actions.len());
    actions.iter().for_each(|action| println!("    {action:?}"));
}

#[test]
fn every_browser_is_complete_whenever_nothing_is_under_way() {
    let configurations = [
        ("one browser, a lost socket", Bounds { disconnects: 1, ..Bounds::ONE_BROWSER }),
        ("one browser, a failed push", Bounds { pushes_failed: 1, ..Bounds::ONE_BROWSER }),
        ("one browser that unsubscribes", Bounds { unsubscribes: 1, ..Bounds::ONE_BROWSER }),
        ("one browser, two handlers", Bounds { strays: 1, ..Bounds::ONE_BROWSER }),
        ("one browser, events ahead of others", Bounds { events: 3, ahead: 2, crashes: 0, ..Bounds::ONE_BROWSER }),
        ("one browser, an event ahead, a function killed", Bounds { ahead: 1, ..Bounds::ONE_BROWSER }),
        (
            "one browser, an event ahead, two handlers",
            Bounds { ahead: 1, strays: 1, crashes: 0, ..Bounds::ONE_BROWSER },
        ),
        ("two browsers, a lost socket", Bounds { disconnects: 1, ..Bounds::TWO_BROWSERS }),
        ("two browsers, a failed push", Bounds { pushes_failed: 1, ..Bounds::TWO_BROWSERS }),
        ("an order that is lost and found, a function killed", Bounds { crashes: 1, ..Bounds::LOST_AND_FOUND }),
        ("an order that is lost and found, a failed push", Bounds { pushes_failed: 1, ..Bounds::LOST_AND_FOUND }),
        ("an order that is lost and found, two handlers", Bounds { strays: 1, ..Bounds::LOST_AND_FOUND }),
        ("four browsers, each of which may be out of reach", Bounds { pushes_failed: 4, ..Bounds::FOUR_BROWSERS }),
        (
            "four bad browsers and a good one",
            Bounds { events: 2, browsers: 5, bad: 4, crashes: 1, ..Bounds::FOUR_BROWSERS },
        ),
    ];
    let (mut states, mut transitions) = (0, 0);
    for (name, bounds) in configurations {
        let checker = check(name, Rules::ALL, bounds, THREADS);
        checker.assert_properties();
        states += checker.unique_state_count();
        transitions += checker.state_count();
    }
    println!("model: {states} states, {transitions} transitions, no counter-example");
}

#[test]
fn without_persist_before_push_a_browser_is_left_behind() {
    let rules = Rules { persist_before_push: false, ..Rules::ALL };
    find(COMPLETE, "the projection is written before the subscribers are read", rules, Bounds::CALM);
}

#[test]
fn without_row_before_projection_a_browser_is_left_behind() {
    let rules = Rules { row_before_projection: false, ..Rules::ALL };
    find(COMPLETE, "the subscription's row is written before the projection is read", rules, Bounds::CALM);
}

#[test]
fn without_the_push_of_what_is_folded_already_a_browser_is_left_behind() {
    let rules = Rules { push_what_is_folded: false, ..Rules::ALL };
    find(COMPLETE, "what is folded already is pushed all the same", rules, Bounds { crashes: 1, ..Bounds::CALM });
}

#[test]
fn without_settling_failed_pushes_a_browser_is_left_behind() {
    let rules = Rules { settle_failed_pushes: false, ..Rules::ALL };
    find(
        COMPLETE,
        "a failed push closes its connection or comes again",
        rules,
        Bounds { pushes_failed: 1, ..Bounds::CALM },
    );
}

#[test]
fn without_the_retry_of_those_who_are_left_a_browser_is_left_behind() {
    let rules = Rules { retry_left: false, ..Rules::ALL };
    let bounds = Bounds { pushes_failed: 4, ..Bounds::FOUR_BROWSERS };
    find(COMPLETE, "those who are left are pushed to again", rules, bounds);
}

#[test]
fn without_retries_apart_from_the_change_feed_a_batch_comes_again() {
    let rules = Rules { retry_apart: false, ..Rules::ALL };
    find(
        HELD,
        "those who are left wait on the page queue",
        rules,
        Bounds { browsers: 5, bad: 4, ..Bounds::FOUR_BROWSERS },
    );
}

#[test]
fn without_a_close_a_bad_connection_costs_a_push_in_each_round() {
    let rules = Rules { close_bad: false, ..Rules::ALL };
    let bounds = Bounds { browsers: 2, bad: 1, ..Bounds::FOUR_BROWSERS };
    find(COSTLY, "a bad connection is closed", rules, bounds);
}

#[test]
fn without_the_row_that_was_read_whoever_lost_an_order_does_not_find_it() {
    let rules = Rules { delete_row_that_was_read: false, ..Rules::ALL };
    find(COMPLETE, "the row is deleted that was read", rules, Bounds::LOST_AND_FOUND);
}

#[test]
fn without_a_note_beside_the_projection_an_event_ahead_of_another_is_left_behind() {
    let rules = Rules { note_gaps: false, ..Rules::ALL };
    let bounds = Bounds { events: 2, ahead: 1, ..Bounds::CALM };
    find(COMPLETE, "whoever folds a missing event goes on with those that wait", rules, bounds);
}

#[test]
fn without_a_write_over_exactly_what_was_read_an_event_ahead_of_another_is_left_behind() {
    let rules = Rules { write_over_what_was_read: false, ..Rules::ALL };
    let bounds = Bounds { events: 2, ahead: 1, strays: 1, ..Bounds::CALM };
    find(COMPLETE, "the note is a part of what the next write goes over", rules, bounds);
}

#[test]
fn without_telling_first_whoever_lost_an_order_is_not_told_after_a_crash() {
    let rules = Rules { tell_before_delete: false, ..Rules::ALL };
    let bounds = Bounds { crashes: 1, ..Bounds::LOST_AND_FOUND };
    find(COMPLETE, "whoever lost an order is told before the row is deleted", rules, bounds);
}
