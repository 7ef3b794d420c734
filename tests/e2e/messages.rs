//! Bad messages: one clear error each, and the connection lives on.

use serde_json::json;
use tests::{
    browser::Browser,
    stack::{Data, Stack},
};
use tokio_tungstenite::tungstenite::{Message, protocol::frame::coding::CloseCode};

#[tokio::test]
async fn a_bad_message_gets_one_clear_error_and_the_connection_lives_on() {
    let stack = Stack::start(Data::Ephemeral);
    let (mut browser, _) = Browser::subscribed(&stack.websocket_url, "guid_123").await;
    let long = format!(r#"{{"action":"subscribe","orderId":"{}"}}"#, "x".repeat(10_000));
    let no_action = "the message needs an \"action\": subscribe, unsubscribe, history, heads or ping";
    let unknown = "the \"action\" is unknown: it must be subscribe, unsubscribe, history, heads or ping";
    let cases = [
        ("not JSON", "the message is not JSON"),
        ("[]", "the message must be a JSON object"),
        ("{}", no_action),
        (r#"{"action":"order"}"#, unknown),
        (r#"{"action":"subscribe"}"#, "the message needs an \"orderId\" or \"orders\""),
        (r#"{"action":"subscribe","orderId":""}"#, "an orderId must not be empty"),
        (&long, "an orderId must have at most 256 bytes, this one has 10000"),
        (r#"{"action":"subscribe","orderId":7}"#, "\"orderId\" must be a string"),
        (
            r#"{"action":"history","orderId":"a","from":2,"to":1}"#,
            "\"from\" and \"to\" must be versions, with 1 <= from <= to",
        ),
    ];
    for (text, message) in cases {
        let answer = browser.ask(text).await;
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!("bad_request")), "{text:.80}");
        assert_eq!(answer["message"], message);
        assert_eq!(answer["requestId"].as_str().unwrap().len(), 16);
    }
    assert_eq!(browser.ask(r#"{"action":"ping"}"#).await, json!({"type": "pong"}));

    let event = json!({"ref": "1", "ts": 0, "data": {"eventName": "A", "orderId": "guid_123"}});
    assert!(stack.run_with_input(&["append", "-"], &event.to_string()).status.success());
    assert_eq!(browser.next().await["version"], 1, "the subscription stands");
}

#[tokio::test]
async fn one_bad_order_among_many_gets_its_own_error() {
    let stack = Stack::start(Data::Ephemeral);
    let mut browser = Browser::connect(&stack.websocket_url).await;
    browser.send(r#"{"action":"subscribe","orders":[{"orderId":"a"},{"orderId":""},{"orderId":"b"}]}"#).await;
    let mut answers = [browser.next().await, browser.next().await, browser.next().await];
    answers.sort_by_key(|answer| answer["orderId"].as_str().map(str::to_owned));
    assert_eq!(answers[0]["code"], "bad_request");
    assert_eq!((&answers[1]["orderId"], &answers[1]["version"]), (&json!("a"), &json!(0)));
    assert_eq!((&answers[2]["orderId"], &answers[2]["version"]), (&json!("b"), &json!(0)));
}

#[tokio::test]
async fn a_frame_over_32_kb_or_a_binary_one_closes_the_connection() {
    let stack = Stack::start(Data::Ephemeral);
    let large = Message::text(format!(r#"{{"action":"ping","more":"{}"}}"#, "x".repeat(32 * 1024)));
    for (frame, code) in [(large, CloseCode::Size), (Message::binary(vec![1]), CloseCode::Unsupported)] {
        let mut browser = Browser::connect(&stack.websocket_url).await;
        browser.send_frame(frame).await;
        assert_eq!(browser.closed().await.code, code);
    }
}

#[tokio::test]
async fn heads_are_those_of_orders_with_another_version_and_a_bad_entry_gets_its_own_error() {
    let stack = Stack::start(Data::Ephemeral);
    let (mut browser, _) = Browser::subscribed(&stack.websocket_url, "a").await;
    for (order_id, event_ref) in [("a", "1"), ("a", "2"), ("b", "3")] {
        let event = json!({"ref": event_ref, "ts": 0, "data": {"eventName": "A", "orderId": order_id}});
        assert!(stack.run_with_input(&["append", "-"], &event.to_string()).status.success());
    }
    while browser.next().await["version"] != 2 {}
    super::settled(&stack);
    let heads = |orders: &str| format!(r#"{{"action":"heads","orders":{orders}}}"#);
    let answer = browser.ask(&heads(r#"{"a":1,"b":1,"none":0,"gone":7}"#)).await;
    assert_eq!(answer, json!({"type": "heads", "orders": {"a": 2, "gone": 0}}));
    assert_eq!(browser.ask(&heads(r#"{"a":2}"#)).await, json!({"type": "heads", "orders": {}}));
    browser.send(&heads(r#"{"a":"2","b":0}"#)).await;
    let answers = [browser.next().await, browser.next().await];
    assert_eq!((&answers[0]["code"], &answers[0]["orderId"]), (&json!("bad_request"), &json!("a")));
    assert_eq!(answers[1], json!({"type": "heads", "orders": {"b": 1}}));
}
