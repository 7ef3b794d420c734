//! What has to hold when everything has settled: what browsers were shown, and what is stored, agrees with the log.

use std::collections::BTreeMap;

use domain::{Event, Json, LoggedEvent, OrderId, Principal, Projection, Redaction, Version};

use crate::{
    browser::{Seen, View},
    world::World,
};

/// Everything that is wrong in the end, a sentence each; and the events that were lost are counted. What is bad does not
/// count.
pub(crate) async fn check(world: &mut World, events: &[Event]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut logs: BTreeMap<OrderId, Log> = BTreeMap::new();
    let events: Vec<&Event> = events.iter().filter(|event| !world.bad.orders.contains_key(event.order_id())).collect();
    for order_id in events.iter().map(|event| event.order_id()) {
        if !logs.contains_key(order_id) {
            let whole = Version::FIRST..=Version::new(u64::MAX);
            logs.insert(order_id.clone(), Log::new(world.truth.event_log.range(order_id, whole).await.unwrap()));
        }
    }
    for event in &events {
        let log = logs[event.order_id()].events.iter().filter(|logged| logged.event == **event);
        if log.count() != 1 {
            wrong.push(format!("event {} is not in its log once", event.event_ref));
        }
    }
    for (order_id, log) in &logs {
        let stored = world.truth.projections.get(order_id).await.unwrap();
        if stored != *log.projections.last().unwrap() {
            wrong.push(format!("{order_id}: the stored projection is not the fold of its log"));
        }
    }
    let nothing = Log::new(Vec::new());
    let (browsers, bad) = (&world.browsers, &world.bad);
    for browser in browsers.iter().filter(|browser| !bad.has_browser(browser.name)) {
        for (order_id, seen) in browser.orders.iter().filter(|(order_id, _)| !bad.orders.contains_key(*order_id)) {
            let log = logs.get(order_id).unwrap_or(&nothing);
            let broken = seen.iter().find_map(|seen| log.find_broken(seen, &browser.principal));
            let mut told = |broken| wrong.push(format!("browser {}, {order_id}: {broken}", browser.name));
            broken.into_iter().for_each(&mut told);
            let seen = seen.last().unwrap();
            if !browser.principal.may_see(log.projections.last().unwrap().owner()) {
                world.report.hidden += log.head();
            } else if seen.is_followed {
                let due: Vec<u64> = (seen.started_at + 1..=log.head()).collect();
                let lost = due.iter().filter(|version| !seen.versions.contains(version)).count();
                world.report.lost += u64::try_from(lost).unwrap();
                if seen.versions != due {
                    told(format!("it was shown {:?} and not {due:?}", seen.versions));
                }
            }
        }
    }
    wrong
}

/// An order's log.
struct Log {
    events: Vec<LoggedEvent>,
    /// The projection as of each version, from 0 on.
    projections: Vec<Projection>,
    /// What of it is shown.
    shown: Vec<Json>,
}

impl Log {
    fn new(events: Vec<LoggedEvent>) -> Self {
        let redaction = Redaction::from_list(Redaction::DEFAULT_LIST);
        let mut projections = vec![Projection::default()];
        for logged in &events {
            let mut projection = projections.last().unwrap().clone();
            assert!(projection.evolve(logged), "versions have no gaps");
            projections.push(projection);
        }
        let shown = projections.iter().map(|projection| redaction.apply(projection.fields()).fields().clone());
        Self { shown: shown.map(Json::Object).collect(), events, projections }
    }

    fn head(&self) -> u64 {
        u64::try_from(self.events.len()).unwrap()
    }

    /// What is wrong with what was shown at any time: a gap, a projection that is no fold, one of somebody else's order.
    fn find_broken(&self, seen: &Seen, principal: &Principal) -> Option<String> {
        let run: Vec<u64> = (seen.started_at + 1..=seen.version()).collect();
        if seen.versions != run {
            return Some(format!("it was shown {:?} after {}", seen.versions, seen.started_at));
        }
        seen.views.iter().find_map(|View { version, projection, is_sent }| {
            let at = usize::try_from(*version).unwrap();
            if self.shown.get(at) != Some(projection) {
                return Some(format!("the projection as of version {version} is not the fold"));
            }
            let may_see = !is_sent || *version == 0 || principal.may_see(self.projections[at].owner());
            (!may_see).then(|| format!("the projection as of version {version} is somebody else's"))
        })
    }
}
