//! The connections that are open, or were when they were last heard of.
//!
//! Owns: the rows of `connections`.
//! Must not know: subscriptions, sockets.
//! Source: `docs/tables.md`.

use aws_sdk_dynamodb::{Client, types::AttributeValue};
use domain::{ConnectionId, PrincipalId};

use crate::{TableName, error::CallError, item};

/// The table `connections`.
#[derive(Clone, Debug)]
pub struct Connections {
    client: Client,
    table: TableName,
}

/// A connection and who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// API Gateway's id.
    pub connection_id: ConnectionId,
    /// Who it is.
    pub principal_id: PrincipalId,
    /// When it was opened, in milliseconds since 1970.
    pub connected_at_ms: i64,
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
}
