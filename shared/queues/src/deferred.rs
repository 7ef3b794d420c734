//! Orders whose events wait to be folded and pushed, apart from the change feed.
//!
//! An order that cannot be folded for a reason that may pass is put here, so that the change feed goes on with every other
//! order. The event handler takes it from here and tries again.

use std::time::Duration;

use aws_types::SdkConfig;
use domain::{OrderId, Version};
use serde::{Deserialize, Serialize};

use crate::page::{OwnerBefore, WireBefore};
use crate::queue::{MissingQueueError, ORDER_QUEUE_VARIABLE, Queue, QueueError};

/// Events of an order that wait to be folded and pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeferredOrder {
    /// The order.
    pub order_id: OrderId,
    /// The first of the events.
    pub first: Version,
    /// The last of the events.
    pub last: Version,
    /// Who owned the order before the events, if an attempt has found out and the next one no longer can.
    pub before: Option<OwnerBefore>,
    /// Which attempt comes next: 1 was made for the change feed.
    pub round: u32,
    /// When the first attempt was made, in milliseconds since 1970.
    pub deferred_at_ms: i64,
    /// Whether they wait for an event before them that is missing. Whoever folds that one folds them as well; the message comes
    /// back when it has been missing for too long.
    pub waits: bool,
}

/// The message, as it is on the queue.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct WireOrder {
    order_id: String,
    first: u64,
    last: u64,
    #[serde(flatten)]
    before: WireBefore,
    round: u32,
    deferred_at: i64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    waits: bool,
}

impl DeferredOrder {
    /// The message's text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let Self { order_id, first, last, before, round, deferred_at_ms, waits } = self;
        let wire = WireOrder {
            order_id: order_id.as_str().to_owned(),
            first: first.get(),
            last: last.get(),
            before: WireBefore::of(before.as_ref()),
            round: *round,
            deferred_at: *deferred_at_ms,
            waits: *waits,
        };
        serde_json::json!(wire).to_string()
    }

    /// Reads a message's text; `None` for a text of another kind.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let WireOrder { order_id, first, last, before, round, deferred_at, waits } = serde_json::from_str(text).ok()?;
        let (first, last) = (Version::checked(first)?, Version::checked(last)?);
        let is_run = Version::FIRST <= first && first <= last;
        let order_id = OrderId::new(order_id).ok().filter(|_| is_run)?;
        Some(Self { order_id, first, last, before: before.read(first), round, deferred_at_ms: deferred_at, waits })
    }
}

/// The queue of deferred orders.
#[derive(Clone, Debug)]
pub struct DeferredOrders(Queue);

impl DeferredOrders {
    /// Opens the queue that the environment names, with the region, credentials and HTTP client of `sdk`.
    ///
    /// # Errors
    /// [`MissingQueueError`] if no variable names it.
    pub fn from_vars(sdk: &SdkConfig, var: impl Fn(&str) -> Option<String>) -> Result<Self, MissingQueueError> {
        Queue::from_vars(ORDER_QUEUE_VARIABLE, sdk, var).map(Self)
    }

    /// Defers an order for `delay`, which SQS counts in whole seconds.
    ///
    /// # Errors
    /// [`QueueError`] if SQS does not take the message.
    pub async fn send(&self, order: &DeferredOrder, delay: Duration) -> Result<(), QueueError> {
        self.0.send(&[order.to_text()], delay).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deferred_order_is_read_as_it_was_sent() {
        let order = DeferredOrder {
            order_id: OrderId::new("guid_1").unwrap(),
            first: Version::new(7),
            last: Version::new(9),
            before: Some(OwnerBefore::Known { owner: None, version: Version::new(6) }),
            round: 2,
            deferred_at_ms: 1_605_999_005_512,
            waits: false,
        };
        let text = order.to_text();
        assert_eq!(
            text,
            r#"{"before":{"owner":null},"deferredAt":1605999005512,"first":7,"last":9,"orderId":"guid_1","ownerVersion":6,"round":2}"#
        );
        assert_eq!(DeferredOrder::parse(&text), Some(order.clone()));
        let waiting = DeferredOrder { waits: true, ..order };
        assert_eq!(DeferredOrder::parse(&waiting.to_text()), Some(waiting));
    }

    #[test]
    fn a_text_of_another_kind_is_no_deferred_order() {
        let order = |order_id: &str, first: u64, last: u64| {
            format!(r#"{{"orderId":"{order_id}","first":{first},"last":{last},"round":1,"deferredAt":0}}"#)
        };
        for text in ["", "{}", &order("", 1, 1), &order("o", 0, 1), &order("o", 2, 1), &order("o", 1, u64::MAX)] {
            assert_eq!(DeferredOrder::parse(text), None, "{text}");
        }
    }
}
