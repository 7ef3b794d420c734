//! One process of a function, and what it asks of others.
//!
//! Owns: the clock: from the start of the process to its first answer; memory and processor time when all is answered.
//! Must not know: what the events say.
//! Source: AWS Lambda's Runtime API; an issuer's key set is served, `@connections` and everything else that is asked of the
//! address is answered 200.

use std::{
    collections::VecDeque,
    net::Ipv4Addr,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tests::engine::{Engine, variables};
use tokio::{net::TcpListener, sync::mpsc};

use crate::process;

/// Who tokens are from and for.
pub(crate) const ISSUER: &str = "https://issuer.example/";
pub(crate) const AUDIENCE: &str = "shop";

/// What one process is given to do.
pub(crate) trait Job {
    /// The invocations, in their order.
    fn events(&self) -> Vec<Value>;

    /// Stores the rows that they are about.
    fn prepare(&self, engine: &Engine);

    /// Looks at an answer.
    fn check(&self, answer: &Value);

    /// The key set of the issuer.
    fn key_set(&self) -> Value {
        Value::Null
    }

    /// How long `@connections` takes for a post.
    fn post_takes(&self) -> Duration {
        Duration::ZERO
    }
}

/// What a process did.
pub(crate) struct Answered {
    /// From its start to its first `/next`.
    pub(crate) ready: Duration,
    /// From its start to its first answer.
    pub(crate) first: Duration,
    /// The most memory that it had at once.
    pub(crate) peak_kb: f64,
    /// What the processor did for it, from its start.
    pub(crate) cpu: Duration,
}

/// What a process said, and when.
enum Said {
    Next,
    Answer(Bytes),
    Error(String),
}

/// What the process's address knows.
struct Shared {
    due: Mutex<VecDeque<String>>,
    key_set: String,
    post_takes: Duration,
    said: mpsc::UnboundedSender<(Said, Instant)>,
}

/// Starts a process, hands over its work, and ends it when all is answered.
pub(crate) async fn work(mut command: Command, work: &impl Job) -> Answered {
    let engine = Engine::start().await;
    work.prepare(&engine);
    let due: VecDeque<String> = work.events().iter().map(Value::to_string).collect();
    let invocations = due.len();
    let (sender, mut said) = mpsc::unbounded_channel();
    let (due, key_set, post_takes) = (Mutex::new(due), work.key_set().to_string(), work.post_takes());
    let shared = Shared { due, key_set, post_takes, said: sender };
    set_environment(&mut command, &serve(shared).await, &engine);

    let started = Instant::now();
    let process = Running(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap());
    let (mut ready, mut first, mut answers) = (None, None, 0);
    while answers < invocations {
        let (what, at) = tokio::time::timeout(tests::PATIENCE, said.recv()).await.unwrap().unwrap();
        match what {
            Said::Next => drop(ready.get_or_insert(at - started)),
            Said::Answer(answer) => {
                first.get_or_insert(at - started);
                work.check(&serde_json::from_slice(&answer).unwrap());
                answers += 1;
            }
            Said::Error(text) => panic!("the function failed: {text}"),
        }
    }
    let id = process.0.id();
    Answered {
        ready: ready.unwrap(),
        first: first.unwrap(),
        peak_kb: process::memory_kb(id, "VmHWM"),
        cpu: process::cpu(id),
    }
}

/// A process that is killed when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

fn set_environment(command: &mut Command, address: &str, engine: &Engine) {
    let aws = variables(engine.url.clone());
    let names = [
        "AWS_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ENDPOINT_URL_DYNAMODB",
        "ALLOWED_ORIGINS",
        "ANONYMOUS_SCOPE",
    ];
    command.env_clear().envs(names.into_iter().filter_map(|name| aws(name).map(|value| (name, value))));
    command.envs([
        ("AWS_LAMBDA_RUNTIME_API", address),
        ("AWS_LAMBDA_FUNCTION_NAME", "f"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "log"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "log"),
        ("JWKS_URL", &format!("http://{address}/keys")),
        ("JWT_ISSUER", ISSUER),
        ("JWT_AUDIENCE", AUDIENCE),
        ("REDACTED_FIELDS", "stripeToken"),
        ("MANAGEMENT_ENDPOINT", &format!("http://{address}/local")),
        ("AWS_ENDPOINT_URL_SQS", &format!("http://{address}")),
        ("FAILURE_QUEUE_URL", &format!("http://{address}/failures")),
        ("ORDER_QUEUE_URL", &format!("http://{address}/orders")),
        ("PAGE_QUEUE_URL", &format!("http://{address}/pages")),
        ("PATH", &std::env::var("PATH").unwrap()),
        // The SDK for JavaScript warns of a Node.js that it will not support for long.
        ("NODE_NO_WARNINGS", "1"),
    ]);
}

/// Serves one process, on an address of its own.
async fn serve(shared: Shared) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let shared = Arc::new(shared);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            let shared = Arc::clone(&shared);
            let service = service_fn(move |request| answer(request, Arc::clone(&shared)));
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (parts, body) = request.into_parts();
    let (method, path) = (parts.method, parts.uri.path());
    let body = body.collect().await?.to_bytes();
    // Nobody listens any more when all is answered.
    let say = |said| shared.said.send((said, Instant::now())).ok();
    if path == "/keys" {
        return Ok(Response::new(Full::from(shared.key_set.clone())));
    }
    if path.ends_with("/invocation/next") {
        say(Said::Next);
        let event = shared.due.lock().unwrap().pop_front();
        let Some(event) = event else { return std::future::pending().await };
        let answer = Response::builder()
            .header("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
            .header("lambda-runtime-deadline-ms", "4102444800000")
            .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:f");
        return Ok(answer.body(event.into()).unwrap());
    }
    if method == Method::POST && path.ends_with("/response") {
        say(Said::Answer(body));
    } else if path.contains("/runtime/") {
        say(Said::Error(String::from_utf8_lossy(&body).into_owned()));
    } else if method == Method::POST {
        tokio::time::sleep(shared.post_takes).await;
    }
    Ok(Response::new(Full::default()))
}
