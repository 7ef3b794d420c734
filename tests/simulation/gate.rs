//! The gate: every call of every function waits here until the scheduler lets it through.
//!
//! Owns: being the SDKs' HTTP client, and who made which call.
//! Must not know: what a call does, which comes next.
//! Source: the SDKs' own seam for HTTP clients; above it everything is as deployed.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use dynoxide::Database;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::dynamodb;

tokio::task_local! {
    /// Which invocation is running.
    pub(crate) static ACTOR: u64;
}

/// A call that waits.
pub(crate) struct Call {
    /// The invocation that made it.
    pub(crate) actor: u64,
    /// What it asks for.
    pub(crate) request: Request,
    answer: oneshot::Sender<Result<HttpResponse, ConnectorError>>,
}

/// What a call asks for.
#[derive(Clone, Debug)]
pub(crate) enum Request {
    /// An operation of DynamoDB or SQS, by its `X-Amz-Target`, and its JSON.
    Operation(String, Value),
    /// A text for a connection.
    Post(String, String),
    /// Whether there is a connection.
    Get(String),
    /// A connection is to be closed.
    Delete(String),
}

/// Calls that wait, in the order in which they were made.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<Mutex<Vec<Call>>>);

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gate")
    }
}

impl Gate {
    /// Takes out the calls that came since the last time.
    pub(crate) fn take(&self) -> Vec<Call> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

impl Call {
    /// Answers the call with a status, an error type and a body.
    pub(crate) fn answer(self, status: u16, error_type: Option<&'static str>, body: Vec<u8>) {
        let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body));
        if let Some(error_type) = error_type {
            response.headers_mut().insert("x-amzn-errortype", error_type);
        }
        // Whoever asked may have been killed.
        self.answer.send(Ok(response)).ok();
    }

    /// The connection breaks before the answer is through.
    pub(crate) fn break_off(self) {
        self.answer.send(Err(ConnectorError::io("the connection broke".into()))).ok();
    }

    /// Whether somebody still waits for the answer.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.answer.is_closed()
    }
}

impl HttpClient for Gate {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Gate {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let (answer, answered) = oneshot::channel();
        let actor = ACTOR.with(|actor| *actor);
        self.0.lock().unwrap().push(Call { actor, request: read(&request), answer });
        HttpConnectorFuture::new(async move {
            answered.await.unwrap_or_else(|_dropped| Err(ConnectorError::io("the call was dropped".into())))
        })
    }
}

/// A gate without a wait: DynamoDB serves at once, and nothing goes wrong.
#[derive(Clone)]
pub(crate) struct OpenGate(pub(crate) Database);

impl std::fmt::Debug for OpenGate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OpenGate")
    }
}

impl HttpClient for OpenGate {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for OpenGate {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let Request::Operation(operation, request) = read(&request) else { panic!("no call to DynamoDB") };
        let (status, body) = dynamodb::serve(&self.0, &operation, &request);
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body))))
    }
}

fn read(request: &HttpRequest) -> Request {
    let body = request.body().bytes().unwrap_or_default();
    if let Some(target) = request.headers().get("x-amz-target") {
        let operation = target.rsplit('.').next().unwrap().to_owned();
        return Request::Operation(operation, serde_json::from_slice(body).unwrap());
    }
    let (_, connection_id) =
        request.uri().split_once("/@connections/").or_else(|| request.uri().split_once("/%40connections/")).unwrap();
    let connection_id = connection_id.to_owned();
    match request.method() {
        "POST" => Request::Post(connection_id, String::from_utf8(body.to_vec()).unwrap()),
        "GET" => Request::Get(connection_id),
        "DELETE" => Request::Delete(connection_id),
        method => panic!("a call that is not simulated: {method}"),
    }
}
