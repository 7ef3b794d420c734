//! One order's way from delivered events to pushed updates.
//!
//! Owns: rule 1 of the guarantee: the projection is written before the subscribers are read.
//! Must not know: batches, records, the failure queue.
//! Source: the guarantee.

use domain::{LoggedEvent, OrderId, Redaction};
use push::{ManagementEndpoint, Push};
use store::{SdkConfig, Store};
use tokio::time::Instant;

use crate::{FanOutError, FoldError};

/// What folding and pushing an order takes.
#[derive(Clone, Debug)]
pub struct Orders {
    pub(crate) store: Store,
    pub(crate) push: Push,
    pub(crate) redaction: Redaction,
}

/// Why an order's events are not done with.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// The projection is as it was.
    #[error("the events were not folded")]
    NotFolded(#[from] FoldError),
    /// The projection is stored, and some subscribers do not have the update.
    #[error("the update was not pushed")]
    NotPushed(#[from] FanOutError),
}

impl Orders {
    /// Reads the environment, but for what `sdk` has.
    ///
    /// # Errors
    /// The variable that is missing or wrong.
    pub fn with_sdk(sdk: &SdkConfig, var: &impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        Ok(Self {
            store: Store::from_vars(sdk, var)?,
            push: Push::new(sdk, &ManagementEndpoint::from_vars(var)?),
            redaction: Redaction::from_vars(var),
        })
    }

    /// Rule 1: the projection is written before the subscribers are read.
    pub(crate) async fn fold_and_push(
        &self,
        order_id: &OrderId,
        events: Vec<LoggedEvent>,
        deadline: Instant,
    ) -> Result<(), OrderError> {
        let folded = self.fold(order_id, events).await?;
        self.fan_out(order_id, &folded, deadline).await?;
        Ok(())
    }
}
