//! In which order documents come into the log, and what their later versions do.

use domain::Json;
use fauna_feed::Counts;
use serde_json::{Value, json};
use store::fauna_feed::Place;

use crate::rig::{Rig, create, event, in_the_log, make_schema, reference};

#[tokio::test]
async fn a_backfill_of_many_pages_is_in_the_order_of_ids_and_folds_as_fauna_does() {
    let rig = Rig::start().await;
    // Written in another order than that of their ids, which are compared as numbers: 9 before 10.
    for n in (1..=400_u64).rev() {
        rig.create_at(i64::try_from(n).unwrap(), &event(&format!("o{}", n % 7), n));
    }
    let counts = rig.catch_up().await;
    assert_eq!(in_the_log(counts), (400, 0));
    rig.assert_nothing_lost_and_nothing_doubled().await;
    for order_id in ["o0", "o1", "o6"] {
        let ids: Vec<u64> = rig.refs(order_id).await.iter().map(|id| id.parse().unwrap()).collect();
        assert!(ids.is_sorted(), "{ids:?}");
        let (ours, theirs) = rig.folds(order_id).await;
        assert_eq!(ours, theirs);
    }
    assert_eq!(rig.catch_up().await.documents(), 0, "what is done is not read again");
    assert_eq!(rig.catch_up().await.documents(), 0);
}

#[tokio::test]
async fn a_transaction_of_more_documents_than_a_page_is_read_whole() {
    let rig = Rig::start().await;
    rig.catch_up().await;
    let creates: Vec<Value> = (0..400).map(|n| create(None, &event(&format!("o{}", n % 3), n))).collect();
    rig.fauna.query(&Value::from(creates));
    let counts = rig.catch_up().await;
    assert_eq!(in_the_log(counts), (400, 0));
    rig.assert_nothing_lost_and_nothing_doubled().await;
}

#[tokio::test]
async fn a_later_commit_with_a_lower_id_goes_to_the_end_and_is_counted() {
    let rig = Rig::start().await;
    let late: Vec<i64> = (0..3).map(|_| rig.fauna.reserve_id()).collect();
    let first = rig.create(&event("o", 1));
    assert_eq!(rig.catch_up().await.appended, 1);
    for id in &late {
        rig.create_at(*id, &event("o", 2));
    }
    let counts = rig.catch_up().await;
    assert_eq!((counts.appended, counts.late), (3, 1), "those behind the first late one are in order again");
    let expected: Vec<String> = std::iter::once(&first).chain(&late).map(ToString::to_string).collect();
    assert_eq!(rig.refs("o").await, expected);
    rig.assert_nothing_lost_and_nothing_doubled().await;
}

#[tokio::test]
async fn what_commits_behind_the_backfill_while_it_runs_is_read_by_the_tail() {
    let rig = Rig::start().await;
    let late = rig.fauna.reserve_id();
    for n in 0..300 {
        rig.create(&event("o", n));
    }
    let written = std::sync::atomic::AtomicBool::new(false);
    let feed = rig.feed();
    let write = |counts: Counts| {
        if counts.appended > 0 && !written.swap(true, std::sync::atomic::Ordering::SeqCst) {
            rig.create_at(late, &event("o", 300));
            rig.create(&event("o", 301));
        }
    };
    let report = Box::pin(feed.run(fauna_feed::Until::CaughtUp, &write)).await.unwrap();
    // Those that the backfill and the tail both read are there the second time.
    let (in_the_log, otherwise) = in_the_log(report.counts);
    assert!(in_the_log >= 302 && otherwise == 0 && report.counts.late == 1, "{report:?}");
    rig.assert_nothing_lost_and_nothing_doubled().await;
}

#[tokio::test]
async fn an_update_is_counted_once_and_changes_nothing_in_a_log() {
    let rig = Rig::start().await;
    let (kept, moved, other) = (rig.create(&event("o", 1)), rig.create(&event("o", 2)), rig.create(&event("o", 3)));
    rig.catch_up().await;
    let before = rig.logged("o").await;
    let update = |id: i64, data: Value| json!({"update": reference(id), "params": {"quote": {"data": data}}});
    rig.fauna.query(&update(kept, json!({"n": 100})));
    // Even one that says that it is another order's, or none's.
    rig.fauna.query(&update(moved, json!({"orderId": "p"})));
    rig.fauna.query(&update(other, json!({"orderId": null})));
    assert_eq!(rig.catch_up().await, Counts { updated: 3, ..Counts::default() });
    assert_eq!(rig.logged("o").await, before);
    assert_eq!(rig.refs("p").await, [""; 0]);
    assert_eq!(rig.catch_up().await, Counts::default());
}

