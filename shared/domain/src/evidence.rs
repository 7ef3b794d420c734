//! What a process's recent answers say of API Gateway as a whole.
//!
//! A connection that fails says little: its browser may be dead or read nothing. Several connections that fail in a row
//! say that API Gateway is out, and a connection that is throttled and then served says that the account was throttled.

use std::{collections::BTreeSet, time::Duration};

use crate::{ConnectionId, fan_out::Health, limits};

#[derive(Clone, Debug, Default)]
pub(crate) struct Evidence {
    /// The answers of this half of the window, and of the one before.
    halves: [Answers; 2],
    half_begun: Duration,
    /// When API Gateway answered anything the last time.
    answered_at: Option<Duration>,
    /// Connections whose first attempt, begun after that, was not answered.
    unanswered: BTreeSet<ConnectionId>,
    account_throttled_at: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Answers {
    accepted: u32,
    throttled: u32,
}

impl Evidence {
    pub(crate) fn accepted(&mut self, now: Duration) {
        let half = self.half(now);
        half.accepted = half.accepted.saturating_add(1);
        self.answered(now);
    }

    /// A connection was throttled; whose fault it is, is open.
    pub(crate) fn throttled(&mut self, now: Duration) {
        let half = self.half(now);
        half.throttled = half.throttled.saturating_add(1);
        self.answered(now);
    }

    pub(crate) fn account_throttled(&mut self, now: Duration) {
        self.account_throttled_at = Some(now);
    }

    /// The first attempt to reach a connection, begun at `begun`, was not answered. It says nothing if another one was
    /// answered meanwhile.
    pub(crate) fn unanswered(&mut self, connection_id: &ConnectionId, begun: Duration) {
        let is_news = self.answered_at.is_none_or(|answered_at| answered_at < begun);
        if is_news && self.unanswered.len() < limits::OUT_CONNECTIONS_MIN {
            self.unanswered.insert(connection_id.clone());
        }
    }

    pub(crate) fn is_out(&self) -> bool {
        self.unanswered.len() >= limits::OUT_CONNECTIONS_MIN
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
        let age = now.saturating_sub(self.half_begun);
        let (accepted, throttled) = match age {
            _ if age < HALF => (this.accepted.saturating_add(before.accepted), this.throttled + before.throttled),
            _ if age < limits::HEALTH_WINDOW => (this.accepted, this.throttled),
            _ => (0, 0),
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
            let before = if age < limits::HEALTH_WINDOW { self.halves[0] } else { Answers::default() };
            self.halves = [Answers::default(), before];
            self.half_begun = now;
        }
        &mut self.halves[0]
    }
}

const HALF: Duration = Duration::from_secs(limits::HEALTH_WINDOW.as_secs() / 2);
