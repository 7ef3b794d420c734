//! The rows of `subscriptions`: who is told of which order.
//!
//! Rule 2 of the guarantee: the event handler's query is strongly consistent, of the table and not of an index. Each write
//! of a row gives it another id, by which whoever read the row changes or removes that one only.

mod batch_write;

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::{
        delete_item::{DeleteItemError, builders::DeleteItemFluentBuilder},
        put_item::PutItemError,
        query::builders::QueryFluentBuilder,
    },
    types::{AttributeValue, Select},
};
use domain::{ConnectionId, OrderId, RowId, Subscription, Version, fan_out::Page};

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

/// Rows of an order. A row that is broken holds up no other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Subscribers {
    /// The subscriptions, by their connections' ids.
    pub readable: Vec<Subscription>,
    /// The rows that are no subscriptions.
    pub broken: Vec<BrokenRow>,
}

/// A row that is no subscription: another release wrote it, or an operator.
#[derive(Clone, Debug, PartialEq)]
pub struct BrokenRow {
    /// Its key and what is wrong with it.
    pub error: BrokenItem,
    key: Item,
    /// Its id as it is stored.
    row: Option<AttributeValue>,
}

impl Subscribers {
    /// How many rows there are, the broken ones among them.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.readable.len() + self.broken.len()
    }

    fn read(&mut self, items: &[Item]) {
        for item in items {
            match item::subscription::from_item(item) {
                Ok(subscription) => self.readable.push(subscription),
                Err(error) => self.broken.push(BrokenRow {
                    error,
                    key: item::subscription::key_of(item),
                    row: item.get("row").cloned(),
                }),
            }
        }
    }
}

impl Subscriptions {
    /// The subscriptions in this table.
    #[must_use]
    pub fn new(client: Client, table: TableName) -> Self {
        Self { client, table }
    }

    /// Records a subscription in the place of any other of its order and connection, and says what was written: the same
    /// with a new row id. Twice is once.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve the call.
    pub async fn put(&self, subscription: &Subscription) -> Result<Subscription, CallError> {
        let row = Some(RowId::new(format!("{:016x}", fastrand::u64(..))));
        let written = Subscription { row, ..subscription.clone() };
        let item = item::subscription::to_item(&written);
        let put = self.client.put_item().table_name(self.table.as_str()).set_item(Some(item));
        put.send().await.map_err(|error| CallError::new("PutItem", &self.table, error))?;
        Ok(written)
    }

    /// Removes a subscription, whichever row it has. One that is not there is no error.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve the call.
    pub async fn delete(&self, order_id: &OrderId, connection_id: &ConnectionId) -> Result<(), CallError> {
        let delete = self.delete_key(item::subscription::key(order_id, connection_id));
        delete.send().await.map_err(|error| CallError::new("DeleteItem", &self.table, error))?;
        Ok(())
    }

    /// Removes exactly the row that was read, and says whether this call did; it does not if the row is gone or was written
    /// again since.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve the call.
    pub async fn delete_row(&self, read: &Subscription) -> Result<bool, CallError> {
        self.delete_if_same(item::subscription::key(&read.order_id, &read.connection_id), row_value(read)).await
    }

    /// Removes exactly the broken row that was read, and says whether this call did.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve the call.
    pub async fn delete_broken(&self, broken: &BrokenRow) -> Result<bool, CallError> {
        self.delete_if_same(broken.key.clone(), broken.row.clone()).await
    }

    async fn delete_if_same(&self, key: Item, row: Option<AttributeValue>) -> Result<bool, CallError> {
        let (condition, names, values) = same_row(row);
        let delete = self
            .delete_key(key)
            .condition_expression(condition)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(values);
        match delete.send().await {
            Ok(_) => Ok(true),
            Err(error) if is_delete_condition_failed(&error) => Ok(false),
            Err(error) => Err(CallError::new("DeleteItem", &self.table, error)),
        }
    }

    fn delete_key(&self, key: Item) -> DeleteItemFluentBuilder {
        self.client.delete_item().table_name(self.table.as_str()).set_key(Some(key))
    }

