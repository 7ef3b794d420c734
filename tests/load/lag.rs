//! From the append of an event to its browsers.
//!
//! Owns: crowds of browsers, and how long each delivery takes; the same on a push server that has no log and no fold, and on
//! serverless-offline.
//! Must not know: what happens between.
//! Source: the local stack as users start it; `peers/socketio.js`, `peers/serverless.yml`.

pub(crate) mod crowd;

use std::{fs, time::Duration};

use domain::{Event, EventData, EventRef, Version};
use futures_util::{StreamExt, stream};
use http_body_util::{BodyExt, Full};
use hyper::{Request, body::Bytes};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use store::{Store, aws::sdk_config};
use tests::{engine::variables, stack::Stack};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::{
    interleaved::quantile,
    local_stack::UNLIMITED,
    offline::Offline,
    report::{Cell, Table},
    side::Side,
};
use crowd::Crowd;

/// How many browsers on how many orders, and how many events come how often.
struct Scenario {
    name: &'static str,
    browsers: usize,
    orders: usize,
    events: usize,
    every: Duration,
}

const SCENARIOS: [Scenario; 3] = [
    Scenario {
        name: "1,000 browsers on 100 orders, 200 events a second",
        browsers: 1_000,
        orders: 100,
        events: 2_000,
        every: Duration::from_millis(5),
    },
    Scenario {
        name: "10,000 browsers on one order, an event every 4 s",
        browsers: 10_000,
        orders: 1,
        events: 6,
        every: Duration::from_secs(4),
    },
    Scenario {
        name: "19,000 browsers on one order, an event every 8 s",
        browsers: 19_000,
        orders: 1,
        events: 3,
        every: Duration::from_secs(8),
    },
];

/// The most browsers that serverless-offline is given: with them it is busy already.
const OFFLINE_BROWSERS_MAX: usize = 1_000;

/// Open files of a process besides its browsers.
const OTHER_FILES: usize = 1_000;

/// Longest wait for what has been published.
const PATIENCE: Duration = Duration::from_secs(60);

const METHOD: &str = "From the call that appends an event to its arrival in a browser's socket, for each event and each of its order's browsers. Foldcast is the local stack \
as `cargo run` starts it, release build: the append is a conditional put to DynamoDB, and between it and the browser are the change feed, the event handler's process, \
the fold, the query of subscribers and a signed POST for each. socket.io is a Node.js server with a room for each order, to which the same update is posted over HTTP and \
which has no log, no fold and no subscription in a table: the limit of what those cost. serverless-offline runs the handlers of `tests/load/peers/functions` in its own process, \
on the same embedded DynamoDB; it has no change feed, so its event handler is invoked by the producer as soon as the event is appended, one event of an order after the other. Server, producer and browsers share the machine's cores. An event that came with \
others in one update counts at the update's arrival. An order with more than 1,000 subscribers is pushed to in pages, by up to ten processes. The limits of connections and requests a second are raised.";

/// What browsers are subscribed to.
enum Server {
    Foldcast(Box<Stack>, Box<Store>),
    SocketIo(Box<SocketIo>),
    Offline(Box<Offline>, Box<Store>),
}

