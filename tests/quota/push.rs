//! `Push` itself on virtual time, against an API Gateway that answers as each test says.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_sdk_apigatewaymanagement::config::Region;
use aws_smithy_runtime_api::{
    client::{
        http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector},
        orchestrator::{HttpRequest, HttpResponse},
        runtime_components::RuntimeComponents,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use domain::{
    ConnectionId,
    fan_out::{Health, Outcome},
    limits,
};
use push::Push;
use store::SdkConfig;
use tokio::time::{Instant, sleep};

/// How a call is answered: a status after 20 ms, or not at all.
type Answer = Option<u16>;

/// Answers the nth call of a method to a connection, from 1 on.
type Script = dyn Fn(&str, usize, usize) -> Answer + Send + Sync;

#[derive(Clone)]
struct ApiGateway {
    script: Arc<Mutex<Arc<Script>>>,
    calls: Arc<Mutex<BTreeMap<(String, usize), usize>>>,
}

impl fmt::Debug for ApiGateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiGateway").finish_non_exhaustive()
    }
}

impl ApiGateway {
    fn new(script: impl Fn(&str, usize, usize) -> Answer + Send + Sync + 'static) -> (Self, Push) {
        let gateway = Self { script: Arc::new(Mutex::new(Arc::new(script))), calls: Arc::default() };
        let sdk = SdkConfig::builder()
            .region(Region::new("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new("id", "key", None, None, "test")))
            .http_client(gateway.clone())
            .build();
        let var = |name: &str| (name == "MANAGEMENT_ENDPOINT").then(|| "http://gateway/live".to_owned());
        let push = Push::from_vars(&sdk, var).unwrap();
        (gateway, push)
    }

    fn answers(&self, script: impl Fn(&str, usize, usize) -> Answer + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(script);
    }

    fn calls(&self, method: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|((of, _), _)| of == method).map(|(_, count)| count).sum()
    }
}

impl HttpClient for ApiGateway {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for ApiGateway {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let number = request.uri().rsplit('/').next().unwrap().parse().unwrap();
        let count = {
            let mut calls = self.calls.lock().unwrap();
            let count = calls.entry((request.method().to_owned(), number)).or_default();
            *count += 1;
            *count
        };
        let script = Arc::clone(&self.script.lock().unwrap());
        let answer = script(request.method(), number, count);
        HttpConnectorFuture::new(async move {
            let Some(status) = answer else { return std::future::pending().await };
            sleep(Duration::from_millis(20)).await;
            let mut response = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::empty());
            if status == 400 {
                response.headers_mut().insert("x-amzn-errortype", "BadRequestException");
            }
            Ok(response)
        })
    }
}

fn ids(count: usize) -> Vec<ConnectionId> {
    (0..count).map(|number| ConnectionId::new(number.to_string())).collect()
}

