//! API Gateway as a fan-out meets it: a token bucket that the whole account shares, connections of several kinds, and
//! other orders' pushes that draw on the bucket all the time.

use domain::post::Answer;

/// Microseconds of virtual time.
pub(crate) type Micros = u64;

/// A second.
pub(crate) const SECOND: Micros = 1_000_000;

/// How long a call takes that is answered: 20 ms on average.
const CALL: std::ops::Range<Micros> = 10_000..30_000;

/// How long a call waits that is not answered: the timeout of a push.
const SILENCE: Micros = 2 * SECOND;

/// What a connection does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    Healthy,
    /// Its browser reads nothing: always 429.
    Slow,
    /// Its browser has vanished: a post hangs.
    Dead,
    /// It is closed: 410.
    Gone,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Post,
    Delete,
    Get,
}

/// Calls and how many of them the account's quota refused.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) calls: u64,
    pub(crate) refused: u64,
}

/// The bucket, and who draws on it.
#[derive(Debug)]
pub(crate) struct ApiGateway {
    /// Tokens a microsecond.
    rate: f64,
    burst: f64,
    tokens: f64,
    at: Micros,
    /// Twice the mean time between two pushes of other orders, and when the next one is due.
    others_every: Option<f64>,
    others_next: f64,
    pub(crate) others: Count,
    pub(crate) own: Count,
    /// In between nothing is answered.
    pub(crate) outage: std::ops::Range<Micros>,
    random: fastrand::Rng,
}

impl ApiGateway {
    /// An account with so many requests a second, of which other orders' pushes ask for so many.
    pub(crate) fn new(per_second: u32, others_per_second: u32, seed: u64) -> Self {
        let rate = f64::from(per_second) / SECOND as f64;
        Self {
            rate,
            burst: f64::from(per_second) / 2.0,
            tokens: f64::from(per_second) / 2.0,
            at: 0,
            others_every: (others_per_second > 0).then(|| 2.0 * SECOND as f64 / f64::from(others_per_second)),
            others_next: 0.0,
            others: Count::default(),
            own: Count::default(),
            outage: 0..0,
            random: fastrand::Rng::with_seed(seed),
        }
    }

    /// Answers a call that begins now, and says when.
    pub(crate) fn call(&mut self, now: Micros, call: Call, connection: Connection) -> (Answer, Micros) {
        self.serve_others(now);
        self.own.calls += 1;
        let answered = now + self.random.u64(CALL);
        if self.outage.contains(&now) {
            return (Answer::Silent, now + SILENCE);
        }
        if !self.take(now) {
            self.own.refused += 1;
            return (Answer::Throttled, answered);
        }
        match (call, connection) {
            (_, Connection::Gone) => (Answer::Gone, answered),
            (Call::Post, Connection::Slow) => (Answer::Throttled, answered),
            (Call::Post, Connection::Dead) => (Answer::Silent, now + SILENCE),
            (Call::Post, Connection::Healthy) | (Call::Delete | Call::Get, _) => (Answer::Accepted, answered),
        }
    }

    /// Lets the pushes of other orders up to now draw on the bucket.
    pub(crate) fn serve_others(&mut self, now: Micros) {
        let Some(every) = self.others_every else { return };
        while self.others_next <= now as f64 {
            let is_served = self.take(self.others_next as Micros);
            self.others.calls += 1;
            self.others.refused += u64::from(!is_served);
            self.others_next += every * self.random.f64();
        }
    }

    fn take(&mut self, now: Micros) -> bool {
        if now > self.at {
            self.tokens = (self.tokens + (now - self.at) as f64 * self.rate).min(self.burst);
            self.at = now;
        }
        let is_served = self.tokens >= 1.0;
        if is_served {
            self.tokens -= 1.0;
        }
        is_served
    }
}

impl Count {
    /// The part that was refused.
    pub(crate) fn share(&self) -> f64 {
        self.refused as f64 / (self.calls as f64).max(1.0)
    }
}