    /// Records in exactly the row that was written that its order was answered as one without events, at this version. It
    /// says whether the row was still there and the same.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve the call.
    pub async fn hide(&self, written: &Subscription, at: Version) -> Result<bool, CallError> {
        let (condition, names, values) = same_row(row_value(written));
        let hidden = Subscription { hidden_at: Some(at), ..written.clone() };
        // A whole row, for which the function that subscribes has the permission.
        let put = self
            .client
            .put_item()
            .table_name(self.table.as_str())
            .set_item(Some(item::subscription::to_item(&hidden)))
            .condition_expression(condition)
            .set_expression_attribute_names(Some(names))
            .set_expression_attribute_values(values);
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception) => {
                Ok(false)
            }
            Err(error) => Err(CallError::new("PutItem", &self.table, error)),
        }
    }

    /// Every row of an order, by strongly consistent reads of the table, all pages.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve a call.
    pub async fn of_order(&self, order_id: &OrderId) -> Result<Subscribers, CallError> {
        self.of_page(order_id, &Page::default()).await
    }

    /// The rows of an order that are on a page, by strongly consistent reads of the table.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve a call.
    pub async fn of_page(&self, order_id: &OrderId, page: &Page) -> Result<Subscribers, CallError> {
        let mut subscribers = Subscribers::default();
        let mut start_key = None;
        loop {
            let query = self.query(order_id, page).set_exclusive_start_key(start_key);
            let mut read = query.send().await.map_err(|error| CallError::new("Query", &self.table, error))?;
            if let (Some(items), Some(after)) = (read.items.as_mut(), &page.after) {
                // DynamoDB's BETWEEN has both ends.
                let is_after = |item: &Item| item.get("connectionId") == Some(&connection_value(after));
                items.retain(|item| !is_after(item));
            }
            subscribers.read(read.items());
            start_key = read.last_evaluated_key;
            if start_key.is_none() {
                return Ok(subscribers);
            }
        }
    }

    /// The first rows of an order, at most so many, by one strongly consistent read of the table; and behind which
    /// connection there are more.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve the call.
    pub async fn first_of_order(
        &self,
        order_id: &OrderId,
        rows_max: usize,
    ) -> Result<(Subscribers, Option<ConnectionId>), CallError> {
        // One more shows whether there are more.
        let query = self.query(order_id, &Page::default()).limit(limit(rows_max.saturating_add(1)));
        let read = query.send().await.map_err(|error| CallError::new("Query", &self.table, error))?;
        let first = read.items().get(..rows_max).unwrap_or(read.items());
        let mut subscribers = Subscribers::default();
        subscribers.read(first);
        let are_more = read.items().len() > rows_max || read.last_evaluated_key.is_some();
        let end = first.last().filter(|_last| are_more).map(|last| self.end(last)).transpose()?;
        Ok((subscribers, end))
    }

    /// Where the page of at most so many rows behind an id ends, and how many are on it, by one strongly consistent read
    /// that brings no items; without an end, nothing is behind it.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve the call.
    pub async fn page_end(
        &self,
        order_id: &OrderId,
        after: &ConnectionId,
        rows_max: usize,
    ) -> Result<(usize, Option<ConnectionId>), CallError> {
        let rest = Page { after: Some(after.clone()), last: None };
        let query = self.query(order_id, &rest).limit(limit(rows_max)).select(Select::Count);
        let read = query.send().await.map_err(|error| CallError::new("Query", &self.table, error))?;
        let end = read.last_evaluated_key.as_ref().map(|key| self.end(key)).transpose()?;
        Ok((usize::try_from(read.count).unwrap_or_default(), end))
    }

    /// The connection of a key, which the table's schema makes a text that is not empty, whatever else the row holds.
    fn end(&self, key: &Item) -> Result<ConnectionId, CallError> {
        let end = item::subscription::connection_id_of(key);
        end.map_err(|broken| CallError::unreadable("Query", &self.table, broken.to_string()))
    }

    fn query(&self, order_id: &OrderId, page: &Page) -> QueryFluentBuilder {
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
                query = query.expression_attribute_values(name, connection_value(id));
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
                .expression_attribute_values(":connectionId", connection_value(connection_id))
                .set_exclusive_start_key(start_key);
            let page = query.send().await.map_err(|error| CallError::new("Query", &self.table, error))?;
            batch_write::delete(&self.client, &self.table, page.items()).await?;
            start_key = page.last_evaluated_key;
            if start_key.is_none() {
                return Ok(());
            }
        }
    }
}

/// The condition that a row is the one that was read, by its id as it is stored; with the names and values that it needs.
fn same_row(
    row: Option<AttributeValue>,
) -> (&'static str, HashMap<String, String>, Option<HashMap<String, AttributeValue>>) {
    let names = HashMap::from([("#row".to_owned(), "row".to_owned())]);
    match row {
        Some(row) => ("#row = :row", names, Some(HashMap::from([(":row".to_owned(), row)]))),
        None => ("attribute_exists(orderId) AND attribute_not_exists(#row)", names, None),
    }
}

fn row_value(subscription: &Subscription) -> Option<AttributeValue> {
    subscription.row.as_ref().map(|row| AttributeValue::S(row.as_str().to_owned()))
}

fn connection_value(id: &ConnectionId) -> AttributeValue {
    AttributeValue::S(id.as_str().to_owned())
}

fn is_delete_condition_failed(error: &SdkError<DeleteItemError>) -> bool {
    error.as_service_error().is_some_and(DeleteItemError::is_conditional_check_failed_exception)
}

/// DynamoDB's `Limit`, which is a signed number.
fn limit(rows_max: usize) -> i32 {
    i32::try_from(rows_max).unwrap_or(i32::MAX)
}
