//! Subscribing to one order, and reading its log.
//!
//! Owns: rule 2 of the guarantee (the row is written before the projection is read), what a resume is answered, and that
//! an order of somebody else is answered as an order without events.
//! Must not know: the other orders of the message.
//! Source: README.md of `protocol`; `docs/decisions/0006-an-order-of-another-looks-like-no-order.md`.

use std::{collections::BTreeSet, ops::RangeInclusive};

use domain::{Event, LoggedEvent, OrderId, Projection, Subscription, Version, limits::SUBSCRIBE_ATTEMPTS_MAX, price};
use protocol::{
    Message, SentEvent, Update,
    request::{HistoryRange, Since, Wanted},
};
use store::{CallError, event_log::ReadError, projections::GetError};

use crate::{
    Subscribe,
    answers::{AnswerError, Answers, Room},
    caller::Caller,
    meter::NotPaid,
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
    #[error("it is not paid for")]
    NotPaid(#[from] NotPaid),
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
            Ok(_) => return answers.send(caller.too_many(order_id, self.subscriptions_max)).await,
            Err(error) => return answers.send(caller.failure(order_id, error)).await,
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
        let (projection, mut room) = self.record_and_read(caller, &order_id, answers).await?;
        let Some(since) = since else {
            room.shrink_to(projection.bytes);
            let snapshot = self.update(&order_id, Vec::new(), projection.shown);
            return Ok(answers.send(Message::Update(snapshot)).await?);
        };
        if !self.is_same_log(&order_id, &since, &projection.shown, answers).await? {
            let snapshot = self.update(&order_id, Vec::new(), projection.shown);
            return Ok(answers.send(Message::Update(Update { reset: true, ..snapshot })).await?);
        }
        let versions = since.version.next()..=projection.shown.version();
        self.send_run(&order_id, versions, None, projection.shown, Shape::Update, answers).await
    }

    /// What a caller may see of these events and of the projection after them, without a copy.
    fn update(&self, order_id: &OrderId, events: Vec<LoggedEvent>, projection: Projection) -> Update {
        let version = projection.version();
        let projection = Some(self.redaction.take(projection.into_fields()));
        Update { projection, version, ..self.part(order_id, version, events) }
    }

    /// The same of events that are followed by others.
    fn part(&self, order_id: &OrderId, version: Version, events: Vec<LoggedEvent>) -> Update {
        let sent = |LoggedEvent { version, event, .. }: LoggedEvent| {
            let Event { event_ref, ts_us, data } = event;
            SentEvent { version, event_ref, ts_us, data: self.redaction.take(data.into_fields()) }
        };
        let events = events.into_iter().map(sent).collect();
        Update { order_id: order_id.clone(), version, events, projection: None, reset: false, refolded: false }
    }

    /// Whether a client that stands at `since` stands in this log: not above its head, and, if it names the ref of its
    /// last event, with that event at that version.
    async fn is_same_log(
        &self,
        order_id: &OrderId,
        since: &Since,
        projection: &Projection,
        answers: &Answers<'_>,
    ) -> Result<bool, OrderError> {
        let Since { version, event_ref } = since;
        if *version > projection.version() {
            return Ok(false);
        }
        let (Some(event_ref), true) = (event_ref, *version >= Version::FIRST) else { return Ok(true) };
        let mut reader = self.store.event_log.read(order_id, *version..=*version);
        let at_since = reader.next_page().await?.unwrap_or_default();
        answers.meter.owe(price::read(reader.take_bytes()));
        Ok(at_since.first().is_some_and(|logged| logged.event.event_ref == *event_ref))
    }

    /// Records the subscription and reads the projection as this caller may see it, in this order: a push that misses the
    /// row has written a projection that is seen here. The row of an order that is not shown says so, and its connection is
    /// not told that it lost the order.
    async fn record_and_read<'a>(
        &self,
        caller: &Caller,
        order_id: &OrderId,
        answers: &'a Answers<'_>,
    ) -> Result<(Shown, Room<'a>), OrderError> {
        let (connection_id, principal) = (caller.connection_id().clone(), caller.principal().clone());
        let expires_at_s = caller.connection.expires_at_s();
        let mut subscription = Subscription::new(order_id.clone(), connection_id, principal, expires_at_s);
        for _ in 0..SUBSCRIBE_ATTEMPTS_MAX {
            answers.meter.pay().await?;
            // The row and its entry in the index.
            answers.meter.owe_write_units(2);
            let written = self.store.subscriptions.put(&subscription).await?;
            let room = answers.room().await;
            let read = self.read_shown(caller, order_id, answers).await?;
            let Some(hidden) = read.hidden_at else { return Ok((read, room)) };
            answers.meter.owe_write_units(2);
            if written.hidden_at == Some(hidden) || self.store.subscriptions.hide(&written, hidden).await? {
                return Ok((read, room));
            }
            // A push that met the row before it said so took it for one that was shown the order, and removed it.
            subscription.hidden_at = Some(hidden);
        }
        Err(OrderError::Contended)
    }

    /// The order's projection as this caller may see it: that of an order without events, if the order is not its own. So
    /// what is answered does not tell whether there is such an order.
    async fn read_shown(&self, caller: &Caller, order_id: &OrderId, answers: &Answers<'_>) -> Result<Shown, GetError> {
        let (stored, bytes) = self.store.projections.get_sized(order_id).await?;
        answers.meter.owe(price::read(bytes));
        let version = stored.projection.version();
        if version == Version::NONE || caller.principal().may_see(stored.projection.owner()) {
            return Ok(Shown { shown: stored.projection, bytes, hidden_at: None });
        }
        let (connection_id, order_id) = (caller.connection_id().as_str(), order_id.as_str());
        tracing::info!(request_id = caller.request_id, connection_id, order_id, "not shown: another's order");
        Ok(Shown { hidden_at: Some(version), ..Shown::default() })
    }

    async fn try_history(&self, caller: &Caller, range: HistoryRange, answers: &Answers<'_>) -> Result<(), OrderError> {
        let HistoryRange { order_id, from, to } = range;
        let stored = self.read_shown(caller, &order_id, answers).await?.shown;
        if to >= stored.version() {
            let versions = from..=stored.version();
            return self.send_run(&order_id, versions, None, stored, Shape::History, answers).await;
        }
        drop(stored);
        // The projection as of a version is the fold up to it; events before `from` are folded and not sent.
        let versions = Version::FIRST..=to;
        self.send_run(&order_id, versions, Some(from), Projection::default(), Shape::History, answers).await
    }

    /// Sends the events of these versions, some in a message; the last one has the projection. With `folded_from`, that is
    /// what `projection` becomes by what is read, and events before that version are not sent.
    async fn send_run(
        &self,
        order_id: &OrderId,
        versions: RangeInclusive<Version>,
        folded_from: Option<Version>,
        mut projection: Projection,
        shape: Shape,
        answers: &Answers<'_>,
    ) -> Result<(), OrderError> {
        let mut reader = self.store.event_log.read(order_id, versions.clone());
        let mut last_events = Vec::new();
        loop {
            answers.meter.pay().await?;
            let page = reader.next_page().await?;
            answers.meter.owe(price::read(reader.take_bytes()));
            let Some(mut events) = page else { break };
            let Some(version) = events.last().map(|last| last.version) else { continue };
            if let Some(from) = folded_from {
                for logged in &events {
                    projection.evolve(logged);
                }
                events.retain(|logged| logged.version >= from);
            }
            if version == *versions.end() {
                last_events = events;
            } else if !events.is_empty() {
                answers.send(shape.message(self.part(order_id, version, events))).await?;
            }
        }
        let update = self.update(order_id, last_events, projection);
        Ok(answers.send(shape.message(update)).await?)
    }
}

/// A projection as a caller may see it.
#[derive(Default)]
struct Shown {
    shown: Projection,
    /// Its size as it is stored.
    bytes: usize,
    /// The version of the order's projection, if it is another's and not shown.
    hidden_at: Option<Version>,
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
        Err(OrderError::NotPaid(not_paid)) => {
            answers.send(Message::Error(caller.not_paid(&not_paid).about(order_id))).await
        }
        Err(
            error @ (OrderError::NotRecorded(_)
            | OrderError::NoProjection(_)
            | OrderError::Contended
            | OrderError::NoLog(_)),
        ) => answers.send(caller.failure(order_id, &error)).await,
    }
}
