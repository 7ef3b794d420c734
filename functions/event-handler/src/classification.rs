//! What becomes of events that were not folded or not pushed: the one table of every error.

use store::{CallError, error::CallErrorKind, event_log::ReadError, projections::GetError, projections::PutError};

use crate::{FanOutError, FoldError, HandOverError, OrderError};

/// What an error means for its order. No other order is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// It may be over when the order is tried again: the order is deferred, and after a bound dead-lettered.
    Passing,
    /// The order made progress and is not done: it goes on at once.
    Progress,
    /// Retrying cannot succeed until an operator repairs the order: it is dead-lettered.
    Lasting,
}

impl OrderError {
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::NotFolded(error) => error.class(),
            Self::NotPushed(
                FanOutError::NoSubscribers(_)
                | FanOutError::NotDelivered(_)
                | FanOutError::NotHandedOver(HandOverError::NoSubscribers(_) | HandOverError::NotSent(_)),
            ) => Class::Passing,
        }
    }
}

impl FoldError {
    fn class(&self) -> Class {
        match self {
            Self::Get(GetError::Broken(_))
            | Self::Put(PutError::NotStorable(_))
            | Self::Log(ReadError::Broken(_) | ReadError::Hole { .. })
            | Self::LogTooShort { .. } => Class::Lasting,
            Self::Get(GetError::Call(error)) | Self::Put(PutError::Call(error)) | Self::Log(ReadError::Call(error)) => {
                of_call(error)
            }
            Self::Conflict => Class::Passing,
            Self::Unfinished { .. } => Class::Progress,
        }
    }
}

/// A call that DynamoDB refuses is refused again: a projection that it cannot hold, for one. A call that is denied is an
/// operator's fault and concerns every order; it passes when they repair it.
fn of_call(error: &CallError) -> Class {
    match error.kind() {
        CallErrorKind::Throttled | CallErrorKind::Unavailable | CallErrorKind::Denied => Class::Passing,
        CallErrorKind::Refused => Class::Lasting,
    }
}
