//! SQS's JSON protocol before the queues.
//!
//! Owns: the operations that a sender and an operator need, and their answers on the wire.
//! Must not know: how messages are kept.
//! Source: SQS API reference, AWS JSON protocol 1.0: the operation is in `X-Amz-Target`. Signatures are not checked, and
//! attributes of messages are not kept.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};

use super::{Message, QueueError, Queues, Received};
use crate::template::{ACCOUNT_ID, REGION};

const TARGET_PREFIX: &str = "AmazonSQS.";

/// Messages of one `ReceiveMessage`. Source: SQS, 10.
const RECEIVED_MAX: u64 = 10;

/// Messages of one `SendMessageBatch`. Source: SQS, 10.
const SENT_MAX: usize = 10;

/// Longest time that a message is hidden. Source: SQS, 12 hours.
const HIDDEN_MAX_S: u64 = 43_200;

/// Longest delay of a message. Source: SQS, 15 minutes.
const DELAY_MAX_S: u64 = 900;

/// Longest wait for a message. Source: SQS, 20 seconds.
const WAIT_MAX_S: u64 = 20;

/// Largest message, in bytes. Source: SQS, 1 MiB.
const MESSAGE_BYTES_MAX: usize = 1_048_576;

/// An HTTP answer.
type Answer = Response<Full<Bytes>>;

/// An operation that is not served: status, error code and message.
struct Refusal(StatusCode, &'static str, String);

impl From<QueueError> for Refusal {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::NoQueue(_) => {
                let message = "The specified queue does not exist.".to_owned();
                Self(StatusCode::BAD_REQUEST, "QueueDoesNotExist", message)
            }
            QueueError::NotReceived => {
                let message = "The specified message isn't in flight.".to_owned();
                Self(StatusCode::BAD_REQUEST, "MessageNotInflight", message)
            }
            QueueError::File(error) => Self(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", error.to_string()),
        }
    }
}

/// Answers a request; `None` if it is not one of SQS's.
#[must_use]
pub fn answer(headers: &HeaderMap, body: &[u8], queues: &Arc<Queues>) -> Option<BoxFuture<'static, Answer>> {
    let target = headers.get("x-amz-target")?.to_str().ok()?;
    let operation = target.strip_prefix(TARGET_PREFIX)?.to_owned();
    let request: Value = serde_json::from_slice(body).unwrap_or_default();
    let queues = Arc::clone(queues);
    let answer = async move {
        match serve(&operation, &request, &queues).await {
            Ok(answer) => json_answer(StatusCode::OK, &answer),
            Err(Refusal(status, code, message)) => {
                let body = json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": message});
                json_answer(status, &body)
            }
        }
    };
    Some(answer.boxed())
}

fn json_answer(status: StatusCode, body: &Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = status;
    answer.headers_mut().insert("content-type", HeaderValue::from_static("application/x-amz-json-1.0"));
    answer
}

