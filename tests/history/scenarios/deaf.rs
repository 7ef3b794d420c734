//! Subscribers that read nothing, beside orders that have none of them.

use std::time::Duration;

use serde_json::json;

use super::{alone, orders, watch_all};
use crate::{
    checker::Expected,
    deaf,
    world::{Setup, World},
};

const DEAF: usize = 4;

async fn others_go_on(mut world: World) {
    let others = orders("other", 20);
    watch_all(&mut world, 0..5, &others);
    world.open(5, "anybody");
    world.watch(5, ["bad"]);
    world.answered().await;
    for round in 0..4 {
        world.append("bad", json!({"round": round})).await;
        world.rounds(&others, 1).await;
    }
    world.judge().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_connections_that_read_nothing_hold_up_no_other_order() {
    let _alone = alone().await;
    let mut world = World::start("deaf", Setup { limits: Some(deaf::limits()), ..Setup::default() });
    world.expect("bad", Expected::Eventual);
    world.append("bad", json!({})).await;
    let _deaf = deaf::subscribed(&world, "bad", DEAF, None).await;
    deaf::fill(&world, "bad").await;
    others_go_on(world).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_connections_behind_a_lost_network_hold_up_no_other_order() {
    let _alone = alone().await;
    let dead = json!({"fault": "dead_connection", "times": DEAF});
    let mut world = World::start("dead", Setup { faults: Some(json!({"faults": [dead]})), ..Setup::default() });
    world.expect("bad", Expected::Eventual);
    let _dead = deaf::subscribed(&world, "bad", DEAF, None).await;
    world.append("bad", json!({})).await;
    // The first posts of the stack are those to them.
    assert!(world.until(Duration::from_secs(10), || world.logged("dead_connection") >= DEAF).await);
    others_go_on(world).await;
}
