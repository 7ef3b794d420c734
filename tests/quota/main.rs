//! A fan-out in pages beside the account's quota, on virtual time: how many posts it makes, how long it takes, whom it
//! closes, and what it leaves to the pushes of other orders.
//!
//! `cargo test -p tests --test quota -- --nocapture` prints the figures.

mod bounds;
mod gateway;
mod process;
mod rules;
mod world;

use bounds::{Bound, broken, heading, row};
use gateway::{Connection, SECOND};
use rules::Rules;
use world::{Figures, Scenario, World};

/// Processes of `fan-out` at once: the queue of pages invokes no more.
const PROCESSES: usize = 10;

/// Rates of an account, in requests a second.
const RATES: [u32; 3] = [2_500, 5_000, 10_000];

fn healthy(subscribers: u32, per_second: u32, others_per_second: u32) -> Scenario {
    Scenario {
        subscribers,
        per_second,
        others_per_second,
        kind: Connection::all_healthy,
        outage_s: 0,
        rules: Rules::ALL,
        posts_max: 3,
    }
}

fn run(scenario: Scenario) -> Figures {
    World::new(scenario, PROCESSES, 1).run()
}

/// Each rate, without other orders' pushes and with as many as half of it.
fn loads() -> impl Iterator<Item = (u32, u32)> {
    RATES.into_iter().flat_map(|per_second| [(per_second, 0), (per_second, per_second / 2)])
}

fn hold(scenarios: impl Iterator<Item = Scenario>) {
    println!("{}", heading());
    for scenario in scenarios {
        let figures = run(scenario);
        println!("{}", row(&scenario, &figures));
        assert_eq!(broken(&scenario, &figures), [], "{scenario:?} {figures:?}");
    }
}

#[test]
fn an_order_with_up_to_a_hundred_thousand_subscribers_is_pushed_within_the_quota() {
    let sizes = [1_000, 10_000, 100_000].into_iter();
    hold(sizes.flat_map(|subscribers| loads().map(move |(rate, others)| healthy(subscribers, rate, others))));
}

#[test]
fn an_order_with_a_million_subscribers_is_pushed_within_the_quota() {
    hold(loads().map(|(rate, others)| healthy(1_000_000, rate, others)));
}

#[test]
fn bad_connections_cost_little_and_are_closed_or_forgotten() {
    let sizes = [1_000, 10_000, 100_000].into_iter();
    let scenarios = sizes.flat_map(|subscribers| loads().map(move |(rate, others)| healthy(subscribers, rate, others)));
    hold(scenarios.map(|scenario| Scenario { kind: Connection::one_percent_bad, ..scenario }));
}

#[test]
fn a_page_of_bad_connections_is_closed_by_and_by() {
    let kinds: [fn(u32) -> Connection; 2] = [Connection::first_page_slow, Connection::first_page_dead];
    let scenarios = kinds.into_iter().flat_map(|kind| {
        loads().map(move |(rate, others)| Scenario { kind, posts_max: 10, ..healthy(10_000, rate, others) })
    });
    hold(scenarios);
}

#[test]
fn an_outage_costs_few_posts_and_closes_nobody() {
    let scenarios = [1_000, 10_000, 100_000].into_iter().flat_map(|subscribers| {
        loads().map(move |(rate, others)| Scenario { outage_s: 60, ..healthy(subscribers, rate, others) })
    });
    hold(scenarios);
}

#[test]
fn without_a_pace_that_follows_the_answers_a_bound_breaks() {
    let scenario = healthy(100_000, 10_000, 5_000);
    let rules = Rules { pace: false, ..Rules::ALL };
    let scenario = Scenario { rules, ..scenario };
    let figures = run(scenario);
    println!("{}", row(&scenario, &figures));
    assert!(broken(&scenario, &figures).contains(&Bound::Posts), "{figures:?}");
}
