//! `foldcast fold`: an order's projection, from its log.
//!
//! Owns: folding a log whole, a page at a time.
//! Must not know: the stored projection.
//! Source: the log is the truth; the stored projection is only its fold.

use anyhow::{Context as _, anyhow};
use domain::{Json, OrderId, Projection, Version};
use store::EventLog;

use crate::{args, deployment, failure::Failure};

pub(crate) async fn run(options: args::Fold) -> Result<(), Failure> {
    let args::Fold { order_id, at, target } = options;
    let store = deployment::open(&target)?;
    let projection = fold(&store.event_log, &order_id, at.map(Version::new)).await?;
    if let Some(at) = at.filter(|at| projection.version() < Version::new(*at)) {
        let head = projection.version();
        return Err(Failure::failed(anyhow!("the log of {order_id} has no version {at}: it ends at {head}")));
    }
    println!("{}", Json::Object(projection.into_fields()));
    Ok(())
}

/// The fold of an order's log, up to a version or whole.
pub(crate) async fn fold(log: &EventLog, order_id: &OrderId, at: Option<Version>) -> anyhow::Result<Projection> {
    let mut projection = Projection::default();
    let mut reader = log.read(order_id, Version::FIRST..=at.unwrap_or(Version::MAX));
    while let Some(page) = reader.next_page().await.with_context(|| format!("cannot fold {order_id}"))? {
        for logged in &page {
            projection.evolve(logged);
        }
    }
    Ok(projection)
}
