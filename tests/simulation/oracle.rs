//! What has to hold when everything has settled.
//!
//! Owns: comparing what browsers showed, and what is stored, with the log.
//! Must not know: how it came about.
//! Source: the guarantee.

use std::collections::BTreeMap;

use domain::{Event, LoggedEvent, OrderId, Projection, Redaction, Version};

use crate::{browser::Followed, world::World};

/// Everything that is wrong in the end, a sentence each; and the events that were lost are counted.
pub(crate) async fn check(world: &mut World, events: &[Event]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut logs: BTreeMap<OrderId, Vec<LoggedEvent>> = BTreeMap::new();
    for order_id in events.iter().map(Event::order_id) {
        if !logs.contains_key(order_id) {
            let whole = Version::FIRST..=Version::new(u64::MAX);
            let log = world.truth.event_log.range(order_id, whole).await.unwrap();
            logs.insert(order_id.clone(), log);
        }
    }
    for event in events {
        let log = logs[event.order_id()].iter().filter(|logged| logged.event == *event);
        if log.count() != 1 {
            wrong.push(format!("event {} is not in its log once", event.event_ref));
        }
    }
    for (order_id, log) in &logs {
        let stored = world.truth.projections.get(order_id).await.unwrap();
        if stored != fold(log) {
            wrong.push(format!("{order_id}: the stored projection is not the fold of its log"));
        }
    }
    let nothing = Vec::new();
    for browser in &world.browsers {
        for (order_id, followed) in &browser.orders {
            // To who may not see it, an order is one without events, as long as the world lasts.
            let log = logs.get(order_id).unwrap_or(&nothing);
            let is_shown = browser.principal.may_see(fold(log).owner());
            if !is_shown {
                world.report.hidden += u64::try_from(log.len()).unwrap();
            }
            let (lost, broken) = judge(followed, if is_shown { log } else { &nothing });
            world.report.lost += lost;
            wrong.extend(broken.map(|broken| format!("browser {}, {order_id}: {broken}", browser.name)));
        }
    }
    wrong
}

fn fold(log: &[LoggedEvent]) -> Projection {
    let mut projection = Projection::default();
    log.iter().for_each(|logged| assert!(projection.evolve(logged), "versions have no gaps"));
    projection
}

/// How many events a browser lacks, and what else is wrong with what it showed.
fn judge(followed: &Followed, log: &[LoggedEvent]) -> (u64, Option<String>) {
    let head = u64::try_from(log.len()).unwrap();
    let due: Vec<u64> = (followed.started_at + 1..=head).collect();
    let shown: Vec<u64> = followed.shown.iter().map(|(version, _)| *version).collect();
    let lost = due.iter().filter(|version| !shown.contains(version)).count();
    let lost = u64::try_from(lost).unwrap();
    if shown != due {
        return (lost, Some(format!("it showed {shown:?} and not {due:?}")));
    }
    let redaction = Redaction::from_list(Redaction::DEFAULT_LIST);
    let as_of = |version: u64| redaction.apply(fold(&log[..usize::try_from(version).unwrap()]).fields());
    for (version, projection) in &followed.shown {
        if projection.as_ref().is_some_and(|projection| *projection != as_of(*version)) {
            return (lost, Some(format!("the projection as of version {version} is not the fold")));
        }
    }
    let is_last = followed.follower.projection().is_none_or(|projection| *projection == as_of(head));
    (lost, (!is_last).then(|| "its projection is not the fold".to_owned()))
}
