//! The gateway in one process: the real functions, DynamoDB and WebSocket API, without the change feed between.
//!
//! Owns: handing batches to the event handler when and how a test wants.
//! Must not know: what a test is about.
//! Source: the wiring of `infra/`, by hand.

use std::{collections::BTreeMap, net::Ipv4Addr, sync::Arc, time::Duration};

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use bytes::Bytes;
use domain::{
    ConnectionId, Event, EventData, EventRef, Identity, OrderId, Principal, PrincipalId, Subscription,
    limits::PAGE_SUBSCRIBERS_MAX, principal::READ_ALL_SCOPE,
};
use event_handler::EventHandler;
use fan_out::FanOut;
use futures_util::FutureExt;
use http::request::Parts;
use local::{
    Faults,
    application::Queue,
    queue::{self, Message, Queues},
    websocket_api::{
        Api, Authorization, Credentials, Gateway, Integration, IntegrationError, Limits, Route, Throttling,
    },
};
use queues::batch::{BatchResponse, QueueBatch};
use serde_json::{Value, json};
use store::{Store, aws::sdk_config};
use subscribe::Subscribe;
use tokio::{net::TcpListener, time::Instant};

use crate::{
    counted::Counted,
    engine::{Engine, variables},
};

const FAILURE_QUEUE: &str = "failures";
const ORDER_QUEUE: &str = "orders";
const PAGE_QUEUE: &str = "pages";
const QUEUES: [&str; 3] = [FAILURE_QUEUE, ORDER_QUEUE, PAGE_QUEUE];

/// An event handler, a subscribe function, and what they work with.
pub struct InProcess {
    /// The tables.
    pub store: Store,
    /// What the functions call of DynamoDB.
    pub counted: Counted,
    /// The address for browsers.
    pub websocket_url: String,
    engine: Engine,
    queues: Arc<Queues>,
    handler: EventHandler,
    fan_out: FanOut,
    subscribe: Arc<Subscribe>,
    _gateway: Gateway,
}

impl InProcess {
    /// Starts everything with empty tables.
    pub async fn start() -> Self {
        Self::start_with(Limits::default()).await
    }

    /// Starts everything with these numbers of API Gateway.
    pub async fn start_with(limits: Limits) -> Self {
        Self::start_in_pages(limits, PAGE_SUBSCRIBERS_MAX).await
    }

    /// Starts everything, with pages of so many subscribers.
    pub async fn start_in_pages(limits: Limits, page_subscribers_max: usize) -> Self {
        let engine = Engine::start().await;
        let counted = Counted::start(&engine.url).await;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let var = in_pages(function_variables(&counted.url, &format!("http://{address}")), page_subscribers_max);
        let routes = ["subscribe", "unsubscribe", "history", "$default"];
        let subscribe = Arc::new(Subscribe::from_vars(&var).unwrap());
        let route =
            Route { integration: integration(Arc::clone(&subscribe)), has_route_response: true, time_out: None };
        let api = Api {
            api_id: "abcdef1234".into(),
            stage: "local".into(),
            region: "us-east-1".into(),
            account_id: "000000000000".into(),
            route_selection_expression: "$request.body.action".into(),
            routes: routes.into_iter().map(|key| (key.to_owned(), route.clone())).collect(),
            stage_variables: BTreeMap::new(),
            authorization: Authorization::None,
            throttling: Throttling::default(),
        };
        let credentials = Credentials { access_key_id: "local".into(), secret_access_key: "local".into() };
        let queues = Arc::new(Queues::open(None, QUEUES.map(|name| (name.to_owned(), Queue::default()))).unwrap());
        let sqs = Arc::clone(&queues);
        let beside = Arc::new(move |head: &Parts, body: Bytes| queue::answer(&head.headers, &body, &sqs));
        let gateway = Gateway::serve_beside(listener, api, credentials, limits, beside, Faults::default());
        let direct = variables(engine.url.clone());
        let store = Store::from_vars(&sdk_config(&direct).unwrap(), &direct).unwrap();
        let handler = EventHandler::from_vars(&var).unwrap();
        let fan_out = FanOut::from_vars(&var).unwrap();
        Self {
            store,
            counted,
            websocket_url: format!("ws://{address}/local"),
            engine,
            handler,
            fan_out,
            subscribe,
            queues,
            _gateway: gateway,
        }
    }

