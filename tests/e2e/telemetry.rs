//! What the functions say as they are deployed: their logs, metrics and traces.

use std::{
    fs::{self, File},
    net::UdpSocket,
    path::Path,
    time::Duration,
};

use serde_json::{Value, json};
use tests::{
    PATIENCE,
    browser::Browser,
    stack::{Stack, function},
};
use tokio::time::{sleep, timeout};

use crate::tail::{append, event};

/// A stack whose event handler and fan-out are the programs that are deployed, and its log.
fn stack(folder: &Path, more: &[(&str, &str)]) -> Stack {
    let programs = ["event-handler", "fan-out"].map(|name| format!("{name}={}", function(name).display()));
    let flags = ["--function", &programs[0], "--function", &programs[1]];
    let variables: Vec<_> = [("PAGE_SUBSCRIBERS_MAX", "2")].iter().chain(more).copied().collect();
    Stack::start_logging(&flags, &variables, File::create(folder.join("log")).unwrap())
}

/// The lines of JSON that the deployed programs wrote.
fn lines(folder: &Path) -> Vec<Value> {
    let log = fs::read_to_string(folder.join("log")).unwrap();
    log.lines().filter_map(|line| serde_json::from_str(line.get(line.find('{')?..)?).ok()).collect()
}

/// The sum of a metric over all lines of a function, and of how many lines.
fn metric(folder: &Path, of: &str, name: &str) -> (f64, usize) {
    let lines = lines(folder);
    let lines = lines.iter().filter(|line| line["Function"] == of && !line[name].is_null());
    let values: Vec<f64> = lines
        .flat_map(|line| line[name].as_array().cloned().unwrap_or_else(|| vec![line[name].clone()]))
        .map(|value| value.as_f64().unwrap())
        .collect();
    (values.iter().sum(), values.len())
}

