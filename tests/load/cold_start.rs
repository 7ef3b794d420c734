//! How long a function takes from the start of its process to its first answer, and how much memory.
//!
//! Owns: the comparison of each function with a Node.js handler that does its job.
//! Must not know: what a function does.
//! Source: the functions as they are deployed (`cargo build --release`), and `peers/functions/`; the Runtime API is the local
//! stack's, the DynamoDB is the embedded one.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use bytes::Bytes;
use local::lambda::RuntimeApi;
use serde_json::{Value, json};
use tests::{
    engine::{Engine, variables},
    stack::root,
};

use crate::{
    interleaved::Rounds,
    process, programs,
    push::sink::Sink,
    report::{Cell, Table},
};

const ROUNDS: usize = 15;
const FUNCTIONS: [&str; 4] = ["connect", "disconnect", "subscribe", "event-handler"];
const TIME_OUT: Duration = Duration::from_secs(30);

const METHOD: &str = "From the start of the process to the answer to its first invocation, over the local stack's Runtime API, with the embedded DynamoDB and a server \
that takes every push. Foldcast is the release binary `bootstrap`; Node.js runs a handler in `tests/load/peers/functions` that does the same job with the AWS SDK \
for JavaScript (v3, its document client), bundled and minified by esbuild into one file, and a Runtime API loop of 20 lines. The sides take turns; each start is \
a new process. Memory is the most that was resident (`VmHWM`) when the answer came. An order of the event handler's has one subscriber. The authorizer is not \
among them: it fetches keys over TLS before it answers.";

/// What was measured of one start.
struct Start {
    ms: f64,
    memory_kb: f64,
}

/// Runs the comparison.
pub(crate) async fn run() -> Table {
    let engine = Engine::start().await;
    let sink = Sink::start().await;
    let mut rows = Vec::new();
    for function in FUNCTIONS {
        let program = programs::function(function);
        let bundle = bundle(function);
        let mut measured: [[Rounds; 2]; 2] = Default::default();
        for round in 0..ROUNDS {
            let mut own = Command::new(&program);
            let mut node = Command::new("node");
            for (side, command) in [&mut own, node.arg(&bundle)].into_iter().enumerate() {
                let started = start(command, function, &engine, &sink, round * 2 + side).await;
                measured[0][side].push(started.ms);
                measured[1][side].push(started.memory_kb / 1024.0);
            }
        }
        let [[ms, node_ms], [mb, node_mb]] = measured;
        rows.push(vec![
            Cell::from(format!("`{function}`")),
            Cell::Number(ms.median(), 1),
            Cell::Number(node_ms.median(), 0),
            Cell::Ratio(node_ms.over(&ms)),
            Cell::Number(mb.median(), 1),
            Cell::Number(node_mb.median(), 1),
            Cell::Ratio(node_mb.over(&mb)),
        ]);
    }
    let columns = vec!["function", "ms", "Node ms", "ratio of times", "MB", "Node MB", "ratio of memory"];
    Table { title: "Cold start", method: METHOD.to_owned(), columns, rows }
}

/// The Node.js handler as one file.
fn bundle(function: &str) -> PathBuf {
    let peers = root().join("tests/load/peers");
    let bundle = root().join(format!("target/bench/{function}.mjs"));
    let mut esbuild = Command::new(peers.join("node_modules/.bin/esbuild"));
    esbuild.arg(format!("functions/{function}.js")).arg(format!("--outfile={}", bundle.display()));
    esbuild.args(["--bundle", "--minify", "--platform=node", "--target=node20", "--format=esm", "--log-level=error"]);
    // What is not written as a module asks for `require`.
    esbuild.arg("--banner:js=import{createRequire}from'node:module';const require=createRequire(import.meta.url);");
    assert!(esbuild.current_dir(peers).status().unwrap().success(), "{function} is bundled");
    bundle
}

