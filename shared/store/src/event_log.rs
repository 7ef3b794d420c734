//! The event log: append and read.
//!
//! Owns: the rule by which versions have no gap and a ref is appended once, and reading a log whole.
//! Must not know: projections, subscribers.
//! Source: `docs/tables.md`, "Appending from any language".

use std::{collections::BTreeSet, ops::RangeInclusive, vec};

use aws_sdk_dynamodb::{
    Client, error::SdkError, operation::put_item::PutItemError, operation::query::builders::QueryFluentBuilder,
    types::AttributeValue,
};
use domain::{Event, EventRef, LoggedEvent, OrderId, Origin, TraceId, Version, limits};

use crate::{
    TableName,
    clock::now_ms,
    error::CallError,
    item::{self, BrokenItem, Item, NotStorable},
};

const REF_INDEX: &str = "order_events_by_ref";

/// The table `order_stream`.
#[derive(Clone, Debug)]
pub struct EventLog {
    client: Client,
    table: TableName,
}

/// Where an event is in its order's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its version.
    pub version: Version,
    /// The log had an event of this ref already; nothing was written.
    pub was_there: bool,
}

/// The orders of a whole log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderIds {
    /// Their ids, each once.
    pub order_ids: BTreeSet<OrderId>,
    /// Items whose key is no order's.
    pub broken: Vec<BrokenItem>,
}

