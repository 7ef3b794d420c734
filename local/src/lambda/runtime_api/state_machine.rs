//! The Runtime API from the side of its process: which call is allowed when, and what each answers.
//!
//! Owns: the tests of the state machine.
//! Must not know: sandboxes.
//! Source: AWS's Runtime Interface Emulator.

use hyper_util::{client::legacy::Client, rt::TokioExecutor};

use super::*;
use crate::limits::REPLY_BYTES_MAX;

/// A process of a function.
struct Process(SocketAddr);

impl Process {
    async fn call(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Bytes) -> Response<Bytes> {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.0));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let client = Client::builder(TokioExecutor::new()).build_http();
        let answer = client.request(request.body(Full::new(body)).unwrap()).await.unwrap();
        let (head, body) = answer.into_parts();
        Response::from_parts(head, body.collect().await.unwrap().to_bytes())
    }

    /// Status and error type, or the body of a success.
    async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> (u16, String) {
        said(&self.call("POST", path, headers, body.into()).await)
    }

    async fn next(&self) -> (HeaderMap, Bytes) {
        let answer = self.call("GET", &format!("{INVOCATION}next"), &[], Bytes::new()).await;
        assert_eq!(answer.status(), StatusCode::OK);
        (answer.headers().clone(), answer.into_body())
    }

    /// The id of the next invocation.
    async fn taken(&self) -> String {
        self.next().await.0["lambda-runtime-aws-request-id"].to_str().unwrap().to_owned()
    }
}

fn said(answer: &Response<Bytes>) -> (u16, String) {
    let body: Value = serde_json::from_slice(answer.body()).unwrap();
    let said = body.get("errorType").or_else(|| body.get("status")).unwrap();
    (answer.status().as_u16(), said.as_str().unwrap().to_owned())
}

async fn start() -> (RuntimeApi, Process) {
    let api = RuntimeApi::start().await.unwrap();
    let process = Process(api.address());
    (api, process)
}

fn response(request_id: &str) -> String {
    format!("{INVOCATION}{request_id}/response")
}

async fn invoke(api: &RuntimeApi) -> Reply {
    api.invoke("f", Bytes::from_static(b"{\"n\":1}"), Duration::from_secs(3)).await
}

fn refused(status: u16, error_type: &str) -> (u16, String) {
    (status, error_type.to_owned())
}

#[tokio::test]
async fn next_hands_over_the_event_with_its_headers_and_a_response_is_202() {
    let (mut api, process) = start().await;
    let served = async {
        let (headers, event) = process.next().await;
        assert_eq!(event, "{\"n\":1}");
        assert_eq!(headers["content-type"], "application/json");
        let arn = &headers["lambda-runtime-invoked-function-arn"];
        assert_eq!(arn, "arn:aws:lambda:us-east-1:000000000000:function:f");
        let deadline_ms: u128 = headers["lambda-runtime-deadline-ms"].to_str().unwrap().parse().unwrap();
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        assert!(deadline_ms > now_ms && deadline_ms <= now_ms + 3_000);
        assert!(headers["lambda-runtime-trace-id"].to_str().unwrap().starts_with("Root=1-"));
        assert!(!headers.contains_key("lambda-runtime-client-context"), "what is empty is left out");
        let request_id = headers["lambda-runtime-aws-request-id"].to_str().unwrap();
        assert_eq!(process.post(&response(request_id), &[], "7").await, (202, "OK".to_owned()));
    };
    let (reply, ()) = tokio::join!(invoke(&api), served);
    assert_eq!(reply, Ok(Bytes::from_static(b"7")));
    api.ready().await.unwrap();
}

#[tokio::test]
async fn a_response_to_another_invocation_than_the_current_one_is_400() {
    let (api, process) = start().await;
    let invalid = refused(400, "InvalidRequestID");
    assert_eq!(process.post(&response("nothing"), &[], "{}").await, invalid, "before the first next");
    let served = async {
        let request_id = process.taken().await;
        assert_eq!(process.post(&response("other"), &[], "{}").await, invalid);
        assert_eq!(process.post(&response(&request_id), &[], "{}").await, (202, "OK".to_owned()));
        assert_eq!(process.post(&response(&request_id), &[], "{}").await, invalid, "a second response");
    };
    let (reply, ()) = tokio::join!(invoke(&api), served);
    assert_eq!(reply, Ok(Bytes::from_static(b"{}")));
}

