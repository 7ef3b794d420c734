//! The real functions and the real store on the embedded engine, under a seed that draws what happens next and what goes
//! wrong. In the end every browser has every event once and in order, and every projection is the fold of its log; and while
//! bad things stay bad, everything else does not wait for them (`liveness`).
//!
//! Half of the browsers run the client in Rust, the others the one that is shipped, in an embedded engine (`script`).
//!
//! `SEEDS=1..1001 cargo test --release -p tests --test simulation -- --nocapture` runs other seeds than the fixed share;
//! `SIZE=large` simulates large worlds.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on has failed"
)]

mod browser;
mod dynamodb;
mod fate;
mod gate;
mod liveness;
mod oracle;
mod report;
mod script;
mod world;

use std::{ops::Range, sync::Mutex, thread};

use tokio::{runtime::Builder, task::LocalSet};

use report::Report;
use world::{Size, World};

/// The share of the seeds that runs with all tests.
const SHARE: Range<u64> = 1..201;

const THREADS: u64 = 2;

/// What a seed led to: its counts, its transcript, and what is wrong.
struct Ended {
    report: Report,
    transcript: Vec<String>,
    wrong: Vec<String>,
}

/// Simulates one seed; `run` tells apart several runs of it.
fn simulate(seed: u64, run: u64, size: &Size) -> Ended {
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let mut world = World::new(seed, run, size);
        let mut events: Vec<_> = world.due.iter().cloned().collect();
        while world.report.steps < size.faulty_steps || !world.due.is_empty() {
            world.step().await;
        }
        world.end_faults();
        let mut wrong = if world.bad.is_nothing() {
            settle(&mut world, size).await
        } else {
            let later = world.take_later();
            events.extend(later.iter().cloned());
            liveness::check(&mut world, later, size.steps_max).await
        };
        if wrong.is_empty() {
            wrong = oracle::check(&mut world, &events).await;
        }
        Ended { report: world.report, transcript: world.transcript, wrong }
    })
}

/// Runs until nothing is under way.
async fn settle(world: &mut World, size: &Size) -> Vec<String> {
    while !world.is_settled() {
        if world.report.steps > size.steps_max {
            return vec![format!("nothing settled within {} steps", size.steps_max)];
        }
        world.step().await;
    }
    Vec::new()
}

/// Simulates seeds on a few threads, and adds up their counts; what is wrong is told with its seed.
fn simulate_all(seeds: &Range<u64>, size: &Size) -> (Report, Vec<String>) {
    let total = Mutex::new((Report::default(), Vec::new()));
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let (total, seeds) = (&total, seeds.clone());
            scope.spawn(move || {
                for seed in seeds.filter(|seed| seed % THREADS == thread) {
                    let Ended { report, transcript, wrong } = simulate(seed, 0, size);
                    let mut total = total.lock().unwrap();
                    total.0.add(&report);
                    if !wrong.is_empty() {
                        let last = transcript.len().saturating_sub(60);
                        total.1.push(format!(
                            "seed {seed}: {}\n  …\n  {}",
                            wrong.join("; "),
                            transcript[last..].join("\n  ")
                        ));
                    }
                }
            });
        }
    });
    total.into_inner().unwrap()
}

/// The seeds that the variable `SEEDS` names, such as `1..1001`, or the fixed share.
fn seeds() -> Range<u64> {
    let Ok(asked) = std::env::var("SEEDS") else { return SHARE };
    let (from, to) = asked.split_once("..").expect("SEEDS is a range such as 1..1001");
    from.parse().expect("a number")..to.parse().expect("a number")
}

/// The size that the variable `SIZE` names, `large` for up to 100 orders and 50 browsers, or the small one.
fn size() -> Size {
    if std::env::var("SIZE").is_ok_and(|size| size == "large") { Size::LARGE } else { Size::SMALL }
}

#[test]
fn after_every_seed_each_browser_has_every_event_once_and_in_order() {
    let (report, wrong) = simulate_all(&seeds(), &size());
    println!("{report}");
    assert!(wrong.is_empty(), "{} seeds went wrong\n{}", wrong.len(), wrong.first().unwrap());
    assert_eq!(report.lost, 0);
    assert!(report.folds_unread > 0, "memories were good");
    assert!(report.folds_stale > 0, "memories were stale");
    assert!(report.orders_lost > 0, "orders were lost");
    assert!(report.faults.contains_key("event ahead of its predecessor"), "events were put ahead of others");
    assert!(!report.reaches.is_empty(), "events were appended while bad things stayed bad");
}

#[test]
fn the_same_seed_has_the_same_transcript() {
    for seed in [1, 2, 3] {
        let (first, second) = (simulate(seed, 1, &Size::SMALL), simulate(seed, 2, &Size::SMALL));
        let differs = first.transcript.iter().zip(&second.transcript).position(|(first, second)| first != second);
        assert_eq!(differs.map(|line| (&first.transcript[line], &second.transcript[line])), None, "seed {seed}");
        assert_eq!((first.transcript.len(), first.report), (second.transcript.len(), second.report));
    }
}
