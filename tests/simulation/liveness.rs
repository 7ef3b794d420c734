//! Nobody holds up another: while bad things stay bad, every event of a good order reaches every good browser that may see
//! it, within a bound.

use std::{collections::BTreeMap, time::Duration};

use domain::{Event, OrderId, Version};
use tokio::time::Instant;

use crate::world::World;

/// How long it takes at most, on the simulation's clock, until everybody has caught up with what happened during the faults;
/// and until an event that is appended after that has reached everybody.
const RECOVERY_MAX: Duration = Duration::from_secs(20 * 60);
const REACH_MAX: Duration = Duration::from_secs(60);

/// Measures both; the answer is what is wrong.
pub(crate) async fn check(world: &mut World, later: Vec<Event>, steps_max: u64) -> Vec<String> {
    world.spoil_logs();
    while !world.due.is_empty() || world.is_appending() {
        world.step().await;
    }
    let recovery = match reach(world, steps_max, RECOVERY_MAX).await {
        Ok(recovery) => recovery,
        Err(wrong) => return vec![format!("after the faults: {wrong}")],
    };
    world.report.recoveries.push(recovery);
    for event in later {
        let named = format!("event {} of {}", event.event_ref, event.order_id());
        world.due.push_back(event);
        while !world.due.is_empty() || world.is_appending() {
            world.step().await;
        }
        match reach(world, steps_max, REACH_MAX).await {
            Ok(reached) => world.report.reaches.push(reached),
            Err(wrong) => return vec![format!("{named}: {wrong}")],
        }
    }
    let failed = world.good_orders_that_failed();
    if failed.is_empty() { Vec::new() } else { vec![format!("good orders are dead-lettered: {failed:?}")] }
}

/// Runs until every good browser is level, and says how long it took.
async fn reach(world: &mut World, steps_max: u64, within: Duration) -> Result<Duration, String> {
    let (began, first_step) = (Instant::now(), world.report.steps);
    let heads = heads(world).await;
    loop {
        let behind = match behind(world, &heads) {
            Some(browser) => Some(browser),
            None => unfolded(world, &heads).await,
        };
        let Some(behind) = behind else { return Ok(began.elapsed()) };
        if began.elapsed() > within || world.report.steps - first_step > steps_max {
            let (steps, waited) = (world.report.steps - first_step, began.elapsed());
            return Err(format!("{behind} after {waited:?} and {steps} steps"));
        }
        world.step().await;
    }
}

/// The head of each good order, and its owner.
async fn heads(world: &World) -> BTreeMap<OrderId, (u64, Option<String>)> {
    let mut heads = BTreeMap::new();
    for order_id in world.order_ids.iter().filter(|order_id| !world.bad.orders.contains_key(*order_id)) {
        let log = world.truth.event_log.range(order_id, Version::FIRST..=Version::new(u64::MAX)).await.unwrap();
        let owner = log.iter().rev().find_map(|logged| logged.event.data.fields().get("userId"));
        let owner = owner.and_then(|owner| owner.as_str()).map(str::to_owned);
        heads.insert(order_id.clone(), (u64::try_from(log.len()).unwrap(), owner));
    }
    heads
}

/// A good order whose stored projection is behind.
async fn unfolded(world: &World, heads: &BTreeMap<OrderId, (u64, Option<String>)>) -> Option<String> {
    for (order_id, (head, _)) in heads {
        let at = world.truth.projections.get(order_id).await.unwrap().version().get();
        if at != *head {
            return Some(format!("the projection of {order_id} is at version {at} and not at {head}"));
        }
    }
    None
}

/// A good browser that is behind with a good order.
fn behind(world: &World, heads: &BTreeMap<OrderId, (u64, Option<String>)>) -> Option<String> {
    let good = world.browsers.iter().filter(|browser| !world.bad.has_browser(browser.name));
    for browser in good {
        for (order_id, seen) in &browser.orders {
            let (Some((head, owner)), Some(seen)) = (heads.get(order_id), seen.last()) else { continue };
            let may_see = browser.principal.may_see(owner.as_deref()) && seen.is_followed;
            if may_see && seen.version() != *head {
                let at = seen.version();
                return Some(format!("browser {} is at version {at} of {order_id} and not at {head}", browser.name));
            }
        }
    }
    None
}
