//! A WebSocket application of two routes: a browser gets back what it sends.
//!
//! Owns: nothing; it is what anybody's function looks like to the local stack.
//! Must not know: where it runs.
//! Source: docs/local.md, "Your own application".

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(handle)).await
}

async fn handle(event: LambdaEvent<Value>) -> Result<Value, Error> {
    let body = event.payload.get("body").cloned();
    Ok(json!({"statusCode": 200, "body": body.unwrap_or_default()}))
}
