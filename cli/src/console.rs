//! The console: a page about the running stack, at `/` of the local stack.
//!
//! Owns: its files, and what it is told of orders, connections, invocations and queues.
//! Must not know: how the page shows it.
//! Source: docs/console.md. It answers to loopback alone: to no other host's name, and to no form of another site.

mod sample;

use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use bytes::Bytes;
use domain::{OrderId, principal::READ_ALL_SCOPE};
use futures_util::{FutureExt, future::BoxFuture};
use http::{HeaderValue, Method, Response, StatusCode, header, request::Parts};
use http_body_util::Full;
use local::{Stack, Watch, websocket_api::Beside};
use serde_json::{Value, json};
use store::{Store, aws::sdk_config};

use crate::access::Access;

const HTML: &str = "text/html; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";

/// The page, and the client as it ships.
const FILES: [(&str, &str, &str); 14] = [
    ("/", HTML, include_str!("../../console/index.html")),
    ("/console/console.css", CSS, include_str!("../../console/console.css")),
    ("/console/console.js", JAVASCRIPT, include_str!("../../console/console.js")),
    ("/console/order.js", JAVASCRIPT, include_str!("../../console/order.js")),
    ("/console/stack.js", JAVASCRIPT, include_str!("../../console/stack.js")),
    ("/client/index.js", JAVASCRIPT, include_str!("../../client/src/index.js")),
    ("/client/order.js", JAVASCRIPT, include_str!("../../client/src/order.js")),
    ("/client/iterator.js", JAVASCRIPT, include_str!("../../client/src/iterator.js")),
    ("/client/follower.js", JAVASCRIPT, include_str!("../../client/src/follower.js")),
    ("/client/heads.js", JAVASCRIPT, include_str!("../../client/src/heads.js")),
    ("/client/page.js", JAVASCRIPT, include_str!("../../client/src/page.js")),
    ("/client/wire.js", JAVASCRIPT, include_str!("../../client/src/wire.js")),
    ("/client/parts.js", JAVASCRIPT, include_str!("../../client/src/parts.js")),
    ("/client/errors.js", JAVASCRIPT, include_str!("../../client/src/errors.js")),
];

/// Orders that the page lists.
const ORDERS_MAX: usize = 500;

/// Names by which a browser on this machine asks.
const HOSTS: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

type Answer = Response<Full<Bytes>>;

/// For how long the page's token is valid, in seconds; the page asks for one with each connection.
const TOKEN_S: i64 = 600;

/// A console that waits for its stack.
#[derive(Clone)]
pub(crate) struct Console {
    running: Arc<OnceLock<Running>>,
    access: Access,
}

struct Running {
    watch: Watch,
    store: Store,
    stage: String,
}

impl Console {
    pub(crate) fn new(access: Access) -> Self {
        Self { running: Arc::default(), access }
    }

    /// The console as a service on the port of the WebSocket API.
    pub(crate) fn service(&self) -> Beside {
        let console = self.clone();
        Arc::new(move |head, _body| console.answer(head))
    }

    /// Shows this stack from here on.
    pub(crate) fn show(&self, stack: &Stack) -> anyhow::Result<()> {
        let url = stack.dynamodb_url();
        let var = |name: &str| match name {
            "AWS_ENDPOINT_URL_DYNAMODB" => Some(url.clone()),
            "AWS_REGION" => Some("us-east-1".to_owned()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("local".to_owned()),
            _ => None,
        };
        let store = Store::from_vars(&sdk_config(var)?, var)?;
        let stage = stack.websocket_url().rsplit('/').next().unwrap_or_default().to_owned();
        // A console shows one stack.
        self.running.set(Running { watch: stack.watch(), store, stage }).ok();
        Ok(())
    }

    fn answer(&self, head: &Parts) -> Option<BoxFuture<'static, Answer>> {
        let path = head.uri.path().to_owned();
        let is_ours = FILES.iter().any(|(name, ..)| *name == path) || path.starts_with("/admin/");
        if !is_ours || head.headers.contains_key("x-amz-target") {
            return None;
        }
        if !is_of_this_machine(head) {
            return Some(async { text(StatusCode::FORBIDDEN, "this page is for this machine alone") }.boxed());
        }
        if let Some((_, content_type, file)) = FILES.iter().find(|(name, ..)| *name == path) {
            return Some(async move { with_type(StatusCode::OK, content_type, file.as_bytes().into()) }.boxed());
        }
        let (console, method) = (self.clone(), head.method.clone());
        let asks_for_json = head.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/json");
        Some(async move { console.admin(&method, &path, asks_for_json).await }.boxed())
    }

