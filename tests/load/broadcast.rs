//! One message to many sockets.
//!
//! Owns: the comparison of posts to the local stack's `@connections` with a server that has the sockets in its hand.
//! Must not know: who waits for the message.
//! Source: `tokio-tungstenite` alone, with small buffers.

use std::{net::Ipv4Addr, time::Duration};

use ::push::Push;
use domain::{ConnectionId, OrderId, fan_out::Outcome};
use futures_util::{SinkExt, StreamExt, stream};
use serde_json::{Value, json};
use tokio::{net::TcpSocket, sync::Mutex, time::Instant};
use tokio_tungstenite::{
    WebSocketStream, accept_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

use crate::{
    client::{Socket, connect},
    interleaved::Rounds,
    lag::{self, crowd},
    offline::Offline,
    process,
    push::sides::push_client,
    report::{Cell, Table},
    side::Side,
};

const SOCKETS: usize = 1_000;
const ROUNDS: usize = 7;

/// Messages of a round, each to every socket.
const MESSAGES: usize = 5;

const BYTES: usize = 600;
const ORDER: &str = "broadcast";

const METHOD: &str = "A message of 600 bytes to 1,000 sockets, five times a round. On the local stack and on serverless-offline each is a signed POST to `@connections`, \
sent by Foldcast's client; the local stack verifies the signature, serverless-offline does not. The bare server holds its sockets and writes. The number is the processor time of the server's process alone, by the number of messages; messages a \
second are by the clock, with the sender and the sockets on the same machine.";

/// A process that accepts WebSockets and nothing else.
pub(crate) struct BareServer {
    pub(crate) side: Side,
    pub(crate) url: String,
}

impl BareServer {
    pub(crate) fn start() -> Self {
        let mut side = Side::own("tokio-tungstenite alone", &["bare-server", ""]);
        let port = side.ask(&json!({}))["port"].as_u64().unwrap();
        Self { side, url: format!("ws://127.0.0.1:{port}/") }
    }
}

/// A server with `@connections`, its sockets, and what its rounds cost.
struct Posted {
    push: Push,
    server: u32,
    sockets: Vec<Socket>,
    connection_ids: Vec<ConnectionId>,
    rounds: Cost,
}

/// Processor time a message, in microseconds, and messages a second.
#[derive(Default)]
struct Cost {
    us: Rounds,
    rate: Rounds,
}

/// Runs the comparison.
pub(crate) async fn run() -> Table {
    let stack = lag::stack();
    let mut own = Posted::new(&stack.websocket_url, &stack.management_url, &stack.dynamodb_url, stack.id()).await;
    let server = Offline::start("serverless.yml").await;
    let mut offline = Posted::new(&server.websocket_url, &server.management_url, &server.engine.url, server.id()).await;
    let mut bare = BareServer::start();
    let mut bare_sockets: Vec<Socket> = Vec::new();
    for _ in 0..SOCKETS {
        bare_sockets.push(connect(&bare.url).await.unwrap());
    }
    let mut bare_rounds = Cost::default();
    for _ in 0..ROUNDS {
        own.round().await;
        offline.round().await;
        let (cpu, begun) = (process::cpu(bare.side.id()), Instant::now());
        let side = &mut bare.side;
        let send = async { tokio::task::block_in_place(|| side.ask(&json!({"messages": MESSAGES, "bytes": BYTES}))) };
        let (sent, ()) = tokio::join!(send, receive(&mut bare_sockets));
        assert_eq!(sent["sent"], SOCKETS * MESSAGES);
        bare_rounds.note(process::cpu(bare.side.id()) - cpu, begun);
    }
    let row = |name: &str, Cost { us, rate }: &Cost| {
        let ratio = Cell::Ratio(us.over(&bare_rounds.us));
        vec![name.into(), Cell::Number(us.median(), 1), ratio, Cell::Number(rate.median(), 0)]
    };
    let rows = vec![
        row("`tokio-tungstenite` alone", &bare_rounds),
        row("the local stack, a POST each", &own.rounds),
        row("serverless-offline, a POST each", &offline.rounds),
    ];
    let columns = vec!["server", "µs a message", "ratio", "messages a second"];
    Table { title: "Broadcast", method: METHOD.to_owned(), columns, rows }
}

impl Cost {
    fn note(&mut self, cpu: Duration, begun: Instant) {
        let messages = (SOCKETS * MESSAGES) as f64;
        self.us.push(cpu.as_secs_f64() * 1e6 / messages);
        self.rate.push(messages / begun.elapsed().as_secs_f64());
    }
}

impl Posted {
    /// A thousand sockets of one order, and the ids of their connections.
    async fn new(websocket_url: &str, management_url: &str, dynamodb_url: &str, server: u32) -> Self {
        let mut sockets = Vec::new();
        for _ in 0..SOCKETS {
            sockets.push(crowd::subscribe(websocket_url, ORDER).await);
        }
        let subscriptions = lag::store(dynamodb_url).subscriptions.of_order(&OrderId::new(ORDER).unwrap()).await;
        let connection_ids =
            subscriptions.unwrap().readable.into_iter().map(|subscription| subscription.connection_id).collect();
        Self { push: push_client(management_url), server, sockets, connection_ids, rounds: Cost::default() }
    }

    async fn round(&mut self) {
        let (cpu, begun) = (process::cpu(self.server), Instant::now());
        let post = async {
            for _ in 0..MESSAGES {
                let deadline = Instant::now() + tests::PATIENCE;
                let frames = ["x".repeat(BYTES)].into();
                let outcomes = self.push.send_all(self.connection_ids.clone(), frames, deadline).await;
                assert!(outcomes.iter().all(|(_, outcome)| *outcome == Outcome::Delivered));
            }
        };
        tokio::join!(post, receive(&mut self.sockets));
        self.rounds.note(process::cpu(self.server) - cpu, begun);
    }
}

async fn receive(sockets: &mut [Socket]) {
    let all = stream::iter(sockets).for_each_concurrent(None, async |socket| {
        for _ in 0..MESSAGES {
            assert_eq!(socket.next().await.unwrap().unwrap().len(), BYTES);
        }
    });
    all.await;
}

/// The bare server: it answers where it listens, and then sends what it is told to.
pub(crate) struct Bare {
    port: u16,
    sockets: std::sync::Arc<Mutex<Vec<WebSocketStream<tokio::net::TcpStream>>>>,
}

impl Bare {
    pub(crate) fn start() -> Self {
        // As much room for who comes at once as the local stack has.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let listener = socket.listen(4_096).unwrap();
        let port = listener.local_addr().unwrap().port();
        let sockets = std::sync::Arc::new(Mutex::new(Vec::new()));
        let opened = std::sync::Arc::clone(&sockets);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let opened = std::sync::Arc::clone(&opened);
                tokio::spawn(async move {
                    stream.set_nodelay(true).unwrap();
                    let config = WebSocketConfig::default().read_buffer_size(4_096).write_buffer_size(0);
                    let socket = accept_async_with_config(stream, Some(config)).await.unwrap();
                    opened.lock().await.push(socket);
                });
            }
        });
        Self { port, sockets }
    }

    pub(crate) async fn round(&self, asked: &Value) -> Value {
        let Some(messages) = asked["messages"].as_u64() else { return json!({"port": self.port}) };
        let text = "x".repeat(asked["bytes"].as_u64().unwrap() as usize);
        let mut sockets = self.sockets.lock().await;
        let mut sent = 0;
        for _ in 0..messages {
            for socket in sockets.iter_mut() {
                socket.send(Message::text(text.clone())).await.unwrap();
                sent += 1;
            }
        }
        json!({"sent": sent})
    }
}
