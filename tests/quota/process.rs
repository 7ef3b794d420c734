//! One process of the function `fan-out`, which does what `Push` and `Delivery` do with a page: post, probe, settle, close.

use std::time::Duration;

use domain::{
    ConnectionId,
    fan_out::{Health, Outcome, Settlement, is_hopeless},
    limits,
    pace::{self, Pace},
    post::{Answer, Around, Next, Post},
};

use crate::{
    gateway::{Call, Connection, Micros},
    world::{Page, World, duration, is_failed, number},
};

/// Something that happens. The events are ordered by one number, which a debug build compares fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Event(u128);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A page on the queue may be taken.
    Visible,
    /// The page's update and subscribers are read.
    Read,
    /// A job wants to make its next attempt.
    Start,
    /// An attempt begins.
    Begin,
    /// It is answered.
    Answer,
}

impl Event {
    /// A step of a job of a process; the sequence tells apart what happens at the same time.
    pub(crate) fn new(at: Micros, sequence: u64, process: usize, job: usize, step: Step) -> Self {
        let place = (sequence % (1 << 32)) << 32 | (process as u64) << 24 | (job as u64) << 4 | step as u64;
        Self(u128::from(at) << 64 | u128::from(place))
    }

    pub(crate) fn at(self) -> Micros {
        (self.0 >> 64) as Micros
    }

    pub(crate) fn process(self) -> usize {
        (self.0 >> 24) as usize & 0xff
    }

    fn job(self) -> usize {
        (self.0 >> 4) as usize & 0xf_ffff
    }

    pub(crate) fn step(self) -> Step {
        match self.0 & 0xf {
            0 => Step::Visible,
            1 => Step::Read,
            2 => Step::Start,
            3 => Step::Begin,
            _ => Step::Answer,
        }
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Invocation {
    pub(crate) begun: Micros,
    pub(crate) deadline: Micros,
}

/// What an invocation is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// A few connections are tried while API Gateway is out.
    Trial,
    Send,
    Probe,
    Close,
}

#[derive(Debug)]
pub(crate) struct Process {
    index: usize,
    pace: Pace,
    in_flight_max: usize,
    invocation: Invocation,
    page: Page,
    phase: Phase,
    jobs: Vec<Job>,
    /// Jobs from this one on have not begun.
    next: usize,
    active: usize,
    /// Behind the trial.
    waiting: Vec<u32>,
    outcomes: Vec<(ConnectionId, Outcome)>,
    served: usize,
    left: Vec<ConnectionId>,
}

/// A call, attempt by attempt.
#[derive(Debug)]
struct Job {
    id: u32,
    connection_id: ConnectionId,
    call: Call,
    post: Post,
    begun: Micros,
    answer: Answer,
    so_far: Outcome,
}

impl Process {
    pub(crate) fn new(index: usize, pace: Pace, in_flight_max: usize) -> Self {
        Self {
            index,
            pace,
            in_flight_max,
            invocation: Invocation::default(),
            page: Page { left: Vec::new(), round: 0 },
            phase: Phase::Send,
            jobs: Vec::new(),
            next: 0,
            active: 0,
            waiting: Vec::new(),
            outcomes: Vec::new(),
            served: 0,
            left: Vec::new(),
        }
    }

    pub(crate) fn take(&mut self, page: Page, invocation: Invocation) {
        (self.page, self.invocation) = (page, invocation);
    }

    pub(crate) fn advance(&mut self, event: Event, world: &mut World) {
        match event.step() {
            Step::Visible => {}
            Step::Read => self.read(world),
            Step::Start => self.start(event.job(), world),
            Step::Begin => self.begin(event.job(), world),
            Step::Answer => self.answer(event.job(), world),
        }
    }

