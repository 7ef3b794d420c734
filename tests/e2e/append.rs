//! Bad files: the line is named, and nothing of them is appended.

use std::process::Command;

use serde_json::json;
use tests::stack::{Data, Stack, binary};

const GOOD: &str = r#"{"ref":"7","ts":5,"data":{"eventName":"A","orderId":"guid_1"}}"#;

#[test]
fn nothing_of_a_bad_file_is_appended_unless_it_is_asked_for() {
    let stack = Stack::start(Data::Ephemeral);
    let large = GOOD.replace("eventName", &format!("note\":\"{}\",\"eventName", "x".repeat(410_000)));
    let lines = [
        GOOD.to_owned(),
        "[]".to_owned(),
        GOOD.replace("orderId", "order"),
        GOOD.replace("eventName", "name"),
        GOOD.replace(r#""7""#, r#""7.5""#),
        GOOD.replace(r#""7""#, r#""18446744073709551616""#),
        large,
        GOOD.replace(r#""7""#, r#""8""#),
    ];
    let text = lines.join("\n");
    let refused = stack.run_with_input(&["append", "-"], &text);
    let said = String::from_utf8(refused.stderr).unwrap();
    let said: Vec<&str> = said.lines().collect();
    let reasons = [
        "line 2: the event must be a JSON object",
        "line 3: data.orderId must be a string",
        "line 4: data.eventName must be a string that is not empty",
        "line 5: a ref must be the decimal digits of a 64-bit number, without sign or leading zeros",
        "line 6: a ref must be the decimal digits of a 64-bit number, without sign or leading zeros",
    ];
    for (line, reason) in said.iter().zip(reasons) {
        assert_eq!(*line, format!("foldcast: - {reason}"));
    }
    assert!(said[5].starts_with("foldcast: - line 7: it takes 410"), "{}", said[5]);
    assert_eq!(said[6], "foldcast: nothing was appended: 6 of 8 events are bad (--skip-bad appends the others)");
    assert_eq!((refused.status.code(), refused.stdout.as_slice()), (Some(1), &b""[..]));
    assert_eq!(stack.json_lines(&["verify"]), [json!({"orders": 0, "events": 0, "differences": 0})]);

    let appended = stack.run_with_input(&["append", "-", "--skip-bad"], &text);
    assert!(appended.status.success());
    assert_eq!(String::from_utf8(appended.stdout).unwrap().lines().count(), 2);
    assert_eq!(stack.json_lines(&["verify"]), [json!({"orders": 1, "events": 2, "differences": 0})]);
}

#[test]
fn a_file_that_is_not_there_is_one_line() {
    let stack = Stack::start(Data::Ephemeral);
    let refused = stack.run(&["append", "nowhere.json"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.starts_with("foldcast: cannot read nowhere.json: "), "{said}");
    assert_eq!(said.lines().count(), 1);
}

#[test]
fn a_stack_that_does_not_run_is_one_line_that_says_what_to_do() {
    let refused = Command::new(binary()).args(["fold", "o", "--endpoint-url", "http://127.0.0.1:9"]).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!((refused.status.code(), said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.starts_with("foldcast: cannot fold o: "), "{said}");
    assert!(said.ends_with("; is the stack running (foldcast up)?\n"), "{said}");
}
