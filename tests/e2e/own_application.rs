//! Somebody's own application on the stack: docs/local.md's example.

use tests::{
    browser::Browser,
    stack::{Stack, echo, root},
};

#[tokio::test]
async fn any_template_and_any_executable_run() {
    let template = root().join("local/examples/echo/template.json");
    let function = format!("Echo={}", echo().display());
    let flags = ["--template", template.to_str().unwrap(), "--function", &function];
    let stack = Stack::start_with(&flags);
    assert!(stack.websocket_url.ends_with("/dev"), "the stage is the template's");
    let mut browser = Browser::connect(&stack.websocket_url).await;
    for text in ["hello", "again"] {
        browser.send(text).await;
        assert_eq!(browser.next_text().await, text);
    }
}

#[tokio::test]
async fn every_number_is_a_setting() {
    let folder = tempfile::TempDir::new().unwrap();
    let limits = folder.path().join("limits.json");
    std::fs::write(&limits, r#"{"connections_burst_max": 1, "connections_per_second_max": 0}"#).unwrap();
    let stack = Stack::start_with(&["--limits", limits.to_str().unwrap()]);
    let _browser = Browser::connect(&stack.websocket_url).await;
    let refused = tokio_tungstenite::connect_async(&stack.websocket_url).await.unwrap_err();
    assert!(refused.to_string().contains("429"), "{refused}");
}
