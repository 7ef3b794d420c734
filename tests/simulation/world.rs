//! The world of one seed: the real functions, the embedded DynamoDB, and everything between them and the browsers.
//!
//! One thing happens at a time, and the seed draws which. The functions are those that are deployed; their calls go through
//! the gate, and their clock is tokio's paused one.

mod aws;
mod bad;
mod gaps;
mod inputs;
mod invocations;
mod people;
mod queues;
mod size;
mod turn;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use connect::Connect;
use disconnect::Disconnect;
use domain::{Event, OrderId, Version};
use dynoxide::Database;
use event_handler::EventHandler;
use fan_out::FanOut;
use fastrand::Rng;
use store::{Store, aws::sdk_config};
use subscribe::Subscribe;
use tests::engine::{self, ChangeFeed};
use tokio::time::{self, Instant};

pub(crate) use bad::Bad;
use inputs::{event, principal};
use invocations::{Actor, INVOCATION_MAX, Outcome, Role};
use people::Socket;
use queues::{PAGES, Queues};
pub(crate) use size::Size;
use turn::Turn;

use crate::{
    browser::{Browser, Client, RustClient, Sockets},
    dynamodb::Feed,
    fate::Kinds,
    gate::{Call, Gate, OpenGate},
    report::Report,
    script::{Effect, Script},
};

/// Events of a world that are appended after the faults.
const LATER_EVENTS: u64 = 4;

/// Everything of one seed.
pub(crate) struct World {
    pub(crate) random: Rng,
    pub(crate) database: Database,
    pub(crate) feed: Feed,
    pub(crate) order_ids: Vec<OrderId>,
    pub(crate) browsers: Vec<Browser>,
    /// The engine of the browsers that run the shipped client.
    script: Script,
    began: Instant,
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
    queues: Queues,
    kinds: Kinds,
    /// What stays bad.
    pub(crate) bad: Bad,
    /// Events that are appended when nothing goes wrong any more but what stays bad.
    later: Vec<Event>,
    /// Orders to which a producer has begun to append.
    appended_to: BTreeSet<OrderId>,
    /// Events that are missing in their logs, each with the version before it; and the orders that had such gaps.
    gaps: Vec<(Event, Version)>,
    gapped: BTreeSet<OrderId>,
    /// Whether `@connections` is out of order.
    is_out: bool,
}

impl World {
    pub(crate) fn new(seed: u64, run: u64, size: &Size) -> Self {
        fastrand::seed(seed);
        let mut random = Rng::with_seed(seed);
        let database = engine::tables(ChangeFeed::On);
        let gate = Gate::default();
        let page_subscribers_max = [1, 2, 3, 1_000][random.usize(0..4)];
        let var = variables(format!("simulation-{seed}-{run}"), page_subscribers_max);
        let sdk = sdk_config(&var).unwrap().into_builder().http_client(gate.clone()).build();
        let store = Store::from_vars(&sdk, &var).unwrap();
        let looking_on = sdk.to_builder().http_client(OpenGate(database.clone())).build();
        let truth = Store::from_vars(&looking_on, &var).unwrap();
        let kinds = Kinds::draw(&mut random);
        let order_ids: Vec<OrderId> =
            (0..random.usize(size.orders.clone())).map(|n| OrderId::new(format!("order_{n}")).unwrap()).collect();
        let events = random.u64(size.events.clone());
        let due: VecDeque<Event> = (1..=events).map(|n| event(&mut random, kinds, &order_ids, n)).collect();
        let later = (1..=LATER_EVENTS).map(|n| event(&mut random, kinds, &order_ids, events + n)).collect();
        // Where messages are large, not all of those that arrive in parts can be held.
        let incomplete_max = if kinds.large { 300_000 } else { 64_000_000 };
        let mut script = Script::new(random.u32(..), incomplete_max);
        let (browsers, opened) = browsers(&mut random, &order_ids, size, &mut script, incomplete_max);
        let is_bad = random.bool();
        let bad = if is_bad { Bad::draw(&mut random, browsers.len(), &order_ids) } else { Bad::default() };
        let mut report = Report { seeds: 1, events, ..Report::default() };
        report.browsers = u64::try_from(browsers.len()).unwrap();
        let mut world = Self {
            order_ids,
            browsers,
            script,
            began: Instant::now(),
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
            queues: Queues::default(),
            kinds,
            bad,
            later,
            appended_to: BTreeSet::new(),
            gaps: Vec::new(),
            gapped: BTreeSet::new(),
            is_out: false,
            random,
        };
        world.follow(opened);
        if is_bad {
            world.write_bad_rows();
        }
        world
    }

    /// The events of good orders that come after the faults.
    pub(crate) fn take_later(&mut self) -> Vec<Event> {
        let bad = &self.bad.orders;
        self.later.drain(..).filter(|event| !bad.contains_key(event.order_id())).collect()
    }

    /// Whether a producer is at work, or has left a gap.
    pub(crate) fn is_appending(&self) -> bool {
        !self.gaps.is_empty() || self.actors.values().any(|actor| matches!(actor.role, Role::Producer(_)))
    }

