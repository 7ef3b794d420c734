//! An event handler whose reads of one order's log are slow: its program, behind a proxy to DynamoDB.

use std::{
    convert::Infallible,
    fs,
    net::Ipv4Addr,
    os::unix::fs::PermissionsExt,
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response, Uri,
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tests::stack::binary;
use tokio::{net::TcpListener, time::sleep};

type Forward = Client<HttpConnector, Full<Bytes>>;

/// A proxy before DynamoDB, through which a function's program makes its calls.
pub(crate) struct SlowLog {
    upstream: Arc<OnceLock<Uri>>,
    address: String,
}

impl SlowLog {
    /// Starts a proxy that takes this time more for each page of this order's log.
    pub(crate) async fn start(order_id: &str, each_page: Duration) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let upstream: Arc<OnceLock<Uri>> = Arc::default();
        let (shared, names_order) = (Arc::clone(&upstream), format!("\"{order_id}\""));
        let forward: Forward = Client::builder(TokioExecutor::new()).build_http();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, forward, names_order) = (Arc::clone(&shared), forward.clone(), names_order.clone());
                let serve = service_fn(move |request| {
                    let (shared, forward, names_order) = (Arc::clone(&shared), forward.clone(), names_order.clone());
                    async move { Ok::<_, Infallible>(serve(request, &shared, &forward, &names_order, each_page).await) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), serve));
            }
        });
        Self { upstream, address }
    }

    /// Says where DynamoDB is, once its stack has started.
    pub(crate) fn leads_to(&self, dynamodb_url: &str) {
        self.upstream.set(dynamodb_url.parse().unwrap()).unwrap();
    }

    /// Writes the function's program, for `foldcast up --function`.
    pub(crate) fn write_program(&self, function: &str, file: &Path) {
        let Self { address, .. } = self;
        let binary = binary().display();
        let script = format!("#!/bin/sh\nAWS_ENDPOINT_URL_DYNAMODB={address} exec '{binary}' function {function}\n");
        fs::write(file, script).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

async fn serve(
    request: Request<Incoming>,
    upstream: &OnceLock<Uri>,
    forward: &Forward,
    names_order: &str,
    each_page: Duration,
) -> Response<Full<Bytes>> {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let is_query = parts.headers["x-amz-target"].to_str().unwrap().ends_with(".Query");
    let asked = String::from_utf8_lossy(&body);
    if is_query && asked.contains("order_stream") && asked.contains(names_order) {
        sleep(each_page).await;
    }
    parts.uri = upstream.get().unwrap().clone();
    let answer = forward.request(Request::from_parts(parts, Full::new(body))).await.unwrap();
    let (parts, body) = answer.into_parts();
    Response::from_parts(parts, Full::new(body.collect().await.unwrap().to_bytes()))
}