    async fn admin(&self, method: &Method, path: &str, asks_for_json: bool) -> Answer {
        let Some(running) = self.running.get() else {
            return text(StatusCode::SERVICE_UNAVAILABLE, "the stack starts");
        };
        let below: Vec<&str> = path.trim_start_matches("/admin/").split('/').collect();
        let told = match (method.as_str(), below.as_slice()) {
            ("GET", ["stack"]) => Ok(running.stack()),
            ("POST", ["token"]) if asks_for_json => self.token(),
            ("GET", ["orders"]) => running.orders().await,
            ("GET", ["orders", order_id, "subscribers"]) => running.subscribers(order_id).await,
            // No form of another site has this type.
            ("POST", ["sample"]) if asks_for_json => sample::play(&running.store),
            _ => return text(StatusCode::NOT_FOUND, "there is no such thing"),
        };
        match told {
            Ok(told) => with_type(StatusCode::OK, "application/json", told.to_string().into()),
            Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, &format!("{error:#}")),
        }
    }

    /// A token that shows every order, where there are such tokens.
    fn token(&self) -> anyhow::Result<Value> {
        let token = match &self.access {
            Access::DevelopmentTokens(secret) => Some(secret.sign("console", READ_ALL_SCOPE, TOKEN_S)?),
            Access::Everybody | Access::IssuersTokens | Access::TemplatesOwn { .. } => None,
        };
        Ok(json!({"token": token}))
    }
}

impl Running {
    fn stack(&self) -> Value {
        let queues = self.watch.queues().into_iter().map(|(name, messages)| {
            let message = |message: &local::queue::Message| {
                let body = serde_json::from_str(&message.body).unwrap_or_else(|_| json!(message.body));
                json!({"messageId": message.message_id, "sentAtMs": message.sent_at_ms, "body": body})
            };
            (name, messages.iter().map(message).collect())
        });
        json!({
            "stage": self.stage,
            "connections": self.watch.connections(),
            "invocations": self.watch.invocations(),
            "queues": queues.collect::<serde_json::Map<String, Value>>(),
        })
    }

    async fn orders(&self) -> anyhow::Result<Value> {
        let (mut scan, mut orders) = (self.store.projections.scan(), Vec::new());
        while let Some(page) = scan.next_page().await? {
            let stored = page.into_iter().filter_map(Result::ok);
            orders.extend(stored.map(
                |(order_id, projection)| json!({"orderId": order_id.as_str(), "version": projection.version().get()}),
            ));
            if orders.len() >= ORDERS_MAX {
                break;
            }
        }
        orders.truncate(ORDERS_MAX);
        orders.sort_by_key(|order| order["orderId"].to_string());
        Ok(json!({"orders": orders}))
    }

    async fn subscribers(&self, order_id: &str) -> anyhow::Result<Value> {
        let order_id = percent_encoding::percent_decode_str(order_id).decode_utf8()?;
        let subscriptions = self.store.subscriptions.of_order(&OrderId::new(order_id)?).await;
        let subscriptions = subscriptions.context("the subscriptions cannot be read")?;
        let ids: Vec<&str> =
            subscriptions.readable.iter().map(|subscription| subscription.connection_id.as_str()).collect();
        Ok(json!({"connectionIds": ids}))
    }
}

/// Whether the request is meant for this machine: a name that another site's owner points to 127.0.0.1 is not.
fn is_of_this_machine(head: &Parts) -> bool {
    let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    HOSTS.iter().any(|name| host == *name || host.strip_prefix(name).is_some_and(|rest| rest.starts_with(':')))
}

fn text(status: StatusCode, said: &str) -> Answer {
    with_type(status, "text/plain; charset=utf-8", Bytes::copy_from_slice(said.as_bytes()))
}

fn with_type(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
