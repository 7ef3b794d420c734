//! Connections that subscribe and from then on read nothing.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use http::StatusCode;
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tests::browser::Browser;
use tokio::time::timeout;

use crate::world::World;

/// Posts at once that are more than a connection's queue takes.
const POSTS: usize = 80;
const POST_BYTES: usize = 100_000;

/// Longest wait for a post: one to a connection that reads nothing hangs once the buffers are full.
const POST_MAX: Duration = Duration::from_secs(1);

/// What API Gateway's numbers have to be, so that a test may post what it likes.
pub(crate) fn limits() -> Value {
    json!({"verify_signatures": false})
}

/// Connections that are subscribed to an order. Nobody else may be yet.
pub(crate) async fn subscribed(
    world: &World,
    order_id: &str,
    count: usize,
    user: Option<(&str, &str)>,
) -> Vec<Browser> {
    let mut browsers = Vec::new();
    for _ in 0..count {
        let url = &world.stack.websocket_url;
        let mut browser = match user {
            Some((user, scope)) => Browser::with_token(url, &world.token(user, scope)).await,
            None => Browser::connect(url).await,
        };
        let answer = browser.ask(&json!({"action": "subscribe", "orderId": order_id}).to_string()).await;
        assert_eq!(answer["type"], "update");
        browsers.push(browser);
    }
    browsers
}

/// Fills whatever is between API Gateway and the browsers that are subscribed to an order, until it takes no more posts to
/// any of them.
pub(crate) async fn fill(world: &World, order_id: &str) {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let order_id = domain::OrderId::new(order_id).unwrap();
    let subscribers = world.store.subscriptions.of_order(&order_id).await.unwrap();
    let fills = subscribers.readable.iter().map(async |subscription| {
        let connection_id = subscription.connection_id.as_str().replace('=', "%3D");
        let address = format!("{}/@connections/{connection_id}", world.stack.management_url);
        while takes_posts(&client, &address).await {}
    });
    join_all(fills).await;
}

/// Posts to a connection. One whose queue is full refuses at once; one that a fault has ended takes nothing either.
async fn takes_posts(client: &Client<HttpConnector, Full<Bytes>>, address: &str) -> bool {
    let junk = Bytes::from(format!("{{\"junk\":\"{}\"}}", "x".repeat(POST_BYTES)));
    let posts = (0..POSTS).map(|_| {
        let request = http::Request::post(address).body(Full::from(junk.clone())).unwrap();
        timeout(POST_MAX, client.request(request))
    });
    let refused = |answer: &Result<Result<http::Response<_>, _>, _>| {
        let refusals = [StatusCode::TOO_MANY_REQUESTS, StatusCode::GONE];
        matches!(answer, Ok(Ok(answer)) if refusals.contains(&answer.status()))
    };
    !join_all(posts).await.iter().any(refused)
}
