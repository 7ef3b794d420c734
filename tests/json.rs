//! Any JSON on its way from a producer to a browser: no key has a meaning, and no digit is lost.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test that cannot go on has failed"
)]

#[path = "../local/fuzz/fuzz_targets/readers.rs"]
mod readers;

use std::{cell::Cell, net::Ipv4Addr};

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{
    Event, EventData, EventRef, Fields, Json, LoggedEvent, OrderId, Origin, Projection, Redaction, Version,
    json::Number,
};
use dynoxide::{
    Database,
    actions::{
        describe_stream::DescribeStreamRequest, describe_table::DescribeTableRequest, get_records::GetRecordsRequest,
        get_shard_iterator::GetShardIteratorRequest,
    },
};
use fauna_feed::conversion::is_same;
use proptest::{prelude::*, test_runner::TestRunner};
use protocol::{
    Message, Update,
    parts::{Assembled, Assembler},
};
use serde_json::json;
use store::{ProjectionWrite, Store, Written, aws::sdk_config, change_feed, item};
use tests::engine::{ChangeFeed, tables, variables};

const ALL: std::ops::RangeInclusive<Version> = Version::FIRST..=Version::new(u64::MAX);

/// Numbers that DynamoDB can store, in every notation.
fn number() -> impl Strategy<Value = Json> {
    let texts = prop_oneof![
        "-?(0|[1-9][0-9]{0,37})",
        "-?[1-9][0-9]{0,18}\\.[0-9]{1,19}",
        "-?0\\.0{0,9}[1-9][0-9]{0,27}",
        "-?[1-9][0-9]{0,37}[eE][+-]?[1-8][0-9]",
    ];
    texts.prop_map(|text| Json::Number(Number::parse(&text).unwrap()))
}

/// Data that DynamoDB can store, with names that mean something to one parser or another.
fn fields(names: &'static [&'static str]) -> impl Strategy<Value = Fields> {
    let name = move || {
        prop_oneof![
            2 => prop::sample::select(names).prop_map(str::to_owned),
            1 => "[0-9]{1,3}",
            2 => "\\PC{1,4}",
        ]
    };
    let leaf = prop_oneof![
        1 => Just(Json::Null),
        1 => any::<bool>().prop_map(Json::from),
        3 => number(),
        3 => any::<String>().prop_map(Json::from),
    ];
    let value = leaf.prop_recursive(8, 32, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
            prop::collection::btree_map(name(), inner, 0..4).prop_map(Json::Object),
        ]
    });
    prop::collection::btree_map(name(), value, 0..6)
}

fn events(order_id: &str, log: Vec<Fields>) -> Vec<Event> {
    let event = |(index, mut fields): (usize, Fields)| {
        fields.insert("eventName".to_owned(), Json::from("OrderChanged"));
        fields.insert("orderId".to_owned(), Json::from(order_id));
        let event_ref = EventRef::parse(&(index + 1).to_string()).unwrap();
        Event { event_ref, ts_us: 5, data: EventData::new(fields).unwrap() }
    };
    log.into_iter().enumerate().map(event).collect()
}

/// What a client has of an update of these events and this projection, after all frames.
fn shown(order_id: &OrderId, events: &[LoggedEvent], projection: &Projection) -> (Vec<Fields>, Fields) {
    let update = Update::redacted(order_id.clone(), events, projection, &Redaction::default());
    let (mut assembler, mut data, mut last) = (Assembler::default(), Vec::new(), None);
    for frame in Message::Update(update).frames() {
        let Assembled::Whole(text) = assembler.accept(&frame) else { continue };
        let Message::Update(update) = Message::read(&text).unwrap() else { panic!("no update") };
        data.extend(update.events.into_iter().map(|event| event.data.fields().clone()));
        last = update.projection;
    }
    (data, last.unwrap().fields().clone())
}

fn fold(events: &[LoggedEvent]) -> Projection {
    let mut projection = Projection::default();
    for logged in events {
        assert!(projection.evolve(logged));
    }
    projection
}

fn data(events: &[LoggedEvent]) -> Vec<Fields> {
    events.iter().map(|logged| logged.event.data.fields().clone()).collect()
}

/// The change feed of the log, read from its beginning on.
struct Feed {
    database: Database,
    iterator: Cell<String>,
}

impl Feed {
    fn of_the_log(database: Database) -> Self {
        let described =
            database.describe_table(DescribeTableRequest { table_name: "order_stream".to_owned() }).unwrap();
        let described = json!(described);
        let stream_arn = described["Table"]["LatestStreamArn"].as_str().unwrap().to_owned();
        let shards = DescribeStreamRequest { stream_arn: stream_arn.clone(), ..Default::default() };
        let shard_id = database.describe_stream(shards).unwrap().stream_description.shards.remove(0).shard_id;
        let shard_iterator_type = "TRIM_HORIZON".to_owned();
        let request = GetShardIteratorRequest { stream_arn, shard_id, shard_iterator_type, sequence_number: None };
        let iterator = database.get_shard_iterator(request).unwrap().shard_iterator.unwrap();
        Self { database, iterator: Cell::new(iterator) }
    }

