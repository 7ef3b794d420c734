//! `foldcast tail`: the updates of orders, each event on a line.
//!
//! Owns: the socket, reconnecting, and printing; `protocol::follower` decides what an update means.
//! Must not know: DynamoDB, AWS credentials.
//! Source: "What a client does" in README.md of `protocol`.

mod orders;

use std::{io::Write, time::Duration};

use anyhow::{Context as _, anyhow};
use futures_util::{SinkExt, StreamExt};
use protocol::{
    ErrorCode, Message,
    parts::{Assembled, Assembler},
};
use tokio::{
    net::TcpStream,
    time::{self, Instant},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{
        self, ClientRequestBuilder,
        http::{StatusCode, Uri},
    },
};

use crate::{args, deployment::var, failure::Failure};
use orders::{Orders, Taken};

/// The variable with the token, which other users of the machine do not see, unlike an argument.
const TOKEN_VARIABLE: &str = "FOLDCAST_TOKEN";

/// The sub-protocol beside which a token is offered. An address gets into logs, this does not.
const SUB_PROTOCOL: &str = "foldcast";

/// How often the gateway is asked for a sign of life. API Gateway closes a connection on which nothing was said for 10
/// minutes, and a connection can be dead without a close.
const PING_EVERY: Duration = Duration::from_secs(60);

/// How long any message may take to come after a ping; then the connection is dead.
const PONG_TIME_OUT: Duration = Duration::from_secs(10);

/// How long a subscribe that failed is not said again.
const ASK_AGAIN_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause before a reconnect, and the first; it doubles, with full jitter.
const RECONNECT_PAUSE_MAX: Duration = Duration::from_secs(10);
const RECONNECT_PAUSE_FIRST: Duration = Duration::from_millis(100);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// How a connection ended.
enum End {
    /// All lines that were asked for are printed, or nobody reads them any more.
    Done,
    /// The connection was lost.
    Lost,
}

pub(crate) async fn run(options: args::Tail) -> Result<(), Failure> {
    let args::Tail { order_ids, url, token, since, count } = options;
    let address = Address::new(&url, token.or_else(|| var(TOKEN_VARIABLE)))?;
    let mut orders = Orders::new(order_ids, since);
    let mut printer = Printer { left: count };
    let mut socket = connect(&address).await.with_context(|| format!("cannot connect to {url}; is it running?"))?;
    loop {
        if let End::Done = follow(&mut socket, &mut orders, &mut printer).await {
            return Ok(());
        }
        orders.disconnected();
        eprintln!("foldcast: the connection to {url} was lost; connecting again");
        socket = reconnect(&address).await.map_err(Failure::failed)?;
    }
}

/// Where to connect, and with which token.
struct Address {
    uri: Uri,
    token: Option<String>,
}

impl Address {
    fn new(url: &str, token: Option<String>) -> Result<Self, Failure> {
        let uri = url.parse::<Uri>().ok().filter(|uri| matches!(uri.scheme_str(), Some("ws" | "wss")));
        let uri =
            uri.ok_or_else(|| Failure::usage(anyhow!("--url must be an address that begins with ws:// or wss://")))?;
        if token.as_deref().is_some_and(|token| token.is_empty() || !token.bytes().all(is_token_byte)) {
            return Err(Failure::usage(anyhow!("the token has characters that no token has")));
        }
        Ok(Self { uri, token })
    }
}

/// What a sub-protocol may be made of, and so a token. Source: RFC 9110, 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Why there is no connection, in words without the token.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    /// The gateway does not let this token in, or nobody without one: the same again is refused again.
    #[error("the gateway answered {0}; {1}")]
    Refused(StatusCode, &'static str),
    /// It may be let in later.
    #[error("{0}")]
    Failed(String),
}

async fn connect(address: &Address) -> Result<Socket, ConnectError> {
    let mut request = ClientRequestBuilder::new(address.uri.clone());
    if let Some(token) = &address.token {
        request = request.with_sub_protocol(SUB_PROTOCOL).with_sub_protocol(token);
    }
    match connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(tungstenite::Error::Http(answer)) if matches!(answer.status().as_u16(), 401 | 403) => {
            let advice =
                if address.token.is_some() { "the token is not accepted" } else { "it wants a token: --token" };
            Err(ConnectError::Refused(answer.status(), advice))
        }
        Err(tungstenite::Error::Http(answer)) => {
            Err(ConnectError::Failed(format!("the gateway answered {}", answer.status())))
        }
        Err(tungstenite::Error::Io(error)) => Err(ConnectError::Failed(error.to_string())),
        Err(_) => Err(ConnectError::Failed("the handshake failed".to_owned())),
    }
}

