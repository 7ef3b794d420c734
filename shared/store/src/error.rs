//! What can go wrong with a call to DynamoDB, and whether a retry can help.
//!
//! Errors of the SDK are classified here and nowhere else. The SDK has retried what it may before an error comes here.

use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};

use crate::TableName;

/// The codes of a request that DynamoDB cannot read, whose text may repeat a part of it.
const REPEATS_THE_REQUEST: [&str; 2] = ["ValidationException", "SerializationException"];

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

/// Whether a retry can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallErrorKind {
    /// More than the table or the account takes, or a conflict with other writers; it passes by itself.
    #[error("throttled")]
    Throttled,
    /// No answer, one that cannot be read, or a server error; it passes by itself.
    #[error("no answer")]
    Unavailable,
    /// This process may not make the call, or the table is not there. It is no fault of the request: once an operator
    /// repairs it, the same call succeeds.
    #[error("denied")]
    Denied,
    /// DynamoDB refuses this very request; a retry cannot succeed.
    #[error("refused")]
    Refused,
}

impl CallErrorKind {
    /// Whether the same call is refused again, whatever an operator does. A call that is denied is an operator's fault: it
    /// succeeds once they repair it.
    #[must_use]
    pub fn is_lasting(self) -> bool {
        match self {
            Self::Throttled | Self::Unavailable | Self::Denied => false,
            Self::Refused => true,
        }
    }
}

impl CallError {
    pub(crate) fn new<E>(operation: &'static str, table: &TableName, error: SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let kind = classify(&error);
        let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
        // The text of these repeats what was sent, and that may be an event.
        let source = match REPEATS_THE_REQUEST.iter().find(|repeating| code == Some(**repeating)) {
            Some(repeating) => (*repeating).into(),
            None => error.into(),
        };
        Self { operation, table: table.clone(), kind, source }
    }

    /// A request that lacks a part.
    pub(crate) fn not_built(operation: &'static str, table: &TableName, error: BuildError) -> Self {
        Self { operation, table: table.clone(), kind: CallErrorKind::Refused, source: error.into() }
    }

