//! `foldcast verify`: is every stored projection the fold of its log?
//!
//! Owns: the comparison, and telling a projection that is wrong from one that is about to come.
//! Must not know: how either was written.
//! Source: ARCHITECTURE.md, "The problem".

use std::{
    collections::BTreeSet,
    pin::pin,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use domain::{OrderId, Projection, Version};
use futures_util::{StreamExt, stream};
use serde_json::json;
use store::{BrokenItem, Store};

use crate::{args, deployment, failure::Failure, fold::fold};

/// How long an order whose events are not all folded is looked at again before that counts as a difference.
const SETTLING_MAX: Duration = Duration::from_secs(10);
/// Orders that are compared at once.
const ORDERS_IN_FLIGHT_MAX: usize = 16;

const LOOK_AGAIN: Duration = Duration::from_millis(100);

pub(crate) async fn run(options: args::Verify) -> Result<(), Failure> {
    let store = deployment::open(&options.target)?;
    let mut broken = Vec::new();
    let mut orders = BTreeSet::new();
    let mut scan = store.projections.scan();
    while let Some(page) = scan.next_page().await.context("cannot read the projections")? {
        for stored in page {
            match stored {
                Ok((order_id, _)) => {
                    orders.insert(order_id);
                }
                Err(error) => broken.push(error),
            }
        }
    }
    let log = store.event_log.order_ids().await.context("cannot read the log")?;
    orders.extend(log.order_ids);
    broken.extend(log.broken);
    let mut report = Report::default();
    broken.iter().for_each(|item| report.broken(item));
    let named: BTreeSet<String> = broken.into_iter().map(|item| item.key).collect();
    let compared = orders.iter().map(async |order_id| (order_id, compare(&store, order_id).await));
    let mut compared = pin!(stream::iter(compared).buffered(ORDERS_IN_FLIGHT_MAX));
    while let Some((order_id, compared)) = compared.next().await {
        match compared {
            Ok(compared) => report.add(order_id, &compared),
            Err(error) => match error.chain().find_map(|cause| cause.downcast_ref::<BrokenItem>()) {
                Some(item) if named.contains(&item.key) => {}
                Some(item) => report.broken(item),
                None => return Err(error.into()),
            },
        }
    }
    println!("{}", json!({"orders": orders.len(), "events": report.events, "differences": report.differences}));
    if report.differences == 0 { Ok(()) } else { Err(Failure::reported()) }
}

#[derive(Default)]
struct Report {
    events: u64,
    differences: u64,
}

/// An order's stored projection and the fold of its log up to the same version, and the log's head.
struct Compared {
    stored: Projection,
    folded: Projection,
    head: Version,
}

impl Report {
    fn broken(&mut self, BrokenItem { key, reason }: &BrokenItem) {
        self.differences += 1;
        println!("{}", json!({"difference": "broken", "item": key, "reason": reason}));
    }

    fn add(&mut self, order_id: &OrderId, compared: &Compared) {
        let Compared { stored, folded, head } = compared;
        self.events += head.get();
        let difference = if stored != folded {
            "projection"
        } else if stored.version() != *head {
            "version"
        } else {
            return;
        };
        self.differences += 1;
        let (stored, folded) = (stored.version().get(), folded.version().get());
        let orders = json!({
            "difference": difference, "orderId": order_id.as_str(),
            "storedVersion": stored, "foldedVersion": folded, "head": head.get(),
        });
        println!("{orders}");
    }
}

/// Compares, and looks again while events are being folded.
async fn compare(store: &Store, order_id: &OrderId) -> anyhow::Result<Compared> {
    let until = Instant::now() + SETTLING_MAX;
    loop {
        let stored = store.projections.get(order_id).await.with_context(|| format!("cannot verify {order_id}"))?;
        let head = store.event_log.head(order_id).await.with_context(|| format!("cannot verify {order_id}"))?;
        if stored.version() >= head || Instant::now() >= until {
            let folded = fold(&store.event_log, order_id, Some(stored.version())).await?;
            return Ok(Compared { stored, folded, head });
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}
