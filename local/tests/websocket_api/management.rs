//! `@connections`: on the wire, and through the official SDK for Rust. Those for Python and JavaScript are `tests/foreign`'s.

use std::{sync::Arc, time::Duration};

use aws_credential_types::Credentials;
use aws_sdk_apigatewaymanagement::{
    Client, Config,
    config::{BehaviorVersion, Region, retry::RetryConfig},
    primitives::Blob,
};
use futures_util::FutureExt;
use local::websocket_api::{Integration, Limits};
use serde_json::Value;
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Message;

use crate::{
    rig::{Browser, Invoked, Rig, STAGE, api, echoing, keys, one_way},
    signed::Caller,
};

/// Of the right shape, and of no connection.
const NOBODY: &str = "L0SM9cOFvHcCIhw=";

async fn connected(limits: Limits) -> (Rig, Browser, String) {
    let rig = Rig::start_with(echoing(&Invoked::default()), limits).await;
    let mut browser = rig.connect().await;
    let connection_id = browser.connection_id().await;
    (rig, browser, connection_id)
}

fn sdk(rig: &Rig) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("key", "secret", None, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(RetryConfig::disabled())
        .endpoint_url(format!("http://{}/{STAGE}", rig.address));
    Client::from_conf(config.build())
}

#[tokio::test]
async fn post_is_200_get_is_camel_case_and_delete_is_204() {
    let (rig, mut browser, connection_id) = connected(Limits::default()).await;
    let caller = Caller::of(&rig);
    let posted = caller.call("POST", &connection_id, r#"{"n":1}"#).await;
    assert_eq!((posted.status, posted.body.as_str()), (200, ""));
    assert_eq!(browser.text().await, r#"{"n":1}"#);
    let got = caller.call("GET", &connection_id, "").await;
    let shown: Value = serde_json::from_str(&got.body).unwrap();
    assert_eq!((got.status, keys(&shown)), (200, vec!["connectedAt", "identity", "lastActiveAt"]));
    assert_eq!(shown["identity"], serde_json::json!({"sourceIp": "127.0.0.1"}), "no userAgent where none was sent");
    let time = shown["connectedAt"].as_str().unwrap();
    assert!(time.len() == "2026-01-01T00:00:00.000Z".len() && time.ends_with('Z'), "{time}");
    let deleted = caller.call("DELETE", &connection_id, "").await;
    assert_eq!((deleted.status, deleted.body.as_str()), (204, ""));
    assert_eq!(u16::from(browser.closed().await.unwrap().code), 1000);
}

#[tokio::test]
async fn the_at_sign_and_the_pad_may_be_encoded_or_not() {
    let (rig, mut browser, connection_id) = connected(Limits::default()).await;
    for at in ["@", "%40"] {
        for pad in ["=", "%3D", "%3d"] {
            let path = format!("/{STAGE}/{at}connections/{}", connection_id.replace('=', pad));
            assert_eq!(Caller::of(&rig).send("POST", &path, path.as_bytes()).await.status, 200, "{path}");
            assert_eq!(browser.text().await, path);
        }
    }
}

#[tokio::test]
async fn a_connection_that_is_closed_or_never_was_is_410_without_a_body() {
    let (rig, mut browser, connection_id) = connected(Limits::default()).await;
    let caller = Caller::of(&rig);
    assert_eq!(caller.call("DELETE", &connection_id, "").await.status, 204);
    for id in [connection_id.as_str(), NOBODY] {
        for method in ["POST", "GET", "DELETE"] {
            let gone = caller.call(method, id, "").await;
            assert_eq!((gone.status, gone.error_type.as_str(), gone.body.as_str()), (410, "GoneException", ""));
        }
    }
    browser.closed().await;
}

#[tokio::test]
async fn a_connection_is_410_until_its_connect_has_returned() {
    let (asked, may_return) = (Arc::new(std::sync::Mutex::new(None)), Arc::new(Notify::new()));
    let (asked_too, may_return_too) = (Arc::clone(&asked), Arc::clone(&may_return));
    let connect: Integration = Arc::new(move |event| {
        let event: Value = serde_json::from_slice(&event).unwrap();
        *asked_too.lock().unwrap() = event["requestContext"]["connectionId"].as_str().map(str::to_owned);
        let may_return = Arc::clone(&may_return_too);
        async move {
            may_return.notified().await;
            Ok(r#"{"statusCode":200}"#.into())
        }
        .boxed()
    });
    let mut api = api();
    api.routes.insert("$connect".into(), one_way(connect));
    let rig = Rig::start(api).await;
    let caller = Caller::of(&rig);
    let posting = async {
        let connection_id = loop {
            let connection_id = asked.lock().unwrap().clone();
            match connection_id {
                Some(connection_id) => break connection_id,
                None => tokio::task::yield_now().await,
            }
        };
        assert_eq!(caller.call("POST", &connection_id, "early").await.status, 410);
        may_return.notify_one();
        connection_id
    };
    let (connection_id, mut browser) = tokio::join!(posting, rig.connect());
    assert_eq!(caller.call("POST", &connection_id, "late").await.status, 200);
    assert_eq!(browser.text().await, "late");
}

#[tokio::test]
async fn a_malformed_id_is_400_and_another_stage_or_path_403() {
    let (rig, _browser, connection_id) = connected(Limits::default()).await;
    let caller = Caller::of(&rig);
    for id in ["does-not-exist", "L0SM9cOFvHcCIhw", "..%2F.."] {
        let refused = caller.call("POST", id, "").await;
        assert_eq!((refused.status, refused.error_type.as_str()), (400, "BadRequestException"), "{id}");
        assert_eq!(refused.body, r#"{"message":"Invalid connectionId"}"#);
    }
    let id = connection_id.replace('=', "%3D");
    for path in [format!("/other/@connections/{id}"), format!("/{STAGE}/connections/{id}"), "/".to_owned()] {
        let refused = caller.send("POST", &path, b"").await;
        assert_eq!((refused.status, refused.error_type.as_str()), (403, "ForbiddenException"), "{path}");
    }
}

#[tokio::test]
async fn a_body_of_more_than_128_kb_is_413_and_one_of_128_kb_is_pushed() {
    let (rig, mut browser, connection_id) = connected(Limits::default()).await;
    let caller = Caller::of(&rig);
    let whole = "a".repeat(131_072);
    assert_eq!(caller.call("POST", &connection_id, &whole).await.status, 200);
    assert_eq!(browser.text().await, whole);
    let refused = caller.call("POST", &connection_id, &(whole + "a")).await;
    assert_eq!((refused.status, refused.error_type.as_str()), (413, "PayloadTooLargeException"));
}

#[tokio::test]
async fn how_a_large_push_is_framed_is_a_setting() {
    let limits = Limits { push_frame_bytes_max: 32 * 1024, ..Limits::default() };
    let (rig, mut browser, connection_id) = connected(limits).await;
    let whole = "é".repeat(65_536);
    assert_eq!(Caller::of(&rig).call("POST", &connection_id, &whole).await.status, 200);
    assert_eq!(browser.text().await, whole, "a client puts the frames together");
}

#[tokio::test]
async fn a_push_is_text_whatever_was_posted() {
    let (rig, mut browser, connection_id) = connected(Limits::default()).await;
    let path = format!("/{STAGE}/@connections/{}", connection_id.replace('=', "%3D"));
    assert_eq!(Caller::of(&rig).send("POST", &path, b"a\xffb").await.status, 200);
    assert_eq!(browser.text().await, "a\u{fffd}b");
    assert_eq!(Caller::of(&rig).send("POST", &path, b"").await.status, 200);
    assert_eq!(Caller::of(&rig).send("POST", &path, b"next").await.status, 200);
    assert_eq!(browser.text().await, "next", "an empty body sends nothing");
}

#[tokio::test]
async fn an_unsigned_call_and_a_wrong_key_are_403_unless_signatures_are_switched_off() {
    let (rig, _browser, connection_id) = connected(Limits::default()).await;
    let path = format!("/{STAGE}/@connections/{}", connection_id.replace('=', "%3D"));
    let caller = Caller::of(&rig);
    let unsigned = caller.send_with("POST", &path, "", b"hi").await;
    assert_eq!((unsigned.status, unsigned.error_type.as_str()), (403, "MissingAuthenticationTokenException"));
    assert_eq!(unsigned.body, r#"{"message":"Missing Authentication Token"}"#);
    let forged = Caller { secret_access_key: "other", ..Caller::of(&rig) }.call("POST", &connection_id, "hi").await;
    assert_eq!((forged.status, forged.error_type.as_str()), (403, "InvalidSignatureException"));
    let unknown = Caller { access_key_id: "other", ..Caller::of(&rig) }.call("POST", &connection_id, "hi").await;
    assert_eq!((unknown.status, unknown.error_type.as_str()), (403, "UnrecognizedClientException"));

    let limits = Limits { verify_signatures: false, ..Limits::default() };
    let (rig, mut browser, connection_id) = connected(limits).await;
    let path = format!("/{STAGE}/@connections/{connection_id}");
    assert_eq!(Caller::of(&rig).send_with("POST", &path, "", b"hi").await.status, 200);
    assert_eq!(browser.text().await, "hi");
}

#[tokio::test]
async fn a_slow_readers_buffer_is_bounded_and_a_post_to_it_429() {
    let limits = Limits { outbound_messages_max: 4, post_time_out: Duration::from_millis(500), ..Limits::default() };
    let invoked = Invoked::default();
    let rig = Rig::start_with(echoing(&invoked), limits).await;
    let _reads_nothing = rig.upgraded().await;
    let event = invoked.event("CONNECT").await;
    let connection_id = event["requestContext"]["connectionId"].as_str().unwrap().to_owned();
    let (caller, large) = (Caller::of(&rig), "a".repeat(128 * 1024));
    let mut taken = 0;
    let throttled = loop {
        let answer = caller.call("POST", &connection_id, &large).await;
        if answer.status != 200 {
            break answer;
        }
        taken += 1;
    };
    assert_eq!((throttled.status, throttled.error_type.as_str()), (429, "LimitExceededException"), "after {taken}");
    let (mut other, posts) = (rig.connect().await, 10);
    let other_id = other.connection_id().await;
    for n in 0..posts {
        assert_eq!(caller.call("POST", &other_id, &n.to_string()).await.status, 200);
        assert_eq!(other.text().await, n.to_string(), "nobody else is disturbed");
    }
}

#[tokio::test]
async fn one_post_after_the_other_keeps_their_order() {
    let (rig, mut browser, connection_id) = connected(Limits::default()).await;
    let caller = Caller::of(&rig);
    for n in 0..50 {
        assert_eq!(caller.call("POST", &connection_id, &n.to_string()).await.status, 200);
    }
    for n in 0..50 {
        assert_eq!(browser.text().await, n.to_string());
    }
}

#[tokio::test]
async fn the_official_sdk_for_rust_works_and_has_its_typed_errors() {
    let limits = Limits { requests_per_second_max: 1, requests_burst_max: 7, ..Limits::default() };
    let (rig, mut browser, connection_id) = connected(limits).await;
    let client = sdk(&rig);
    let post = |id: &str, data: &[u8]| client.post_to_connection().connection_id(id).data(Blob::new(data)).send();
    post(&connection_id, b"hi").await.unwrap();
    assert_eq!(browser.text().await, "hi");
    let shown = client.get_connection().connection_id(&connection_id).send().await.unwrap();
    assert_eq!(shown.identity().unwrap().source_ip(), Some("127.0.0.1"));
    assert!(shown.connected_at().unwrap() <= shown.last_active_at().unwrap());
    assert!(post(NOBODY, b"hi").await.unwrap_err().into_service_error().is_gone_exception());
    let too_large = post(&connection_id, &[b'a'; 131_073]).await.unwrap_err().into_service_error();
    assert!(too_large.is_payload_too_large_exception(), "{too_large:?}");
    client.delete_connection().connection_id(&connection_id).send().await.unwrap();
    assert!(matches!(browser.socket_message().await, Message::Close(_)));
    let gone = client.get_connection().connection_id(&connection_id).send().await.unwrap_err().into_service_error();
    assert!(gone.is_gone_exception());
    let gone = client.delete_connection().connection_id(&connection_id).send().await.unwrap_err().into_service_error();
    assert!(gone.is_gone_exception());
    let throttled = post(NOBODY, b"hi").await.unwrap_err().into_service_error();
    assert!(throttled.is_limit_exceeded_exception(), "{throttled:?}");
}