    /// `Push::send_all` begins.
    fn read(&mut self, world: &mut World) {
        let mut ids = self.page.left.clone();
        world.random().shuffle(&mut ids);
        self.outcomes.clear();
        self.served = 0;
        self.waiting.clear();
        self.phase = Phase::Send;
        let mut jobs: Vec<Job> = Vec::new();
        if world.rules().pace && self.pace.is_out() {
            self.phase = Phase::Trial;
            self.waiting = ids.split_off(ids.len().min(limits::OUT_TRIALS_MAX));
            jobs.extend(ids.iter().cycle().take(limits::PROBES_MAX).map(|id| Job::new(Call::Get, *id)));
        }
        jobs.extend(ids.into_iter().map(|id| Job::new(Call::Post, id)));
        self.work(jobs, world);
    }

    fn work(&mut self, jobs: Vec<Job>, world: &mut World) {
        self.jobs = jobs;
        (self.next, self.active) = (0, 0);
        self.go_on(world);
    }

    /// Begins as many jobs as may be in flight.
    fn go_on(&mut self, world: &mut World) {
        while self.active < self.in_flight_max && self.next < self.jobs.len() {
            let job = self.next;
            self.next += 1;
            self.active += 1;
            let is_over = self.pace.is_out() || is_hopeless(self.served, self.outcomes.len(), self.page.left.len());
            if self.phase == Phase::Send && world.rules().pace && is_over {
                self.ended(job, Outcome::Unattempted, world);
            } else {
                self.start(job, world);
            }
        }
        if self.active == 0 && self.next == self.jobs.len() {
            self.next = usize::MAX;
            self.phase_is_over(world);
        }
    }

    fn start(&mut self, job: usize, world: &mut World) {
        let (now, latest) = (world.now(), self.latest());
        let so_far = self.jobs[job].so_far;
        let is_retry = so_far != Outcome::Unattempted;
        if now > latest || is_retry && world.rules().pace && self.pace.is_out() {
            return self.stop(job, so_far, world);
        }
        if !world.rules().pace {
            return self.begin(job, world);
        }
        match self.pace.take(duration(now), duration(latest)) {
            None => self.stop(job, so_far, world),
            Some(wait) if wait.is_zero() => self.begin(job, world),
            Some(wait) => {
                let at = now + Micros::try_from(wait.as_micros()).unwrap();
                world.schedule(at, self.index, job, Step::Begin);
            }
        }
    }

    fn begin(&mut self, index: usize, world: &mut World) {
        let now = world.now();
        let job = &mut self.jobs[index];
        world.noted(job.call, job.id);
        job.begun = now;
        let kind = world.kind(job.id);
        let (answer, at) = world.gateway.call(now, job.call, kind);
        job.answer = answer;
        if job.call == Call::Post && answer == Answer::Accepted {
            world.delivered(job.id);
        }
        world.schedule(at, self.index, index, Step::Answer);
    }

    fn answer(&mut self, index: usize, world: &mut World) {
        let now = world.now();
        let job = &mut self.jobs[index];
        let begun = duration(job.begun);
        let post = (job.call == Call::Post).then_some(&job.post);
        let call = pace::Call { connection_id: &job.connection_id, begun, post };
        self.pace.answered(call, job.answer, duration(now));
        let around = self.pace.around();
        let around = Around { is_out: around.is_out && world.rules().pace, ..around };
        match job.post.answered(job.answer, begun, around) {
            Next::End(outcome) => self.stop(index, outcome, world),
            Next::Retry { or_else, .. } if job.call == Call::Get => self.stop(index, or_else, world),
            Next::Retry { pause_max, or_else } => {
                job.so_far = or_else;
                let pause = pause_max.mul_f64(world.random().f64());
                let at = now + Micros::try_from(pause.as_micros()).unwrap();
                if at > self.latest() {
                    return self.stop(index, or_else, world);
                }
                world.schedule(at, self.index, index, Step::Start);
            }
        }
    }

    fn stop(&mut self, job: usize, outcome: Outcome, world: &mut World) {
        self.ended(job, outcome, world);
        self.go_on(world);
    }

