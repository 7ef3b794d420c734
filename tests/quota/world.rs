//! One update and its subscribers: the queue of pages, the processes that take them, and what became of each connection.
//!
//! Everything that is decided is decided by the product: `Pace`, `Post`, `settle`, `retry_delay`. The rest is virtual time.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    time::Duration,
};

use domain::{
    ConnectionId,
    fan_out::{Outcome, retry_delay},
    limits,
    pace::{Pace, Quota},
};

use crate::{
    gateway::{ApiGateway, Call, Connection, Micros, SECOND},
    process::{Event, Invocation, Process, Step},
    rules::Rules,
};

/// From the append until the first pages are on the queue.
pub(crate) const HAND_OVER: Micros = SECOND / 5;

/// How long the event handler takes to put ten more pages on the queue.
const TEN_PAGES: Micros = SECOND / 20;

/// The longest way from the queue to a process that has read its page.
pub(crate) const READ_PAGE: Micros = SECOND / 20;

/// An invocation's time, without the reserve.
const INVOCATION: Micros = 15 * SECOND;

/// The delay of a page's retry where retries are not spread.
const AGAIN_AFTER: Micros = 60 * SECOND;

/// What is simulated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    pub(crate) subscribers: u32,
    /// Of an account's requests to API Gateway.
    pub(crate) per_second: u32,
    /// What other orders' pushes ask for.
    pub(crate) others_per_second: u32,
    /// What the connection with this number is.
    pub(crate) kind: fn(u32) -> Connection,
    /// Seconds of an outage from the beginning.
    pub(crate) outage_s: u64,
    pub(crate) rules: Rules,
    /// Posts for each subscriber after which nobody waits for the end.
    pub(crate) posts_max: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    pub(crate) posts: u64,
    pub(crate) gets: u64,
    pub(crate) deletes: u64,
    /// Of all own calls, the part that the account's quota refused.
    pub(crate) own_refused: f64,
    /// The same of other orders' pushes, while this update was pushed.
    pub(crate) others_refused: f64,
    pub(crate) healthy_closed: u64,
    /// Healthy connections that have the update, or were closed and so resume.
    pub(crate) healthy_reached: u64,
    /// When the last healthy connection had the update.
    pub(crate) healthy_by: Micros,
    /// Bad connections that are closed or forgotten, and by when.
    pub(crate) bad_settled: u64,
    pub(crate) bad_by: Micros,
    pub(crate) posts_to_bad: u64,
    /// The most posts that one bad connection took.
    pub(crate) posts_to_one_bad: u32,
}

/// A page on the queue: who is left of it.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) left: Vec<u32>,
    pub(crate) round: u32,
}

pub(crate) struct World {
    scenario: Scenario,
    now: Micros,
    pub(crate) gateway: ApiGateway,
    processes: Vec<Option<Box<Process>>>,
    idle: Vec<usize>,
    /// Pages on the queue, by when they are visible.
    queue: BTreeMap<(Micros, u64), Page>,
    events: BinaryHeap<Reverse<Event>>,
    sequence: u64,
    posts_to: BTreeMap<u32, u32>,
    reached: Vec<bool>,
    figures: Figures,
    random: fastrand::Rng,
}

impl World {
    pub(crate) fn new(scenario: Scenario, processes: usize, seed: u64) -> Self {
        let quota = Quota::new(scenario.per_second, u32::try_from(processes).unwrap());
        let mut gateway = ApiGateway::new(scenario.per_second, scenario.others_per_second, seed);
        gateway.outage = 0..scenario.outage_s * SECOND;
        let in_flight_max = if scenario.rules.pace { quota.in_flight_max() } else { limits::PUSHES_IN_FLIGHT_MAX };
        let mut world = Self {
            scenario,
            now: 0,
            gateway,
            processes: (0..processes)
                .map(|index| Some(Box::new(Process::new(index, Pace::new(quota), in_flight_max))))
                .collect(),
            idle: (0..processes).collect(),
            queue: BTreeMap::new(),
            events: BinaryHeap::new(),
            sequence: 0,
            posts_to: BTreeMap::new(),
            reached: vec![false; scenario.subscribers as usize],
            figures: Figures::default(),
            random: fastrand::Rng::with_seed(seed),
        };
        let subscribers: Vec<u32> = (0..scenario.subscribers).collect();
        for (index, left) in subscribers.chunks(limits::PAGE_SUBSCRIBERS_MAX).enumerate() {
            let visible = HAND_OVER + index as Micros / 10 * TEN_PAGES;
            world.enqueue(visible, Page { left: left.to_vec(), round: 1 });
        }
        world
    }

