//! Making an order's projection again from its log.
//!
//! Owns: bringing an order to its log's head by hand, once what was in the way is mended.
//! Must not know: the change feed.
//! Source: `docs/dead-letters.md`.

use std::cmp::Ordering;

use delivery::{Correction, Folded, OwnerBefore};
use domain::{LoggedEvent, OrderId, Projection, Version, limits};
use store::Written;
use tokio::time::Instant;

use crate::{FoldError, OrderError, Orders};

/// What rebuilding an order did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// The version that the stored projection had.
    pub from: Version,
    /// The version that it has: the log's head.
    pub to: Version,
    /// Whether the stored projection was another one than the fold.
    pub changed: bool,
}

impl Orders {
    /// Folds an order's log whole, stores the projection if it is another one, and pushes it to the order's subscribers
    /// with the events that the stored one did not have.
    ///
    /// # Errors
    /// [`OrderError`] if the log cannot be folded, or a subscriber could not be reached.
    pub async fn rebuild(&self, order_id: &OrderId, deadline: Instant) -> Result<Rebuilt, OrderError> {
        for _ in 0..limits::FOLD_TRIES_MAX {
            let stored = self.store.projections.get_stored(order_id).await.map_err(FoldError::Get)?;
            let before = stored.projection.version();
            let owner = stored.projection.owner().map(str::to_owned);
            let owner = OwnerBefore::Known { owner, version: before };
            let mut folded = self.fold_whole(order_id, before, owner).await?;
            let changed = folded.projection != stored.projection;
            folded.correction = match folded.projection.version().cmp(&before) {
                Ordering::Less => Some(Correction::Reset),
                Ordering::Equal => changed.then_some(Correction::Refolded),
                Ordering::Greater => None,
            };
            if changed {
                let put = self.store.projections.put(order_id, &folded.projection, stored.write()).await;
                match put.map_err(FoldError::Put)? {
                    Written::Stored => {}
                    Written::Outrun => continue,
                }
            }
            self.fan_out(order_id, &folded, deadline).await?;
            return Ok(Rebuilt { from: before, to: folded.projection.version(), changed });
        }
        Err(FoldError::Conflict.into())
    }

    /// The fold of the log, and its events after a version unless they are too many for one update.
    async fn fold_whole(&self, order_id: &OrderId, after: Version, before: OwnerBefore) -> Result<Folded, FoldError> {
        let mut projection = Projection::default();
        let mut events: Vec<LoggedEvent> = Vec::new();
        // An item whose version is out of range is no event, and no order is whole with it.
        let mut reader = self.store.event_log.read(order_id, Version::FIRST..=Version::new(u64::MAX));
        while let Some(page) = reader.next_page().await? {
            for logged in page {
                projection.evolve(&logged);
                if logged.version > after && logged.version <= after.plus(limits::PUSHED_RUN_EVENTS_MAX) {
                    events.push(logged);
                }
            }
        }
        if events.last().is_some_and(|last| last.version != projection.version()) {
            events.clear();
        }
        Ok(Folded { projection, events, before, steps: Vec::new(), correction: None })
    }
}
