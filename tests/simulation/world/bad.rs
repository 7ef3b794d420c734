//! What is bad and stays bad: connections that take no push, rows and orders that nobody can work with. Nothing of it ends
//! with the faults, and nothing else may wait for it.

use std::collections::BTreeMap;

use domain::OrderId;
use fastrand::Rng;
use serde_json::{Value, json};

use super::{World, queues::FAILURES};
use crate::dynamodb;

/// How a connection is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadConnection {
    /// Each push is answered 429: nobody reads.
    Refusing,
    /// No push is answered.
    Silent,
}

/// How an order is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadOrder {
    /// DynamoDB refuses its projection.
    Refused,
    /// The partition of its projection is throttled.
    Throttled,
    /// An item of its log is no event.
    Malformed { is_written: bool },
}

/// Everything that is bad in a world.
#[derive(Debug, Default)]
pub(crate) struct Bad {
    /// Browsers, each connection of which is bad.
    pub(super) browsers: BTreeMap<usize, BadConnection>,
    pub(crate) orders: BTreeMap<OrderId, BadOrder>,
}

/// A connection id that API Gateway refuses with 400.
pub(super) const REFUSED_ID: &str = "no connection id";

impl Bad {
    /// Draws what is bad; one browser and one order are good.
    pub(super) fn draw(random: &mut Rng, browsers: usize, order_ids: &[OrderId]) -> Self {
        let mut bad = Self::default();
        for browser in 1..browsers {
            let how = [BadConnection::Refusing, BadConnection::Silent][random.usize(0..2)];
            if random.u8(0..5) < 2 {
                bad.browsers.insert(browser, how);
            }
        }
        for order_id in &order_ids[1..] {
            let how = [BadOrder::Refused, BadOrder::Throttled, BadOrder::Malformed { is_written: false }];
            let how = how[random.usize(0..how.len())];
            if random.u8(0..5) == 0 {
                bad.orders.insert(order_id.clone(), how);
            }
        }
        bad
    }

    pub(crate) fn is_nothing(&self) -> bool {
        self.browsers.is_empty() && self.orders.is_empty()
    }

    pub(crate) fn has_browser(&self, browser: usize) -> bool {
        self.browsers.contains_key(&browser)
    }

    /// What DynamoDB answers to a request that has to do with a bad order.
    pub(super) fn answer(&self, operation: &str, request: &Value) -> Option<&'static str> {
        if request["TableName"] != "order_projections" {
            return None;
        }
        let key = [&request["Key"], &request["Item"]].into_iter().find_map(|item| item["orderId"]["S"].as_str())?;
        match self.orders.get(&OrderId::new(key).ok()?)? {
            BadOrder::Refused => (operation != "GetItem").then_some("com.amazon.coral.validate#ValidationException"),
            BadOrder::Throttled => Some("com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"),
            BadOrder::Malformed { .. } => None,
        }
    }
}

impl World {
    /// Writes rows that are no subscriptions, and such as API Gateway has no connection for.
    pub(super) fn write_bad_rows(&mut self) {
        let rows = [
            json!({"connectionId": {"S": REFUSED_ID}, "principalId": {"S": "x"}, "readsAll": {"BOOL": true},
                "expiresAt": {"N": "9000000000"}}),
            json!({"connectionId": {"S": "a row of another release"}, "principal": {"S": "x"}}),
            json!({"connectionId": {"S": "z row of an operator"}, "principalId": {"N": "1"}, "expiresAt": {"S": ""}}),
        ];
        for order_id in &self.order_ids {
            for row in &rows {
                if self.random.u8(0..3) == 0 {
                    let mut row = row.clone();
                    row["orderId"] = json!({"S": order_id.as_str()});
                    let put = json!({"TableName": "subscriptions", "Item": row});
                    assert_eq!(dynamodb::serve(&self.database, "PutItem", &put).0, 200);
                }
            }
        }
    }

    /// Whether a log is to get an item that is no event.
    pub(super) fn has_log_to_spoil(&self) -> bool {
        self.bad.orders.values().any(|bad| *bad == BadOrder::Malformed { is_written: false })
    }

    /// Puts an item that is no event behind the last event of a log; nobody appends to that log any more.
    pub(crate) fn spoil_logs(&mut self) {
        for (order_id, bad) in &mut self.bad.orders {
            let BadOrder::Malformed { is_written: false } = bad else { continue };
            *bad = BadOrder::Malformed { is_written: true };
            let is_of_it = |record: &&Value| record["dynamodb"]["Keys"]["orderId"]["S"] == order_id.as_str();
            let head = self.feed.records.iter().filter(is_of_it).count();
            let item = json!({"orderId": {"S": order_id.as_str()}, "version": {"N": (head + 1).to_string()}});
            let put = json!({"TableName": "order_stream", "Item": item});
            assert_eq!(dynamodb::serve(&self.database, "PutItem", &put).0, 200);
            self.transcript.push(format!("the log of {order_id} has an item that is no event"));
        }
        self.drop_events_of_spoiled_logs();
    }

    pub(super) fn drop_events_of_spoiled_logs(&mut self) {
        let bad = &self.bad.orders;
        let is_spoiled = |order_id: &OrderId| bad.get(order_id) == Some(&BadOrder::Malformed { is_written: true });
        self.due.retain(|event| !is_spoiled(event.order_id()));
    }

    /// The good orders that are named in the failure queue, except for those whose gaps may have lasted too long.
    pub(crate) fn good_orders_that_failed(&self) -> Vec<String> {
        let named = self.queues.bodies(FAILURES).map(|body| serde_json::from_str::<Value>(body).unwrap());
        let named = named.filter_map(|failure| failure["orderId"].as_str().map(str::to_owned));
        let excepted = || self.bad.orders.keys().chain(&self.gapped);
        named.filter(|order_id| !excepted().any(|order| order.as_str() == order_id)).collect()
    }
}
