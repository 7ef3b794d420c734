//! An event handler's invocation, step by step.
//!
//! Owns: which step follows which, and what each reads and writes.
//! Must not know: browsers beyond their connections.
//! Source: `functions/event-handler`, whose `plan` decides here too; `domain::fan_out::settle`.

use std::collections::BTreeSet;

use domain::{
    ConnectionId, Version,
    fan_out::{Health, Outcome, settle},
};
use event_handler::plan::plan;

use crate::{
    browser::{Connection, Frame},
    system::{Rules, State},
};

/// An invocation with the versions `from` to `to` in its batch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Handler {
    pub(crate) from: u8,
    pub(crate) to: u8,
    pub(crate) next: Next,
}

/// The step that comes next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Next {
    /// Read the stored projection.
    Read,
    /// Read the subscribers before the projection is written: what rule 1 forbids.
    SubscribersTooEarly { at: u8 },
    /// Write the projection on the condition that it is still at `at`.
    Write { at: u8, subscribers: Option<BTreeSet<Connection>> },
    /// Read the subscribers.
    Subscribers { run: Run },
    /// Push to the first of those that are left.
    Push { run: Run, left: BTreeSet<Connection>, outcomes: Vec<(Connection, Outcome)> },
    /// Forget, close, report.
    Settle { outcomes: Vec<(Connection, Outcome)> },
}

/// The events of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Run {
    first: u8,
    last: u8,
}

/// How a step turns out, where that is not decided by the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Luck {
    /// All goes well.
    Good,
    /// The push fails, or the connections are not closed.
    Failed,
    /// The push fails, and is delivered all the same.
    FailedThoughDelivered,
}

/// How an invocation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The batch is done.
    Done,
    /// The batch comes again.
    Reported,
}

impl Handler {
    pub(crate) fn new(from: u8, to: u8) -> Self {
        Self { from, to, next: Next::Read }
    }

    /// How the next step can turn out; what goes wrong is taken from the budget.
    pub(crate) fn lucks(&self, state: &State) -> Vec<Luck> {
        let mut lucks = vec![Luck::Good];
        if state.budget.pushes_failed > 0 {
            match &self.next {
                Next::Push { left, .. } if left.first().is_some_and(|connection| state.is_open(*connection)) => {
                    lucks.extend([Luck::Failed, Luck::FailedThoughDelivered]);
                }
                Next::Settle { outcomes } if !settlement(outcomes).close.is_empty() => lucks.push(Luck::Failed),
                Next::Push { .. }
                | Next::Settle { .. }
                | Next::Read
                | Next::SubscribersTooEarly { .. }
                | Next::Write { .. }
                | Next::Subscribers { .. } => {}
            }
        }
        lucks
    }

    /// Takes the next step; the answer is how the invocation ends, if it does.
    pub(crate) fn step(&mut self, state: &mut State, rules: Rules, luck: Luck) -> Option<End> {
        if luck != Luck::Good {
            state.budget.pushes_failed -= 1;
        }
        match self.next.clone() {
            Next::Read => {
                let at = state.stored;
                let is_folded = at >= self.to;
                if is_folded && !rules.push_what_is_folded {
                    return Some(End::Done);
                }
                self.next = match (is_folded, rules.persist_before_push) {
                    (true, _) => Next::Subscribers { run: self.run(at) },
                    (false, true) => Next::Write { at, subscribers: None },
                    (false, false) => Next::SubscribersTooEarly { at },
                };
            }
            Next::SubscribersTooEarly { at } => self.next = Next::Write { at, subscribers: Some(state.rows.clone()) },
            Next::Write { at, subscribers } => {
                if state.stored != at {
                    self.next = Next::Read;
                    return None;
                }
                state.stored = u8::try_from(self.plan(at).fold.end().get()).unwrap();
                let run = self.run(at);
                self.next = match subscribers {
                    Some(left) => Next::Push { run, left, outcomes: Vec::new() },
                    None => Next::Subscribers { run },
                };
            }
            Next::Subscribers { run } => {
                self.next = Next::Push { run, left: state.rows.clone(), outcomes: Vec::new() };
            }
            Next::Push { run, mut left, mut outcomes } => {
                let Some(connection) = left.pop_first() else {
                    self.next = Next::Settle { outcomes };
                    return None;
                };
                outcomes.push((connection, push(state, connection, run, luck)));
                self.next = Next::Push { run, left, outcomes };
            }
            Next::Settle { outcomes } => return Some(self.settle(state, rules, luck, &outcomes)),
        }
        None
    }

    fn plan(&self, at: u8) -> event_handler::plan::Plan {
        let delivered: Vec<Version> = (self.from..=self.to).map(|version| Version::new(version.into())).collect();
        plan(Version::new(at.into()), &delivered).unwrap()
    }

    fn run(&self, at: u8) -> Run {
        let push = self.plan(at).push.unwrap();
        let number = |version: &Version| u8::try_from(version.get()).unwrap();
        Run { first: number(push.start()), last: number(push.end()) }
    }

    fn settle(&self, state: &mut State, rules: Rules, luck: Luck, outcomes: &[(Connection, Outcome)]) -> End {
        let settlement = settlement(outcomes);
        for connection in numbers(&settlement.forget) {
            state.rows.remove(&connection);
        }
        if !rules.settle_failed_pushes {
            return End::Done;
        }
        if luck == Luck::Failed || !settlement.left.is_empty() {
            return End::Reported;
        }
        for connection in numbers(&settlement.close) {
            state.close(connection);
        }
        End::Done
    }
}

fn push(state: &mut State, connection: Connection, run: Run, luck: Luck) -> Outcome {
    let Some(browser) = state.browser_of(connection) else { return Outcome::Gone };
    if luck != Luck::Failed {
        browser.send(Frame::Update { first: run.first, last: run.last });
    }
    if luck == Luck::Good { Outcome::Delivered } else { Outcome::Failed }
}

fn settlement(outcomes: &[(Connection, Outcome)]) -> domain::fan_out::Settlement {
    settle(
        outcomes.iter().map(|(connection, outcome)| (ConnectionId::new(connection.to_string()), *outcome)).collect(),
        1,
        Health::Up,
    )
}

fn numbers(connection_ids: &[ConnectionId]) -> impl Iterator<Item = Connection> {
    connection_ids.iter().map(|connection_id| connection_id.as_str().parse().unwrap())
}
