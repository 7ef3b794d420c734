//! What becomes of events that were not folded or not pushed.
//!
//! Owns: telling what passes, and comes again, from what lasts, and goes to the failure queue.
//! Must not know: how to fold, how to push.
//! Source: rule 4 of the guarantee; `docs/guarantee.md`, "Poison".

use failures::Failure;
use store::{event_log::ReadError, projections::GetError, projections::PutError};
use telemetry::measure::Count;

use crate::{BatchItemFailure, EventHandler, FanOutError, FoldError, OrderError};

impl OrderError {
    /// Whether trying again fails again, until somebody mends the order.
    pub(crate) fn is_lasting(&self) -> bool {
        match self {
            Self::NotFolded(error) => error.is_lasting(),
            Self::NotPushed(
                FanOutError::NoSubscribers(_) | FanOutError::NotDelivered(_) | FanOutError::NotHandedOver(_),
            ) => false,
        }
    }
}

impl FoldError {
    fn is_lasting(&self) -> bool {
        match self {
            Self::Get(GetError::Broken(_))
            | Self::Put(PutError::NotStorable(_))
            | Self::Log(ReadError::Broken(_) | ReadError::Hole { .. })
            | Self::LogTooShort { .. } => true,
            Self::Get(GetError::Call(_))
            | Self::Put(PutError::Call(_))
            | Self::Log(ReadError::Call(_))
            | Self::Outrun => false,
        }
    }
}

impl EventHandler {
    /// Sends a failure to the failure queue, so that its record counts as done; if the queue does not take it, the record
    /// has to come again.
    pub(crate) async fn set_aside(&self, failure: Failure, sequence_number: String) -> Option<BatchItemFailure> {
        Count::Poison.add(1);
        match &failure {
            Failure::Poison { key, reason, .. } => tracing::error!(key, reason, "poison: a record is no event"),
            Failure::NotFolded { order_id, first_version, last_version, reason } => {
                tracing::error!(order_id, first_version, last_version, reason, "an order cannot be folded");
            }
            Failure::NotAppended { event_ref, reason } => tracing::error!(event_ref, reason, "a document is no event"),
        }
        let error = self.failures.send(&failure).await.err()?;
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::error!(%error, cause, "the record has to come again");
        Some(BatchItemFailure { item_identifier: sequence_number })
    }
}
