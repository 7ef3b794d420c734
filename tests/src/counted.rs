//! A DynamoDB whose every call is counted: a proxy before a real one.
//!
//! Owns: asking DynamoDB for the capacity that each call consumed, and adding it up.
//! Must not know: who calls.
//! Source: `ReturnConsumedCapacity` of DynamoDB's API.

use std::{
    net::Ipv4Addr,
    sync::{Arc, Mutex},
};

use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, Uri, body::Bytes, body::Incoming, service::service_fn};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// What was called, and what it consumed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Bill {
    /// Each call in its order: operation and table, and whether it is a strongly consistent read.
    pub calls: Vec<String>,
    /// Read and write capacity units, added up.
    pub capacity_units: f64,
}

/// A proxy before DynamoDB.
pub struct Counted {
    /// Where to call it.
    pub url: String,
    bill: Arc<Mutex<Bill>>,
    due: Arc<Mutex<Option<Due>>>,
}

/// What happens before the next call of an operation.
struct Due {
    operation: String,
    act: Box<dyn FnOnce() + Send>,
}

type Forward = Client<HttpConnector, Full<Bytes>>;

impl Counted {
    /// Starts a proxy. It ends with the test's runtime.
    pub async fn start(dynamodb_url: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let bill = Arc::new(Mutex::new(Bill::default()));
        let forward: Forward = Client::builder(TokioExecutor::new()).build_http();
        let due = Arc::new(Mutex::new(None));
        let shared = (Arc::clone(&bill), Arc::clone(&due));
        let dynamodb: Uri = dynamodb_url.parse().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (shared, forward, dynamodb) = (shared.clone(), forward.clone(), dynamodb.clone());
                let serve = service_fn(move |request| call(request, dynamodb.clone(), forward.clone(), shared.clone()));
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), serve));
            }
        });
        Self { url, bill, due }
    }

    /// Does something once, before the next call of this operation is served.
    pub fn before(&self, operation: &str, act: impl FnOnce() + Send + 'static) {
        *self.due.lock().unwrap() = Some(Due { operation: operation.to_owned(), act: Box::new(act) });
    }

    /// What was called since the last time.
    #[must_use]
    pub fn take(&self) -> Bill {
        std::mem::take(&mut *self.bill.lock().unwrap())
    }
}

async fn call(
    request: Request<Incoming>,
    dynamodb: Uri,
    forward: Forward,
    (bill, due): (Arc<Mutex<Bill>>, Arc<Mutex<Option<Due>>>),
) -> Result<Response<Full<Bytes>>, hyper_util::client::legacy::Error> {
    let (mut parts, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let mut asked: Value = serde_json::from_slice(&body).unwrap();
    asked["ReturnConsumedCapacity"] = json!("TOTAL");
    let operation = parts.headers["x-amz-target"].to_str().unwrap().rsplit('.').next().unwrap().to_owned();
    let due = due.lock().unwrap().take_if(|due| due.operation == operation);
    if let Some(Due { act, .. }) = due {
        act();
    }
    parts.uri = dynamodb;
    parts.headers.remove("content-length");
    let answer = forward.request(Request::from_parts(parts, Full::new(asked.to_string().into()))).await?;
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let answered: Value = serde_json::from_slice(&body).unwrap();
    let consumed = &answered["ConsumedCapacity"];
    let consumed = consumed.as_array().map_or_else(|| vec![consumed.clone()], Clone::clone);
    let units: f64 = consumed.iter().filter_map(|table| table["CapacityUnits"].as_f64()).sum();
    let mut bill = bill.lock().unwrap();
    // A batch of reads names its tables, each with how it is read.
    let in_batch =
        asked["RequestItems"].as_object().and_then(|tables| tables.iter().next().filter(|_| tables.len() == 1));
    let (table, read) = match in_batch {
        Some((table, read)) => (table.as_str(), read),
        None => (asked["TableName"].as_str().unwrap_or("several tables"), &asked),
    };
    let consistent = if read["ConsistentRead"] == true { ", consistent" } else { "" };
    bill.calls.push(format!("{operation} {table}{consistent}"));
    bill.capacity_units += units;
    drop(bill);
    Ok(Response::from_parts(parts, Full::new(body)))
}
