//! A proxy before a server, which counts calls and stops everything at one of them.
//!
//! What calls through it is dropped there, as a process is that is killed: before a call is done, or after.

use std::{
    convert::Infallible,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, Uri, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use tokio::{net::TcpListener, sync::Notify};

/// Whether the call at which everything stops is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Before,
    After,
}

/// What the proxies of one run share.
#[derive(Default)]
pub(crate) struct Calls {
    count: AtomicUsize,
    stop_at: AtomicUsize,
    stops_after: AtomicUsize,
    /// Told when everything stops.
    pub(crate) stopped: Notify,
}

impl Calls {
    /// Stops at the call with this number, from 1; 0 stops at none.
    pub(crate) fn stop_at(&self, call: usize, side: Side) {
        self.count.store(0, Ordering::SeqCst);
        self.stops_after.store(usize::from(side == Side::After), Ordering::SeqCst);
        self.stop_at.store(call, Ordering::SeqCst);
    }

    async fn pass(&self, call: usize, side: Side) {
        let stops = self.stops_after.load(Ordering::SeqCst) == usize::from(side == Side::After);
        let at = self.stop_at.load(Ordering::SeqCst);
        // Later calls of what is dead stop too.
        if stops && at > 0 && call >= at {
            self.stopped.notify_one();
            std::future::pending::<()>().await;
        }
    }

    /// Starts a proxy before the server at this address, and gives its own.
    pub(crate) async fn before(self: &Arc<Self>, upstream: &str) -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (calls, upstream) = (Arc::clone(self), upstream.to_owned());
        let client: Client<HttpConnector, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let (calls, upstream, client) = (Arc::clone(&calls), upstream.clone(), client.clone());
                let service = service_fn(move |request| {
                    let (calls, upstream, client) = (Arc::clone(&calls), upstream.clone(), client.clone());
                    async move { Ok::<_, Infallible>(calls.forward(&client, &upstream, request).await) }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        url
    }

    async fn forward(
        &self,
        client: &Client<HttpConnector, Full<Bytes>>,
        upstream: &str,
        request: Request<Incoming>,
    ) -> Response<Full<Bytes>> {
        let call = self.count.fetch_add(1, Ordering::SeqCst) + 1;
        let (mut head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        self.pass(call, Side::Before).await;
        head.uri = format!("{upstream}{}", head.uri.path_and_query().unwrap()).parse::<Uri>().unwrap();
        let answered = client.request(Request::from_parts(head, Full::new(body))).await;
        let answer = match answered {
            Ok(answer) => {
                let (head, body) = answer.into_parts();
                Response::from_parts(head, Full::new(body.collect().await.unwrap().to_bytes()))
            }
            Err(_unanswered) => {
                let mut answer = Response::new(Full::default());
                *answer.status_mut() = StatusCode::BAD_GATEWAY;
                answer
            }
        };
        self.pass(call, Side::After).await;
        answer
    }
}