    /// An event handler whose `@connections` and queues nobody serves.
    #[must_use]
    pub fn handler_without_api_gateway(&self) -> EventHandler {
        EventHandler::from_vars(&self.variables_without_api_gateway()).unwrap()
    }

    /// The same, with pages of so many subscribers.
    #[must_use]
    pub fn handler_without_api_gateway_in_pages_of(&self, page_subscribers_max: usize) -> EventHandler {
        EventHandler::from_vars(&in_pages(self.variables_without_api_gateway(), page_subscribers_max)).unwrap()
    }

    /// An event handler whose DynamoDB nobody serves, while the queues are there.
    #[must_use]
    pub fn handler_without_dynamodb(&self) -> EventHandler {
        let var = self.variables_without_connections();
        let nowhere = |name: &str| match name {
            "AWS_ENDPOINT_URL_DYNAMODB" => Some("http://127.0.0.1:9".to_owned()),
            _ => var(name),
        };
        EventHandler::from_vars(&nowhere).unwrap()
    }

    /// The event handler.
    #[must_use]
    pub fn handler(&self) -> &EventHandler {
        &self.handler
    }

    /// An event handler whose `@connections` nobody serves, while the queues are there.
    #[must_use]
    pub fn handler_without_connections(&self) -> EventHandler {
        EventHandler::from_vars(&self.variables_without_connections()).unwrap()
    }

    /// Hands messages of the page queue to a fan-out whose `@connections` nobody serves, while the queues are there.
    pub async fn fan_out_without_connections(&self, batch: &Value) -> Value {
        fan_out(&FanOut::from_vars(&self.variables_without_connections()).unwrap(), batch).await
    }

    fn variables_without_connections(&self) -> impl Fn(&str) -> Option<String> + use<> {
        let sqs = self.websocket_url.replace("ws://", "http://").trim_end_matches("/local").to_owned();
        let var = self.variables_without_api_gateway();
        move |name| if name == "AWS_ENDPOINT_URL_SQS" { Some(sqs.clone()) } else { var(name) }
    }

    /// Hands messages of the queue of pages to a fan-out whose `@connections` nobody serves.
    pub async fn fan_out_without_api_gateway(&self, batch: &Value) -> Value {
        fan_out(&FanOut::from_vars(&self.variables_without_api_gateway()).unwrap(), batch).await
    }

    fn variables_without_api_gateway(&self) -> impl Fn(&str) -> Option<String> + use<> {
        function_variables(&self.engine.url, "http://127.0.0.1:9")
    }

    /// Puts an item, as a foreign program does.
    pub fn put(&self, table: &str, item: Value) {
        let request = json!({"TableName": table, "Item": item});
        self.engine.database.put_item(serde_json::from_value(request).unwrap()).unwrap();
    }

    /// Deletes an item, as a foreign program does.
    pub fn delete(&self, table: &str, key: Value) {
        self.deletion(table, key)();
    }

    /// What is on the failure queue.
    #[must_use]
    pub fn failures(&self) -> Vec<Value> {
        let messages = self.queues.messages(FAILURE_QUEUE).unwrap();
        messages.iter().map(|message| serde_json::from_str(&message.body).unwrap()).collect()
    }

    /// The pages that wait.
    #[must_use]
    pub fn pages(&self) -> Vec<Message> {
        self.queues.messages(PAGE_QUEUE).unwrap()
    }

    /// The orders that are deferred.
    #[must_use]
    pub fn deferred(&self) -> Vec<Message> {
        self.queues.messages(ORDER_QUEUE).unwrap()
    }

