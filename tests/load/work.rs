//! What each function is given to do.
//!
//! Owns: the events of API Gateway, of the change feed and of the queue of pages, the rows that they are about, and what the
//! answers have to say.
//! Must not know: how a function is run.
//! Source: events as API Gateway and the event source mappings send them.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tests::engine::Engine;

use crate::{
    issuer::Key,
    lambda::{AUDIENCE, ISSUER, Job},
};

/// The functions that are measured.
pub(crate) const FUNCTIONS: [&str; 6] =
    ["authorizer", "connect", "disconnect", "subscribe", "event-handler", "fan-out"];

/// Bytes of an event's largest field.
const NOTE_BYTES: usize = 1_000;
/// Orders of the change feed's largest batch, each with one event.
const ORDERS: usize = 100;
/// Invocations of a function that serves browsers.
const REPEATS: usize = 500;
/// Subscribers of one order: a page of them.
const SUBSCRIBERS: usize = 1_000;

/// A connection's id, as API Gateway makes them.
const ID: &str = "L0SM9cOFvHcCIhw=";
/// The order that has many subscribers.
const POPULAR: &str = "popular";

/// One function's events.
pub(crate) struct Work {
    function: &'static str,
    is_heavy: bool,
    key: Key,
}

impl Work {
    /// One event, as light as the function's usual one: an order has one subscriber.
    pub(crate) fn first(function: &'static str) -> Self {
        Self { function, is_heavy: false, key: Key::rsa("k") }
    }

    /// As much as one process is given: five hundred browsers, or a batch of a hundred orders and an update for a thousand
    /// subscribers, or a page of a thousand.
    pub(crate) fn heavy(function: &'static str) -> Self {
        Self { is_heavy: true, ..Self::first(function) }
    }

    /// A token of an issuer whose keys are fetched over HTTP.
    fn authorize(&self) -> Value {
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "user_123", "exp": now_s + 3_600});
        let mut event = browser("$connect", "CONNECT", None);
        event["type"] = json!("REQUEST");
        event["methodArn"] = json!("arn:aws:execute-api:us-east-1:000000000000:a/local/$connect");
        event["queryStringParameters"] = json!({"token": self.key.token(&claims)});
        event["requestContext"]["requestTimeEpoch"] = json!(now_s * 1_000);
        event
    }
}

impl Job for Work {
    fn key_set(&self) -> Value {
        json!({"keys": [self.key.jwk()]})
    }

    fn events(&self) -> Vec<Value> {
        let light = match self.function {
            "authorizer" => self.authorize(),
            "connect" => browser("$connect", "CONNECT", None),
            "disconnect" => browser("$disconnect", "DISCONNECT", None),
            "subscribe" => browser("subscribe", "MESSAGE", Some(json!({"action": "subscribe", "orderId": order(0)}))),
            "fan-out" => return vec![page()],
            _ => batch(&[order(0)]),
        };
        match (self.is_heavy, self.function) {
            (false, _) => vec![light],
            (true, "event-handler") => {
                vec![batch(&(0..ORDERS).map(order).collect::<Vec<_>>()), batch(&[POPULAR.to_owned()])]
            }
            (true, _) => vec![light; REPEATS],
        }
    }

    fn prepare(&self, engine: &Engine) {
        let subscribers = if self.is_heavy { SUBSCRIBERS } else { 1 };
        let subscribed = |order_id: &str, connection_id: &str| {
            let row = json!({"orderId": {"S": order_id}, "connectionId": {"S": connection_id}, "readsAll": {"BOOL": true},
                             "principalId": {"S": "user_123"}, "expiresAt": {"N": "4102444800"}});
            put(engine, "subscriptions", &row);
        };
        match self.function {
            "event-handler" => {
                let popular = if self.is_heavy { POPULAR.to_owned() } else { order(0) };
                (0..subscribers).for_each(|number| subscribed(&popular, &format!("{number:015}=")));
            }
            "fan-out" => {
                (0..subscribers).for_each(|number| subscribed(POPULAR, &format!("{number:015}=")));
                let Value::Object(event) = image(POPULAR) else { unreachable!("an image is an object") };
                let projection = json!({"orderId": {"S": POPULAR}, "version": {"N": "1"},
                                        "projection": event["data"], "updatedAt": {"N": "0"}});
                put(engine, "order_projections", &projection);
                put(engine, "order_stream", &Value::Object(event));
            }
            "subscribe" | "disconnect" => {
                let connection = json!({"connectionId": {"S": ID}, "principalId": {"S": "user_123"},
                                        "connectedAt": {"N": "4000000000000"}, "expiresAt": {"N": "4102444800"}});
                put(engine, "connections", &connection);
                if self.function == "disconnect" {
                    subscribed(&order(0), ID);
                }
            }
            _ => {}
        }
    }

    /// That an answer says what it has to.
    fn check(&self, answer: &Value) {
        match self.function {
            "authorizer" => {
                let policy = &answer["policyDocument"]["Statement"][0];
                assert_eq!((&answer["principalId"], &policy["Effect"]), (&json!("user_123"), &json!("Allow")));
            }
            "event-handler" | "fan-out" => assert_eq!(*answer, json!({"batchItemFailures": []})),
            "subscribe" => assert!(answer["body"].as_str().unwrap().contains(r#""version":0"#), "{answer}"),
            _ => assert_eq!(answer["statusCode"], 200, "{answer}"),
        }
    }
}

fn order(number: usize) -> String {
    format!("order_{number}")
}

fn put(engine: &Engine, table: &str, item: &Value) {
    let request = json!({"TableName": table, "Item": item});
    engine.database.put_item(serde_json::from_value(request).unwrap()).unwrap();
}

fn browser(route: &str, kind: &str, body: Option<Value>) -> Value {
    let mut event = json!({
        "requestContext": {
            "routeKey": route, "eventType": kind, "messageDirection": "IN", "connectionId": ID, "stage": "local",
            "connectedAt": 4_000_000_000_000_i64, "requestTimeEpoch": 4_000_000_000_000_i64, "apiId": "a",
            "requestTime": "26/Nov/2026:00:00:00 +0000", "requestId": "XfGLwFTktjMFsLg=",
            "extendedRequestId": "XfGLwFTktjMFsLg=", "domainName": "a.execute-api.us-east-1.amazonaws.com",
            "identity": {"sourceIp": "127.0.0.1"},
            "authorizer": {"principalId": "user_123", "scope": "orders:read:all"},
        },
        "isBase64Encoded": false,
    });
    if let Some(body) = body {
        event["body"] = json!(body.to_string());
    } else {
        event["headers"] = json!({"Host": "a"});
        event["multiValueHeaders"] = json!({"Host": ["a"]});
    }
    event
}

/// An order's first event, as its table has it.
fn image(order_id: &str) -> Value {
    let data =
        json!({"eventName": {"S": "OrderChanged"}, "orderId": {"S": order_id}, "note": {"S": "x".repeat(NOTE_BYTES)}});
    json!({"orderId": {"S": order_id}, "version": {"N": "1"}, "ref": {"S": "1"}, "ts": {"N": "0"}, "data": {"M": data}})
}

fn batch(order_ids: &[String]) -> Value {
    let record = |order_id: &String| json!({"dynamodb": {"SequenceNumber": "1", "NewImage": image(order_id)}});
    json!({"Records": order_ids.iter().map(record).collect::<Vec<Value>>()})
}

fn page() -> Value {
    let page = json!({"orderId": POPULAR, "first": 1, "version": 1, "before": {"owner": null}});
    json!({"Records": [{"messageId": "m", "body": page.to_string()}]})
}
