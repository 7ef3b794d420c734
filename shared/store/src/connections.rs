//! The connections that are open, or were when they were last heard of.
//!
//! Owns: the rows of `connections`, and that a connection has no more subscriptions than it may.
//! Must not know: what a subscription is for, sockets.
//! Source: `docs/tables.md`.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::{
    Client,
    operation::{
        delete_item::DeleteItemError,
        update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    },
    types::{AttributeValue, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure},
};
use domain::{
    Allowance, ConnectionId, Exhausted, Identity, OrderId, Stage,
    limits::{ROOM_TRIES_MAX, SPEND_ATTEMPTS_MAX},
    subscription,
};

use crate::{TableName, consumed, error::CallError, item};

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

/// The condition that a connection's id was issued by this stage.
const IS_OWN: &str = "stage = :stage";

/// The same of a connection whose stage may not be known: an earlier release wrote its row, or it is removed already.
const IS_OWN_OR_UNKNOWN: &str = "attribute_not_exists(stage) OR stage = :stage";

/// The tag of a local stack's tables that has the address of its `@connections`. Source: `local/src/stack.rs`.
const LOCAL_STAGE_TAG: &str = "local:management-endpoint";

/// Who says that connections are gone.
#[derive(Clone, Copy, Debug)]
pub struct Witness<'a> {
    /// The stage that said so.
    pub stage: &'a Stage,
    /// Whether it is known to be the stage of this deployment: a function's is, an operator may have named another one.
    pub trusts_unknown: bool,
}

