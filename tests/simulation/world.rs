//! The world of one seed: the real functions, the embedded DynamoDB, and everything between them and the browsers.
//!
//! Owns: drawing what happens next, and doing it; one thing at a time.
//! Must not know: what has to hold in the end.
//! Source: the functions are those that are deployed; their calls go through the gate, their clock is tokio's paused one.

mod aws;
mod inputs;
mod pages;
mod turn;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use connect::Connect;
use disconnect::Disconnect;
use domain::{Event, OrderId};
use dynoxide::Database;
use event_handler::EventHandler;
use fan_out::FanOut;
use fastrand::Rng;
use queues::batch::BatchResponse;
use queues::batch::{QueueBatch, QueueMessage};
use serde_json::{Value, json};
use store::{Store, aws::sdk_config};
use subscribe::Subscribe;
use tests::engine::{self, ChangeFeed};
use tokio::{
    task::JoinHandle,
    time::{self, Instant},
};

use inputs::{event, invocation, principal};
use pages::Pages;
use turn::Turn;

use crate::{
    browser::Browser,
    dynamodb::Feed,
    fate::Kinds,
    gate::{ACTOR, Call, Gate, OpenGate},
    report::Report,
};

/// How long an invocation of a function may take.
const INVOCATION_MAX: Duration = Duration::from_secs(25);

/// Records of one batch.
const BATCH_RECORDS_MAX: usize = 6;

/// Everything of one seed.
pub(crate) struct World {
    pub(crate) random: Rng,
    pub(crate) database: Database,
    pub(crate) feed: Feed,
    pub(crate) browsers: Vec<Browser>,
    pub(crate) report: Report,
    pub(crate) transcript: Vec<String>,
    /// The tables, for the functions.
    store: Store,
    /// The tables, for whoever looks on.
    pub(crate) truth: Store,
    /// Events that no producer has begun to append, or that have to be appended again.
    pub(crate) due: VecDeque<Event>,
    gate: Gate,
    /// Two processes of the event handler: what one of them remembers, the other may have made stale.
    handlers: [EventHandler; 2],
    fan_out: FanOut,
    connect: Connect,
    subscribe: Subscribe,
    disconnect: Disconnect,
    actors: BTreeMap<u64, Actor>,
    begun: u64,
    /// Calls that wait for the scheduler.
    waiting: Vec<Call>,
    /// Calls that are never answered.
    hanging: Vec<Call>,
    /// Projections that were read, by the invocation and the order.
    projections_read: BTreeSet<(u64, String)>,
    sockets: BTreeMap<String, Socket>,
    /// How many records of the change feed are done with.
    done: usize,
    /// The invocation that works on the batch that is due, and where that batch ends.
    batch: Option<(u64, usize)>,
    /// The queue of pages.
    pages: Pages,
    kinds: Kinds,
    /// Whether `@connections` is out of order.
    is_out: bool,
}

/// An open connection, as API Gateway has it.
struct Socket {
    browser: usize,
    /// The browser is out of reach, and nobody has noticed.
    is_dead: bool,
    /// The browser reads too slowly: no push is taken.
    is_clogged: bool,
    /// Frames on their way to the browser.
    wire: VecDeque<String>,
}

/// An invocation, or a producer's append.
struct Actor {
    role: Role,
    task: JoinHandle<Outcome>,
}

#[derive(Clone, Debug)]
enum Role {
    Producer(Box<Event>),
    /// The batch that is due.
    Batch {
        from: usize,
        to: usize,
    },
    /// A batch that comes once more, or too early.
    StrayBatch,
    /// A page that was handed over.
    Page {
        message_id: String,
    },
    Connect {
        browser: usize,
        connection_id: String,
    },
    Message {
        connection_id: String,
    },
    Disconnect,
}

enum Outcome {
    Batch(Option<BatchResponse>),
    /// Whether a page is done.
    Page(bool),
    Reply(Option<Value>),
    Appended(bool),
}

