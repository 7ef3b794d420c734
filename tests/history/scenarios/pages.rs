//! An order with several pages of subscribers, some of which read nothing.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{alone, orders, property, template_of_foldcast, watch_all};
use crate::{
    checker::Expected,
    deaf,
    world::{LEVEL_MAX, Setup, World},
};

/// In one of the pages more than three read nothing: 13 of 43 subscribers, in four pages.
const DEAF: usize = 13;
const HEALTHY: u32 = 30;
const PAGE_SUBSCRIBERS_MAX: usize = 12;

/// After how many seconds a page that was not pushed to is handed over again here, and how long such pages are watched.
const AGAIN_AFTER_S: u32 = 7;
const WATCHED: Duration = Duration::from_secs(9);

/// Messages that a healthy subscriber may get twice.
const DOUBLED_MAX: usize = 1;

fn template() -> Value {
    let mut template = template_of_foldcast();
    *property(&mut template, "VisibilityTimeout", &json!(60), "VisibilityTimeout") = json!(AGAIN_AFTER_S);
    template
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_among_many_subscribers_neither_hold_up_nor_burden_the_others() {
    let _alone = alone().await;
    let limits = Some(deaf::limits());
    let (template, page_subscribers_max) = (Some(template()), Some(PAGE_SUBSCRIBERS_MAX));
    let mut world = World::start("pages", Setup { limits, template, page_subscribers_max, ..Setup::default() });
    world.append("wide", json!({})).await;
    let _deaf = deaf::subscribed(&world, "wide", DEAF, None).await;
    deaf::fill(&world, "wide").await;
    watch_all(&mut world, 0..HEALTHY, &["wide".to_owned()]);
    let others = orders("other", 10);
    watch_all(&mut world, HEALTHY..HEALTHY + 3, &others);
    world.answered().await;
    for round in 0..4 {
        world.append("wide", json!({"round": round})).await;
        world.rounds(&others, 1).await;
    }
    world.level(Expected::Eventual, LEVEL_MAX).await;
    let end = Instant::now() + WATCHED;
    while Instant::now() < end && !world.is_decided() {
        world.rounds(&others, 1).await;
    }
    let (sockets, doubled) = world.wire().await;
    println!("pages: {sockets} connections opened, {doubled} messages that showed nothing new");
    let clients = world.judge().await.clients;
    assert_eq!(sockets, clients, "no healthy connection is closed");
    assert!(doubled <= clients * DOUBLED_MAX, "a page that is pushed to again is pushed to those who are left");
}
