//! The connections that are open, or were when they were last heard of.
//!
//! Owns: the rows of `connections`, and that a connection has no more subscriptions than it may.
//! Must not know: what a subscription is for, sockets.
//! Source: `docs/tables.md`.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::{
    Client,
    operation::update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    types::{AttributeValue, ReturnValuesOnConditionCheckFailure},
};
use domain::{ConnectionId, Identity, OrderId, limits::ROOM_TRIES_MAX, subscription};

use crate::{TableName, error::CallError, item};

/// The table `connections`.
#[derive(Clone, Debug)]
pub struct Connections {
    client: Client,
    table: TableName,
}

/// The condition on which a connection takes more orders, as if it had none of them.
const HAS_ROOM: &str = "attribute_not_exists(orders) OR (attribute_type(orders, :set) AND size(orders) <= :room)";

/// The condition that a connection's orders are what they are in no row of ours.
const IS_BROKEN: &str = "attribute_exists(orders) AND NOT attribute_type(orders, :set)";

/// What becomes of wanted room.
enum Room {
    /// It is taken.
    Taken,
    /// There is less; what is taken so far.
    Lacking { taken: BTreeSet<String> },
    /// What is taken cannot be read.
    Broken,
}

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
    /// room for. An order that has room already takes none. One call if there is room for all, or for none that is new;
    /// two if there is room for some.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve a call, or other messages of this connection are first in each try.
    pub async fn make_room<'a>(
        &self,
        connection: &Connection,
        order_ids: &BTreeSet<&'a OrderId>,
        max: usize,
    ) -> Result<BTreeSet<&'a OrderId>, CallError> {
        let mut has_room = BTreeSet::new();
        let mut wanted: BTreeSet<&OrderId> = order_ids.iter().copied().take(max).collect();
        for _ in 0..ROOM_TRIES_MAX {
            if wanted.is_empty() {
                return Ok(has_room);
            }
            match self.take_room(connection, &wanted, max).await? {
                Room::Taken => {
                    has_room.extend(wanted);
                    return Ok(has_room);
                }
                Room::Lacking { taken } => {
                    has_room = order_ids.iter().copied().filter(|order_id| taken.contains(order_id.as_str())).collect();
                    let left = max.saturating_sub(taken.len());
                    wanted = order_ids.difference(&has_room).copied().take(left).collect();
                }
                Room::Broken => self.free_broken(&connection.connection_id).await?,
            }
        }
        Err(CallError::outrun("UpdateItem", &self.table))
    }

    /// Takes room for all of these orders or for none.
    async fn take_room(
        &self,
        connection: &Connection,
        order_ids: &BTreeSet<&OrderId>,
        max: usize,
    ) -> Result<Room, CallError> {
        let room = max.saturating_sub(order_ids.len());
        let orders = order_ids.iter().map(|order_id| order_id.as_str().to_owned()).collect();
        // The row is written whole: a connection that was taken for gone by mistake has one again.
        let mut values = item::connection::to_item(connection);
        let mut value = |name: &str| values.remove(name).unwrap_or(AttributeValue::Null(true));
        let taken = self
            .update(&connection.connection_id)
            .condition_expression(HAS_ROOM)
            .update_expression(
                "SET principalId = :principal, connectedAt = :connected, expiresAt = :expires ADD orders :orders",
            )
            .expression_attribute_values(":principal", value("principalId"))
            .expression_attribute_values(":connected", value("connectedAt"))
            .expression_attribute_values(":expires", value("expiresAt"))
            .expression_attribute_values(":orders", AttributeValue::Ss(orders))
            .expression_attribute_values(":room", AttributeValue::N(room.to_string()))
            .expression_attribute_values(":set", string_set())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match taken {
            Ok(_) => Ok(Room::Taken),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    let taken = failed.item().map_or(Ok(BTreeSet::new()), item::connection::orders);
                    Ok(taken.map_or(Room::Broken, |taken| Room::Lacking { taken }))
                }
                Some(_) | None => Err(CallError::new("UpdateItem", &self.table, error)),
            },
        }
    }

    /// Gives back the room of a subscription that is no more. A connection that is not there is no error.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve the call.
    pub async fn free_room(&self, connection_id: &ConnectionId, order_id: &OrderId) -> Result<(), CallError> {
        let free = self
            .update(connection_id)
            .condition_expression("attribute_type(orders, :set)")
            .update_expression("DELETE orders :orders")
            .expression_attribute_values(":orders", AttributeValue::Ss(vec![order_id.as_str().to_owned()]));
        self.free(free).await
    }

    /// Gives all room back of a connection whose orders cannot be read; its subscriptions end by themselves.
    async fn free_broken(&self, connection_id: &ConnectionId) -> Result<(), CallError> {
        self.free(self.update(connection_id).condition_expression(IS_BROKEN).update_expression("REMOVE orders")).await
    }

    /// Frees room, unless the condition fails.
    async fn free(&self, update: UpdateItemFluentBuilder) -> Result<(), CallError> {
        match update.expression_attribute_values(":set", string_set()).send().await {
            Ok(_) => Ok(()),
            Err(error)
                if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(())
            }
            Err(error) => Err(CallError::new("UpdateItem", &self.table, error)),
        }
    }

    fn update(&self, connection_id: &ConnectionId) -> UpdateItemFluentBuilder {
        let key = AttributeValue::S(connection_id.as_str().to_owned());
        self.client.update_item().table_name(self.table.as_str()).key("connectionId", key)
    }
}

/// DynamoDB's name of the type that a connection's orders have.
fn string_set() -> AttributeValue {
    AttributeValue::S("SS".to_owned())
}
