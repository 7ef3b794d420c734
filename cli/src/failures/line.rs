//! A message of the failure queue as it is printed.
//!
//! Owns: the JSON of a message, what it is about, and what to do about it.
//! Must not know: how it was received. Nothing of an event is in it: a message has keys and reasons alone.
//! Source: README.md, "Commands"; `docs/dead-letters.md`.

use domain::OrderId;
use queues::{Content, Failure, GivenUp, Message};
use serde_json::{Value, json};
use store::BrokenItem;

/// Why a message has no order that could be rebuilt, and what to do.
const NO_ORDER: &str = "its item has no order id that can be read: delete or mend the item, then \
                        `foldcast failures delete` the message";
const NO_EVENT: &str = "a document of FaunaDB is no event, and is in no log: append what it should have said with \
                        `foldcast append`, then `foldcast failures delete` the message";
const GIVEN_UP: &str = "it names a place in the change feed and no order: `foldcast rebuild` brings every order to its \
                        log's head; then `foldcast failures delete` the message";
const UNREADABLE: &str = "nothing of Foldcast or of Lambda's event source mapping wrote it: look at it with \
                          `aws sqs receive-message`, then `foldcast failures delete` it";
const REBUILD: &str = "mend what the reason names, then `foldcast failures replay` the message";

/// One line of a list.
pub(super) fn of(message: &Message) -> Value {
    let Message { id, sent_at, content } = message;
    let order_id = order_of(content).ok();
    let order_id = order_id.as_ref().map(OrderId::as_str);
    match content {
        Content::Failure(Failure::Poison { key, reason, sequence_number }) => json!({
            "id": id, "kind": "poison", "orderId": order_id, "key": key, "reason": reason,
            "sequenceNumber": sequence_number, "sentAt": sent_at,
        }),
        Content::Failure(Failure::NotFolded { order_id, first_version, last_version, reason }) => json!({
            "id": id, "kind": "not_folded", "orderId": order_id, "firstVersion": first_version,
            "lastVersion": last_version, "reason": reason, "sentAt": sent_at,
        }),
        Content::Failure(Failure::NotAppended { event_ref, reason }) => {
            json!({"id": id, "kind": "not_appended", "ref": event_ref, "reason": reason, "sentAt": sent_at})
        }
        Content::GivenUp(given_up) => {
            let GivenUp { condition, function_error, shard_id, start_sequence_number, end_sequence_number, batch_size } =
                given_up;
            json!({
                "id": id, "kind": "given_up", "reason": condition, "functionError": function_error,
                "shardId": shard_id, "startSequenceNumber": start_sequence_number,
                "endSequenceNumber": end_sequence_number, "batchSize": batch_size, "sentAt": sent_at,
            })
        }
        Content::Page(page) => {
            json!({"id": id, "kind": "page", "orderId": order_id, "version": page.version.get(), "sentAt": sent_at})
        }
        Content::Deferred(deferred) => json!({
            "id": id, "kind": "deferred", "orderId": order_id, "firstVersion": deferred.first.get(),
            "lastVersion": deferred.last.get(), "sentAt": sent_at,
        }),
        Content::Unreadable { bytes } => json!({"id": id, "kind": "unreadable", "bytes": bytes, "sentAt": sent_at}),
    }
}

/// The same, and what to do about it.
pub(super) fn in_full(message: &Message) -> Value {
    let mut line = of(message);
    let advice = order_of(&message.content).map_or_else(|no_order| no_order, |_order_id| REBUILD);
    if let Some(line) = line.as_object_mut() {
        line.insert("advice".to_owned(), json!(advice));
    }
    line
}

/// The order that a message is about; else why there is none, and what to do.
pub(super) fn order_of(content: &Content) -> Result<OrderId, &'static str> {
    match content {
        Content::Failure(Failure::Poison { key, .. }) => BrokenItem::order_id_in(key).ok_or(NO_ORDER),
        Content::Failure(Failure::NotFolded { order_id, .. }) => OrderId::new(order_id).map_err(|_invalid| NO_ORDER),
        Content::Failure(Failure::NotAppended { .. }) => Err(NO_EVENT),
        Content::Page(page) => Ok(page.order_id.clone()),
        Content::Deferred(deferred) => Ok(deferred.order_id.clone()),
        Content::GivenUp(_) => Err(GIVEN_UP),
        Content::Unreadable { .. } => Err(UNREADABLE),
    }
}
