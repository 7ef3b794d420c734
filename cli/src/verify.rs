//! `foldcast verify`: is every stored projection the fold of its log?
//!
//! Owns: the comparison, and telling a projection that is wrong from one that is about to come.
//! Must not know: how either was written.
//! Source: ARCHITECTURE.md, "The problem".

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use domain::{OrderId, Projection, Version};
use serde_json::json;
use store::Store;

use crate::{args, deployment, failure::Failure, fold::fold};

/// How long an order whose events are not all folded is looked at again before that counts as a difference.
const SETTLING_MAX: Duration = Duration::from_secs(10);
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
    for item in &broken {
        println!("{}", json!({"difference": "broken", "item": item.key, "reason": item.reason}));
    }
    let mut report = Report { differences: broken.len().try_into().unwrap_or(u64::MAX), ..Report::default() };
    for order_id in &orders {
        report.add(order_id, &compare(&store, order_id).await?);
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
