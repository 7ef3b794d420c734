//! Interception: a proxy between one sandbox and the services that it calls, so that it can be killed at a chosen call.
//!
//! Owns: naming each call, and stopping at the one where a fault strikes.
//! Must not know: what a call does.
//! Source: AWS's JSON protocols name the operation in `X-Amz-Target` and the table in the body; `@connections` is REST.

use std::{
    convert::Infallible,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Uri, request::Parts};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use serde_json::Value;
use tokio::{net::TcpListener, sync::Notify, task::JoinHandle};

use super::{Faults, Side};

/// Where the intercepted calls go.
#[derive(Clone, Debug)]
pub(crate) struct Upstream {
    /// DynamoDB's port.
    pub(crate) dynamodb: SocketAddr,
    /// The port of the WebSocket API, with `@connections` and SQS.
    pub(crate) gateway: SocketAddr,
    /// The stage's name, with which the paths of `@connections` begin.
    pub(crate) stage: String,
}

/// A proxy for one sandbox; it ends when it is dropped.
pub(crate) struct Interception {
    address: SocketAddr,
    stage: String,
    killed: Arc<Notify>,
    accepting: JoinHandle<()>,
}

struct Shared {
    function: String,
    faults: Faults,
    upstream: Upstream,
    client: Client<HttpConnector, Full<Bytes>>,
    killed: Arc<Notify>,
}

type Answer = Response<Full<Bytes>>;

impl Drop for Interception {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Interception {
    /// Starts a proxy for a sandbox of this function.
    pub(crate) async fn start(function: &str, faults: &Faults, upstream: &Upstream) -> std::io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let killed = Arc::new(Notify::new());
        let shared = Arc::new(Shared {
            function: function.to_owned(),
            faults: faults.clone(),
            upstream: upstream.clone(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            killed: Arc::clone(&killed),
        });
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Each answer leaves at once. A socket that cannot be set so works all the same.
                stream.set_nodelay(true).ok();
                let shared = Arc::clone(&shared);
                let service = service_fn(move |request| {
                    let shared = Arc::clone(&shared);
                    async move { Ok::<_, Infallible>(shared.serve(request).await) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { address, stage: upstream.stage.clone(), killed, accepting })
    }

    /// The variables that lead the sandbox's calls here.
    pub(crate) fn variables(&self) -> [(&'static str, String); 3] {
        let Self { address, stage, .. } = self;
        [
            ("AWS_ENDPOINT_URL_DYNAMODB", format!("http://{address}")),
            ("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI", format!("http://{address}/{stage}")),
            ("AWS_ENDPOINT_URL_SQS", format!("http://{address}")),
        ]
    }

    /// Ends when the sandbox has to be killed.
    pub(crate) async fn killed(&self) {
        self.killed.notified().await;
    }
}

impl Shared {
    async fn serve(&self, request: Request<Incoming>) -> Answer {
        let (mut head, body) = request.into_parts();
        let Ok(body) = body.collect().await else { return status(StatusCode::BAD_REQUEST) };
        let body = body.to_bytes();
        let call = name(&head, &body);
        self.pass(Side::Before, &call).await;
        let Some(uri) = self.uri(&head) else { return status(StatusCode::BAD_REQUEST) };
        head.uri = uri;
        let answer = match self.client.request(Request::from_parts(head, Full::new(body))).await {
            Ok(answer) => {
                let (head, body) = answer.into_parts();
                let body = body.collect().await.map(|body| Response::from_parts(head, Full::new(body.to_bytes())));
                body.unwrap_or_else(|_broken| status(StatusCode::BAD_GATEWAY))
            }
            Err(_unanswered) => status(StatusCode::BAD_GATEWAY),
        };
        self.pass(Side::After, &call).await;
        answer
    }

    /// Does not return if the sandbox is killed here.
    async fn pass(&self, side: Side, call: &str) {
        if self.faults.kills(&self.function, side, call) {
            self.killed.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// Where a call goes on to.
    fn uri(&self, head: &Parts) -> Option<Uri> {
        let is_dynamodb = head.headers.get("x-amz-target").is_some_and(|target| target.as_bytes().starts_with(b"Dyn"));
        let address = if is_dynamodb { self.upstream.dynamodb } else { self.upstream.gateway };
        let uri = format!("http://{address}{}", head.uri.path_and_query().map_or("/", |path| path.as_str()));
        uri.parse().ok()
    }
}

/// The call's name: operation and table, or the operation of `@connections`.
fn name(head: &Parts, body: &[u8]) -> String {
    let target = head.headers.get("x-amz-target").and_then(|target| target.to_str().ok());
    let Some(operation) = target.and_then(|target| target.rsplit('.').next()) else {
        return match head.method {
            Method::POST => "PostToConnection".to_owned(),
            Method::DELETE => "DeleteConnection".to_owned(),
            _ => "GetConnection".to_owned(),
        };
    };
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    match request.get("TableName").and_then(Value::as_str) {
        Some(table) => format!("{operation} {table}"),
        None => operation.to_owned(),
    }
}

fn status(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer
}
