//! `foldcast rebuild`: projections again from their logs, stored and pushed.
//!
//! Owns: which orders, how many at once, that one order's failure is its own, and what is printed of each.
//! Must not know: how an order is folded and pushed; it is the event handler's own code.
//! Source: `docs/dead-letters.md`.

mod resume;

use std::{collections::BTreeSet, time::Duration};

use anyhow::Context as _;
use domain::OrderId;
use event_handler::{Orders, Rebuilt};
use futures_util::{StreamExt, stream};
use serde_json::json;
use store::event_log::OrderIds;
use tokio::time::Instant;

use crate::{
    args, deployment,
    failure::{Failure, one_line},
    progress,
};
use resume::Resume;

/// Orders that are rebuilt at once.
pub(crate) const ORDERS_IN_FLIGHT_MAX: usize = 8;

/// How long an order's subscribers are tried.
const PUSH_MAX: Duration = Duration::from_secs(60);

/// Which orders are rebuilt.
struct Chosen {
    order_ids: BTreeSet<OrderId>,
    /// Orders that an earlier run has done.
    skipped: usize,
    /// Items of the log whose order cannot be read.
    broken: u64,
    resume: Option<Resume>,
}

/// What became of them.
#[derive(Default)]
struct Report {
    rebuilt: u64,
    changed: u64,
    failed: u64,
}

pub(crate) async fn run(options: args::Rebuild) -> Result<(), Failure> {
    let args::Rebuild { order_ids, resume, management_url, target } = options;
    let orders: Orders = deployment::orders(&target, management_url.as_deref()).await.map_err(Failure::usage)?;
    if !order_ids.is_empty() {
        let named = Chosen { order_ids: order_ids.into_iter().collect(), skipped: 0, broken: 0, resume: None };
        let report = rebuild_all(&orders, named).await?;
        return if report.failed == 0 { Ok(()) } else { Err(Failure::reported()) };
    }
    let chosen = every_order(&target, resume).await?;
    let (broken, skipped) = (chosen.broken, chosen.skipped);
    let Report { rebuilt, changed, failed } = rebuild_all(&orders, chosen).await?;
    let failed = failed + broken;
    println!("{}", json!({"orders": rebuilt, "changed": changed, "skipped": skipped, "failed": failed}));
    if failed == 0 { Ok(()) } else { Err(Failure::reported()) }
}

/// Rebuilds one order.
pub(crate) async fn rebuild(orders: &Orders, order_id: &OrderId) -> anyhow::Result<Rebuilt> {
    let rebuilt = orders.rebuild(order_id, Instant::now() + PUSH_MAX).await;
    rebuilt.with_context(|| format!("cannot rebuild {order_id}"))
}

/// Every order that has a log, whether it has a projection or not, but for those that are done.
async fn every_order(target: &args::Target, resume: Option<std::path::PathBuf>) -> Result<Chosen, Failure> {
    let store = deployment::open(target)?;
    let open = |file| Resume::open(file, &deployment::name(target, &store)).map_err(Failure::usage);
    let resume = resume.map(open).transpose()?;
    let OrderIds { mut order_ids, broken } = store.event_log.order_ids().await.context("cannot read the log")?;
    for item in &broken {
        eprintln!("foldcast: {item}");
    }
    let before = order_ids.len();
    if let Some(resume) = &resume {
        order_ids.retain(|order_id| !resume.is_done(order_id));
    }
    let skipped = before - order_ids.len();
    let broken = broken.len().try_into().unwrap_or(u64::MAX);
    Ok(Chosen { order_ids, skipped, broken, resume })
}

/// Rebuilds orders, several at once, and prints a line of each; what fails is said and does not stop the others.
async fn rebuild_all(orders: &Orders, chosen: Chosen) -> Result<Report, Failure> {
    let Chosen { order_ids, broken, mut resume, .. } = chosen;
    let progress = progress::bar(order_ids.len(), "orders");
    let rebuilds = order_ids.into_iter().map(|order_id| async move {
        let rebuilt = rebuild(orders, &order_id).await;
        (order_id, rebuilt)
    });
    let mut rebuilds = stream::iter(rebuilds).buffer_unordered(ORDERS_IN_FLIGHT_MAX);
    let mut report = Report::default();
    while let Some((order_id, rebuilt)) = rebuilds.next().await {
        progress.inc(1);
        match rebuilt {
            Ok(Rebuilt { from, to, changed }) => {
                if let Some(resume) = &mut resume {
                    resume.done(&order_id)?;
                }
                report.rebuilt += 1;
                report.changed += u64::from(changed);
                let (order_id, from, to) = (order_id.as_str(), from.get(), to.get());
                let line = json!({"orderId": order_id, "from": from, "to": to, "changed": changed});
                progress::print_line(&progress, &line.to_string()).context("cannot print")?;
            }
            Err(error) => {
                report.failed += 1;
                progress.suspend(|| eprintln!("foldcast: {}", one_line(&error)));
            }
        }
    }
    progress.finish_and_clear();
    match resume {
        Some(resume) if report.failed + broken == 0 => resume.end()?,
        Some(_) | None => {}
    }
    Ok(report)
}
