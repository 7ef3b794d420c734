//! What AWS does with the functions' calls: it carries out each call's fate.
//!
//! API Gateway answers 410, 429 and 5xx, leaves posts without an answer or loses them; DynamoDB and SQS throttle, fail, and
//! now and then have done what they say they have not.

use serde_json::{Value, json};

use super::{
    World,
    bad::{BadConnection, REFUSED_ID},
    inputs::EXPIRED_AT_S,
};
use crate::{
    dynamodb,
    fate::Fate,
    gate::{Call, Request},
};

impl World {
    /// Lets one call through, or not.
    pub(super) fn answer(&mut self) {
        let call = self.waiting.remove(self.random.usize(0..self.waiting.len()));
        self.report.calls += 1;
        let is_push = !matches!(call.request, Request::Operation(..));
        let fate = match is_push {
            false if self.kinds.operations => Fate::of_operation(&mut self.random),
            true if self.kinds.pushes => Fate::of_push(&mut self.random),
            false | true => Fate::Served,
        };
        let fate = if is_push && self.is_out { Fate::Failed { served: false } } else { fate };
        if let Some(fault) = fate.fault() {
            self.report.fault(fault);
        }
        let named = match &call.request {
            Request::Operation(operation, request) => format!("{operation} {}", request["TableName"]),
            Request::Post(connection_id, text) => format!("post to {connection_id}, {} bytes", text.len()),
            Request::Get(connection_id) => format!("get {connection_id}"),
            Request::Delete(connection_id) => format!("delete {connection_id}"),
        };
        self.tell(format!("#{} {named}: {fate:?}", call.actor));
        match call.request.clone() {
            Request::Operation(operation, request) => self.operate(call, fate, &operation, &request),
            Request::Post(connection_id, text) => self.post(call, fate, &connection_id, text),
            Request::Get(connection_id) => self.probe(call, fate, &connection_id),
            Request::Delete(connection_id) => self.delete(call, fate, &connection_id),
        }
    }

    fn operate(&mut self, call: Call, fate: Fate, operation: &str, request: &Value) {
        if let Some(error_type) = self.bad.answer(operation, request) {
            let error = json!({"__type": error_type, "message": "it stays so"});
            return call.answer(400, None, error.to_string().into_bytes());
        }
        let is_unread = self.stores_unread(call.actor, operation, request);
        let (database, queues, random) = (&self.database, &mut self.queues, &mut self.random);
        let is_faulty = self.kinds.operations;
        let (mut refused, mut stored) = (0, 0);
        let mut serve = || {
            if matches!(operation, "SendMessage" | "SendMessageBatch") {
                let answer = queues.send(request, || !is_faulty || random.u8(0..4) > 0);
                return (200, answer.to_string().into_bytes());
            }
            let (status, body) = dynamodb::serve(database, operation, request);
            refused += u64::from(is_unread && status == 400);
            stored += u64::from(is_unread && status == 200);
            (status, body)
        };
        match fate {
            Fate::Served | Fate::Lost => {
                let (status, body) = serve();
                call.answer(status, None, body);
            }
            Fate::Throttled => {
                let error =
                    json!({"__type": "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"});
                call.answer(400, None, error.to_string().into_bytes());
            }
            Fate::Failed { served } | Fate::Broken { served } | Fate::Hanging { served } => {
                if served {
                    serve();
                }
                self.spoil(call, fate, "com.amazonaws.dynamodb.v20120810#InternalServerError");
            }
        }
        self.report.folds_unread += stored;
        self.report.folds_stale += refused;
        if request["TableName"] == "subscriptions" && operation != "Query" {
            self.age_rows();
        }
    }

    /// The token of a connection ends: its messages are of somebody whom nobody vouches for, its rows have expired.
    pub(super) fn expire(&mut self, connection_id: &str) {
        self.report.fault("token ended");
        self.tell(format!("the token of {connection_id} ends"));
        self.sockets.get_mut(connection_id).unwrap().has_expired = true;
        self.age_rows();
    }

    /// The functions' clock is the machine's, so it is not the clock that reaches the end of a token: the rows of connections
    /// whose tokens have ended get an end that has passed.
    fn age_rows(&self) {
        let expired = self.sockets.iter().filter(|(_, socket)| socket.has_expired);
        for (connection_id, socket) in expired {
            for order_id in self.browsers[socket.browser].orders.keys() {
                let age = json!({
                    "TableName": "subscriptions",
                    "Key": {"orderId": {"S": order_id.as_str()}, "connectionId": {"S": connection_id}},
                    "UpdateExpression": "SET expiresAt = :end",
                    "ConditionExpression": "attribute_exists(connectionId)",
                    "ExpressionAttributeValues": {":end": {"N": EXPIRED_AT_S.to_string()}},
                });
                dynamodb::serve(&self.database, "UpdateItem", &age);
            }
        }
    }

