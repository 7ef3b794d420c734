//! Deleting many items at once.
//!
//! DynamoDB may leave some of a batch undone when it is busy. These are sent again after a pause, which doubles each time and
//! has full jitter, so that many callers do not return in the same moment.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Client,
    types::{DeleteRequest, WriteRequest},
};
use domain::limits::{BATCH_WRITE_ATTEMPTS_MAX, BATCH_WRITE_KEYS_MAX, BATCH_WRITE_PAUSE_FIRST, BATCH_WRITE_PAUSE_MAX};

use crate::{TableName, error::CallError, item::Item};

const OPERATION: &str = "BatchWriteItem";

/// Deletes the items with these keys, which hold nothing else.
///
/// # Errors
/// [`CallError`] if DynamoDB does not serve a call; some items may be deleted then.
pub(super) async fn delete(client: &Client, table: &TableName, keys: &[Item]) -> Result<(), CallError> {
    for keys in keys.chunks(BATCH_WRITE_KEYS_MAX) {
        delete_batch(client, table, keys).await?;
    }
    Ok(())
}

async fn delete_batch(client: &Client, table: &TableName, keys: &[Item]) -> Result<(), CallError> {
    let request = |key: &Item| {
        let delete = DeleteRequest::builder().set_key(Some(key.clone())).build()?;
        Ok(WriteRequest::builder().delete_request(delete).build())
    };
    let requests: Result<Vec<WriteRequest>, _> = keys.iter().map(request).collect();
    let mut requests = requests.map_err(|error| CallError::not_built(OPERATION, table, error))?;
    for attempt in 1..=BATCH_WRITE_ATTEMPTS_MAX {
        let write = client.batch_write_item().request_items(table.as_str(), requests);
        let done = write.send().await.map_err(|error| CallError::new(OPERATION, table, error))?;
        requests = done.unprocessed_items.unwrap_or_default().into_values().flatten().collect();
        if requests.is_empty() {
            return Ok(());
        }
        if attempt < BATCH_WRITE_ATTEMPTS_MAX {
            tokio::time::sleep(longest_pause(attempt).mul_f64(fastrand::f64())).await;
        }
    }
    Err(CallError::unprocessed(OPERATION, table))
}

/// The longest pause after so many attempts.
fn longest_pause(attempts: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(attempts.saturating_sub(1));
    BATCH_WRITE_PAUSE_FIRST.saturating_mul(doubled).min(BATCH_WRITE_PAUSE_MAX)
}
