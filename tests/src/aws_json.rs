//! A call of an AWS service as a foreign program makes it: JSON over HTTP.
//!
//! Owns: the headers, a signature that is there and not checked.
//! Must not know: services.
//! Source: AWS JSON protocol 1.0.

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value;

/// Calls an operation, such as `DynamoDB_20120810.PutItem`, that has to succeed.
pub async fn call(url: &str, access_key_id: &str, target: &str, request: &Value) -> Value {
    let scope = format!("{access_key_id}/20261124/us-east-1/any/aws4_request");
    let call = Request::post(url)
        .header("x-amz-target", target)
        .header("content-type", "application/x-amz-json-1.0")
        .header("authorization", format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"))
        .header("x-amz-date", "20261124T000000Z")
        .body(Full::<Bytes>::from(request.to_string()))
        .unwrap();
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let answer = client.request(call).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert!(status.is_success(), "{target}: {}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap_or_default()
}
