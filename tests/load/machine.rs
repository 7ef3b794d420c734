//! Where and with what it was measured.
//!
//! Owns: the machine's and the versions' names, how busy the machine was, and the head of the page.
//! Must not know: what is measured.
//! Source: `/proc`, the programs' own `--version`.

use std::{fs, process::Command};

use serde_json::{Value, json};
use tests::stack::root;

pub(crate) struct Machine {
    cpu: String,
    cores: usize,
    memory_gb: f64,
    system: String,
    versions: Vec<(&'static str, String)>,
    /// Processes that wanted to run when the run began, over the last minute; and when it ended.
    load: (f64, f64),
}

impl Machine {
    pub(crate) fn look() -> Self {
        let cpu = fs::read_to_string("/proc/cpuinfo").unwrap();
        let cpu = cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
        let memory = fs::read_to_string("/proc/meminfo").unwrap();
        let memory_kb = memory.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap();
        let versions = [("Rust", "rustc"), ("Node.js", "node")].map(|(name, program)| (name, version(program)));
        let mut versions = versions.to_vec();
        let crates = ["aws-sdk-apigatewaymanagement", "hyper", "tokio-tungstenite"];
        versions.extend(crates.map(|name| (name, locked(name))));
        let packages = ["@aws-sdk/client-dynamodb", "jose", "serverless-offline", "socket.io"];
        versions.extend(packages.map(|name| (name, required(name))));
        let load = load();
        Self {
            cpu: cpu.trim_start_matches([' ', '\t', ':']).to_owned(),
            cores: std::thread::available_parallelism().unwrap().get(),
            memory_gb: memory_kb / 1024.0 / 1024.0,
            system: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap().trim().to_owned(),
            versions,
            load: (load, load),
        }
    }

    /// Looks how busy the machine is at the end.
    pub(crate) fn look_again(&mut self) {
        self.load.1 = load();
    }

    pub(crate) fn json(&self) -> Value {
        let versions: Vec<Value> =
            self.versions.iter().map(|(name, version)| json!({"name": name, "version": version})).collect();
        json!({
            "cpu": self.cpu, "cores": self.cores, "memoryGb": self.memory_gb, "linux": self.system,
            "versions": versions, "loadBefore": self.load.0, "loadAfter": self.load.1,
        })
    }

    /// The head of the page.
    pub(crate) fn markdown(&self) -> String {
        let versions: Vec<String> = self.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        format!(
            "# Performance\n\n\
             `cargo xtask bench` writes this page: every number is from one run of it. The same numbers are in \
             `{report}` for a program.\n\n\
             The machine: {cpu}, {cores} cores, {memory:.0} GB, Linux {system}. Load average {before:.1} when the run \
             began and {after:.1} when it ended. Versions: {versions}.\n\n\
             All traffic is on loopback, without TLS. Where sides are compared they take turns, round by round, in one \
             run: a number is the median of its side's rounds, a ratio is the median of the rounds' own ratios, with the \
             lowest and the highest behind it. Times depend on the machine and on what else it does; read ratios.\n\n\
             What was done for these numbers, and what did not help, is in \
             [decision 11](decisions/0011-one-thread-and-pushes-beneath-the-sdk.md); what an event costs in calls and \
             units, which is exact, in [cost.md](cost.md).\n",
            report = "target/bench/report.json",
            cpu = self.cpu,
            cores = self.cores,
            memory = self.memory_gb,
            system = self.system,
            before = self.load.0,
            after = self.load.1,
            versions = versions.join(", "),
        )
    }
}

fn load() -> f64 {
    let load = fs::read_to_string("/proc/loadavg").unwrap();
    load.split_whitespace().next().unwrap().parse().unwrap()
}

/// The version in what a program says of itself.
fn version(program: &str) -> String {
    let said = Command::new(program).arg("--version").output().unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let version = said.split_whitespace().find(|word| word.contains('.')).unwrap_or("unknown");
    version.trim_start_matches('v').to_owned()
}

/// A crate's version in the lock file.
fn locked(name: &str) -> String {
    let lock = fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let mut lines = lock.lines().skip_while(|line| *line != format!("name = \"{name}\""));
    let version = lines.nth(1).and_then(|line| line.strip_prefix("version = "));
    version.unwrap_or("unknown").trim_matches('"').to_owned()
}

/// A package's version, as `peers/package.json` requires it.
fn required(name: &str) -> String {
    let package = fs::read_to_string(root().join("tests/load/peers/package.json")).unwrap();
    let package: Value = serde_json::from_str(&package).unwrap();
    package["dependencies"][name].as_str().unwrap_or("unknown").to_owned()
}
