//! A page of documents, appended to the logs of its orders.
//!
//! Owns: that a document is appended once, to one order, whatever its later versions say, and that what is no event is
//! reported and holds up nothing.
//! Must not know: cursors, HTTP.
//! Source: `docs/fauna.md`, "What is guaranteed"; `docs/decisions/0010-a-document-belongs-to-one-order.md`.

use std::{collections::BTreeMap, ops::AddAssign};

use domain::{Event, EventRef, OrderId, Version, limits::FAUNA_ORDERS_IN_FLIGHT_MAX};
use futures_util::{StreamExt, TryStreamExt, stream};
use queues::Failure;
use store::{Appended, event_log::AppendError, fauna_feed::Mark};

use crate::{Feed, FeedError, document::Document};

/// What became of documents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Appended by this feed.
    pub appended: u64,
    /// Of those, behind one with a higher id: their order's log differs from FaunaDB's order.
    pub late: u64,
    /// In the log before.
    pub there: u64,
    /// Written again after they were appended: the log keeps what it has.
    pub updated: u64,
    /// Deleted after they were appended: the log keeps them.
    pub removed: u64,
    /// No events; on the failure queue.
    pub refused: u64,
}

impl Counts {
    /// All documents that were looked at.
    #[must_use]
    pub fn documents(&self) -> u64 {
        self.appended + self.there + self.updated + self.refused
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.appended += more.appended;
        self.late += more.late;
        self.there += more.there;
        self.updated += more.updated;
        self.removed += more.removed;
        self.refused += more.refused;
    }
}

/// In which order documents come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sequence {
    /// Of their ids.
    Ids,
    /// Of their commits.
    Commits,
}

/// What became of one document.
enum Outcome {
    Appended(Version),
    There,
    Updated,
    Refused,
}

/// An event and the id of its document.
struct Arrival {
    id: i64,
    event: Event,
}

impl Feed {
    /// Appends documents, each order's in their order and several orders at once.
    pub(crate) async fn append(&self, documents: Vec<Document>, sequence: Sequence) -> Result<Counts, FeedError> {
        let mut counts = Counts::default();
        let mut orders: BTreeMap<OrderId, Vec<Arrival>> = BTreeMap::new();
        for document in documents {
            let (id, ts_us) = (document.id, document.ts_us);
            match document.event() {
                Ok(event) => orders.entry(event.order_id().clone()).or_default().push(Arrival { id, event }),
                Err(reason) => counts.add(&self.refuse(id, ts_us, reason).await?),
            }
        }
        let appended = orders.into_values().map(|arrivals| self.append_order(arrivals, sequence));
        let appended = stream::iter(appended).buffer_unordered(FAUNA_ORDERS_IN_FLIGHT_MAX);
        let appended: Vec<Counts> = appended.try_collect().await?;
        appended.into_iter().for_each(|more| counts += more);
        Ok(counts)
    }

    async fn append_order(&self, arrivals: Vec<Arrival>, sequence: Sequence) -> Result<Counts, FeedError> {
        let mut counts = Counts::default();
        let mut last: Option<(Version, i64)> = None;
        for arrival in arrivals {
            let head = last.map(|(version, _)| version);
            let outcome = Box::pin(self.append_one(&arrival, head)).await?;
            counts.add(&outcome);
            let Outcome::Appended(version) = outcome else { continue };
            let event = &arrival.event;
            if sequence == Sequence::Commits && self.is_late(&arrival, version, last).await? {
                counts.late += 1;
                let (order_id, event_ref) = (event.order_id().as_str(), event.event_ref.as_str());
                tracing::warn!(order_id, event_ref, "late: a lower id than the event before it in the log");
            }
            last = Some((version, arrival.id));
        }
        Ok(counts)
    }

    /// Whether the event before it in the log has a higher id.
    async fn is_late(
        &self,
        arrival: &Arrival,
        version: Version,
        last: Option<(Version, i64)>,
    ) -> Result<bool, FeedError> {
        let before = version.previous();
        if before == Version::NONE {
            return Ok(false);
        }
        if let Some((_, id)) = last.filter(|(last, _)| *last == before) {
            return Ok(id > arrival.id);
        }
        let logged = self.log.range(arrival.event.order_id(), before..=before).await?;
        // An event of another producer has no place among the documents.
        let id = logged.first().and_then(|logged| logged.event.event_ref.as_str().parse::<i64>().ok());
        Ok(id.is_some_and(|id| id > arrival.id))
    }

