//! What a process's recent answers say of API Gateway as a whole.
//!
//! A connection that fails says little: its browser may be dead or read nothing. Several connections that fail in a row
//! say that API Gateway is out, and a connection that is throttled and then served says that the account was throttled.

use std::{collections::BTreeSet, time::Duration};

use crate::{ConnectionId, fan_out::Health, limits, post::Around};

/// Answers age by halves of the window.
const HALF: Duration = Duration::from_secs(limits::HEALTH_WINDOW.as_secs() / 2);

#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// The answers of this half of the window, and of the one before.
    halves: [Answers; 2],
    half_begun: Duration,
    /// When API Gateway answered anything the last time.
    answered_at: Option<Duration>,
    /// Connections whose first attempt, begun after that, was not answered.
    unanswered: BTreeSet<ConnectionId>,
    /// Calls that were accepted ever.
    accepted: u64,
    /// When a call was refused because of the account the last time.
    account_throttled_at: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Answers {
    accepted: u32,
    throttled: u32,
}

impl Evidence {
    pub(crate) fn accepted(&mut self, now: Duration) {
        self.half(now).accepted += 1;
        self.accepted += 1;
        self.answered(now);
    }

    /// A connection was throttled; whose fault it is, is open.
    pub(crate) fn throttled(&mut self, now: Duration) {
        self.half(now).throttled += 1;
        self.answered(now);
    }

    /// A call was refused because of the account.
    pub(crate) fn account_throttled(&mut self, now: Duration) {
        self.account_throttled_at = Some(now);
    }

    /// The first attempt to reach a connection, begun at `begun`, was not answered. It says nothing if another one was
    /// answered meanwhile.
    pub(crate) fn unanswered(&mut self, connection_id: &ConnectionId, begun: Duration) {
        let is_news = self.answered_at.is_none_or(|answered_at| answered_at < begun);
        if is_news && !self.is_out() {
            self.unanswered.insert(connection_id.clone());
        }
    }

    pub(crate) fn is_out(&self) -> bool {
        self.unanswered.len() >= limits::OUT_CONNECTIONS_MIN
    }

    pub(crate) fn around(&self) -> Around {
        Around { is_out: self.is_out(), accepted: self.accepted, account_throttled_at: self.account_throttled_at }
    }

    pub(crate) fn health(&self, now: Duration) -> Health {
        if self.is_out() {
            return Health::Out;
        }
        let is_recent = |at: Duration| now.saturating_sub(at) < limits::HEALTH_WINDOW;
        if self.account_throttled_at.is_some_and(is_recent) {
            return Health::Throttling;
        }
        let [this, before] = self.halves;
        let Answers { accepted, throttled } = match now.saturating_sub(self.half_begun) {
            age if age < HALF => this.and(before),
            age if age < limits::HEALTH_WINDOW => this,
            _ => Answers::default(),
        };
        let enough = if throttled > 0 { limits::UP_ACCEPTED_MIN } else { 1 };
        if accepted >= enough { Health::Up } else { Health::Unknown }
    }

    fn answered(&mut self, now: Duration) {
        self.answered_at = Some(now);
        self.unanswered.clear();
    }

    fn half(&mut self, now: Duration) -> &mut Answers {
        let age = now.saturating_sub(self.half_begun);
        if age >= HALF {
            let [this, _] = self.halves;
            let before = if age < limits::HEALTH_WINDOW { this } else { Answers::default() };
            self.halves = [Answers::default(), before];
            self.half_begun = now;
        }
        let [this, _] = &mut self.halves;
        this
    }
}

impl Answers {
    fn and(self, other: Self) -> Self {
        Self { accepted: self.accepted + other.accepted, throttled: self.throttled + other.throttled }
    }
}
