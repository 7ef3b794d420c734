//! What is logged: a whole scenario with marked secrets, at the most talkative level.

use std::{
    fs::{self, File},
    time::Duration,
};

use serde_json::json;
use tests::{PATIENCE, browser::Browser, stack::Stack};
use tokio::time::{sleep, timeout};

use super::{SECRET, append, token};

/// What may be in no line. Each is said to the stack in this test, where secrets are said.
const MARKED: [&str; 5] =
    ["marked-stripe-token", "marked-event-body", "marked-query-string", "marked-message", "marked-not-json"];

#[tokio::test]
async fn nothing_secret_is_logged_at_any_level_by_any_function_or_by_the_stack() {
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("log");
    let variables = [("RUST_LOG", "trace"), ("JWT_SECRET", SECRET)];
    let stack = Stack::start_logging(&["--auth"], &variables, File::create(&file).unwrap());
    let (good, forged) = (token("user_123", ""), format!("{}x", token("user_456", "")));

    let url = format!("{}?token={good}&more=marked-query-string", stack.websocket_url);
    let (mut browser, _) = Browser::try_connect(&url, &[]).await.unwrap();
    let refused = format!("{}?token={forged}&more=marked-query-string", stack.websocket_url);
    assert_eq!(Browser::try_connect(&refused, &[]).await.err(), Some(403));
    let offered = format!("foldcast, {good}");
    assert!(Browser::try_connect(&stack.websocket_url, &[("sec-websocket-protocol", &offered)]).await.is_ok());

    browser.ask(r#"{"action":"subscribe","orderId":"o","more":"marked-message"}"#).await;
    browser.ask("marked-not-json").await;
    browser.ask(r#"{"action":"marked-message"}"#).await;
    let secrets = json!({"userId": "user_123", "stripeToken": "marked-stripe-token", "note": "marked-event-body"});
    append(&stack, "o", 1, &secrets);
    let update = browser.next_text().await;
    assert!(update.contains("marked-event-body") && !update.contains("marked-stripe-token"));
    append(&stack, "o", 2, &json!({"n": 2}));
    assert_eq!(browser.next().await["version"], 2);
    // A record that is no event, with a secret where a number should be; and an order that cannot be folded.
    for item in [
        json!({"orderId": {"S": "p"}, "version": {"N": "1"}, "ref": {"S": "1"}, "ts": {"S": "marked-event-body"}, "data": {"M": {}}}),
        json!({"orderId": {"S": "p"}, "version": {"N": "2"}, "ref": {"S": "2"}, "ts": {"N": "0"},
               "data": {"M": {"eventName": {"S": "marked-event-body"}, "orderId": {"S": "p"}}}}),
    ] {
        stack.dynamodb("PutItem", &json!({"TableName": "order_stream", "Item": item})).await;
    }
    // Forged lines: an order's id is logged, and takes no control character.
    let id = "x\nERROR forged\u{1b}[31m";
    let answer = browser.ask(&json!({"action": "subscribe", "orderId": id}).to_string()).await;
    assert_eq!(answer["message"], "an orderId must not contain control characters");
    for command in
        [vec!["verify"], vec!["fold", "o"], vec!["rebuild", "o"], vec!["tail", "o", "--count", "1", "--token", &good]]
    {
        let said = stack.run(&command).stderr;
        assert!(!String::from_utf8(said).unwrap().contains("marked"), "{command:?}");
    }
    drop(browser);
    let expected = ["connected", "refused", "pushed", "poison", "an order cannot be folded"];
    let said = async {
        while !expected.iter().all(|said| fs::read_to_string(&file).unwrap().contains(said)) {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, said).await.expect("the log says what happened");
    stack.stop();

    let log = fs::read_to_string(&file).unwrap();
    println!("{} lines, {} bytes of log at level trace", log.lines().count(), log.len());
    for secret in MARKED.into_iter().chain([SECRET, good.as_str(), forged.as_str(), "token=", "forged\u{1b}"]) {
        let line = log.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
    assert!(!log.lines().any(|line| line.starts_with("ERROR forged")), "no line is forged");
}
