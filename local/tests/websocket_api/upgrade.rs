//! The upgrade: who is let in, and what the others are told.

use std::sync::Arc;

use futures_util::FutureExt;
use local::websocket_api::{Integration, IntegrationError, Limits};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::rig::{Invoked, Rig, api, echoing, one_way, upgrade};

/// A `$connect` that replies so.
async fn connecting(reply: impl Fn(&Value) -> Result<Value, IntegrationError> + Send + Sync + 'static) -> Rig {
    let mut api = api();
    api.routes.insert("$connect".into(), one_way(Invoked::default().replying(reply)));
    Rig::start(api).await
}

#[tokio::test]
async fn without_a_connect_route_every_upgrade_succeeds() {
    Rig::start(api()).await.connect().await;
}

#[tokio::test]
async fn a_status_of_200_to_299_lets_in_and_any_other_is_the_handshakes_own() {
    let rig = connecting(|event| {
        let status: u16 = event["queryStringParameters"]["status"].as_str().unwrap().parse().unwrap();
        Ok(json!({"statusCode": status, "body": "dropped"}))
    })
    .await;
    for status in [200, 204, 299] {
        rig.connect_to(&format!("/live?status={status}"), &[]).await.unwrap();
    }
    for status in [302, 400, 401, 403, 500] {
        let refusal = rig.connect_to(&format!("/live?status={status}"), &[]).await.unwrap_err();
        assert_eq!((refusal.status, refusal.body.as_str()), (status, ""));
    }
}

#[tokio::test]
async fn a_connect_that_throws_times_out_or_is_malformed_is_502() {
    let rig = connecting(|event| match event["queryStringParameters"]["how"].as_str().unwrap() {
        "throws" => Err(IntegrationError::Failed("oops".into())),
        "times-out" => Err(IntegrationError::TimedOut),
        _ => Ok(json!("malformed")),
    })
    .await;
    for how in ["throws", "times-out", "malformed"] {
        assert_eq!(rig.connect_to(&format!("/live?how={how}"), &[]).await.unwrap_err().status, 502, "{how}");
    }
}

#[tokio::test]
async fn the_answer_comes_only_after_connect_has_returned() {
    let (asked, may_return) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (asked_too, may_return_too) = (Arc::clone(&asked), Arc::clone(&may_return));
    let connect: Integration = Arc::new(move |_event| {
        let (asked, may_return) = (Arc::clone(&asked_too), Arc::clone(&may_return_too));
        async move {
            asked.notify_one();
            may_return.notified().await;
            Ok(r#"{"statusCode":200}"#.into())
        }
        .boxed()
    });
    let mut api = api();
    api.routes.insert("$connect".into(), one_way(connect));
    let rig = Rig::start(api).await;
    let mut connecting = Box::pin(rig.connect());
    tokio::select! {
        _ = &mut connecting => unreachable!("$connect has not returned"),
        () = asked.notified() => {}
    }
    assert!((&mut connecting).now_or_never().is_none());
    may_return.notify_one();
    connecting.await;
}

#[tokio::test]
async fn only_the_sub_protocol_of_connects_reply_reaches_the_browser() {
    let rig = connecting(|_event| {
        Ok(json!({"statusCode": 200, "headers": {"Sec-WebSocket-Protocol": "foldcast", "X-Mine": "1"}}))
    })
    .await;
    let browser = rig.connect_to("/live", &[("sec-websocket-protocol", "foldcast, other")]).await.unwrap();
    assert_eq!(browser.answer.headers()["sec-websocket-protocol"], "foldcast");
    assert!(browser.answer.headers().get("x-mine").is_none());
}

#[tokio::test]
async fn a_sub_protocol_that_connect_does_not_return_is_not_echoed() {
    let rig = connecting(|_event| Ok(json!({"statusCode": 200}))).await;
    let answer = rig.head(&upgrade("/live", "sec-websocket-protocol: foldcast\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 101") && !answer.contains("sec-websocket-protocol"), "{answer}");
}

#[tokio::test]
async fn no_compression_is_negotiated() {
    let rig = Rig::start(api()).await;
    let answer = rig.head(&upgrade("/live", "sec-websocket-extensions: permessage-deflate\r\n")).await;
    assert!(answer.starts_with("HTTP/1.1 101") && !answer.contains("extensions"), "{answer}");
}

#[tokio::test]
async fn a_plain_get_on_the_stage_is_426_and_what_does_not_exist_is_403() {
    let rig = Rig::start(api()).await;
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert!(rig.head(&get("/live")).await.starts_with("HTTP/1.1 426"));
    for path in ["/other", "/live/other", "/livelier", "/live/@connections", "/ping"] {
        let refusal = rig.connect_to(path, &[]).await.unwrap_err();
        assert_eq!((refusal.status, refusal.error_type.as_str()), (403, "ForbiddenException"), "{path}");
        assert_eq!(refusal.body, r#"{"message":"Forbidden"}"#, "{path}");
    }
}

#[tokio::test]
async fn a_url_of_more_than_4096_characters_is_414_and_headers_of_more_than_10240_bytes_are_431() {
    let rig = Rig::start(api()).await;
    let url = |length: usize| format!("/live?{}", "a".repeat(length - "/live?".len()));
    rig.connect_to(&url(4_096), &[]).await.unwrap();
    assert_eq!(rig.connect_to(&url(4_097), &[]).await.unwrap_err().status, 414);
    rig.connect_to("/live", &[("x-large", &"a".repeat(10_000))]).await.unwrap();
    assert_eq!(rig.connect_to("/live", &[("x-large", &"a".repeat(10_240))]).await.unwrap_err().status, 431);
}

#[tokio::test]
async fn a_connection_is_of_no_use_before_connect_has_returned_and_no_disconnect_follows_a_refusal() {
    let invoked = Invoked::default();
    let mut api = echoing(&invoked);
    api.routes.insert("$connect".into(), one_way(invoked.replying(|_event| Ok(json!({"statusCode": 403})))));
    let rig = Rig::start_with(api, Limits::default()).await;
    rig.connect_to("/live", &[]).await.unwrap_err();
    rig.gateway.stop().await;
    assert_eq!(invoked.events().len(), 1, "$connect and nothing after it");
}