/// What became of a connection that a stage calls gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forgotten {
    /// Its rows are removed.
    Yes,
    /// Another stage issued its id, and it may be alive there: its rows stay.
    OfAnotherStage,
    /// Nobody knows which stage issued its id: its rows stay.
    OfUnknownStage,
}

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

    /// Removes a connection that a stage calls gone, if that stage issued its id. A row that names no stage, and one that is
    /// not there, counts as the stage's own if `trusts_unknown`.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve the call.
    pub(crate) async fn delete_gone(
        &self,
        connection_id: &ConnectionId,
        &Witness { stage, trusts_unknown }: &Witness<'_>,
    ) -> Result<Forgotten, CallError> {
        let delete = self
            .client
            .delete_item()
            .table_name(self.table.as_str())
            .key("connectionId", AttributeValue::S(connection_id.as_str().to_owned()))
            .condition_expression(if trusts_unknown { IS_OWN_OR_UNKNOWN } else { IS_OWN })
            .expression_attribute_values(":stage", AttributeValue::S(stage.as_str().to_owned()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match delete.send().await {
            Ok(_) => Ok(Forgotten::Yes),
            Err(error) => match error.as_service_error() {
                Some(DeleteItemError::ConditionalCheckFailedException(failed)) => {
                    let names_stage = failed.item().is_some_and(|item| item.contains_key("stage"));
                    Ok(if names_stage { Forgotten::OfAnotherStage } else { Forgotten::OfUnknownStage })
                }
                Some(_) | None => Err(CallError::new("DeleteItem", &self.table, error)),
            },
        }
    }

    /// The address of `@connections` that a local stack tags its tables with; `None` if another DynamoDB serves the table.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve a call.
    pub async fn local_stage(&self) -> Result<Option<Stage>, CallError> {
        let describe = self.client.describe_table().table_name(self.table.as_str());
        let described = describe.send().await.map_err(|error| CallError::new("DescribeTable", &self.table, error))?;
        let Some(arn) = described.table.and_then(|table| table.table_arn) else { return Ok(None) };
        let list = self.client.list_tags_of_resource().resource_arn(arn);
        let listed = list.send().await.map_err(|error| CallError::new("ListTagsOfResource", &self.table, error))?;
        let tag = listed.tags().iter().find(|tag| tag.key() == LOCAL_STAGE_TAG);
        Ok(tag.map(|tag| Stage::new(tag.value())))
    }

    /// The stage of the newest of some connections, by one read of the table; `None` if none of them names one.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve the call.
    pub async fn newest_stage(&self) -> Result<Option<Stage>, CallError> {
        let scan = self.client.scan().table_name(self.table.as_str()).projection_expression("stage, connectedAt");
        let page = scan.send().await.map_err(|error| CallError::new("Scan", &self.table, error))?;
        let newest =
            page.items().iter().filter_map(item::connection::stage).max_by_key(|(connected_at_ms, _)| *connected_at_ms);
        Ok(newest.map(|(_, stage)| stage))
    }

    /// Takes room for subscriptions to these orders, of `max` that a connection may have, and says which of them it has
    /// room for, and how many write units that took. An order that has room already takes none. One call if there is room for all,
    /// or for none that is new; two if there is room for some.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve a call, or other messages of this connection are first in each try.
    pub async fn make_room<'a>(
        &self,
        connection: &Connection,
        stage: &Stage,
        order_ids: &BTreeSet<&'a OrderId>,
        max: usize,
    ) -> Result<(BTreeSet<&'a OrderId>, u64), CallError> {
        let (mut has_room, mut write_units) = (BTreeSet::new(), 0_u64);
        let mut wanted: BTreeSet<&OrderId> = order_ids.iter().copied().take(max).collect();
        for _ in 0..ROOM_TRIES_MAX {
            if wanted.is_empty() {
                return Ok((has_room, write_units));
            }
            let (room, units) = self.take_room(connection, stage, &wanted, max).await?;
            write_units = write_units.saturating_add(units);
            match room {
                Room::Taken => {
                    has_room.extend(wanted);
                    return Ok((has_room, write_units));
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
        stage: &Stage,
        order_ids: &BTreeSet<&OrderId>,
        max: usize,
    ) -> Result<(Room, u64), CallError> {
        let room = max.saturating_sub(order_ids.len());
        let orders = order_ids.iter().map(|order_id| order_id.as_str().to_owned()).collect();
        // The row is written whole: a connection that was taken for gone by mistake has one again.
        let mut values = item::connection::to_item(connection);
        let mut value = |name: &str| values.remove(name).unwrap_or(AttributeValue::Null(true));
        let taken = self
            .update(&connection.connection_id)
            .condition_expression(HAS_ROOM)
            .update_expression(
                "SET principalId = :principal, connectedAt = :connected, expiresAt = :expires, stage = :stage \
                 ADD orders :orders",
            )
            .expression_attribute_values(":stage", AttributeValue::S(stage.as_str().to_owned()))
            .expression_attribute_values(":principal", value("principalId"))
            .expression_attribute_values(":connected", value("connectedAt"))
            .expression_attribute_values(":expires", value("expiresAt"))
            .expression_attribute_values(":orders", AttributeValue::Ss(orders))
            .expression_attribute_values(":room", AttributeValue::N(room.to_string()))
            .expression_attribute_values(":set", string_set())
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match taken {
            Ok(taken) => Ok((Room::Taken, consumed::units(taken.consumed_capacity()))),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    let taken = failed.item().map_or(Ok(BTreeSet::new()), item::connection::orders);
                    // A condition that fails costs as much as the write would have.
                    let bytes = failed.item().map_or(0, item::size::bytes);
                    let units = u64::try_from(bytes.div_ceil(1024)).unwrap_or(u64::MAX);
                    Ok((taken.map_or(Room::Broken, |taken| Room::Lacking { taken }), units))
                }
                Some(_) | None => Err(CallError::new("UpdateItem", &self.table, error)),
            },
        }
    }

    /// Gives back the room of a subscription that is no more, and says how many write units that took. A connection that is not
    /// there is no error.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve the call.
    pub async fn free_room(&self, connection_id: &ConnectionId, order_id: &OrderId) -> Result<u64, CallError> {
        let free = self
            .update(connection_id)
            .condition_expression("attribute_type(orders, :set)")
            .update_expression("DELETE orders :orders")
            .expression_attribute_values(":orders", AttributeValue::Ss(vec![order_id.as_str().to_owned()]));
        self.free(free).await
    }

    /// Gives all room back of a connection whose orders cannot be read; its subscriptions end by themselves.
    async fn free_broken(&self, connection_id: &ConnectionId) -> Result<(), CallError> {
        self.free(self.update(connection_id).condition_expression(IS_BROKEN).update_expression("REMOVE orders"))
            .await?;
        Ok(())
    }

    /// Frees room, unless the condition fails.
    async fn free(&self, update: UpdateItemFluentBuilder) -> Result<u64, CallError> {
        let update = update.return_consumed_capacity(ReturnConsumedCapacity::Total);
        match update.expression_attribute_values(":set", string_set()).send().await {
            Ok(freed) => Ok(consumed::units(freed.consumed_capacity())),
            Err(error)
                if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(1)
            }
            Err(error) => Err(CallError::new("UpdateItem", &self.table, error)),
        }
    }

    /// Spends of an allowance that all processes share, and whose row stands beside the connections under this name. One call
    /// if nothing was spent lately, two if something was.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve a call, or other processes are first in each attempt.
    pub async fn spend(
        &self,
        payer: &str,
        allowance: Allowance,
        cost: u64,
        now_ms: i64,
    ) -> Result<Result<(), Exhausted>, CallError> {
        let number = |number: i64| AttributeValue::N(number.to_string());
        let mut known_ms = None;
        for _ in 0..SPEND_ATTEMPTS_MAX {
            let paid_until_ms = match allowance.spend(known_ms.unwrap_or(now_ms), cost, now_ms) {
                Ok(paid_until_ms) => paid_until_ms,
                Err(exhausted) => return Ok(Err(exhausted)),
            };
            let condition = match known_ms {
                None => "attribute_not_exists(paidUntil) OR paidUntil <= :known",
                Some(_) => "paidUntil = :known",
            };
            let spent = self
                .update(&ConnectionId::new(format!("allowance#{payer}")))
                .condition_expression(condition)
                .update_expression("SET paidUntil = :until, expiresAt = :expires")
                .expression_attribute_values(":known", number(known_ms.unwrap_or(now_ms)))
                .expression_attribute_values(":until", number(paid_until_ms))
                .expression_attribute_values(":expires", number(paid_until_ms / 1_000 + 60))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .send()
                .await;
            match spent {
                Ok(_) => return Ok(Ok(())),
                Err(error) => match error.as_service_error() {
                    Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                        known_ms = failed.item().and_then(item::connection::paid_until_ms);
                    }
                    Some(_) | None => return Err(CallError::new("UpdateItem", &self.table, error)),
                },
            }
        }
        Err(CallError::outrun("UpdateItem", &self.table))
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