/// Connects as soon as it can be; a refusal is the end, such as that of a token that has expired meanwhile.
async fn reconnect(address: &Address) -> Result<Socket, ConnectError> {
    let mut pause_max = RECONNECT_PAUSE_FIRST;
    loop {
        time::sleep(pause_max.mul_f64(fastrand::f64())).await;
        match connect(address).await {
            Err(ConnectError::Failed(_)) => {}
            ended @ (Ok(_) | Err(ConnectError::Refused(..))) => return ended,
        }
        pause_max = (pause_max * 2).min(RECONNECT_PAUSE_MAX);
    }
}

/// Subscribes and prints until the connection ends.
async fn follow(socket: &mut Socket, orders: &mut Orders, printer: &mut Printer) -> End {
    let mut assembler = Assembler::default();
    let mut due = orders.subscribe_all();
    let mut ping = time::interval_at(Instant::now() + PING_EVERY, PING_EVERY);
    let mut pong_by = None;
    let mut ask_again_at = None;
    loop {
        for text in due.drain(..) {
            if socket.send(tungstenite::Message::text(text)).await.is_err() {
                return End::Lost;
            }
        }
        let received = tokio::select! {
            received = socket.next() => received,
            _ = ping.tick() => {
                due.push(r#"{"action":"ping"}"#.to_owned());
                pong_by = Some(Instant::now() + PONG_TIME_OUT);
                continue;
            }
            () = at(ask_again_at) => {
                due.extend(orders.subscribe_unanswered());
                ask_again_at = None;
                continue;
            }
            () = at(pong_by) => return End::Lost,
        };
        pong_by = None;
        let text = match received {
            Some(Ok(tungstenite::Message::Text(text))) => text,
            Some(Ok(_)) => continue,
            Some(Err(_)) | None => return End::Lost,
        };
        let taken = match assembler.accept(&text) {
            Assembled::Incomplete => continue,
            Assembled::Whole(whole) => take(orders, whole),
            Assembled::Lost(lost) => orders.lost(&lost),
        };
        due.extend(taken.ask);
        if taken.failed {
            ask_again_at = Some(Instant::now() + ASK_AGAIN_PAUSE);
        }
        if printer.print(&taken.lines).is_err() || printer.is_done() {
            return End::Done;
        }
    }
}

/// Ends at an instant, if there is one.
async fn at(instant: Option<Instant>) {
    match instant {
        Some(instant) => time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

/// What a message leads to. An internal error, and API Gateway's own frames, say that a subscribe failed, which is said
/// again; every other error is a line.
fn take(orders: &mut Orders, whole: String) -> Taken {
    let failed = Taken { failed: true, ..Taken::default() };
    match Message::read(&whole) {
        Ok(Message::Update(update)) => orders.accept(&update),
        Ok(Message::Pong | Message::Heads(_)) => Taken::default(),
        Ok(Message::Error(error)) if error.code == ErrorCode::Internal => failed,
        Ok(message @ (Message::History(_) | Message::Unsubscribed(_) | Message::Error(_))) => {
            Taken { lines: vec![message.text()], ..Taken::default() }
        }
        Err(_foreign) => failed,
    }
}

/// Prints lines until there are as many as were asked for.
struct Printer {
    left: Option<u64>,
}

impl Printer {
    fn print(&mut self, lines: &[String]) -> std::io::Result<()> {
        let mut stdout = std::io::stdout().lock();
        for line in lines {
            if self.is_done() {
                break;
            }
            writeln!(stdout, "{line}")?;
            self.left = self.left.map(|left| left - 1);
        }
        stdout.flush()
    }

    fn is_done(&self) -> bool {
        self.left == Some(0)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use domain::OrderId;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_answers_no_ping_is_given_up() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = Address::new(&format!("ws://{}", listener.local_addr().unwrap()), None).unwrap();
        let accepting = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            tokio_tungstenite::accept_async(stream).await.unwrap()
        });
        let mut socket = connect(&address).await.unwrap();
        let silent = accepting.await.unwrap();
        let mut orders = Orders::new(vec![OrderId::new("o").unwrap()], None);
        let mut printer = Printer { left: None };
        let followed = time::timeout(PING_EVERY * 3, follow(&mut socket, &mut orders, &mut printer)).await;
        assert!(matches!(followed, Ok(End::Lost)), "it is lost before the third ping");
        drop(silent);
    }
}
