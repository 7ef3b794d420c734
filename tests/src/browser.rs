//! A browser: a WebSocket and nothing else.
//!
//! Owns: sending texts, waiting for messages.
//! Must not know: what the messages should be.
//! Source: any WebSocket client can be one.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest, http::HeaderName, protocol::CloseFrame},
};

use crate::PATIENCE;

/// A connected browser.
pub struct Browser {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Browser {
    /// Connects.
    pub async fn connect(url: &str) -> Self {
        let (socket, _) = timeout(PATIENCE, connect_async(url)).await.expect("the upgrade is answered").unwrap();
        Self { socket }
    }

    /// Connects with more headers; a refusal is its status, or 0 if there is none.
    ///
    /// # Errors
    /// The status that the upgrade was refused with.
    pub async fn try_connect(url: &str, headers: &[(&str, &str)]) -> Result<(Self, Option<String>), u16> {
        let mut request = url.into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        match timeout(PATIENCE, connect_async(request)).await.expect("the upgrade is answered") {
            Ok((socket, answer)) => {
                let sub_protocol = answer.headers().get("sec-websocket-protocol");
                Ok((Self { socket }, sub_protocol.map(|name| name.to_str().unwrap().to_owned())))
            }
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(_) => Err(0),
        }
    }

    /// Connects with a token.
    pub async fn with_token(url: &str, token: &str) -> Self {
        let offered = format!("foldcast, {token}");
        let (browser, sub_protocol) =
            Self::try_connect(url, &[("sec-websocket-protocol", &offered)]).await.expect("the token is accepted");
        assert_eq!(sub_protocol.as_deref(), Some("foldcast"), "the answer names no token");
        browser
    }

    /// Connects and subscribes; the answer is the first message.
    pub async fn subscribed(url: &str, order_id: &str) -> (Self, Value) {
        let mut browser = Self::connect(url).await;
        browser.send(&json!({"action": "subscribe", "orderId": order_id}).to_string()).await;
        let answer = browser.next().await;
        (browser, answer)
    }

    /// Sends a text.
    pub async fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// Sends any frame.
    pub async fn send_frame(&mut self, frame: Message) {
        self.socket.send(frame).await.unwrap();
    }

    /// Sends a text and waits for the next message.
    pub async fn ask(&mut self, text: &str) -> Value {
        self.send(text).await;
        self.next().await
    }

    /// Waits for the next message.
    pub async fn next(&mut self) -> Value {
        let text = self.next_text().await;
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("no JSON: {text}"))
    }

    /// Waits for the next message, put together if it comes in parts, and says in how many frames it came.
    pub async fn next_whole(&mut self) -> (Value, usize) {
        let mut text = String::new();
        for frames in 1.. {
            let frame = self.next().await;
            if frame["type"] != "part" {
                return (frame, 1);
            }
            assert_eq!(frame["part"], frames, "parts come in their order");
            text.push_str(frame["text"].as_str().unwrap());
            if frame["part"] == frame["parts"] {
                return (serde_json::from_str(&text).unwrap(), frames);
            }
        }
        unreachable!("frames end with the test's patience")
    }

    /// Waits for the next message, as it came.
    pub async fn next_text(&mut self) -> String {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("a message comes") {
                Some(Ok(Message::Text(text))) => return text.to_string(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("a message was due, not {other:?}"),
            }
        }
    }

    /// Sends a text again and again, each when the one before is answered, until the connection is closed.
    pub async fn ask_until_closed(&mut self, text: &str) {
        let closed = async {
            loop {
                self.send(text).await;
                match self.socket.next().await {
                    Some(Ok(Message::Close(_))) => break,
                    Some(Ok(_)) => sleep(Duration::from_millis(50)).await,
                    other => panic!("an answer or a close frame was due, not {other:?}"),
                }
            }
        };
        timeout(PATIENCE, closed).await.expect("the connection is closed");
    }

    /// Waits for the close frame.
    pub async fn closed(&mut self) -> CloseFrame {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.expect("the connection is closed") {
                Some(Ok(Message::Close(Some(frame)))) => return frame,
                Some(Ok(_)) => {}
                other => panic!("a close frame was due, not {other:?}"),
            }
        }
    }
}
