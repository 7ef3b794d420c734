//! Throttling: of the account, the stage, and single routes.

use std::time::Duration;

use local::websocket_api::{Api, Limits, Rate};
use serde_json::Value;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::{
    rig::{Browser, Invoked, Rig, echoing, pass},
    signed::Caller,
};

fn api_with(key: &str, per_second: f64, burst: f64) -> Api {
    let mut api = echoing(&Invoked::default());
    api.throttling.routes.insert(key.into(), Rate { per_second, burst });
    api
}

async fn said(browser: &mut Browser) -> Value {
    browser.ask("{}").await["message"].clone()
}

#[tokio::test]
async fn more_connections_than_the_account_or_connects_route_takes_are_429() {
    let limits = Limits { connections_per_second_max: 1, connections_burst_max: 2, ..Limits::default() };
    let of_account = Rig::start_with(echoing(&Invoked::default()), limits).await;
    let of_route = Rig::start(api_with("$connect", 1.0, 2.0)).await;
    for rig in [of_account, of_route] {
        let _open = [rig.connect().await, rig.connect().await];
        let refusal = rig.connect_to("/live", &[]).await.unwrap_err();
        assert_eq!((refusal.status, refusal.error_type.as_str()), (429, "TooManyRequestsException"));
        assert_eq!(refusal.body, r#"{"message":"Too Many Requests"}"#);
        pass(Duration::from_secs(1)).await;
        rig.connect().await;
    }
}

#[tokio::test]
async fn a_throttled_message_is_an_error_frame_and_other_routes_go_on() {
    let rig = Rig::start(api_with("$default", 1.0, 2.0)).await;
    let mut browser = rig.connect().await;
    assert_eq!([said(&mut browser).await, said(&mut browser).await], [Value::Null, Value::Null]);
    let frame = browser.ask("{}").await;
    assert_eq!(frame["message"], "Too Many Requests");
    assert!(frame["connectionId"].is_string() && frame["requestId"].is_string());
    pass(Duration::from_secs(1)).await;
    assert_eq!(said(&mut browser).await, Value::Null, "a second later there is room for one");
}

#[tokio::test]
async fn who_sends_on_and_on_though_throttled_is_closed_with_1008_and_nobody_else() {
    let limits = Limits { throttled_in_a_row_max: 3, ..Limits::default() };
    let rig = Rig::start_with(api_with("$default", 0.0, 1.0), limits).await;
    let (mut loud, mut other) = (rig.connect().await, rig.connect().await);
    for _ in 0..5 {
        loud.send("{}").await;
    }
    assert_eq!(loud.closed().await.unwrap().code, CloseCode::Policy);
    assert_eq!(said(&mut other).await, "Too Many Requests");
}

#[tokio::test]
async fn messages_and_calls_of_connections_draw_on_one_bucket_of_the_account() {
    let limits = Limits { requests_per_second_max: 1, requests_burst_max: 2, ..Limits::default() };
    let rig = Rig::start_with(echoing(&Invoked::default()), limits).await;
    let mut browser = rig.connect().await;
    let (caller, connection_id) = (Caller::of(&rig), browser.connection_id().await);
    assert_eq!(caller.call("POST", &connection_id, "hi").await.status, 200);
    let throttled = caller.call("POST", &connection_id, "hi").await;
    assert_eq!((throttled.status, throttled.error_type.as_str()), (429, "LimitExceededException"));
    assert_eq!(throttled.body, "");
    assert_eq!(browser.text().await, "hi");
    assert_eq!(said(&mut browser).await, "Too Many Requests");
    pass(Duration::from_secs(1)).await;
    assert_eq!(caller.call("POST", &connection_id, "again").await.status, 200);
}
