//! Data survives: a clean end, and a power cut.

use serde_json::json;
use tempfile::TempDir;
use tests::{
    browser::Browser,
    stack::{Data, Stack},
};

use crate::{
    append_example, example_projection, settled,
    tail::{Tail, append, event},
};

#[test]
fn the_log_and_the_projections_survive_a_clean_end() {
    let folder = TempDir::new().unwrap();
    let stack = Stack::start(Data::Folder(folder.path()));
    let first = append_example(&stack);
    settled(&stack);
    stack.stop();
    let stack = Stack::start(Data::Folder(folder.path()));
    assert_eq!(append_example(&stack), first);
    assert_eq!(stack.json_lines(&["fold", "guid_123"]), [example_projection()]);
    assert_eq!(stack.json_lines(&["verify"]), [json!({"orders": 2, "events": 4, "differences": 0})]);
}

#[tokio::test]
async fn what_was_appended_before_a_power_cut_is_folded_after_it() {
    let folder = TempDir::new().unwrap();
    let stack = Stack::start(Data::Folder(folder.path()));
    append_example(&stack);
    stack.kill();
    let stack = Stack::start(Data::Folder(folder.path()));
    assert_eq!(stack.json_lines(&["verify"]), [json!({"orders": 2, "events": 4, "differences": 0})]);
    let (_, snapshot) = Browser::subscribed(&stack.websocket_url, "guid_123").await;
    assert_eq!(snapshot["version"], 3);
}

#[test]
fn a_tail_goes_on_after_a_power_cut_without_a_gap_or_a_double() {
    let folder = TempDir::new().unwrap();
    let stack = Stack::start(Data::Folder(folder.path()));
    let port = stack.port();
    let mut tail = Tail::start(&stack, &["o"], 4);
    append(&stack, &[1, 2, 3].map(|n| event("o", n)));
    tail.prints(3);
    stack.kill();
    let stack = Stack::start_on(port, Data::Folder(folder.path()));
    append(&stack, &[event("o", 4)]);
    tail.ends_complete(&["o"], 4);
}
