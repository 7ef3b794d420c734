//! An invocation of the event handler, or of `fan-out`, step by step: which step follows which, and what each reads and
//! writes. What is decided, the real `plan`, `audience` and `settle` decide.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    ConnectionId, Principal, PrincipalId, Subscription, Version,
    fan_out::{Health, Outcome, Settlement, audience, settle},
    principal::READ_ALL_SCOPE,
};
use event_handler::plan::plan;

use crate::{
    browser::{Connection, Frame, order_id},
    rules::{Rules, US},
    state::{Row, State},
};

/// Rounds of pushes after which a connection has reached the end of its life.
pub(crate) const ROUNDS_MAX: u8 = 5;

/// An invocation.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Handler {
    pub(crate) task: Task,
    next: Next,
}

/// What an invocation was handed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Task {
    /// A batch of the change feed with these versions.
    Batch { from: u8, to: u8 },
    /// A message of the page queue.
    Page(Page),
}

/// Connections that an update did not reach, and the round that is due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Page {
    pub(crate) left: BTreeSet<Connection>,
    round: u8,
    /// The first event of the update.
    first: u8,
    /// The version before it.
    before: u8,
}

/// The step that comes next.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Next {
    /// Read the stored projection.
    Read,
    /// Read the subscribers before the projection is written: what rule 1 forbids.
    SubscribersTooEarly { at: u8 },
    /// Write the projection on the condition that it is still at `at`.
    Write { at: u8, subscribers: Option<BTreeMap<Connection, Row>> },
    /// Read the subscribers.
    Subscribers { run: Run },
    /// Push to the first of those that are left, and tell the first of those who lost the order.
    Push { run: Run, shown: BTreeSet<Connection>, lost: Vec<Lost>, outcomes: Vec<(Connection, Outcome)> },
    /// Forget, close, and leave to the next round.
    Settle { run: Run, outcomes: Vec<(Connection, Outcome)> },
}

/// The events of an update, and the version before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Run {
    before: u8,
    first: u8,
    last: u8,
}

/// Somebody who lost the order, and the row that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Lost {
    connection: Connection,
    row: u8,
    /// Whether the first of the two steps is done.
    is_half_done: bool,
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
    /// The batch or the message is done.
    Done,
    /// The batch comes again, since connections took no push.
    Reported,
}

impl Handler {
    pub(crate) fn new(task: Task) -> Self {
        Self { task, next: Next::Read }
    }

    /// How the next step can turn out; what goes wrong is taken from the budget.
    pub(crate) fn lucks(&self, state: &State, rules: Rules) -> Vec<Luck> {
        let mut lucks = vec![Luck::Good];
        if state.budget.pushes_failed == 0 {
            return lucks;
        }
        match &self.next {
            Next::Push { shown, lost, .. } => {
                let told = lost.first().filter(|lost| lost.is_half_done != rules.tell_before_delete);
                let pushed = shown.first().copied().or(told.map(|lost| lost.connection));
                if pushed.is_some_and(|connection| state.is_open(connection) && !state.is_bad(connection)) {
                    lucks.extend([Luck::Failed, Luck::FailedThoughDelivered]);
                }
            }
            Next::Settle { outcomes, .. } if !self.settlement(outcomes).close.is_empty() => lucks.push(Luck::Failed),
            Next::Settle { .. }
            | Next::Read
            | Next::SubscribersTooEarly { .. }
            | Next::Write { .. }
            | Next::Subscribers { .. } => {}
        }
        lucks
    }

    /// Takes the next step; the answer is how the invocation ends, if it does.
    pub(crate) fn step(&mut self, state: &mut State, rules: Rules, luck: Luck) -> Option<End> {
        if luck != Luck::Good {
            state.budget.pushes_failed -= 1;
        }
        match self.next.clone() {
            Next::Read => match self.task.clone() {
                Task::Page(Page { first, before, .. }) => {
                    self.next = Next::Subscribers { run: Run { before, first, last: state.stored } };
                }
                Task::Batch { from, to } => {
                    let at = state.stored;
                    let is_folded = at >= to;
                    if is_folded && !rules.push_what_is_folded {
                        return Some(End::Done);
                    }
                    self.next = match (is_folded, rules.persist_before_push) {
                        (true, _) => Next::Subscribers { run: run(from, to, at) },
                        (false, true) => Next::Write { at, subscribers: None },
                        (false, false) => Next::SubscribersTooEarly { at },
                    };
                }
            },
            Next::SubscribersTooEarly { at } => self.next = Next::Write { at, subscribers: Some(state.rows.clone()) },
            Next::Write { at, subscribers } => {
                let Task::Batch { from, to } = self.task else { panic!("a page is not folded") };
                if state.stored != at {
                    self.next = Next::Read;
                    return None;
                }
                state.stored = u8::try_from(planned(from, to, at).fold.end().get()).unwrap();
                let run = run(from, to, at);
                self.next = match subscribers {
                    Some(rows) => self.push_to(state, rules, run, rows),
                    None => Next::Subscribers { run },
                };
            }
            Next::Subscribers { run } => {
                let mut rows = state.rows.clone();
                if let Task::Page(page) = &self.task {
                    rows.retain(|connection, _| page.left.contains(connection));
                }
                self.next = self.push_to(state, rules, run, rows);
            }
            Next::Push { run, mut shown, mut lost, mut outcomes } => {
                let update = Frame::Update { first: run.first, last: run.last, reset: false };
                if let Some(connection) = shown.pop_first() {
                    outcomes.push((connection, push(state, connection, update, luck)));
                } else if let Some(first) = lost.first_mut() {
                    let is_done = end_subscription(state, rules, first, luck, &mut outcomes);
                    if is_done {
                        lost.remove(0);
                    }
                } else {
                    self.next = Next::Settle { run, outcomes };
                    return None;
                }
                self.next = Next::Push { run, shown, lost, outcomes };
            }
            Next::Settle { run, outcomes } => return Some(self.settle(state, rules, luck, run, &outcomes)),
        }
        None
    }