    /// Hands the deferred orders to the event handler, one after the other, and says how many are left.
    pub async fn work_on_deferred(&self) -> usize {
        for Message { message_id, body, .. } in self.deferred() {
            let batch = json!({"Records": [{"messageId": message_id, "body": body}]});
            if self.handle(&batch).await == BatchResponse::default() {
                self.queues.delete(ORDER_QUEUE, |message| message.message_id == message_id).unwrap();
            }
        }
        self.deferred().len()
    }

    /// Hands messages of the queue of pages to the fan-out.
    pub async fn fan_out(&self, batch: &Value) -> Value {
        fan_out(&self.fan_out, batch).await
    }

    /// Hands the pages that wait to the fan-out, one after the other, and says how many have to come again.
    pub async fn work_on_pages(&self) -> usize {
        for Message { message_id, body, .. } in self.pages() {
            let batch = json!({"Records": [{"messageId": message_id, "body": body}]});
            if self.fan_out(&batch).await["batchItemFailures"] == json!([]) {
                self.queues.delete(PAGE_QUEUE, |message| message.message_id == message_id).unwrap();
            }
        }
        self.pages().len()
    }

    /// Appends an event with this version, which is its ref too.
    pub async fn append_data(&self, order_id: &str, version: u64, data: &Value) {
        assert_eq!(data["orderId"], order_id);
        let data = EventData::new(domain::Json::from(data.clone()).into_object().unwrap()).unwrap();
        let event = Event { event_ref: EventRef::parse(&version.to_string()).unwrap(), ts_us: 0, data };
        self.store.event_log.append(&event, None).await.unwrap();
    }

    /// Appends events to an order, each with the number of its version in `n`.
    pub async fn append(&self, order_id: &str, versions: std::ops::RangeInclusive<u64>) {
        for version in versions {
            let data = json!({"eventName": "OrderChanged", "orderId": order_id, "n": version, "stripeToken": "secret"});
            self.append_data(order_id, version, &data).await;
        }
    }

    /// Records a subscription of a connection, whether there is one or not.
    pub async fn record_subscription(&self, order_id: &str, connection_id: &str) {
        self.record_subscription_of(order_id, connection_id, "support", READ_ALL_SCOPE, i64::MAX).await;
    }

    /// Records a subscription of a user, until a time.
    pub async fn record_subscription_of(
        &self,
        order_id: &str,
        connection_id: &str,
        user: &str,
        scope: &str,
        expires_at_s: i64,
    ) {
        let principal = Principal::with_scope(PrincipalId::new(user).unwrap(), scope);
        let (order_id, connection_id) = (OrderId::new(order_id).unwrap(), ConnectionId::new(connection_id));
        let subscription = Subscription::new(order_id, connection_id, principal, expires_at_s);
        self.store.subscriptions.put(&subscription).await.unwrap();
    }

    /// Hands a message of a user to the function `subscribe`, and gives the route response.
    pub async fn say(&self, user: &str, connection_id: &str, message: &Value) -> Value {
        let principal = Principal::with_scope(PrincipalId::new(user).unwrap(), "");
        let authorizer = Identity { principal, expires_at_s: None }.to_context();
        let context = json!({"connectionId": connection_id, "requestId": "r", "connectedAt": store::now_ms(),
                             "requestTimeEpoch": store::now_ms(), "identity": {}, "authorizer": authorizer});
        let request = json!({"requestContext": context, "body": message.to_string(), "isBase64Encoded": false});
        let deadline = Instant::now() + Duration::from_secs(20);
        let reply = self.subscribe.handle(serde_json::from_value(request).unwrap(), deadline).await.unwrap();
        serde_json::from_str(reply["body"].as_str().unwrap()).unwrap()
    }

