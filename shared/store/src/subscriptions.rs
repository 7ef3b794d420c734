//! Who is told of which order.
//!
//! Owns: the rows of `subscriptions`, read whole in both directions.
//! Must not know: what is sent, whether a connection is alive.
//! Source: rule 2 of the guarantee: the handler's query is strongly consistent, of the table and not of an index.

use aws_sdk_dynamodb::{
    Client,
    operation::query::builders::QueryFluentBuilder,
    types::{AttributeValue, DeleteRequest, Select, WriteRequest},
};
use domain::{
    ConnectionId, OrderId, Subscription,
    fan_out::Page,
    limits::{BATCH_WRITE_KEYS_MAX, BATCH_WRITE_TRIES_MAX},
};

use crate::{
    TableName,
    error::CallError,
    item::{self, BrokenItem, Item},
};

const CONNECTION_INDEX: &str = "subscriptions_by_connection";

/// The table `subscriptions`.
#[derive(Clone, Debug)]
pub struct Subscriptions {
    client: Client,
    table: TableName,
}

/// Why the subscribers of an order were not read.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// DynamoDB did not serve the call.
    #[error("the subscribers could not be read")]
    Call(#[from] CallError),
    /// An item is no subscription.
    #[error("a subscription is broken")]
    Broken(#[from] BrokenItem),
}

impl Subscriptions {
    /// The subscriptions in this table.
    #[must_use]
    pub fn new(client: Client, table: TableName) -> Self {
        Self { client, table }
    }

    /// Records a subscription. Twice is once.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve the call.
    pub async fn put(&self, subscription: &Subscription) -> Result<(), CallError> {
        let item = item::subscription::to_item(subscription);
        let put = self.client.put_item().table_name(self.table.as_str()).set_item(Some(item));
        put.send().await.map_err(|error| CallError::new("PutItem", &self.table, error))?;
        Ok(())
    }

    /// Removes a subscription. One that is not there is no error.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve the call.
    pub async fn delete(&self, order_id: &OrderId, connection_id: &ConnectionId) -> Result<(), CallError> {
        let key = item::subscription::key(order_id, connection_id);
        let delete = self.client.delete_item().table_name(self.table.as_str()).set_key(Some(key));
        delete.send().await.map_err(|error| CallError::new("DeleteItem", &self.table, error))?;
        Ok(())
    }

    pub async fn delete_row(&self, s: &Subscription) -> Result<bool, CallError> {
        self.delete(&s.order_id, &s.connection_id).await?;
        Ok(true)
    }

    /// Every subscription of an order, by strongly consistent reads of the table, all pages.
    ///
    /// # Errors
    /// [`ListError`] if DynamoDB does not answer or an item is broken.
    pub async fn of_order(&self, order_id: &OrderId) -> Result<Vec<Subscription>, ListError> {
        self.of_page(order_id, &Page::default()).await
    }

    /// The subscriptions of an order that are on a page, by strongly consistent reads of the table.
    ///
    /// # Errors
    /// [`ListError`] if DynamoDB does not answer or an item is broken.
    pub async fn of_page(&self, order_id: &OrderId, page: &Page) -> Result<Vec<Subscription>, ListError> {
        let mut subscriptions = Vec::new();
        let mut start_key = None;
        loop {
            let query = self.query(order_id, page).set_exclusive_start_key(start_key);
            let read = query.send().await.map_err(|error| CallError::new("Query", &self.table, error))?;
            for item in read.items() {
                subscriptions.push(item::subscription::from_item(item)?);
            }
            start_key = read.last_evaluated_key;
            if start_key.is_none() {
                // DynamoDB's BETWEEN has both ends.
                subscriptions.retain(|subscription| page.after.as_ref() != Some(&subscription.connection_id));
                return Ok(subscriptions);
            }
        }
    }

    /// The first subscriptions of an order, at most so many, by one strongly consistent read of the table; and behind
    /// which of them there are more.
    ///
    /// # Errors
    /// [`ListError`] if DynamoDB does not answer or an item is broken.
    pub async fn first_of_order(
        &self,
        order_id: &OrderId,
        subscribers_max: usize,
    ) -> Result<(Vec<Subscription>, Option<ConnectionId>), ListError> {
        // One more shows whether there are more.
        let query = self.query(order_id, &Page::default()).limit(limit(subscribers_max.saturating_add(1)));
        let read = query.send().await.map_err(|error| CallError::new("Query", &self.table, error))?;
        let subscriptions = read.items().iter().take(subscribers_max).map(item::subscription::from_item);
        let subscriptions: Vec<Subscription> = subscriptions.collect::<Result<_, _>>()?;
        let are_more = read.items().len() > subscribers_max || read.last_evaluated_key.is_some();
        let end = subscriptions.last().filter(|_last| are_more).map(|last| last.connection_id.clone());
        Ok((subscriptions, end))
    }

    /// Where the page of at most so many subscribers behind an id ends, and how many are on it, by one strongly consistent
    /// read that brings no items; without an end, nobody is behind it.
    ///
    /// # Errors
    /// [`ListError`] if DynamoDB does not answer.
    pub async fn page_end(
        &self,
        order_id: &OrderId,
        after: &ConnectionId,
        subscribers_max: usize,
    ) -> Result<(usize, Option<ConnectionId>), ListError> {
        let rest = Page { after: Some(after.clone()), last: None };
        let query = self.query(order_id, &rest).limit(limit(subscribers_max)).select(Select::Count);
        let read = query.send().await.map_err(|error| CallError::new("Query", &self.table, error))?;
        let last = read.last_evaluated_key.as_ref().map(item::subscription::connection_id_of).transpose()?;
        Ok((usize::try_from(read.count).unwrap_or_default(), last))
    }

    fn query(&self, order_id: &OrderId, page: &Page) -> QueryFluentBuilder {
        let text = |id: &ConnectionId| AttributeValue::S(id.as_str().to_owned());
        let condition = match page {
            Page { after: None, last: None } => "orderId = :orderId",
            Page { after: Some(_), last: None } => "orderId = :orderId AND connectionId > :after",
            Page { after: None, last: Some(_) } => "orderId = :orderId AND connectionId <= :last",
            Page { after: Some(_), last: Some(_) } => "orderId = :orderId AND connectionId BETWEEN :after AND :last",
        };
        let mut query = self
            .client
            .query()
            .table_name(self.table.as_str())
            .consistent_read(true)
            .key_condition_expression(condition)
            .expression_attribute_values(":orderId", AttributeValue::S(order_id.as_str().to_owned()));
        for (name, id) in [(":after", &page.after), (":last", &page.last)] {
            if let Some(id) = id {
                query = query.expression_attribute_values(name, text(id));
            }
        }
        query
    }

    /// Removes every subscription of a connection that its index knows. The index may lag behind the table: a row that
    /// is missed is removed by the first push that finds the connection gone, or by time-to-live.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve a call; some may be removed then.
    pub async fn delete_of_connection(&self, connection_id: &ConnectionId) -> Result<(), CallError> {
        let mut start_key = None;
        loop {
            let query = self
                .client
                .query()
                .table_name(self.table.as_str())
                .index_name(CONNECTION_INDEX)
                .key_condition_expression("connectionId = :connectionId")
                .projection_expression("orderId, connectionId")
                .expression_attribute_values(":connectionId", AttributeValue::S(connection_id.as_str().to_owned()))
                .set_exclusive_start_key(start_key);
            let page = query.send().await.map_err(|error| CallError::new("Query", &self.table, error))?;
            for keys in page.items().chunks(BATCH_WRITE_KEYS_MAX) {
                self.delete_keys(keys).await?;
            }
            start_key = page.last_evaluated_key;
            if start_key.is_none() {
                return Ok(());
            }
        }
    }

    async fn delete_keys(&self, keys: &[Item]) -> Result<(), CallError> {
        let mut requests = Vec::with_capacity(keys.len());
        for key in keys {
            let delete = DeleteRequest::builder().set_key(Some(key.clone())).build();
            requests.extend(delete.ok().map(|delete| WriteRequest::builder().delete_request(delete).build()));
        }
        for _ in 0..BATCH_WRITE_TRIES_MAX {
            let write = self.client.batch_write_item().request_items(self.table.as_str(), requests);
            let done = write.send().await.map_err(|error| CallError::new("BatchWriteItem", &self.table, error))?;
            let left = done.unprocessed_items.unwrap_or_default();
            requests = left.into_values().flatten().collect();
            if requests.is_empty() {
                return Ok(());
            }
        }
        Err(CallError::unprocessed("BatchWriteItem", &self.table))
    }
}

/// DynamoDB's `Limit`, which is a signed number.
fn limit(subscribers_max: usize) -> i32 {
    i32::try_from(subscribers_max).unwrap_or(i32::MAX)
}
