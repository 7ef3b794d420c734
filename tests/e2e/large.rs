//! Messages over API Gateway's limit arrive whole.

use serde_json::{Value, json};
use tests::{
    browser::Browser,
    stack::{Data, Stack},
};

use crate::settled;

fn event(event_ref: u64, name: &str, bytes: usize) -> Value {
    let data = json!({"eventName": "A", "orderId": "large", name: "é\"\n".repeat(bytes / 4)});
    json!({"ref": event_ref.to_string(), "ts": 0, "data": data})
}

#[tokio::test]
async fn an_event_of_300_kb_and_a_projection_of_390_kb_arrive_whole() {
    let stack = Stack::start(Data::Ephemeral);
    let (mut browser, _snapshot) = Browser::subscribed(&stack.websocket_url, "large").await;
    let events = [event(1, "a", 300_000), event(2, "b", 90_000)];
    for (version, sent) in (1..).zip(&events) {
        assert!(stack.run_with_input(&["append", "-"], &sent.to_string()).status.success());
        let (update, frames) = browser.next_whole().await;
        assert!(frames > 3, "{frames} frames");
        assert_eq!((&update["version"], &update["events"][0]["data"]), (&json!(version), &sent["data"]));
        assert_eq!(update["projection"]["a"], events[0]["data"]["a"]);
    }
    settled(&stack);

    let mut late = Browser::connect(&stack.websocket_url).await;
    late.send(r#"{"action":"subscribe","orderId":"large","since":0}"#).await;
    let mut resumed = Vec::new();
    loop {
        let (update, _frames) = late.next_whole().await;
        resumed.extend(update["events"].as_array().unwrap().iter().map(|event| event["data"].clone()));
        if update["more"] != true {
            assert_eq!(update["projection"]["b"], events[1]["data"]["b"]);
            break;
        }
    }
    assert_eq!(resumed, [events[0]["data"].clone(), events[1]["data"].clone()]);
}
