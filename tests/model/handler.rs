//! An invocation of the event handler, or of `fan-out`, step by step: which step follows which, and what each reads and
//! writes. What is decided, the real `plan`, `audience` and `settle` decide.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    ConnectionId, Principal, PrincipalId, Subscription, Version,
    fan_out::{Before, Health, Outcome, Settlement, audience, settle},
    principal::READ_ALL_SCOPE,
};
use event_handler::plan::{Plan, plan};

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
    /// A batch of the change feed with these records, counted from 1.
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
    /// Read the stored projection, and of the log what is missing.
    Read,
    /// Read the subscribers before the projection is written: what rule 1 forbids.
    SubscribersTooEarly { fold: Fold },
    /// Write the projection on the condition that it is still what was read.
    Write { fold: Fold, subscribers: Option<BTreeMap<Connection, Row>> },
    /// Read the subscribers.
    Subscribers { run: Run },
    /// Push to the first of those that are left, and tell the first of those who lost the order.
    Push { run: Run, shown: BTreeSet<Connection>, lost: Vec<Lost>, outcomes: Vec<(Connection, Outcome)> },
    /// Forget, close, and leave to the next round.
    Settle { run: Run, outcomes: Vec<(Connection, Outcome)> },
}

/// What was read, and what is to be written: the projection's version, and what is noted beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Fold {
    read: (u8, u8),
    written: (u8, u8),
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
                    let fold = fold(state, rules, from, to);
                    let (at, _) = fold.read;
                    let is_folded = at >= delivered(state, from, to).max().unwrap();
                    if is_folded && !rules.push_what_is_folded {
                        return Some(End::Done);
                    }
                    self.next = match (fold.read == fold.written, rules.persist_before_push) {
                        (true, _) => match run(state, from, to, fold) {
                            Some(run) => Next::Subscribers { run },
                            None => return Some(End::Done),
                        },
                        (false, true) => Next::Write { fold, subscribers: None },
                        (false, false) => Next::SubscribersTooEarly { fold },
                    };
                }
            },
            Next::SubscribersTooEarly { fold } => {
                self.next = Next::Write { fold, subscribers: Some(state.rows.clone()) };
            }
            Next::Write { fold, subscribers } => {
                let Task::Batch { from, to } = self.task else { panic!("a page is not folded") };
                let is_same = state.stored == fold.read.0 && state.ahead == fold.read.1;
                if !is_same && (rules.write_over_what_was_read || state.stored != fold.read.0) {
                    self.next = Next::Read;
                    return None;
                }
                (state.stored, state.ahead) = fold.written;
                let Some(run) = run(state, from, to, fold) else { return Some(End::Done) };
                self.next = match subscribers {
                    Some(rows) => Self::push_to(state, run, &rows),
                    None => Next::Subscribers { run },
                };
            }
            Next::Subscribers { run } => {
                let mut rows = state.rows.clone();
                if let Task::Page(page) = &self.task {
                    rows.retain(|connection, _| page.left.contains(connection));
                }
                self.next = Self::push_to(state, run, &rows);
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
    fn push_to(state: &State, run: Run, rows: &BTreeMap<Connection, Row>) -> Next {
        let bounds = state.bounds;
        let subscription = |(connection, row): (&Connection, &Row)| {
            let scope = if bounds.foreign == 0 { READ_ALL_SCOPE } else { "" };
            let principal = Principal::with_scope(PrincipalId::new(US).unwrap(), scope);
            let id = ConnectionId::new(connection.to_string());
            let hidden_at = row.hidden_at.map(|version| Version::new(version.into()));
            Subscription { hidden_at, ..Subscription::new(order_id(), id, principal, i64::MAX) }
        };
        let before = Before { owner: bounds.owner(run.before), version: Version::new(run.before.into()) };
        let audience = audience(rows.iter().map(subscription).collect(), before, bounds.owner(run.last), 0);
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

/// The versions of a batch.
fn delivered(state: &State, from: u8, to: u8) -> impl Iterator<Item = u8> {
    state.feed[usize::from(from) - 1..usize::from(to)].iter().copied()
}

fn planned(state: &State, from: u8, to: u8, (at, ahead): (u8, u8)) -> Plan {
    let version = |version: u8| Version::new(version.into());
    let delivered: Vec<Version> = delivered(state, from, to).map(version).collect();
    plan(version(at), &delivered, Some(version(ahead)).filter(|ahead| *ahead > Version::NONE)).unwrap()
}

fn number(version: Version) -> u8 {
    u8::try_from(version.get()).unwrap()
}

/// Folds what is due as far as the log has it.
fn fold(state: &State, rules: Rules, from: u8, to: u8) -> Fold {
    let read = (state.stored, state.ahead);
    let due = number(*planned(state, from, to, read).fold.end());
    let at = state.folded_from(state.stored, due);
    let ahead = if at < due && rules.note_gaps { due } else { 0 };
    Fold { read, written: (at, ahead) }
}

/// What there is to push, if the first event of the batch is folded.
fn run(state: &State, from: u8, to: u8, fold: Fold) -> Option<Run> {
    let Fold { read, written: (last, _) } = fold;
    let first = number(*planned(state, from, to, read).push.unwrap().start());
    (first <= last).then(|| Run { before: read.0.min(first - 1), first, last })
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

fn numbers<'a>(connection_ids: impl Iterator<Item = &'a ConnectionId>) -> impl Iterator<Item = Connection> {
    connection_ids.map(|connection_id| connection_id.as_str().parse().unwrap())
}
