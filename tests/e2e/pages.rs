//! An order with more subscribers than one invocation pushes to.

use serde_json::{Value, json};
use tests::{browser::Browser, stack::Stack};

use crate::{
    settled,
    tail::{append, event},
};

const BROWSERS: usize = 10;

fn stack(flags: &[&str]) -> Stack {
    Stack::start_with_variables(flags, &[("PAGE_SUBSCRIBERS_MAX", "3")])
}

async fn browsers(stack: &Stack) -> Vec<Browser> {
    let mut browsers = Vec::new();
    for _ in 0..BROWSERS {
        browsers.push(Browser::subscribed(&stack.websocket_url, "o").await.0);
    }
    browsers
}

#[tokio::test]
async fn every_browser_of_an_order_with_several_pages_of_them_gets_every_event() {
    let stack = stack(&[]);
    let mut browsers = browsers(&stack).await;
    for version in 1..=3 {
        append(&stack, &[event("o", version)]);
        for browser in &mut browsers {
            let update = browser.next().await;
            assert_eq!((&update["version"], &update["events"][0]["version"]), (&json!(version), &json!(version)));
        }
    }
    settled(&stack);
}

#[tokio::test]
async fn pages_that_are_handed_over_twice_and_pushed_to_again_reach_every_browser() {
    let faults = json!({"faults": [
        {"fault": "kill", "function": "event-handler", "after": "SendMessageBatch"},
        {"fault": "duplicate_batch", "function": "fan-out", "every": 2},
        {"fault": "fail_post", "every": 4, "times": 3},
    ]});
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, faults.to_string().as_bytes()).unwrap();
    let stack = stack(&["--faults", file.path().to_str().unwrap()]);
    let mut browsers = browsers(&stack).await;
    append(&stack, &[event("o", 1), event("o", 2)]);
    for browser in &mut browsers {
        let mut seen = Vec::new();
        while !(seen.contains(&1) && seen.contains(&2)) {
            let update = browser.next().await;
            seen.extend(
                update["events"].as_array().unwrap().iter().map(|event: &Value| event["version"].as_u64().unwrap()),
            );
        }
    }
    settled(&stack);
}
