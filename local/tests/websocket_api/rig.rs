//! A gateway on a free port, what its functions were invoked with, and clients for it.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};
use local::websocket_api::{
    Api, Authorization, Credentials, Gateway, Integration, IntegrationError, Limits, Route, Throttling,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
    time::timeout,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message, client::IntoClientRequest, http, protocol::CloseFrame},
};

/// Longest wait for what has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const API_ID: &str = "abcdef1234";
pub(crate) const STAGE: &str = "live";

/// Lets time pass for everything at once. Whoever waits for a socket must not do so meanwhile: its patience would end.
pub(crate) async fn pass(duration: Duration) {
    tokio::time::pause();
    tokio::time::advance(duration).await;
    tokio::time::resume();
}

/// The names of an object's fields, sorted.
pub(crate) fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// The function of every route; it can be asked what it was invoked with.
#[derive(Clone, Default)]
pub(crate) struct Invoked(Arc<Mutex<Vec<Value>>>, Arc<Notify>);

impl Invoked {
    /// An integration that keeps its events and answers by them.
    pub(crate) fn replying(
        &self,
        reply: impl Fn(&Value) -> Result<Value, IntegrationError> + Send + Sync + 'static,
    ) -> Integration {
        let invoked = self.clone();
        let reply = Arc::new(reply);
        Arc::new(move |event| {
            let event: Value = serde_json::from_slice(&event).unwrap();
            let reply = reply(&event).map(|reply| Bytes::from(reply.to_string()));
            invoked.0.lock().unwrap().push(event);
            invoked.1.notify_waiters();
            async move { reply }.boxed()
        })
    }

    /// The events so far.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.0.lock().unwrap().clone()
    }

    /// The first event of this type, once it is there.
    pub(crate) async fn event(&self, event_type: &str) -> Value {
        let wanted = async {
            loop {
                let next = self.1.notified();
                let events = self.events();
                let found = events.into_iter().find(|event| event["requestContext"]["eventType"] == event_type);
                match found {
                    Some(event) => return event,
                    None => next.await,
                }
            }
        };
        timeout(PATIENCE, wanted).await.unwrap()
    }
}

/// What every function answers unless a test says otherwise.
pub(crate) fn ok(_event: &Value) -> Result<Value, IntegrationError> {
    Ok(json!({"statusCode": 200}))
}

/// Answers with the event.
pub(crate) fn echo(event: &Value) -> Result<Value, IntegrationError> {
    Ok(json!({"statusCode": 200, "body": event.to_string()}))
}

/// An API without routes.
pub(crate) fn api() -> Api {
    Api {
        api_id: API_ID.into(),
        stage: STAGE.into(),
        region: "us-east-1".into(),
        account_id: "000000000000".into(),
        route_selection_expression: "$request.body.action".into(),
        routes: BTreeMap::new(),
        stage_variables: BTreeMap::new(),
        authorization: Authorization::None,
        throttling: Throttling::default(),
    }
}

pub(crate) fn one_way(integration: Integration) -> Route {
    Route { integration, has_route_response: false, time_out: None }
}

pub(crate) fn two_way(integration: Integration) -> Route {
    Route { integration, has_route_response: true, time_out: None }
}

/// An API whose functions all keep their events, and whose `$default` answers with them.
pub(crate) fn echoing(invoked: &Invoked) -> Api {
    let mut api = api();
    for key in ["$connect", "$disconnect"] {
        api.routes.insert(key.into(), one_way(invoked.replying(ok)));
    }
    api.routes.insert("$default".into(), two_way(invoked.replying(echo)));
    api
}

pub(crate) struct Rig {
    pub(crate) address: SocketAddr,
    pub(crate) gateway: Gateway,
}

impl Rig {
    pub(crate) async fn start(api: Api) -> Self {
        Self::start_with(api, Limits::default()).await
    }

