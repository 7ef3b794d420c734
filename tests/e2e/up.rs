//! Starting the stack: what cannot work is one line and exit code 2.

use std::{
    net::TcpListener,
    process::{Command, Output},
};

use tempfile::TempDir;
use tests::stack::{Data, Stack, binary, root};

fn up(args: &[&str]) -> Output {
    Command::new(binary()).arg("up").args(args).output().unwrap()
}

fn assert_refused(refused: &Output, part: &str) {
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!((refused.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.starts_with("foldcast: ") && said.contains(part), "{said}");
}

#[test]
fn a_port_in_use_a_bad_flag_or_a_broken_template_is_one_line() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    assert_refused(&up(&["--ephemeral", "--dynamodb-port", "0", "--port", &port]), &port);
    assert_refused(&up(&["--ephemeral", "--port", "0", "--dynamodb-port", &port]), &port);
    assert_refused(&up(&["--port", "many"]), "many");
    assert_refused(&up(&["--nonsense"]), "--nonsense");
    assert_refused(&up(&["--auth", "--no-auth"]), "--no-auth");

    let folder = TempDir::new().unwrap();
    let file = folder.path().join("template.json");
    let broken = ["--ephemeral", "--port", "0", "--dynamodb-port", "0", "--template", file.to_str().unwrap()];
    assert_refused(&up(&broken), "template.json");
    for text in ["{", "[]", r#"{"Resources":{"Table":{"Type":"AWS::DynamoDB::Table"}}}"#] {
        std::fs::write(&file, text).unwrap();
        assert_refused(&up(&broken), "template");
    }
}

#[test]
fn a_function_without_a_program_and_limits_that_are_none_are_one_line() {
    let template = root().join("local/examples/echo/template.json");
    let template = ["--ephemeral", "--port", "0", "--dynamodb-port", "0", "--template", template.to_str().unwrap()];
    assert_refused(&up(&template), "--function Echo=FILE");
    assert_refused(&up(&[&template[..], &["--function", "Echo"]].concat()), "NAME=FILE");
    assert_refused(
        &up(&[&template[..], &["--function", "Echo=nothing/here"]].concat()),
        "there is no file nothing/here",
    );
    let folder = TempDir::new().unwrap();
    let limits = folder.path().join("limits.json");
    std::fs::write(&limits, r#"{"idle": 1}"#).unwrap();
    assert_refused(&up(&["--ephemeral", "--limits", limits.to_str().unwrap()]), "unknown field `idle`");
}

#[test]
fn two_stacks_do_not_share_a_folder() {
    let folder = TempDir::new().unwrap();
    let _first = Stack::start(Data::Folder(folder.path()));
    let args = ["--port", "0", "--dynamodb-port", "0", "--data", folder.path().to_str().unwrap()];
    assert_refused(&up(&args), folder.path().to_str().unwrap());
}
