//! Folding one order's events into its stored projection.
//!
//! Owns: that the projection moves from one version to a later one and by one writer; without a read of the stored one, if
//! this process stored it.
//! Must not know: subscribers, connections, messages.
//! Source: rules 1 and 3 of the guarantee.

use std::collections::BTreeMap;

use delivery::{Folded, OwnerBefore};
use domain::{LoggedEvent, OrderId, Projection, Version, limits};
use store::{
    Written,
    event_log::ReadError,
    now_ms,
    projections::{GetError, PutError},
};
use telemetry::measure::Count;

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
    /// Another writer was first in every try.
    #[error("another writer of the projection was first in each of {} tries", limits::FOLD_TRIES_MAX)]
    Outrun,
}

impl Orders {
    /// Folds the delivered events and whatever of the log is missing before them, and stores the projection.
    pub(crate) async fn fold(&self, order_id: &OrderId, delivered: Vec<LoggedEvent>) -> Result<Folded, FoldError> {
        let delivered_at_ms = now_ms();
        let delivered: BTreeMap<Version, LoggedEvent> =
            delivered.into_iter().map(|logged| (logged.version, logged)).collect();
        let versions: Vec<Version> = delivered.keys().copied().collect();
        let (before, mut folded) = match self.fold_onto_remembered(order_id, &delivered, &versions).await? {
            Some(folded) => folded,
            None => self.fold_onto_stored(order_id, &delivered, &versions).await?,
        };
        Count::Redeliveries.add(versions.iter().filter(|version| **version <= before).count());
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
        delivered: &BTreeMap<Version, LoggedEvent>,
        versions: &[Version],
    ) -> Result<(Version, Folded), FoldError> {
        for _ in 0..limits::FOLD_TRIES_MAX {
            let stored = self.store.projections.get_stored(order_id).await?;
            let (before, over) = (stored.projection.version(), stored.write());
            let Some(plan) = plan(before, versions) else { break };
            let folded = self.evolve(order_id, stored.projection, delivered, &plan).await?;
            if folded.projection.version() == before {
                return Ok((before, folded));
            }
            match self.store.projections.put(order_id, &folded.projection, over).await? {
                Written::Stored => return Ok((before, folded)),
                Written::Outrun => tracing::info!(order_id = order_id.as_str(), "another writer was first"),
            }
        }
        Err(FoldError::Outrun)
    }

    /// Folds the next events onto the projection that this process stored last, and stores the outcome if that is still
    /// what is stored: then all is as if it had been read. `None` if it is not, or if a write would not show it.
    async fn fold_onto_remembered(
        &self,
        order_id: &OrderId,
        delivered: &BTreeMap<Version, LoggedEvent>,
        versions: &[Version],
    ) -> Result<Option<(Version, Folded)>, FoldError> {
        let Some(remembered) = self.store.projections.take_remembered(order_id) else { return Ok(None) };
        let (before, over) = (remembered.projection.version(), remembered.write());
        let Some(plan) = plan(before, versions).filter(|plan| !plan.read_log && !plan.fold.is_empty()) else {
            return Ok(None);
        };
        let folded = self.evolve(order_id, remembered.projection, delivered, &plan).await?;
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
        delivered: &BTreeMap<Version, LoggedEvent>,
        plan: &Plan,
    ) -> Result<Folded, FoldError> {
        let first_delivered = delivered.keys().next().copied().unwrap_or_default();
        let before = if projection.version() < first_delivered {
            OwnerBefore::Known(projection.owner().map(str::to_owned))
        } else {
            OwnerBefore::AsOf(first_delivered.previous())
        };
        let is_pushed = |logged: &LoggedEvent| plan.push.as_ref().is_some_and(|push| push.contains(&logged.version));
        let mut events = Vec::new();
        let mut take = |logged: &LoggedEvent| {
            projection.evolve(logged);
            if is_pushed(logged) {
                events.push(logged.clone());
            }
        };
        let due = *plan.fold.end();
        if plan.read_log {
            let first = plan.push.as_ref().map_or(*plan.fold.start(), |push| *push.start().min(plan.fold.start()));
            let mut reader = self.store.event_log.read(order_id, first..=due);
            while let Some(page) = reader.next_page().await? {
                page.iter().for_each(&mut take);
            }
        } else {
            delivered.values().for_each(&mut take);
        }
        if projection.version() < due {
            return Err(FoldError::LogTooShort { at: projection.version(), due });
        }
        Ok(Folded { projection, events, before, steps: Vec::new() })
    }
}
