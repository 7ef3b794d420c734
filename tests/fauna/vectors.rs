//! The stand-in against the differential vectors of the fact sheet, by their numbers.
//!
//! Each event is created by a v4 `Create` over HTTP and folded by the sheet's own query.

use serde_json::{Value, json};
use tests::fauna::Fauna;

use crate::wire::{Answer, FOLD, post};

/// A server with the collection and the index of the sheet.
pub(crate) async fn order_stream() -> Fauna {
    let fauna = Fauna::start().await;
    for query in [
        r#"{"create_collection":{"object":{"name":"order_stream"}}}"#,
        r#"{"create_index":{"object":{"name":"order_events_by_order_id","source":{"collection":"order_stream"},
            "terms":[{"object":{"field":["data","orderId"]}}]}}}"#,
    ] {
        assert_eq!(post(&fauna, query).await.status, 201, "{query}");
    }
    fauna
}

/// Creates an event of this text, with the order's id in it.
async fn create(fauna: &Fauna, event: &str) -> Answer {
    let fields = event.trim().trim_start_matches('{');
    let comma = if fields.starts_with('}') { "" } else { "," };
    let event = format!(r#"{{"orderId":"guid_123"{comma}{fields}"#);
    create_raw(fauna, &event).await
}

async fn create_raw(fauna: &Fauna, event: &str) -> Answer {
    post(fauna, &format!(r#"{{"create":{{"collection":"order_stream"}},"params":{{"quote":{{"data":{event}}}}}}}"#))
        .await
}

fn over_set(fold: &str) -> String {
    fold.replace(r#"{"paginate":{"match":{"index":"order_events_by_order_id"},"terms":"guid_123"}}"#, SET)
}

const SET: &str = r#"{"match":{"index":"order_events_by_order_id"},"terms":"guid_123"}"#;

/// The resource of the fold over a page: its one element, and the page itself.
async fn fold(fauna: &Fauna) -> (Value, Value) {
    let answer = post(fauna, FOLD).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let page = answer.json()["resource"].clone();
    assert_eq!(page["data"].as_array().unwrap().len(), 1);
    (page["data"][0].clone(), page)
}

/// Folds these events, and compares with `expected` and the order's id.
async fn check(number: u32, events: &[&str], expected: &str) {
    let fauna = order_stream().await;
    for event in events {
        let created = create(&fauna, event).await;
        assert_eq!(created.status, 201, "vector {number}: {}", created.body);
    }
    let (folded, page) = fold(&fauna).await;
    let mut expected: Value = serde_json::from_str(expected).unwrap();
    if !events.is_empty() {
        expected["orderId"] = json!("guid_123");
    }
    assert_eq!(folded, expected, "vector {number}");
    assert_eq!(page.get("after"), None, "vector {number}");
    let whole = post(&fauna, &over_set(FOLD)).await.json();
    assert_eq!(whole["resource"], expected, "vector {number} over the set");
}

#[tokio::test]
async fn vectors_of_one_order_fold_as_the_sheet_says() {
    let vectors: [(u32, &[&str], &str); 13] = [
        (1, &[], "{}"),
        (2, &[r#"{"e":"Created","qty":1}"#, r#"{"e":"Succeeded"}"#], r#"{"e":"Succeeded","qty":1}"#),
        (
            3,
            &[r#"{"addr":{"city":"Oslo","zip":"0150"}}"#, r#"{"addr":{"city":"Bergen"}}"#],
            r#"{"addr":{"city":"Bergen"}}"#,
        ),
        (4, &[r#"{"note":"gift"}"#, r#"{"note":null}"#], r#"{"note":"gift"}"#),
        (5, &[r#"{"meta":{"a":1,"b":2}}"#, r#"{"meta":{"a":null}}"#], r#"{"meta":{}}"#),
        (
            6,
            &[r#"{"items":[{"s":"A","n":null},null,{"s":"B"}]}"#, r#"{"tags":[]}"#],
            r#"{"items":[{"s":"A"},{"s":"B"}],"tags":[]}"#,
        ),
        (
            7,
            &[r#"{"items":[{"s":"A","n":null},null,{"s":"B"}]}"#, r#"{"tags":[]}"#, r#"{"items":[null]}"#],
            r#"{"items":[],"tags":[]}"#,
        ),
        (
            8,
            &[r#"{"a":1,"b":1.0,"c":9007199254740993,"d":1e3,"f":9223372036854775807,"z":-0.0}"#],
            r#"{"a":1,"b":1.0,"c":9007199254740993,"d":1000.0,"f":9223372036854775807,"z":-0.0}"#,
        ),
        (9, &[r#"{"a":1}"#, r#"{"a":1.0}"#], r#"{"a":1.0}"#),
        (11, &[r#"{"a":1e400}"#], r#"{"a":"Infinity"}"#),
        (
            13,
            &[r#"{"k1":1,"k2":2,"k3":3,"k4":4,"k5":5,"k6":6,"k7":7,"k8":8,"k9":9}"#, r#"{"k5":0}"#],
            r#"{"k1":1,"k2":2,"k3":3,"k4":4,"k5":0,"k6":6,"k7":7,"k8":8,"k9":9}"#,
        ),
        (
            19,
            &[r#"{"at":{"@ts":"2020-11-21T22:50:05.510Z"},"day":{"@date":"2020-11-21"},"blob":{"@bytes":"AQID"}}"#],
            r#"{"at":{"@ts":"2020-11-21T22:50:05.510Z"},"day":{"@date":"2020-11-21"},"blob":{"@bytes":"AQID"}}"#,
        ),
        (20, &[r#"{"a":1,"a":2}"#], r#"{"a":1}"#),
    ];
    for (number, events, expected) in vectors {
        check(number, events, expected).await;
    }
}

#[tokio::test]
async fn vector_10_an_integer_over_64_bits_is_no_json() {
    let fauna = order_stream().await;
    let answer = create(&fauna, r#"{"a":9223372036854775808}"#).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.json()["errors"][0]["code"], "invalid expression");
    assert_eq!(answer.json()["errors"][0]["description"], "Request body is not valid JSON.");
}

#[tokio::test]
async fn vector_12_text_is_not_normalized_and_goes_out_raw() {
    let fauna = order_stream().await;
    create(&fauna, r#"{"\u00e9":1,"e\u0301":2,"t":"\ud83d\ude00\u0001"}"#).await;
    let (folded, _) = fold(&fauna).await;
    assert_eq!(folded, json!({"orderId": "guid_123", "\u{e9}": 1, "e\u{301}": 2, "t": "\u{1f600}\u{1}"}));
    assert!(post(&fauna, FOLD).await.body.contains("\u{1f600}\\u0001"));
}

#[tokio::test]
async fn vector_14_a_page_ends_at_64_and_a_set_does_not() {
    let fauna = order_stream().await;
    let mut refs = Vec::new();
    for seq in 1..=70 {
        let created = create(&fauna, &format!(r#"{{"seq":{seq},"k{seq}":{seq}}}"#)).await;
        refs.push(created.json()["resource"]["ref"].clone());
    }
    let (folded, page) = fold(&fauna).await;
    assert_eq!((&folded["seq"], folded.get("k65"), &folded["k64"]), (&json!(64), None, &json!(64)));
    assert_eq!(page["after"], json!([refs[64]]));
    let whole = post(&fauna, &over_set(FOLD)).await.json();
    assert_eq!((&whole["resource"]["seq"], &whole["resource"]["k70"]), (&json!(70), &json!(70)));
}

#[tokio::test]
async fn vector_15_the_order_is_that_of_the_ids_as_numbers() {
    let fauna = order_stream().await;
    for (id, v) in [("10", "first"), ("9", "second")] {
        let create = format!(
            r#"{{"create":{{"ref":{{"collection":"order_stream"}},"id":"{id}"}},
                "params":{{"quote":{{"data":{{"orderId":"guid_123","v":"{v}"}}}}}}}}"#
        );
        assert_eq!(post(&fauna, &create).await.status, 201);
        let again = post(&fauna, &create).await;
        assert_eq!((again.status, &again.json()["errors"][0]["code"]), (400, &json!("instance already exists")));
    }
    assert_eq!(fold(&fauna).await.0["v"], "first");
}

#[tokio::test]
async fn vectors_16_and_17_an_update_keeps_its_place_and_a_deletion_leaves_none() {
    let fauna = order_stream().await;
    let first = create(&fauna, r#"{"st":"a"}"#).await.json()["resource"].clone();
    create(&fauna, r#"{"st":"b"}"#).await;
    let update = json!({"update": first["ref"], "params": {"object": {"data": {"object": {"st": "c"}}}}});
    let updated = post(&fauna, &update.to_string()).await.json()["resource"].clone();
    assert!(updated["ts"].as_i64() > first["ts"].as_i64());
    assert_eq!(fold(&fauna).await.0["st"], "b");

    let fauna = order_stream().await;
    let first = create(&fauna, r#"{"x":1}"#).await.json()["resource"]["ref"].clone();
    create(&fauna, r#"{"y":2}"#).await;
    assert_eq!(post(&fauna, &json!({"delete": first}).to_string()).await.status, 200);
    assert_eq!(fold(&fauna).await.0, json!({"orderId": "guid_123", "y": 2}));
}

#[tokio::test]
async fn vector_18_an_object_with_a_name_like_a_tag_comes_wrapped() {
    let fauna = order_stream().await;
    create(&fauna, r#"{"@kind":"x"}"#).await;
    assert_eq!(fold(&fauna).await.1, json!({"data": [{"@obj": {"orderId": "guid_123", "@kind": "x"}}]}));
}

#[tokio::test]
async fn vector_21_an_event_without_an_order_is_in_no_log() {
    let fauna = order_stream().await;
    create_raw(&fauna, r#"{"e":"Lost"}"#).await;
    assert_eq!(fold(&fauna).await.0, json!({}));
}

#[tokio::test]
async fn vector_22_a_document_without_data_fails_the_fold() {
    let fauna = order_stream().await;
    let created = create_raw(&fauna, "{}").await.json();
    assert_eq!(created["resource"].get("data"), None);
    let all = FOLD.replace(
        r#"{"paginate":{"match":{"index":"order_events_by_order_id"},"terms":"guid_123"}}"#,
        r#"{"documents":{"collection":"order_stream"}}"#,
    );
    let answer = post(&fauna, &all).await;
    assert_eq!(answer.status, 404);
    let error = answer.json()["errors"][0].clone();
    assert_eq!(error["code"], "value not found");
    assert_eq!(error["position"], json!(["reduce", "expr", "with", "from"]));
}

#[tokio::test]
async fn vectors_23_and_24_a_null_on_the_right_removes_and_one_on_the_left_stays() {
    let fauna = order_stream().await;
    let cases = [
        (r#"{"a":1,"b":2}"#, r#"{"a":null}"#, json!({"b": 2})),
        (r#"{"a":null}"#, r#"{"b":1}"#, json!({"a": null, "b": 1})),
    ];
    for (left, right, expected) in cases {
        let merge = format!(r#"{{"merge":{{"object":{left}}},"with":{{"object":{right}}}}}"#);
        assert_eq!(post(&fauna, &merge).await.json()["resource"], expected);
    }
}

#[tokio::test]
async fn vector_25_an_array_of_orders_is_in_the_log_of_each() {
    let fauna = order_stream().await;
    create_raw(&fauna, r#"{"orderId":["guid_123","guid_9"],"e":"A"}"#).await;
    for order_id in ["guid_123", "guid_9"] {
        let folded = post(&fauna, &FOLD.replace("guid_123", order_id)).await.json();
        assert_eq!(folded["resource"]["data"][0]["e"], "A", "{order_id}");
    }
}
