//! What can go wrong with a call to DynamoDB.
//!
//! Owns: classifying the SDK's errors, once.
//! Must not know: what the caller does about it.
//! Source: DynamoDB's error codes; the SDK has retried what it may before an error comes here.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::TableName;

/// The code of a request that DynamoDB cannot read, whose text may repeat a part of it.
const REPEATS_THE_REQUEST: &str = "ValidationException";

/// A call that DynamoDB did not serve.
#[derive(Debug, thiserror::Error)]
#[error("{operation} on table {table}: {kind}")]
pub struct CallError {
    operation: &'static str,
    table: TableName,
    kind: CallErrorKind,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// Whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallErrorKind {
    /// More than the table or the account takes; it passes.
    #[error("throttled")]
    Throttled,
    /// No answer, or a server error; it passes.
    #[error("no answer")]
    Unavailable,
    /// DynamoDB refuses the call; trying again does not help.
    #[error("refused")]
    Refused,
}

impl CallError {
    pub(crate) fn new<E>(operation: &'static str, table: &TableName, error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let kind = classify(&error);
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
        // The text of this one repeats what was sent, and that may be an event.
        let source = if code == Some(REPEATS_THE_REQUEST) { REPEATS_THE_REQUEST.into() } else { error.into() };
        Self { operation, table: table.clone(), kind, source }
    }

    /// A batch that DynamoDB keeps leaving undone.
    pub(crate) fn unprocessed(operation: &'static str, table: &TableName) -> Self {
        let source = "DynamoDB left items unprocessed in every round".into();
        Self { operation, table: table.clone(), kind: CallErrorKind::Throttled, source }
    }

    /// A condition that other writers broke in each try.
    pub(crate) fn outrun(operation: &'static str, table: &TableName) -> Self {
        let source = "other writers were first in each try".into();
        Self { operation, table: table.clone(), kind: CallErrorKind::Throttled, source }
    }

    /// Whether trying again can help.
    #[must_use]
    pub fn kind(&self) -> CallErrorKind {
        self.kind
    }
}

fn classify<E: ProvideErrorMetadata>(error: &SdkError<E>) -> CallErrorKind {
    const THROTTLES: [&str; 4] = [
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ThrottlingException",
        "TransactionInProgressException",
    ];
    let SdkError::ServiceError(service) = error else { return CallErrorKind::Unavailable };
    let code = service.err().code().unwrap_or_default();
    if THROTTLES.contains(&code) {
        CallErrorKind::Throttled
    } else if service.raw().status().is_server_error() {
        CallErrorKind::Unavailable
    } else {
        CallErrorKind::Refused
    }
}
