//! The function's own configuration: the secret from Secrets Manager, by one signed request.

use std::{
    convert::Infallible,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use fauna_feed::{Config, invoke};
use http_body_util::{BodyExt, Full};
use hyper::{HeaderMap, Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use store::aws::sdk_config;
use tests::{
    engine::{Engine, variables},
    fauna::{Fauna, ROOT_SECRET},
};
use tokio::{net::TcpListener, time::Instant};

use crate::rig::{create, event, make_schema};

type Asked = Arc<Mutex<Vec<(HeaderMap, Value)>>>;

/// A Secrets Manager that answers this, and what it was asked.
async fn secrets_manager(status: u16, answer: Value) -> (String, Asked) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = Asked::default();
    let asks = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (asks, answer) = (Arc::clone(&asks), answer.clone());
            let service = service_fn(move |request: Request<Incoming>| {
                let (asks, answer) = (Arc::clone(&asks), answer.clone());
                async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await.unwrap().to_bytes();
                    asks.lock().unwrap().push((head.headers, serde_json::from_slice(&body).unwrap()));
                    let mut response = Response::new(Full::<Bytes>::from(answer.to_string()));
                    *response.status_mut() = StatusCode::from_u16(status).unwrap();
                    Ok::<_, Infallible>(response)
                }
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    });
    (url, asked)
}

fn config(dynamodb_url: &str, fauna_url: &str, secrets_url: &str) -> Config {
    let (dynamodb, fauna, secrets) = (variables(dynamodb_url.to_owned()), fauna_url.to_owned(), secrets_url.to_owned());
    let var = move |name: &str| match name {
        "AWS_ENDPOINT_URL_SECRETS_MANAGER" => Some(secrets.clone()),
        "AWS_SESSION_TOKEN" => Some("session".to_owned()),
        "FAILURE_QUEUE_URL" => Some("http://127.0.0.1:1/queue".to_owned()),
        "FAUNA_ENDPOINT" => Some(fauna.clone()),
        "FAUNA_SECRET_ARN" => Some("arn:aws:secretsmanager:us-east-1:000000000000:secret:fauna".to_owned()),
        other => dynamodb(other),
    };
    Config::from_vars(&sdk_config(&var).unwrap(), &var).unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(2)
}

#[tokio::test]
async fn the_secret_comes_from_secrets_manager_anew_for_each_invocation() {
    let fauna = Fauna::start().await;
    make_schema(&fauna);
    fauna.query(&create(None, &event("o", 1)));
    let engine = Engine::start().await;
    let (url, asked) = secrets_manager(200, json!({"Name": "fauna", "SecretString": format!("{ROOT_SECRET}\n")})).await;
    let config = config(&engine.url, &fauna.url, &url);
    for appended in [1, 0] {
        let done = Box::pin(invoke(&config, soon())).await.unwrap();
        assert_eq!((&done["appended"], &done["isDrained"]), (&json!(appended), &json!(true)), "{done}");
    }
    let asked = asked.lock().unwrap();
    assert_eq!(asked.len(), 2);
    let (headers, body) = &asked[0];
    let header = |name: &str| headers[name].to_str().unwrap();
    assert_eq!(*body, json!({"SecretId": "arn:aws:secretsmanager:us-east-1:000000000000:secret:fauna"}));
    assert_eq!(header("x-amz-target"), "secretsmanager.GetSecretValue");
    assert_eq!((header("content-type"), header("x-amz-security-token")), ("application/x-amz-json-1.1", "session"));
    let authorization = header("authorization");
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=local/"), "{authorization}");
    assert!(authorization.contains("/us-east-1/secretsmanager/aws4_request, SignedHeaders="), "{authorization}");
}

#[tokio::test]
async fn a_secret_that_is_not_given_stops_the_invocation_and_is_not_repeated() {
    let cases = [
        (400, json!({"__type": "AccessDeniedException", "Message": "token-123"}), "status 400"),
        (200, json!({"SecretBinary": "dG9rZW4="}), "no text"),
        (200, json!({"SecretString": "token 123"}), "no text"),
    ];
    for (status, answer, expected) in cases {
        let (url, _asked) = secrets_manager(status, answer).await;
        let config = config("http://127.0.0.1:1", "http://127.0.0.1:1", &url);
        let error = format!("{:#}", Box::pin(invoke(&config, soon())).await.unwrap_err());
        assert!(error.contains(expected) && !error.contains("123"), "{error}");
    }
}
