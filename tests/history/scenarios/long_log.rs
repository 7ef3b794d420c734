//! An order whose missing log takes longer to fold than an invocation lasts.

use domain::{OrderId, Version};
use serde_json::{Value, json};

use super::{alone, orders, watch_all};
use crate::{
    checker::Expected,
    world::{LEVEL_MAX, Setup, World},
};

const EVENTS: u64 = 3_000;
const EVENT_BYTES: usize = 1_000;

/// How long an invocation of the event handler lasts here, in seconds.
const TIMEOUT_S: u32 = 7;

fn template() -> Value {
    let mut template: Value = serde_json::from_str(include_str!("../../../infra/template.json")).unwrap();
    let resources = template["Resources"].as_object_mut().unwrap();
    let mut functions = resources.values_mut().filter(|resource| resource["Properties"]["Handler"] == "event-handler");
    functions.next().unwrap()["Properties"]["Timeout"] = json!(TIMEOUT_S);
    template
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_missing_log_is_long_makes_progress_and_holds_up_no_other() {
    let _alone = alone().await;
    let mut world = World::start("long-log", Setup { template: Some(template()), ..Setup::default() });
    world.expect("long", Expected::Eventual);
    world.import("long", EVENTS, EVENT_BYTES).await;
    let others = orders("other", 20);
    watch_all(&mut world, 0..5, &others);
    watch_all(&mut world, 5..6, &["long".to_owned()]);
    world.answered().await;
    world.level(Expected::Eventual, LEVEL_MAX).await;
    let key = json!({"orderId": {"S": "long"}});
    world.stack.dynamodb("DeleteItem", &json!({"TableName": "order_projections", "Key": key})).await;
    world.append("long", json!({"n": EVENTS + 1})).await;
    world.rounds(&others, 3).await;
    let long = OrderId::new("long").unwrap();
    let is_folded = async || world.store.projections.get(&long).await.unwrap().version() == Version::new(EVENTS + 1);
    let end = tokio::time::Instant::now() + LEVEL_MAX;
    while !is_folded().await && tokio::time::Instant::now() < end {
        world.append_to_each(&others[..1], &json!({})).await;
    }
    assert!(is_folded().await, "the order is folded whole in the end");
    world.judge().await;
}