/// Why an event was not appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// DynamoDB cannot hold the event.
    #[error("the event cannot be stored: {0}")]
    NotStorable(NotStorable),
    /// The order has another event with this ref: a producer gave one ref to two events.
    #[error("order {order_id:?} has another event with the ref {event_ref:?}, at version {version}")]
    RefTaken {
        /// The order.
        order_id: String,
        /// The ref of both events.
        event_ref: String,
        /// The version of the event that is in the log.
        version: Version,
    },
    /// Other producers took the next version in every try.
    #[error("the next version was taken by another producer in each of {tries} tries")]
    Contended {
        /// How often it was tried.
        tries: u32,
    },
    /// DynamoDB did not serve the call.
    #[error("the event was not appended")]
    Call(#[from] CallError),
    /// The log has an item that is no event.
    #[error("the log could not be read")]
    Broken(#[from] BrokenItem),
}

/// Why a log was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// DynamoDB did not serve the call.
    #[error("the log could not be read")]
    Call(#[from] CallError),
    /// The log has an item that is no event.
    #[error("the log has a broken item")]
    Broken(#[from] BrokenItem),
    /// A version is missing: a producer skipped it, or it was deleted.
    #[error("the log of order {order_id:?} has no event {missing}, but later ones")]
    Hole {
        /// The order.
        order_id: String,
        /// The first version that is missing.
        missing: Version,
        /// The first version behind it that is there.
        next: Version,
    },
}

/// Checks that DynamoDB can hold an event, at any version.
///
/// # Errors
/// [`NotStorable`] says which of DynamoDB's limits the event passes.
pub fn check(event: &Event) -> Result<(), NotStorable> {
    // As large as it can become: whether an event fits does not hang on chance.
    let origin = Origin { appended_at_ms: Some(i64::MAX), trace_id: Some(TraceId::new(0, 0)) };
    let largest = LoggedEvent { version: Version::MAX, event: event.clone(), origin };
    item::event::to_item(&largest).map(|_item| ())
}

/// That an event is appended now; one in so many has a trace.
fn origin() -> Origin {
    let now_ms = now_ms();
    let is_traced = fastrand::u32(0..limits::TRACED_ONE_IN) == 0;
    let trace_id = is_traced.then(|| TraceId::new(now_ms, fastrand::u128(..)));
    Origin { appended_at_ms: Some(now_ms), trace_id }
}

impl EventLog {
    /// The log in this table.
    #[must_use]
    pub fn new(client: Client, table: TableName) -> Self {
        Self { client, table }
    }

    /// The table's name.
    #[must_use]
    pub fn table(&self) -> &TableName {
        &self.table
    }

    /// Appends an event at the end of its order's log. The same event a second time writes nothing.
    ///
    /// `head_at_least` is what the caller knows of the log's last version, from its own last append; it saves a read.
    ///
    /// # Errors
    /// [`AppendError`]; nothing was appended then, except that after a call without answer it may have been, and the
    /// next append of the same event says so.
    pub async fn append(&self, event: &Event, head_at_least: Option<Version>) -> Result<Appended, AppendError> {
        check(event).map_err(AppendError::NotStorable)?;
        let mut known_head = head_at_least;
        for attempt in 0..limits::APPEND_TRIES_MAX {
            // The head comes first: an append of this ref between the two reads then takes `head + 1`, and the put fails.
            let head = match known_head {
                Some(head) => head,
                None => self.head(event.order_id()).await?,
            };
            if let Some(version) = self.version_of(event.order_id(), &event.event_ref).await? {
                return self.is_there(event, version).await;
            }
            if self.put(event, head.next()).await? {
                return Ok(Appended { version: head.next(), was_there: false });
            }
            known_head = None;
            let pause = limits::APPEND_PAUSE_MAX.mul_f64(fastrand::f64() * f64::from(attempt.min(10)) / 10.0);
            tokio::time::sleep(pause).await;
        }
        Err(AppendError::Contended { tries: limits::APPEND_TRIES_MAX })
    }

    /// The log has an event with this event's ref: the same one, or another one, which is an error.
    async fn is_there(&self, event: &Event, version: Version) -> Result<Appended, AppendError> {
        let logged = self.range(event.order_id(), version..=version).await?;
        if logged.first().is_some_and(|logged| logged.event.has_content_of(event)) {
            return Ok(Appended { version, was_there: true });
        }
        let (order_id, event_ref) = (event.order_id().to_string(), event.event_ref.to_string());
        Err(AppendError::RefTaken { order_id, event_ref, version })
    }

    /// Writes an event at a version that no event has yet; `false` if one has.
    async fn put(&self, event: &Event, version: Version) -> Result<bool, AppendError> {
        let logged = LoggedEvent { version, event: event.clone(), origin: origin() };
        let item = item::event::to_item(&logged).map_err(AppendError::NotStorable)?;
        let put = self.client.put_item().table_name(self.table.as_str()).set_item(Some(item));
        match put.condition_expression("attribute_not_exists(orderId)").send().await {
            Ok(_) => Ok(true),
            Err(error) if is_condition_failed(&error) => Ok(false),
            Err(error) => Err(CallError::new("PutItem", &self.table, error).into()),
        }
    }

    /// The version of the log's last event; [`Version::NONE`] for an empty log. A strongly consistent read.
    ///
    /// # Errors
    /// [`ReadError`] if DynamoDB does not answer or the last item has no version.
    pub async fn head(&self, order_id: &OrderId) -> Result<Version, ReadError> {
        let query = self.query(order_id).scan_index_forward(false).limit(1).projection_expression("orderId, version");
        let page = query.send().await.map_err(|error| CallError::new("Query", &self.table, error))?;
        Ok(version_in(page.items())?.unwrap_or(Version::NONE))
    }

    /// The version of the event with this ref. A strongly consistent read of the local index.
    ///
    /// # Errors
    /// [`ReadError`] if DynamoDB does not answer or the index has a broken entry.
    pub async fn version_of(&self, order_id: &OrderId, event_ref: &EventRef) -> Result<Option<Version>, ReadError> {
        let query = self
            .client
            .query()
            .table_name(self.table.as_str())
            .index_name(REF_INDEX)
            .consistent_read(true)
            .key_condition_expression("orderId = :orderId AND #ref = :ref")
            .expression_attribute_names("#ref", "ref")
            .expression_attribute_values(":orderId", AttributeValue::S(order_id.as_str().to_owned()))
            .expression_attribute_values(":ref", AttributeValue::S(event_ref.to_string()))
            .limit(1);
        let page = query.send().await.map_err(|error| CallError::new("Query", &self.table, error))?;
        Ok(version_in(page.items())?)
    }

    fn query(&self, order_id: &OrderId) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(self.table.as_str())
            .consistent_read(true)
            .key_condition_expression("orderId = :orderId")
            .expression_attribute_values(":orderId", AttributeValue::S(order_id.as_str().to_owned()))
    }

    /// Every order that has a log, by a scan of the local index, which holds keys alone.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not answer. A key that is no order's stands among the broken items.
    pub async fn order_ids(&self) -> Result<OrderIds, CallError> {
        let mut found = OrderIds::default();
        let mut start_key = None;
        loop {
            let scan = self
                .client
                .scan()
                .table_name(self.table.as_str())
                .index_name(REF_INDEX)
                .consistent_read(true)
                .set_exclusive_start_key(start_key);
            let page = scan.send().await.map_err(|error| CallError::new("Scan", &self.table, error))?;
            for item in page.items() {
                match item::event::order_id_of(item) {
                    Ok(order_id) => drop(found.order_ids.insert(order_id)),
                    Err(broken) => found.broken.push(broken),
                }
            }
            start_key = page.last_evaluated_key;
            if start_key.is_none() {
                return Ok(found);
            }
        }
    }

    /// Begins to read an order's log in these versions, a page at a time.
    #[must_use]
    pub fn read(&self, order_id: &OrderId, versions: RangeInclusive<Version>) -> LogReader {
        LogReader {
            log: self.clone(),
            order_id: order_id.clone(),
            expected: (*versions.start()).max(Version::FIRST),
            versions: (*versions.start()).max(Version::FIRST)..=*versions.end(),
            items: Vec::new().into_iter(),
            next_page: (versions.start() <= versions.end()).then_some(None),
            bytes: 0,
        }
    }

    /// An order's events in these versions, in order; fewer if the log ends before.
    ///
    /// # Errors
    /// [`ReadError`] if DynamoDB does not answer, or the log has a broken item or a hole.
    pub async fn range(
        &self,
        order_id: &OrderId,
        versions: RangeInclusive<Version>,
    ) -> Result<Vec<LoggedEvent>, ReadError> {
        let mut reader = self.read(order_id, versions);
        let mut events = Vec::new();
        while let Some(page) = reader.next_page().await? {
            events.extend(page);
        }
        Ok(events)
    }
}

/// Reads a log from its beginning to its end, however long it is.
#[derive(Debug)]
pub struct LogReader {
    log: EventLog,
    order_id: OrderId,
    versions: RangeInclusive<Version>,
    expected: Version,
    /// What DynamoDB gave and nobody asked for yet.
    items: vec::IntoIter<Item>,
    /// Absent at the end; else DynamoDB's key of the page before, if there was one.
    next_page: Option<Option<Item>>,
    /// What DynamoDB gave since somebody asked how much that is.
    bytes: usize,
}

impl LogReader {
    /// The next events, in order: as many as take [`limits::LOG_PART_BYTES_MAX`] in the table, or one that takes more; `None`
    /// at the end. The events before a hole come first. DynamoDB's own pages of 1 MB would be too much where they are of many small values.
    ///
    /// # Errors
    /// [`ReadError`] if DynamoDB does not answer, or the log has a broken item or a hole.
    pub async fn next_page(&mut self) -> Result<Option<Vec<LoggedEvent>>, ReadError> {
        while self.items.as_slice().is_empty() {
            let Some(start_key) = self.next_page.take() else { return Ok(None) };
            self.read(start_key).await?;
        }
        let (mut events, mut bytes) = (Vec::new(), 0);
        while let Some(item) = self.items.as_slice().first() {
            bytes += item::size::bytes(item);
            let next = item::event::version_of(item)?;
            let is_next = next == self.expected;
            if (bytes > limits::LOG_PART_BYTES_MAX || !is_next) && !events.is_empty() {
                break;
            }
            if !is_next {
                let order_id = self.order_id.as_str().to_owned();
                return Err(ReadError::Hole { order_id, missing: self.expected, next });
            }
            let Some(logged) = self.items.next().map(item::event::from_item).transpose()? else { break };
            self.expected = self.expected.next();
            events.push(logged);
        }
        Ok(Some(events))
    }

    /// How many bytes DynamoDB read since the last time that this was asked.
    pub fn take_bytes(&mut self) -> usize {
        std::mem::take(&mut self.bytes)
    }

    /// Reads DynamoDB's next page.
    async fn read(&mut self, start_key: Option<Item>) -> Result<(), CallError> {
        let bound = |version: Version| AttributeValue::N(version.to_string());
        let query = self
            .log
            .query(&self.order_id)
            .key_condition_expression("orderId = :orderId AND version BETWEEN :first AND :last")
            .expression_attribute_values(":first", bound(*self.versions.start()))
            .expression_attribute_values(":last", bound(*self.versions.end()));
        let sent = query.set_exclusive_start_key(start_key).send().await;
        let page = sent.map_err(|error| CallError::new("Query", &self.log.table, error))?;
        self.next_page = page.last_evaluated_key.map(Some);
        self.items = page.items.unwrap_or_default().into_iter();
        self.bytes += self.items.as_slice().iter().map(item::size::bytes).sum::<usize>();
        Ok(())
    }
}

impl From<ReadError> for AppendError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Call(call) => Self::Call(call),
            ReadError::Broken(broken) => Self::Broken(broken),
            ReadError::Hole { order_id, missing, .. } => Self::Broken(BrokenItem {
                key: format!("orderId={order_id:?} version={missing}"),
                reason: "it is missing, and later ones are there".to_owned(),
            }),
        }
    }
}

fn is_condition_failed(error: &SdkError<PutItemError>) -> bool {
    error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception)
}

fn version_in(items: &[Item]) -> Result<Option<Version>, BrokenItem> {
    items.first().map(item::event::version_of).transpose()
}