impl World {
    pub(crate) fn new(seed: u64, run: u64) -> Self {
        fastrand::seed(seed);
        let mut random = Rng::with_seed(seed);
        let database = engine::tables(ChangeFeed::On);
        let gate = Gate::default();
        // The SDKs share a budget of retries by region across the process: each run has one of its own.
        let region = format!("simulation-{seed}-{run}");
        let page_subscribers_max = [1, 2, 3, 1_000][random.usize(0..4)];
        let var = move |name: &str| match name {
            "AWS_REGION" => Some(region.clone()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("local".to_owned()),
            "AWS_ENDPOINT_URL_DYNAMODB" | "AWS_ENDPOINT_URL_SQS" => Some("http://aws".to_owned()),
            "MANAGEMENT_ENDPOINT" => Some("http://gateway/local".to_owned()),
            "FAILURE_QUEUE_URL" => Some("http://aws/failures".to_owned()),
            "PAGE_QUEUE_URL" => Some("http://aws/pages".to_owned()),
            "PAGE_SUBSCRIBERS_MAX" => Some(page_subscribers_max.to_string()),
            "ALLOWED_ORIGINS" => Some("*".to_owned()),
            _ => None,
        };
        let sdk = sdk_config(&var).unwrap().into_builder().http_client(gate.clone()).build();
        let store = Store::from_vars(&sdk, &var).unwrap();
        let looking_on = sdk.to_builder().http_client(OpenGate(database.clone())).build();
        let truth = Store::from_vars(&looking_on, &var).unwrap();
        let order_ids: Vec<OrderId> =
            (0..random.usize(1..=10)).map(|n| OrderId::new(format!("order_{n}")).unwrap()).collect();
        let due: VecDeque<Event> = (0..random.u64(6..=24)).map(|n| event(&mut random, &order_ids, n + 1)).collect();
        let browsers = (0..random.usize(1..=6)).map(|name| {
            let mut orders: Vec<(OrderId, bool)> =
                order_ids.iter().map(|order_id| (order_id.clone(), random.bool())).collect();
            orders.retain(|_| random.u8(0..4) > 0);
            Browser::new(name, principal(&mut random, &order_ids), orders)
        });
        let browsers = browsers.collect();
        let mut report = Report { seeds: 1, ..Report::default() };
        report.events = u64::try_from(due.len()).unwrap();
        Self {
            browsers,
            feed: Feed::new(database.clone()),
            report,
            transcript: Vec::new(),
            due,
            handlers: std::array::from_fn(|_| EventHandler::with_sdk(&sdk, &var).unwrap()),
            fan_out: FanOut::with_sdk(&sdk, &var).unwrap(),
            connect: Connect::with_sdk(&sdk, &var).unwrap(),
            subscribe: Subscribe::with_sdk(&sdk, &var).unwrap(),
            disconnect: Disconnect::new(store.connections.clone(), store.subscriptions.clone()),
            store,
            truth,
            database,
            gate,
            actors: BTreeMap::new(),
            begun: 0,
            waiting: Vec::new(),
            hanging: Vec::new(),
            projections_read: BTreeSet::new(),
            sockets: BTreeMap::new(),
            done: 0,
            batch: None,
            pages: Pages::default(),
            kinds: Kinds::draw(&mut random),
            is_out: false,
            random,
        }
    }

    /// From here on nothing goes wrong, and what went wrong unnoticed is noticed.
    pub(crate) fn end_faults(&mut self) {
        self.kinds = Kinds::NONE;
        self.is_out = false;
        self.sockets.values_mut().for_each(|socket| socket.is_clogged = false);
        for connection_id in self.dead() {
            self.end(&connection_id, "noticed");
        }
    }

    /// Whether nothing is under way and nothing is due.
    pub(crate) fn is_settled(&self) -> bool {
        let wires_are_empty = self.sockets.values().all(|socket| socket.wire.is_empty());
        let is_fed = self.feed.records.len() == self.done && self.batch.is_none();
        self.actors.is_empty()
            && self.due.is_empty()
            && is_fed
            && self.pages.is_empty()
            && wires_are_empty
            && self.browsers.iter().all(Browser::is_settled)
    }

    /// Lets everything run until it waits, and then one thing happen.
    pub(crate) async fn step(&mut self) {
        self.report.steps += 1;
        // The paused clock moves on only when every task waits.
        time::sleep(Duration::from_millis(1)).await;
        self.waiting.extend(self.gate.take());
        self.hanging.retain(Call::is_awaited);
        self.finish().await;
        self.feed.read();
        let turns = self.turns();
        let total: u32 = turns.iter().map(|(weight, _)| weight).sum();
        let mut drawn = self.random.u32(0..total);
        let turn = turns.iter().find(|(weight, _)| {
            let is_it = drawn < *weight;
            drawn = drawn.saturating_sub(*weight);
            is_it
        });
        self.take(turn.unwrap().1).await;
    }

    async fn take(&mut self, turn: Turn) {
        match turn {
            Turn::Answer => self.answer(),
            Turn::Carry => self.carry(),
            Turn::Append => self.append(),
            Turn::Deliver => self.deliver(),
            Turn::Stray => self.deliver_stray(),
            Turn::Page => self.deliver_page(),
            Turn::Connect => self.connect(),
            Turn::Speak => self.speak(),
            Turn::AskAgain => {
                let asking = self.pick_browser(|browser| browser.asks_again);
                self.browsers[asking].ask_again();
            }
            Turn::Leave => {
                let leaving = self.pick_browser(|browser| browser.socket.is_some());
                let connection_id = self.browsers[leaving].socket.clone().unwrap();
                self.report.fault("socket lost");
                self.end(&connection_id, "left");
            }
            Turn::Kill => self.kill(),
            Turn::Die => {
                let dying = self.pick_browser(|browser| browser.socket.is_some());
                let connection_id = self.browsers[dying].socket.clone().unwrap();
                let socket = self.sockets.get_mut(&connection_id).unwrap();
                if !socket.is_dead {
                    socket.is_dead = true;
                    self.report.fault("connection dead without a close");
                    self.tell(format!("{connection_id} is dead"));
                }
            }
            Turn::Clog => {
                let clogged = self.pick_browser(|browser| browser.socket.is_some());
                let connection_id = self.browsers[clogged].socket.clone().unwrap();
                self.sockets.get_mut(&connection_id).unwrap().is_clogged = true;
                self.report.fault("connection that takes no push");
                self.tell(format!("{connection_id} is clogged"));
            }
            Turn::Outage => {
                self.is_out = !self.is_out;
                if self.is_out {
                    self.report.fault("outage of @connections");
                }
                self.tell(format!("@connections is out of order: {}", self.is_out));
            }
            Turn::Notice => {
                let dead = self.dead();
                let connection_id = &dead[self.random.usize(0..dead.len())];
                self.end(connection_id, "noticed");
            }
            Turn::Wait => {
                let ms = self.random.u64(1..1_000);
                time::sleep(Duration::from_millis(ms)).await;
            }
        }
    }

    fn tell(&mut self, line: String) {
        self.transcript.push(line);
    }

    fn pick_browser(&mut self, is_meant: impl Fn(&Browser) -> bool) -> usize {
        let meant: Vec<usize> =
            self.browsers.iter().filter(|browser| is_meant(browser)).map(|browser| browser.name).collect();
        meant[self.random.usize(0..meant.len())]
    }

    fn dead(&self) -> Vec<String> {
        self.sockets.iter().filter(|(_, socket)| socket.is_dead).map(|(id, _)| id.clone()).collect()
    }

    fn begin(&mut self, role: Role, work: impl Future<Output = Outcome> + 'static) -> u64 {
        self.begun += 1;
        let id = self.begun;
        self.tell(format!("#{id} begins: {role:?}"));
        let task = tokio::task::spawn_local(ACTOR.scope(id, work));
        self.actors.insert(id, Actor { role, task });
        id
    }

    fn append(&mut self) {
        let index = self.random.usize(0..self.due.len());
        let event = self.due.remove(index).unwrap();
        let (log, appended) = (self.store.event_log.clone(), event.clone());
        self.begin(Role::Producer(Box::new(event)), async move {
            Outcome::Appended(log.append(&appended, None).await.is_ok())
        });
    }

    fn deliver(&mut self) {
        let from = self.done;
        let to = self.feed.records.len().min(from + self.random.usize(1..=BATCH_RECORDS_MAX));
        let id = self.invoke(from, to, Role::Batch { from, to });
        self.batch = Some((id, to));
    }

    fn deliver_stray(&mut self) {
        let from = self.random.usize(0..self.feed.records.len());
        let to = self.feed.records.len().min(from + self.random.usize(1..=BATCH_RECORDS_MAX));
        self.report.fault(if from < self.done { "batch delivered again" } else { "batch delivered too early" });
        self.invoke(from, to, Role::StrayBatch);
    }

    fn invoke(&mut self, from: usize, to: usize, role: Role) -> u64 {
        let handler = self.handlers[usize::from(self.random.u8(0..4) == 0)].clone();
        let batch = json!({"Records": self.feed.records[from..to]});
        self.begin(
            role,
            async move { Outcome::Batch(handler.handle(&batch, Instant::now() + INVOCATION_MAX).await.ok()) },
        )
    }

    fn connect(&mut self) {
        let browser = self.pick_browser(|browser| browser.socket.is_none() && !browser.is_connecting);
        self.browsers[browser].is_connecting = true;
        self.report.connections += 1;
        let connection_id = format!("c{}", self.report.connections);
        let request = invocation(&connection_id, &self.browsers[browser].principal, 0, None);
        let connect = self.connect.clone();
        self.begin(Role::Connect { browser, connection_id }, async move {
            Outcome::Reply(connect.handle(request).await.ok())
        });
    }

    fn speak(&mut self) {
        let speaking = self.pick_browser(|browser| !browser.outbox.is_empty());
        let message = self.browsers[speaking].outbox.remove(0);
        let connection_id = self.browsers[speaking].socket.clone().unwrap();
        if self.sockets[&connection_id].is_dead {
            return;
        }
        let request = invocation(&connection_id, &self.browsers[speaking].principal, self.begun, Some(message));
        let subscribe = self.subscribe.clone();
        self.begin(Role::Message { connection_id }, async move {
            Outcome::Reply(subscribe.handle(request, Instant::now() + INVOCATION_MAX).await.ok())
        });
    }

    /// A function's process ends at once; what it asked for may still be under way.
    fn kill(&mut self) {
        let index = self.random.usize(0..self.actors.len());
        let id = *self.actors.keys().nth(index).unwrap();
        let actor = self.actors.remove(&id).unwrap();
        actor.task.abort();
        self.report.fault("invocation killed");
        self.tell(format!("#{id} is killed"));
        self.ended(id, actor.role, None);
    }

    /// Takes note of the invocations that have ended.
    async fn finish(&mut self) {
        let finished: Vec<u64> =
            self.actors.iter().filter(|(_, actor)| actor.task.is_finished()).map(|(id, _)| *id).collect();
        for id in finished {
            let Actor { role, task } = self.actors.remove(&id).unwrap();
            let outcome = task.await.expect("a function does not panic");
            self.tell(format!("#{id} ends"));
            self.ended(id, role, Some(outcome));
        }
    }

    fn ended(&mut self, id: u64, role: Role, outcome: Option<Outcome>) {
        match (role, outcome) {
            (Role::Producer(_), Some(Outcome::Appended(true))) | (Role::Disconnect | Role::StrayBatch, _) => {}
            (Role::Producer(event), _) => self.due.push_back(*event),
            (Role::Page { message_id }, Some(Outcome::Page(true))) => self.pages.delete(&message_id),
            (Role::Page { message_id }, _) => self.pages.show(&message_id),
            (Role::Batch { from, to }, outcome) => {
                assert_eq!(self.batch, Some((id, to)));
                self.batch = None;
                self.done = match outcome {
                    Some(Outcome::Batch(Some(response))) => self.first_failure(from, to, &response),
                    _ => from,
                };
            }
            (Role::Connect { browser, connection_id }, Some(Outcome::Reply(Some(_)))) => {
                self.sockets.insert(
                    connection_id.clone(),
                    Socket { browser, is_dead: false, is_clogged: false, wire: VecDeque::new() },
                );
                self.browsers[browser].connected(&connection_id);
            }
            (Role::Connect { browser, .. }, _) => self.browsers[browser].is_connecting = false,
            (Role::Message { connection_id }, outcome) => {
                let frame = match outcome {
                    Some(Outcome::Reply(Some(reply))) => reply["body"].as_str().map(str::to_owned),
                    _ => {
                        Some(r#"{"message": "Internal server error", "connectionId":"c", "requestId":"r"}"#.to_owned())
                    }
                };
                if let (Some(socket), Some(frame)) = (self.sockets.get_mut(&connection_id), frame) {
                    socket.wire.push_back(frame);
                }
            }
        }
    }

    /// Where the next batch begins: at the first record that was reported, or behind all.
    fn first_failure(&mut self, from: usize, to: usize, response: &BatchResponse) -> usize {
        let is_reported = |record: &Value| {
            let failures = &response.batch_item_failures;
            failures.iter().any(|failure| record["dynamodb"]["SequenceNumber"] == failure.item_identifier.as_str())
        };
        let reported = self.feed.records[from..to].iter().position(is_reported);
        if reported.is_some() {
            *self.report.faults.entry("batch reported").or_default() += 1;
        }
        reported.map_or(to, |index| from + index)
    }
}
