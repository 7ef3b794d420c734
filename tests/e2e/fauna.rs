//! A collection of FaunaDB on the local stack: set up, backfilled, followed, compared.

use std::{
    process::{Command, Output},
    time::Duration,
};

use serde_json::{Value, json};
use tests::{
    PATIENCE,
    browser::Browser,
    fauna::{Fauna, ROOT_SECRET},
    stack::{Stack, binary},
};
use tokio::time::{sleep, timeout};

/// A server with a collection and an index of its orders, and without the index of the feed.
async fn order_stream() -> Fauna {
    let fauna = Fauna::start().await;
    fauna.query(&json!({"create_collection": {"object": {"name": "order_stream"}}}));
    let terms = json!([{"object": {"field": ["data", "orderId"]}}]);
    let index = json!({"name": "order_events_by_order_id", "source": {"collection": "order_stream"}, "terms": terms});
    fauna.query(&json!({"create_index": {"object": index}}));
    fauna
}

fn create(fauna: &Fauna, order_id: &str, more: &Value) -> Value {
    let mut data = json!({"eventName": "OrderChanged", "orderId": order_id});
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let create = json!({"create": {"collection": "order_stream"}, "params": {"quote": {"data": data}}});
    fauna.query(&create)["ref"].clone()
}

async fn foldcast(fauna: &Fauna, args: &[&str]) -> Output {
    let mut command = Command::new(binary());
    command.arg("fauna").args(args).env("FAUNA_URL", &fauna.url).env("FAUNA_SECRET", ROOT_SECRET);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn said(output: &Output) -> (Option<i32>, String) {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    (output.status.code(), String::from_utf8(text).unwrap())
}

async fn start(flags: &'static [&'static str], url: String, secret: &'static str) -> Stack {
    let start = move || {
        let flags: Vec<&str> = flags.iter().copied().chain(["--fauna", &url]).collect();
        Stack::start_with_variables(&flags, &[("FAUNA_SECRET", secret)])
    };
    tokio::task::spawn_blocking(start).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_is_missing_and_init_makes_it() {
    let fauna = order_stream().await;
    create(&fauna, "o", &json!({}));
    let (code, text) = said(&foldcast(&fauna, &["check"]).await);
    assert!(code == Some(1) && text.contains("there is no index order_stream_by_ts"), "{text}");
    assert!(text.contains("the collection order_stream has 1 documents"), "{text}");
    for expected in ["was made", "is there and active"] {
        let (code, text) = said(&foldcast(&fauna, &["init"]).await);
        assert!(code == Some(0) && text.contains(expected), "{text}");
    }
    let (code, text) = said(&foldcast(&fauna, &["check"]).await);
    assert!(code == Some(0) && !text.contains("bad"), "{text}");

    let with = |secret: &str, url: &str| {
        let mut command = Command::new(binary());
        command.args(["fauna", "check"]).env_remove("FAUNA_SECRET").env("FAUNA_URL", url);
        if !secret.is_empty() {
            command.env("FAUNA_SECRET", secret);
        }
        tokio::task::spawn_blocking(move || said(&command.output().unwrap()))
    };
    let (code, text) = with("fnAx7", &fauna.url).await.unwrap();
    assert!(code == Some(1) && text.contains("401") && !text.contains("fnAx7"), "{text}");
    let (code, text) = with("", &fauna.url).await.unwrap();
    assert!(code == Some(2) && text.contains("FAUNA_SECRET"), "{text}");
    let (code, text) = with("s", "http://127.0.0.1:1").await.unwrap();
    assert!(code == Some(1) && text.contains("does not answer"), "{text}");
    let (code, text) = with("s", "nonsense").await.unwrap();
    assert!(code == Some(2) && text.contains("address"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_fauna_reach_a_browser_of_the_local_stack() {
    let fauna = order_stream().await;
    assert!(foldcast(&fauna, &["init"]).await.status.success());
    create(&fauna, "o", &json!({"n": 1}));
    let stack = start(&[], fauna.url.clone(), ROOT_SECRET).await;
    let (mut browser, snapshot) = Browser::subscribed(&stack.websocket_url, "o").await;
    let mut version = snapshot["version"].as_u64().unwrap();
    // What is there is read by the schedule's first invocation.
    while version < 1 {
        version = browser.next().await["version"].as_u64().unwrap();
    }
    create(&fauna, "o", &json!({"n": 2, "stripeToken": "stripe_123"}));
    let update = browser.next().await;
    assert_eq!((&update["version"], &update["projection"]["n"]), (&json!(2), &json!(2)));
    assert!(!update.to_string().contains("stripe_123"));
    let target = ["verify", "o", "--endpoint-url", &stack.dynamodb_url].map(str::to_owned);
    let target: Vec<&str> = target.iter().map(String::as_str).collect();
    let (code, text) = said(&foldcast(&fauna, &target).await);
    assert!(code == Some(0) && text.contains("\"differences\":0"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn backfill_lists_what_is_no_event_and_verify_shows_a_difference() {
    let fauna = order_stream().await;
    assert!(foldcast(&fauna, &["init"]).await.status.success());
    let first = create(&fauna, "o", &json!({"n": 1, "stripeToken": "stripe_123"}));
    for n in 0..300 {
        create(&fauna, &format!("p{}", n % 3), &json!({"n": n}));
    }
    fauna.query(&json!({"create": {"collection": "order_stream"}}));
    // The stack's own feed has a wrong secret: it fails each minute and leaves the table to the command.
    let stack = start(&[], fauna.url.clone(), "wrong").await;
    let at = stack.dynamodb_url.clone();
    let backfill = async || {
        let run = async {
            loop {
                let (code, text) = said(&foldcast(&fauna, &["backfill", "--endpoint-url", &at]).await);
                if !text.contains("another feed") {
                    return (code, text);
                }
                sleep(Duration::from_millis(100)).await;
            }
        };
        timeout(PATIENCE, run).await.unwrap()
    };
    let (code, text) = backfill().await;
    assert!(
        code == Some(1) && text.contains("\"appended\":301") && text.contains("the document has no data"),
        "{text}"
    );
    let (code, text) = backfill().await;
    assert!(code == Some(0) && text.contains("\"appended\":0"), "{text}");
    let update = json!({"update": first, "params": {"quote": {"data": {"n": 7, "stripeToken": "stripe_456"}}}});
    fauna.query(&update);
    let (code, text) = said(&foldcast(&fauna, &["verify", "o", "--endpoint-url", &at]).await);
    assert!(code == Some(1) && text.contains(r#"{"fauna":7,"field":"n","foldcast":1}"#), "{text}");
    assert!(text.contains(r#"{"field":"stripeToken","redacted":true}"#) && !text.contains("stripe_"), "{text}");
    let (code, text) = said(&foldcast(&fauna, &["verify", "p0", "--endpoint-url", &at]).await);
    assert!(code == Some(0) && text.contains("\"version\":100"), "{text}");
}

#[test]
fn a_stack_with_a_feed_needs_its_secret() {
    let up = |url: &str| {
        let mut command = Command::new(binary());
        command.args(["up", "--ephemeral", "--fauna", url]).env_remove("FAUNA_SECRET");
        said(&command.output().unwrap())
    };
    let (code, text) = up("http://127.0.0.1:8443");
    assert!(code == Some(2) && text.contains("FAUNA_SECRET"), "{text}");
}
