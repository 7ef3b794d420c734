//! A FaunaDB, an event log, and the feed between them; and the oracle that compares the two.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use domain::{Json, LoggedEvent, OrderId, Projection, Version};
use fauna_feed::{Counts, Ended, Failure, Fauna as Client, Feed, FeedError, Names, Refused, Report, Secret, Until};
use serde_json::{Value, json};
use store::{EventLog, FaunaFeed, TableName, aws, aws::sdk_config, fauna_feed::Progress};
use tests::{
    engine::{Engine, variables},
    fauna::{Fauna, ROOT_SECRET},
};
use tokio::{
    sync::{
        Mutex,
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    },
    time::Instant,
};

use crate::gate::Calls;

pub(crate) const ALL: std::ops::RangeInclusive<Version> = Version::FIRST..=Version::new(u64::MAX);

pub(crate) struct Rig {
    pub(crate) fauna: Fauna,
    pub(crate) log: EventLog,
    pub(crate) state: FaunaFeed,
    pub(crate) calls: Arc<Calls>,
    engine: Engine,
    /// The addresses that the feed calls: both servers behind the gate.
    fauna_url: String,
    dynamodb_url: String,
    refusals: (UnboundedSender<Failure>, Mutex<UnboundedReceiver<Failure>>),
}

pub(crate) fn names() -> Names {
    Names { collection: "order_stream".to_owned(), index: "order_stream_by_ts".to_owned() }
}

pub(crate) fn order(id: &str) -> OrderId {
    OrderId::new(id).unwrap()
}

/// An event of an order.
pub(crate) fn event(order_id: &str, n: u64) -> Value {
    json!({"eventName": "OrderChanged", "orderId": order_id, "n": n, format!("f{}", n % 5): n})
}

/// An expression that creates a document.
pub(crate) fn create(id: Option<i64>, data: &Value) -> Value {
    let collection = json!({"collection": "order_stream"});
    let at = id.map_or(collection.clone(), |id| json!({"ref": collection, "id": id.to_string()}));
    json!({"create": at, "params": {"quote": {"data": data}}})
}

pub(crate) fn reference(id: i64) -> Value {
    json!({"ref": {"collection": "order_stream"}, "id": id.to_string()})
}

/// How many documents are in a log, and how many were dealt with otherwise. On a slow machine an append may be done and its
/// answer late: asked again, it is there.
pub(crate) fn in_the_log(counts: Counts) -> (u64, u64) {
    (counts.appended + counts.there, counts.updated + counts.removed + counts.refused)
}

/// A collection, its index of orders and the feed's index.
pub(crate) fn make_schema(fauna: &Fauna) {
    let field = |path: Value| json!({"object": {"field": path}});
    let index = |name: &str, key: &str, fields: Value| json!({"create_index": {"object": {"name": name, "source": {"collection": "order_stream"}, key: fields}}});
    fauna.query(&json!({"create_collection": {"object": {"name": "order_stream"}}}));
    fauna.query(&index("order_events_by_order_id", "terms", json!([field(json!(["data", "orderId"]))])));
    fauna.query(&index("order_stream_by_ts", "values", json!([field(json!(["ts"])), field(json!(["ref"]))])));
}

impl Rig {
    pub(crate) async fn start() -> Self {
        Self::start_with(Fauna::start().await).await
    }

    pub(crate) async fn start_with(fauna: Fauna) -> Self {
        make_schema(&fauna);
        let engine = Engine::start().await;
        let calls = Arc::new(Calls::default());
        let (fauna_url, dynamodb_url) = (calls.before(&fauna.url).await, calls.before(&engine.url).await);
        let (sent, received) = unbounded_channel();
        let (log, state) = tables(&engine.url);
        Self { fauna, log, state, calls, engine, fauna_url, dynamodb_url, refusals: (sent, Mutex::new(received)) }
    }

    /// Creates a document and gives its id.
    pub(crate) fn create(&self, data: &Value) -> i64 {
        let created = self.fauna.query(&create(None, data));
        created["ref"]["@ref"]["id"].as_str().unwrap().parse().unwrap()
    }

    pub(crate) fn create_at(&self, id: i64, data: &Value) {
        self.fauna.query(&create(Some(id), data));
    }

    /// A client of FaunaDB that nothing stops.
    pub(crate) fn client(&self) -> Client {
        Client::at(&self.fauna.url, Secret::new(ROOT_SECRET).unwrap()).unwrap()
    }

    pub(crate) fn feed(&self) -> Feed {
        self.feed_with(ROOT_SECRET, Refused::Listed(self.refusals.0.clone()))
    }

