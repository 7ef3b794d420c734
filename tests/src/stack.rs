//! The local stack as a user starts it: the binary `foldcast`.
//!
//! Owns: one stack a test, and the commands that work on it.
//! Must not know: what it is asked.
//! Source: README.md, "Commands".

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Once, OnceLock},
};

use serde_json::Value;

use crate::aws_json::call;

/// A running `foldcast up`; it is killed when it is dropped.
pub struct Stack {
    process: Child,
    /// The address for browsers.
    pub websocket_url: String,
    /// The address of `@connections`.
    pub management_url: String,
    /// DynamoDB's address.
    pub dynamodb_url: String,
}

/// Where a stack keeps its data.
#[derive(Clone, Copy, Debug)]
pub enum Data<'a> {
    /// In memory.
    Ephemeral,
    /// In this folder.
    Folder(&'a Path),
}

impl Stack {
    /// Starts a stack on free ports and waits until it is ready.
    #[must_use]
    pub fn start(data: Data<'_>) -> Self {
        Self::start_on(0, data)
    }

    /// Starts a stack whose browsers come to this port.
    #[must_use]
    pub fn start_on(port: u16, data: Data<'_>) -> Self {
        let mut command = up(data);
        command.args(["--port", &port.to_string(), "--dynamodb-port", "0"]);
        Self::ready(&mut command)
    }

    /// Starts a stack in memory on which goes wrong what the script says.
    #[must_use]
    pub fn start_with_faults(script: &Value) -> Self {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(script.to_string().as_bytes()).unwrap();
        Self::start_with(&["--faults", file.path().to_str().unwrap()])
    }

    /// Starts a stack in memory with these flags.
    #[must_use]
    pub fn start_with(flags: &[&str]) -> Self {
        Self::start_with_variables(flags, &[])
    }

    /// Starts a stack in memory with these flags and variables; what it logs goes to a file.
    #[must_use]
    pub fn start_logging(flags: &[&str], variables: &[(&str, &str)], log: File) -> Self {
        Self::ready(up_with(flags, variables).stderr(log))
    }

    /// Starts a stack in memory with these flags and variables.
    #[must_use]
    pub fn start_with_variables(flags: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::ready(&mut up_with(flags, variables))
    }

    /// Starts a stack and waits until it is ready.
    fn ready(command: &mut Command) -> Self {
        let mut process = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut stack =
            Self { process, websocket_url: String::new(), management_url: String::new(), dynamodb_url: String::new() };
        loop {
            let line = lines.next().expect("the stack ended before it was ready").unwrap();
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("websocket"), Some(url)) => stack.websocket_url = url.to_owned(),
                (Some("management"), Some(url)) => stack.management_url = url.to_owned(),
                (Some("dynamodb"), Some(url)) => stack.dynamodb_url = url.to_owned(),
                (Some("ready"), _) => return stack,
                _ => {}
            }
        }
    }

    /// The port for browsers.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.websocket_url.rsplit(':').next().and_then(|rest| rest.split('/').next()).unwrap().parse().unwrap()
    }

    /// The id of its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Ends the stack as a user does, and waits for its clean end.
    pub fn stop(mut self) {
        let id = self.process.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert!(self.process.wait().unwrap().success(), "SIGTERM ends the stack cleanly");
    }

    /// Ends the stack as a power cut does.
    pub fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Runs a command of `foldcast` on this stack.
    #[must_use]
    pub fn run(&self, args: &[&str]) -> Output {
        self.run_with_input(args, "")
    }

    /// Runs a command with this on its standard input.
    #[must_use]
    pub fn run_with_input(&self, args: &[&str], input: &str) -> Output {
        let mut process = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        // A command that does not read its input may have ended before.
        process.stdin.take().unwrap().write_all(input.as_bytes()).ok();
        process.wait_with_output().unwrap()
    }

    /// Runs a command that has to succeed; the answer is its lines of JSON.
    #[must_use]
    pub fn json_lines(&self, args: &[&str]) -> Vec<Value> {
        let output = self.run(args);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Calls DynamoDB as a foreign producer does, and gives its answer.
    pub async fn dynamodb(&self, operation: &str, request: &Value) -> Value {
        call(&self.dynamodb_url, "local", &format!("DynamoDB_20120810.{operation}"), request).await
    }

    /// A command of `foldcast` on this stack, that was not started.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        match args.first() {
            Some(&"tail") => command.args(["--url", &self.websocket_url]),
            Some(&"token") => &mut command,
            _ => command.args(["--endpoint-url", &self.dynamodb_url]).env_remove("MANAGEMENT_ENDPOINT"),
        };
        command
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // It may have ended already.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn up(data: Data<'_>) -> Command {
    let mut command = Command::new(binary());
    command.arg("up");
    match data {
        Data::Ephemeral => command.arg("--ephemeral"),
        Data::Folder(folder) => command.arg("--data").arg(folder),
    };
    command
}

/// A stack in memory, on free ports.
fn up_with(flags: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = up(Data::Ephemeral);
    command.args(["--port", "0", "--dynamodb-port", "0"]).args(flags).envs(variables.iter().copied());
    command
}

/// The binary of this checkout.
#[must_use]
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| built("foldcast"))
}

/// The program of the example `echo`, somebody else's application.
#[must_use]
pub fn echo() -> PathBuf {
    built("examples/echo")
}

/// The program of a function.
#[must_use]
pub fn function(name: &str) -> PathBuf {
    built(name)
}

/// Builds every program, if it is not: a test's own build does not include other packages' binaries. The whole workspace and
/// an example give the features that the tests themselves are built with, so that nothing is compiled twice.
fn build() {
    static BUILD: Once = Once::new();
    BUILD.call_once(|| {
        // A benchmark runs what is optimized, as it is itself; it has no use for functions that are optimized so.
        let which: &[&str] = if cfg!(debug_assertions) { &["--bins"] } else { &["--release", "--bin", "foldcast"] };
        let mut cargo = cargo();
        cargo.args(["build", "--quiet", "--workspace", "--example", "echo"]).args(which);
        assert!(cargo.status().unwrap().success(), "the programs build");
    });
}

/// Cargo in the checkout, as a shell has it: without what cargo tells this process about its package. To a build script
/// that would be a change, and everything above it would be compiled again.
#[must_use]
pub fn cargo() -> Command {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root());
    for (name, _) in std::env::vars_os() {
        if ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|of_package| name.to_string_lossy().starts_with(of_package)) {
            cargo.env_remove(name);
        }
    }
    cargo
}

/// A program of the folder that this test was built into.
fn built(name: &str) -> PathBuf {
    build();
    let test = std::env::current_exe().unwrap();
    test.ancestors().find_map(|folder| Some(folder.join(name)).filter(|file| file.is_file())).unwrap()
}

/// The checkout.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}
