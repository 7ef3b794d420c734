//! A DynamoDB that is busy: it leaves the keys of a batch undone.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use aws_smithy_runtime_api::client::{
    http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
    orchestrator::{HttpRequest, HttpResponse},
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use domain::{
    ConnectionId,
    limits::{BATCH_WRITE_ATTEMPTS_MAX, BATCH_WRITE_PAUSE_FIRST, BATCH_WRITE_PAUSE_MAX},
};
use serde_json::{Value, json};
use store::{CallError, Subscriptions, TableName, aws, error::CallErrorKind};
use tests::engine::variables;
use tokio::time::{Duration, Instant};

/// It answers the query for a connection's rows with 25 keys, and leaves all but one of a batch undone, so many times.
#[derive(Clone, Debug)]
struct Busy {
    batches: Arc<AtomicUsize>,
    busy_batches: usize,
}

impl HttpClient for Busy {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Busy {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let asked: Value = serde_json::from_slice(request.body().bytes().unwrap()).unwrap();
        let answer = if let Some(items) = asked.get("RequestItems") {
            let is_busy = self.batches.fetch_add(1, Ordering::Relaxed) < self.busy_batches;
            let left = items["subscriptions"].as_array().unwrap().iter().skip(1).cloned().collect::<Vec<_>>();
            if is_busy { json!({"UnprocessedItems": {"subscriptions": left}}) } else { json!({}) }
        } else {
            let key = |number: u64| json!({"orderId": {"S": format!("o{number}")}, "connectionId": {"S": "c="}});
            json!({"Items": (0..25).map(key).collect::<Vec<Value>>(), "Count": 25})
        };
        let body = SdkBody::from(answer.to_string());
        HttpConnectorFuture::ready(Ok(HttpResponse::new(200.try_into().unwrap(), body)))
    }
}

/// Deletes a connection's rows on a DynamoDB that is busy for so many batches; with the number of batches, and the time.
async fn delete(busy_batches: usize) -> (Result<(), CallError>, usize, Duration) {
    let busy = Busy { batches: Arc::default(), busy_batches };
    let sdk = aws::sdk_config(variables("http://127.0.0.1:9".to_owned())).unwrap();
    let sdk = sdk.into_builder().http_client(busy.clone()).build();
    let subscriptions = Subscriptions::new(aws::dynamodb(&sdk), TableName::subscriptions(|_| None).unwrap());
    let begun = Instant::now();
    let deleted = subscriptions.delete_of_connection(&ConnectionId::new("c=")).await;
    (deleted, busy.batches.load(Ordering::Relaxed), begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn what_a_batch_left_undone_is_sent_again_after_a_pause() {
    let (deleted, batches, elapsed) = delete(0).await;
    assert!(deleted.is_ok(), "{deleted:?}");
    assert_eq!((batches, elapsed), (1, Duration::ZERO));
    let (deleted, batches, elapsed) = delete(3).await;
    assert!(deleted.is_ok(), "{deleted:?}");
    assert_eq!(batches, 4);
    assert!(elapsed > Duration::ZERO, "no pause");
    assert!(elapsed <= 7 * BATCH_WRITE_PAUSE_FIRST, "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_left_undone_for_long_is_an_error_that_passes() {
    let (deleted, batches, elapsed) = delete(usize::MAX).await;
    assert_eq!(deleted.unwrap_err().kind(), CallErrorKind::Throttled);
    assert_eq!(batches, usize::try_from(BATCH_WRITE_ATTEMPTS_MAX).unwrap());
    assert!(elapsed <= BATCH_WRITE_ATTEMPTS_MAX * BATCH_WRITE_PAUSE_MAX, "{elapsed:?}");
    assert!(elapsed > BATCH_WRITE_PAUSE_FIRST, "the pauses grow: {elapsed:?}");
}