    pub(crate) fn feed_with(&self, secret: &str, refused: Refused) -> Feed {
        let client = Client::at(&self.fauna_url, Secret::new(secret).unwrap()).unwrap();
        let (log, state) = tables(&self.dynamodb_url);
        Feed::new(client, names(), state, log, refused)
    }

    /// Reads all that there is.
    pub(crate) async fn catch_up(&self) -> Counts {
        let report = self.run(Until::CaughtUp).await.unwrap();
        assert_eq!((report.ended, report.is_drained), (Ended::CaughtUp, true));
        report.counts
    }

    pub(crate) async fn run(&self, until: Until) -> Result<Report, FeedError> {
        let feed = self.feed();
        Box::pin(feed.run(until, &|_| {})).await
    }

    pub(crate) async fn run_for(&self, time: Duration) -> Result<Report, FeedError> {
        self.run(Until::Deadline(Instant::now() + time)).await
    }

    /// What was refused since the last look: id and reason.
    pub(crate) async fn refusals(&self) -> Vec<(String, String)> {
        let mut refusals = Vec::new();
        let mut received = self.refusals.1.lock().await;
        while let Ok(failure) = received.try_recv() {
            let Failure::NotAppended { event_ref, reason } = failure else { panic!("{failure:?}") };
            refusals.push((event_ref, reason));
        }
        refusals
    }

    pub(crate) async fn progress(&self) -> Option<Progress> {
        self.state.progress().await.unwrap()
    }

    /// Ends the lease of a feed that was killed, as its time does.
    pub(crate) fn end_lease(&self) {
        let update = json!({
            "TableName": "fauna_feed", "Key": {"id": {"S": "feed#order_stream"}},
            "UpdateExpression": "SET leaseUntil = :zero", "ConditionExpression": "attribute_exists(leaseUntil)",
            "ExpressionAttributeValues": {":zero": {"N": "0"}},
        });
        // One that was killed before it took the lease has none.
        self.engine.database.update_item(serde_json::from_value(update).unwrap()).ok();
    }

    pub(crate) async fn logged(&self, order_id: &str) -> Vec<LoggedEvent> {
        self.log.range(&order(order_id), ALL).await.unwrap()
    }

    pub(crate) async fn refs(&self, order_id: &str) -> Vec<String> {
        self.logged(order_id).await.iter().map(|logged| logged.event.event_ref.to_string()).collect()
    }

    /// The oracle: per order, the log has each document of the collection once and nothing else, with its contents, and
    /// versions without gaps (a gap is an error of the read).
    pub(crate) async fn assert_nothing_lost_and_nothing_doubled(&self) {
        let all = json!({"documents": {"collection": "order_stream"}});
        let page = json!({"paginate": all, "size": 100_000});
        let map = json!({"map": {"lambda": "r", "expr": {"get": {"var": "r"}}}, "collection": page});
        let mut expected: BTreeMap<String, BTreeMap<String, Json>> = BTreeMap::new();
        for document in self.fauna.query(&map)["data"].as_array().unwrap() {
            let Some(order_id) = document["data"]["orderId"].as_str() else { continue };
            let id = document["ref"]["@ref"]["id"].as_str().unwrap().to_owned();
            expected.entry(order_id.to_owned()).or_default().insert(id, Json::from(document["data"].clone()));
        }
        let orders: BTreeSet<String> =
            self.log.order_ids().await.unwrap().order_ids.iter().map(ToString::to_string).collect();
        assert_eq!(orders, expected.keys().cloned().collect());
        for (order_id, documents) in expected {
            let logged = self.logged(&order_id).await;
            assert_eq!(logged.len(), documents.len(), "{order_id}");
            let logged = logged
                .into_iter()
                .map(|logged| (logged.event.event_ref.to_string(), Json::Object(logged.event.data.into_fields())));
            assert_eq!(logged.collect::<BTreeMap<_, _>>(), documents, "{order_id}");
        }
    }

    /// The fold of an order's log, and FaunaDB's own.
    pub(crate) async fn folds(&self, order_id: &str) -> (Json, Json) {
        let mut projection = Projection::default();
        for logged in self.logged(order_id).await {
            assert!(projection.evolve(&logged));
        }
        let theirs = self.client().fold("order_events_by_order_id", &order(order_id)).await.unwrap();
        (Json::Object(projection.into_fields()), Json::Object(theirs))
    }
}

fn tables(dynamodb_url: &str) -> (EventLog, FaunaFeed) {
    let sdk = sdk_config(variables(dynamodb_url.to_owned())).unwrap();
    let client = aws::dynamodb(&sdk);
    let log = EventLog::new(client.clone(), TableName::order_stream(|_| None).unwrap());
    (log, FaunaFeed::new(client, TableName::fauna_feed(|_| None).unwrap(), "order_stream"))
}