/// A server of socket.io, and the way to post to it.
struct SocketIo {
    side: Side,
    address: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// Runs every scenario on every server that can bear it.
pub(crate) async fn run() -> Table {
    let mut rows = Vec::new();
    let open_files = open_files_max();
    for scenario in &SCENARIOS {
        if scenario.browsers + OTHER_FILES > open_files {
            println!("not measured, with {open_files} open files at most (ulimit -n): {}", scenario.name);
            continue;
        }
        rows.push(measure(scenario, Server::foldcast()).await);
        rows.push(measure(scenario, Server::socket_io()).await);
        if scenario.browsers <= OFFLINE_BROWSERS_MAX {
            rows.push(measure(scenario, Server::offline().await).await);
        }
    }
    let columns = vec!["scenario", "server", "p50 ms", "p99 ms", "p99.9 ms", "delivered", "due"];
    Table { title: "Lag", method: METHOD.to_owned(), columns, rows }
}

/// How many open files this process may have.
fn open_files_max() -> usize {
    let limits = fs::read_to_string("/proc/self/limits").unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    line.split_whitespace().nth(3).unwrap().parse().unwrap_or(usize::MAX)
}

async fn measure(scenario: &Scenario, server: Server) -> Vec<Cell> {
    let order_ids: Vec<String> = (0..scenario.orders).map(|order| format!("guid_{order}")).collect();
    let mut crowd = Crowd::default();
    for at in 0..scenario.browsers {
        crowd.wants(&order_ids[at % order_ids.len()]);
    }
    match &server {
        Server::Foldcast(stack, _) => crowd.come(&stack.websocket_url, false).await,
        Server::SocketIo(server) => crowd.come(&server.address, true).await,
        Server::Offline(server, _) => crowd.come(&server.websocket_url, false).await,
    }
    let mut ticks = interval(scenario.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    // A slow answer to one append does not hold up the next.
    let due = stream::unfold((ticks, 0), async |(mut ticks, at)| {
        (at < scenario.events).then_some(())?;
        ticks.tick().await;
        Some((at, (ticks, at + 1)))
    });
    let publish = |at: usize| server.publish(&order_ids[at % order_ids.len()], at);
    due.map(publish).buffer_unordered(256).collect::<Vec<()>>().await;
    let expected = scenario.events * scenario.browsers / scenario.orders;
    let lags = crowd.lags(expected, Instant::now() + PATIENCE).await;
    let ms = |share: f64| Cell::Number(quantile(&lags, share), 1);
    vec![
        scenario.name.into(),
        server.name().into(),
        ms(0.5),
        ms(0.99),
        ms(0.999),
        Cell::Number(lags.len() as f64, 0),
        Cell::Number(expected as f64, 0),
    ]
}

pub(crate) fn store(dynamodb_url: &str) -> Store {
    let var = variables(dynamodb_url.to_owned());
    Store::from_vars(&sdk_config(&var).unwrap(), &var).unwrap()
}

async fn append(store: &Store, number: usize, ts_us: i64, data: &Value) -> Version {
    let data = EventData::new(domain::Json::from(data.clone()).into_object().unwrap()).unwrap();
    let event_ref = EventRef::parse(&(number + 1).to_string()).unwrap();
    store.event_log.append(&Event { event_ref, ts_us, data }, None).await.unwrap().version
}

/// Foldcast's own stack, its quotas out of the way; it logs to nowhere.
pub(crate) fn stack() -> Stack {
    let limits = tempfile::NamedTempFile::new().unwrap();
    fs::write(limits.path(), UNLIMITED).unwrap();
    let log = fs::File::create("/dev/null").unwrap();
    Stack::start_logging(&["--limits", limits.path().to_str().unwrap()], &[], log)
}

impl Server {
    fn foldcast() -> Self {
        let stack = stack();
        let store = store(&stack.dynamodb_url);
        Self::Foldcast(Box::new(stack), Box::new(store))
    }

    async fn offline() -> Self {
        let server = Offline::start("serverless.yml").await;
        let store = store(&server.engine.url);
        Self::Offline(Box::new(server), Box::new(store))
    }

    fn socket_io() -> Self {
        let mut side = Side::node("socket.io, Node.js", &["socketio.js"]);
        let port = side.listen()["port"].as_u64().unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self::SocketIo(Box::new(SocketIo { side, address: format!("127.0.0.1:{port}"), client }))
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Foldcast(..) => "Foldcast, local stack",
            Self::SocketIo(server) => server.side.name,
            Self::Offline(..) => "serverless-offline, Node.js",
        }
    }

    /// Appends an event whose `ts` is this moment.
    async fn publish(&self, order_id: &str, number: usize) {
        let ts_us = crowd::now_us();
        let n = number.to_string();
        let data = json!({"eventName": "OrderChanged", "orderId": order_id, "n": n, "note": "x".repeat(400)});
        match self {
            Self::Foldcast(_, store) => drop(append(store, number, ts_us, &data).await),
            Self::Offline(server, store) => {
                let turn = server.turn(order_id).await;
                let version = append(store, number, ts_us, &data).await;
                server.handle(order_id, version.get(), ts_us, &data).await;
                drop(turn);
            }
            Self::SocketIo(server) => {
                let SocketIo { address, client, .. } = &**server;
                let event = json!({"version": number, "ref": number.to_string(), "ts": ts_us, "data": data});
                let update = json!({"type": "update", "orderId": order_id, "version": number, "events": [event],
                                    "projection": data});
                let publish = Request::post(format!("http://{address}/publish/{order_id}"));
                let answer = client.request(publish.body(Full::from(update.to_string())).unwrap()).await.unwrap();
                assert!(answer.status().is_success());
                answer.into_body().collect().await.unwrap();
            }
        }
    }
}
