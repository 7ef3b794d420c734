//! How fast one process calls `@connections`: its share of the account's quota while nothing is throttled, and less while
//! the account is.
//!
//! API Gateway takes a number of requests a second from the whole account. No process knows what others take, so each
//! follows its own answers: the pace falls as soon as several connections are throttled and then served, and rises slowly.
//! Time is an argument: a duration since the process's start.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    ConnectionId, VariableError,
    evidence::Evidence,
    fan_out::Health,
    limits,
    post::{Answer, Post},
};

const REQUESTS_PER_SECOND_VARIABLE: &str = "REQUESTS_PER_SECOND";
const PUSH_PROCESSES_VARIABLE: &str = "PUSH_PROCESSES_MAX";

/// A process's share of what API Gateway takes from the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    per_second: u32,
}

/// One call to `@connections` that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Whom it was for.
    pub connection_id: &'a ConnectionId,
    /// When it began.
    pub begun: Duration,
    /// The post whose attempt it was, as it was before this answer; `None` for a call that a slow reader cannot throttle.
    pub post: Option<&'a Post>,
}

/// The pace of one process.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Calls a second while nothing is throttled.
    most: f64,
    rate: f64,
    /// Calls that may begin at once; below zero, those that were promised a later moment.
    tokens: f64,
    /// Until when rate and tokens are up to date.
    at: Duration,
    slowed_at: Option<Duration>,
    window: Window,
    evidence: Evidence,
}

/// The answers to calls that began after the pace fell last.
#[derive(Clone, Debug, Default)]
struct Window {
    begun: Duration,
    answers: u32,
    throttles: u32,
    throttled: BTreeSet<ConnectionId>,
    /// Those that were throttled and then served.
    passed: BTreeSet<ConnectionId>,
}

impl Quota {
    /// The share of one of `processes` of what API Gateway takes in a second; both are at least 1.
    #[must_use]
    pub fn new(requests_per_second: u32, processes: u32) -> Self {
        let share = u64::from(requests_per_second) * u64::from(limits::PACE_QUOTA_PERCENT) / 100;
        let per_second = u32::try_from(share / u64::from(processes.max(1))).unwrap_or(u32::MAX).max(1);
        Self { per_second }
    }

    /// Reads `REQUESTS_PER_SECOND` and `PUSH_PROCESSES_MAX`; the defaults are [`limits::REQUESTS_PER_SECOND`] and
    /// [`limits::PUSH_PROCESSES_MAX`].
    ///
    /// # Errors
    /// [`VariableError`] if one of them is set and no number from 1 to 1,000,000.
    pub fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self, VariableError> {
        let number = |name, default| match var(name) {
            None => Ok(default),
            Some(text) => text
                .parse()
                .ok()
                .filter(|number| (1..=1_000_000).contains(number))
                .ok_or(VariableError::Malformed { name, must_be: "a number from 1 to 1000000" }),
        };
        Ok(Self::new(
            number(REQUESTS_PER_SECOND_VARIABLE, limits::REQUESTS_PER_SECOND)?,
            number(PUSH_PROCESSES_VARIABLE, limits::PUSH_PROCESSES_MAX)?,
        ))
    }

    /// Calls that the process may have in flight at once.
    #[must_use]
    pub fn in_flight_max(self) -> usize {
        let calls = self.per_second.saturating_mul(limits::PUSHES_IN_FLIGHT_PER_100) / 100;
        let calls = usize::try_from(calls).unwrap_or(usize::MAX);
        calls.clamp(limits::PUSHES_IN_FLIGHT_MIN, limits::PUSHES_IN_FLIGHT_MAX)
    }
}

impl Pace {
    /// The pace of a process that has called nothing yet.
    #[must_use]
    pub fn new(quota: Quota) -> Self {
        let most = f64::from(quota.per_second);
        Self {
            most,
            rate: most,
            tokens: most * limits::PACE_BURST_SECONDS,
            at: Duration::ZERO,
            slowed_at: None,
            window: Window::default(),
            evidence: Evidence::default(),
        }
    }