    /// From here on nothing goes wrong but what stays bad, and what went wrong unnoticed is noticed.
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
            && self.gaps.is_empty()
            && is_fed
            && self.queues.is_empty(PAGES)
            && self.queues.has_only_waiting()
            && wires_are_empty
            && self.script.is_idle()
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
        let now_ms = self.now_ms();
        let effects = self.script.tick(now_ms);
        self.follow(effects);
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

    /// Milliseconds since the world began.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap()
    }

    /// Time goes by; if nobody works, all of it until something is due.
    async fn wait(&mut self) {
        let some = Duration::from_millis(self.random.u64(1..1_000));
        let next = self.script.next_ms().map(|ms| self.began + Duration::from_millis(ms));
        let next = next.into_iter().chain(self.queues.next_due()).min();
        match next.filter(|_| self.actors.is_empty()) {
            Some(next) => time::sleep_until(next).await,
            None => time::sleep(some).await,
        }
    }

    async fn take(&mut self, turn: Turn) {
        match turn {
            Turn::Answer => self.answer(),
            Turn::Carry => self.carry(),
            Turn::Append => self.append(),
            Turn::Deliver => self.deliver(),
            Turn::Stray => self.deliver_stray(),
            Turn::Page => self.deliver_page(),
            Turn::Deferred => self.deliver_deferred(),
            Turn::Connect => self.connect(),
            Turn::Speak => self.speak(),
            Turn::AskAgain => {
                let asking = self.pick_browser(Browser::asks_again);
                self.browsers[asking].rust_asks_again();
            }
            Turn::Decide => self.decide(),
            Turn::Leave => {
                let connection_id = self.pick_connection();
                self.report.fault("socket lost");
                self.end(&connection_id, "left");
            }
            Turn::Kill => self.kill(),
            Turn::Die => {
                let connection_id = self.pick_connection();
                let socket = self.sockets.get_mut(&connection_id).unwrap();
                if !socket.is_dead {
                    socket.is_dead = true;
                    self.report.fault("connection dead without a close");
                    self.tell(format!("{connection_id} is dead"));
                }
            }
            Turn::Clog => {
                let connection_id = self.pick_connection();
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
            Turn::Expire => {
                let connection_id = self.pick_connection();
                self.expire(&connection_id);
            }
            Turn::Spoil => self.spoil_logs(),
            Turn::Ahead => self.put_ahead().await,
            Turn::Fill => self.fill_gap().await,
            Turn::Wait => self.wait().await,
        }
    }

    fn tell(&mut self, line: String) {
        self.transcript.push(line);
    }

    fn dead(&self) -> Vec<String> {
        self.sockets.iter().filter(|(_, socket)| socket.is_dead).map(|(id, _)| id.clone()).collect()
    }
}

/// Which of the orders a browser follows, each from the beginning or from its projection.
fn followed(random: &mut Rng, order_ids: &[OrderId], size: &Size) -> Vec<(OrderId, bool)> {
    let few = size.few_followed && random.u8(0..8) > 0;
    let mut orders: Vec<(OrderId, bool)> = order_ids.iter().map(|order_id| (order_id.clone(), random.bool())).collect();
    orders.retain(|_| if few { random.u8(0..8) == 0 } else { random.u8(0..4) > 0 });
    orders
}

/// Browsers, about half of them with the shipped client, and what their pages have done.
fn browsers(
    random: &mut Rng,
    order_ids: &[OrderId],
    size: &Size,
    script: &mut Script,
    incomplete_max: usize,
) -> (Vec<Browser>, Vec<Effect>) {
    let (mut browsers, mut opened) = (Vec::new(), Vec::new());
    for name in 0..random.usize(size.browsers.clone()) {
        let orders = followed(random, order_ids, size);
        let client = if random.bool() {
            for (order_id, from_the_beginning) in &orders {
                opened.extend(script.follow(name, order_id.as_str(), from_the_beginning.then_some(0)));
            }
            Client::Script(Sockets::default())
        } else {
            Client::Rust(Box::new(RustClient::new(&orders, incomplete_max)))
        };
        browsers.push(Browser::new(name, principal(random), client, &orders));
    }
    (browsers, opened)
}

/// The environment of the functions. The SDKs share a budget of retries by region across the process: each run has one of
/// its own.
fn variables(region: String, page_subscribers_max: usize) -> impl Fn(&str) -> Option<String> {
    move |name| match name {
        "AWS_REGION" => Some(region.clone()),
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("local".to_owned()),
        "AWS_ENDPOINT_URL_DYNAMODB" | "AWS_ENDPOINT_URL_SQS" => Some("http://aws".to_owned()),
        "MANAGEMENT_ENDPOINT" => Some("http://gateway/local".to_owned()),
        "FAILURE_QUEUE_URL" => Some("http://aws/failures".to_owned()),
        "PAGE_QUEUE_URL" => Some("http://aws/pages".to_owned()),
        "ORDER_QUEUE_URL" => Some("http://aws/orders".to_owned()),
        "PAGE_SUBSCRIBERS_MAX" => Some(page_subscribers_max.to_string()),
        "ALLOWED_ORIGINS" => Some("*".to_owned()),
        _ => None,
    }
}