    async fn append_one(&self, arrival: &Arrival, head: Option<Version>) -> Result<Outcome, FeedError> {
        let Arrival { id, event } = arrival;
        let mark = Mark { ts_us: event.ts_us, order_id: Some(event.order_id().clone()) };
        let known = self.state.claim(*id, &mark).await?;
        if let Some(known) = &known {
            match &known.order_id {
                Some(order_id) if order_id == event.order_id() => {}
                Some(order_id) if self.log.version_of(order_id, &event.event_ref).await?.is_some() => {
                    return self.saw_again(*id, known, event.ts_us).await;
                }
                // It was no event, or a feed was killed before it appended it and it changed its order meanwhile.
                Some(_) | None => self.state.mark(*id, &mark).await?,
            }
        }
        match (self.log.append(event, head).await, &known) {
            (Ok(Appended { version, was_there: false }), _) => Ok(Outcome::Appended(version)),
            (Ok(Appended { was_there: true, .. }), Some(known)) => self.saw_again(*id, known, event.ts_us).await,
            (Ok(Appended { was_there: true, .. }), None) => Ok(Outcome::There),
            // It was appended as it was then, and has changed since.
            (Err(AppendError::RefTaken { .. }), Some(known))
                if known.order_id.is_some() && known.ts_us < event.ts_us =>
            {
                self.saw_again(*id, known, event.ts_us).await
            }
            // It was reported.
            (Err(AppendError::RefTaken { .. }), Some(known))
                if known.order_id.is_none() && event.ts_us <= known.ts_us =>
            {
                Ok(Outcome::There)
            }
            (Err(error @ (AppendError::NotStorable(_) | AppendError::Broken(_) | AppendError::RefTaken { .. })), _) => {
                self.report(*id, event.ts_us, reasons(&error)).await
            }
            (Err(error @ (AppendError::Contended { .. } | AppendError::Call(_))), _) => Err(error.into()),
        }
    }

    /// A document that is in a log already: read twice, or written again since.
    async fn saw_again(&self, id: i64, known: &Mark, ts_us: i64) -> Result<Outcome, FeedError> {
        if ts_us <= known.ts_us {
            return Ok(Outcome::There);
        }
        let order_id = known.order_id.as_ref().map(OrderId::as_str);
        tracing::warn!(order_id, document = id, "updated: the log keeps the event as it was appended");
        self.state.mark(id, &Mark { ts_us, order_id: known.order_id.clone() }).await?;
        Ok(Outcome::Updated)
    }

    /// A document that is no event.
    async fn refuse(&self, id: i64, ts_us: i64, reason: String) -> Result<Outcome, FeedError> {
        let Some(known) = self.state.marked(id).await? else { return self.report(id, ts_us, reason).await };
        let Some(order_id) = &known.order_id else {
            // It was reported as it is, or has changed since and is still none.
            return if ts_us <= known.ts_us { Ok(Outcome::There) } else { self.report(id, ts_us, reason).await };
        };
        let Ok(event_ref) = EventRef::parse(&id.to_string()) else { return self.report(id, ts_us, reason).await };
        match self.log.version_of(order_id, &event_ref).await? {
            Some(_) => self.saw_again(id, &known, ts_us).await,
            None => self.report(id, ts_us, reason).await,
        }
    }

    /// Reports a document, and marks it so that it is reported once.
    async fn report(&self, id: i64, ts_us: i64, reason: String) -> Result<Outcome, FeedError> {
        tracing::error!(document = id, reason, "refused: a document is no event");
        self.refused.take(Failure::NotAppended { event_ref: id.to_string(), reason }).await?;
        self.state.mark(id, &Mark { ts_us, order_id: None }).await?;
        Ok(Outcome::Refused)
    }
}

impl Counts {
    fn add(&mut self, outcome: &Outcome) {
        let count = match outcome {
            Outcome::Appended(_) => &mut self.appended,
            Outcome::There => &mut self.there,
            Outcome::Updated => &mut self.updated,
            Outcome::Refused => &mut self.refused,
        };
        *count += 1;
    }
}

/// An error and its causes, which have keys and no content.
pub(crate) fn reasons(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |cause| cause.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
