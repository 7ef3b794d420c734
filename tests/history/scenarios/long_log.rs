//! An order whose missing log takes longer to fold than an invocation lasts.

use std::time::Duration;

use domain::OrderId;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{alone, orders, property, template_of_foldcast, watch_all};
use crate::{
    checker::Expected,
    slow::SlowLog,
    world::{LEVEL_MAX, Setup, World},
};

/// A log of six pages, as DynamoDB reads it.
const EVENTS: u64 = 60;
const EVENT_BYTES: usize = 100_000;
const EACH_PAGE: Duration = Duration::from_millis(1_500);

/// How long an invocation of the event handler lasts here, in seconds: less than six pages take.
const TIMEOUT_S: u32 = 7;

fn template() -> Value {
    let mut template = template_of_foldcast();
    *property(&mut template, "Handler", &json!("event-handler"), "Timeout") = json!(TIMEOUT_S);
    template
}

/// Writes a log whose events come through the change feed without being folded, since the stored projection cannot be read.
async fn import_unfolded(world: &World, others: &[String]) {
    let broken = json!({"orderId": {"S": "long"}, "version": {"S": "no number"}});
    world.stack.dynamodb("PutItem", &json!({"TableName": "order_projections", "Item": broken})).await;
    world.import("long", EVENTS, EVENT_BYTES).await;
    world.rounds(others, 1).await;
    let key = json!({"orderId": {"S": "long"}});
    world.stack.dynamodb("DeleteItem", &json!({"TableName": "order_projections", "Key": key})).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_order_whose_missing_log_is_long_makes_progress_and_holds_up_no_other() {
    let _alone = alone().await;
    let (slow_log, folder) = (SlowLog::start("long", EACH_PAGE).await, tempfile::TempDir::new().unwrap());
    let program = folder.path().join("event-handler");
    slow_log.write_program("event-handler", &program);
    let programs = vec![("event-handler", program)];
    let mut world = World::start("long-log", Setup { template: Some(template()), programs, ..Setup::default() });
    slow_log.leads_to(&world.stack.dynamodb_url);
    world.expect("long", Expected::Eventual);
    let others = orders("other", 20);
    watch_all(&mut world, 0..5, &others);
    world.answered().await;
    import_unfolded(&world, &others).await;
    world.append("long", json!({"blob": null})).await;
    world.rounds(&others, 3).await;
    let long = OrderId::new("long").unwrap();
    let end = Instant::now() + LEVEL_MAX * 2;
    let folded = loop {
        let at = world.store.projections.get(&long).await.unwrap().version().get();
        if at > EVENTS || world.is_decided() || Instant::now() > end {
            break at;
        }
        world.rounds(&others, 1).await;
    };
    println!("long-log: folded up to version {folded} of {}", EVENTS + 1);
    world.judge().await;
    assert_eq!(folded, EVENTS + 1, "the order is folded whole in the end");
}
