//! A side of a comparison: a process of its own, so that its cost is its own.
//!
//! Owns: starting it, and asking it for a round.
//! Must not know: what a round is.
//! Source: a line of JSON in, a line of JSON out.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::Value;
use tests::stack::root;

/// A running side; it is killed when it is dropped.
pub(crate) struct Side {
    pub(crate) name: &'static str,
    process: Child,
    answers: BufReader<ChildStdout>,
}

impl Side {
    /// This program again, as one side.
    pub(crate) fn own(name: &'static str, args: &[&str]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        Self::start(name, command.arg("side").args(args))
    }

    /// A Node.js program of `peers/`.
    pub(crate) fn node(name: &'static str, args: &[&str]) -> Self {
        Self::start(name, Command::new("node").args(args).current_dir(root().join("tests/load/peers")))
    }

    fn start(name: &'static str, command: &mut Command) -> Self {
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { name, process, answers }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// What it says next.
    pub(crate) fn listen(&mut self) -> Value {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{} said {line:?}: {error}", self.name))
    }

    /// Tells it to do something, and waits for what it says.
    pub(crate) fn ask(&mut self, question: &Value) -> Value {
        writeln!(self.process.stdin.as_mut().unwrap(), "{question}").unwrap();
        self.listen()
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        // It may have ended already.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
