//! The events of a connection, as its functions see them.

use futures_util::SinkExt;
use local::websocket_api::Limits;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

use crate::{
    rig::{Invoked, Rig, echoing, keys, upgrade},
    signed::Caller,
};

#[tokio::test]
async fn headers_are_spelled_as_the_browser_spelled_them_and_those_of_one_hop_are_absent() {
    let invoked = Invoked::default();
    let rig = Rig::start(echoing(&invoked)).await;
    rig.head(&upgrade("/live", "X-mixed-CASE: 1\r\nuser-agent: me\r\nx-forwarded-for: 8.8.8.8\r\n")).await;
    let event = invoked.event("CONNECT").await;
    let expected = [
        "X-Amzn-Trace-Id",
        "X-Forwarded-For",
        "X-Forwarded-Port",
        "X-Forwarded-Proto",
        "X-mixed-CASE",
        "host",
        "sec-websocket-key",
        "sec-websocket-version",
        "user-agent",
    ];
    assert_eq!(keys(&event["headers"]), expected);
    assert_eq!(event["headers"]["X-Forwarded-For"], "127.0.0.1", "a browser cannot say where it comes from");
    assert_eq!(event["requestContext"]["identity"], json!({"sourceIp": "127.0.0.1", "userAgent": "me"}));
}

#[tokio::test]
async fn connected_at_is_the_same_in_every_event_and_request_ids_are_new() {
    let invoked = Invoked::default();
    let rig = Rig::start(echoing(&invoked)).await;
    let mut browser = rig.connect().await;
    browser.ask("hi").await;
    browser.socket.close(None).await.unwrap();
    invoked.event("DISCONNECT").await;
    let events = invoked.events();
    let of = |field: &str| -> Vec<String> {
        events.iter().map(|event| event["requestContext"][field].to_string()).collect()
    };
    for same in ["connectedAt", "connectionId", "domainName", "apiId", "stage", "messageDirection"] {
        assert_eq!(of(same).iter().collect::<std::collections::BTreeSet<_>>().len(), 1, "{same}");
    }
    assert_eq!(of("requestId").iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
    assert_eq!(of("requestId"), of("extendedRequestId"));
}

#[tokio::test]
async fn stage_variables_are_in_every_event_if_there_are_some() {
    let invoked = Invoked::default();
    let mut api = echoing(&invoked);
    api.stage_variables.insert("colour".into(), "red".into());
    let rig = Rig::start(api).await;
    let mut browser = rig.connect().await;
    browser.ask("hi").await;
    browser.socket.close(None).await.unwrap();
    for event_type in ["CONNECT", "MESSAGE", "DISCONNECT"] {
        assert_eq!(invoked.event(event_type).await["stageVariables"], json!({"colour": "red"}), "{event_type}");
    }
}

fn cause(event: &Value) -> (u64, String) {
    let context = &event["requestContext"];
    (context["disconnectStatusCode"].as_u64().unwrap(), context["disconnectReason"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_disconnect_names_the_browsers_close_code_and_reason() {
    let frame = |code: u16, reason: &'static str| CloseFrame { code: CloseCode::from(code), reason: reason.into() };
    let cases = [
        (None, (1005, "Client-side close frame status not set")),
        (Some(frame(1001, "")), (1001, "")),
        (Some(frame(4000, "mine")), (4000, "mine")),
    ];
    for (frame, (code, reason)) in cases {
        let invoked = Invoked::default();
        let rig = Rig::start(echoing(&invoked)).await;
        let mut browser = rig.connect().await;
        browser.socket.close(frame).await.unwrap();
        assert_eq!(cause(&invoked.event("DISCONNECT").await), (code, reason.to_owned()));
    }
}

#[tokio::test]
async fn a_deleted_connection_was_closed_normally_and_a_lost_one_abnormally() {
    let invoked = Invoked::default();
    let rig = Rig::start(echoing(&invoked)).await;
    let mut browser = rig.connect().await;
    let connection_id = browser.connection_id().await;
    assert_eq!(Caller::of(&rig).call("DELETE", &connection_id, "").await.status, 204);
    browser.closed().await;
    assert_eq!(cause(&invoked.event("DISCONNECT").await), (1000, "Connection Closed Normally".to_owned()));

    let invoked = Invoked::default();
    let rig = Rig::start(echoing(&invoked)).await;
    drop(rig.upgraded().await);
    assert_eq!(cause(&invoked.event("DISCONNECT").await), (1006, "Connection closed abnormally".to_owned()));
}

#[tokio::test]
async fn a_disconnect_comes_once_and_after_everything_else() {
    let invoked = Invoked::default();
    let rig = Rig::start_with(echoing(&invoked), Limits::default()).await;
    for _ in 0..20 {
        let mut browser = rig.connect().await;
        browser.send("one").await;
        browser.socket.send(Message::Close(None)).await.unwrap();
    }
    let mut half_open = rig.upgraded().await;
    half_open.shutdown().await.unwrap();
    rig.gateway.stop().await;
    let events = invoked.events();
    let count =
        |event_type: &str| events.iter().filter(|event| event["requestContext"]["eventType"] == event_type).count();
    assert_eq!((count("CONNECT"), count("DISCONNECT")), (21, 21));
}
