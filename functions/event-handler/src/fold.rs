//! Folding one order's events into its stored projection.
//!
//! *Invariant:* a stored projection is replaced only by a later one that was folded onto exactly it, so two writers never
//! lose each other's events. Without a read of the stored one if this process stored it.

use std::{collections::BTreeMap, ops::RangeInclusive};

use delivery::{Folded, OwnerBefore};
use domain::{LoggedEvent, OrderId, Projection, Version, limits};
use queues::DeferredOrder;
use store::{
    StoredProjection, Written,
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
    /// An event waits for one before it that is not in the log yet. What comes before the gap is folded and stored.
    #[error("the log has no event {missing}, and event {due} waits for it")]
    Gap {
        /// The first version that is missing.
        missing: Version,
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
    /// Events from one version to another one, and whatever follows them, which are read from the log: later events may have no
    /// message of their own. Those that wait for a missing one are pushed by whoever folds it.
    Deferred { first: Version, last: Version, before: Option<OwnerBefore>, waits: bool },
}

/// What became of events that were due.
pub(crate) struct Fold {
    /// The version that is stored.
    at: Version,
    /// What there is to push.
    pub(crate) folded: Option<Folded>,
    /// Why some of them are not in.
    pub(crate) rest: Option<FoldError>,
}

impl Due {
    pub(crate) fn delivered(events: Vec<LoggedEvent>) -> Self {
        Self::Delivered(events.into_iter().map(|logged| (logged.version, logged)).collect())
    }

    pub(crate) fn deferred(order: &DeferredOrder) -> Self {
        let DeferredOrder { first, last, waits, .. } = *order;
        Self::Deferred { first, last, before: order.before.clone(), waits }
    }

    fn versions(&self) -> Vec<Version> {
        match self {
            Self::Delivered(events) => events.keys().copied().collect(),
            Self::Deferred { first, last, .. } => vec![*first, *last],
        }
    }

    /// What it calls for, given where the stored projection stands and whether the log is read to its head; `None` if
    /// nothing is due.
    fn plan(&self, at: Version, ahead: Option<Version>, reads_on: bool) -> Option<Plan> {
        let plan = plan(at, &self.versions(), ahead)?;
        let read_log = plan.read_log || reads_on || self.is_deferred();
        Some(Plan { read_log, ..plan })
    }

    fn is_deferred(&self) -> bool {
        matches!(self, Self::Deferred { .. })
    }

    /// Whether the log is read to its head: for a deferred order, and where an event is `ahead`.
    fn reads_on(&self, ahead: Option<Version>) -> bool {
        self.is_deferred() || ahead.is_some()
    }

    /// Whether whoever folded the events has pushed them.
    fn is_done(&self, at: Version) -> bool {
        matches!(self, Self::Deferred { waits: true, last, .. } if *last <= at)
    }

    fn last(&self) -> Version {
        self.versions().last().copied().unwrap_or_default()
    }

    fn first(&self) -> Version {
        self.versions().first().copied().unwrap_or_default()
    }
}

impl Orders {
    /// Folds the events that are due, whatever of the log is missing before them, and what waited for them, up to the first
    /// event that is not in the log; and stores the projection. Reading the log ends at `deadline`; what is folded by then is
    /// stored.
    pub(crate) async fn fold(&self, order_id: &OrderId, due: &Due, deadline: Instant) -> Result<Fold, FoldError> {
        let delivered_at_ms = now_ms();
        let (before, mut fold) = match self.fold_onto_remembered(order_id, due, deadline).await? {
            Some(fold) => fold,
            None => self.fold_onto_stored(order_id, due, deadline).await?,
        };
        Count::Redeliveries.add(due.versions().iter().filter(|version| **version <= before).count());
        let new = fold.at.get().saturating_sub(before.get());
        Count::EventsFolded.add(usize::try_from(new).unwrap_or(usize::MAX));
        if let Some(folded) = &mut fold.folded {
            folded.steps = vec![("change feed", delivered_at_ms), ("fold", now_ms())];
        }
        Ok(fold)
    }

    /// Reads the stored projection, folds onto it and stores the outcome, as often as another writer is first. The answer
    /// has the version that was stored before.
    async fn fold_onto_stored(
        &self,
        order_id: &OrderId,
        due: &Due,
        deadline: Instant,
    ) -> Result<(Version, Fold), FoldError> {
        let mut not_gone_on: Option<FoldError> = None;
        for attempt in 0..limits::FOLD_TRIES_MAX {
            let stored = self.store.projections.get_stored(order_id).await?;
            let at = stored.projection.version();
            // A write of this invocation may have taken place though it was not answered, and nobody has pushed it.
            if attempt == 0 && due.is_done(at) {
                return Ok((at, Fold { at, folded: None, rest: None }));
            }
            let goes_on = not_gone_on.is_none() && due.reads_on(stored.ahead());
            match self.fold_onto(order_id, stored, due, goes_on, deadline).await {
                Ok(Some((before, fold))) => {
                    // What waits has a message of its own; what follows a deferred order may have none.
                    let rest = fold.rest.or_else(|| not_gone_on.filter(|_| due.is_deferred()));
                    return Ok((before, Fold { rest, ..fold }));
                }
                Ok(None) => tracing::info!(order_id = order_id.as_str(), "another writer was first"),
                // What follows cannot be folded, which is no reason not to fold what is due.
                Err(error @ (FoldError::Put(PutError::NotStorable(_)) | FoldError::Log(ReadError::Broken(_))))
                    if goes_on =>
                {
                    not_gone_on = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(FoldError::Conflict)
    }

    /// Folds onto what is stored, and stores the outcome; `None` if another writer was first.
    async fn fold_onto(
        &self,
        order_id: &OrderId,
        stored: StoredProjection,
        due: &Due,
        goes_on: bool,
        deadline: Instant,
    ) -> Result<Option<(Version, Fold)>, FoldError> {
        let (before, read) = (stored.projection.version(), stored.write());
        let Some(plan) = due.plan(before, stored.ahead().filter(|_| goes_on), goes_on) else { return Ok(None) };
        let evolved = self.evolve(order_id, stored.projection, due, &plan, goes_on, deadline).await?;
        // Whoever folds the missing event finds in the same item that there is more, or this write does not take place.
        let over = if evolved.is_gap { read.ahead_of(evolved.head) } else { read };
        let is_news = evolved.folded.projection.version() > before || over != read;
        if is_news && self.store.projections.put(order_id, &evolved.folded.projection, over).await? == Written::Outrun {
            return Ok(None);
        }
        evolved.finished(due).map(|fold| Some((before, fold)))
    }

    /// Folds the next events onto the projection that this process stored last, and stores the outcome if that is still
    /// what is stored: then all is as if it had been read. `None` if it is not, or if a write would not show it.
    async fn fold_onto_remembered(
        &self,
        order_id: &OrderId,
        due: &Due,
        deadline: Instant,
    ) -> Result<Option<(Version, Fold)>, FoldError> {
        let Some(remembered) = self.store.projections.take_remembered(order_id) else { return Ok(None) };
        let (before, over) = (remembered.projection.version(), remembered.write());
        let plan = due.plan(before, None, due.reads_on(remembered.ahead()));
        let Some(plan) = plan.filter(|plan| !plan.read_log && !plan.fold.is_empty()) else { return Ok(None) };
        let evolved = self.evolve(order_id, remembered.projection, due, &plan, false, deadline).await?;
        match self.store.projections.put(order_id, &evolved.folded.projection, over).await {
            Ok(Written::Stored) => evolved.finished(due).map(|fold| Some((before, fold))),
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
        reads_on: bool,
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
        let known_head = *plan.fold.end();
        let last_read = if reads_on { Version::new(limits::WHOLE_NUMBER_MAX) } else { known_head };
        let is_pushed = |logged: &LoggedEvent| {
            let is_in = |push: &RangeInclusive<Version>| *push.start() <= logged.version && logged.version <= last_read;
            plan.push.as_ref().is_some_and(is_in)
        };
        let (mut events, mut behind_hole, mut is_finished) = (Vec::new(), Version::NONE, true);
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
                loop {
                    let part = match reader.next_page().await {
                        Ok(Some(part)) => part,
                        Ok(None) => break,
                        // What is missing may yet come.
                        Err(ReadError::Hole { next, .. }) => {
                            behind_hole = next;
                            break;
                        }
                        Err(error @ (ReadError::Call(_) | ReadError::Broken(_))) => return Err(error.into()),
                    };
                    for logged in &part {
                        projection.evolve(logged);
                    }
                    pushed.add(part.into_iter().filter(is_pushed));
                    let is_behind = reads_on || projection.version() < known_head;
                    // A fold that did not move would be retried in vain.
                    if Instant::now() >= deadline && projection.version() > begun_at && is_behind {
                        is_finished = false;
                        break;
                    }
                }
                events = pushed.events;
            }
        }
        // A run that does not end at the projection's version is no update.
        if events.last().is_some_and(|last| last.version != projection.version()) {
            events = Vec::new();
        }
        let head = known_head.max(behind_hole);
        let is_gap = is_finished && projection.version() < head;
        let folded = Folded { projection, events, before, steps: Vec::new(), correction: None };
        Ok(Evolved { folded, head, is_finished, is_gap })
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
        if self.parts > limits::PUSHED_RUN_PARTS_MAX || self.count > limits::PUSHED_RUN_EVENTS_MAX {
            self.events.clear();
        }
    }
}

/// A projection that was folded, and how far it was to be.
struct Evolved {
    folded: Folded,
    /// The last event that is known to be there.
    head: Version,
    /// Whether everything was read that was to be.
    is_finished: bool,
    /// Whether the log has a gap before its head.
    is_gap: bool,
}

impl Evolved {
    fn finished(self, due: &Due) -> Result<Fold, FoldError> {
        let (at, head) = (self.folded.projection.version(), self.head);
        if !self.is_finished {
            return Err(FoldError::Unfinished { at, due: head, before: self.folded.before });
        }
        if !self.is_gap {
            return Ok(Fold { at, folded: Some(self.folded), rest: None });
        }
        let last = match due {
            Due::Delivered(_) => due.last(),
            // What follows them may have no message of its own.
            Due::Deferred { .. } => head,
        };
        let rest = (last > at).then(|| FoldError::Gap { missing: at.next(), due: last });
        // What comes before the events that are due is pushed by whoever was handed it.
        Ok(Fold { at, folded: (due.first() <= at).then_some(self.folded), rest })
    }
}
