//! Folding a log: as `foldcast rebuild` and `verify` do it, and the parser alone.
//!
//! Owns: the comparison.
//! Must not know: who folds, and why.
//! Source: `store`'s reader of the log, `domain`'s fold; `serde_json` is what a JSON log cannot be faster than.

use std::time::Duration;

use domain::{OrderId, Projection, Version};
use serde_json::{Value, json};
use store::{Store, aws::sdk_config};
use tests::{
    aws_json::call,
    engine::{Engine, variables},
};

use crate::{
    interleaved::rounds,
    process::own_cpu,
    report::{Cell, Table},
    side::Side,
};

const ROUNDS: usize = 7;
const EVENTS: usize = 10_000;
const ORDER: &str = "guid_1";

const METHOD: &str = "A log of 10,000 events of 1 KB, folded whole. `Foldcast` reads the log from the embedded DynamoDB over HTTP, page by page, as `foldcast verify` and \
`rebuild` do, checks every event and folds it. `serde_json alone` parses the same pages, fetched before, into values and does nothing with them: whoever reads a log \
of JSON does that. Each side is a process of its own; the number is its processor time, without DynamoDB's.";

/// Runs the comparison.
pub(crate) async fn run() -> Table {
    let engine = Engine::start().await;
    for version in 1..=EVENTS {
        let data = json!({"eventName": {"S": "OrderChanged"}, "orderId": {"S": ORDER}, "count": {"N": version.to_string()},
                          "note": {"S": "x".repeat(900)}});
        let item = json!({"orderId": {"S": ORDER}, "version": {"N": version.to_string()}, "ref": {"S": version.to_string()},
                          "ts": {"N": "1605999005510000"}, "data": {"M": data}});
        let put = json!({"TableName": "order_stream", "Item": item});
        engine.database.put_item(serde_json::from_value(put).unwrap()).unwrap();
    }
    let mut sides =
        vec![Side::own("`serde_json` alone", &["parse", &engine.url]), Side::own("Foldcast", &["fold", &engine.url])];
    let mut ask = |side: &mut Side| side.ask(&json!({}))["cpuUs"].as_f64().unwrap() / EVENTS as f64;
    let measured = tokio::task::block_in_place(|| rounds(ROUNDS, &mut sides, &mut ask));
    let row = |(side, rounds): (&Side, &crate::interleaved::Rounds)| {
        let us = rounds.median();
        vec![side.name.into(), Cell::Number(us, 2), Cell::Number(1e6 / us, 0), Cell::Ratio(rounds.over(&measured[0]))]
    };
    Table {
        title: "Folding a log",
        method: METHOD.to_owned(),
        columns: vec!["side", "µs an event", "events a second", "ratio"],
        rows: sides.iter().zip(&measured).map(row).collect(),
    }
}

/// One fold of the whole log, and what it cost.
pub(crate) async fn fold(url: &str) -> Value {
    let var = variables(url.to_owned());
    let store = Store::from_vars(&sdk_config(&var).unwrap(), &var).unwrap();
    let before = own_cpu();
    let mut projection = Projection::default();
    let mut reader = store.event_log.read(&OrderId::new(ORDER).unwrap(), Version::FIRST..=Version::new(u64::MAX));
    while let Some(page) = reader.next_page().await.unwrap() {
        for logged in &page {
            projection.evolve(logged);
        }
    }
    let cpu = own_cpu() - before;
    assert_eq!(projection.version(), Version::new(EVENTS as u64));
    cost(cpu)
}

/// The same log's pages, parsed.
pub(crate) async fn parse(url: &str) -> Value {
    let mut pages = Vec::new();
    let mut start_key = Value::Null;
    loop {
        let mut query = json!({"TableName": "order_stream", "KeyConditionExpression": "orderId = :o",
                               "ExpressionAttributeValues": {":o": {"S": ORDER}}});
        if start_key.is_object() {
            query["ExclusiveStartKey"] = start_key;
        }
        let page = call(url, "local", "DynamoDB_20120810.Query", &query).await;
        pages.push(page.to_string());
        start_key = page["LastEvaluatedKey"].clone();
        if start_key.is_null() {
            break;
        }
    }
    let before = own_cpu();
    let events: u64 = pages
        .iter()
        .map(|page| serde_json::from_str::<Value>(page).unwrap())
        .map(|page| page["Count"].as_u64().unwrap())
        .sum();
    let cpu = own_cpu() - before;
    assert_eq!(events, EVENTS as u64);
    cost(cpu)
}

fn cost(cpu: Duration) -> Value {
    json!({"cpuUs": cpu.as_secs_f64() * 1e6})
}