async fn start(command: &mut Command, function: &str, engine: &Engine, sink: &Sink, number: usize) -> Start {
    let payload = prepare(function, engine, number);
    let aws = variables(engine.url.clone());
    let var = |name: &'static str| aws(name).map(|value| (name, value));
    let names = [
        "AWS_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ENDPOINT_URL_DYNAMODB",
        "ALLOWED_ORIGINS",
        "ANONYMOUS_SCOPE",
    ];
    let api = RuntimeApi::start().await.unwrap();
    command.env_clear().envs(names.into_iter().filter_map(var));
    command.envs([
        ("AWS_LAMBDA_RUNTIME_API", api.address().to_string().as_str()),
        ("AWS_LAMBDA_FUNCTION_NAME", function),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "log"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "log"),
        ("REDACTED_FIELDS", "stripeToken"),
        ("MANAGEMENT_ENDPOINT", &sink.url),
        ("AWS_ENDPOINT_URL_SQS", &sink.url),
        ("FAILURE_QUEUE_URL", &format!("{}/failures", sink.url)),
        ("PAGE_QUEUE_URL", &format!("{}/pages", sink.url)),
        ("PATH", &std::env::var("PATH").unwrap()),
    ]);
    let begun = Instant::now();
    let mut process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
    let answer = api.invoke(function, Bytes::from(payload.to_string()), TIME_OUT).await;
    let ms = begun.elapsed().as_secs_f64() * 1e3;
    let memory_kb = process::memory_kb(process.id(), "VmHWM");
    process.kill().unwrap();
    process.wait().unwrap();
    check(function, &serde_json::from_slice(&answer.unwrap()).unwrap());
    Start { ms, memory_kb }
}

/// What an invocation needs in the tables, and its event. Each has a connection and an order of its own.
fn prepare(function: &str, engine: &Engine, number: usize) -> Value {
    let (connection_id, order_id) = (format!("L0SM9cOFvHc{number:05}="), format!("{function}_{number}"));
    let put = |table: &str, item: Value| {
        let put = json!({"TableName": table, "Item": item});
        engine.database.put_item(serde_json::from_value(put).unwrap()).unwrap();
    };
    let row = json!({"orderId": {"S": order_id}, "connectionId": {"S": connection_id}, "readsAll": {"BOOL": true},
                     "principalId": {"S": "user_123"}, "expiresAt": {"N": "9999999999"}});
    let data =
        json!({"eventName": {"S": "OrderChanged"}, "orderId": {"S": order_id}, "note": {"S": "x".repeat(1_000)}});
    let image = json!({"orderId": {"S": order_id}, "version": {"N": "1"}, "ref": {"S": "1"}, "ts": {"N": "0"},
                       "data": {"M": data}});
    if function == "event-handler" {
        put("subscriptions", row);
        put("order_stream", image.clone());
        return json!({"Records": [{"dynamodb": {"SequenceNumber": "1", "NewImage": image}}]});
    }
    if function != "connect" {
        put(
            "connections",
            json!({"connectionId": {"S": connection_id}, "principalId": {"S": "user_123"},
                                  "connectedAt": {"N": "4000000000000"}, "expiresAt": {"N": "9999999999"}}),
        );
    }
    if function == "disconnect" {
        put("subscriptions", row);
    }
    let context = json!({
        "connectionId": connection_id, "requestId": "r", "connectedAt": 4_000_000_000_000_i64,
        "requestTimeEpoch": 4_000_000_000_000_i64, "identity": {"sourceIp": "127.0.0.1"},
        "authorizer": {"principalId": "user_123", "scope": "orders:read:all"},
    });
    let body = (function == "subscribe").then(|| json!({"action": "subscribe", "orderId": order_id}).to_string());
    json!({"requestContext": context, "body": body, "isBase64Encoded": false})
}

/// That both sides did their job.
fn check(function: &str, answer: &Value) {
    match function {
        "event-handler" => assert_eq!(*answer, json!({"batchItemFailures": []})),
        "subscribe" => assert!(answer["body"].as_str().unwrap().contains(r#""version":0"#), "{answer}"),
        _ => assert_eq!(answer["statusCode"], 200, "{function}: {answer}"),
    }
}
