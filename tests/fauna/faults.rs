//! The feed when something goes wrong: every error of FaunaDB, kills at every call, two feeds, outages.

use std::{sync::Arc, time::Duration};

use fauna_feed::{Counts, Ended, FaunaError, FeedError, Names, Refused, Until};
use serde_json::{Value, json};
use store::{CallError, fauna_feed::Taken, now_ms};
use tests::fauna::{Fault, Fauna, Role};

use crate::{
    gate::Side,
    rig::{Rig, event, in_the_log, names, reference},
};

const NOTHING: &str = "";

fn fauna_error(error: FeedError) -> FaunaError {
    let text = format!("{error:?}");
    let FeedError::Fauna(error) = error else { panic!("{text}") };
    error
}

/// Three orders with some events, and one document that is none.
fn write_some(rig: &Rig) {
    for n in 0..6 {
        rig.create(&event(&format!("o{}", n % 3), n));
    }
    rig.create(&json!({"eventName": "A"}));
}

#[tokio::test]
async fn every_error_that_passes_is_survived_at_each_query() {
    let gone = r#"{"errors":[{"code":"instance not found","description":"Document not found."}]}"#;
    let faults = [
        Fault::Answer(404, gone),
        Fault::Answer(408, NOTHING),
        Fault::Answer(409, NOTHING),
        Fault::Answer(413, NOTHING),
        Fault::Answer(429, NOTHING),
        Fault::Answer(440, NOTHING),
        Fault::Answer(500, "<html>"),
        Fault::Answer(502, NOTHING),
        Fault::Answer(503, r#"{"error":"time out"}"#),
        Fault::Answer(540, NOTHING),
        Fault::Answer(200, "not json"),
        Fault::Reset,
        Fault::Lose,
    ];
    for fault in faults {
        let rig = Rig::start().await;
        write_some(&rig);
        // Each of the queries of a run fails once before it is served.
        rig.fauna.faults((0..5).flat_map(|_| [fault.clone(), Fault::Serve]));
        let counts = rig.catch_up().await;
        assert_eq!((counts.appended, counts.refused), (6, 1), "{fault:?}");
        rig.assert_nothing_lost_and_nothing_doubled().await;
    }
}

#[tokio::test]
async fn an_error_that_does_not_pass_stops_the_feed_where_it_is() {
    let undefined = r#"{"errors":[{"code":"invalid ref","description":"Ref refers to undefined index"}]}"#;
    let past = r#"{"errors":[{"code":"bad request","description":"Requested timestamp 1 less than minimum allowed timestamp 2."}]}"#;
    let cases = [
        (400, undefined, FaunaError::Undefined, 1),
        (400, past, FaunaError::Forgotten, 1),
        (400, NOTHING, FaunaError::Refused { status: 400, code: String::new() }, 1),
        (401, NOTHING, FaunaError::Unauthorized, 1),
        (403, NOTHING, FaunaError::Forbidden, 1),
        (404, NOTHING, FaunaError::NotFound { code: String::new() }, 1),
        (410, NOTHING, FaunaError::Disabled, 1),
        (500, NOTHING, FaunaError::Internal { status: 500 }, 3),
    ];
    let rig = Rig::start().await;
    rig.create(&event("o", 0));
    rig.catch_up().await;
    for (number, (status, body, error, tries)) in (1..).zip(cases) {
        let known = rig.progress().await.map(|progress| progress.place);
        rig.create(&event("o", number));
        rig.fauna.forget_seen();
        rig.fauna.lasting_fault(Some(Fault::Answer(status, body)));
        assert_eq!(fauna_error(rig.run(Until::CaughtUp).await.unwrap_err()), error);
        assert_eq!(rig.fauna.take_seen().len(), tries, "{status}");
        assert_eq!(rig.progress().await.map(|progress| progress.place), known, "{status}");
        rig.fauna.lasting_fault(None);
        assert_eq!(rig.catch_up().await.appended, 1, "{status}");
    }
    rig.assert_nothing_lost_and_nothing_doubled().await;
}

#[tokio::test]
async fn an_outage_longer_than_a_run_is_an_error_and_loses_nothing() {
    let mut rig = Rig::start().await;
    write_some(&rig);
    rig.fauna.stop().await;
    let error = fauna_error(rig.run_for(Duration::from_millis(1_500)).await.unwrap_err());
    assert!(matches!(error, FaunaError::Unreachable(_) | FaunaError::Internal { .. }), "{error}");
    rig.fauna.restart().await;
    assert_eq!(rig.catch_up().await.appended, 6);
    rig.fauna.lasting_fault(Some(Fault::Hang));
    rig.create(&event("o", 9));
    let error = fauna_error(rig.run_for(Duration::from_millis(500)).await.unwrap_err());
    assert_eq!(error, FaunaError::Unreachable("it took too long"));
    rig.fauna.lasting_fault(None);
    assert_eq!(rig.catch_up().await.appended, 1);
    rig.assert_nothing_lost_and_nothing_doubled().await;
}

#[tokio::test]
async fn a_server_that_restarts_in_the_middle_of_a_run_is_waited_for() {
    let mut rig = Rig::start().await;
    for n in 0..400 {
        rig.create(&event("o", n));
    }
    let (seen, mut pages) = tokio::sync::mpsc::unbounded_channel();
    let feed = rig.feed();
    let run = tokio::spawn(async move {
        let tell = move |counts: Counts| {
            seen.send(counts).ok();
        };
        feed.run(Until::CaughtUp, &tell).await
    });
    pages.recv().await.unwrap();
    rig.fauna.stop().await;
    rig.fauna.restart().await;
    assert_eq!(in_the_log(run.await.unwrap().unwrap().counts), (400, 0));
    rig.assert_nothing_lost_and_nothing_doubled().await;
}

#[tokio::test]
async fn a_feed_that_is_killed_before_any_call_loses_nothing_and_doubles_nothing() {
    kill_at_every_call(Side::Before).await;
}

#[tokio::test]
async fn a_feed_that_is_killed_after_any_call_loses_nothing_and_doubles_nothing() {
    kill_at_every_call(Side::After).await;
}

/// Runs a feed that is killed at its first call, another that is killed at its second, and so on to one that is not.
async fn kill_at_every_call(side: Side) {
    let mut calls = 0;
    loop {
        calls += 1;
        let rig = Rig::start().await;
        write_some(&rig);
        rig.calls.stop_at(calls, side);
        let feed = rig.feed();
        let is_killed = {
            let mut run = std::pin::pin!(feed.run(Until::CaughtUp, &|_| {}));
            tokio::select! {
                report = &mut run => {
                    assert_eq!(report.unwrap().ended, Ended::CaughtUp);
                    false
                }
                () = rig.calls.stopped.notified() => true,
            }
        };
        if !is_killed {
            break;
        }
        rig.calls.stop_at(0, side);
        rig.end_lease();
        // What was committed between is of the tail.
        rig.create(&event("o1", 7));
        rig.catch_up().await;
        rig.assert_nothing_lost_and_nothing_doubled().await;
        assert!(!rig.refusals().await.is_empty(), "call {calls} {side:?}: what is no event is reported");
    }
    assert!(calls > 20, "{calls} calls were enough");
}

#[tokio::test]
async fn a_feed_that_stalls_and_wakes_after_another_took_over_moves_nothing() {
    let rig = Rig::start().await;
    write_some(&rig);
    // In the middle of the first page.
    rig.calls.stop_at(12, Side::Before);
    let feed = rig.feed();
    let stalled = tokio::spawn(async move { feed.run(Until::CaughtUp, &|_| {}).await });
    rig.calls.stopped.notified().await;
    rig.end_lease();
    let Taken::Ours(_, None) = rig.state.take(now_ms(), 0).await.unwrap() else { panic!("nothing was saved") };
    rig.calls.stop_at(0, Side::Before);
    rig.catch_up().await;
    let known = rig.progress().await;
    stalled.abort();
    rig.assert_nothing_lost_and_nothing_doubled().await;
    assert_eq!(rig.progress().await, known);
}

#[tokio::test]
async fn two_feeds_at_once_append_each_document_once() {
    let rig = Rig::start().await;
    for n in 0..60 {
        rig.create(&event(&format!("o{}", n % 4), n));
    }
    let (first, second) = tokio::join!(rig.run(Until::CaughtUp), rig.run(Until::CaughtUp));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(in_the_log(first.counts).0 + in_the_log(second.counts).0, 60, "{first:?} {second:?}");
    assert!(first.counts.appended == 0 || second.counts.appended == 0, "one works at a time");
    rig.assert_nothing_lost_and_nothing_doubled().await;
}

#[tokio::test]
async fn a_feed_that_finds_another_at_work_leaves() {
    let rig = Rig::start().await;
    let Taken::Ours(..) = rig.state.take(now_ms(), now_ms() + 60_000).await.unwrap() else { panic!("it is free") };
    let report = rig.run_for(Duration::from_millis(300)).await.unwrap();
    assert_eq!((report.ended, report.counts), (Ended::Busy, Counts::default()));
}

#[tokio::test]
async fn a_feed_whose_lease_was_taken_ends() {
    let rig = Rig::start().await;
    rig.create(&event("o", 1));
    rig.calls.stop_at(2, Side::After);
    let feed = rig.feed();
    let run = tokio::spawn(async move { feed.run(Until::CaughtUp, &|_| {}).await });
    rig.calls.stopped.notified().await;
    run.abort();
    rig.end_lease();
    rig.calls.stop_at(0, Side::After);
    let feed = rig.feed();
    let state = rig.state.clone();
    let take = Arc::new(tokio::sync::Notify::new());
    let taken = Arc::clone(&take);
    let other = tokio::spawn(async move {
        taken.notified().await;
        state.take(now_ms() + 3_600_000, 0).await.unwrap()
    });
    take.notify_one();
    other.await.unwrap();
    let report = Box::pin(feed.run(Until::CaughtUp, &|_| {})).await.unwrap();
    assert_eq!(report.ended, Ended::CaughtUp, "the next one takes it");
    rig.assert_nothing_lost_and_nothing_doubled().await;
}

#[tokio::test]
async fn an_outage_of_a_day_is_made_up_for() {
    let rig = Rig::start().await;
    rig.create(&event("o", 0));
    rig.catch_up().await;
    let hour_us = 3_600 * 1_000_000;
    for hour in 1..=24 {
        rig.create(&event(&format!("o{}", hour % 5), hour));
        rig.fauna.advance(hour_us);
    }
    let first: i64 = rig.refs("o").await[0].parse().unwrap();
    rig.fauna.query(&json!({"delete": reference(first)}));
    let counts = rig.catch_up().await;
    assert_eq!((counts.appended, counts.late, counts.removed), (24, 0, 1));
    assert_eq!(rig.catch_up().await.documents(), 0);
}

#[tokio::test]
async fn an_index_that_is_being_built_is_waited_for() {
    let rig = Rig::start().await;
    for n in 0..200 {
        rig.create(&event("o", n));
    }
    rig.fauna.query(&json!({"delete": {"index": "order_stream_by_ts"}}));
    rig.fauna.index_build(Duration::from_secs(3_600));
    let client = rig.client();
    client.create_index(&names()).await.unwrap();
    let report = rig.run_for(Duration::from_millis(700)).await.unwrap();
    assert_eq!(report.ended, Ended::Building);
    rig.fauna.advance(3_600 * 1_000_000);
    assert_eq!(in_the_log(rig.catch_up().await), (200, 0));
}

#[tokio::test]
async fn a_revoked_secret_stops_the_feed_and_a_role_that_may_not_read_history_does_not() {
    let rig = Rig::start().await;
    rig.create(&event("o", 1));
    let secret = rig.fauna.key(Role::ServerReadOnly);
    let listed = || Refused::Listed(tokio::sync::mpsc::unbounded_channel().0);
    let run = async |secret: &str| {
        let feed = rig.feed_with(secret, listed());
        Box::pin(feed.run(Until::CaughtUp, &|_| {})).await
    };
    assert_eq!(run(&secret).await.unwrap().counts.appended, 1, "reading is enough");
    rig.fauna.revoke(&secret);
    assert_eq!(fauna_error(run(&secret).await.unwrap_err()), FaunaError::Unauthorized);
    let client = rig.fauna.key(Role::Client);
    assert_eq!(fauna_error(run(&client).await.unwrap_err()), FaunaError::Forbidden);
    let forbidden = r#"{"errors":[{"code":"permission denied"}]}"#;
    rig.create(&event("o", 2));
    // The third query is the look for removals.
    rig.fauna.faults([Fault::Serve, Fault::Serve, Fault::Answer(403, forbidden)]);
    assert_eq!(rig.catch_up().await.appended, 1);
    let forgotten = r#"{"errors":[{"code":"bad request","description":"Requested timestamp 1 less than minimum allowed timestamp 2."}]}"#;
    rig.create(&event("o", 3));
    rig.fauna.faults([Fault::Serve, Fault::Serve, Fault::Answer(400, forgotten)]);
    assert_eq!(rig.catch_up().await.appended, 1);
    rig.assert_nothing_lost_and_nothing_doubled().await;
}

#[tokio::test]
async fn each_query_says_the_version_and_what_was_seen() {
    let rig = Rig::start().await;
    write_some(&rig);
    rig.catch_up().await;
    rig.catch_up().await;
    let text = |headers: &hyper::HeaderMap, name: &str| headers[name].to_str().unwrap().to_owned();
    let seen = rig.fauna.take_seen();
    let told: Vec<i64> = seen.iter().map(|seen| text(&seen.headers, "x-last-seen-txn").parse().unwrap()).collect();
    assert!(told.len() > 5 && told.is_sorted() && told[0] == 0 && told[1] > 0, "{told:?}");
    for request in &seen {
        assert_eq!(text(&request.headers, "x-faunadb-api-version"), "4");
        let time_out: u64 = text(&request.headers, "x-query-timeout").parse().unwrap();
        assert!((1..=600_000).contains(&time_out));
        let agent = request.headers.get("user-agent").map(|agent| agent.to_str().unwrap().to_owned());
        assert!(agent.is_none_or(|agent| !agent.contains("curl")));
        let query: Value = serde_json::from_str(&request.body).unwrap();
        assert!(query.is_object());
    }
    assert!(domain::limits::FAUNA_IDLE_MAX < tests::fauna::IDLE_MAX);
}

#[tokio::test]
async fn a_clock_that_went_back_is_waited_for_and_connections_that_were_closed_are_opened_again() {
    let rig = Rig::start_with(Fauna::start_with(Duration::from_millis(30)).await).await;
    rig.create(&event("o", 1));
    rig.catch_up().await;
    rig.fauna.advance(-60 * 1_000_000);
    let error = fauna_error(rig.run_for(Duration::from_millis(700)).await.unwrap_err());
    assert_eq!(error, FaunaError::TimedOut);
    rig.fauna.advance(60 * 1_000_000);
    let feed = rig.feed();
    let until = Until::Deadline(tokio::time::Instant::now() + Duration::from_millis(2_500));
    let run = tokio::spawn(async move { feed.run(until, &|_| {}).await });
    rig.create(&event("o", 2));
    let report = run.await.unwrap().unwrap();
    assert_eq!((report.ended, report.is_drained, report.counts.appended), (Ended::Deadline, true, 1));
}

#[tokio::test]
async fn a_page_that_is_too_large_is_read_in_parts() {
    let rig = Rig::start().await;
    for n in 0..52 {
        let mut data = event(&format!("o{n}"), n);
        data["note"] = json!("x".repeat(330_000));
        rig.create(&data);
    }
    assert_eq!(in_the_log(rig.catch_up().await), (52, 0));
    rig.assert_nothing_lost_and_nothing_doubled().await;
}

#[tokio::test]
async fn a_failure_that_the_queue_does_not_take_stops_the_feed() {
    let rig = Rig::start().await;
    rig.create(&json!({"eventName": "A"}));
    let variables = |name: &str| match name {
        "FAILURE_QUEUE_URL" => Some("http://127.0.0.1:1/queue".to_owned()),
        "AWS_ENDPOINT_URL_SQS" => Some("http://127.0.0.1:1".to_owned()),
        other => tests::engine::variables("http://127.0.0.1:1".to_owned())(other),
    };
    let sdk = store::aws::sdk_config(variables).unwrap();
    let queue = queues::FailureQueue::from_vars(&sdk, variables).unwrap();
    let feed = rig.feed_with(tests::fauna::ROOT_SECRET, Refused::Queue(queue));
    let error = Box::pin(feed.run(Until::CaughtUp, &|_| {})).await.unwrap_err();
    assert!(matches!(error, FeedError::NotReported(_)), "{error:?}");
    assert_eq!(rig.progress().await, None, "the place is the one before it");
    assert_eq!(rig.catch_up().await.refused, 1);
}

#[tokio::test]
async fn a_dynamodb_that_does_not_answer_stops_the_feed() {
    let rig = Rig::start().await;
    rig.create(&event("o", 1));
    let sdk = store::aws::sdk_config(tests::engine::variables("http://127.0.0.1:1".to_owned())).unwrap();
    let (client, name) = (store::aws::dynamodb(&sdk), |_: &str| None);
    let state = store::FaunaFeed::new(client.clone(), store::TableName::fauna_feed(name).unwrap(), "order_stream");
    let log = store::EventLog::new(client, store::TableName::order_stream(name).unwrap());
    let names = Names { collection: "order_stream".into(), index: "order_stream_by_ts".into() };
    let refused = Refused::Listed(tokio::sync::mpsc::unbounded_channel().0);
    let feed = fauna_feed::Feed::new(rig.client(), names, state, log, refused);
    let error = Box::pin(feed.run(Until::CaughtUp, &|_| {})).await.unwrap_err();
    assert!(matches!(error, FeedError::State(store::fauna_feed::FeedError::Call(CallError { .. }))), "{error:?}");
}