    /// Runs until nobody is left, or too many posts were made, or no connection is alive any more.
    pub(crate) fn run(mut self) -> Figures {
        let posts_max = self.scenario.posts_max * u64::from(self.scenario.subscribers);
        while let Some(Reverse(event)) = self.events.pop() {
            self.now = event.at();
            if self.figures.posts > posts_max || self.now > life_max() {
                break;
            }
            match event.step() {
                Step::Visible => self.dispatch(),
                Step::Read | Step::Start | Step::Begin | Step::Answer => self.advance(event),
            }
        }
        self.gateway.serve_others(self.figures.healthy_by);
        let figures = &mut self.figures;
        figures.own_refused = self.gateway.own.share();
        figures.others_refused = self.gateway.others.share();
        figures.posts_to_bad = self.posts_to.values().copied().map(u64::from).sum();
        figures.posts_to_one_bad = self.posts_to.values().copied().max().unwrap_or_default();
        self.figures
    }

    pub(crate) fn kind(&self, id: u32) -> Connection {
        (self.scenario.kind)(id)
    }

    pub(crate) fn rules(&self) -> Rules {
        self.scenario.rules
    }

    pub(crate) fn now(&self) -> Micros {
        self.now
    }

    pub(crate) fn random(&mut self) -> &mut fastrand::Rng {
        &mut self.random
    }

    pub(crate) fn schedule(&mut self, at: Micros, process: usize, job: usize, step: Step) {
        self.sequence += 1;
        self.events.push(Reverse(Event::new(at, self.sequence, process, job, step)));
    }

    /// Notes a call of a process, and what came of it.
    pub(crate) fn noted(&mut self, call: Call, id: u32) {
        match call {
            Call::Post => {
                self.figures.posts += 1;
                if self.kind(id) != Connection::Healthy {
                    *self.posts_to.entry(id).or_default() += 1;
                }
            }
            Call::Delete => self.figures.deletes += 1,
            Call::Get => self.figures.gets += 1,
        }
    }

    pub(crate) fn delivered(&mut self, id: u32) {
        if !std::mem::replace(&mut self.reached[id as usize], true) {
            self.figures.healthy_reached += 1;
            self.figures.healthy_by = self.now;
        }
    }

    pub(crate) fn closed_or_forgotten(&mut self, id: u32) {
        if self.kind(id) == Connection::Healthy {
            self.figures.healthy_closed += 1;
            self.delivered(id);
        } else {
            self.figures.bad_settled += 1;
            self.figures.bad_by = self.now;
        }
    }

    /// An invocation ends: who is left of its page waits on the queue for the next round.
    pub(crate) fn done(&mut self, process: usize, page: Page, begun: Micros) {
        if !page.left.is_empty() {
            let delay = retry_delay(page.round, self.random.f64()).as_secs() * SECOND;
            let visible = if self.rules().spread { self.now + delay } else { begun + AGAIN_AFTER };
            self.enqueue(visible.max(self.now), Page { round: page.round + 1, ..page });
        }
        self.idle.push(process);
        self.schedule(self.now, process, 0, Step::Visible);
    }

    fn enqueue(&mut self, visible: Micros, page: Page) {
        self.sequence += 1;
        self.queue.insert((visible, self.sequence), page);
        self.schedule(visible, 0, 0, Step::Visible);
    }

    fn dispatch(&mut self) {
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= self.now) {
            let Some(process) = self.idle.pop() else { return };
            let page = entry.remove();
            let invocation = Invocation { begun: self.now, deadline: self.now + INVOCATION };
            self.processes[process].as_mut().unwrap().take(page, invocation);
            let reads = self.random.u64(READ_PAGE / 2..READ_PAGE);
            self.schedule(self.now + reads, process, 0, Step::Read);
        }
    }

    fn advance(&mut self, event: Event) {
        let index = event.process();
        let mut process = self.processes[index].take().unwrap();
        process.advance(event, self);
        self.processes[index] = Some(process);
    }
}

/// No connection lives longer.
fn life_max() -> Micros {
    limits::CONNECTION_LIFE_MAX.as_secs() * SECOND
}

pub(crate) fn duration(at: Micros) -> Duration {
    Duration::from_micros(at)
}

pub(crate) fn number(connection_id: &ConnectionId) -> u32 {
    connection_id.as_str().parse().unwrap()
}

pub(crate) fn is_failed(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Throttled | Outcome::Failed | Outcome::TooLarge)
}