    /// Takes the next moment for a call and says how long to wait for it; `None`, and nothing is taken, if it is after
    /// `latest`.
    pub fn take(&mut self, now: Duration, latest: Duration) -> Option<Duration> {
        self.advance(now);
        let due = 1.0 - self.tokens;
        let wait = if due > 0.0 { Duration::from_secs_f64(due / self.rate) } else { Duration::ZERO };
        if now + wait > latest {
            return None;
        }
        self.tokens -= 1.0;
        Some(wait)
    }

    /// Notes the answer to a call.
    pub fn answered(&mut self, call: Call<'_>, answer: Answer, now: Duration) {
        match answer {
            Answer::Accepted | Answer::Gone | Answer::InvalidId | Answer::TooLarge => {
                self.evidence.accepted(now);
                self.count(call.begun, now, |window| window.answers += 1);
                if let Some(throttled_at) = call.post.and_then(Post::throttled_at) {
                    self.account_throttled(call.connection_id, throttled_at, now);
                }
            }
            Answer::Throttled => {
                self.evidence.throttled(now);
                self.count(call.begun, now, |window| {
                    window.answers += 1;
                    window.throttles += 1;
                    if window.throttled.len() < limits::PACE_THROTTLED_MIN {
                        window.throttled.insert(call.connection_id.clone());
                    }
                });
                if call.post.is_none() {
                    self.account_throttled(call.connection_id, call.begun, now);
                }
                self.fall_if_throttled(now);
            }
            Answer::Unanswered | Answer::Silent | Answer::Refused => {
                if call.post.is_some_and(Post::is_first) {
                    self.evidence.unanswered(call.connection_id, call.begun);
                }
            }
        }
    }

    /// Whether API Gateway answers none of several connections.
    #[must_use]
    pub fn is_out(&self) -> bool {
        self.evidence.is_out()
    }

    /// What is known of API Gateway.
    #[must_use]
    pub fn health(&self, now: Duration) -> Health {
        self.evidence.health(now)
    }

    /// Calls a second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.rate
    }

    fn account_throttled(&mut self, connection_id: &ConnectionId, throttled_at: Duration, now: Duration) {
        self.evidence.account_throttled(now);
        self.count(throttled_at, now, |window| {
            window.passed.insert(connection_id.clone());
        });
        self.fall_if_throttled(now);
    }

    /// Counts what a call that began at `begun` says of the present pace: nothing, if the pace fell since.
    fn count(&mut self, begun: Duration, now: Duration, count: impl FnOnce(&mut Window)) {
        if self.slowed_at.is_some_and(|slowed_at| begun < slowed_at) {
            return;
        }
        if now.saturating_sub(self.window.begun) >= limits::PACE_WINDOW {
            self.window = Window { begun: now, ..Window::default() };
        }
        count(&mut self.window);
    }

    fn fall_if_throttled(&mut self, now: Duration) {
        let Window { answers, throttles, throttled, passed, .. } = &self.window;
        let is_most = throttled.len() >= limits::PACE_THROTTLED_MIN && throttles.saturating_mul(2) > *answers;
        if passed.len() < limits::PACE_PASSED_MIN && !is_most {
            return;
        }
        let served = 1.0 - f64::from(*throttles) / f64::from(*answers).max(1.0);
        self.advance(now);
        let rate = self.rate * served.clamp(limits::PACE_FALL_MIN, limits::PACE_FALL_MAX);
        self.rate = rate.max(self.most * limits::PACE_FLOOR_PART);
        self.tokens = self.tokens.min(0.0);
        self.slowed_at = Some(now);
        self.window = Window { begun: now, ..Window::default() };
    }

    fn advance(&mut self, now: Duration) {
        let elapsed_s = now.saturating_sub(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.rate = (self.rate + self.most * limits::PACE_RISE_PART * elapsed_s).min(self.most);
        let burst_s =
            if self.rate < self.most { limits::PACE_SLOWED_BURST_SECONDS } else { limits::PACE_BURST_SECONDS };
        self.tokens = (self.tokens + self.rate * elapsed_s).min((self.rate * burst_s).max(1.0));
    }
}
