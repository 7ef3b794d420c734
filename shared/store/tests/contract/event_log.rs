//! The event log: versions without gaps, each ref once, logs read whole.

use std::collections::BTreeSet;

use domain::{Json, LoggedEvent, Version};
use futures_util::{StreamExt, stream};
use serde_json::json;
use store::event_log::{AppendError, ReadError};

use crate::{engine::ChangeFeed, event, event_of, open, order, tables::Tables};

const ALL: std::ops::RangeInclusive<Version> = Version::FIRST..=Version::MAX;

fn versions(log: &[LoggedEvent]) -> Vec<u64> {
    log.iter().map(|logged| logged.version.get()).collect()
}

#[tokio::test]
async fn an_append_takes_the_next_version_and_a_ref_is_appended_once() {
    let store = &open().await;
    for (event_ref, version, was_there) in [(30, 1, false), (10, 2, false), (30, 1, true), (20, 3, false)] {
        let appended = store.event_log.append(&event("o", event_ref, &json!({})), None).await.unwrap();
        assert_eq!((appended.version.get(), appended.was_there), (version, was_there), "ref {event_ref}");
    }
    let other = store.event_log.append(&event("p", 30, &json!({})), None).await.unwrap();
    assert_eq!(other.version, Version::FIRST, "another order has a log of its own");
    assert_eq!(store.event_log.head(&order("o")).await.unwrap(), Version::new(3));
    assert_eq!(store.event_log.head(&order("nobody")).await.unwrap(), Version::NONE);
    let found = store.event_log.order_ids().await.unwrap();
    assert_eq!((found.order_ids, found.broken), ([order("o"), order("p")].into(), Vec::new()));
}

