//! Folding one order's events into its stored projection.
//!
//! *Invariant:* a stored projection is replaced only by a later one that was folded onto exactly it, so two writers never
//! lose each other's events. Without a read of the stored one if this process stored it.

use std::{collections::BTreeMap, ops::RangeInclusive};

use delivery::{Folded, OwnerBefore};
use domain::{LoggedEvent, OrderId, Projection, Version, limits};
use store::{
    Written,
    event_log::ReadError,
    now_ms,
    projections::{GetError, PutError},
};
use telemetry::measure::Count;
use tokio::time::Instant;

use crate::{
    Orders,
    plan::{Plan, plan},
};

/// Why an order's events were not folded.
#[derive(Debug, thiserror::Error)]
pub enum FoldError {
    /// The stored projection was not read.
    #[error("the stored projection was not read")]
    Get(#[from] GetError),
    /// The projection was not written.
    #[error("the projection was not written")]
    Put(#[from] PutError),
    /// What the batch does not have was not read from the log.
    #[error("the log was not read")]
    Log(#[from] ReadError),
    /// The log ends before an event that the change feed delivered.
    #[error("the log ends at version {at}, before the delivered version {due}")]
    LogTooShort {
        /// The last version that could be folded.
        at: Version,
        /// The version that the change feed delivered.
        due: Version,
    },
    /// Another writer's condition held in every attempt.
    #[error("another writer of the projection was first in each of {} attempts", limits::FOLD_TRIES_MAX)]
    Conflict,
    /// The missing log is longer than an invocation can read. What was folded is stored.
    #[error("the log was folded up to version {at} of {due} when the invocation's time was over")]
    Unfinished {
        /// The version that is stored.
        at: Version,
        /// The version that was due.
        due: Version,
        /// Who owned the order before the events that were due.
        before: OwnerBefore,
    },
}

/// Events of an order that are due to be folded and pushed.
#[derive(Clone, Debug)]
pub(crate) enum Due {
    /// Events that the change feed delivered.
    Delivered(BTreeMap<Version, LoggedEvent>),
    /// Events from one version to another one, and whatever follows them, which are read from the log.
    Deferred { first: Version, last: Version, before: Option<OwnerBefore> },
}

impl Due {
    pub(crate) fn delivered(events: Vec<LoggedEvent>) -> Self {
        Self::Delivered(events.into_iter().map(|logged| (logged.version, logged)).collect())
    }

    fn versions(&self) -> Vec<Version> {
        match self {
            Self::Delivered(events) => events.keys().copied().collect(),
            Self::Deferred { first, last, .. } => vec![*first, *last],
        }
    }

    /// What it calls for, given where the stored projection stands; `None` if nothing is due.
    fn plan(&self, at: Version) -> Option<Plan> {
        let plan = plan(at, &self.versions())?;
        let read_log = plan.read_log || matches!(self, Self::Deferred { .. });
        Some(Plan { read_log, ..plan })
    }

    fn first(&self) -> Version {
        self.versions().first().copied().unwrap_or_default()
    }
}

impl Orders {
    /// Folds the events that are due and whatever of the log is missing before them, and stores the projection. Reading the
    /// log ends at `deadline`; what is folded by then is stored.
    pub(crate) async fn fold(&self, order_id: &OrderId, due: &Due, deadline: Instant) -> Result<Folded, FoldError> {
        let delivered_at_ms = now_ms();
        let (before, mut folded) = match self.fold_onto_remembered(order_id, due, deadline).await? {
            Some(folded) => folded,
            None => self.fold_onto_stored(order_id, due, deadline).await?,
        };
        Count::Redeliveries.add(due.versions().iter().filter(|version| **version <= before).count());
        let new = folded.projection.version().get().saturating_sub(before.get());
        Count::EventsFolded.add(usize::try_from(new).unwrap_or(usize::MAX));
        folded.steps = vec![("change feed", delivered_at_ms), ("fold", now_ms())];
        Ok(folded)
    }

    /// Reads the stored projection, folds onto it and stores the outcome, as often as another writer is first. The answer
    /// has the version that was stored before.
    async fn fold_onto_stored(
        &self,
        order_id: &OrderId,
        due: &Due,
        deadline: Instant,
    ) -> Result<(Version, Folded), FoldError> {
        for _ in 0..limits::FOLD_TRIES_MAX {
            let stored = self.store.projections.get_stored(order_id).await?;
            let (before, over) = (stored.projection.version(), stored.write());
            let Some(plan) = due.plan(before) else { break };
            let evolved = self.evolve(order_id, stored.projection, due, &plan, deadline).await?;
            if evolved.folded.projection.version() == before {
                return Ok((before, evolved.folded));
            }
            match self.store.projections.put(order_id, &evolved.folded.projection, over).await? {
                Written::Stored => return evolved.finished().map(|folded| (before, folded)),
                Written::Outrun => tracing::info!(order_id = order_id.as_str(), "another writer was first"),
            }
        }
        Err(FoldError::Conflict)
    }

    /// Folds the next events onto the projection that this process stored last, and stores the outcome if that is still
    /// what is stored: then all is as if it had been read. `None` if it is not, or if a write would not show it.
    async fn fold_onto_remembered(
        &self,
        order_id: &OrderId,
        due: &Due,
        deadline: Instant,
    ) -> Result<Option<(Version, Folded)>, FoldError> {
        let Some(remembered) = self.store.projections.take_remembered(order_id) else { return Ok(None) };
        let (before, over) = (remembered.projection.version(), remembered.write());
        let Some(plan) = due.plan(before).filter(|plan| !plan.read_log && !plan.fold.is_empty()) else {
            return Ok(None);
        };
        let Evolved { folded, .. } = self.evolve(order_id, remembered.projection, due, &plan, deadline).await?;
        match self.store.projections.put(order_id, &folded.projection, over).await {
            Ok(Written::Stored) => Ok(Some((before, folded))),
            Ok(Written::Outrun) | Err(PutError::NotStorable(_)) => Ok(None),
            Err(error @ PutError::Call(_)) => Err(error.into()),
        }
    }

    async fn evolve(
        &self,
        order_id: &OrderId,
        mut projection: Projection,
        due: &Due,
        plan: &Plan,
        deadline: Instant,
    ) -> Result<Evolved, FoldError> {
        let first_due = due.first();
        let begun_at = projection.version();
        let before = if let Due::Deferred { before: Some(before), .. } = due {
            before.clone()
        } else if begun_at < first_due {
            OwnerBefore::Known { owner: projection.owner().map(str::to_owned), version: begun_at }
        } else {
            OwnerBefore::AsOf(first_due.previous())
        };
        // Later events of a deferred order may have no message of their own.
        let reads_on = matches!(due, Due::Deferred { .. });
        let last_read = if reads_on { Version::new(u64::MAX) } else { *plan.fold.end() };
        let is_pushed = |logged: &LoggedEvent| {
            let is_in = |push: &RangeInclusive<Version>| *push.start() <= logged.version && logged.version <= last_read;
            plan.push.as_ref().is_some_and(is_in)
        };
        let mut events = Vec::new();
        let due_last = *plan.fold.end();
        let mut is_finished = true;
        match due {
            Due::Delivered(delivered) if !plan.read_log => {
                for logged in delivered.values() {
                    projection.evolve(logged);
                }
                events.extend(delivered.values().filter(|logged| is_pushed(logged)).cloned());
            }
            Due::Delivered(_) | Due::Deferred { .. } => {
                let first = plan.push.as_ref().map_or(*plan.fold.start(), |push| *push.start().min(plan.fold.start()));
                let mut reader = self.store.event_log.read(order_id, first..=last_read);
                let mut pushed = PushedRun::default();
                while let Some(part) = reader.next_page().await? {
                    for logged in &part {
                        projection.evolve(logged);
                    }
                    pushed.add(part.into_iter().filter(is_pushed));
                    let is_behind = reads_on || projection.version() < due_last;
                    // A fold that did not move would be retried in vain.
                    if Instant::now() >= deadline && projection.version() > begun_at && is_behind {
                        is_finished = false;
                        break;
                    }
                }
                events = pushed.events;
            }
        }
        if is_finished && projection.version() < due_last {
            return Err(FoldError::LogTooShort { at: projection.version(), due: due_last });
        }
        Ok(Evolved { folded: Folded { projection, events, before, steps: Vec::new() }, due_last, is_finished })
    }
}

/// Events of one update, none of them if they are too many.
#[derive(Default)]
struct PushedRun {
    events: Vec<LoggedEvent>,
    parts: usize,
    count: u64,
}

impl PushedRun {
    fn add(&mut self, part: impl Iterator<Item = LoggedEvent>) {
        let before = self.events.len();
        self.events.extend(part);
        let added = self.events.len().saturating_sub(before);
        self.parts += usize::from(added > 0);
        self.count = self.count.saturating_add(u64::try_from(added).unwrap_or(u64::MAX));
        if self.is_too_long() {
            self.events.clear();
        }
    }

    fn is_too_long(&self) -> bool {
        self.parts > limits::PUSHED_RUN_PARTS_MAX || self.count > limits::PUSHED_RUN_EVENTS_MAX
    }
}

/// A projection that was folded, and how far it was to be.
struct Evolved {
    folded: Folded,
    due_last: Version,
    /// Whether everything was read that was to be.
    is_finished: bool,
}

impl Evolved {
    fn finished(self) -> Result<Folded, FoldError> {
        if self.is_finished {
            return Ok(self.folded);
        }
        Err(FoldError::Unfinished {
            at: self.folded.projection.version(),
            due: self.due_last,
            before: self.folded.before,
        })
    }
}
