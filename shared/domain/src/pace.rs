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
    post::{Answer, Around, Post},
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

    /// The least time in which so many calls begin, after a pause.
    #[must_use]
    pub fn time_for(self, calls: u32) -> Duration {
        let per_second = f64::from(self.per_second);
        let paced = f64::from(calls) - per_second * limits::PACE_BURST_SECONDS;
        Duration::from_secs_f64(paced.max(0.0) / per_second)
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
                if let Some(begun) = call.post.and_then(Post::throttled_at) {
                    self.account_throttled(call.connection_id, begun, now);
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

    /// What a post's attempts are judged by.
    #[must_use]
    pub fn around(&self) -> Around {
        self.evidence.around()
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

    /// A connection was throttled because of the account, by a call that began at `begun`.
    fn account_throttled(&mut self, connection_id: &ConnectionId, begun: Duration, now: Duration) {
        self.evidence.account_throttled(now);
        self.count(begun, now, |window| {
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
        let floor = match passed.len() >= limits::PACE_PASSED_MIN {
            true => limits::PACE_FLOOR_PART,
            false if is_most => limits::PACE_UNPROVEN_FLOOR_PART,
            false => return,
        };
        let served = 1.0 - f64::from(*throttles) / f64::from(*answers).max(1.0);
        self.advance(now);
        let rate = self.rate * served.clamp(limits::PACE_FALL_MIN, limits::PACE_FALL_MAX);
        self.rate = rate.max((self.most * floor).min(self.rate));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::post::Next;

    const FOREVER: Duration = Duration::MAX;

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn id(number: usize) -> ConnectionId {
        ConnectionId::new(number.to_string())
    }

    /// The share of one of ten processes: 900 calls a second.
    fn pace() -> Pace {
        Pace::new(Quota::new(10_000, 10))
    }

    /// A post that is answered like this, an attempt a millisecond from `now` on.
    fn post(pace: &mut Pace, number: usize, answers: &[Answer], now: Duration) -> Option<crate::fan_out::Outcome> {
        let connection_id = id(number);
        let mut post = Post::default();
        let mut outcome = None;
        for (attempt, answer) in answers.iter().enumerate() {
            let begun = now + ms(u64::try_from(attempt).unwrap());
            pace.answered(Call { connection_id: &connection_id, begun, post: Some(&post) }, *answer, begun);
            if let Next::End(end) = post.answered(*answer, begun, pace.around()) {
                outcome = Some(end);
            }
        }
        outcome
    }

    /// How many calls may begin within a time, each as soon as it may.
    fn begun_within(pace: &mut Pace, from: Duration, within: Duration) -> usize {
        std::iter::from_fn(|| pace.take(from, from + within)).count()
    }

    #[test]
    fn calls_take_as_long_as_the_share_of_the_quota_lasts_after_a_burst() {
        let quota = Quota::new(10_000, 10);
        for (calls, milliseconds) in [(0, 0), (225, 0), (234, 10), (1_125, 1_000)] {
            assert_eq!(quota.time_for(calls).as_millis(), milliseconds, "{calls}");
        }
    }

    #[test]
    fn a_process_calls_at_its_share_of_the_quota_after_a_burst() {
        let mut pace = pace();
        assert_eq!(begun_within(&mut pace, ms(0), ms(0)), 225, "the burst of a quarter of a second");
        let calls = begun_within(&mut pace, ms(0), ms(1_000));
        assert!((899..=901).contains(&calls), "{calls}");
        assert_eq!(begun_within(&mut pace, ms(60_000), ms(0)), 225, "a pause fills the burst and no more");
    }

    #[test]
    fn a_call_that_would_be_too_late_takes_nothing() {
        let mut pace = pace();
        begun_within(&mut pace, ms(0), ms(0));
        assert_eq!(pace.take(ms(0), ms(0)), None);
        let wait = pace.take(ms(0), FOREVER).unwrap();
        assert!(wait < ms(2), "{wait:?}");
    }

    #[test]
    fn calls_in_flight_are_derived_from_the_quota() {
        for (requests, processes, calls) in [(10_000, 10, 63), (2_500, 10, 15), (100, 10, 8), (1_000_000, 1, 64)] {
            assert_eq!(Quota::new(requests, processes).in_flight_max(), calls, "{requests} {processes}");
        }
    }

    #[test]
    fn the_quota_is_read_from_the_environment() {
        let read = |requests: Option<&'static str>, processes: Option<&'static str>| {
            Quota::from_vars(|name| match name {
                "REQUESTS_PER_SECOND" => requests.map(str::to_owned),
                "PUSH_PROCESSES_MAX" => processes.map(str::to_owned),
                _ => None,
            })
        };
        assert_eq!(read(None, None), Ok(Quota::new(10_000, 10)));
        assert_eq!(read(Some("2500"), Some("4")), Ok(Quota::new(2_500, 4)));
        for malformed in ["", "0", "-1", "1000001", "ten"] {
            assert!(read(Some(malformed), None).is_err(), "{malformed}");
            assert!(read(None, Some(malformed)).is_err(), "{malformed}");
        }
    }

    #[test]
    fn the_pace_falls_when_several_connections_are_throttled_and_then_served_and_rises_slowly() {
        let mut pace = pace();
        for number in 0..2 {
            post(&mut pace, number, &[Answer::Throttled, Answer::Accepted], ms(100));
        }
        assert_eq!(pace.rate(), 900.0, "two are too few");
        post(&mut pace, 2, &[Answer::Throttled, Answer::Accepted], ms(101));
        assert_eq!(pace.rate(), 450.0);
        // What began before says nothing of the new pace.
        for number in 3..9 {
            post(&mut pace, number, &[Answer::Throttled, Answer::Accepted], ms(50));
        }
        assert_eq!(pace.rate(), 450.0);
        pace.take(ms(1_102), FOREVER);
        assert!((494.0..=496.0).contains(&pace.rate()), "{}", pace.rate());
        pace.take(ms(60_000), FOREVER);
        assert_eq!(pace.rate(), 900.0);
    }

    #[test]
    fn the_pace_never_falls_below_its_floor() {
        let mut pace = pace();
        for number in 0..100 {
            let now = ms(10 * u64::try_from(number).unwrap());
            post(&mut pace, number, &[Answer::Throttled, Answer::Accepted], now);
        }
        assert!((90.0..100.0).contains(&pace.rate()), "{}", pace.rate());
    }

    #[test]
    fn a_few_slow_readers_do_not_slow_the_process() {
        let mut pace = pace();
        for round in 0..100 {
            for number in 0..10 {
                let now = ms(20 * round);
                post(&mut pace, number, &[Answer::Accepted], now);
                post(&mut pace, 100 + number % 8, &[Answer::Throttled; 4], now);
                // One that is only just too slow.
                post(&mut pace, 200, &[Answer::Throttled, Answer::Accepted], now);
            }
        }
        assert_eq!(pace.rate(), 900.0);
    }

    #[test]
    fn many_connections_that_are_throttled_and_never_served_slow_the_process_by_half_at_most() {
        let mut pace = pace();
        for number in 0..1_000 {
            post(&mut pace, number, &[Answer::Throttled; 4], ms(u64::try_from(number).unwrap()));
        }
        assert!((450.0..=500.0).contains(&pace.rate()), "{}", pace.rate());
    }

    #[test]
    fn health_is_what_recent_calls_say() {
        let mut pace = pace();
        assert_eq!(pace.health(ms(0)), Health::Unknown);
        post(&mut pace, 0, &[Answer::Accepted], ms(0));
        assert_eq!(pace.health(ms(7_000)), Health::Up);
        assert_eq!(pace.health(ms(30_000)), Health::Unknown, "that is long ago");
        post(&mut pace, 1, &[Answer::Throttled; 4], ms(30_000));
        assert_eq!(pace.health(ms(30_010)), Health::Unknown, "whose fault it is, is open");
        for number in 0..5 {
            post(&mut pace, number, &[Answer::Accepted], ms(30_010));
        }
        assert_eq!(pace.health(ms(30_020)), Health::Up);
        post(&mut pace, 2, &[Answer::Throttled, Answer::Accepted], ms(30_030));
        assert_eq!(pace.health(ms(45_000)), Health::Throttling);
        assert_eq!(pace.health(ms(47_000)), Health::Unknown);
    }

    #[test]
    fn a_probe_that_is_throttled_is_the_accounts() {
        let mut pace = pace();
        for number in 0..5 {
            post(&mut pace, number, &[Answer::Accepted], ms(0));
        }
        let probe = Call { connection_id: &id(0), begun: ms(0), post: None };
        pace.answered(probe, Answer::Throttled, ms(10));
        assert_eq!(pace.health(ms(20)), Health::Throttling);
    }

    #[test]
    fn api_gateway_is_out_when_it_answers_none_of_five_connections_and_not_any_more_when_it_answers_one() {
        for answer in [Answer::Silent, Answer::Unanswered, Answer::Refused] {
            let mut pace = pace();
            post(&mut pace, 9, &[Answer::Accepted], ms(0));
            for number in [1, 2, 3, 4, 4, 4] {
                post(&mut pace, number, &[answer], ms(10));
            }
            assert_eq!(pace.health(ms(20)), Health::Up, "four connections may be bad");
            post(&mut pace, 5, &[answer], ms(30));
            assert_eq!(pace.health(ms(40)), Health::Out);
            assert_eq!(pace.health(ms(600_000)), Health::Out, "nothing says otherwise");
            for answer in [Answer::Gone, Answer::TooLarge, Answer::InvalidId, Answer::Accepted, Answer::Throttled] {
                let mut pace = pace.clone();
                post(&mut pace, 1, &[answer], ms(50));
                assert!(!pace.is_out(), "{answer:?}");
            }
        }
    }

    #[test]
    fn a_failure_that_began_before_another_call_was_answered_says_nothing_of_api_gateway() {
        let mut pace = pace();
        post(&mut pace, 9, &[Answer::Accepted], ms(1_000));
        for number in 0..20 {
            let dead = id(number);
            let call = Call { connection_id: &dead, begun: ms(999), post: Some(&Post::default()) };
            pace.answered(call, Answer::Silent, ms(2_999));
        }
        assert_eq!(pace.health(ms(3_000)), Health::Up);
    }
}