    fn ended(&mut self, job: usize, outcome: Outcome, world: &mut World) {
        self.active -= 1;
        let Job { id, connection_id, call, .. } = &self.jobs[job];
        match (call, outcome) {
            (Call::Post, Outcome::Failed) if self.phase == Phase::Trial => {
                self.outcomes.push((connection_id.clone(), Outcome::Unattempted));
            }
            (Call::Post, outcome) => {
                self.served += usize::from(outcome.is_served());
                self.outcomes.push((connection_id.clone(), outcome));
            }
            (Call::Delete, Outcome::Delivered | Outcome::Gone | Outcome::InvalidId) => world.closed_or_forgotten(*id),
            (Call::Delete, _) => self.left.push(connection_id.clone()),
            (Call::Get, _) => {}
        }
    }

    fn phase_is_over(&mut self, world: &mut World) {
        match self.phase {
            Phase::Trial => {
                self.phase = Phase::Send;
                let waiting = std::mem::take(&mut self.waiting);
                self.work(waiting.into_iter().map(|id| Job::new(Call::Post, id)).collect(), world);
            }
            Phase::Send => {
                let is_late = self.page.round >= limits::CLOSE_ROUND_MIN;
                let is_known = self.health(world) == Health::Up || !is_late;
                let failed = self.outcomes.iter().filter(|(_, outcome)| is_failed(*outcome));
                let failed: Vec<u32> = failed.map(|(connection_id, _)| number(connection_id)).collect();
                if is_known || failed.is_empty() || !world.rules().close_causes_only {
                    self.settle(world);
                } else {
                    self.phase = Phase::Probe;
                    let probed = failed.iter().cycle().take(limits::PROBES_MAX);
                    self.work(probed.map(|id| Job::new(Call::Get, *id)).collect(), world);
                }
            }
            Phase::Probe => self.settle(world),
            Phase::Close => {
                let left = match world.rules().only_left {
                    true => self.left.iter().map(number).collect(),
                    false if self.left.is_empty() => Vec::new(),
                    false => self.page.left.clone(),
                };
                let page = Page { left, round: self.page.round };
                world.done(self.index, page, self.invocation.begun);
            }
        }
    }

    fn settle(&mut self, world: &mut World) {
        let outcomes = std::mem::take(&mut self.outcomes);
        let health = self.health(world);
        let Settlement { forget, close, left } = world.rules().settle(outcomes, self.page.round, health);
        for connection_id in &forget {
            world.closed_or_forgotten(number(connection_id));
        }
        self.left = left;
        self.phase = Phase::Close;
        self.work(close.iter().map(|connection_id| Job::new(Call::Delete, number(connection_id))).collect(), world);
    }

    fn health(&self, world: &World) -> Health {
        self.pace.health(duration(world.now()))
    }

    /// Until when an attempt may begin.
    fn latest(&self) -> Micros {
        let settling = match self.phase {
            Phase::Trial | Phase::Send => Duration::ZERO,
            Phase::Probe | Phase::Close => limits::SETTLE_TIME,
        };
        let latest = duration(self.invocation.deadline) + settling - limits::PUSH_TIME_OUT;
        Micros::try_from(latest.as_micros()).unwrap()
    }
}

impl Job {
    fn new(call: Call, id: u32) -> Self {
        Self {
            id,
            connection_id: ConnectionId::new(id.to_string()),
            call,
            post: Post::default(),
            begun: 0,
            answer: Answer::Silent,
            so_far: Outcome::Unattempted,
        }
    }
}

impl Connection {
    /// All are healthy.
    pub(crate) fn all_healthy(_: u32) -> Self {
        Self::Healthy
    }

    /// One in a hundred is bad, of each kind as many.
    pub(crate) fn one_percent_bad(id: u32) -> Self {
        match id % 300 {
            7 => Self::Slow,
            107 => Self::Dead,
            207 => Self::Gone,
            _ => Self::Healthy,
        }
    }

    /// The first page has nobody who reads.
    pub(crate) fn first_page_slow(id: u32) -> Self {
        if id < 1_000 { Self::Slow } else { Self::Healthy }
    }

    /// The first page has nobody who is there.
    pub(crate) fn first_page_dead(id: u32) -> Self {
        if id < 1_000 { Self::Dead } else { Self::Healthy }
    }
}
