//! What one event costs: exact counts of calls to DynamoDB, of capacity units and of posts to `@connections`. They do not
//! grow with the log, and with the batch only in what is written.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod allowance;
mod connections;
mod gaps;
mod heads;

use std::{ops::RangeInclusive, time::Duration};

use domain::{OrderId, Version};
use event_handler::EventHandler;
use fan_out::FanOut;
use queues::batch::BatchResponse;
use serde_json::{Value, json};
use store::{Store, aws::sdk_config};
use tests::{
    counted::{Bill, Counted},
    engine::{Engine, variables},
};
use tokio::time::Instant;

use connections::Connections;

const EVENTS: u64 = 10_000;

/// Subscribers, queries (a page is 1 MB) and capacity units: two for the projection, and one for each 4 KB of rows.
const SUBSCRIBERS: [(u64, usize, f64); 4] = [(0, 1, 3.0), (1, 1, 3.0), (100, 1, 5.0), (1_000, 1, 23.0)];

/// What the next event of an order costs the process that folded the one before.
const STEADY: [&str; 2] = ["PutItem order_projections", "Query subscriptions, consistent"];

/// A handler, and everything that it calls, counted.
struct Rig {
    engine: Engine,
    counted: Counted,
    connections: Connections,
    handler: EventHandler,
    fan_out: FanOut,
}

fn image(version: u64) -> Value {
    json!({
        "orderId": {"S": "guid_1"}, "version": {"N": version.to_string()}, "ref": {"S": version.to_string()},
        "ts": {"N": "1605999005510000"},
        "data": {"M": {"eventName": {"S": "OrderChanged"}, "orderId": {"S": "guid_1"}, "count": {"N": version.to_string()},
                       "note": {"S": "x".repeat(1_000)}}},
    })
}

impl Rig {
    async fn start() -> Self {
        let engine = Engine::start().await;
        let counted = Counted::start(&engine.url).await;
        let connections = Connections::start().await;
        let (aws, origin) = (variables(counted.url.clone()), connections.origin.clone());
        let var = move |name: &str| match name {
            "REDACTED_FIELDS" => Some("stripeToken".to_owned()),
            "MANAGEMENT_ENDPOINT" => Some(format!("{origin}/local")),
            "AWS_ENDPOINT_URL_SQS" => Some(origin.clone()),
            // Nothing fails here, and nobody calls it.
            "FAILURE_QUEUE_URL" => Some(format!("{origin}/failures")),
            "ORDER_QUEUE_URL" => Some(format!("{origin}/orders")),
            "PAGE_QUEUE_URL" => Some(format!("{origin}/pages")),
            _ => aws(name),
        };
        let (handler, fan_out) = (EventHandler::from_vars(&var).unwrap(), FanOut::from_vars(&var).unwrap());
        Self { engine, counted, connections, handler, fan_out }
    }

    fn put(&self, table: &str, item: &Value) {
        let put = json!({"TableName": table, "Item": item});
        self.engine.database.put_item(serde_json::from_value(put).unwrap()).unwrap();
    }

    /// As many subscribers as this, those that there are included.
    fn subscribe(&self, numbers: RangeInclusive<u64>) {
        for number in numbers {
            let connection_id = json!({"S": format!("L0SM9cOFvHc{number:05}=")});
            let expires_at = json!({"N": "9999999999"});
            let row = json!({"orderId": {"S": "guid_1"}, "connectionId": connection_id, "principalId": {"S": "user_123"},
                             "readsAll": {"BOOL": true}, "expiresAt": expires_at});
            self.put("subscriptions", &row);
        }
    }

    /// Appends events and hands them over in one batch; what that cost, and how many posts.
    async fn deliver(&self, versions: RangeInclusive<u64>) -> (Bill, u64) {
        let mut records = Vec::new();
        for version in versions {
            self.put("order_stream", &image(version));
            records.push(json!({"dynamodb": {"SequenceNumber": version.to_string(), "NewImage": image(version)}}));
        }
        let bill = self.handle(&json!({"Records": records})).await;
        (bill, self.connections.take())
    }

    /// Hands an invocation to the event handler; what that cost.
    async fn handle(&self, invocation: &Value) -> Bill {
        let deadline = Instant::now() + Duration::from_secs(120);
        let response = self.handler.handle(&invocation.to_string(), deadline).await.unwrap();
        assert_eq!(response, BatchResponse::default());
        self.counted.take()
    }
}

