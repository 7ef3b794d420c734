//! serverless-offline: what a team that writes JavaScript runs on a laptop.
//!
//! Owns: starting it with an application of `peers/`, and invoking its event handler.
//! Must not know: what is measured.
//! Source: serverless-offline's README; its `useInProcess`, which answers sooner than its worker threads.

use std::{
    collections::HashMap,
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tests::{
    engine::{Engine, variables},
    stack::root,
};
use tokio::{net::TcpStream, time::timeout};

/// How often it is looked for while it starts.
const START_POLL: Duration = Duration::from_millis(5);

/// A running serverless-offline and its DynamoDB; it is killed when it is dropped.
pub(crate) struct Offline {
    process: Child,
    pub(crate) engine: Engine,
    pub(crate) websocket_url: String,
    pub(crate) management_url: String,
    lambda_url: String,
    client: Client<HttpConnector, Full<Bytes>>,
    /// Who is being told of its last event, by orders: a change feed has one event of an order after the other.
    orders: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Offline {
    /// Starts an application of `peers/` and waits until it listens.
    pub(crate) async fn start(application: &str) -> Self {
        let engine = Engine::start().await;
        let [websocket, http, lambda] = free_ports();
        let management_url = format!("http://127.0.0.1:{websocket}");
        let aws = variables(engine.url.clone());
        let names = ["AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_DYNAMODB"];
        let process = Command::new("node")
            .args(["node_modules/.bin/serverless", "offline", "start", "--config", application])
            .args(["--host", "127.0.0.1", "--localEnvironment", "--useInProcess", "--noTimeout"])
            .args(["--websocketPort", &websocket.to_string()])
            .args(["--httpPort", &http.to_string(), "--lambdaPort", &lambda.to_string()])
            .envs(names.into_iter().filter_map(|name| aws(name).map(|value| (name, value))))
            .envs([("MANAGEMENT_ENDPOINT", management_url.as_str()), ("REDACTED_FIELDS", "stripeToken")])
            .env("SLS_TELEMETRY_DISABLED", "1")
            .current_dir(root().join("tests/load/peers"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut offline = Self {
            process,
            engine,
            websocket_url: format!("ws://127.0.0.1:{websocket}/"),
            management_url,
            lambda_url: format!("http://127.0.0.1:{lambda}"),
            client: Client::builder(TokioExecutor::new()).build_http(),
            orders: Mutex::default(),
        };
        timeout(tests::PATIENCE, offline.listens_at(websocket)).await.unwrap();
        offline
    }

    async fn listens_at(&mut self, port: u16) {
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            assert!(self.process.try_wait().unwrap().is_none(), "serverless-offline ended before it listened");
            tokio::time::sleep(START_POLL).await;
        }
    }

    /// The id of its process.
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Waits until nobody else appends to the order; the next may when the answer is dropped.
    pub(crate) async fn turn(&self, order_id: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let order = Arc::clone(self.orders.lock().unwrap().entry(order_id.to_owned()).or_default());
        order.lock_owned().await
    }

    /// Invokes the event handler with one event, whose fields are text, and waits for its answer.
    pub(crate) async fn handle(&self, order_id: &str, version: u64, ts_us: i64, data: &Value) {
        let fields: serde_json::Map<String, Value> =
            data.as_object().unwrap().iter().map(|(name, value)| (name.clone(), json!({"S": value}))).collect();
        let image = json!({"orderId": {"S": order_id}, "version": {"N": version.to_string()}, "data": {"M": fields},
                           "ref": {"S": version.to_string()}, "ts": {"N": ts_us.to_string()}});
        let records = json!({"Records": [{"dynamodb": {"NewImage": image}}]});
        let path = "2015-03-31/functions/foldcast-dev-event-handler/invocations";
        let invoke = Request::post(format!("{}/{path}", self.lambda_url)).body(Full::from(records.to_string()));
        let answer = self.client.request(invoke.unwrap()).await.unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body, r#"{"batchItemFailures":[]}"#, "the event handler took the event");
    }
}

impl Drop for Offline {
    fn drop(&mut self) {
        // It may have ended already.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Ports that nobody has.
fn free_ports() -> [u16; 3] {
    let taken: [TcpListener; 3] = std::array::from_fn(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    taken.map(|listener| listener.local_addr().unwrap().port())
}
