//! What AWS does with the functions' calls, and with the frames on their way to browsers.
//!
//! Owns: carrying out each call's fate, and the end of a connection.
//! Must not know: which call comes next.
//! Source: facts on API Gateway: 410, 429, posts that hang or are lost, `$disconnect` that never comes.

use serde_json::{Value, json};

use super::{Outcome, Role, World, inputs::invocation};
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
            Request::Delete(connection_id) => format!("delete {connection_id}"),
        };
        self.tell(format!("#{} {named}: {fate:?}", call.actor));
        match call.request.clone() {
            Request::Operation(operation, request) => self.operate(call, fate, &operation, &request),
            Request::Post(connection_id, text) => self.post(call, fate, &connection_id, text),
            Request::Delete(connection_id) => self.delete(call, fate, &connection_id),
        }
    }

    fn operate(&mut self, call: Call, fate: Fate, operation: &str, request: &Value) {
        let is_unread = self.stores_unread(call.actor, operation, request);
        let (database, pages, random) = (&self.database, &mut self.pages, &mut self.random);
        let is_faulty = self.kinds.operations;
        let (mut refused, mut stored) = (0, 0);
        let mut serve = || {
            if operation == "SendMessageBatch" {
                let answer = pages.send(request, || !is_faulty || random.u8(0..4) > 0);
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
        let Some(socket) = self.sockets.get_mut(connection_id) else {
            return call.answer(410, Some("GoneException"), Vec::new());
        };
        if socket.is_dead {
            return self.hanging.push(call);
        }
        let fate = if socket.is_clogged { Fate::Throttled } else { fate };
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

    fn delete(&mut self, call: Call, fate: Fate, connection_id: &str) {
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

    /// A connection ends: what is on its wire is lost, its browser knows, and `$disconnect` comes or does not.
    pub(super) fn end(&mut self, connection_id: &str, how: &str) {
        let Some(socket) = self.sockets.remove(connection_id) else { return };
        self.tell(format!("{connection_id} of browser {} ends: {how}", socket.browser));
        self.browsers[socket.browser].disconnected();
        if self.kinds.misses && self.random.bool() {
            self.report.fault("$disconnect missed");
            return;
        }
        let request = invocation(connection_id, &self.browsers[socket.browser].principal, 0, None);
        let disconnect = self.disconnect.clone();
        self.begin(Role::Disconnect, async move { Outcome::Reply(disconnect.handle(request).await.ok()) });
    }

    /// A frame arrives, now and then one that overtook another.
    pub(super) fn carry(&mut self) {
        let full = self.sockets.iter().filter(|(_, socket)| !socket.is_dead && !socket.wire.is_empty());
        let full: Vec<String> = full.map(|(id, _)| id.clone()).collect();
        let connection_id = &full[self.random.usize(0..full.len())];
        let socket = self.sockets.get_mut(connection_id).unwrap();
        let overtakes = self.kinds.overtaking && socket.wire.len() > 1 && self.random.u8(0..8) == 0;
        let frame = socket.wire.remove(usize::from(overtakes)).unwrap();
        let browser = socket.browser;
        if overtakes {
            self.report.fault("message overtaken");
        }
        self.tell(format!("browser {browser} gets {} bytes", frame.len()));
        self.browsers[browser].receive(&frame, &mut self.report);
    }
}
