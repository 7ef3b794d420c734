//! Many browsers, and when what reaches them was published.
//!
//! Owns: subscribing each to one order, in the messages of either server.
//! Must not know: who publishes.
//! Source: the protocol's README; Engine.IO 4 and Socket.IO 5, whose packets begin with a digit each.

use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::{SinkExt, StreamExt, stream};
use tokio::{
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::{Instant, timeout_at},
};
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Socket, connect};

/// Browsers that come at the same time.
const AT_ONCE: usize = 64;

/// Where an event's time stands in an update.
const TS: &str = "\"ts\":";

pub(crate) struct Crowd {
    order_ids: Vec<String>,
    arrivals: UnboundedReceiver<f64>,
    arrived: UnboundedSender<f64>,
}

impl Default for Crowd {
    fn default() -> Self {
        let (arrived, arrivals) = unbounded_channel();
        Self { order_ids: Vec::new(), arrivals, arrived }
    }
}

/// Microseconds since 1970.
pub(crate) fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64
}

impl Crowd {
    /// One browser more, on this order.
    pub(crate) fn wants(&mut self, order_id: &str) {
        self.order_ids.push(order_id.to_owned());
    }

    /// All browsers connect and subscribe.
    pub(crate) async fn come(&mut self, server: &str, is_socket_io: bool) {
        let (arrived, order_ids) = (&self.arrived, std::mem::take(&mut self.order_ids));
        let come = stream::iter(order_ids).map(async |order_id| {
            let socket =
                if is_socket_io { join_socket_io(server, &order_id).await } else { subscribe(server, &order_id).await };
            tokio::spawn(listen(socket, arrived.clone()));
        });
        come.buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    }

    /// How long what arrived was under way, in milliseconds; so many arrivals, or those until `deadline`.
    pub(crate) async fn lags(&mut self, expected: usize, deadline: Instant) -> Vec<f64> {
        let mut lags = Vec::new();
        while lags.len() < expected
            && let Ok(Some(lag)) = timeout_at(deadline, self.arrivals.recv()).await
        {
            lags.push(lag);
        }
        lags
    }
}

/// A browser that has connected and subscribed.
pub(crate) async fn subscribe(url: &str, order_id: &str) -> Socket {
    let mut socket = connect(url).await.unwrap();
    let message = format!(r#"{{"action":"subscribe","orderId":"{order_id}"}}"#);
    socket.send(Message::text(message)).await.unwrap();
    let answer = socket.next().await.unwrap().unwrap();
    assert!(answer.to_text().unwrap().contains(r#""type":"update""#), "{answer}");
    socket
}

async fn join_socket_io(address: &str, order_id: &str) -> Socket {
    let mut socket = connect(&format!("ws://{address}/socket.io/?EIO=4&transport=websocket")).await.unwrap();
    for (said, answered) in
        [("", "0{"), ("40", "40{"), (&format!(r#"42["subscribe","{order_id}"]"#), "42[\"subscribed\"]")]
    {
        if !said.is_empty() {
            socket.send(Message::text(said)).await.unwrap();
        }
        let answer = socket.next().await.unwrap().unwrap();
        assert!(answer.to_text().unwrap().starts_with(answered), "{answer}");
    }
    socket
}

/// Notes what arrives until the connection ends.
async fn listen(mut socket: Socket, arrived: UnboundedSender<f64>) {
    while let Some(Ok(message)) = socket.next().await {
        let now_us = now_us();
        let Ok(text) = message.to_text() else { continue };
        if text == "2" {
            // The other side's ping.
            socket.send(Message::text("3")).await.ok();
            continue;
        }
        for (at, _) in text.match_indices(TS) {
            let digits: String = text[at + TS.len()..].chars().take_while(char::is_ascii_digit).collect();
            let lag_us = now_us - digits.parse::<i64>().unwrap();
            // Nobody waits for more than there is.
            arrived.send(lag_us as f64 / 1e3).ok();
        }
    }
}