    /// An answer that says what DynamoDB never says.
    pub(crate) fn unreadable(operation: &'static str, table: &TableName, reason: String) -> Self {
        Self { operation, table: table.clone(), kind: CallErrorKind::Unavailable, source: reason.into() }
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

    /// Whether a retry can help.
    #[must_use]
    pub fn kind(&self) -> CallErrorKind {
        self.kind
    }
}

fn classify<E: ProvideErrorMetadata>(error: &SdkError<E>) -> CallErrorKind {
    match error {
        SdkError::ServiceError(service) => {
            of_answer(service.raw().status().as_u16(), service.err().code().unwrap_or_default())
        }
        // Only credentials can be missing: each call has its parameters by type.
        SdkError::ConstructionFailure(_) => CallErrorKind::Denied,
        SdkError::TimeoutError(_) | SdkError::DispatchFailure(_) | SdkError::ResponseError(_) | _ => {
            CallErrorKind::Unavailable
        }
    }
}

/// Classifies an answer by its code, and by its status where the code is none of these.
fn of_answer(status: u16, code: &str) -> CallErrorKind {
    match (code, status) {
        (
            "LimitExceededException"
            | "ProvisionedThroughputExceededException"
            | "ReplicatedWriteConflictException"
            | "RequestLimitExceeded"
            | "Throttling"
            | "ThrottlingException"
            | "TransactionConflictException"
            | "TransactionInProgressException",
            _,
        )
        | (_, 429) => CallErrorKind::Throttled,
        ("ResourceInUseException", _) | (_, 408 | 500..) => CallErrorKind::Unavailable,
        (
            "AccessDeniedException"
            | "ExpiredToken"
            | "ExpiredTokenException"
            | "InaccessibleEncryptionCredentialsException"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "OptInRequired"
            | "RequestExpired"
            | "ResourceNotFoundException"
            | "SubscriptionRequiredException"
            | "UnknownOperationException"
            | "UnrecognizedClientException",
            _,
        )
        | (_, 401 | 403 | 404) => CallErrorKind::Denied,
        // A success or redirect is no answer of DynamoDB's to an error.
        (_, ..=399) => CallErrorKind::Unavailable,
        (_, _) => CallErrorKind::Refused,
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::{error::ErrorMetadata, operation::put_item::PutItemError};
    use aws_smithy_runtime_api::{
        client::result::ConnectorError,
        http::{Response, StatusCode},
    };
    use aws_smithy_types::body::SdkBody;

    use super::{CallErrorKind::*, *};

    fn answer(status: u16, code: &str) -> CallError {
        let metadata = ErrorMetadata::builder().code(code).message("a part of the request").build();
        let raw = Response::new(StatusCode::try_from(status).unwrap(), SdkBody::empty());
        CallError::new("PutItem", &table(), SdkError::service_error(PutItemError::generic(metadata), raw))
    }

    fn table() -> TableName {
        TableName::order_projections(|_| None).unwrap()
    }

    #[test]
    fn every_code_is_what_a_retry_can_do_about_it() {
        let rows = [
            ("LimitExceededException", 400, Throttled),
            ("ProvisionedThroughputExceededException", 400, Throttled),
            ("ReplicatedWriteConflictException", 400, Throttled),
            ("RequestLimitExceeded", 400, Throttled),
            ("Throttling", 400, Throttled),
            ("ThrottlingException", 400, Throttled),
            ("TransactionConflictException", 400, Throttled),
            ("TransactionInProgressException", 400, Throttled),
            ("", 429, Throttled),
            ("ThrottlingException", 503, Throttled),
            ("InternalServerError", 500, Unavailable),
            ("ServiceUnavailable", 503, Unavailable),
            ("", 502, Unavailable),
            ("", 408, Unavailable),
            ("", 200, Unavailable),
            ("ResourceInUseException", 400, Unavailable),
            ("AccessDeniedException", 400, Denied),
            ("AccessDeniedException", 500, Unavailable),
            ("ExpiredToken", 400, Denied),
            ("ExpiredTokenException", 400, Denied),
            ("InaccessibleEncryptionCredentialsException", 400, Denied),
            ("IncompleteSignature", 400, Denied),
            ("IncompleteSignatureException", 400, Denied),
            ("InvalidClientTokenId", 403, Denied),
            ("InvalidClientTokenId", 400, Denied),
            ("InvalidSignatureException", 400, Denied),
            ("MissingAuthenticationToken", 400, Denied),
            ("MissingAuthenticationTokenException", 400, Denied),
            ("OptInRequired", 400, Denied),
            ("RequestExpired", 400, Denied),
            ("ResourceNotFoundException", 400, Denied),
            ("SubscriptionRequiredException", 400, Denied),
            ("UnknownOperationException", 400, Denied),
            ("UnrecognizedClientException", 400, Denied),
            ("", 401, Denied),
            ("", 403, Denied),
            ("", 404, Denied),
            ("ValidationException", 400, Refused),
            ("SerializationException", 400, Refused),
            ("ItemCollectionSizeLimitExceededException", 400, Refused),
            ("ConditionalCheckFailedException", 400, Refused),
            ("TransactionCanceledException", 400, Refused),
            ("RequestEntityTooLarge", 413, Refused),
            ("CodeOfTomorrow", 400, Refused),
        ];
        for (code, status, kind) in rows {
            assert_eq!(answer(status, code).kind(), kind, "{code} {status}");
        }
    }

    #[test]
    fn a_call_without_an_answer_passes() {
        type Sdk = SdkError<PutItemError>;
        let raw = || Response::new(StatusCode::try_from(200).unwrap(), SdkBody::empty());
        let rows = [
            (Sdk::timeout_error("late"), Unavailable),
            (Sdk::dispatch_failure(ConnectorError::io("closed".into())), Unavailable),
            (Sdk::response_error("no JSON", raw()), Unavailable),
            (Sdk::construction_failure("no credentials"), Denied),
        ];
        for (error, kind) in rows {
            assert_eq!(CallError::new("PutItem", &table(), error).kind(), kind);
        }
    }

    #[test]
    fn an_answer_that_repeats_the_request_is_told_by_its_code_alone() {
        for code in REPEATS_THE_REQUEST {
            let error = answer(400, code);
            let source = std::error::Error::source(&error).unwrap();
            assert_eq!(source.to_string(), code);
            assert!(!format!("{error:?}").contains("a part of the request"), "{error:?}");
        }
    }
}
