//! `foldcast rebuild`: an order's projection again from its log, stored and pushed.
//!
//! Owns: which orders, and what is printed of each.
//! Must not know: how an order is folded and pushed; it is the event handler's own code.
//! Source: `docs/guarantee.md`, "Poison".

use std::time::Duration;

use anyhow::Context as _;
use event_handler::{Orders, Rebuilt};
use serde_json::json;
use tokio::time::Instant;

use crate::{args, deployment, failure::Failure};

/// How long an order's subscribers are tried.
const PUSH_MAX: Duration = Duration::from_secs(60);

pub(crate) async fn run(options: args::Rebuild) -> Result<(), Failure> {
    let args::Rebuild { order_ids, management_url, target } = options;
    let orders: Orders = deployment::orders(&target, management_url.as_deref()).map_err(Failure::usage)?;
    for order_id in &order_ids {
        let rebuilt = orders.rebuild(order_id, Instant::now() + PUSH_MAX).await;
        let Rebuilt { from, to, changed } = rebuilt.with_context(|| format!("cannot rebuild {order_id}"))?;
        let line = json!({"orderId": order_id.as_str(), "from": from.get(), "to": to.get(), "changed": changed});
        println!("{line}");
    }
    Ok(())
}
