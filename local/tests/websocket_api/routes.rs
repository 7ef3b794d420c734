//! Messages: which route they take, and what comes back.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, StreamExt};
use local::websocket_api::{Api, Integration, IntegrationError, Limits};
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};

use crate::rig::{Browser, Invoked, Rig, api, echo, one_way, pass, two_way};

/// An API with these routes; each answers with its key.
fn routed(expression: &str, keys: &[&str]) -> Api {
    let mut api = api();
    api.route_selection_expression = expression.into();
    for key in keys {
        let reply =
            |event: &Value| Ok(json!({"statusCode": 200, "body": event["requestContext"]["routeKey"].to_string()}));
        api.routes.insert((*key).into(), two_way(Invoked::default().replying(reply)));
    }
    api
}

#[tokio::test]
async fn a_message_takes_the_route_that_it_selects_else_default() {
    let rig = Rig::start(routed("$request.body.action", &["join", "42", "[a, 1]", "Join", "$default"])).await;
    let mut browser = rig.connect().await;
    let cases = [
        (r#"{"action":"join"}"#, "join"),
        (r#"{"action":42}"#, "42"),
        (r#"{"action":["a",1]}"#, "[a, 1]"),
        (r#"{"action":"Join"}"#, "Join"),
        (r#"{"action":"JOIN"}"#, "$default"),
        (r#"{"other":"join"}"#, "$default"),
        (r#"["join"]"#, "$default"),
        ("join", "$default"),
        ("", "$default"),
        (r#"{"action":"$connect"}"#, "$default"),
        (r#"{"action":"$disconnect"}"#, "$default"),
    ];
    for (message, route_key) in cases {
        assert_eq!(browser.ask(message).await, route_key, "{message}");
    }
}

#[tokio::test]
async fn an_expression_combines_nested_paths_and_literals_and_what_is_missing_is_empty() {
    let expression = "${request.body.service.do}/${request.body.action}";
    let rig = Rig::start(routed(expression, &["x/join", "/join", "x/"])).await;
    let mut browser = rig.connect().await;
    for (message, route_key) in [
        (r#"{"service":{"do":"x"},"action":"join"}"#, "x/join"),
        (r#"{"action":"join"}"#, "/join"),
        (r#"{"service":{"do":"x"}}"#, "x/"),
    ] {
        assert_eq!(browser.ask(message).await, route_key, "{message}");
    }
    let rig = Rig::start(routed(r"\$default", &["$default"])).await;
    assert_eq!(rig.connect().await.ask("{}").await, "$default", "an escaped dollar is a literal");
}

/// The error frame's fields, and that its ids are there.
async fn failed(browser: &mut Browser, message: &str) -> String {
    browser.send(message).await;
    let text = browser.text().await;
    let frame: Value = serde_json::from_str(&text).unwrap();
    let (said, connection_id, request_id) = (&frame["message"], &frame["connectionId"], &frame["requestId"]);
    assert_eq!((connection_id.as_str().unwrap().len(), request_id.as_str().unwrap().len()), (16, 16));
    let expected = format!(r#"{{"message": {said}, "connectionId":{connection_id}, "requestId":{request_id}}}"#);
    assert_eq!(text, expected, "spaces are as on AWS");
    said.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_message_without_a_route_is_forbidden_and_the_connection_stays_open() {
    let rig = Rig::start(routed("$request.body.action", &["join"])).await;
    let mut browser = rig.connect().await;
    for message in [r#"{"action":"leave"}"#, "no JSON", ""] {
        assert_eq!(failed(&mut browser, message).await, "Forbidden");
    }
    assert_eq!(browser.ask(r#"{"action":"join"}"#).await, "join");
}

#[tokio::test]
async fn an_integration_that_fails_or_babbles_is_an_error_frame_even_on_a_one_way_route() {
    let reply = |event: &Value| match event["body"].as_str().unwrap() {
        "throws" => Err(IntegrationError::Failed("secret".into())),
        "hangs" => Err(IntegrationError::TimedOut),
        "babbles" => Ok(json!("no proxy reply")),
        _ => Ok(json!({"statusCode": 200, "body": "ok"})),
    };
    for has_route_response in [false, true] {
        let mut api = api();
        let integration = Invoked::default().replying(reply);
        let route = if has_route_response { two_way(integration) } else { one_way(integration) };
        api.routes.insert("$default".into(), route);
        let rig = Rig::start(api).await;
        let mut browser = rig.connect().await;
        assert_eq!(failed(&mut browser, "throws").await, "Internal server error");
        assert_eq!(failed(&mut browser, "babbles").await, "Internal server error");
        assert_eq!(failed(&mut browser, "hangs").await, "Endpoint request timed out");
    }
}

#[tokio::test]
async fn an_integration_has_29_seconds() {
    let asked = Arc::new(Notify::new());
    let asked_too = Arc::clone(&asked);
    let slow: Integration = Arc::new(move |_event| {
        asked_too.notify_one();
        std::future::pending().boxed()
    });
    let mut api = api();
    api.routes.insert("$default".into(), two_way(slow));
    let rig = Rig::start(api).await;
    let mut browser = rig.connect().await;
    browser.send("").await;
    asked.notified().await;
    pass(Duration::from_millis(28_900)).await;
    assert!(browser.socket.next().now_or_never().is_none());
    pass(Duration::from_millis(200)).await;
    assert_eq!(browser.json().await["message"], "Endpoint request timed out");
}

#[tokio::test]
async fn a_reply_goes_back_on_a_two_way_route_alone_and_only_with_a_body() {
    let mut api = api();
    let reply = |event: &Value| Ok(json!({"statusCode": 200, "body": event["body"]}));
    api.routes.insert("one-way".into(), one_way(Invoked::default().replying(echo)));
    let mute = Invoked::default().replying(|_event| Ok(json!({"statusCode": 200})));
    api.routes.insert("mute".into(), two_way(mute));
    let empty = Invoked::default().replying(|_event| Ok(json!({"statusCode": 200, "body": ""})));
    api.routes.insert("empty".into(), two_way(empty));
    api.routes.insert("$default".into(), two_way(Invoked::default().replying(reply)));
    // One after the other: what a silent route said would come before the last answer.
    let limits = Limits { messages_in_flight_max: 1, ..Limits::default() };
    let rig = Rig::start_with(api, limits).await;
    let mut browser = rig.connect().await;
    for silent in ["one-way", "mute", "empty"] {
        browser.send(&json!({"action": silent}).to_string()).await;
    }
    assert_eq!(browser.ask("7").await, 7);
}

#[tokio::test]
async fn a_status_of_400_or_more_is_a_reply_like_any_other_unless_it_is_set_to_be_an_error() {
    let mut api = api();
    let reply = |_event: &Value| Ok(json!({"statusCode": 500, "body": "\"body\""}));
    api.routes.insert("$default".into(), two_way(Invoked::default().replying(reply)));
    let rig = Rig::start(api).await;
    assert_eq!(rig.connect().await.ask("").await, "body");
    let mut api = crate::rig::api();
    api.routes.insert("$default".into(), two_way(Invoked::default().replying(reply)));
    let limits = Limits { error_status_is_error_frame: true, ..Limits::default() };
    let rig = Rig::start_with(api, limits).await;
    let mut browser = rig.connect().await;
    assert_eq!(failed(&mut browser, "").await, "Internal server error");
}

#[tokio::test]
async fn messages_of_one_connection_are_served_at_once_or_in_their_order() {
    let permits = Arc::new(Semaphore::new(0));
    let first_waits = Arc::clone(&permits);
    let integration: Integration = Arc::new(move |event| {
        let permits = Arc::clone(&first_waits);
        async move {
            let event: Value = serde_json::from_slice(&event).unwrap();
            if event["body"] == "1" {
                permits.acquire().await.unwrap().forget();
            } else {
                permits.add_permits(1);
            }
            Ok(json!({"statusCode": 200, "body": event["body"]}).to_string().into())
        }
        .boxed()
    });
    for (in_flight, order) in [(2, ["2", "1"]), (1, ["1", "2"])] {
        let mut api = api();
        api.routes.insert("$default".into(), two_way(Arc::clone(&integration)));
        let limits = Limits { messages_in_flight_max: in_flight, ..Limits::default() };
        if in_flight == 1 {
            permits.add_permits(1);
        }
        let rig = Rig::start_with(api, limits).await;
        let mut browser = rig.connect().await;
        browser.send("1").await;
        browser.send("2").await;
        let answers = [browser.text().await, browser.text().await];
        if in_flight == 1 {
            assert_eq!(answers, order);
        } else {
            let mut answers = answers;
            answers.sort_unstable();
            assert_eq!(answers, ["1", "2"], "the first waits for the second");
        }
    }
}
