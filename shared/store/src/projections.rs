//! The stored projections.
//!
//! Owns: that a projection moves forward by one writer at a time; remembering what this process stored last.
//! Must not know: the log, how to fold.
//! Source: rule 1 of the guarantee.

mod memory;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::put_item::PutItemError,
    types::{AttributeValue, ReturnConsumedCapacity},
};
use domain::{
    OrderId, Projection, Version,
    limits::{BATCH_GET_ATTEMPTS_MAX, BATCH_GET_PAUSE_FIRST},
};

use crate::{
    TableName, clock, consumed,
    error::CallError,
    item::{
        self, BrokenItem, Item, NotStorable,
        projection::{ProjectionWrite, StoredProjection},
    },
};
use memory::Memory;

/// The table `order_projections`.
#[derive(Clone, Debug)]
pub struct Projections {
    client: Client,
    table: TableName,
    memory: Memory,
}

/// How far an order's projection is, and whose order it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// The version of the projection; [`Version::NONE`] if none is stored.
    pub version: Version,
    /// The user whose order it is, if it has an owner.
    pub owner: Option<String>,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The projection is stored.
    Stored,
    /// Another writer was first; what is stored is another write's than the caller knew.
    Outrun,
}

/// Why a projection was not read.
#[derive(Debug, thiserror::Error)]
pub enum GetError {
    /// DynamoDB did not serve the call.
    #[error("the projection could not be read")]
    Call(#[from] CallError),
    /// The item is no projection.
    #[error("the projection is broken")]
    Broken(#[from] BrokenItem),
}

/// Why a projection was not written.
#[derive(Debug, thiserror::Error)]
pub enum PutError {
    /// DynamoDB cannot hold the projection.
    #[error("the projection cannot be stored: {0}")]
    NotStorable(NotStorable),
    /// DynamoDB did not serve the call.
    #[error("the projection could not be written")]
    Call(#[from] CallError),
}

impl Projections {
    /// The projections in this table.
    #[must_use]
    pub fn new(client: Client, table: TableName) -> Self {
        Self { client, table, memory: Memory::default() }
    }

    /// An order's projection; the empty one at [`Version::NONE`] if none is stored. A strongly consistent read.
    ///
    /// # Errors
    /// [`GetError`] if DynamoDB does not answer or the item is broken.
    pub async fn get(&self, order_id: &OrderId) -> Result<Projection, GetError> {
        Ok(self.get_stored(order_id).await?.projection)
    }

    /// The same, for whoever is going to store another one in its place.
    ///
    /// # Errors
    /// [`GetError`] if DynamoDB does not answer or the item is broken.
    pub async fn get_stored(&self, order_id: &OrderId) -> Result<StoredProjection, GetError> {
        Ok(self.get_sized(order_id).await?.0)
    }

    /// The same, with its size as DynamoDB counts it, in bytes; 0 if none is stored.
    ///
    /// # Errors
    /// [`GetError`] if DynamoDB does not answer or the item is broken.
    pub async fn get_sized(&self, order_id: &OrderId) -> Result<(StoredProjection, usize), GetError> {
        let key = AttributeValue::S(order_id.as_str().to_owned());
        let get = self.client.get_item().table_name(self.table.as_str()).key("orderId", key).consistent_read(true);
        let answer = get.send().await.map_err(|error| CallError::new("GetItem", &self.table, error))?;
        match answer.item {
            Some(item) => {
                let bytes = item::size::bytes(&item);
                Ok((item::projection::from_item(item)?.1, bytes))
            }
            None => Ok((StoredProjection::default(), 0)),
        }
    }

    /// The heads of orders and the read units that they took, at most [`domain::limits::BATCH_GET_KEYS_MAX`] different ones, by strongly consistent reads in one call. An
    /// order without a projection is not among them, and a malformed item stands in its order's place.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not answer, or leaves orders unprocessed in each of several attempts.
    pub async fn heads(
        &self,
        order_ids: &[&OrderId],
    ) -> Result<(BTreeMap<OrderId, Result<Head, BrokenItem>>, u64), CallError> {
        let mut read_units = 0_u64;
        let order_ids: BTreeSet<&OrderId> = order_ids.iter().copied().collect();
        let key = |order_id: &OrderId| AttributeValue::S(order_id.as_str().to_owned());
        let keys = order_ids.iter().map(|order_id| Item::from([("orderId".to_owned(), key(order_id))]));
        let mut keys: Vec<Item> = keys.collect();
        let mut heads = BTreeMap::new();
        let mut pause_max = BATCH_GET_PAUSE_FIRST;
        for attempt in 0..BATCH_GET_ATTEMPTS_MAX {
            if keys.is_empty() {
                return Ok((heads, read_units));
            }
            if attempt > 0 {
                tokio::time::sleep(pause_max.mul_f64(fastrand::f64())).await;
                pause_max *= 2;
            }
            let read = self
                .client
                .batch_get_item()
                .request_items(self.table.as_str(), item::projection::heads_of(keys))
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .send()
                .await
                .map_err(|error| CallError::new("BatchGetItem", &self.table, error))?;
            read_units = read_units.saturating_add(consumed::units(read.consumed_capacity()));
            for item in read.responses.into_iter().flat_map(HashMap::into_values).flatten() {
                match item::projection::head_from_item(&item) {
                    Ok((order_id, head)) => heads.insert(order_id, Ok(head)),
                    Err((Some(order_id), malformed)) => heads.insert(order_id, Err(malformed)),
                    // DynamoDB answers with the keys that it was asked for.
                    Err((None, _)) => None,
                };
            }
            let left = read.unprocessed_keys.unwrap_or_default();
            keys = left.into_values().flat_map(|left| left.keys).collect();
        }
        if keys.is_empty() { Ok((heads, read_units)) } else { Err(CallError::unprocessed("BatchGetItem", &self.table)) }
    }

    /// What this process stored last of an order, if it remembers. Another process may have stored something else since:
    /// it is good for [`Self::put`] alone, which finds that out. It is given out once.
    #[must_use]
    pub fn take_remembered(&self, order_id: &OrderId) -> Option<StoredProjection> {
        self.memory.take(order_id)
    }

    /// Stores a projection in the place of exactly what the write `over` stored: not of another write of the same version
    /// either, which is there when an order was rebuilt. What `over` says of events ahead is kept until they are in.
    ///
    /// # Errors
    /// [`PutError`] if DynamoDB cannot hold the projection or does not answer.
    pub async fn put(
        &self,
        order_id: &OrderId,
        projection: &Projection,
        over: ProjectionWrite,
    ) -> Result<Written, PutError> {
        let updated_at_ms = later(clock::now_ms(), over.updated_at_ms);
        let ahead = over.ahead.filter(|ahead| *ahead > projection.version());
        let item =
            item::projection::to_item(order_id, projection, updated_at_ms, ahead).map_err(PutError::NotStorable)?;
        let bytes = item::size::bytes(&item);
        let put = self.client.put_item().table_name(self.table.as_str()).set_item(Some(item));
        let number = |number: &dyn ToString| AttributeValue::N(number.to_string());
        let put = match (over.version, over.updated_at_ms) {
            (Version::NONE, None) => put.condition_expression("attribute_not_exists(orderId)"),
            (version, None) => put
                .condition_expression("version = :version AND attribute_not_exists(updatedAt)")
                .expression_attribute_values(":version", number(&version)),
            (version, Some(at_ms)) => put
                .condition_expression("version = :version AND updatedAt = :updatedAt")
                .expression_attribute_values(":version", number(&version))
                .expression_attribute_values(":updatedAt", number(&at_ms)),
        };
        match put.send().await {
            Ok(_) => {
                let projection = projection.clone();
                let stored = StoredProjection { projection, updated_at_ms: Some(updated_at_ms), ahead };
                self.memory.put(order_id, stored, bytes);
                Ok(Written::Stored)
            }
            Err(error) if is_condition_failed(&error) => Ok(Written::Outrun),
            Err(error) => Err(CallError::new("PutItem", &self.table, error).into()),
        }
    }

    /// Begins to read every projection, a page at a time, in no order.
    #[must_use]
    pub fn scan(&self) -> ProjectionScan {
        ProjectionScan { projections: self.clone(), next_page: Some(None) }
    }
}

/// Reads every projection.
#[derive(Debug)]
pub struct ProjectionScan {
    projections: Projections,
    next_page: Option<Option<Item>>,
}

impl ProjectionScan {
    /// The next projections, at most 1 MB of them; `None` at the end. Broken items stand in their places.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not answer.
    pub async fn next_page(&mut self) -> Result<Option<Vec<Result<(OrderId, Projection), BrokenItem>>>, CallError> {
        let Some(start_key) = self.next_page.take() else { return Ok(None) };
        let Projections { client, table, .. } = &self.projections;
        let scan = client.scan().table_name(table.as_str()).consistent_read(true).set_exclusive_start_key(start_key);
        let page = scan.send().await.map_err(|error| CallError::new("Scan", table, error))?;
        let read = |item| item::projection::from_item(item).map(|(order_id, stored)| (order_id, stored.projection));
        self.next_page = page.last_evaluated_key.map(Some);
        let projections = page.items.unwrap_or_default().into_iter().map(read).collect();
        Ok(Some(projections))
    }
}

/// This moment, or the one after what was stored before: clocks differ, and two writes may be in one millisecond.
fn later(now_ms: i64, before_ms: Option<i64>) -> i64 {
    before_ms.map_or(now_ms, |before_ms| now_ms.max(before_ms.saturating_add(1)))
}

fn is_condition_failed(error: &SdkError<PutItemError>) -> bool {
    error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_later_than_the_one_before_by_any_clock() {
        for (now_ms, before_ms, at_ms) in [(5, None, 5), (5, Some(4), 5), (5, Some(5), 6), (5, Some(9), 10)] {
            assert_eq!(later(now_ms, before_ms), at_ms);
        }
    }
}
