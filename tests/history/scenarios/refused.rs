//! A projection that DynamoDB refuses to store.

use serde_json::json;

use super::{alone, orders, watch_all};
use crate::{
    checker::Expected,
    world::{Setup, World},
};

/// With two texts of so many bytes a projection has room for 4,000 numbers of three bytes, as a naive count of their digits
/// has it, and none for 4,000 of four: `1.2` takes a byte for its whole part, one for its fraction, one for its exponent,
/// and one as an entry of a list.
const TEXT_BYTES: usize = 198_000;
const NUMBERS: usize = 4_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_projection_that_dynamodb_refuses_holds_up_no_other_order() {
    let _alone = alone().await;
    let mut world = World::start("refused", Setup::default());
    world.expect("heavy", Expected::Eventual);
    let others = orders("other", 20);
    watch_all(&mut world, 0..5, &others);
    watch_all(&mut world, 5..6, &["heavy".to_owned()]);
    world.answered().await;
    let text = "x".repeat(TEXT_BYTES);
    for fields in [json!({"a": text}), json!({"b": text}), json!({"numbers": vec![1.2; NUMBERS]})] {
        world.append("heavy", fields).await;
        world.rounds(&others, 1).await;
    }
    world.rounds(&others, 2).await;
    // With this the projection fits again, and everything that is missing is folded.
    world.append("heavy", json!({"a": null})).await;
    world.judge().await;
}
