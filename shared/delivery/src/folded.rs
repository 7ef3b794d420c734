//! A stored projection and the events to push with it.
//!
//! Owns: what an update is made of before it is redacted, and reading it again where only its versions are known.
//! Must not know: subscribers, connections.
//! Source: rule 3 of the guarantee: what is pushed runs to the projection that is stored.

use domain::{LoggedEvent, OrderId, Projection, Version, limits};
use store::{event_log::ReadError, now_ms, projections::GetError};

use crate::{Delivery, Handover};

/// A stored projection and the events to push with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Folded {
    /// The projection, as it is stored.
    pub projection: Projection,
    /// A run that ends at the projection's version; or none, if it would be too long.
    pub events: Vec<LoggedEvent>,
    /// Whose order it was before.
    pub before: OwnerBefore,
    /// The way until here: what was done, and when it ended, in milliseconds since 1970.
    pub steps: Vec<(&'static str, i64)>,
}

/// Whose order it was before the events that are pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OwnerBefore {
    /// The owner of the projection that was stored.
    Known(Option<String>),
    /// The stored projection had some of the events already: it was the owner after the event of this version.
    AsOf(Version),
}

/// Why what was handed over was not read again.
#[derive(Debug, thiserror::Error)]
pub enum ReadFoldedError {
    /// The stored projection was not read.
    #[error("the stored projection was not read")]
    Get(#[from] GetError),
    /// The events were not read.
    #[error("the log was not read")]
    Log(#[from] ReadError),
    /// The stored projection is older than the one that was handed over: somebody took it away.
    #[error("the stored projection has version {at}, and {due} was handed over")]
    Behind {
        /// The version that is stored.
        at: Version,
        /// The version that was stored when the page was handed over.
        due: Version,
    },
}

impl Delivery {
    /// The projection as it is stored, and the events from the first that was handed over up to it: later ones too, if
    /// there are any.
    ///
    /// # Errors
    /// [`ReadFoldedError`] if one of them was not read.
    pub async fn read(&self, handover: &Handover) -> Result<Folded, ReadFoldedError> {
        let taken_at_ms = now_ms();
        let projection = self.store.projections.get(&handover.order_id).await?;
        let (at, due) = (projection.version(), handover.version);
        if at < due {
            return Err(ReadFoldedError::Behind { at, due });
        }
        let before = handover.before.clone();
        let too_long = |first: &Version| *first < at && at > first.plus(limits::PUSHED_RUN_EVENTS_MAX - 1);
        let events = match handover.first.filter(|first| !too_long(first)) {
            Some(first) => self.store.event_log.range(&handover.order_id, first..=at).await?,
            None => Vec::new(),
        };
        let steps = vec![("change feed, fold and queue", taken_at_ms), ("read", now_ms())];
        Ok(Folded { projection, events, before, steps })
    }
}

/// The owner of an order as of a version, from its log.
pub(crate) async fn owner_as_of(
    delivery: &Delivery,
    order_id: &OrderId,
    version: Version,
) -> Result<Option<String>, ReadError> {
    let mut projection = Projection::default();
    let mut reader = delivery.store.event_log.read(order_id, Version::FIRST..=version);
    while let Some(page) = reader.next_page().await? {
        for logged in &page {
            projection.evolve(logged);
        }
    }
    Ok(projection.owner().map(str::to_owned))
}