#[tokio::test]
async fn next_before_the_reply_and_an_init_error_after_init_are_403() {
    let (api, process) = start().await;
    let not_allowed = refused(403, "InvalidStateTransition");
    let served = async {
        let request_id = process.taken().await;
        assert_eq!(said(&process.call("GET", &format!("{INVOCATION}next"), &[], Bytes::new()).await), not_allowed);
        assert_eq!(process.post("/2018-06-01/runtime/init/error", &[], "{}").await, not_allowed);
        process.post(&response(&request_id), &[], "{}").await;
    };
    tokio::join!(invoke(&api), served).0.unwrap();
}

#[tokio::test]
async fn an_error_is_handed_to_the_caller_unchanged() {
    let (api, process) = start().await;
    let error = r#"{"errorMessage":"no","errorType":"Oops","stackTrace":[]}"#;
    for (header, error_type) in [("unhandled", "Runtime.Unknown"), ("Function.Oops", "Function.Oops")] {
        let served = async {
            let path = format!("{INVOCATION}{}/error", process.taken().await);
            let headers = [(ERROR_TYPE_HEADER, header)];
            assert_eq!(process.post(&path, &headers, error).await, (202, "OK".to_owned()));
        };
        let (reply, ()) = tokio::join!(invoke(&api), served);
        assert_eq!(reply, Err(FunctionError { error_type: error_type.to_owned(), body: error.into() }));
    }
}

#[tokio::test]
async fn an_init_error_is_202_and_what_becomes_ready_is_that_error() {
    let (mut api, process) = start().await;
    let error = r#"{"errorMessage":"no","errorType":"Runtime.NoConfig"}"#;
    assert_eq!(process.post("/2018-06-01/runtime/init/error", &[], error).await, (202, "OK".to_owned()));
    let failed = FunctionError { error_type: "Runtime.NoConfig".to_owned(), body: error.into() };
    assert_eq!(api.ready().await, Err(failed));
}

#[tokio::test]
async fn a_response_of_more_than_6_mb_and_100_bytes_is_413_and_an_error_to_the_caller() {
    let (api, process) = start().await;
    for (bytes, status) in [(REPLY_BYTES_MAX, 202), (REPLY_BYTES_MAX + 1, 413)] {
        let served = async {
            let request_id = process.taken().await;
            process.post(&response(&request_id), &[], vec![b' '; bytes]).await
        };
        let (reply, answer) = tokio::join!(invoke(&api), served);
        assert_eq!(answer.0, status);
        match reply {
            Ok(reply) => assert_eq!((reply.len(), status), (REPLY_BYTES_MAX, 202)),
            Err(error) => {
                assert_eq!(error.error_type, "Function.ResponseSizeTooLarge");
                assert_eq!(answer.1, "RequestEntityTooLarge");
            }
        }
    }
}

#[tokio::test]
async fn a_response_mode_other_than_streaming_is_400() {
    let (api, process) = start().await;
    let served = async {
        let path = response(&process.taken().await);
        let refused_mode = process.post(&path, &[(RESPONSE_MODE_HEADER, "buffered")], "{}").await;
        assert_eq!(refused_mode, refused(400, "InvalidFunctionResponseMode"));
        assert_eq!(process.post(&path, &[(RESPONSE_MODE_HEADER, "streaming")], "{}").await.0, 202);
    };
    tokio::join!(invoke(&api), served).0.unwrap();
}

#[tokio::test]
async fn a_response_that_is_cut_off_is_an_error_to_the_caller() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (api, process) = start().await;
    let served = async {
        let path = response(&process.taken().await);
        let mut socket = tokio::net::TcpStream::connect(process.0).await.unwrap();
        let head = format!("POST {path} HTTP/1.1\r\nhost: l\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab");
        socket.write_all(head.as_bytes()).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.ok();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    };
    let (reply, ()) = tokio::join!(invoke(&api), served);
    assert_eq!(reply.unwrap_err().error_type, "Runtime.TruncatedResponse");
}

#[tokio::test]
async fn an_extension_can_be_registered_and_a_ping_is_answered() {
    let (api, process) = start().await;
    assert!(!api.has_extension());
    let registered = process.call("POST", "/2020-01-01/extension/register", &[], Bytes::from_static(b"{}")).await;
    assert!(registered.headers().contains_key("lambda-extension-identifier") && api.has_extension());
    assert_eq!(process.call("GET", "/2018-06-01/ping", &[], Bytes::new()).await.status(), StatusCode::OK);
    assert_eq!(process.call("GET", "/2018-06-01/nothing", &[], Bytes::new()).await.status(), StatusCode::NOT_FOUND);
}