    /// Whom an update goes to, of the rows that were read.
    fn push_to(&self, state: &State, rules: Rules, run: Run, mut rows: BTreeMap<Connection, Row>) -> Next {
        let bounds = state.bounds;
        if rules.remember_hidden {
            rows.retain(|_, row| bounds.is_shown(run.last) || row.hidden_at.is_none());
        }
        let subscriptions = rows.keys().map(|connection| subscription(*connection, bounds.foreign == 0)).collect();
        let audience = audience(subscriptions, bounds.owner(run.before), bounds.owner(run.last), 0);
        let lost = numbers(audience.lost.iter().map(|subscription| &subscription.connection_id));
        let lost = lost.map(|connection| Lost { connection, row: rows[&connection].id, is_half_done: false });
        let shown = numbers(audience.shown.iter().map(|subscription| &subscription.connection_id));
        Next::Push { run, shown: shown.collect(), lost: lost.collect(), outcomes: Vec::new() }
    }

    fn settlement(&self, outcomes: &[(Connection, Outcome)]) -> Settlement {
        let id = |connection: &Connection| ConnectionId::new(connection.to_string());
        let outcomes = outcomes.iter().map(|(connection, outcome)| (id(connection), *outcome)).collect();
        settle(outcomes, self.round().into(), Health::Up)
    }

    fn round(&self) -> u8 {
        match &self.task {
            Task::Batch { .. } => 1,
            Task::Page(page) => page.round,
        }
    }

    fn settle(&self, state: &mut State, rules: Rules, luck: Luck, run: Run, outcomes: &[(Connection, Outcome)]) -> End {
        let settlement = self.settlement(outcomes);
        for connection in numbers(settlement.forget.iter()) {
            state.rows.remove(&connection);
        }
        if !rules.settle_failed_pushes {
            return End::Done;
        }
        let mut left: BTreeSet<Connection> = numbers(settlement.left.iter()).collect();
        let bad: Vec<Connection> = numbers(settlement.close.iter()).collect();
        if luck == Luck::Failed || !rules.close_bad {
            left.extend(bad);
        } else {
            bad.into_iter().for_each(|connection| state.close(connection));
        }
        if left.is_empty() {
            return End::Done;
        }
        if !rules.retry_apart {
            state.is_held = true;
            return End::Reported;
        }
        if self.round() == ROUNDS_MAX {
            left.into_iter().for_each(|connection| state.close(connection));
        } else if rules.retry_left {
            state.pages.insert(Page { left, round: self.round() + 1, first: run.first, before: run.before });
        }
        End::Done
    }
}

/// Takes one of the two steps after which somebody who lost the order knows, and has no row; says whether both are done.
fn end_subscription(
    state: &mut State,
    rules: Rules,
    lost: &mut Lost,
    luck: Luck,
    outcomes: &mut Vec<(Connection, Outcome)>,
) -> bool {
    let is_first = !std::mem::replace(&mut lost.is_half_done, true);
    if is_first == rules.tell_before_delete {
        let outcome = push(state, lost.connection, Frame::Forbidden, luck);
        outcomes.push((lost.connection, outcome));
        return !is_first || outcome != Outcome::Delivered;
    }
    let stored = state.rows.get(&lost.connection);
    let is_same = stored.is_some_and(|row| row.id == lost.row);
    if is_same || !rules.delete_row_that_was_read {
        state.rows.remove(&lost.connection);
    }
    // Whose row was written again is not told.
    !is_first || rules.delete_row_that_was_read && !is_same
}

fn planned(from: u8, to: u8, at: u8) -> event_handler::plan::Plan {
    let delivered: Vec<Version> = (from..=to).map(|version| Version::new(version.into())).collect();
    plan(Version::new(at.into()), &delivered).unwrap()
}

fn run(from: u8, to: u8, at: u8) -> Run {
    let push = planned(from, to, at).push.unwrap();
    let number = |version: &Version| u8::try_from(version.get()).unwrap();
    Run { before: at.min(from - 1), first: number(push.start()), last: number(push.end()) }
}

fn push(state: &mut State, connection: Connection, frame: Frame, luck: Luck) -> Outcome {
    if state.is_bad(connection) {
        state.refuse(connection);
        return Outcome::Failed;
    }
    let Some(browser) = state.browser_of(connection) else { return Outcome::Gone };
    if luck != Luck::Failed {
        browser.send(frame);
    }
    if luck == Luck::Good { Outcome::Delivered } else { Outcome::Failed }
}

fn subscription(connection: Connection, reads_all: bool) -> Subscription {
    let scope = if reads_all { READ_ALL_SCOPE } else { "" };
    let principal = Principal::with_scope(PrincipalId::new(US).unwrap(), scope);
    Subscription::new(order_id(), ConnectionId::new(connection.to_string()), principal, i64::MAX)
}

fn numbers<'a>(connection_ids: impl Iterator<Item = &'a ConnectionId>) -> impl Iterator<Item = Connection> {
    connection_ids.map(|connection_id| connection_id.as_str().parse().unwrap())
}