#[tokio::test]
async fn a_ref_with_other_content_is_an_error_that_names_both() {
    let store = &open().await;
    let event = |amount: &str, list: &str| {
        event_of("o", 7, Json::parse(format!(r#"{{"amount":{amount},"list":[{list}]}}"#)).unwrap())
    };
    let append = async |event| store.event_log.append(&event, None).await;
    assert!(!append(event("1.50", "0.1")).await.unwrap().was_there);
    for same in [event("1.50", "0.1"), event("1.5", "1e-1"), event("15e-1", "0.10")] {
        assert!(append(same).await.unwrap().was_there);
    }
    let later = domain::Event { ts_us: 1_605_999_005_510_001, ..event("1.5", "0.1") };
    for other in [event("1.51", "0.1"), event("1.5", "\"0.1\""), event("1.5", "0.1,0.1"), later] {
        let refused = append(other).await.unwrap_err();
        assert_eq!(refused.to_string(), "order \"o\" has another event with the ref \"7\", at version 1");
    }
    assert_eq!(store.event_log.head(&order("o")).await.unwrap(), Version::FIRST);
}

#[tokio::test]
async fn a_log_that_ends_at_the_highest_version_takes_no_event() {
    let tables = Tables::make(ChangeFeed::Off).await;
    let highest = json!({"orderId": {"S": "o"}, "version": {"N": Version::MAX.to_string()}, "ref": {"S": "1"}});
    tables.dynamodb("PutItem", &json!({"TableName": "order_stream", "Item": highest})).await;
    let refused = tables.store.event_log.append(&event("o", 2, &json!({})), None).await.unwrap_err();
    assert_eq!(refused.to_string(), "the event cannot be stored: its version is over 9007199254740991");
}

#[tokio::test]
async fn an_append_behind_the_head_goes_to_the_end() {
    let store = &open().await;
    for event_ref in 1..=3 {
        store.event_log.append(&event("o", event_ref, &json!({})), None).await.unwrap();
    }
    let stale = store.event_log.append(&event("o", 4, &json!({})), Some(Version::FIRST)).await.unwrap();
    assert_eq!(stale.version, Version::new(4));
    let known = store.event_log.append(&event("o", 5, &json!({})), Some(stale.version)).await.unwrap();
    assert_eq!(known.version, Version::new(5));
}

#[tokio::test]
async fn producers_that_race_end_with_every_event_once() {
    let store = &open().await;
    // 50 producers, each with 4 events of its own and one that all of them send.
    let producers = (0..50_u64).map(|producer| async move {
        for event_ref in [producer * 10 + 1, 999, producer * 10 + 2, producer * 10 + 3, producer * 10 + 4] {
            store.event_log.append(&event("o", event_ref, &json!({})), None).await.unwrap();
        }
    });
    stream::iter(producers).for_each_concurrent(None, |producer| producer).await;
    let log = store.event_log.range(&order("o"), ALL).await.unwrap();
    assert_eq!(versions(&log), (1..=201).collect::<Vec<_>>());
    let refs: BTreeSet<_> = log.iter().map(|logged| logged.event.event_ref.clone()).collect();
    assert_eq!(refs.len(), 201);
}

#[tokio::test]
async fn a_log_of_many_pages_is_read_whole() {
    let store = &open().await;
    let large = json!({"note": "x".repeat(300_000)});
    for event_ref in 1..=9 {
        store.event_log.append(&event("o", event_ref, &large), None).await.unwrap();
    }
    let mut reader = store.event_log.read(&order("o"), ALL);
    let mut pages = Vec::new();
    while let Some(page) = reader.next_page().await.unwrap() {
        pages.push(versions(&page));
    }
    assert!(pages.len() > 2, "DynamoDB's pages end at 1 MB: {pages:?}");
    assert_eq!(pages.concat(), (1..=9).collect::<Vec<_>>());
    let part = store.event_log.range(&order("o"), Version::new(4)..=Version::new(8)).await.unwrap();
    assert_eq!(versions(&part), [4, 5, 6, 7, 8]);
    let none = store.event_log.range(&order("o"), Version::new(8)..=Version::new(7)).await.unwrap();
    assert_eq!(none, []);
}

#[tokio::test]
async fn a_hole_in_the_log_is_an_error_and_never_skipped() {
    let tables = Tables::make(ChangeFeed::Off).await;
    let store = &tables.store;
    for event_ref in 1..=3 {
        store.event_log.append(&event("o", event_ref, &json!({})), None).await.unwrap();
    }
    let second = json!({"TableName": "order_stream", "Key": {"orderId": {"S": "o"}, "version": {"N": "2"}}});
    tables.dynamodb("DeleteItem", &second).await;
    let read = store.event_log.range(&order("o"), ALL).await;
    assert!(matches!(read, Err(ReadError::Hole { missing, .. }) if missing == Version::new(2)), "{read:?}");
}

#[tokio::test]
async fn what_is_appended_is_what_is_read() {
    let store = &open().await;
    let deep = (0..30).fold(json!(1), |inner, _| json!([inner]));
    let data = json!({
        "whole": 9_007_199_254_740_993_u64, "gone": null, "empty": "", "yes": true, "list": [1, [], {}, "é\u{1}𝄞"],
        "deep": deep, "e\u{301}": 2, "é": 1,
    });
    let digits = || Json::parse(r#"{"exact": 12345678901234567890123456789.012345678}"#).unwrap();
    for event in [event("o", 1, &data), event_of("o", 2, digits())] {
        store.event_log.append(&event, None).await.unwrap();
    }
    let log = store.event_log.range(&order("o"), ALL).await.unwrap();
    assert_eq!(log[0].event, event("o", 1, &data));
    assert_eq!(log[1].event, event_of("o", 2, digits()));
}

#[tokio::test]
async fn an_event_at_dynamodbs_limit_is_appended_and_one_byte_more_is_refused() {
    let store = &open().await;
    let with_note = |bytes: usize| event("o", 1, &json!({"note": "x".repeat(bytes)}));
    let largest = (400_000..409_600).rev().find(|bytes| store::event_log::check(&with_note(*bytes)).is_ok()).unwrap();
    let refused = store.event_log.append(&with_note(largest + 1), None).await;
    assert!(matches!(refused, Err(AppendError::NotStorable(_))), "{refused:?}");
    assert_eq!(store.event_log.head(&order("o")).await.unwrap(), Version::NONE);
    store.event_log.append(&with_note(largest), None).await.unwrap();
    assert_eq!(store.event_log.head(&order("o")).await.unwrap(), Version::FIRST);
}
