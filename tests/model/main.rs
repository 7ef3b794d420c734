//! The protocol as a law: every interleaving of a small world, state by state.
//!
//! The decisions are the real ones: `event_handler::plan`, `domain::fan_out::settle`, `protocol::Follower`. Around them stands
//! a model of the tables, the change feed, API Gateway and the functions' steps, each of which can be the last one.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
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
use system::System;

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
fn find(rule: &str, rules: Rules, bounds: Bounds) {
    let checker = check(&format!("without the rule that {rule}"), rules, bounds, 1);
    let path = checker.discovery(system::COMPLETE).expect("without the rule a browser is left behind");
    let actions = path.into_actions();
    println!("  a browser is left behind after {} steps:", actions.len());
    actions.iter().for_each(|action| println!("    {action:?}"));
}

#[test]
fn every_browser_is_complete_whenever_nothing_is_under_way() {
    let configurations = [
        ("one browser", Bounds::ONE_BROWSER),
        ("one browser that unsubscribes", Bounds { unsubscribes: 1, disconnects: 0, ..Bounds::ONE_BROWSER }),
        ("one browser, two handlers", Bounds { strays: 1, disconnects: 0, ..Bounds::ONE_BROWSER }),
        ("two browsers", Bounds::TWO_BROWSERS),
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
    find("the projection is written before the subscribers are read", rules, Bounds::CALM);
}

#[test]
fn without_row_before_projection_a_browser_is_left_behind() {
    let rules = Rules { row_before_projection: false, ..Rules::ALL };
    find("the subscription's row is written before the projection is read", rules, Bounds::CALM);
}

#[test]
fn without_the_push_of_what_is_folded_already_a_browser_is_left_behind() {
    let rules = Rules { push_what_is_folded: false, ..Rules::ALL };
    find("what is folded already is pushed all the same", rules, Bounds { crashes: 1, ..Bounds::CALM });
}

#[test]
fn without_settling_failed_pushes_a_browser_is_left_behind() {
    let rules = Rules { settle_failed_pushes: false, ..Rules::ALL };
    find("a failed push closes its connection or comes again", rules, Bounds { pushes_failed: 1, ..Bounds::CALM });
}
