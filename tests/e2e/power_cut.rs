//! The stack is killed in the middle of 10,000 appends, and started again on the same data.

use std::{io::Write, process::Stdio};

use serde_json::json;
use tempfile::{NamedTempFile, TempDir};
use tests::stack::{Data, Stack};

use crate::tail::{Tail, event};

const ORDERS: u64 = 20;
const EVENTS_PER_ORDER: u64 = 500;

#[test]
fn a_power_cut_in_the_middle_of_10_000_appends_loses_nothing() {
    let names: Vec<String> = (0..ORDERS).map(|order| format!("order_{order}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let total = usize::try_from(ORDERS * EVENTS_PER_ORDER).unwrap();
    let mut file = NamedTempFile::new().unwrap();
    for n in 1..=EVENTS_PER_ORDER {
        for name in &names {
            writeln!(file, "{}", event(name, n)).unwrap();
        }
    }
    let path = file.path().to_str().unwrap();
    let folder = TempDir::new().unwrap();

    let stack = Stack::start(Data::Folder(folder.path()));
    let port = stack.port();
    let mut tail = Tail::start(&stack, &names, total);
    let appending = stack.command(&["append", path]).stderr(Stdio::null()).stdout(Stdio::null()).spawn();
    // Early enough that the appends are still going on, however slowly the tail gets its lines.
    tail.prints(total / 10);
    stack.kill();
    assert_eq!(appending.unwrap().wait().unwrap().code(), Some(1), "the append was cut off in the middle");

    let stack = Stack::start_on(port, Data::Folder(folder.path()));
    let appended = stack.json_lines(&["append", path]);
    assert_eq!(appended.len(), total);
    tail.ends_complete(&names, EVENTS_PER_ORDER);
    let verified = stack.json_lines(&["verify"]);
    assert_eq!(verified, [json!({"orders": ORDERS, "events": total, "differences": 0})]);
    let late = Tail::start(&stack, &names, total);
    late.ends_complete(&names, EVENTS_PER_ORDER);
    println!(
        "power cut: {total} events on {ORDERS} orders, each printed once and in order by 2 tails; verify: {}",
        verified[0]
    );
}
