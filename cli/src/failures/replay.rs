//! `foldcast failures replay`: the orders that messages name, rebuilt; then the messages go.
//!
//! Owns: that a message is deleted only once its order was rebuilt.
//! Must not know: how an order is folded and pushed; it is the event handler's own code.
//! Source: `docs/dead-letters.md`.

use std::collections::{BTreeMap, BTreeSet};

use domain::OrderId;
use event_handler::{Orders, Rebuilt};
use futures_util::{StreamExt, stream};
use queues::FailureQueue;
use serde_json::{Value, json};

use super::{line, taken::Taken};
use crate::{
    failure::{Failure, one_line},
    rebuild::{ORDERS_IN_FLIGHT_MAX, rebuild},
};

/// What became of the messages so far.
#[derive(Default)]
struct Report {
    replayed: u64,
    left: u64,
}

impl Report {
    fn replayed(&mut self, id: &str, order_id: &OrderId, rebuilt: Rebuilt) {
        self.replayed += 1;
        let Rebuilt { from, to, changed } = rebuilt;
        let order_id = order_id.as_str();
        let (from, to) = (from.get(), to.get());
        println!(
            "{}",
            json!({"id": id, "orderId": order_id, "replayed": true, "from": from, "to": to, "changed": changed})
        );
    }

    fn left(&mut self, id: &str, order_id: Option<&OrderId>, reason: &str) {
        self.left += 1;
        let order_id = order_id.map_or(Value::Null, |order_id| json!(order_id.as_str()));
        println!("{}", json!({"id": id, "orderId": order_id, "replayed": false, "reason": reason}));
    }
}

/// Replays these messages, or all.
pub(super) async fn run(queue: &FailureQueue, orders: &Orders, ids: Option<Vec<String>>) -> Result<(), Failure> {
    let mut taken = Taken::receive(queue).await?;
    let mut report = Report::default();
    let all = || taken.oldest_first().into_iter().map(|message| message.id.clone()).collect();
    let ids: BTreeSet<String> = ids.map_or_else(all, |ids| ids.into_iter().collect());
    let mut by_order: BTreeMap<OrderId, Vec<String>> = BTreeMap::new();
    for id in ids {
        match taken.get(&id).map(|message| line::order_of(&message.content)) {
            Some(Ok(order_id)) => by_order.entry(order_id).or_default().push(id),
            Some(Err(no_order)) => report.left(&id, None, no_order),
            None => report.left(&id, None, "the failure queue shows no such message"),
        }
    }
    let rebuilds = by_order.into_iter().map(|(order_id, ids)| async move {
        let rebuilt = rebuild(orders, &order_id).await;
        (order_id, ids, rebuilt)
    });
    let mut rebuilds = stream::iter(rebuilds).buffer_unordered(ORDERS_IN_FLIGHT_MAX);
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    let mut is_interrupted = false;
    loop {
        let next = tokio::select! {
            next = rebuilds.next() => next,
            _ = &mut interrupted => { is_interrupted = true; None }
        };
        let Some((order_id, ids, rebuilt)) = next else { break };
        settle(&mut taken, &mut report, &order_id, &ids, rebuilt).await;
    }
    drop(rebuilds);
    let is_cut = taken.is_cut();
    taken.put_back().await;
    println!("{}", json!({"replayed": report.replayed, "left": report.left}));
    if is_cut {
        eprintln!("foldcast: the queue has more messages: replay again");
    }
    if report.left == 0 && !is_interrupted { Ok(()) } else { Err(Failure::reported()) }
}

/// Deletes the messages of an order that was rebuilt, and of no other.
async fn settle(
    taken: &mut Taken<'_>,
    report: &mut Report,
    order_id: &OrderId,
    ids: &[String],
    rebuilt: anyhow::Result<Rebuilt>,
) {
    for id in ids {
        match &rebuilt {
            Err(error) => report.left(id, Some(order_id), &one_line(error)),
            Ok(rebuilt) => match taken.delete(id).await {
                Some(Err(error)) => {
                    let reason = one_line(&anyhow::Error::new(error).context("the order was rebuilt"));
                    report.left(id, Some(order_id), &reason);
                }
                Some(Ok(())) | None => report.replayed(id, order_id, *rebuilt),
            },
        }
    }
}
