//! When and how the gateway closes a connection.

use std::{sync::Arc, time::Duration};

use futures_util::{FutureExt, SinkExt};
use local::websocket_api::{Integration, Limits};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::{Bytes, Message, Utf8Bytes, protocol::frame::coding::CloseCode};

use crate::{
    rig::{Browser, Invoked, Rig, api, echoing, pass, two_way},
    signed::Caller,
};

const MINUTE: Duration = Duration::from_secs(60);

async fn start() -> (Rig, Browser, Invoked) {
    let invoked = Invoked::default();
    let rig = Rig::start(echoing(&invoked)).await;
    let browser = rig.connect().await;
    (rig, browser, invoked)
}

async fn code(browser: &mut Browser) -> CloseCode {
    browser.closed().await.unwrap().code
}

#[tokio::test]
async fn a_binary_frame_is_1003() {
    let (_rig, mut browser, invoked) = start().await;
    browser.socket.send(Message::Binary(Bytes::from_static(b"{}"))).await.unwrap();
    assert_eq!(code(&mut browser).await, CloseCode::Unsupported);
    let event = invoked.event("DISCONNECT").await;
    assert_eq!(event["requestContext"]["disconnectStatusCode"], 1003);
}

#[tokio::test]
async fn a_frame_of_more_than_32_kb_is_1009_and_one_of_32_kb_is_served() {
    let (_rig, mut browser, invoked) = start().await;
    browser.send(&"a".repeat(32 * 1024)).await;
    browser.text().await;
    browser.send(&"a".repeat(32 * 1024 + 1)).await;
    assert_eq!(code(&mut browser).await, CloseCode::Size);
    assert_eq!(invoked.event("DISCONNECT").await["requestContext"]["disconnectStatusCode"], 1009);
}

/// A message in masked frames of so many bytes each.
fn fragmented(message_bytes: usize, frame_bytes: usize) -> Vec<u8> {
    let mut sent = Vec::new();
    for begin in (0..message_bytes).step_by(frame_bytes) {
        let length = frame_bytes.min(message_bytes - begin);
        let is_last = begin + length == message_bytes;
        sent.push(if is_last { 0x80 } else { 0 } | if begin == 0 { 1 } else { 0 });
        sent.extend([0x80 | 126, u8::try_from(length >> 8).unwrap(), u8::try_from(length & 0xff).unwrap()]);
        sent.extend([0; 4]);
        sent.resize(sent.len() + length, b'a');
    }
    sent
}

#[tokio::test]
async fn a_message_of_more_than_128_kb_is_1009_and_one_of_128_kb_in_frames_of_32_kb_is_served() {
    let invoked = Invoked::default();
    let rig = Rig::start(echoing(&invoked)).await;
    let mut socket = rig.upgraded().await;
    socket.write_all(&fragmented(128 * 1024, 32 * 1024)).await.unwrap();
    let event = invoked.event("MESSAGE").await;
    assert_eq!(event["body"].as_str().unwrap().len(), 128 * 1024);
    socket.write_all(&fragmented(128 * 1024 + 1, 32 * 1024)).await.unwrap();
    assert_eq!(invoked.event("DISCONNECT").await["requestContext"]["disconnectStatusCode"], 1009);
}

#[tokio::test]
async fn a_connection_that_was_idle_for_10_minutes_is_1001() {
    let (rig, mut browser, invoked) = start().await;
    let connection_id = browser.connection_id().await;
    pass(9 * MINUTE).await;
    browser.ask("{}").await;
    pass(9 * MINUTE).await;
    assert_eq!(Caller::of(&rig).call("POST", &connection_id, "hi").await.status, 200, "a push is activity too");
    assert_eq!(browser.text().await, "hi");
    pass(9 * MINUTE).await;
    browser.ask("{}").await;
    pass(10 * MINUTE).await;
    let frame = browser.closed().await.unwrap();
    assert_eq!((frame.code, frame.reason.as_str()), (CloseCode::Away, "Going away"));
    let context = invoked.event("DISCONNECT").await["requestContext"].clone();
    assert_eq!((&context["disconnectStatusCode"], &context["disconnectReason"]), (&1001.into(), &"Going away".into()));
}

#[tokio::test]
async fn what_counts_as_activity_is_a_setting() {
    let ping_counts = Limits { ping_is_activity: true, ..Limits::default() };
    let push_does_not = Limits { push_is_activity: false, ..Limits::default() };
    for (limits, stays) in [(Limits::default(), false), (ping_counts, true), (push_does_not, false)] {
        let pings = stays || limits.push_is_activity;
        let rig = Rig::start_with(echoing(&Invoked::default()), limits).await;
        let mut browser = rig.connect().await;
        let connection_id = browser.connection_id().await;
        pass(6 * MINUTE).await;
        if pings {
            browser.socket.send(Message::Ping(Bytes::new())).await.unwrap();
            browser.pong().await;
        } else {
            assert_eq!(Caller::of(&rig).call("POST", &connection_id, "hi").await.status, 200);
            browser.text().await;
        }
        pass(6 * MINUTE).await;
        if stays {
            browser.ask("{}").await;
        } else {
            assert_eq!(code(&mut browser).await, CloseCode::Away);
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_2_hours_old_is_1001_however_busy() {
    let (_rig, mut browser, _) = start().await;
    for _ in 0..14 {
        pass(8 * MINUTE).await;
        browser.ask("{}").await;
    }
    pass(8 * MINUTE).await;
    assert_eq!(code(&mut browser).await, CloseCode::Away);
}

#[tokio::test]
async fn an_internal_error_is_1011() {
    let broken: Integration = Arc::new(|_event| async { unreachable!("it is broken") }.boxed());
    let mut api = api();
    api.routes.insert("$default".into(), two_way(broken));
    let rig = Rig::start(api).await;
    let mut browser = rig.connect().await;
    browser.send("{}").await;
    assert_eq!(code(&mut browser).await, CloseCode::Error);
}

#[tokio::test]
async fn a_service_restart_is_1012() {
    let (rig, mut browser, invoked) = start().await;
    let stopping = tokio::spawn(rig.gateway.stop());
    assert_eq!(code(&mut browser).await, CloseCode::Restart);
    stopping.await.unwrap();
    assert_eq!(invoked.event("DISCONNECT").await["requestContext"]["disconnectStatusCode"], 1012);
}

#[tokio::test]
async fn a_ping_is_answered_by_the_gateway_and_reaches_no_function() {
    let (_rig, mut browser, invoked) = start().await;
    browser.socket.send(Message::Ping(Bytes::from_static(b"x"))).await.unwrap();
    assert_eq!(browser.pong().await, Utf8Bytes::from_static("x").as_bytes());
    assert_eq!(invoked.events().len(), 1, "$connect alone");
}
