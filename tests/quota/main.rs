//! A fan-out in pages beside the account's quota, on virtual time: how many posts it makes, how long it takes, whom it
//! closes, and what it leaves to the pushes of other orders.
//!
//! `cargo test -p tests --test quota -- --nocapture` prints the figures.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]
#![expect(clippy::as_conversions, reason = "a simulation converts small numbers, and fast")]
#![expect(clippy::print_stdout, reason = "its figures are for a person")]

mod bounds;
mod gateway;
mod process;
mod push;
mod rules;
mod world;

use bounds::{Bound, broken, heading, row};
use gateway::Connection;
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

/// Runs scenarios, prints their figures as one table, and asserts that every bound holds.
fn hold(title: &str, scenarios: impl Iterator<Item = Scenario>) {
    let mut table = format!("{title}\n{}", heading());
    let mut all_broken = Vec::new();
    for scenario in scenarios {
        let figures = run(scenario);
        table.push_str(&row(&scenario, &figures));
        let broken = broken(&scenario, &figures);
        if !broken.is_empty() {
            all_broken.push((broken, scenario, figures));
        }
    }
    println!("{table}");
    assert!(all_broken.is_empty(), "{all_broken:#?}");
}

#[test]
fn an_order_with_up_to_a_hundred_thousand_subscribers_is_pushed_within_the_quota() {
    let sizes = [1_000, 10_000, 100_000].into_iter();
    hold(
        "healthy",
        sizes.flat_map(|subscribers| loads().map(move |(rate, others)| healthy(subscribers, rate, others))),
    );
}

#[test]
fn an_order_with_a_million_subscribers_is_pushed_within_the_quota() {
    hold("a million", RATES.into_iter().map(|rate| healthy(1_000_000, rate, 0)));
}

#[test]
fn an_order_with_a_million_subscribers_is_pushed_within_what_others_leave_of_the_quota() {
    hold("a million beside others", RATES.into_iter().map(|rate| healthy(1_000_000, rate, rate / 2)));
}

#[test]
fn bad_connections_cost_little_and_are_closed_or_forgotten() {
    let sizes = [1_000, 10_000, 100_000].into_iter();
    let scenarios = sizes.flat_map(|subscribers| loads().map(move |(rate, others)| healthy(subscribers, rate, others)));
    hold(
        "one in a hundred is bad",
        scenarios.map(|scenario| Scenario { kind: Connection::one_percent_bad, ..scenario }),
    );
}

#[test]
fn a_page_of_bad_connections_is_closed_by_and_by() {
    let kinds: [fn(u32) -> Connection; 2] = [Connection::first_page_slow, Connection::first_page_dead];
    let scenarios = kinds.into_iter().flat_map(|kind| {
        loads().map(move |(rate, others)| Scenario { kind, posts_max: 10, ..healthy(10_000, rate, others) })
    });
    hold("a page is slow, a page is dead", scenarios);
}

#[test]
fn an_outage_costs_few_posts_and_closes_nobody() {
    let scenarios = [1_000, 10_000, 100_000].into_iter().flat_map(|subscribers| {
        loads().map(move |(rate, others)| Scenario { outage_s: 60, ..healthy(subscribers, rate, others) })
    });
    hold("an outage of a minute", scenarios);
}

#[test]
fn no_healthy_connection_is_closed_while_others_ask_for_more_than_the_quota() {
    for kind in [Connection::all_healthy, Connection::one_percent_bad] {
        let scenario = Scenario { kind, ..healthy(20_000, 5_000, 6_000) };
        let figures = run(scenario);
        print!("{}", row(&scenario, &figures));
        let broken = broken(&scenario, &figures);
        assert!(!broken.contains(&Bound::Closed), "{figures:?}");
        assert!(!broken.contains(&Bound::Reached), "{figures:?}");
    }
}

/// The bounds that break under other rules, under any of a few seeds.
fn breaks(rules: Rules, scenario: Scenario) -> Vec<Bound> {
    let scenario = Scenario { rules, posts_max: 5, ..scenario };
    let mut bounds = Vec::new();
    for seed in 1..=4 {
        let figures = World::new(scenario, PROCESSES, seed).run();
        print!("{}", row(&scenario, &figures));
        bounds.extend(broken(&scenario, &figures));
    }
    bounds
}

#[test]
fn a_bound_breaks_without_a_pace_that_follows_the_answers() {
    let bounds = breaks(Rules { pace: false, ..Rules::ALL }, healthy(20_000, 2_500, 1_250));
    assert!(bounds.contains(&Bound::Posts), "{bounds:?}");
    assert!(bounds.contains(&Bound::Others), "{bounds:?}");
}

#[test]
fn a_bound_breaks_if_whole_pages_are_pushed_again() {
    let scenario = Scenario { kind: Connection::one_percent_bad, ..healthy(20_000, 2_500, 1_250) };
    let bounds = breaks(Rules { only_left: false, ..Rules::ALL }, scenario);
    assert!(bounds.contains(&Bound::Posts), "{bounds:?}");
}

#[test]
fn a_bound_breaks_if_retries_are_not_spread() {
    let bounds = breaks(Rules { spread: false, ..Rules::ALL }, healthy(20_000, 2_500, 1_250));
    assert!(bounds.contains(&Bound::Time), "{bounds:?}");
}

#[test]
fn a_bound_breaks_if_connections_are_closed_whatever_the_cause() {
    let scenario = Scenario { kind: Connection::one_percent_bad, ..healthy(20_000, 2_500, 1_250) };
    let bounds = breaks(Rules { close_causes_only: false, ..Rules::ALL }, scenario);
    assert!(bounds.contains(&Bound::Closed), "{bounds:?}");
}

#[test]
fn a_fan_out_that_knows_no_quota_closes_thousands_of_healthy_connections() {
    let scenario = Scenario { rules: Rules::NONE, posts_max: 5, ..healthy(300_000, 10_000, 0) };
    let figures = run(scenario);
    print!("{}", row(&scenario, &figures));
    assert!(figures.healthy_closed > 1_000, "{figures:?}");
}

#[test]
fn a_fan_out_that_knows_no_quota_pushes_to_everybody_again_and_again() {
    for (subscribers, rate) in [(100_000, 5_000), (20_000, 2_500)] {
        let scenario = Scenario { rules: Rules::NONE, posts_max: 5, ..healthy(subscribers, rate, 0) };
        let figures = run(scenario);
        print!("{}", row(&scenario, &figures));
        assert!(figures.posts > u64::from(5 * subscribers), "{figures:?}");
    }
}
