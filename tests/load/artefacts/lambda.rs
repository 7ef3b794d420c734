//! One process of a function, and the Runtime API that it asks.
//!
//! Owns: the clock: from the start of the process to its first answer.
//! Must not know: what the events say.
//! Source: AWS Lambda's Runtime API; `@connections` and everything else that is asked of the address is answered 200.

use std::{
    net::Ipv4Addr,
    path::Path,
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

use crate::work::Work;

/// A process that is being waited for.
pub(crate) struct Lambda {
    process: Child,
    started: Instant,
    said: mpsc::UnboundedReceiver<(Said, Instant)>,
    events: usize,
    _engine: Engine,
}

/// What a process did.
pub(crate) struct Answered {
    /// From its start to its first `/next`.
    pub(crate) ready: Duration,
    /// From its start to its first answer.
    pub(crate) first: Duration,
    /// The most memory that it had at once.
    pub(crate) peak_kb: u64,
    /// What the processor did for it, in ticks of 10 ms.
    pub(crate) cpu_ticks: u64,
}

enum Said {
    Next,
    Answer,
    Error(String),
}

impl Lambda {
    pub(crate) async fn start(program: &Path, work: Work) -> Self {
        let engine = Engine::start().await;
        work.prepare(&engine);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (sender, said) = mpsc::unbounded_channel();
        let events = work.events();
        let count = events.len();
        let waiting = Arc::new(Mutex::new(events.into_iter().rev().collect::<Vec<_>>()));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let (sender, waiting) = (sender.clone(), Arc::clone(&waiting));
                let serve = service_fn(move |request| serve(request, sender.clone(), Arc::clone(&waiting)));
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), serve));
            }
        });
        let aws = variables(engine.url.clone());
        let mut command = Command::new(program);
        command.env_clear().stdout(Stdio::null()).stderr(Stdio::null()).envs([
            ("AWS_LAMBDA_FUNCTION_NAME", "f"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("JWKS_URL", "http://127.0.0.1:9/keys"),
            ("JWT_ISSUER", "i"),
            ("JWT_AUDIENCE", "a"),
            ("REDACTED_FIELDS", "stripeToken"),
            ("FAILURE_QUEUE_URL", "http://127.0.0.1:9/failures"),
            ("PAGE_QUEUE_URL", "http://127.0.0.1:9/pages"),
        ]);
        command.env("AWS_LAMBDA_RUNTIME_API", address.to_string());
        command.env("MANAGEMENT_ENDPOINT", format!("http://{address}/local"));
        for name in ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_DYNAMODB"] {
            command.env(name, aws(name).unwrap());
        }
        for name in ["ALLOWED_ORIGINS", "ANONYMOUS_SCOPE"] {
            command.env(name, aws(name).unwrap());
        }
        let started = Instant::now();
        let process = command.spawn().unwrap();
        Self { process, started, said, events: count, _engine: engine }
    }

    /// Waits until every event is answered.
    pub(crate) async fn work(mut self) -> Answered {
        let (mut ready, mut first, mut answers) = (None, None, 0);
        while answers < self.events {
            let said = tokio::time::timeout(tests::PATIENCE, self.said.recv()).await;
            match said.unwrap().unwrap() {
                (Said::Next, at) => drop(ready.get_or_insert(at - self.started)),
                (Said::Answer, at) => {
                    first.get_or_insert(at - self.started);
                    answers += 1;
                }
                (Said::Error(text), _) => assert!(text.is_empty(), "the function failed: {text}"),
            }
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak_kb = peak.trim().trim_end_matches(" kB").parse().unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields = stat.rsplit(')').next().unwrap().split_whitespace();
        // The fields after the name begin with the third: utime and stime are the 14th and the 15th.
        let cpu_ticks = fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum();
        self.process.kill().unwrap();
        self.process.wait().unwrap();
        Answered { ready: ready.unwrap(), first: first.unwrap(), peak_kb, cpu_ticks }
    }
}

async fn serve(
    request: Request<Incoming>,
    sender: mpsc::UnboundedSender<(Said, Instant)>,
    waiting: Arc<Mutex<Vec<Value>>>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let path = request.uri().path().to_owned();
    let method = request.method().clone();
    let body = request.into_body().collect().await?.to_bytes();
    if path.ends_with("/invocation/next") {
        sender.send((Said::Next, Instant::now())).ok();
        let event = waiting.lock().unwrap().pop();
        let Some(event) = event else { return std::future::pending().await };
        let answer = Response::builder()
            .header("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd")
            .header("lambda-runtime-deadline-ms", "4102444800000")
            .header("lambda-runtime-invoked-function-arn", "arn:aws:lambda:us-east-1:000000000000:function:f");
        return Ok(answer.body(event.to_string().into()).unwrap());
    }
    if method == Method::POST && path.ends_with("/response") {
        sender.send((Said::Answer, Instant::now())).ok();
    } else if path.contains("/runtime/") {
        sender.send((Said::Error(String::from_utf8_lossy(&body).into_owned()), Instant::now())).ok();
    }
    Ok(Response::new(Full::default()))
}
