//! One message to many sockets.
//!
//! Owns: the comparison of posts to the local stack's `@connections` with a server that has the sockets in its hand.
//! Must not know: who waits for the message.
//! Source: `tokio-tungstenite` alone, with small buffers.

use domain::{ConnectionId, OrderId, fan_out::Outcome};
use futures_util::{SinkExt, StreamExt, stream};
use serde_json::{Value, json};
use store::{Store, aws::sdk_config};
use tests::{engine::variables, stack::Stack};
use tokio::{net::TcpListener, sync::Mutex, time::Instant};
use tokio_tungstenite::{
    WebSocketStream, accept_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};

use crate::{
    client::{Socket, connect},
    interleaved::Rounds,
    lag::{self, crowd},
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

const METHOD: &str = "A message of 600 bytes to 1,000 sockets, five times a round. On the local stack each is a signed POST to `@connections` whose signature is verified, \
as any AWS SDK sends it. The bare server holds its sockets and writes. The number is the processor time of the server's process alone, by the number of messages; messages a \
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

/// Runs the comparison.
pub(crate) async fn run() -> Table {
    let stack = lag::stack();
    let mut bare = BareServer::start();
    let (mut sockets, connection_ids) = connections(&stack).await;
    let mut bare_sockets: Vec<Socket> = Vec::new();
    for _ in 0..SOCKETS {
        bare_sockets.push(connect(&bare.url).await.unwrap());
    }
    let push = push_client(&stack.management_url);
    let mut measured: [[Rounds; 2]; 2] = Default::default();
    for _ in 0..ROUNDS {
        let (cpu, begun) = (process::cpu(stack.id()), Instant::now());
        let post = async {
            for _ in 0..MESSAGES {
                let deadline = Instant::now() + tests::PATIENCE;
                let outcomes = push.send_all(connection_ids.clone(), ["x".repeat(BYTES)].into(), deadline).await;
                assert!(outcomes.iter().all(|(_, outcome)| *outcome == Outcome::Delivered));
            }
        };
        tokio::join!(post, receive(&mut sockets));
        note(&mut measured[0], process::cpu(stack.id()) - cpu, begun);

        let (cpu, begun) = (process::cpu(bare.side.id()), Instant::now());
        let side = &mut bare.side;
        let send = async { tokio::task::block_in_place(|| side.ask(&json!({"messages": MESSAGES, "bytes": BYTES}))) };
        let (sent, ()) = tokio::join!(send, receive(&mut bare_sockets));
        assert_eq!(sent["sent"], SOCKETS * MESSAGES);
        note(&mut measured[1], process::cpu(bare.side.id()) - cpu, begun);
    }
    let row = |name: &str, [us, rate]: &[Rounds; 2]| {
        let ratio = Cell::Ratio(us.over(&measured[1][0]));
        vec![name.into(), Cell::Number(us.median(), 1), ratio, Cell::Number(rate.median(), 0)]
    };
    let rows = vec![row("`tokio-tungstenite` alone", &measured[1]), row("the local stack, a POST each", &measured[0])];
    let columns = vec!["server", "µs a message", "ratio", "messages a second"];
    Table { title: "Broadcast", method: METHOD.to_owned(), columns, rows }
}

fn note([us, rate]: &mut [Rounds; 2], cpu: std::time::Duration, begun: Instant) {
    let messages = (SOCKETS * MESSAGES) as f64;
    us.push(cpu.as_secs_f64() * 1e6 / messages);
    rate.push(messages / begun.elapsed().as_secs_f64());
}

/// Sockets on the stack, and the ids of their connections.
async fn connections(stack: &Stack) -> (Vec<Socket>, Vec<ConnectionId>) {
    let mut sockets = Vec::new();
    for _ in 0..SOCKETS {
        sockets.push(crowd::subscribe(&stack.websocket_url, ORDER).await);
    }
    let var = variables(stack.dynamodb_url.clone());
    let store = Store::from_vars(&sdk_config(&var).unwrap(), &var).unwrap();
    let subscriptions = store.subscriptions.of_order(&OrderId::new(ORDER).unwrap()).await.unwrap();
    (sockets, subscriptions.into_iter().map(|subscription| subscription.connection_id).collect())
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
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
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
