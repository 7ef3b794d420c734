//! From an appended event to a subscribed browser.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use serde_json::{Value, json};
use tests::{
    browser::Browser,
    stack::{Data, Stack},
};

use crate::{append_example, example_events, example_projection, settled};

/// Starts `tail`, does something once it has subscribed, and gives the lines that it printed.
fn tailed(stack: &Stack, args: &[&str], subscribed: usize, then: impl FnOnce()) -> Vec<Value> {
    let mut tail = stack.command(args).stderr(Stdio::inherit()).spawn().unwrap();
    let lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let mut lines = lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap());
    let mut printed: Vec<Value> = lines.by_ref().take(subscribed).collect();
    then();
    printed.extend(lines);
    assert!(tail.wait().unwrap().success());
    printed
}

fn without_token(mut projection: Value) -> Value {
    projection.as_object_mut().unwrap().remove("stripeToken").unwrap();
    projection
}

#[test]
fn a_tail_prints_every_event_with_the_projection_as_of_it() {
    let stack = Stack::start(Data::Ephemeral);
    let lines = tailed(&stack, &["tail", "guid_123", "guid_456", "--count", "6"], 2, || {
        append_example(&stack);
    });
    let of_order =
        |order_id: &str| -> Vec<&Value> { lines.iter().filter(|line| line["orderId"] == order_id).collect() };
    let versions = |order_id: &str| of_order(order_id).iter().map(|line| line["version"].as_u64().unwrap()).collect();
    let first: Vec<u64> = versions("guid_123");
    let second: Vec<u64> = versions("guid_456");
    assert_eq!((first, second), (vec![0, 1, 2, 3], vec![0, 1]));

    let events = example_events();
    let sent_in_order = [(1, &events[0]), (2, &events[1]), (3, &events[3])];
    let mut folded = json!({});
    for (version, event) in sent_in_order {
        let line = of_order("guid_123")[version];
        let mut data = event["data"].clone();
        data.as_object_mut().unwrap().remove("stripeToken");
        folded.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
        let sent = json!({"version": version, "ref": event["ref"], "ts": event["ts"], "data": data});
        assert_eq!(line["events"], json!([sent]));
        assert_eq!(line["projection"], folded, "as of version {version}");
    }
    assert_eq!(folded, without_token(example_projection()));
    assert!(!json!(lines).to_string().contains("stripe_"), "no token reaches a browser");
}

#[test]
fn the_fold_is_the_stored_truth_at_any_version() {
    let stack = Stack::start(Data::Ephemeral);
    append_example(&stack);
    assert_eq!(stack.json_lines(&["fold", "guid_123"]), [example_projection()]);
    let mut second = example_projection();
    let fields = second.as_object_mut().unwrap();
    fields.remove("successField");
    fields.insert("eventName".into(), json!("OrderChargeSucceeded"));
    assert_eq!(stack.json_lines(&["fold", "guid_123", "--at", "2"]), [second]);
    assert_eq!(stack.json_lines(&["fold", "guid_123", "--at", "0"]), [json!({})]);
    assert_eq!(stack.json_lines(&["fold", "nobody"]), [json!({})]);
    let beyond = stack.run(&["fold", "guid_123", "--at", "4"]);
    assert_eq!(beyond.status.code(), Some(1));
    let said = String::from_utf8(beyond.stderr).unwrap();
    assert_eq!(said, "foldcast: the log of guid_123 has no version 4: it ends at 3\n");
}

#[tokio::test]
async fn a_late_browser_gets_the_projection_and_then_what_follows() {
    let stack = Stack::start(Data::Ephemeral);
    append_example(&stack);
    settled(&stack);
    let (mut browser, snapshot) = Browser::subscribed(&stack.websocket_url, "guid_123").await;
    assert_eq!((&snapshot["version"], &snapshot["events"]), (&json!(3), &json!([])));
    assert_eq!(snapshot["projection"], without_token(example_projection()));
    let event = json!({"ref": "1", "ts": 0, "data": {"eventName": "OrderShipped", "orderId": "guid_123"}});
    let appended = stack.run_with_input(&["append", "-"], &event.to_string());
    assert!(appended.status.success());
    let update = browser.next().await;
    assert_eq!((&update["version"], &update["events"][0]["data"]), (&json!(4), &event["data"]));

    let answer = browser.ask(r#"{"action":"unsubscribe","orderId":"guid_123"}"#).await;
    assert_eq!(answer, json!({"type": "unsubscribed", "orderId": "guid_123"}));
}

#[tokio::test]
async fn a_resume_brings_all_events_after_since() {
    let stack = Stack::start(Data::Ephemeral);
    append_example(&stack);
    settled(&stack);
    let mut browser = Browser::connect(&stack.websocket_url).await;
    let versions = |update: &Value| -> Vec<u64> {
        update["events"].as_array().unwrap().iter().map(|event| event["version"].as_u64().unwrap()).collect()
    };
    let resumed = browser.ask(r#"{"action":"subscribe","orderId":"guid_123","since":1}"#).await;
    assert_eq!((versions(&resumed), &resumed["version"]), (vec![2, 3], &json!(3)));
    assert_eq!(resumed["projection"], without_token(example_projection()));
    let same = r#"{"action":"subscribe","orderId":"guid_123","since":2,"ref":"282843030393717251"}"#;
    assert_eq!(versions(&browser.ask(same).await), [3]);
    for other_log in [r#""since":2,"ref":"7""#, r#""since":4"#] {
        let answer = browser.ask(&format!(r#"{{"action":"subscribe","orderId":"guid_123",{other_log}}}"#)).await;
        assert_eq!((&answer["reset"], &answer["version"]), (&json!(true), &json!(3)), "{other_log}");
        assert_eq!(versions(&answer), [0; 0]);
    }
    let history = browser.ask(r#"{"action":"history","orderId":"guid_123","from":2,"to":2}"#).await;
    assert_eq!((&history["type"], versions(&history)), (&json!("history"), vec![2]));
    assert_eq!(history["projection"]["eventName"], "OrderChargeSucceeded");
    assert_eq!(history["projection"].get("successField"), None);
}

#[test]
fn a_tail_from_the_beginning_prints_the_whole_log() {
    let stack = Stack::start(Data::Ephemeral);
    append_example(&stack);
    settled(&stack);
    let lines = tailed(&stack, &["tail", "guid_123", "--since", "0", "--count", "3"], 0, || ());
    let versions: Vec<&Value> = lines.iter().map(|line| &line["version"]).collect();
    assert_eq!(versions, [&json!(1), &json!(2), &json!(3)]);
    assert_eq!(lines[2]["projection"], without_token(example_projection()));
}

#[test]
fn appending_again_changes_nothing_and_prints_the_same_versions() {
    let stack = Stack::start(Data::Ephemeral);
    let first = append_example(&stack);
    let expected = [("guid_123", 1), ("guid_123", 2), ("guid_456", 1), ("guid_123", 3)];
    let printed: Vec<(&str, u64)> =
        first.iter().map(|line| (line["orderId"].as_str().unwrap(), line["version"].as_u64().unwrap())).collect();
    assert_eq!(printed, expected);
    assert_eq!(append_example(&stack), first);
    assert_eq!(stack.json_lines(&["verify"]), [json!({"orders": 2, "events": 4, "differences": 0})]);
}
