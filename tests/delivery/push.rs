//! Pushes to the local stack's `@connections`, which verifies every signature, and to a server that keeps no bounds.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use domain::{ConnectionId, fan_out::Outcome, limits};
use futures_util::stream;
use http_body_util::{BodyExt, StreamBody, combinators::BoxBody};
use hyper::{
    Response,
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use local::{
    Faults,
    websocket_api::{Api, Authorization, Credentials, Gateway, Limits, Throttling},
};
use push::Push;
use serde_json::json;
use store::aws::sdk_config;
use tests::browser::Browser;
use tokio::{net::TcpListener, time::Instant};

/// Of the right shape, and of no connection.
const NOBODY: &str = "L0SM9cOFvHcCIhw=";

/// A gateway with one browser.
struct Rig {
    address: SocketAddr,
    gateway: Gateway,
    browser: Browser,
}

impl Rig {
    async fn start(faults: serde_json::Value) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let api = Api {
            api_id: "abcdef1234".into(),
            stage: "local".into(),
            region: "us-east-1".into(),
            account_id: "000000000000".into(),
            route_selection_expression: "$request.body.action".into(),
            routes: std::collections::BTreeMap::new(),
            stage_variables: std::collections::BTreeMap::new(),
            authorization: Authorization::None,
            throttling: Throttling::default(),
        };
        let credentials = Credentials { access_key_id: "local".into(), secret_access_key: "local".into() };
        let faults = Faults::read(&json!({"faults": faults}).to_string()).unwrap();
        let beside = Arc::new(|_: &http::request::Parts, _| None);
        let gateway = Gateway::serve_beside(listener, api, credentials, Limits::default(), beside, faults);
        let browser = Browser::connect(&format!("ws://{address}/local")).await;
        Self { address, gateway, browser }
    }

    fn connection_id(&self) -> ConnectionId {
        ConnectionId::new(&self.gateway.connections().list().first().unwrap().connection_id)
    }

    /// Whoever has this secret, and perhaps a session's token.
    fn push(&self, secret: &str, session_token: Option<&str>) -> Push {
        push_to(&format!("http://{}/local", self.address), secret, session_token)
    }
}