    /// What puts an item, as a foreign program does.
    pub fn putting(&self, table: &str, item: Value) -> impl FnOnce() + Send + use<> {
        let (database, request) = (self.engine.database.clone(), json!({"TableName": table, "Item": item}));
        move || drop(database.put_item(serde_json::from_value(request).unwrap()).unwrap())
    }

    /// What deletes an item, as a foreign program does.
    pub fn deletion(&self, table: &str, key: Value) -> impl FnOnce() + Send + use<> {
        let (database, request) = (self.engine.database.clone(), json!({"TableName": table, "Key": key}));
        move || drop(database.delete_item(serde_json::from_value(request).unwrap()).unwrap())
    }

    /// Hands a batch to the event handler.
    pub async fn handle(&self, batch: &Value) -> BatchResponse {
        self.handler.handle(&batch.to_string(), Instant::now() + Duration::from_secs(60)).await.unwrap()
    }

    /// Delivers events of an order in one batch.
    pub async fn deliver(&self, order_id: &str, versions: &[u64]) -> BatchResponse {
        deliver(&self.handler, order_id, versions).await
    }
}

/// Delivers a batch to this handler; sequence numbers are the versions.
pub async fn deliver(handler: &EventHandler, order_id: &str, versions: &[u64]) -> BatchResponse {
    let record = |version: &u64| {
        let data = json!({"eventName": {"S": "OrderChanged"}, "orderId": {"S": order_id},
                          "n": {"N": version.to_string()}, "stripeToken": {"S": "secret"}});
        let image = json!({"orderId": {"S": order_id}, "version": {"N": version.to_string()},
                           "ref": {"S": version.to_string()}, "ts": {"N": "0"}, "data": {"M": data}});
        json!({"dynamodb": {"SequenceNumber": version.to_string(), "NewImage": image}})
    };
    let batch = json!({"Records": versions.iter().map(record).collect::<Vec<Value>>()});
    handler.handle(&batch.to_string(), Instant::now() + Duration::from_secs(60)).await.unwrap()
}

async fn fan_out(fan_out: &FanOut, batch: &Value) -> Value {
    let batch: QueueBatch = serde_json::from_value(batch.clone()).unwrap();
    json!(fan_out.handle(batch, Instant::now() + Duration::from_secs(60)).await)
}

/// These variables, with pages of so many subscribers.
fn in_pages(var: impl Fn(&str) -> Option<String>, page_subscribers_max: usize) -> impl Fn(&str) -> Option<String> {
    move |name| match name {
        "PAGE_SUBSCRIBERS_MAX" => Some(page_subscribers_max.to_string()),
        _ => var(name),
    }
}

fn function_variables(dynamodb_url: &str, gateway_url: &str) -> impl Fn(&str) -> Option<String> + use<> {
    let (aws, gateway_url) = (variables(dynamodb_url.to_owned()), gateway_url.to_owned());
    move |name| match name {
        "REDACTED_FIELDS" => Some("stripeToken".to_owned()),
        "MANAGEMENT_ENDPOINT" => Some(format!("{gateway_url}/local")),
        "AWS_ENDPOINT_URL_SQS" => Some(gateway_url.clone()),
        "FAILURE_QUEUE_URL" => Some(queue::queue_url(FAILURE_QUEUE)),
        "ORDER_QUEUE_URL" => Some(queue::queue_url(ORDER_QUEUE)),
        "PAGE_QUEUE_URL" => Some(queue::queue_url(PAGE_QUEUE)),
        _ => aws(name),
    }
}

fn integration(subscribe: Arc<Subscribe>) -> Integration {
    Arc::new(move |event| {
        let subscribe = Arc::clone(&subscribe);
        async move {
            let request: ApiGatewayWebsocketProxyRequest = serde_json::from_slice(&event).unwrap();
            let deadline = Instant::now() + Duration::from_secs(20);
            let reply = subscribe.handle(request, deadline).await;
            let reply = reply.map_err(|error| IntegrationError::Failed(error.to_string()))?;
            Ok(Bytes::from(reply.to_string()))
        }
        .boxed()
    })
}
