//! How long a function takes from the start of its process to its first answer, what it costs from then on, and how much
//! memory it has.
//!
//! Owns: the comparison of each function with a Node.js handler that does its job.
//! Must not know: what a function does.
//! Source: the functions as they are deployed, and `peers/functions/`.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Stdio},
};

use tests::stack::root;

use crate::{
    interleaved::Rounds,
    lambda::{self, Answered},
    programs,
    report::{Cell, Table},
    work::{FUNCTIONS, Work},
};

const STARTS: usize = 21;
const HEAVY_STARTS: usize = 5;

const METHOD: &str = "From the start of the process to its first question for an invocation (ready), and to the answer to that invocation. A ratio is Node's over ours. Around it are a server of the Runtime API, which takes every push and \
publishes an issuer's keys, and the embedded DynamoDB, all over HTTP without TLS. Foldcast's functions are built as they are deployed (the profile `function`); Node.js runs a \
handler in `tests/load/peers/functions` that does the same job with the AWS SDK for JavaScript (v3, its document client; the authorizer with `jose`), bundled and minified by \
esbuild into one file, and a Runtime API loop of 20 lines. The sides take turns; each start is a new process. Memory is the most that was resident (`VmHWM`) when the \
answer came. An order of the event handler and of the fan-out has one subscriber. `fauna-feed` is left out: an invocation of it lasts for a minute.";

const WARM_METHOD: &str = "The same processes, and the same Node.js, with much to do: 500 browsers one after the other; for the event handler a batch of 100 orders and then \
an event for 1,000 subscribers; for the fan-out a page of 1,000 subscribers. Processor time is that of the function's process alone, from its start; memory is the most that was \
resident when all was answered. Lambda bills the time and the memory.";

/// One side's measurements of one function.
#[derive(Default)]
struct Measured {
    ready_ms: Rounds,
    ms: Rounds,
    cpu_ms: Rounds,
    mb: Rounds,
}

/// Starts each function and its peer over and over.
pub(crate) async fn run() -> Table {
    let mut rows = Vec::new();
    for function in FUNCTIONS {
        let [own, node] = measure(function, STARTS, &Work::first(function)).await;
        let mut row = vec![Cell::from(format!("`{function}`")), Cell::Number(own.ready_ms.median(), 1)];
        row.extend(beside(&own.ms, &node.ms, 1));
        row.extend(beside(&own.mb, &node.mb, 1));
        rows.push(row);
    }
    let columns =
        vec!["function", "ready, ms", "answer, ms", "Node's, ms", "ratio", "memory, MB", "Node's, MB", "memory ratio"];
    Table { title: "Cold start", method: METHOD.to_owned(), columns, rows }
}

/// Gives each function and its peer much to do.
pub(crate) async fn run_warm() -> Table {
    let mut rows = Vec::new();
    for function in FUNCTIONS {
        let [own, node] = measure(function, HEAVY_STARTS, &Work::heavy(function)).await;
        let mut row = vec![Cell::from(format!("`{function}`"))];
        row.extend(beside(&own.cpu_ms, &node.cpu_ms, 0));
        row.extend(beside(&own.mb, &node.mb, 1));
        rows.push(row);
    }
    let columns = vec!["function", "CPU, ms", "Node's, ms", "ratio", "memory, MB", "Node's, MB", "memory ratio"];
    Table { title: "A function at work", method: WARM_METHOD.to_owned(), columns, rows }
}

/// Foldcast's function and Node's in turns.
async fn measure(function: &'static str, starts: usize, work: &Work) -> [Measured; 2] {
    let program = programs::function(function);
    let bundle = bundle(function);
    let mut measured: [Measured; 2] = Default::default();
    for _ in 0..starts {
        let own = Command::new(&program);
        let mut node = Command::new("node");
        node.arg(&bundle);
        for (command, Measured { ready_ms, ms, cpu_ms, mb }) in [own, node].into_iter().zip(&mut measured) {
            let Answered { ready, first, cpu, peak_kb } = lambda::work(command, work).await;
            ready_ms.push(ready.as_secs_f64() * 1e3);
            ms.push(first.as_secs_f64() * 1e3);
            cpu_ms.push(cpu.as_secs_f64() * 1e3);
            mb.push(peak_kb / 1024.0);
        }
    }
    measured
}

fn beside(own: &Rounds, node: &Rounds, digits: usize) -> [Cell; 3] {
    [Cell::Number(own.median(), digits), Cell::Number(node.median(), digits), Cell::Ratio(node.over(own))]
}

/// The Node.js handler and its Runtime API loop as one file.
fn bundle(function: &str) -> PathBuf {
    let peers = root().join("tests/load/peers");
    let bundle = root().join(format!("target/bench/{function}.mjs"));
    let mut esbuild = Command::new(peers.join("node_modules/.bin/esbuild"));
    esbuild.arg(format!("--outfile={}", bundle.display())).current_dir(peers).stdin(Stdio::piped());
    esbuild.args(["--bundle", "--minify", "--platform=node", "--target=node20", "--format=esm", "--log-level=error"]);
    // What is not written as a module asks for `require`.
    esbuild.arg("--banner:js=import{createRequire}from'node:module';const require=createRequire(import.meta.url);");
    let mut running = esbuild.spawn().unwrap();
    let program = format!(
        "import {{ handler }} from './functions/{function}.js';\n\
         import {{ serve }} from './functions/runtime.js';\n\
         await serve(handler);\n"
    );
    running.stdin.take().unwrap().write_all(program.as_bytes()).unwrap();
    assert!(running.wait().unwrap().success(), "{function} is bundled");
    bundle
}