    pub(crate) async fn start_with(api: Api, limits: Limits) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let credentials = Credentials { access_key_id: "key".into(), secret_access_key: "secret".into() };
        Self { address, gateway: Gateway::serve(listener, api, credentials, limits) }
    }

    /// A browser on the stage.
    pub(crate) async fn connect(&self) -> Browser {
        self.connect_to(&format!("/{STAGE}"), &[]).await.unwrap()
    }

    /// A browser at a path with these headers, or the answer that refuses it.
    pub(crate) async fn connect_to(&self, path: &str, headers: &[(&'static str, &str)]) -> Result<Browser, Refusal> {
        let mut request = format!("ws://{}{path}", self.address).into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        match timeout(PATIENCE, connect_async(request)).await.unwrap() {
            Ok((socket, answer)) => Ok(Browser { socket, answer }),
            Err(Error::Http(answer)) => Err(Refusal::of(&answer)),
            Err(error) => unreachable!("the upgrade was not answered: {error}"),
        }
    }

    /// A socket on which anything can be said.
    pub(crate) async fn socket(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    /// A socket that was upgraded, on which frames go as they are.
    pub(crate) async fn upgraded(&self) -> TcpStream {
        let mut socket = self.socket().await;
        socket.write_all(upgrade(&format!("/{STAGE}"), "").as_bytes()).await.unwrap();
        let head = read_head(&mut socket).await;
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        socket
    }

    /// The head of the answer to a request; the connection ends after it.
    pub(crate) async fn head(&self, request: &str) -> String {
        let mut socket = self.socket().await;
        socket.write_all(request.as_bytes()).await.unwrap();
        read_head(&mut socket).await
    }

    /// The whole answer to bytes that are sent as they are; the server ends the connection.
    pub(crate) async fn raw(&self, request: &[u8]) -> String {
        let mut socket = self.socket().await;
        socket.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        timeout(PATIENCE, socket.read_to_end(&mut answer)).await.unwrap().unwrap();
        String::from_utf8(answer).unwrap()
    }
}

/// Reads up to the end of a head and no further.
async fn read_head(socket: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(PATIENCE, socket.read_u8()).await.unwrap().unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// The text of an upgrade at a path; more headers end in CRLF each.
pub(crate) fn upgrade(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    )
}

/// An answer to an upgrade that is none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) error_type: String,
    pub(crate) body: String,
}

impl Refusal {
    fn of(answer: &http::Response<Option<Vec<u8>>>) -> Self {
        let error_type = answer.headers().get("x-amzn-errortype");
        let error_type = error_type.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
        let body = String::from_utf8(answer.body().clone().unwrap_or_default()).unwrap();
        Self { status: answer.status().as_u16(), error_type, body }
    }
}

/// A client with an open socket.
#[derive(Debug)]
pub(crate) struct Browser {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    pub(crate) answer: http::Response<Option<Vec<u8>>>,
}

impl Browser {
    pub(crate) async fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// The next text.
    pub(crate) async fn text(&mut self) -> String {
        loop {
            let message = self.socket_message().await;
            if let Message::Text(text) = message {
                return text.to_string();
            }
            assert!(matches!(message, Message::Ping(_) | Message::Pong(_)), "not a text: {message:?}");
        }
    }

    /// The next text, as JSON.
    pub(crate) async fn json(&mut self) -> Value {
        serde_json::from_str(&self.text().await).unwrap()
    }

    /// What comes back to a text, as JSON.
    pub(crate) async fn ask(&mut self, text: &str) -> Value {
        self.send(text).await;
        self.json().await
    }

    /// What comes back to a ping.
    pub(crate) async fn pong(&mut self) -> Vec<u8> {
        loop {
            if let Message::Pong(payload) = timeout(PATIENCE, self.socket.next()).await.unwrap().unwrap().unwrap() {
                return payload.to_vec();
            }
        }
    }

    /// The next message of any kind.
    pub(crate) async fn socket_message(&mut self) -> Message {
        timeout(PATIENCE, self.socket.next()).await.unwrap().unwrap().unwrap()
    }

    /// The connection's id, by asking an echoing function.
    pub(crate) async fn connection_id(&mut self) -> String {
        let event = self.ask("{}").await;
        event["requestContext"]["connectionId"].as_str().unwrap().to_owned()
    }

    /// The close frame with which the server ends the connection.
    pub(crate) async fn closed(&mut self) -> Option<CloseFrame> {
        loop {
            match timeout(PATIENCE, self.socket.next()).await.unwrap() {
                Some(Ok(Message::Close(frame))) => {
                    // The answer to it leaves with the next read.
                    self.socket.next().await;
                    return frame;
                }
                other => assert!(matches!(other, Some(Ok(_))), "it ended without a close frame: {other:?}"),
            }
        }
    }
}