#[tokio::test]
async fn event_10_000_costs_what_event_2_costs() {
    let rig = Rig::start().await;
    let (first, _) = rig.deliver(1..=1).await;
    assert_eq!(first.calls, ["GetItem order_projections, consistent", STEADY[0], STEADY[1]]);
    let mut alone = Vec::new();
    // The first ten and the last ten alone, a hundred at a time between: batches as the change feed makes them.
    let batches = (2..=10).map(|version| version..=version);
    let batches = batches.chain((11..EVENTS - 10).step_by(100).map(|first| first..=(first + 99).min(EVENTS - 10)));
    for batch in batches.chain((EVENTS - 9..=EVENTS).map(|version| version..=version)) {
        let is_alone = batch.start() == batch.end();
        let (bill, posts) = rig.deliver(batch.clone()).await;
        assert_eq!((&bill.calls[..], posts), (&STEADY.map(str::to_owned)[..], 0), "{batch:?}");
        if is_alone {
            println!("event {:>6}: {} capacity units, calls {:?}", batch.start(), bill.capacity_units, bill.calls);
            alone.push(bill.capacity_units);
        }
    }
    assert_eq!(alone, vec![alone[0]; alone.len()]);

    let var = variables(rig.engine.url.clone());
    let store = Store::from_vars(&sdk_config(&var).unwrap(), &var).unwrap();
    let projection = store.projections.get(&OrderId::new("guid_1").unwrap()).await.unwrap();
    assert_eq!(projection.version(), Version::new(EVENTS));
    assert_eq!(projection.fields()["count"], domain::Json::from(EVENTS), "the log folds whole");
}

#[tokio::test]
async fn a_subscriber_costs_one_post_and_its_share_of_a_query() {
    let rig = Rig::start().await;
    rig.deliver(1..=1).await;
    let mut before = 0;
    for (version, (subscribers, queries, capacity_units)) in (2..).zip(SUBSCRIBERS) {
        rig.subscribe(before + 1..=subscribers);
        before = subscribers;
        let (bill, posts) = rig.deliver(version..=version).await;
        println!(
            "{subscribers:>6} subscribers: {} capacity units, {posts} posts, calls {:?}",
            bill.capacity_units, bill.calls
        );
        assert_eq!((posts, bill.capacity_units), (subscribers, capacity_units), "{subscribers} subscribers");
        assert_eq!(bill.calls[0], STEADY[0]);
        assert_eq!(bill.calls[1..], vec![STEADY[1]; queries], "{subscribers} subscribers");
    }
}

#[tokio::test]
async fn a_page_of_subscribers_costs_three_reads_and_its_posts() {
    let rig = Rig::start().await;
    rig.deliver(1..=1).await;
    rig.subscribe(1..=10_000);
    let (bill, posts) = rig.deliver(2..=2).await;
    let pages = rig.connections.take_pages();
    println!(
        "10000 subscribers: {} capacity units, {posts} posts, {} pages, calls {:?}",
        bill.capacity_units,
        pages.len(),
        bill.calls
    );
    // The first thousand are read, the others counted; the last query finds nobody behind the last thousand.
    assert_eq!((&bill.calls[0], posts, pages.len()), (&STEADY[0].to_owned(), 0, 10));
    assert_eq!(bill.calls[1..], vec![STEADY[1]; 11]);
    let mut units = Vec::new();
    for page in pages {
        let deadline = Instant::now() + Duration::from_secs(120);
        let response = rig.fan_out.handle(serde_json::from_value(page).unwrap(), deadline).await;
        let (bill, posts) = (rig.counted.take(), rig.connections.take());
        let reads = ["GetItem order_projections, consistent", "Query order_stream, consistent", STEADY[1]];
        assert_eq!(
            (response.batch_item_failures.len(), posts, &bill.calls[..]),
            (0, 1_000, &reads.map(str::to_owned)[..])
        );
        units.push(bill.capacity_units);
    }
    println!("a page of 1000: {} capacity units, 1000 posts", units[0]);
    assert!(units.iter().all(|each| (each - units[0]).abs() <= 1.0), "{units:?}");
}

#[tokio::test]
async fn a_batch_costs_what_one_event_costs() {
    let rig = Rig::start().await;
    rig.subscribe(1..=10);
    rig.deliver(1..=1).await;
    let mut next = 2;
    // An update over 128 KB travels in parts, each a post.
    for (events, parts) in [(1, 1), (10, 1), (100, 1), (1_000, 9)] {
        let (bill, posts) = rig.deliver(next..=next + events - 1).await;
        next += events;
        let Bill { capacity_units, calls } = bill;
        println!("{events:>6} events in a batch: {capacity_units} capacity units, {posts} posts, calls {calls:?}");
        assert_eq!((&calls[..], capacity_units, posts), (&STEADY.map(str::to_owned)[..], 3.0, 10 * parts));
    }
}