    /// Whether an invocation stores a projection whose order it has not read: folded onto what its process remembers.
    fn stores_unread(&mut self, actor: u64, operation: &str, request: &Value) -> bool {
        if request["TableName"] != "order_projections" {
            return false;
        }
        let order_of = |item: &str| (actor, request[item]["orderId"]["S"].as_str().unwrap_or_default().to_owned());
        match operation {
            "GetItem" => {
                self.projections_read.insert(order_of("Key"));
                false
            }
            "PutItem" => !self.projections_read.contains(&order_of("Item")),
            _ => false,
        }
    }

    /// Keeps a call from its answer.
    fn spoil(&mut self, call: Call, fate: Fate, error_type: &'static str) {
        match fate {
            Fate::Failed { .. } => {
                call.answer(500, Some(error_type), json!({"__type": error_type}).to_string().into_bytes())
            }
            Fate::Broken { .. } => call.break_off(),
            Fate::Served | Fate::Throttled | Fate::Hanging { .. } | Fate::Lost => self.hanging.push(call),
        }
    }

    fn post(&mut self, call: Call, fate: Fate, connection_id: &str, text: String) {
        if is_refused(connection_id) {
            return call.answer(400, Some("BadRequestException"), Vec::new());
        }
        let Some(socket) = self.sockets.get_mut(connection_id) else {
            return call.answer(410, Some("GoneException"), Vec::new());
        };
        if socket.is_dead || socket.bad == Some(BadConnection::Silent) {
            return self.hanging.push(call);
        }
        let is_refusing = socket.is_clogged || socket.bad == Some(BadConnection::Refusing);
        let fate = if is_refusing { Fate::Throttled } else { fate };
        match fate {
            Fate::Served => {
                socket.wire.push_back(text);
                call.answer(200, None, Vec::new());
            }
            Fate::Throttled => call.answer(429, Some("LimitExceededException"), Vec::new()),
            Fate::Lost => {
                call.answer(200, None, Vec::new());
                self.end(connection_id, "lost");
            }
            Fate::Failed { served } | Fate::Broken { served } | Fate::Hanging { served } => {
                if served {
                    socket.wire.push_back(text);
                }
                self.spoil(call, fate, "InternalServerError");
            }
        }
    }

    /// Whether there is such a connection: no push, and no trace in its browser.
    fn probe(&mut self, call: Call, fate: Fate, connection_id: &str) {
        match fate {
            _ if is_refused(connection_id) => call.answer(400, Some("BadRequestException"), Vec::new()),
            Fate::Served | Fate::Lost if self.sockets.contains_key(connection_id) => {
                call.answer(200, None, b"{}".to_vec());
            }
            Fate::Served | Fate::Lost => call.answer(410, Some("GoneException"), Vec::new()),
            Fate::Throttled => call.answer(429, Some("LimitExceededException"), Vec::new()),
            Fate::Failed { .. } | Fate::Broken { .. } | Fate::Hanging { .. } => {
                self.spoil(call, fate, "InternalServerError");
            }
        }
    }

    fn delete(&mut self, call: Call, fate: Fate, connection_id: &str) {
        if is_refused(connection_id) {
            return call.answer(400, Some("BadRequestException"), Vec::new());
        }
        match fate {
            Fate::Served | Fate::Lost => {
                let is_open = self.sockets.contains_key(connection_id);
                self.end(connection_id, "deleted");
                let (status, error_type) = if is_open { (204, None) } else { (410, Some("GoneException")) };
                call.answer(status, error_type, Vec::new());
            }
            Fate::Throttled => call.answer(429, Some("LimitExceededException"), Vec::new()),
            Fate::Failed { served } | Fate::Broken { served } | Fate::Hanging { served } => {
                if served {
                    self.end(connection_id, "deleted");
                }
                self.spoil(call, fate, "InternalServerError");
            }
        }
    }
}

/// Whether API Gateway takes a text for a connection's id.
fn is_refused(connection_id: &str) -> bool {
    connection_id.replace("%20", " ") == REFUSED_ID
}
