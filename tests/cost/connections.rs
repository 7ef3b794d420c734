//! An `@connections` that takes every post, and counts.

use std::{
    convert::Infallible,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Method, Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

pub(crate) struct Connections {
    pub(crate) url: String,
    posts: Arc<AtomicU64>,
}

impl Connections {
    /// Starts one; it ends with the test's runtime.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}/local", listener.local_addr().unwrap());
        let posts = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&posts);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let counted = Arc::clone(&counted);
                let answer = service_fn(move |request: Request<Incoming>| {
                    let counted = Arc::clone(&counted);
                    async move {
                        assert_eq!(request.method(), Method::POST, "nothing is closed");
                        request.into_body().collect().await.unwrap();
                        counted.fetch_add(1, Ordering::Relaxed);
                        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        Self { url, posts }
    }

    /// Posts since the last time.
    pub(crate) fn take(&self) -> u64 {
        self.posts.swap(0, Ordering::Relaxed)
    }
}