    /// What was appended since the last time, as Lambda hands it over.
    fn invocation(&self) -> String {
        let request = GetRecordsRequest { shard_iterator: self.iterator.take(), limit: None };
        let answer = self.database.get_records(request).unwrap();
        self.iterator.set(answer.next_shard_iterator.unwrap());
        let records = answer.records.iter().map(|record| json!({"dynamodb": record.dynamodb}));
        json!({"Records": records.collect::<Vec<_>>()}).to_string()
    }
}

fn delivered(invocation: &str) -> Vec<LoggedEvent> {
    change_feed::read(invocation).unwrap().into_iter().map(|record| record.event.unwrap()).collect()
}

/// The embedded engine reads the one name that is missing here as something else: docs/local.md.
#[test]
fn any_json_passes_from_a_producer_through_dynamodb_to_a_client() {
    const NAMES: &[&str] = &["$serde_json::private::Number", "__proto__", "constructor", "N", "M", "$", "\"", "\u{0}"];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let database = tables(ChangeFeed::On);
    let listener = runtime.block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    runtime.spawn(dynoxide::server::serve_on(listener, database.clone()));
    let var = variables(url);
    let store = Store::from_vars(&sdk_config(&var).unwrap(), &var).unwrap();
    let (feed, orders) = (Feed::of_the_log(database), Cell::new(0));
    let logs = prop::collection::vec(fields(NAMES), 1..4);
    let mut runner = TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) });
    let passed = runner.run(&logs, |log| {
        orders.set(orders.get() + 1);
        let order_id = OrderId::new(format!("o{}", orders.get())).unwrap();
        let sent = events(order_id.as_str(), log);
        runtime.block_on(async {
            for event in &sent {
                store.event_log.append(event, None).await.unwrap();
            }
            let logged = store.event_log.range(&order_id, ALL).await.unwrap();
            for (sent, logged) in sent.iter().zip(&logged) {
                let [sent, logged] = [&sent.data, &logged.event.data].map(|data| Json::Object(data.fields().clone()));
                prop_assert!(is_same(&sent, &logged), "{} became {}", sent, logged);
            }
            prop_assert_eq!(&delivered(&feed.invocation()), &logged, "the change feed and the table differ");
            let folded = fold(&logged);
            let written = store.projections.put(&order_id, &folded, ProjectionWrite::default()).await.unwrap();
            prop_assert_eq!(written, Written::Stored);
            let stored = store.projections.get(&order_id).await.unwrap();
            prop_assert_eq!(&stored, &folded);
            prop_assert_eq!(shown(&order_id, &logged, &stored), (data(&logged), folded.into_fields()));
            Ok(())
        })
    });
    passed.unwrap();
}

/// A value in DynamoDB's types, as JSON.
fn typed(value: &AttributeValue) -> Json {
    let (tag, value) = match value {
        AttributeValue::S(text) => ("S", Json::from(text.as_str())),
        AttributeValue::N(digits) => ("N", Json::from(digits.as_str())),
        AttributeValue::Bool(truth) => ("BOOL", Json::from(*truth)),
        AttributeValue::Null(truth) => ("NULL", Json::from(*truth)),
        AttributeValue::L(values) => ("L", Json::Array(values.iter().map(typed).collect())),
        AttributeValue::M(map) => ("M", map.iter().map(|(name, value)| (name.clone(), typed(value))).collect()),
        other => panic!("no event has {other:?}"),
    };
    Json::from_iter([(tag.to_owned(), value)])
}

proptest! {
    #[test]
    fn any_json_passes_from_an_item_to_a_client_to_the_last_digit(
        log in prop::collection::vec(fields(&[
            "$serde_json::private::Number", "$serde_json::private::RawValue", "__proto__", "constructor", "N", "M",
        ]), 1..4),
    ) {
        let order_id = OrderId::new("o").unwrap();
        let logged: Vec<LoggedEvent> = (1..).zip(events("o", log)).map(|(version, event)| {
            LoggedEvent { version: Version::new(version), event, origin: Origin::default() }
        }).collect();
        let records = logged.iter().map(|logged| {
            let Json::Object(mut image) = typed(&AttributeValue::M(item::event::to_item(logged).unwrap())) else { panic!() };
            let image = image.remove("M").unwrap();
            let change = Json::from_iter([("SequenceNumber".to_owned(), Json::from("1")), ("NewImage".to_owned(), image)]);
            Json::from_iter([("dynamodb".to_owned(), change)])
        });
        let invocation = Json::from_iter([("Records".to_owned(), Json::Array(records.collect()))]).to_string();
        prop_assert_eq!(&delivered(&invocation), &logged);
        let folded = fold(&logged);
        let (_, stored) = item::projection::from_item(item::projection::to_item(&order_id, &folded, 5, None).unwrap()).unwrap();
        prop_assert_eq!(&stored.projection, &folded);
        prop_assert_eq!(shown(&order_id, &logged, &folded), (data(&logged), folded.into_fields()));
    }
}

