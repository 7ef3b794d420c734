//! The clients that push, each as a process of its own.
//!
//! Owns: sending so many pushes with so many in flight, and what that cost.
//! Must not know: the other sides.
//! Source: each client as its documentation has it, without retries; the runtime is the functions' own.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sdk_apigatewaymanagement::{
    Client as SdkClient, Config,
    config::{BehaviorVersion, Region, retry::RetryConfig},
    primitives::Blob,
};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use bytes::Bytes;
use domain::{ConnectionId, fan_out::Outcome};
use futures_util::{StreamExt, stream};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use push::Push;
use serde_json::{Value, json};
use store::aws::sdk_config;
use tokio::time::Instant;

use crate::process::own_cpu;

/// The update that is pushed, in bytes.
const UPDATE_BYTES: usize = 1_024;

/// What one client of Foldcast has in flight at most.
const PUSH_IN_FLIGHT: usize = domain::limits::PUSHES_IN_FLIGHT_MAX;

type Hyper = Client<HttpConnector, Full<Bytes>>;

/// One round of a side: so many pushes, with so many in flight.
pub(crate) async fn round(side: &str, url: &str, asked: &Value) -> Value {
    let number = |name: &str| asked[name].as_u64().unwrap() as usize;
    let (in_flight, count) = (number("inFlight"), number("count"));
    let (cpu, delivered) = match side {
        "push" => foldcast(url, in_flight, count).await,
        "hyper" => hyper(url, in_flight, count, false).await,
        "hyper-signed" => hyper(url, in_flight, count, true).await,
        _ => sdk(url, in_flight, count).await,
    };
    json!({"cpuUs": cpu.as_secs_f64() * 1e6, "delivered": delivered})
}

fn connection_id(number: usize) -> String {
    format!("L0SM9cOFvHc{number:05}=")
}

fn update() -> String {
    "x".repeat(UPDATE_BYTES)
}

/// A client is kept from round to round.
macro_rules! kept {
    ($type:ty, $make:expr) => {{
        static KEPT: std::sync::OnceLock<$type> = std::sync::OnceLock::new();
        KEPT.get_or_init(|| $make)
    }};
}

async fn foldcast(url: &str, in_flight: usize, count: usize) -> (Duration, usize) {
    let clients = kept!(Vec<Push>, (0..4).map(|_| push_client(url)).collect());
    let frames: std::sync::Arc<[String]> = [update()].into();
    let deadline = Instant::now() + Duration::from_secs(60);
    let before = own_cpu();
    let ids = |part: usize, parts: usize| {
        (part..count).step_by(parts).map(|number| ConnectionId::new(connection_id(number))).collect::<Vec<_>>()
    };
    let outcomes: Vec<Outcome> = if in_flight == 1 {
        let one_by_one = stream::iter(ids(0, 1)).then(async |id| clients[0].send(&id, &frames, deadline).await);
        one_by_one.collect().await
    } else {
        let clients = &clients[..in_flight.div_ceil(PUSH_IN_FLIGHT)];
        let all = clients.iter().enumerate();
        let all = all.map(|(part, client)| client.send_all(ids(part, clients.len()), frames.clone(), deadline));
        futures_util::future::join_all(all).await.into_iter().flatten().map(|(_, outcome)| outcome).collect()
    };
    (own_cpu() - before, outcomes.iter().filter(|outcome| **outcome == Outcome::Delivered).count())
}

pub(crate) fn push_client(url: &str) -> Push {
    let url = url.to_owned();
    let var = move |name: &str| match name {
        "AWS_REGION" => Some("us-east-1".to_owned()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("local".to_owned()),
        "MANAGEMENT_ENDPOINT" | "AWS_ENDPOINT_URL" => Some(url.clone()),
        // A machine's speed is measured, and no account's quota.
        "REQUESTS_PER_SECOND" => Some("1000000".to_owned()),
        _ => None,
    };
    Push::from_vars(&sdk_config(&var).unwrap(), &var).unwrap()
}

async fn sdk(url: &str, in_flight: usize, count: usize) -> (Duration, usize) {
    let make = || {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("local", "local", None, None, "bench"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .retry_config(RetryConfig::disabled())
            .endpoint_url(url);
        SdkClient::from_conf(config.build())
    };
    let client = kept!(SdkClient, make());
    let data = Blob::new(update());
    let before = own_cpu();
    let posts = stream::iter(0..count).map(|number| {
        let post = client.post_to_connection().connection_id(connection_id(number)).data(data.clone());
        async move { post.send().await.is_ok() }
    });
    let delivered = posts.buffer_unordered(in_flight).filter(|taken| std::future::ready(*taken)).count().await;
    (own_cpu() - before, delivered)
}

async fn hyper(url: &str, in_flight: usize, count: usize, is_signed_before: bool) -> (Duration, usize) {
    let client = kept!(Hyper, Client::builder(TokioExecutor::new()).build_http());
    let data = Bytes::from(update());
    let identity = Credentials::new("local", "local", None, None, "bench").into();
    let request = |number: usize| {
        let url = format!("{url}/@connections/{}", connection_id(number).replace('=', "%3D"));
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("execute-api")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .unwrap();
        let content_type = ("content-type", "application/octet-stream");
        let body = SignableBody::Bytes(&data);
        let signable = SignableRequest::new("POST", &url, [content_type].into_iter(), body).unwrap();
        let (signed, _) = sign(signable, &params.into()).unwrap().into_parts();
        let mut request = Request::post(&url).header(content_type.0, content_type.1);
        for (name, value) in signed.headers() {
            request = request.header(name, value);
        }
        request.body(Full::new(data.clone())).unwrap()
    };
    let signed: Vec<Request<Full<Bytes>>> =
        if is_signed_before { (0..count).map(request).collect() } else { Vec::new() };
    let send = async |request: Request<Full<Bytes>>| {
        let answer = client.request(request).await.unwrap();
        let status = answer.status();
        answer.into_body().collect().await.unwrap();
        status == StatusCode::OK
    };
    let before = own_cpu();
    let taken = |taken: &bool| std::future::ready(*taken);
    let delivered = if is_signed_before {
        stream::iter(signed).map(send).buffer_unordered(in_flight).filter(taken).count().await
    } else {
        stream::iter(0..count)
            .map(|number| send(request(number)))
            .buffer_unordered(in_flight)
            .filter(taken)
            .count()
            .await
    };
    (own_cpu() - before, delivered)
}
