//! All four tables at once.
//!
//! Owns: opening them, ending a subscription and forgetting a connection, which touch two.
//! Must not know: what an opened table is used for.
//! Source: `docs/tables.md`.

use aws_types::SdkConfig;
use domain::{ConnectionId, OrderId, VariableError};

use crate::{Connections, EventLog, Forgotten, Projections, Subscriptions, TableName, Witness, aws, error::CallError};

/// The four tables of one deployment.
#[derive(Clone, Debug)]
pub struct Store {
    /// `order_stream`.
    pub event_log: EventLog,
    /// `order_projections`.
    pub projections: Projections,
    /// `connections`.
    pub connections: Connections,
    /// `subscriptions`.
    pub subscriptions: Subscriptions,
}

impl Store {
    /// The tables that the environment names, or those of the default names.
    ///
    /// # Errors
    /// [`VariableError`] for a name that can be no table's.
    pub fn from_vars(sdk: &SdkConfig, var: impl Fn(&str) -> Option<String>) -> Result<Self, VariableError> {
        let client = aws::dynamodb(sdk);
        Ok(Self {
            event_log: EventLog::new(client.clone(), TableName::order_stream(&var)?),
            projections: Projections::new(client.clone(), TableName::order_projections(&var)?),
            connections: Connections::new(client.clone(), TableName::connections(&var)?),
            subscriptions: Subscriptions::new(client, TableName::subscriptions(&var)?),
        })
    }
}

/// Removes a connection that is no more: its subscriptions first, so that none is left without its connection.
///
/// # Errors
/// [`CallError`]; what is left ends by time-to-live, or with the next push that finds the connection gone.
pub async fn forget(
    connections: &Connections,
    subscriptions: &Subscriptions,
    connection_id: &ConnectionId,
) -> Result<(), CallError> {
    subscriptions.delete_of_connection(connection_id).await?;
    connections.delete(connection_id).await
}

/// Removes a connection that its own stage calls gone, and leaves any other alone. The connection's row goes first, since it
/// says which stage issued the id: a subscription that is left without it is removed by the next push.
///
/// # Errors
/// [`CallError`]; what is left ends by time-to-live, or with the next push that finds the connection gone.
pub async fn forget_gone(
    connections: &Connections,
    subscriptions: &Subscriptions,
    connection_id: &ConnectionId,
    witness: Witness<'_>,
) -> Result<Forgotten, CallError> {
    let forgotten = connections.delete_gone(connection_id, &witness).await?;
    if forgotten == Forgotten::Yes {
        subscriptions.delete_of_connection(connection_id).await?;
    }
    Ok(forgotten)
}

/// Ends a subscription. The row goes first: room without a row is found again, a row without room would be one too many.
/// One that is not there is no error. The answer is how many write units that took.
///
/// # Errors
/// [`CallError`]; what is left ends by time-to-live.
pub async fn unsubscribe(
    connections: &Connections,
    subscriptions: &Subscriptions,
    connection_id: &ConnectionId,
    order_id: &OrderId,
) -> Result<u64, CallError> {
    subscriptions.delete(order_id, connection_id).await?;
    // The row and its entry in the index.
    Ok(connections.free_room(connection_id, order_id).await?.saturating_add(2))
}
