//! A stored projection and the events to push with it.

use std::ops::RangeInclusive;

use domain::{LoggedEvent, OrderId, Projection, Version, limits};
use queues::{OwnerBefore, PageOfSubscribers};
use store::{event_log::ReadError, now_ms, projections::GetError};

use crate::Delivery;

/// A stored projection and the events to push with it.
#[derive(Clone, Debug, PartialEq)]
pub struct Folded {
    /// The projection, as it is stored.
    pub projection: Projection,
    /// A run that ends at the projection's version; empty if it would be too long.
    pub events: Vec<LoggedEvent>,
    /// Who owned the order before.
    pub before: OwnerBefore,
    /// The way until here: what was done, and when it ended, in milliseconds since 1970.
    pub steps: Vec<(&'static str, i64)>,
    /// What was wrong with the projection that subscribers have, if there are no events that bring them another one.
    pub correction: Option<Correction>,
}

/// Why an update without events brings another projection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Correction {
    /// The one of the same version was folded again.
    Refolded,
    /// The one that was stored was of a later version: the log is another one.
    Reset,
}

/// Why an update of a page was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadFoldedError {
    /// The stored projection was not read.
    #[error("the stored projection was not read")]
    Get(#[from] GetError),
    /// The events were not read.
    #[error("the log was not read")]
    Log(#[from] ReadError),
    /// The stored projection is older than the one of the page: somebody took it away.
    #[error("the stored projection has version {at}, and the page is for version {due}")]
    Behind {
        /// The version that is stored.
        at: Version,
        /// The version that was stored when the page was put on the queue.
        due: Version,
    },
}

impl Folded {
    /// The message for these subscribers, who have not been pushed to.
    #[must_use]
    pub fn page(&self, order_id: &OrderId, page: domain::fan_out::Page) -> PageOfSubscribers {
        PageOfSubscribers {
            order_id: order_id.clone(),
            first: self.events.first().map(|logged| logged.version),
            version: self.projection.version(),
            before: self.before.clone(),
            page,
            rounds: 0,
            left: None,
            close: Vec::new(),
            begun_at_ms: Some(now_ms()),
        }
    }
}

impl Delivery {
    /// The projection as it is stored, and the events from the page's first up to it: later ones too, if there are any.
    ///
    /// # Errors
    /// [`ReadFoldedError`] if one of them was not read.
    pub async fn read(&self, page: &PageOfSubscribers) -> Result<Folded, ReadFoldedError> {
        let taken_at_ms = now_ms();
        let projection = self.store.projections.get(&page.order_id).await?;
        let (at, due) = (projection.version(), page.version);
        if at < due {
            return Err(ReadFoldedError::Behind { at, due });
        }
        let before = page.before.clone();
        let too_long = |first: &Version| *first < at && at > first.plus(limits::PUSHED_RUN_EVENTS_MAX - 1);
        let events = match page.first.filter(|first| !too_long(first)) {
            Some(first) => self.events(&page.order_id, first..=at).await?,
            None => Vec::new(),
        };
        let steps = vec![("change feed, fold and queue", taken_at_ms), ("read", now_ms())];
        Ok(Folded { projection, events, before, steps, correction: None })
    }
}

impl Delivery {
    /// The events of a run. None if they are too large for one update, or the log cannot be read for good: an update without
    /// events makes the clients resume, and who cannot resume has the projection.
    async fn events(
        &self,
        order_id: &OrderId,
        versions: RangeInclusive<Version>,
    ) -> Result<Vec<LoggedEvent>, ReadError> {
        let mut reader = self.store.event_log.read(order_id, versions);
        let mut events = Vec::new();
        for _ in 0..limits::PUSHED_RUN_PARTS_MAX {
            match reader.next_page().await {
                Ok(Some(part)) => events.extend(part),
                Ok(None) => return Ok(events),
                Err(ReadError::Broken(_) | ReadError::Hole { .. }) => return Ok(Vec::new()),
                Err(error @ ReadError::Call(_)) => return Err(error),
            }
        }
        Ok(Vec::new())
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
