//! What a browser tries to do to the gateway, and to others.

use http::StatusCode;
use http_body_util::{BodyExt, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::{Value, json};
use tests::{
    browser::Browser,
    stack::{Data, Stack},
};
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame,
        coding::{Data as DataCode, OpCode},
    },
};

use super::{append, guarded, token};

#[tokio::test]
async fn a_page_of_another_origin_does_not_connect() {
    let stack = Stack::start_with_variables(&[], &[("ALLOWED_ORIGINS", "https://shop.example")]);
    let connect = async |headers: &[(&str, &str)]| {
        Browser::try_connect(&stack.websocket_url, headers).await.map_or_else(|status| status, |_| 101)
    };
    assert_eq!(connect(&[("origin", "https://shop.example")]).await, 101);
    assert_eq!(connect(&[]).await, 101, "what is no page has no origin");
    for origin in ["https://evil.example", "http://shop.example", "https://shop.example.evil.example", "null", ""] {
        assert_eq!(connect(&[("origin", origin)]).await, 403, "{origin}");
    }
    let here = Stack::start(Data::Ephemeral);
    let connect = async |origin: &str| {
        Browser::try_connect(&here.websocket_url, &[("origin", origin)]).await.map_or_else(|status| status, |_| 101)
    };
    assert_eq!(connect("http://localhost:5173").await, 101, "pages of this machine, without a word");
    assert_eq!(connect("https://evil.example").await, 403);
}

#[tokio::test]
async fn a_connection_has_a_hundred_subscriptions_and_a_flood_of_more_harms_nobody() {
    let stack = guarded();
    append(&stack, "mine", 1, &json!({"userId": "user_123"}));
    let mut other = Browser::with_token(&stack.websocket_url, &token("user_123", "")).await;
    assert_eq!(other.ask(r#"{"action":"subscribe","orderId":"mine"}"#).await["version"], 1);

    let mut flooding = Browser::with_token(&stack.websocket_url, &token("flooding", "")).await;
    let orders = |from: u32| -> Value { (from..from + 100).map(|n| json!({"orderId": format!("o{n}")})).collect() };
    for from in (0..1_000).step_by(100) {
        flooding.send(&json!({"action": "subscribe", "orders": orders(from)}).to_string()).await;
    }
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..1_000 {
        let answer = flooding.next().await;
        let kind = answer["code"].as_str().unwrap_or_else(|| answer["type"].as_str().unwrap()).to_owned();
        *counts.entry(kind).or_insert(0) += 1;
    }
    println!("1,000 subscribes over one connection: {counts:?}");
    assert_eq!(counts, [("too_many_subscriptions".to_owned(), 900), ("update".to_owned(), 100)].into());
    let known = stack.dynamodb("Scan", &json!({"TableName": "subscriptions"})).await;
    assert_eq!(known["Count"], 101, "100 of the one, and the other's");
    append(&stack, "mine", 2, &json!({"n": 2}));
    assert_eq!(other.next().await["version"], 2);
}

#[tokio::test]
async fn json_of_100_000_levels_is_a_bad_request() {
    let stack = Stack::start(Data::Ephemeral);
    let mut browser = Browser::connect(&stack.websocket_url).await;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let levels = if open == "[" { 50_000 } else { 20_000 };
        let text = format!(r#"{{"action":"subscribe","orderId":{}1{}}}"#, open.repeat(levels), close.repeat(levels));
        // A message of 128 KB travels in frames of 32 KB.
        let parts: Vec<&[u8]> = text.as_bytes().chunks(30_000).collect();
        for (index, part) in parts.iter().enumerate() {
            let opcode = OpCode::Data(if index == 0 { DataCode::Text } else { DataCode::Continue });
            let frame = Frame::message(part.to_vec(), opcode, index + 1 == parts.len());
            browser.send_frame(Message::Frame(frame)).await;
        }
        // API Gateway itself may find no action in it; either way it is one error, and the connection lives on.
        let answer = browser.next().await;
        assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!("bad_request")));
    }
    let unclosed = "[".repeat(100_000);
    for (index, part) in unclosed.as_bytes().chunks(25_000).enumerate() {
        let opcode = OpCode::Data(if index == 0 { DataCode::Text } else { DataCode::Continue });
        browser.send_frame(Message::Frame(Frame::message(part.to_vec(), opcode, index == 3))).await;
    }
    assert_eq!(browser.next().await["message"], "the message is nested too deeply");
    assert_eq!(browser.ask(r#"{"action":"ping"}"#).await, json!({"type": "pong"}));
}

#[tokio::test]
async fn who_knows_a_connections_id_cannot_send_to_it_without_a_signature() {
    let stack = guarded();
    let mut victim = Browser::with_token(&stack.websocket_url, &token("victim", "")).await;
    assert_eq!(victim.ask(r#"{"action":"ping"}"#).await, json!({"type": "pong"}));
    let known = stack.dynamodb("Scan", &json!({"TableName": "connections"})).await;
    let connection_id = known["Items"][0]["connectionId"]["S"].as_str().unwrap();
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<bytes::Bytes>>();
    let address = format!("{}/@connections/{}", stack.management_url, connection_id.replace('=', "%3D"));
    let forged = "AWS4-HMAC-SHA256 Credential=local/20200101/us-east-1/execute-api/aws4_request, SignedHeaders=host, Signature=00";
    for method in ["POST", "GET", "DELETE"] {
        for authorization in [None, Some(forged)] {
            let mut request = http::Request::builder().method(method).uri(&address);
            if let Some(authorization) = authorization {
                request = request.header("authorization", authorization);
            }
            let answer = client.request(request.body(Full::from("{}")).unwrap()).await.unwrap();
            assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{method} {authorization:?}");
            assert!(!answer.into_body().collect().await.unwrap().to_bytes().is_empty());
        }
    }
    assert_eq!(victim.ask(r#"{"action":"ping"}"#).await, json!({"type": "pong"}), "nothing came between");
}

#[tokio::test]
async fn headers_and_queries_of_a_browser_do_not_become_what_the_authorizer_says() {
    let stack = guarded();
    append(&stack, "o", 1, &json!({"userId": "owner"}));
    let offered = format!("foldcast, {}", token("attacker", ""));
    let injected = [
        ("sec-websocket-protocol", offered.as_str()),
        ("principalid", "owner"),
        ("x-amzn-requestcontext", r#"{"authorizer":{"principalId":"owner","scope":"orders:read:all"}}"#),
        ("authorizer", r#"{"principalId":"owner"}"#),
    ];
    let url = format!(
        "{}?principalId=owner&scope=orders:read:all&requestContext.authorizer.principalId=owner",
        stack.websocket_url
    );
    let (mut browser, _) = Browser::try_connect(&url, &injected).await.unwrap();
    for text in [
        r#"{"action":"subscribe","orderId":"o"}"#,
        r#"{"action":"subscribe","orderId":"o","principalId":"owner","scope":"orders:read:all"}"#,
        r#"{"action":"subscribe","orderId":"o","requestContext":{"authorizer":{"principalId":"owner"}}}"#,
    ] {
        assert_eq!(browser.ask(text).await["version"], 0, "{text}");
    }
    // The raw bytes of a header cannot end it and begin another one.
    let smuggled = format!("{}?token=x%0d%0aAuthorizer:%20owner", stack.websocket_url);
    assert_eq!(Browser::try_connect(&smuggled, &[]).await.err(), Some(403));
}
