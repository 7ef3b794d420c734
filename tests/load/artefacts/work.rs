//! What each function is given to do.
//!
//! Owns: the events of API Gateway and of the change feed, and the rows that they are about.
//! Must not know: how a function is run.
//! Source: events as API Gateway and the event source mapping send them.

use serde_json::{Value, json};
use tests::engine::Engine;

/// The functions that are measured.
pub(crate) const FUNCTIONS: [&str; 5] = ["authorizer", "connect", "disconnect", "subscribe", "event-handler"];

/// Bytes of an event's largest field.
const NOTE_BYTES: usize = 1_000;
/// Orders of the change feed's largest batch, each with one event.
const ORDERS: usize = 100;
/// Invocations of a function that serves browsers.
const REPEATS: usize = 500;
/// Subscribers of one order.
const SUBSCRIBERS: usize = 1_000;

/// One function's events.
pub(crate) struct Work {
    function: &'static str,
    is_heavy: bool,
}

impl Work {
    /// One event, as light as the function's usual one.
    pub(crate) fn first(function: &'static str) -> Self {
        Self { function, is_heavy: false }
    }

    /// As much as one process is given: five hundred browsers, or a whole batch and an update for a thousand subscribers.
    pub(crate) fn heavy(function: &'static str) -> Self {
        Self { function, is_heavy: true }
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        let light = match self.function {
            "authorizer" => authorize(),
            "connect" => browser("$connect", "CONNECT", None),
            "disconnect" => browser("$disconnect", "DISCONNECT", None),
            "subscribe" => browser("subscribe", "MESSAGE", Some(json!({"action": "subscribe", "orderId": "order_0"}))),
            _ => batch(&[("order_0".to_owned(), 1)]),
        };
        if !self.is_heavy {
            return vec![light];
        }
        if self.function != "event-handler" {
            return vec![light; REPEATS];
        }
        let orders: Vec<_> = (0..ORDERS).map(|n| (format!("order_{n}"), 1)).collect();
        vec![batch(&orders), batch(&[("popular".to_owned(), 1)])]
    }

    /// The rows that the events are about.
    pub(crate) fn prepare(&self, engine: &Engine) {
        let subscribers = if self.is_heavy && self.function == "event-handler" { SUBSCRIBERS } else { 0 };
        for n in 0..subscribers {
            let row = json!({"orderId": {"S": "popular"}, "connectionId": {"S": format!("{n:015}=")},
                             "principalId": {"S": "support"}, "readsAll": {"BOOL": true}, "expiresAt": {"N": "4102444800"}});
            put(engine, "subscriptions", &row);
        }
        if self.function == "subscribe" {
            let connection = json!({"connectionId": {"S": ID}, "principalId": {"S": "anonymous"},
                                    "connectedAt": {"N": "0"}, "expiresAt": {"N": "4102444800"}});
            put(engine, "connections", &connection);
        }
    }
}

/// A connection's id, as API Gateway makes them.
const ID: &str = "L0SM9cOFvHcCIhw=";

fn put(engine: &Engine, table: &str, item: &Value) {
    let request = json!({"TableName": table, "Item": item});
    engine.database.put_item(serde_json::from_value(request).unwrap()).unwrap();
}

fn browser(route: &str, kind: &str, body: Option<Value>) -> Value {
    let mut event = json!({
        "requestContext": {
            "routeKey": route, "eventType": kind, "messageDirection": "IN", "connectionId": ID, "stage": "local",
            "connectedAt": 1_795_000_000_000_i64, "requestTimeEpoch": 1_795_000_000_000_i64, "apiId": "a",
            "requestTime": "26/Nov/2026:00:00:00 +0000", "requestId": "XfGLwFTktjMFsLg=",
            "extendedRequestId": "XfGLwFTktjMFsLg=", "domainName": "a.execute-api.us-east-1.amazonaws.com",
            "identity": {"sourceIp": "127.0.0.1"},
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

/// A token that is none: it is refused without a look at the keys.
fn authorize() -> Value {
    let mut event = browser("$connect", "CONNECT", None);
    event["type"] = json!("REQUEST");
    event["methodArn"] = json!("arn:aws:execute-api:us-east-1:000000000000:a/local/$connect");
    event["queryStringParameters"] = json!({"token": "none"});
    event
}

fn batch(events: &[(String, u64)]) -> Value {
    let record = |(order_id, version): &(String, u64)| {
        let data = json!({"eventName": {"S": "OrderChanged"}, "orderId": {"S": order_id},
                          "note": {"S": "x".repeat(NOTE_BYTES)}});
        let image = json!({"orderId": {"S": order_id}, "version": {"N": version.to_string()},
                           "ref": {"S": version.to_string()}, "ts": {"N": "0"}, "data": {"M": data}});
        json!({"dynamodb": {"SequenceNumber": version.to_string(), "NewImage": image}})
    };
    json!({"Records": events.iter().map(record).collect::<Vec<Value>>()})
}