#[tokio::test]
async fn a_deletion_is_counted_and_the_log_keeps_its_event() {
    let rig = Rig::start().await;
    let (first, second) = (rig.create(&event("o", 1)), rig.create(&event("o", 2)));
    rig.catch_up().await;
    rig.fauna.query(&json!({"delete": reference(second)}));
    let unread = rig.create(&event("o", 3));
    rig.fauna.query(&json!({"delete": reference(unread)}));
    assert_eq!(rig.catch_up().await, Counts { removed: 1, ..Counts::default() });
    assert_eq!(rig.refs("o").await, [first.to_string(), second.to_string()]);
    assert_eq!(rig.catch_up().await, Counts::default(), "and counted once");
}

#[tokio::test]
async fn what_is_no_event_is_reported_once_and_appended_when_it_is_mended() {
    let rig = Rig::start().await;
    let no_order = rig.create(&json!({"eventName": "A", "secret": "stripe_123"}));
    let bad = [
        (rig.create(&json!({})), "the document has no data"),
        (no_order, "data.orderId must be a string"),
        (rig.create(&json!({"eventName": "A", "orderId": ["a", "b"]})), "data.orderId must be a string"),
        (rig.create(&json!({"orderId": "o"})), "data.eventName must be a string that is not empty"),
    ];
    let large = rig.create(&json!({"eventName": "A", "orderId": "o", "note": "x".repeat(420_000)}));
    let good = rig.create(&event("o", 1));
    assert_eq!(rig.catch_up().await, Counts { appended: 1, refused: 5, ..Counts::default() });
    let refusals = rig.refusals().await;
    for (id, reason) in bad {
        assert!(refusals.contains(&(id.to_string(), reason.to_owned())), "{refusals:?}");
    }
    let too_large = refusals.iter().find(|(id, _)| *id == large.to_string()).unwrap();
    assert!(too_large.1.starts_with("it cannot be stored"));
    assert!(!format!("{refusals:?}").contains("stripe"));
    assert_eq!((rig.catch_up().await, rig.refusals().await.len()), (Counts::default(), 0));
    let mend = json!({"update": reference(no_order), "params": {"quote": {"data": {"orderId": "o", "secret": null}}}});
    rig.fauna.query(&mend);
    assert_eq!(rig.catch_up().await.appended, 1);
    assert_eq!(rig.refs("o").await, [good.to_string(), no_order.to_string()]);
}

#[tokio::test]
async fn a_collection_that_is_made_anew_is_read_on() {
    let rig = Rig::start().await;
    rig.create(&event("o", 1));
    rig.catch_up().await;
    let known = rig.progress().await.unwrap();
    rig.fauna.query(&json!({"delete": {"collection": "order_stream"}}));
    assert!(rig.run(fauna_feed::Until::CaughtUp).await.is_err(), "somebody has to look at it");
    assert_eq!(rig.progress().await.unwrap().place, known.place, "and the place stays");
    make_schema(&rig.fauna);
    rig.create(&event("o", 2));
    assert_eq!(rig.catch_up().await.appended, 1);
    assert_eq!(rig.logged("o").await.len(), 2);
    assert_ne!(rig.progress().await.unwrap().collection_us, known.collection_us);
}

#[tokio::test]
async fn values_of_fql_come_back_as_they_were() {
    let rig = Rig::start().await;
    let text = r#"{"eventName":"A","orderId":"o","at":{"@ts":"2020-11-21T22:50:05.510Z"},"day":{"@date":"2020-11-21"},
        "blob":{"@bytes":"AQID"},"big":9007199254740993,"one":1,"half":1.5,"far":1.7e308,"inf":1e400,"@kind":"x",
        "in":{"@obj":{"@ts":"no time"}}}"#;
    let create = format!(r#"{{"create":{{"collection":"order_stream"}},"params":{{"quote":{{"data":{text}}}}}}}"#);
    assert_eq!(rig.fauna.query_text(&create).0, 200);
    assert_eq!(rig.catch_up().await.appended, 1);
    let fields = rig.logged("o").await.remove(0).event.data.fields().clone();
    assert_eq!(fields["at"], json!({"@ts": "2020-11-21T22:50:05.510Z"}));
    assert_eq!(
        (&fields["inf"], &fields["@kind"], fields["big"].as_u64()),
        (&Json::from("Infinity"), &Json::from("x"), Some(9_007_199_254_740_993))
    );
    let page = json!({"get": {"match": {"index": "order_events_by_order_id"}, "terms": "o"}});
    let (_, there) = rig.fauna.query_text(&page.to_string());
    let there = Json::parse(&there).unwrap();
    assert_eq!(Some(&fauna_feed::conversion::to_wire(&fields)), there.get("data"));
    let (ours, theirs) = rig.folds("o").await;
    assert_eq!(ours, theirs);
}

#[tokio::test]
async fn the_place_is_that_of_the_last_document() {
    let rig = Rig::start().await;
    let id = rig.create(&event("o", 1));
    rig.catch_up().await;
    let next = rig.create(&event("o", 2));
    rig.catch_up().await;
    let progress = rig.progress().await.unwrap();
    assert!(id < next && progress.last_seen_us > 0 && progress.removals_from_us > 0);
    assert!(matches!(progress.place, Place::Tail { through_id: Some(through), .. } if through == next));
}
