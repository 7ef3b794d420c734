//! A gateway that fuzz targets speak to over real sockets.
//!
//! Owns: one gateway a process, and one connection an input.
//! Must not know: what is said.
//! Source: local/tests/websocket_api.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt;
use local::websocket_api::{Api, Authorization, Credentials, Gateway, Integration, Limits, Route, Throttling};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpSocket},
    runtime::{Builder, Runtime},
    time::timeout,
};

/// Longest time that a connection may last once its client has said everything.
const END_MAX: Duration = Duration::from_secs(5);

static GATEWAY: LazyLock<(Runtime, SocketAddr)> = LazyLock::new(|| {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let address = runtime.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let limits = Limits {
            connections_per_second_max: u32::MAX,
            connections_burst_max: u32::MAX,
            requests_per_second_max: u32::MAX,
            requests_burst_max: u32::MAX,
            close_time_out: Duration::from_millis(50),
            verify_signatures: true,
            ..Limits::default()
        };
        let credentials = Credentials { access_key_id: "local".into(), secret_access_key: "local".into() };
        // It runs as long as the process.
        std::mem::forget(Gateway::serve(listener, api(), credentials, limits));
        address
    });
    (runtime, address)
});

fn api() -> Api {
    let echo: Integration = Arc::new(|event| {
        async move {
            let event: serde_json::Value = serde_json::from_slice(&event).unwrap();
            Ok(serde_json::json!({"statusCode": 200, "body": event.get("body")}).to_string().into())
        }
        .boxed()
    });
    let route = Route { integration: echo, has_route_response: true, time_out: None };
    Api {
        api_id: "abcdef1234".into(),
        stage: "dev".into(),
        region: "us-east-1".into(),
        account_id: "000000000000".into(),
        route_selection_expression: "${request.body.a.b}-$request.body.c".into(),
        routes: BTreeMap::from(["$connect", "$disconnect", "$default", "x-"].map(|key| (key.to_owned(), route.clone()))),
        stage_variables: BTreeMap::new(),
        authorization: Authorization::None,
        throttling: Throttling::default(),
    }
}

/// Says this on a connection and waits for its end, which has to come.
pub fn say(parts: &[&[u8]]) {
    static CLIENTS: AtomicU32 = AtomicU32::new(0);
    let (runtime, address) = &*GATEWAY;
    // Each client comes from an address of its own: one would run out of ports.
    let [_, a, b, c] = (CLIENTS.fetch_add(1, Ordering::Relaxed) % 0x00ff_fffd + 2).to_be_bytes();
    runtime.block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::new(127, a, b, c), 0).into()).unwrap();
        let mut socket = socket.connect(*address).await.unwrap();
        for part in parts {
            // Who is refused may not take the rest.
            socket.write_all(part).await.ok();
        }
        socket.shutdown().await.ok();
        let mut answer = Vec::new();
        timeout(END_MAX, socket.read_to_end(&mut answer)).await.expect("the connection ends").ok();
    });
}