fn push_to(url: &str, secret: &str, session_token: Option<&str>) -> Push {
    let var = |name: &str| match name {
        "AWS_REGION" => Some("us-east-1".to_owned()),
        "AWS_ACCESS_KEY_ID" => Some("local".to_owned()),
        "AWS_SECRET_ACCESS_KEY" => Some(secret.to_owned()),
        "AWS_SESSION_TOKEN" => session_token.map(str::to_owned),
        "MANAGEMENT_ENDPOINT" | "AWS_ENDPOINT_URL" => Some(url.to_owned()),
        _ => None,
    };
    Push::from_vars(&sdk_config(var).unwrap(), var).unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

async fn send(push: &Push, connection_id: &ConnectionId, text: &str) -> Outcome {
    push.send(connection_id, &[text.to_owned()], soon()).await
}

#[tokio::test]
async fn each_answer_of_api_gateway_has_its_outcome() {
    let mut rig = Rig::start(json!([])).await;
    let (push, connection_id) = (rig.push("local", None), rig.connection_id());
    assert_eq!(send(&push, &connection_id, r#"{"é":1}"#).await, Outcome::Delivered);
    assert_eq!(rig.browser.next_text().await, r#"{"é":1}"#);
    let largest = "a".repeat(limits::MESSAGE_BYTES_MAX);
    assert_eq!(send(&push, &connection_id, &largest).await, Outcome::Delivered);
    assert_eq!(rig.browser.next_text().await, largest);
    assert_eq!(send(&push, &connection_id, &(largest + "a")).await, Outcome::TooLarge);
    assert_eq!(send(&push, &ConnectionId::new(NOBODY), "hi").await, Outcome::Gone);
    for malformed in ["a/b", "..", "é ?#%"] {
        assert_eq!(send(&push, &ConnectionId::new(malformed), "hi").await, Outcome::InvalidId, "{malformed}");
    }
    assert_eq!(send(&rig.push("other", None), &connection_id, "hi").await, Outcome::Refused);
}

#[tokio::test]
async fn the_token_of_lent_credentials_is_sent_and_signed() {
    let mut rig = Rig::start(json!([])).await;
    let push = rig.push("local", Some("FwoGZXIvYXdzEB0aDP+/=="));
    assert_eq!(send(&push, &rig.connection_id(), "hi").await, Outcome::Delivered);
    assert_eq!(rig.browser.next_text().await, "hi");
}

#[tokio::test]
async fn frames_arrive_in_order_and_end_with_the_first_that_is_not_taken() {
    let mut rig = Rig::start(json!([])).await;
    let (push, connection_id) = (rig.push("local", None), rig.connection_id());
    let frames = ["1".to_owned(), "2".to_owned(), "3".repeat(limits::MESSAGE_BYTES_MAX + 1), "4".to_owned()];
    let to_all = vec![connection_id.clone(), ConnectionId::new(NOBODY)];
    let mut outcomes = push.send_all(to_all, frames.into(), soon()).await;
    outcomes.sort_by_key(|(_, outcome)| *outcome == Outcome::Gone);
    let wanted = [(connection_id.clone(), Outcome::TooLarge), (ConnectionId::new(NOBODY), Outcome::Gone)];
    assert_eq!(outcomes, wanted);
    assert_eq!(send(&push, &connection_id, "5").await, Outcome::Delivered);
    for text in ["1", "2", "5"] {
        assert_eq!(rig.browser.next_text().await, text);
    }
}

#[tokio::test]
async fn what_can_pass_is_tried_again_and_not_for_ever() {
    for (fault, outcome) in [("throttle_post", Outcome::Throttled), ("fail_post", Outcome::Failed)] {
        let tries = limits::PUSH_TRIES_MAX;
        let mut rig = Rig::start(json!([{"fault": fault, "times": 2 * tries - 1}])).await;
        let (push, connection_id) = (rig.push("local", None), rig.connection_id());
        assert_eq!(send(&push, &connection_id, "first").await, outcome, "{fault}, {tries} times");
        assert_eq!(send(&push, &connection_id, "second").await, Outcome::Delivered, "{fault}, then taken");
        assert_eq!(rig.browser.next_text().await, "second");
    }
}

#[tokio::test]
async fn a_post_that_hangs_is_given_up_and_tried_again_once() {
    let mut rig = Rig::start(json!([{"fault": "hang_post", "times": limits::PUSH_SILENT_TRIES_MAX + 1}])).await;
    let (push, connection_id) = (rig.push("local", None), rig.connection_id());
    let begun = Instant::now();
    assert_eq!(send(&push, &connection_id, "first").await, Outcome::Failed);
    assert!(begun.elapsed() >= limits::PUSH_TIME_OUT * limits::PUSH_SILENT_TRIES_MAX);
    assert_eq!(send(&push, &connection_id, "second").await, Outcome::Delivered);
    assert_eq!(rig.browser.next_text().await, "second");
}

#[tokio::test]
async fn a_connection_is_closed_and_one_that_is_gone_counts_as_closed() {
    let mut rig = Rig::start(json!([])).await;
    let (push, connection_id) = (rig.push("local", None), rig.connection_id());
    assert!(
        rig.push("other", None).close(&connection_id, soon()).await.is_err(),
        "whoever has another key closes nothing"
    );
    push.close(&connection_id, soon()).await.unwrap();
    assert_eq!(u16::from(rig.browser.closed().await.code), 1000);
    push.close(&connection_id, soon()).await.unwrap();
    assert!(push_to("http://127.0.0.1:9/local", "local", None).close(&connection_id, soon()).await.is_err());
}

/// A server that answers 200 with so many pieces of 8 KB, and counts the connections that it was sent.
async fn serve(pieces: usize) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}/local", listener.local_addr().unwrap());
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::Relaxed);
            let answer = service_fn(move |request: hyper::Request<Incoming>| async move {
                request.into_body().collect().await.ok();
                let piece = || Ok::<_, Infallible>(Frame::data(Bytes::from_static(&[b'a'; 8 * 1024])));
                let body = StreamBody::new(stream::iter((0..pieces).map(move |_| piece())));
                Ok::<_, Infallible>(Response::new(BoxBody::new(body)))
            });
            // Who is answered too much may leave.
            let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            tokio::spawn(async move { served.await.ok() });
        }
    });
    (url, connections)
}

#[tokio::test]
async fn connections_are_kept_and_an_endless_answer_costs_its_own() {
    for (pieces, wanted) in [(0, 1), (1, 1), (usize::MAX, 10)] {
        let (url, connections) = serve(pieces).await;
        let push = push_to(&url, "local", None);
        for _ in 0..10 {
            assert_eq!(send(&push, &ConnectionId::new(NOBODY), "hi").await, Outcome::Delivered);
        }
        assert_eq!(connections.load(Ordering::Relaxed), wanted, "{pieces} pieces");
    }
}

#[tokio::test]
async fn no_more_posts_are_in_flight_than_may_be() {
    let (url, connections) = serve(0).await;
    let push = push_to(&url, "local", None);
    let ids = || (0..1_000).map(|n| ConnectionId::new(n.to_string())).collect();
    let two = (
        push.send_all(ids(), ["hi".to_owned()].into(), soon()),
        push.send_all(ids(), ["hi".to_owned()].into(), soon()),
    );
    let (one, other) = tokio::join!(two.0, two.1);
    assert!(one.iter().chain(&other).all(|(_, outcome)| *outcome == Outcome::Delivered));
    let connections = connections.load(Ordering::Relaxed);
    assert!(connections <= limits::PUSHES_IN_FLIGHT_MAX, "{connections} connections");
}