async fn serve(operation: &str, request: &Value, queues: &Queues) -> Result<Value, Refusal> {
    let text = |name: &str| request.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| request.get(name).and_then(Value::as_u64);
    let queue = text("QueueUrl").rsplit('/').next().unwrap_or_default();
    match operation {
        "SendMessage" => send(queues, queue, request).map(Value::Object),
        "SendMessageBatch" => send_batch(queues, queue, request),
        "ReceiveMessage" => {
            let messages_max = number("MaxNumberOfMessages").unwrap_or(1).min(RECEIVED_MAX);
            let hidden = number("VisibilityTimeout").map(Duration::from_secs);
            let hidden = hidden.map_or_else(|| queues.declared(queue).map(|queue| queue.visibility_time_out), Ok)?;
            let wait = Duration::from_secs(number("WaitTimeSeconds").unwrap_or(0).min(WAIT_MAX_S));
            let received = queues.wait(queue, usize::try_from(messages_max).unwrap_or(1), hidden, wait).await?;
            if received.is_empty() {
                return Ok(json!({}));
            }
            Ok(json!({"Messages": received.iter().map(received_message).collect::<Vec<_>>()}))
        }
        "ChangeMessageVisibility" => {
            let hidden = number("VisibilityTimeout").filter(|hidden| *hidden <= HIDDEN_MAX_S).ok_or_else(|| {
                let message = format!("VisibilityTimeout must be from 0 to {HIDDEN_MAX_S} seconds.");
                Refusal(StatusCode::BAD_REQUEST, "InvalidParameterValue", message)
            })?;
            queues.hide(queue, text("ReceiptHandle"), Duration::from_secs(hidden))?;
            Ok(json!({}))
        }
        "DeleteMessage" => {
            let handle = text("ReceiptHandle").to_owned();
            queues.delete(queue, |message| message.message_id == handle)?;
            Ok(json!({}))
        }
        "PurgeQueue" => {
            queues.delete(queue, |_message| true)?;
            Ok(json!({}))
        }
        "GetQueueUrl" => {
            let name = text("QueueName");
            queues.messages(name)?;
            Ok(json!({"QueueUrl": queue_url(name)}))
        }
        "ListQueues" => Ok(json!({"QueueUrls": queues.names().map(queue_url).collect::<Vec<_>>()})),
        "GetQueueAttributes" => {
            let messages = queues.messages(queue)?.len().to_string();
            Ok(json!({"Attributes": {"ApproximateNumberOfMessages": messages, "QueueArn": queue_arn(queue)}}))
        }
        _ => {
            let message = format!("{operation} is not emulated");
            Err(Refusal(StatusCode::BAD_REQUEST, "UnsupportedOperation", message))
        }
    }
}

fn send(queues: &Queues, queue: &str, request: &Value) -> Result<Map<String, Value>, Refusal> {
    let body = request.get("MessageBody").and_then(Value::as_str).unwrap_or_default();
    if body.is_empty() || body.len() > MESSAGE_BYTES_MAX {
        let message = format!("MessageBody must be from 1 to {MESSAGE_BYTES_MAX} bytes.");
        return Err(Refusal(StatusCode::BAD_REQUEST, "InvalidParameterValue", message));
    }
    let delay = match request.get("DelaySeconds") {
        None => Some(0),
        Some(delay) => delay.as_u64().filter(|delay| *delay <= DELAY_MAX_S),
    };
    let Some(delay) = delay else {
        let message = format!("DelaySeconds must be from 0 to {DELAY_MAX_S} seconds.");
        return Err(Refusal(StatusCode::BAD_REQUEST, "InvalidParameterValue", message));
    };
    let Message { message_id, body, .. } = queues.send_delayed(queue, body, Duration::from_secs(delay))?;
    let md5 = md5_of(&body);
    Ok(Map::from_iter([("MessageId".to_owned(), json!(message_id)), ("MD5OfMessageBody".to_owned(), json!(md5))]))
}

/// Sends several messages, each with its own outcome; together they may be as large as one.
fn send_batch(queues: &Queues, queue: &str, request: &Value) -> Result<Value, Refusal> {
    queues.declared(queue)?;
    let refuse = |code, message: &str| Err(Refusal(StatusCode::BAD_REQUEST, code, message.to_owned()));
    let entries = request.get("Entries").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = |entry: &Value, name: &str| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let ids: BTreeSet<String> = entries.iter().map(|entry| text(entry, "Id")).collect();
    let bytes: usize = entries.iter().map(|entry| text(entry, "MessageBody").len()).sum();
    match entries.len() {
        0 => {
            return refuse(
                "EmptyBatchRequest",
                "There should be at least one SendMessageBatchRequestEntry in the request.",
            );
        }
        SENT_MAX.. if entries.len() > SENT_MAX => {
            return refuse("TooManyEntriesInBatchRequest", "Maximum number of entries per request are 10.");
        }
        count if ids.len() < count => return refuse("BatchEntryIdsNotDistinct", "Two entries have one Id."),
        _ if bytes > MESSAGE_BYTES_MAX => {
            return refuse("BatchRequestTooLong", "Batch requests cannot be longer than 1048576 bytes.");
        }
        _ => {}
    }
    let (mut successful, mut failed) = (Vec::new(), Vec::new());
    for entry in entries {
        match send(queues, queue, entry) {
            Ok(mut sent) => {
                sent.insert("Id".to_owned(), json!(text(entry, "Id")));
                successful.push(sent);
            }
            Err(Refusal(status, code, message)) => failed.push(json!({
                "Id": text(entry, "Id"), "SenderFault": status.is_client_error(), "Code": code, "Message": message,
            })),
        }
    }
    Ok(json!({"Successful": successful, "Failed": failed}))
}

