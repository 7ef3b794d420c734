//! A failure: what cannot be folded however often it is retried, and why.

use domain::{OrderId, Version};
use serde::{Deserialize, Serialize};

/// What could not be folded, and why. It holds keys and reasons alone, no event's content.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(tag = "failure", rename_all = "snake_case", rename_all_fields = "camelCase")]
pub enum Failure {
    /// An item of the log is no event.
    Poison {
        /// The item's key, as far as it can be read.
        key: String,
        /// What is wrong with the item.
        reason: String,
        /// The record's place in the change feed.
        sequence_number: String,
    },
    /// Events of an order are good, and yet the order cannot be folded up to them.
    NotFolded {
        /// The order.
        order_id: String,
        /// The first of the events.
        first_version: u64,
        /// The last of the events.
        last_version: u64,
        /// What is in the way.
        reason: String,
    },
    /// A document of FaunaDB is in no log, since it is no event.
    NotAppended {
        /// The document's id.
        #[serde(rename = "ref")]
        event_ref: String,
        /// What is wrong with the document.
        reason: String,
    },
}

impl Failure {
    /// Events of an order that cannot be folded.
    #[must_use]
    pub fn not_folded(order_id: &OrderId, first: Version, last: Version, reason: String) -> Self {
        let order_id = order_id.as_str().to_owned();
        Self::NotFolded { order_id, first_version: first.get(), last_version: last.get(), reason }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Content;

    fn every_failure() -> [Failure; 3] {
        let order_id = OrderId::new("guid_1").unwrap();
        [
            Failure::Poison {
                key: "orderId=\"guid_1\" version=7".to_owned(),
                reason: "the attribute data is missing".to_owned(),
                sequence_number: "100".to_owned(),
            },
            Failure::not_folded(&order_id, Version::new(8), Version::new(9), "the log has a broken item".to_owned()),
            Failure::NotAppended {
                event_ref: "282842364888744451".to_owned(),
                reason: "data.orderId must be a string".to_owned(),
            },
        ]
    }

    #[test]
    fn every_failure_on_the_wire() {
        let lines = every_failure().map(|failure| serde_json::json!(failure).to_string());
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn a_failure_is_read_as_it_was_sent() {
        for failure in every_failure() {
            let body = serde_json::json!(failure).to_string();
            assert_eq!(Content::read(&body), Content::Failure(failure));
        }
    }
}