async fn until(is_so: impl Fn() -> bool) {
    let wait = async {
        while !is_so() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap();
}

#[tokio::test]
async fn an_invocation_counts_and_measures_what_it_did() {
    let folder = tempfile::TempDir::new().unwrap();
    let folder = folder.path();
    let stack = stack(folder, &[]);
    let (mut alone, _) = Browser::subscribed(&stack.websocket_url, "alone").await;
    let mut many = Vec::new();
    for _ in 0..3 {
        many.push(Browser::subscribed(&stack.websocket_url, "many").await.0);
    }
    append(&stack, &[event("alone", 1), event("many", 1)]);
    alone.next().await;
    for browser in &mut many {
        browser.next().await;
    }
    stack
        .dynamodb(
            "PutItem",
            &json!({"TableName": "order_stream", "Item": {"orderId": {"S": "p"}, "version": {"N": "1"}}}),
        )
        .await;
    until(|| metric(folder, "event-handler", "Poison").0 > 0.0 && metric(folder, "fan-out", "Lag").1 == 2).await;

    let counted = |of: &str, name: &str| metric(folder, of, name).0;
    assert_eq!((counted("event-handler", "EventsFolded"), counted("event-handler", "UpdatesPushed")), (2.0, 1.0));
    assert_eq!((counted("event-handler", "Poison"), counted("fan-out", "UpdatesPushed")), (1.0, 3.0));
    assert_eq!(metric(folder, "event-handler", "FanOut"), (4.0, 2), "an order with one subscriber and one with three");
    let (lag_ms, updates) = metric(folder, "event-handler", "Lag");
    assert!(updates == 1 && (0.0..PATIENCE.as_secs_f64() * 1e3).contains(&lag_ms), "{lag_ms} ms");

    let lines = lines(folder);
    let units: Vec<&Value> =
        lines.iter().flat_map(|line| line["_aws"]["CloudWatchMetrics"].as_array().into_iter().flatten()).collect();
    assert!(units.iter().all(|group| group["Namespace"] == "Foldcast" && group["Dimensions"] == json!([["Function"]])));
    let unit_of = |name: &str| {
        let metrics = units.iter().flat_map(|group| group["Metrics"].as_array().unwrap());
        metrics.filter(|metric| metric["Name"] == name).map(|metric| metric["Unit"].clone()).next().unwrap()
    };
    assert_eq!(
        (unit_of("Lag"), unit_of("EventsFolded"), unit_of("FanOut")),
        (json!("Milliseconds"), json!("Count"), json!("Count"))
    );
}

#[tokio::test]
async fn a_line_of_a_log_is_json_with_the_invocation_and_what_was_done() {
    let folder = tempfile::TempDir::new().unwrap();
    let folder = folder.path();
    let stack = stack(folder, &[]);
    let (mut browser, _) = Browser::subscribed(&stack.websocket_url, "o").await;
    append(&stack, &[event("o", 1)]);
    browser.next().await;
    let pushed = || lines(folder).into_iter().find(|line| line["message"] == "pushed");
    until(|| pushed().is_some()).await;
    let pushed = pushed().unwrap();
    assert_eq!((&pushed["level"], &pushed["order_id"], &pushed["version"]), (&json!("INFO"), &json!("o"), &json!(1)));
    assert_eq!(
        (&pushed["subscribers"], &pushed["pushed"], &pushed["gone"], &pushed["closed"]),
        (&json!(1), &json!(1), &json!(0), &json!(0))
    );
    assert!(pushed["span"]["requestId"].is_string(), "{pushed}");
}

#[tokio::test]
async fn a_traced_event_is_followed_from_its_append_to_its_push() {
    let daemon = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    daemon.set_read_timeout(Some(PATIENCE)).unwrap();
    let address = daemon.local_addr().unwrap().to_string();
    let folder = tempfile::TempDir::new().unwrap();
    let stack = stack(folder.path(), &[("AWS_XRAY_DAEMON_ADDRESS", &address)]);
    let mut browsers = Vec::new();
    for order_id in ["alone", "many", "many", "many"] {
        browsers.push(Browser::subscribed(&stack.websocket_url, order_id).await.0);
    }
    let appended_at_ms = store::now_ms();
    let trace_id = "1-5fb9999d-0123456789abcdef01234567";
    for order_id in ["alone", "many"] {
        let data = json!({"eventName": {"S": "A"}, "orderId": {"S": order_id}});
        let item = json!({"orderId": {"S": order_id}, "version": {"N": "1"}, "ref": {"S": "1"}, "ts": {"N": "0"},
            "data": {"M": data}, "appendedAt": {"N": appended_at_ms.to_string()}, "trace": {"S": trace_id}});
        stack.dynamodb("PutItem", &json!({"TableName": "order_stream", "Item": item})).await;
    }
    let mut segments = Vec::new();
    while segments.len() < 3 {
        let mut packet = [0; 8_192];
        let length = daemon.recv(&mut packet).expect("a segment comes");
        let text = std::str::from_utf8(&packet[..length]).unwrap();
        let segment: Value = serde_json::from_str(text.split_once('\n').unwrap().1).unwrap();
        assert_eq!((&segment["trace_id"], &segment["annotations"]["version"]), (&json!(trace_id), &json!(1)));
        // Half a millisecond more: a fraction of a second in binary may be a little less than it was.
        let begun = Duration::from_secs_f64(segment["start_time"].as_f64().unwrap() + 0.000_5);
        assert_eq!(i64::try_from(begun.as_millis()).unwrap(), appended_at_ms);
        let steps: Vec<_> =
            segment["subsegments"].as_array().unwrap().iter().map(|step| step["name"].clone()).collect();
        segments.push((segment["name"].clone(), segment["annotations"]["order_id"].clone(), steps));
    }
    segments.sort_by_key(|(name, ..)| name.to_string());
    let handled = (json!("event-handler"), json!("alone"), vec![json!("change feed"), json!("fold"), json!("push")]);
    let page =
        (json!("fan-out"), json!("many"), vec![json!("change feed, fold and queue"), json!("read"), json!("push")]);
    assert_eq!(segments, [handled, page.clone(), page]);
}
