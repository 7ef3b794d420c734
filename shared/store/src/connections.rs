//! The connections that are open, or were when they were last heard of.
//!
//! Owns: the rows of `connections`, and that a connection has no more subscriptions than it may.
//! Must not know: what a subscription is for, sockets.
//! Source: `docs/tables.md`.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    types::AttributeValue,
};
use domain::{ConnectionId, Identity, OrderId, subscription};

use crate::{TableName, error::CallError, item};

/// The table `connections`.
#[derive(Clone, Debug)]
pub struct Connections {
    client: Client,
    table: TableName,
}

/// The condition on which a connection takes one more order: it has it already, or has room.
const HAS_ROOM_FOR_ONE: &str = "contains(orders, :order) OR attribute_not_exists(orders) OR size(orders) <= :room";

/// The same for several orders, as if it had none of them.
const HAS_ROOM: &str = "attribute_not_exists(orders) OR size(orders) <= :room";

/// A connection and who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// API Gateway's id.
    pub connection_id: ConnectionId,
    /// Who it is.
    pub identity: Identity,
    /// When it was opened, in milliseconds since 1970.
    pub connected_at_ms: i64,
}

impl Connection {
    /// When the connection's rows end, in seconds since 1970.
    #[must_use]
    pub fn expires_at_s(&self) -> i64 {
        subscription::expires_at_s(self.connected_at_ms, &self.identity)
    }
}

impl Connections {
    /// The connections in this table.
    #[must_use]
    pub fn new(client: Client, table: TableName) -> Self {
        Self { client, table }
    }

    /// Records a connection. Twice is once.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve the call.
    pub async fn put(&self, connection: &Connection) -> Result<(), CallError> {
        let item = item::connection::to_item(connection);
        let put = self.client.put_item().table_name(self.table.as_str()).set_item(Some(item));
        put.send().await.map_err(|error| CallError::new("PutItem", &self.table, error))?;
        Ok(())
    }

    /// Removes a connection. One that is not there is no error.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve the call.
    pub async fn delete(&self, connection_id: &ConnectionId) -> Result<(), CallError> {
        let key = AttributeValue::S(connection_id.as_str().to_owned());
        let delete = self.client.delete_item().table_name(self.table.as_str()).key("connectionId", key);
        delete.send().await.map_err(|error| CallError::new("DeleteItem", &self.table, error))?;
        Ok(())
    }

    /// Takes room for subscriptions to these orders, of `max` that a connection may have, and says which of them it has
    /// room for. An order that has room already takes none. One call, if there is room for all; else one an order.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve a call; some may have taken room then, which the same call finds again.
    pub async fn make_room<'a>(
        &self,
        connection: &Connection,
        order_ids: &BTreeSet<&'a OrderId>,
        max: usize,
    ) -> Result<BTreeSet<&'a OrderId>, CallError> {
        if order_ids.is_empty() || self.take_room(connection, order_ids, max).await? {
            return Ok(order_ids.clone());
        }
        let mut with_room = BTreeSet::new();
        if order_ids.len() > 1 {
            for order_id in order_ids {
                if self.take_room(connection, &BTreeSet::from([*order_id]), max).await? {
                    with_room.insert(*order_id);
                }
            }
        }
        Ok(with_room)
    }

    /// Takes room for all of these orders or for none.
    async fn take_room(
        &self,
        connection: &Connection,
        order_ids: &BTreeSet<&OrderId>,
        max: usize,
    ) -> Result<bool, CallError> {
        let Some(room) = max.checked_sub(order_ids.len()) else { return Ok(false) };
        let orders: Vec<String> = order_ids.iter().map(|order_id| order_id.as_str().to_owned()).collect();
        let update = self.update(&connection.connection_id);
        let update = match orders.as_slice() {
            [order] => update
                .condition_expression(HAS_ROOM_FOR_ONE)
                .expression_attribute_values(":order", AttributeValue::S(order.clone())),
            _ => update.condition_expression(HAS_ROOM),
        };
        // The row is written whole: a connection that was taken for gone by mistake has one again.
        let mut values = item::connection::to_item(connection);
        let mut value = |name: &str| values.remove(name).unwrap_or(AttributeValue::Null(true));
        let taken = update
            .update_expression(
                "SET principalId = :principal, connectedAt = :connected, expiresAt = :expires ADD orders :orders",
            )
            .expression_attribute_values(":principal", value("principalId"))
            .expression_attribute_values(":connected", value("connectedAt"))
            .expression_attribute_values(":expires", value("expiresAt"))
            .expression_attribute_values(":orders", AttributeValue::Ss(orders))
            .expression_attribute_values(":room", AttributeValue::N(room.to_string()))
            .send()
            .await;
        self.was_done(taken.map(drop))
    }

    /// Gives back the room of a subscription that is no more. A connection that is not there is no error.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve the call.
    pub async fn free_room(&self, connection_id: &ConnectionId, order_id: &OrderId) -> Result<(), CallError> {
        let freed = self
            .update(connection_id)
            .condition_expression("attribute_exists(connectionId)")
            .update_expression("DELETE orders :orders")
            .expression_attribute_values(":orders", AttributeValue::Ss(vec![order_id.as_str().to_owned()]))
            .send()
            .await;
        self.was_done(freed.map(drop)).map(drop)
    }

    fn update(&self, connection_id: &ConnectionId) -> UpdateItemFluentBuilder {
        let key = AttributeValue::S(connection_id.as_str().to_owned());
        self.client.update_item().table_name(self.table.as_str()).key("connectionId", key)
    }

    /// Whether the condition of an update held.
    fn was_done(&self, updated: Result<(), SdkError<UpdateItemError>>) -> Result<bool, CallError> {
        match updated {
            Ok(()) => Ok(true),
            Err(error)
                if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(CallError::new("UpdateItem", &self.table, error)),
        }
    }
}
