//! Subscribing to one order, and reading its log.
//!
//! Owns: rule 2 of the guarantee (the row is written before the projection is read), what a resume is answered, and that
//! an order of somebody else is answered as an order without events.
//! Must not know: the other orders of the message.
//! Source: README.md of `protocol`; `docs/decisions/0006-an-order-of-another-looks-like-no-order.md`.

use std::collections::BTreeSet;

use domain::{LoggedEvent, OrderId, Projection, Subscription, Version, limits::SUBSCRIBE_ATTEMPTS_MAX};
use protocol::{
    Message, Update,
    request::{HistoryRange, Since, Wanted},
};
use store::{
    CallError,
    event_log::{LogReader, ReadError},
    projections::GetError,
};

use crate::{
    Subscribe,
    answers::{AnswerError, Answers},
    caller::Caller,
};

/// Why an order is not served.
#[derive(Debug, thiserror::Error)]
enum OrderError {
    #[error("the subscription was not recorded")]
    NotRecorded(#[from] CallError),
    #[error("the projection was not read")]
    NoProjection(#[from] GetError),
    #[error("the order changed during each of {SUBSCRIBE_ATTEMPTS_MAX} attempts to subscribe")]
    Contended,
    #[error("the log was not read")]
    NoLog(#[from] ReadError),
    #[error(transparent)]
    NotAnswered(#[from] AnswerError),
}

/// Which of its two shapes a run of events is sent in.
#[derive(Clone, Copy)]
enum Shape {
    Update,
    History,
}

impl Subscribe {
    pub(crate) async fn subscribe(
        &self,
        caller: &Caller,
        wanted: Wanted,
        room: &Result<BTreeSet<OrderId>, CallError>,
        answers: &Answers<'_>,
    ) -> Result<(), AnswerError> {
        let order_id = wanted.order_id.clone();
        match room {
            Ok(with_room) if with_room.contains(&order_id) => {}
            Ok(_) => return answers.send(&caller.too_many(order_id, self.subscriptions_max)).await,
            Err(error) => return answers.send(&caller.failure(order_id, error)).await,
        }
        let served = self.try_subscribe(caller, wanted, answers).await;
        answered(caller, order_id, served, answers).await
    }

    pub(crate) async fn history(
        &self,
        caller: &Caller,
        range: HistoryRange,
        answers: &Answers<'_>,
    ) -> Result<(), AnswerError> {
        let order_id = range.order_id.clone();
        let served = self.try_history(caller, range, answers).await;
        answered(caller, order_id, served, answers).await
    }

    async fn try_subscribe(&self, caller: &Caller, wanted: Wanted, answers: &Answers<'_>) -> Result<(), OrderError> {
        let Wanted { order_id, since } = wanted;
        let projection = self.record_and_read(caller, &order_id).await?;
        let Some(since) = since else {
            let snapshot = Update::redacted(order_id, &[], &projection, &self.redaction);
            return Ok(answers.send(&Message::Update(snapshot)).await?);
        };
        if !self.is_same_log(&order_id, since, &projection).await? {
            let snapshot = Update::redacted(order_id, &[], &projection, &self.redaction);
            return Ok(answers.send(&Message::Update(Update { reset: true, ..snapshot })).await?);
        }
        let reader = self.store.event_log.read(&order_id, since.version.next()..=projection.version());
        self.send_run(&order_id, reader, None, projection, Shape::Update, answers).await
    }

    /// Whether a client that stands at `since` stands in this log: not above its head, and, if it names the ref of its
    /// last event, with that event at that version.
    async fn is_same_log(&self, order_id: &OrderId, since: Since, projection: &Projection) -> Result<bool, OrderError> {
        let Since { version, event_ref } = since;
        if version > projection.version() {
            return Ok(false);
        }
        let (Some(event_ref), true) = (event_ref, version >= Version::FIRST) else { return Ok(true) };
        let at_since = self.store.event_log.range(order_id, version..=version).await?;
        Ok(at_since.first().is_some_and(|logged| logged.event.event_ref == event_ref))
    }

    /// Records the subscription and reads the projection as this caller may see it, in this order: a push that misses the
    /// row has written a projection that is seen here. The row of an order that is not shown says so, and its connection is
    /// not told that it lost the order.
    async fn record_and_read(&self, caller: &Caller, order_id: &OrderId) -> Result<Projection, OrderError> {
        let (connection_id, principal) = (caller.connection_id().clone(), caller.principal().clone());
        let expires_at_s = caller.connection.expires_at_s();
        let mut subscription = Subscription::new(order_id.clone(), connection_id, principal, expires_at_s);
        for _ in 0..SUBSCRIBE_ATTEMPTS_MAX {
            let written = self.store.subscriptions.put(&subscription).await?;
            let projection = self.store.projections.get(order_id).await?;
            if caller.is_shown(&projection) {
                return Ok(projection);
            }
            let hidden_at = Some(projection.version());
            if written.hidden_at == hidden_at || self.store.subscriptions.hide(&written, projection.version()).await? {
                return Ok(caller.hidden(order_id));
            }
            // A push that met the row before it said so took it for one that was shown the order, and removed it.
            subscription.hidden_at = hidden_at;
        }
        Err(OrderError::Contended)
    }

    /// The order's projection as this caller may see it.
    async fn shown(&self, caller: &Caller, order_id: &OrderId) -> Result<Projection, GetError> {
        let projection = self.store.projections.get(order_id).await?;
        Ok(if caller.is_shown(&projection) { projection } else { caller.hidden(order_id) })
    }

    async fn try_history(&self, caller: &Caller, range: HistoryRange, answers: &Answers<'_>) -> Result<(), OrderError> {
        let HistoryRange { order_id, from, to } = range;
        let stored = self.shown(caller, &order_id).await?;
        let (first, folded, last) = if to < stored.version() {
            (Version::FIRST, Some(Projection::default()), to)
        } else {
            (from, None, stored.version())
        };
        let reader = self.store.event_log.read(&order_id, first..=last);
        let run = folded.map(|folded| Folded { projection: folded, sent_from: from });
        self.send_run(&order_id, reader, run, stored, Shape::History, answers).await
    }

    /// Sends what a reader reads, a page in a message; the last one has the projection. With `folded`, that is the fold
    /// of what is read, and events before its `sent_from` are folded and not sent; else it is `stored`.
    async fn send_run(
        &self,
        order_id: &OrderId,
        mut reader: LogReader,
        mut folded: Option<Folded>,
        stored: Projection,
        shape: Shape,
        answers: &Answers<'_>,
    ) -> Result<(), OrderError> {
        let mut held: Vec<LoggedEvent> = Vec::new();
        while let Some(mut page) = reader.next_page().await? {
            if let Some(Folded { projection, sent_from }) = folded.as_mut() {
                for logged in &page {
                    projection.evolve(logged);
                }
                page.retain(|logged| logged.version >= *sent_from);
            }
            if page.is_empty() {
                continue;
            }
            if let Some(last) = held.last() {
                let so_far = Projection::stored(last.version, domain::Fields::new());
                let update = Update::redacted(order_id.clone(), &held, &so_far, &self.redaction);
                answers.send(&shape.message(Update { projection: None, ..update })).await?;
            }
            held = page;
        }
        let projection = folded.map_or(stored, |folded| folded.projection);
        let update = Update::redacted(order_id.clone(), &held, &projection, &self.redaction);
        Ok(answers.send(&shape.message(update)).await?)
    }
}

impl Caller {
    fn is_shown(&self, projection: &Projection) -> bool {
        projection.version() == Version::NONE || self.principal().may_see(projection.owner())
    }

    /// The projection of an order without events: what is answered does not tell whether there is such an order.
    fn hidden(&self, order_id: &OrderId) -> Projection {
        let (connection_id, order_id) = (self.connection_id().as_str(), order_id.as_str());
        tracing::info!(request_id = self.request_id, connection_id, order_id, "not shown: another's order");
        Projection::default()
    }
}

struct Folded {
    projection: Projection,
    sent_from: Version,
}

impl Shape {
    fn message(self, update: Update) -> Message {
        match self {
            Self::Update => Message::Update(update),
            Self::History => Message::History(update),
        }
    }
}

/// An order that failed is answered with an error; a connection that takes no answer ends the message.
async fn answered(
    caller: &Caller,
    order_id: OrderId,
    served: Result<(), OrderError>,
    answers: &Answers<'_>,
) -> Result<(), AnswerError> {
    match served {
        Ok(()) => Ok(()),
        Err(OrderError::NotAnswered(error)) => Err(error),
        Err(
            error @ (OrderError::NotRecorded(_)
            | OrderError::NoProjection(_)
            | OrderError::Contended
            | OrderError::NoLog(_)),
        ) => answers.send(&caller.failure(order_id, &error)).await,
    }
}
