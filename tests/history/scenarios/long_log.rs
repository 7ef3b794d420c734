//! An order whose missing log takes longer to fold than an invocation lasts.

use domain::{OrderId, Version};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{alone, orders, watch_all};
use crate::{
    checker::Expected,
    world::{LEVEL_MAX, Setup, World},
};

/// Events of many small values: a log that is slow to read.
const EVENTS: u64 = 40;
const VALUES: usize = 40_000;

/// How long an invocation of the event handler lasts here, in seconds.
const TIMEOUT_S: u32 = 7;

fn template() -> Value {
    let mut template: Value = serde_json::from_str(include_str!("../../../infra/template.json")).unwrap();
    let resources = template["Resources"].as_object_mut().unwrap();
    let mut functions = resources.values_mut().filter(|resource| resource["Properties"]["Handler"] == "event-handler");
    functions.next().unwrap()["Properties"]["Timeout"] = json!(TIMEOUT_S);
    template
}

/// Writes a log whose events come through the change feed without being folded, since the stored projection cannot be read.
async fn import_unfolded(world: &World, others: &[String]) {
    let broken = json!({"orderId": {"S": "long"}, "version": {"S": "no number"}});
    world.stack.dynamodb("PutItem", &json!({"TableName": "order_projections", "Item": broken})).await;
    world.import("long", EVENTS, &json!(vec![1; VALUES])).await;
    world.rounds(others, 1).await;
    let key = json!({"orderId": {"S": "long"}});
    world.stack.dynamodb("DeleteItem", &json!({"TableName": "order_projections", "Key": key})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_missing_log_is_long_makes_progress_and_holds_up_no_other() {
    let _alone = alone().await;
    let mut world = World::start("long-log", Setup { template: Some(template()), ..Setup::default() });
    world.expect("long", Expected::Eventual);
    let others = orders("other", 20);
    watch_all(&mut world, 0..5, &others);
    world.answered().await;
    import_unfolded(&world, &others).await;
    world.append("long", json!({"values": null})).await;
    world.rounds(&others, 3).await;
    let long = OrderId::new("long").unwrap();
    let end = Instant::now() + LEVEL_MAX * 2;
    let folded = loop {
        let at = world.store.projections.get(&long).await.unwrap().version();
        if at == Version::new(EVENTS + 1) || Instant::now() > end {
            break at;
        }
        world.rounds(&others, 1).await;
    };
    assert_eq!(folded, Version::new(EVENTS + 1), "the order is folded whole in the end");
    world.judge().await;
}
