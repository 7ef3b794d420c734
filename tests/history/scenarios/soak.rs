//! Everything at once: fifty clients, small and large projections, owners that change, slow readers, pages, SIGKILL.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::alone;
use crate::{
    checker::Expected,
    deaf,
    world::{STALE_MAX, Setup, World},
};

const SECONDS: u64 = 20;
const APPEND_EVERY: Duration = Duration::from_millis(30);

/// Orders at clients that may be behind while more is appended: on a slow machine less is appended, and nothing waits.
const BEHIND_MAX: usize = 50;

/// How long the clients may take to be level in the end: a page whose `fan-out` is killed is visible again after the
/// queue's 60 seconds, and may be killed once more.
const LEVEL_MAX: Duration = Duration::from_secs(150);

const SMALL: usize = 20;
const LARGE: usize = 4;
const LARGE_BYTES: usize = 60_000;
const MOVING: usize = 4;
const DEAF: usize = 2;
const SEES_ALL: &str = "orders:read:all";

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

fn faults(seed: u64) -> Value {
    let rule = |mut rule: Value, chance: f64| {
        rule["chance"] = json!(chance);
        rule["times"] = json!(1_000_000);
        rule
    };
    let kill = |function: &str, side: &str, call: &str| json!({"fault": "kill", "function": function, side: call});
    json!({"seed": seed, "faults": [
        rule(kill("event-handler", "before", "PutItem order_projections"), 0.005),
        rule(kill("event-handler", "after", "PutItem order_projections"), 0.005),
        rule(kill("event-handler", "after", "PostToConnection"), 0.002),
        rule(kill("fan-out", "after", "PostToConnection"), 0.005),
        rule(kill("subscribe", "after", "PutItem subscriptions"), 0.02),
        rule(json!({"fault": "duplicate_batch"}), 0.05),
        rule(json!({"fault": "fail_post"}), 0.01),
        rule(json!({"fault": "lose_post"}), 0.002),
        rule(json!({"fault": "delay_post", "ms": 100}), 0.02),
    ]})
}

/// Opens fifty pages: thirty that see every order, and ten of each of two users, to whom orders go back and forth.
fn open(world: &mut World) {
    for client in 0..30 {
        world.open_with(client, "support", SEES_ALL);
        world.watch(client, ["wide"]);
        let n = usize::try_from(client).unwrap();
        let small = [n, n + 7, n + 13].map(|n| format!("small_{}", n % SMALL));
        world.watch(client, small.iter().map(String::as_str));
        if n < LARGE {
            let large = (0..LARGE).map(|n| format!("large_{n}")).collect::<Vec<_>>();
            world.watch(client, large.iter().map(String::as_str));
        }
    }
    for client in 30..50 {
        let user = if client < 40 { "alice" } else { "bob" };
        world.open(client, user);
        let moving = (0..MOVING).map(|n| format!("moving_{n}")).collect::<Vec<_>>();
        world.watch(client, moving.iter().map(String::as_str));
        world.watch(client, [format!("of_{user}").as_str()]);
    }
}

/// Draws an order and what happens to it.
fn draw(random: &mut fastrand::Rng) -> (String, Value) {
    let n = random.u32(..);
    match random.u32(..100) {
        0..60 => (format!("small_{}", random.usize(..SMALL)), json!({"n": n})),
        60..70 => ("wide".to_owned(), json!({"n": n})),
        70..78 => (format!("large_{}", random.usize(..LARGE)), json!({"n": n})),
        78..86 => {
            let user = ["alice", "bob"][random.usize(..2)];
            (format!("of_{user}"), json!({"n": n, "userId": user}))
        }
        86..93 => (format!("moving_{}", random.usize(..MOVING)), json!({"n": n})),
        _ => {
            let user = ["alice", "bob"][random.usize(..2)];
            (format!("moving_{}", random.usize(..MOVING)), json!({"userId": user}))
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_clients_miss_nothing_while_everything_goes_wrong() {
    let _alone = alone().await;
    let seed = variable("HISTORY_SEED").unwrap_or_else(|| fastrand::u64(..));
    let seconds = variable("HISTORY_SECONDS").unwrap_or(SECONDS);
    println!("soak: HISTORY_SEED={seed} HISTORY_SECONDS={seconds}");
    let setup = Setup {
        faults: Some(faults(seed)),
        limits: Some(deaf::limits()),
        auth: true,
        page_subscribers_max: Some(10),
        ..Setup::default()
    };
    let mut world = World::start("soak", setup);
    world.expect("wide", Expected::Eventual);
    // Whose order it becomes subscribes again, and that may be killed too: the client's own pauses come on top.
    for n in 0..MOVING {
        world.expect(&format!("moving_{n}"), Expected::Retold);
    }
    let _deaf = deaf::subscribed(&world, "wide", DEAF, Some(("support", SEES_ALL))).await;
    deaf::fill(&world, "wide").await;
    for n in 0..LARGE {
        world.append(&format!("large_{n}"), json!({"blob": "x".repeat(LARGE_BYTES)})).await;
    }
    open(&mut world);
    world.answered().await;

    let mut random = fastrand::Rng::with_seed(seed);
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut ticks = interval(APPEND_EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while Instant::now() < end {
        ticks.tick().await;
        let (order_id, fields) = draw(&mut random);
        world.append(&order_id, fields).await;
        // An order that changes hands is behind at one user or the other most of the time.
        let keeps_up = || world.behind(|order_id| !order_id.starts_with("moving")) <= BEHIND_MAX;
        if !world.until(STALE_MAX * 2, keeps_up).await {
            break;
        }
    }
    world.level(Expected::Eventual, LEVEL_MAX).await;
    let killed = world.logged("fault=\"kill\"");
    println!("soak: {killed} functions killed");
    world.judge().await;
}
