//! A `foldcast tail` and the events that it should print: the oracle of every test that breaks something.

use std::{
    io::{BufRead, BufReader, Lines},
    process::{Child, ChildStdout, Stdio},
};

use serde_json::{Value, json};
use tests::stack::Stack;

/// A `foldcast tail` that follows orders from their beginnings.
pub(crate) struct Tail {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    printed: Vec<Value>,
}

impl Tail {
    pub(crate) fn start(stack: &Stack, order_ids: &[&str], events: usize) -> Self {
        let count = events.to_string();
        let args: Vec<&str> =
            ["tail"].iter().chain(order_ids).chain(&["--since", "0", "--count", &count]).copied().collect();
        let mut process = stack.command(&args).stderr(Stdio::inherit()).spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines, printed: Vec::new() }
    }

    /// Waits until it has printed so many lines.
    pub(crate) fn prints(&mut self, lines: usize) {
        let missing = lines.saturating_sub(self.printed.len());
        self.printed
            .extend(self.lines.by_ref().take(missing).map(|line| serde_json::from_str(&line.unwrap()).unwrap()));
    }

    /// Waits for its end and checks that it printed each version of each order once and in order, each with the fold as
    /// of it.
    pub(crate) fn ends_complete(mut self, order_ids: &[&str], events_per_order: u64) {
        self.prints(usize::MAX);
        let lines = self.printed;
        assert!(self.process.wait().unwrap().success());
        for order_id in order_ids {
            let of_order = || lines.iter().filter(|line| line["orderId"] == *order_id);
            let versions: Vec<u64> = of_order().map(|line| line["version"].as_u64().unwrap()).collect();
            assert_eq!(versions, (1..=events_per_order).collect::<Vec<_>>(), "{order_id}");
            for line in of_order() {
                assert_eq!(line["projection"]["n"], line["version"], "{order_id}: the projection is the fold");
            }
        }
    }
}

/// An event whose place in its order's log is `n`.
pub(crate) fn event(order_id: &str, n: u64) -> Value {
    json!({"ref": n.to_string(), "ts": 0, "data": {"eventName": "OrderChanged", "orderId": order_id, "n": n}})
}

/// Appends events, all of which have to be taken.
pub(crate) fn append(stack: &Stack, events: &[Value]) {
    let lines: Vec<String> = events.iter().map(Value::to_string).collect();
    let appended = stack.run_with_input(&["append", "-"], &lines.join("\n"));
    assert!(appended.status.success(), "{}", String::from_utf8_lossy(&appended.stderr));
}
