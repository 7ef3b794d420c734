//! The change feed: every appended event once, in its order's order.

use domain::{Event, Version};
use serde_json::json;
use store::change_feed;

use crate::{engine::ChangeFeed, event, order, tables::Tables};

#[tokio::test]
async fn every_appended_event_is_a_record_once_and_in_order() {
    let tables = Tables::make(ChangeFeed::On).await;
    let mut appended = Vec::new();
    for event_ref in 1..=30 {
        let order_id = if event_ref % 3 == 0 { "p" } else { "o" };
        let more = json!({"n": event_ref, "exact": 0.1, "list": [null, "é", {"deep": []}]});
        let event = event(order_id, event_ref, &more);
        let version = tables.store.event_log.append(&event, None).await.unwrap().version;
        // A second time it is there already, and nothing is written.
        tables.store.event_log.append(&event, None).await.unwrap();
        appended.push((version, event));
    }
    let records = tables.records().await;
    let read = change_feed::read(&json!({"Records": records}).to_string()).unwrap();
    assert!(read.is_sorted_by_key(|record| record.sequence_number.parse::<u128>().unwrap()));
    let logged: Vec<_> = read.into_iter().map(|record| record.event.unwrap()).collect();
    assert!(logged.iter().all(|logged| logged.origin.appended_at_ms.is_some()), "it says when it was appended");
    let events: Vec<_> = logged.into_iter().map(|logged| (logged.version, logged.event)).collect();
    for id in ["o", "p"] {
        let of = |all: &[(Version, Event)]| -> Vec<(Version, Event)> {
            all.iter().filter(|(_, event)| *event.order_id() == order(id)).cloned().collect()
        };
        assert_eq!(of(&events), of(&appended));
    }
    assert_eq!(events.len(), 30);
}

#[tokio::test]
async fn a_deleted_event_is_a_record_without_an_event_and_names_its_key() {
    let tables = Tables::make(ChangeFeed::On).await;
    tables.store.event_log.append(&event("o", 1, &json!({})), None).await.unwrap();
    let key = json!({"orderId": {"S": "o"}, "version": {"N": "1"}});
    tables.dynamodb("DeleteItem", &json!({"TableName": "order_stream", "Key": key})).await;
    let read = change_feed::read(&json!({"Records": tables.records().await}).to_string()).unwrap();
    assert!(read[0].event.is_ok());
    assert!(read[1].event.as_ref().unwrap_err().key.contains('o'), "{:?}", read[1]);
}