fn within(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

async fn send_all(push: &Push, count: usize, deadline: Instant) -> BTreeMap<usize, Outcome> {
    let outcomes = push.send_all(ids(count), ["hi".to_owned()].into(), deadline).await;
    assert_eq!(outcomes.len(), count);
    let by_number: BTreeMap<usize, Outcome> = outcomes
        .into_iter()
        .map(|(connection_id, outcome)| (connection_id.as_str().parse().unwrap(), outcome))
        .collect();
    assert_eq!(by_number.len(), count, "each connection has one outcome");
    by_number
}

fn count(outcomes: &BTreeMap<usize, Outcome>, of: Outcome) -> usize {
    outcomes.values().filter(|outcome| **outcome == of).count()
}

#[tokio::test(start_paused = true)]
async fn a_page_half_of_which_hangs_ends_before_its_deadline_with_every_outcome_known() {
    let (_gateway, push) = ApiGateway::new(|_, number, _| (number % 2 == 0).then_some(200));
    let deadline = within(5);
    let outcomes = send_all(&push, 1_000, deadline).await;
    assert!(Instant::now() <= deadline, "{:?} late", Instant::now() - deadline);
    assert!(count(&outcomes, Outcome::Delivered) > 5, "{outcomes:?}");
    assert!(count(&outcomes, Outcome::Failed) > 50, "{outcomes:?}");
    assert!(count(&outcomes, Outcome::Unattempted) > 50, "{outcomes:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_begins_that_cannot_end_before_the_deadline() {
    let (gateway, push) = ApiGateway::new(|_, _, _| Some(200));
    let begun = Instant::now();
    let outcomes = send_all(&push, 500, begun + limits::PUSH_TIME_OUT - Duration::from_millis(1)).await;
    assert_eq!(count(&outcomes, Outcome::Unattempted), 500);
    assert_eq!((gateway.calls("POST"), begun.elapsed()), (0, Duration::ZERO));
}

#[tokio::test(start_paused = true)]
async fn an_api_gateway_that_hangs_costs_a_page_one_timeout_and_few_posts() {
    let (gateway, push) = ApiGateway::new(|_, _, _| None);
    let begun = Instant::now();
    let outcomes = send_all(&push, 500, within(15)).await;
    assert!(begun.elapsed() < limits::PUSH_TIME_OUT * 2, "{:?}", begun.elapsed());
    assert!(gateway.calls("POST") <= limits::PUSHES_IN_FLIGHT_MAX, "{}", gateway.calls("POST"));
    assert_eq!(count(&outcomes, Outcome::Failed), gateway.calls("POST"));
    assert_eq!(push.health(), Health::Out);
}

#[tokio::test(start_paused = true)]
async fn while_api_gateway_is_out_a_few_are_tried_and_the_others_follow_once_it_answers() {
    let (gateway, push) = ApiGateway::new(|_, _, _| Some(503));
    send_all(&push, 100, within(15)).await;
    let before = gateway.calls("POST");
    let outcomes = send_all(&push, 100, within(15)).await;
    assert_eq!(count(&outcomes, Outcome::Unattempted), 100, "what fails now says nothing about its connection");
    assert_eq!(gateway.calls("POST") - before, limits::OUT_TRIALS_MAX);
    gateway.answers(|_, _, _| Some(200));
    let outcomes = send_all(&push, 100, within(15)).await;
    assert_eq!(count(&outcomes, Outcome::Delivered), 100);
    assert_eq!(push.health(), Health::Up);
}

#[tokio::test(start_paused = true)]
async fn a_function_that_may_not_probe_finds_out_by_its_posts() {
    let (gateway, push) = ApiGateway::new(|method, _, _| (method == "GET").then_some(403));
    send_all(&push, 100, within(15)).await;
    send_all(&push, 100, within(15)).await;
    assert_eq!(push.health(), Health::Out);
    gateway.answers(|method, _, _| Some(if method == "GET" { 403 } else { 200 }));
    let outcomes = send_all(&push, 100, within(15)).await;
    assert_eq!(count(&outcomes, Outcome::Delivered), 100);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_is_too_slow_costs_four_posts_and_fails_while_others_are_served() {
    let (gateway, push) = ApiGateway::new(|_, number, _| Some(if number == 7 { 429 } else { 200 }));
    let outcomes = send_all(&push, 1_000, within(15)).await;
    assert_eq!((count(&outcomes, Outcome::Delivered), outcomes[&7]), (999, Outcome::Failed));
    assert_eq!(gateway.calls("POST"), 999 + 4);
}

#[tokio::test(start_paused = true)]
async fn a_throttled_account_makes_no_connection_fail() {
    let (_gateway, push) = ApiGateway::new(|_, number, count| Some(if number % 7 < count { 200 } else { 429 }));
    let outcomes = send_all(&push, 1_000, within(60)).await;
    assert_eq!(count(&outcomes, Outcome::Failed), 0);
    assert!(count(&outcomes, Outcome::Throttled) > 100);
    assert_eq!(push.health(), Health::Throttling);
}

#[tokio::test(start_paused = true)]
async fn a_page_of_slow_readers_is_not_gone_on_with() {
    let (gateway, push) = ApiGateway::new(|method, _, _| Some(if method == "POST" { 429 } else { 200 }));
    let outcomes = send_all(&push, 1_000, within(15)).await;
    let tried = count(&outcomes, Outcome::Throttled);
    assert!((100..100 + limits::PUSHES_IN_FLIGHT_MAX).contains(&tried), "{tried}");
    assert_eq!((count(&outcomes, Outcome::Unattempted), gateway.calls("POST")), (1_000 - tried, 4 * tried));
    assert_eq!(push.health(), Health::Unknown);
    assert_eq!(push.probe(&ids(3), within(0)).await, Health::Up);
    assert_eq!(gateway.calls("GET"), limits::PROBES_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_page_is_pushed_at_the_pace_of_the_process() {
    let (_gateway, push) = ApiGateway::new(|_, _, _| Some(200));
    let begun = Instant::now();
    send_all(&push, 1_000, within(15)).await;
    let least = Duration::from_secs_f64((1_000.0 - 225.0) / 900.0);
    assert!(begun.elapsed() > least, "{:?}", begun.elapsed());
    assert!(begun.elapsed() < least + Duration::from_millis(100), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_close_is_retried_and_counts_only_if_api_gateway_did_it() {
    for (answers, is_closed, calls) in [
        (vec![Some(204)], true, 1),
        (vec![Some(410)], true, 1),
        (vec![Some(400)], true, 1),
        (vec![Some(429), Some(503), Some(429), Some(204)], true, 4),
        (vec![None, Some(204)], true, 2),
        (vec![Some(429); 4], false, 4),
        (vec![Some(503); 4], false, 4),
        (vec![None; 2], false, 2),
        (vec![Some(403)], false, 1),
    ] {
        let script = answers.clone();
        let (gateway, push) = ApiGateway::new(move |_, _, count| script[count - 1]);
        let closed = push.close(&ids(1)[0], within(10)).await;
        assert_eq!((closed.is_ok(), gateway.calls("DELETE")), (is_closed, calls), "{answers:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_may_take_some_of_the_reserve_and_no_more() {
    let (gateway, push) = ApiGateway::new(|_, _, _| Some(429));
    assert!(push.close(&ids(1)[0], within(0)).await.is_err());
    assert_eq!(gateway.calls("DELETE"), 4);
    let (gateway, push) = ApiGateway::new(|_, _, _| None);
    let (begun, deadline) = (Instant::now(), within(0));
    assert!(push.close(&ids(1)[0], deadline).await.is_err());
    assert_eq!((gateway.calls("DELETE"), begun.elapsed()), (1, limits::PUSH_TIME_OUT));
}
