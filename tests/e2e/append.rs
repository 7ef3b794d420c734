//! Files of events: what is bad is named, nothing of a bad file is appended, and a pipe is appended as it comes.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

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
        GOOD.replace(r#""7""#, r#""7\n""#),
        GOOD.replace(r#""7""#, &json!("é".repeat(65)).to_string()),
        large,
        GOOD.replace(r#""7""#, r#""8""#),
    ];
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("events.ndjson");
    fs::write(&file, lines.join("\n")).unwrap();
    let file = file.to_str().unwrap();
    let refused = stack.run(&["append", file]);
    let said = String::from_utf8(refused.stderr).unwrap();
    let said: Vec<&str> = said.lines().collect();
    let reasons = [
        "line 2: the event must be a JSON object",
        "line 3: data.orderId must be a string",
        "line 4: data.eventName must be a string that is not empty",
        "line 5: a ref must be 1 to 128 bytes without control characters",
        "line 6: a ref must be 1 to 128 bytes without control characters",
    ];
    for (line, reason) in said.iter().zip(reasons) {
        assert_eq!(*line, format!("foldcast: {file} {reason}"));
    }
    assert!(said[5].starts_with(&format!("foldcast: {file} line 7: it takes 410")), "{}", said[5]);
    assert_eq!(said[6], "foldcast: nothing was appended: 6 of 8 events are bad (--skip-bad appends the others)");
    assert_eq!((refused.status.code(), refused.stdout.as_slice()), (Some(1), &b""[..]));
    assert_eq!(stack.json_lines(&["verify"]), [json!({"orders": 0, "events": 0, "differences": 0})]);

    for summary in ["2 appended, 0 already there, 6 refused", "0 appended, 2 already there, 6 refused"] {
        let appended = stack.run(&["append", file, "--skip-bad"]);
        assert!(appended.status.success());
        assert_eq!(String::from_utf8(appended.stdout).unwrap().lines().count(), 2);
        let said = String::from_utf8(appended.stderr).unwrap();
        assert_eq!(said.lines().last(), Some(format!("foldcast: {summary}").as_str()));
        assert_eq!(stack.json_lines(&["verify"]), [json!({"orders": 1, "events": 2, "differences": 0})]);
    }
}

#[test]
fn what_comes_through_a_pipe_is_appended_as_it_comes_up_to_the_first_bad_event() {
    let stack = Stack::start(Data::Ephemeral);
    let mut append = stack.command(&["append", "-"]);
    append.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut append = append.spawn().unwrap();
    let (mut input, mut output) = (append.stdin.take().unwrap(), BufReader::new(append.stdout.take().unwrap()));
    for version in 1..=3 {
        writeln!(input, "{}", GOOD.replace(r#""7""#, &format!("\"{version}\""))).unwrap();
        let mut line = String::new();
        // The next event is only written once this one is appended.
        output.read_line(&mut line).unwrap();
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line, json!({"orderId": "guid_1", "ref": version.to_string(), "version": version}));
    }
    writeln!(input, "{{}}").unwrap();
    assert_eq!(append.wait().unwrap().code(), Some(1), "it ends though the pipe is open");
    drop(input);

    let lines = [GOOD.replace(r#""7""#, r#""3""#), GOOD.to_owned(), "{}".to_owned(), GOOD.replace(r#""7""#, r#""8""#)];
    let refused = stack.run_with_input(&["append", "-"], &lines.join("\n"));
    let said = String::from_utf8(refused.stderr).unwrap();
    let expected = [
        "foldcast: - line 3: ref must be a string",
        "foldcast: 1 appended, 1 already there, 1 refused",
        "foldcast: nothing behind line 3 was appended (--skip-bad goes on)",
    ];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    assert_eq!((refused.status.code(), refused.stdout.iter().filter(|byte| **byte == b'\n').count()), (Some(1), 2));
    assert_eq!(stack.json_lines(&["verify"]), [json!({"orders": 1, "events": 4, "differences": 0})]);
}

#[test]
fn a_key_that_means_something_to_a_parser_is_appended_and_folded_as_it_is() {
    let stack = Stack::start(Data::Ephemeral);
    let odd =
        r#""n":1.50,"x":{"$serde_json::private::Number":"12"},"$serde_json::private::Number":"9","__proto__":{"a":1},"#;
    let text = GOOD.replace("\"eventName\"", &format!("{odd}\"eventName\""));
    let appended = stack.run_with_input(&["append", "-"], &format!("\u{feff}{text}\n"));
    assert!(appended.status.success(), "{}", String::from_utf8_lossy(&appended.stderr));
    let folded = String::from_utf8(stack.run(&["fold", "guid_1"]).stdout).unwrap();
    let expected = r#"{"$serde_json::private::Number":"9","__proto__":{"a":1},"eventName":"A","n":1.5,"orderId":"guid_1","x":{"$serde_json::private::Number":"12"}}"#;
    assert_eq!(folded.trim_end(), expected);
    assert_eq!(stack.json_lines(&["verify"]), [json!({"orders": 1, "events": 1, "differences": 0})]);
}

#[test]
fn one_ref_is_one_event_and_two_with_the_same_ref_are_an_error_that_names_both() {
    let stack = Stack::start(Data::Ephemeral);
    let ref_ = "0192f0c1-7b5e-7cc3-98c4-dc0c0c07398f";
    let event = |ts: &str, amount: &str, order_id: &str| {
        let data = format!(r#"{{"eventName":"A","orderId":"{order_id}","amount":{amount}}}"#);
        format!(r#"{{"ref":"{ref_}","ts":{ts},"data":{data}}}"#)
    };
    let append = |text: String| stack.run_with_input(&["append", "-"], &text);
    let same = [event("5", "1.0", "a"), event("5", "1", "a"), event("5", "10e-1", "a")];
    for (same, summary) in same.into_iter().zip(["1 appended, 0", "0 appended, 1", "0 appended, 1"]) {
        let appended = append(same);
        let said = String::from_utf8(appended.stderr).unwrap();
        assert_eq!(said, format!("foldcast: {summary} already there, 0 refused\n"));
        let line: serde_json::Value = serde_json::from_slice(&appended.stdout).unwrap();
        assert_eq!(line, json!({"orderId": "a", "ref": ref_, "version": 1}));
    }
    for other in [event("6", "1", "a"), event("5", "2", "a")] {
        let refused = append(format!("{}\n{other}", event("5", "1", "b")));
        assert_eq!(refused.status.code(), Some(1));
        let said = String::from_utf8(refused.stderr).unwrap();
        assert!(said.contains("line 2 was not appended: "), "{said}");
        assert!(said.contains(" 1 refused\n"), "{said}");
        let both = format!("order \"a\" has another event with the ref \"{ref_}\", at version 1");
        assert!(said.contains(&both), "{said}");
        assert!(!said.contains("amount"), "{said}");
    }
    assert_eq!(stack.json_lines(&["verify"]), [json!({"orders": 2, "events": 2, "differences": 0})]);
}

#[test]
fn a_time_that_is_plainly_not_in_microseconds_is_taken_with_one_warning() {
    let stack = Stack::start(Data::Ephemeral);
    let lines: Vec<String> = ["5", "1606006246020", "1606006246", "1606006246020000"]
        .iter()
        .enumerate()
        .map(|(index, ts)| {
            GOOD.replace(r#""7""#, &format!(r#""{index}""#)).replace(r#""ts":5"#, &format!(r#""ts":{ts}"#))
        })
        .collect();
    let appended = stack.run_with_input(&["append", "-"], &lines.join("\n"));
    assert!(appended.status.success());
    assert_eq!(
        String::from_utf8(appended.stderr).unwrap(),
        "foldcast: warning: - line 2: ts seems to be in milliseconds, and is taken as microseconds\n\
         foldcast: 4 appended, 0 already there, 0 refused\n"
    );
    assert_eq!(String::from_utf8(appended.stdout).unwrap().lines().count(), 4);
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
