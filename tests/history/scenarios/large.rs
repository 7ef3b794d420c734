//! Updates that travel in parts, of many orders at once on one connection.

use serde_json::json;

use super::{alone, orders, watch_all};
use crate::{
    checker::Expected,
    world::{LEVEL_MAX, Setup, World},
};

const ORDERS: usize = 24;
/// Quotes: 75,000 bytes of an item, 150,000 of a message, and more in its parts.
const QUOTES: usize = 75_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_updates_of_many_orders_in_one_batch_are_all_shown() {
    let _alone = alone().await;
    let delay = json!({"fault": "delay_batch", "ms": 1_000, "function": "event-handler", "times": 1_000});
    let mut world = World::start("large", Setup { faults: Some(json!({"faults": [delay]})), ..Setup::default() });
    let large = orders("large", ORDERS);
    for order_id in &large {
        world.expect(order_id, Expected::Eventual);
    }
    world.append_to_each(&large, &json!({"blob": "\"".repeat(QUOTES)})).await;
    watch_all(&mut world, 0..1, &large);
    world.answered().await;
    world.level(Expected::Eventual, LEVEL_MAX).await;
    for round in 0..2 {
        // Its batch is delayed, and the next one has what is appended meanwhile.
        world.append("before", json!({})).await;
        world.append_to_each(&large, &json!({"round": round})).await;
        world.level(Expected::Eventual, LEVEL_MAX).await;
    }
    world.judge().await;
}