/// A queue's address, as `Ref` gives it too.
#[must_use]
pub fn queue_url(name: &str) -> String {
    format!("https://sqs.{REGION}.amazonaws.com/{ACCOUNT_ID}/{name}")
}

pub(super) fn queue_arn(name: &str) -> String {
    format!("arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{name}")
}

fn received_message(received: &Received) -> Value {
    let Received { message: Message { message_id, sent_at_ms, body }, receives } = received;
    let attributes = Map::from_iter([
        ("SentTimestamp".to_owned(), json!(sent_at_ms.to_string())),
        ("ApproximateReceiveCount".to_owned(), json!(receives.to_string())),
    ]);
    json!({
        "MessageId": message_id, "ReceiptHandle": message_id, "Body": body, "MD5OfBody": md5_of(body),
        "Attributes": attributes,
    })
}

/// Some SDKs compare it with what they sent or got.
pub(super) fn md5_of(body: &str) -> String {
    hex::encode(Md5::digest(body.as_bytes()))
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;
    use crate::application::Queue;

    async fn ask(queues: &Arc<Queues>, operation: &str, request: &Value) -> (u16, Value) {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-target", format!("{TARGET_PREFIX}{operation}").parse().unwrap());
        let answer = answer(&headers, request.to_string().as_bytes(), queues).unwrap().await;
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn what_is_sent_is_received_and_deleted() {
        let queues = Arc::new(Queues::open(None, [("q".to_owned(), Queue::default())]).unwrap());
        let url = queue_url("q");
        let (status, sent) = ask(&queues, "SendMessage", &json!({"QueueUrl": url, "MessageBody": "hello"})).await;
        assert_eq!((status, &sent["MD5OfMessageBody"]), (200, &json!("5d41402abc4b2a76b9719d911017c592")));
        let (_, received) = ask(&queues, "ReceiveMessage", &json!({"QueueUrl": url})).await;
        let message = &received["Messages"][0];
        assert_eq!((&message["Body"], &message["MessageId"]), (&json!("hello"), &sent["MessageId"]));
        let (_, again) = ask(&queues, "ReceiveMessage", &json!({"QueueUrl": url})).await;
        assert_eq!(again, json!({}));
        ask(&queues, "DeleteMessage", &json!({"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]})).await;
        let (_, attributes) = ask(&queues, "GetQueueAttributes", &json!({"QueueUrl": url})).await;
        assert_eq!(attributes["Attributes"]["ApproximateNumberOfMessages"], "0");
    }

    #[tokio::test]
    async fn a_received_message_is_put_back() {
        let queues = Arc::new(Queues::open(None, [("q".to_owned(), Queue::default())]).unwrap());
        let url = queue_url("q");
        ask(&queues, "SendMessage", &json!({"QueueUrl": url, "MessageBody": "hello"})).await;
        let (_, received) = ask(&queues, "ReceiveMessage", &json!({"QueueUrl": url})).await;
        let handle = &received["Messages"][0]["ReceiptHandle"];
        let hide = |seconds: u64| json!({"QueueUrl": url, "ReceiptHandle": handle, "VisibilityTimeout": seconds});
        assert_eq!(ask(&queues, "ChangeMessageVisibility", &hide(HIDDEN_MAX_S + 1)).await.0, 400);
        assert_eq!(ask(&queues, "ChangeMessageVisibility", &hide(0)).await, (200, json!({})));
        let (status, error) = ask(&queues, "ChangeMessageVisibility", &hide(0)).await;
        assert_eq!((status, &error["__type"]), (400, &json!("com.amazonaws.sqs#MessageNotInflight")));
        let (_, again) = ask(&queues, "ReceiveMessage", &json!({"QueueUrl": url})).await;
        assert_eq!(again["Messages"][0]["Body"], "hello");
    }

    #[tokio::test(start_paused = true)]
    async fn a_receiver_waits_for_a_message_as_long_as_it_says() {
        let queues = Arc::new(Queues::open(None, [("q".to_owned(), Queue::default())]).unwrap());
        let waiting = json!({"QueueUrl": queue_url("q"), "WaitTimeSeconds": 20});
        let sending = async {
            tokio::time::sleep(Duration::from_secs(15)).await;
            queues.send("q", "late").unwrap();
        };
        let ((_, received), ()) = tokio::join!(ask(&queues, "ReceiveMessage", &waiting), sending);
        assert_eq!(received["Messages"][0]["Body"], "late");
        assert_eq!(ask(&queues, "ReceiveMessage", &waiting).await.1, json!({}), "it is hidden for longer than that");
    }

    #[tokio::test]
    async fn a_message_is_from_one_byte_to_one_megabyte() {
        let queues = Arc::new(Queues::open(None, [("q".to_owned(), Queue::default())]).unwrap());
        for (bytes, status) in [(0, 400), (1, 200), (MESSAGE_BYTES_MAX, 200), (MESSAGE_BYTES_MAX + 1, 400)] {
            let request = json!({"QueueUrl": queue_url("q"), "MessageBody": "x".repeat(bytes)});
            assert_eq!(ask(&queues, "SendMessage", &request).await.0, status, "{bytes}");
        }
    }

    #[tokio::test]
    async fn a_delay_is_kept_up_to_a_quarter_of_an_hour() {
        let queues = Arc::new(Queues::open(None, [("q".to_owned(), Queue::default())]).unwrap());
        let send = |delay: Value| json!({"QueueUrl": queue_url("q"), "MessageBody": "x", "DelaySeconds": delay});
        for (delay, status) in [(json!(1), 200), (json!(900), 200), (json!(901), 400), (json!(-1), 400)] {
            assert_eq!(ask(&queues, "SendMessage", &send(delay.clone())).await.0, status, "{delay}");
        }
        let (_, received) = ask(&queues, "ReceiveMessage", &json!({"QueueUrl": queue_url("q")})).await;
        assert_eq!((received, queues.messages("q").unwrap().len()), (json!({}), 2));
    }

    #[tokio::test]
    async fn several_messages_of_a_call_are_sent_each_for_itself() {
        let queues = Arc::new(Queues::open(None, [("q".to_owned(), Queue::default())]).unwrap());
        let send = |entries: Value| json!({"QueueUrl": queue_url("q"), "Entries": entries});
        let entry = |id: &str, body: &str| json!({"Id": id, "MessageBody": body});
        let (status, sent) = ask(&queues, "SendMessageBatch", &send(json!([entry("a", "1"), entry("b", "")]))).await;
        assert_eq!((status, &sent["Successful"][0]["Id"], &sent["Failed"][0]["Id"]), (200, &json!("a"), &json!("b")));
        assert_eq!(sent["Failed"][0]["SenderFault"], true);
        let eleven: Vec<Value> = (0..11).map(|id| entry(&id.to_string(), "x")).collect();
        let long = "x".repeat(MESSAGE_BYTES_MAX);
        for (entries, code) in [
            (json!([]), "EmptyBatchRequest"),
            (json!(eleven), "TooManyEntriesInBatchRequest"),
            (json!([entry("a", "1"), entry("a", "2")]), "BatchEntryIdsNotDistinct"),
            (json!([entry("a", &long), entry("b", "2")]), "BatchRequestTooLong"),
        ] {
            let (status, error) = ask(&queues, "SendMessageBatch", &send(entries)).await;
            assert_eq!((status, &error["__type"]), (400, &json!(format!("com.amazonaws.sqs#{code}"))));
        }
        assert_eq!(queues.messages("q").unwrap().len(), 1);
    }

    #[tokio::test]
    async fn what_is_not_there_is_an_error_by_name() {
        let queues = Arc::new(Queues::open(None, [("q".to_owned(), Queue::default())]).unwrap());
        let (status, error) = ask(&queues, "GetQueueUrl", &json!({"QueueName": "r"})).await;
        assert_eq!((status, &error["__type"]), (400, &json!("com.amazonaws.sqs#QueueDoesNotExist")));
        let (status, error) = ask(&queues, "TagQueue", &json!({})).await;
        assert_eq!((status, &error["__type"]), (400, &json!("com.amazonaws.sqs#UnsupportedOperation")));
        assert!(answer(&HeaderMap::new(), b"", &queues).is_none(), "another service's request");
    }
}