/// Texts that a reader takes, which are then spoiled.
const SEEDS: [&str; 9] = [
    r#"{"Records":[{"dynamodb":{"SequenceNumber":"1","Keys":{"orderId":{"S":"o"},"version":{"N":"1"}},"NewImage":{"orderId":{"S":"o"},"version":{"N":"1"},"ref":{"S":"7"},"ts":{"N":"5"},"data":{"M":{"eventName":{"S":"A"},"orderId":{"S":"o"},"n":{"N":"1.50"},"s":{"SS":["b","a"]},"ns":{"NS":["2","1e1"]},"b":{"B":"AQI="},"l":{"L":[{"NULL":true},{"BOOL":false}]}}}}}}]}"#,
    r#"{"type":"update","orderId":"o","version":2,"events":[{"version":2,"ref":"7","ts":5,"data":{"$serde_json::private::Number":"12"}}],"projection":{"a":-1.5e+10},"reset":true}"#,
    r#"{"type":"part","id":"a","part":1,"parts":2,"orderId":"o","version":7,"text":"{\"type\":"}"#,
    r#"{"action":"subscribe","orders":[{"orderId":"guid_1","since":7,"ref":"9"},{"orderId":"\ud83d\ude00"}]}"#,
    r#"{"action":"heads","orders":{"a":1,"b":18446744073709551615}}"#,
    r#"[{"ref":"7","ts":5,"data":{"eventName":"A","orderId":"o","x":[[[[{"$serde_json::private::RawValue":"[1]"}]]]]}}]"#,
    "{\"ref\":\"7\",\"ts\":5,\"data\":{\"eventName\":\"A\",\"orderId\":\"o\"}}\r\n\n{\n",
    r#"{"resource":{"data":[{"ref":{"@ref":{"id":"7"}},"ts":5,"data":{"@obj":{"@ts":"x","d":1.0E10,"e":4.9E-324}}}]}}"#,
    r#"{"Resources":{"F":{"Type":"AWS::Lambda::Function","Properties":{"Environment":{"Variables":{"A":{"Fn::Sub":"${B}"}}}}}}}"#,
];

/// `EXECUTIONS=1000000 cargo test -p tests --test json readers` reads more.
#[test]
fn readers_of_untrusted_json_take_or_refuse_whatever_bytes_there_are() {
    let executions = std::env::var("EXECUTIONS").map_or(20_000, |count| count.parse().unwrap());
    let mut random = fastrand::Rng::with_seed(17);
    let begun = std::time::Instant::now();
    for execution in 0..executions {
        let mut bytes = random.choice(SEEDS).unwrap().as_bytes().to_vec();
        for _ in 0..random.usize(0..6) {
            spoil(&mut bytes, &mut random);
        }
        let read = std::panic::catch_unwind(|| readers::read(&bytes));
        assert!(read.is_ok(), "execution {execution}: {}", String::from_utf8_lossy(&bytes));
    }
    println!("{executions} executions in {:?}", begun.elapsed());
}

/// Changes bytes as a fuzzer does: flips, cuts, repeats, and puts in what JSON is made of.
fn spoil(bytes: &mut Vec<u8>, random: &mut fastrand::Rng) {
    const TOKENS: [&[u8]; 18] = [
        b"{",
        b"}",
        b"[",
        b"]",
        b":",
        b",",
        b"\"",
        b"\\",
        b"\\ud800",
        b"1e999999999999999999999",
        b"-",
        b"\xff",
        b"\xef\xbb\xbf",
        b"null",
        b"\"$serde_json::private::RawValue\":",
        b"\"$serde_json::private::Number\":\"1\"",
        b"[[[[[[[[[[[[[[[[",
        b"\n",
    ];
    let at = random.usize(0..=bytes.len());
    match random.u8(0..6) {
        0 if at < bytes.len() => bytes[at] = random.u8(..),
        1 => bytes.truncate(at),
        2 => drop(bytes.drain(at..(at + random.usize(0..9)).min(bytes.len()))),
        3 => {
            let end = (at + random.usize(0..40)).min(bytes.len());
            let repeated = bytes[at..end].repeat(random.usize(1..80));
            bytes.splice(at..at, repeated);
        }
        _ => drop(bytes.splice(at..at, random.choice(TOKENS).unwrap().iter().copied())),
    }
}
