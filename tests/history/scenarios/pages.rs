//! An order with several pages of subscribers, some of which read nothing.

use serde_json::json;

use super::{alone, orders, watch_all};
use crate::{
    checker::Expected,
    deaf,
    world::{LEVEL_MAX, Setup, World},
};

/// In one of the pages more than three read nothing: 13 of 43 subscribers, in four pages.
const DEAF: usize = 13;
const PAGE_SUBSCRIBERS_MAX: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_among_many_subscribers_hold_up_nobody_else() {
    let _alone = alone().await;
    let limits = Some(deaf::limits());
    let page_subscribers_max = Some(PAGE_SUBSCRIBERS_MAX);
    let mut world = World::start("pages", Setup { limits, page_subscribers_max, ..Setup::default() });
    world.append("wide", json!({})).await;
    let _deaf = deaf::subscribed(&world, "wide", DEAF, None).await;
    deaf::fill(&world, "wide").await;
    watch_all(&mut world, 0..30, &["wide".to_owned()]);
    let others = orders("other", 10);
    watch_all(&mut world, 30..33, &others);
    world.answered().await;
    for round in 0..4 {
        world.append("wide", json!({"round": round})).await;
        world.rounds(&others, 1).await;
    }
    world.level(Expected::Eventual, LEVEL_MAX).await;
    world.judge().await;
}
