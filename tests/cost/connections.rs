//! An `@connections` that takes every post, and counts; and the queue of pages beside it.

use std::{
    convert::Infallible,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use domain::price;
use http_body_util::{BodyExt, Full};
use hyper::{Method, Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use local::{
    application::Queue,
    queue::{self, Queues},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const PAGE_QUEUE: &str = "pages";
const ORDER_QUEUE: &str = "orders";

pub(crate) struct Connections {
    /// The address of both, without the stage.
    pub(crate) origin: String,
    posts: Arc<AtomicU64>,
    closes: Arc<AtomicU64>,
    /// What the posts came to, by API Gateway's price and the internet's.
    nano_dollars: Arc<AtomicU64>,
    queues: Arc<Queues>,
}

impl Connections {
    /// Starts one; it ends with the test's runtime.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let [posts, closes, nano_dollars] = [(); 3].map(|()| Arc::new(AtomicU64::new(0)));
        let queues = [PAGE_QUEUE, ORDER_QUEUE].map(|name| (name.to_owned(), Queue::default()));
        let queues = Arc::new(Queues::open(None, queues).unwrap());
        let counts = [&posts, &closes, &nano_dollars].map(Arc::clone);
        let shared = (counts, Arc::clone(&queues));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = shared.clone();
                let answer = service_fn(move |request: Request<Incoming>| {
                    let ([posts, closes, nano_dollars], queues) = shared.clone();
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await.unwrap().to_bytes();
                        if let Some(answer) = queue::answer(&head.headers, &body, &queues) {
                            return Ok(answer.await);
                        }
                        if head.method == Method::POST {
                            posts.fetch_add(1, Ordering::Relaxed);
                            nano_dollars.fetch_add(price::message_out(body.len()), Ordering::Relaxed);
                        } else {
                            assert_eq!(head.method, Method::DELETE);
                            closes.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
                    }
                });
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        Self { origin, posts, closes, nano_dollars, queues }
    }

    /// The pages that were handed over since the last time, as the fan-out is invoked with them, one at a time.
    pub(crate) fn take_pages(&self) -> Vec<Value> {
        self.take_messages(PAGE_QUEUE)
    }

    /// The orders that were deferred since the last time, as the event handler is invoked with them, one at a time.
    pub(crate) fn take_deferred(&self) -> Vec<Value> {
        self.take_messages(ORDER_QUEUE)
    }

    fn take_messages(&self, queue: &str) -> Vec<Value> {
        let messages = self.queues.messages(queue).unwrap();
        self.queues.delete(queue, |_message| true).unwrap();
        messages
            .iter()
            .map(|message| json!({"Records": [{"messageId": message.message_id, "body": message.body}]}))
            .collect()
    }

    /// What the posts came to since the last time, in billionths of a dollar.
    pub(crate) fn take_nano_dollars(&self) -> u64 {
        self.nano_dollars.swap(0, Ordering::Relaxed)
    }

    /// Connections that were closed since the last time.
    pub(crate) fn take_closes(&self) -> u64 {
        self.closes.swap(0, Ordering::Relaxed)
    }

    /// Posts since the last time.
    pub(crate) fn take(&self) -> u64 {
        self.posts.swap(0, Ordering::Relaxed)
    }
}
