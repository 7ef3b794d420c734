//! A projection that DynamoDB refuses to store.

use serde_json::{Value, json};

use super::{alone, orders, watch_all};
use crate::{
    checker::Expected,
    world::{Setup, World},
};

/// 40,000 numbers, each of which takes four bytes of an item: three lists of them are more than an item may have.
fn numbers() -> Value {
    json!(vec![1.2; 40_000])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_projection_that_dynamodb_refuses_holds_up_no_other_order() {
    let _alone = alone().await;
    let mut world = World::start("refused", Setup::default());
    world.expect("heavy", Expected::Eventual);
    let others = orders("other", 20);
    watch_all(&mut world, 0..5, &others);
    watch_all(&mut world, 5..6, &["heavy".to_owned()]);
    world.answered().await;
    for name in ["a", "b", "c"] {
        world.append("heavy", json!({name: numbers()})).await;
        world.rounds(&others, 1).await;
    }
    world.rounds(&others, 2).await;
    // With this the projection fits again, and everything that is missing is folded.
    world.append("heavy", json!({"a": null})).await;
    world.judge().await;
}
