//! What becomes of events that were not folded or not pushed: the one table of every error.

use delivery::OwnerBefore;
use domain::Version;
use store::{error::CallErrorKind, event_log::ReadError, projections::GetError, projections::PutError};

use crate::{FanOutError, FoldError, HandOverError, OrderError};

/// What an error means for its order. No other order is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// It may be over when the order is tried again: the order is deferred, and after a bound dead-lettered.
    Passing,
    /// The order made progress and is not done: it goes on at once.
    Progress,
    /// An event before it is missing: whoever folds that one goes on with it, and it is dead-lettered if that lasts too long.
    Waiting,
    /// Retrying cannot succeed until an operator repairs the order: it is dead-lettered.
    Lasting,
}

impl OrderError {
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::NotFolded(error) => error.class(),
            Self::NotPushed(
                FanOutError::NoSubscribers(error) | FanOutError::NotHandedOver(HandOverError::NoSubscribers(error)),
            ) => of_call(error.kind()),
            // SQS takes them later.
            Self::NotPushed(FanOutError::NotDelivered(_) | FanOutError::NotHandedOver(HandOverError::NotSent(_))) => {
                Class::Passing
            }
        }
    }
}

impl OrderError {
    /// The event that the order's other events wait for, and the last of these.
    pub(crate) fn gap(&self) -> Option<(Version, Version)> {
        match self {
            Self::NotFolded(FoldError::Gap { missing, due }) => Some((*missing, *due)),
            Self::NotFolded(_) | Self::NotPushed(_) => None,
        }
    }

    /// Who owned the order before its events, if the attempt has found out and the next one no longer can.
    pub(crate) fn owner_before(&self) -> Option<OwnerBefore> {
        match self {
            Self::NotFolded(FoldError::Unfinished { before, .. }) => Some(before.clone()),
            Self::NotFolded(_) | Self::NotPushed(_) => None,
        }
    }
}

impl FoldError {
    fn class(&self) -> Class {
        match self {
            Self::Get(GetError::Broken(_)) | Self::Put(PutError::NotStorable(_)) | Self::Log(ReadError::Broken(_)) => {
                Class::Lasting
            }
            Self::Log(ReadError::Hole { .. }) | Self::Gap { .. } => Class::Waiting,
            Self::Get(GetError::Call(error)) | Self::Put(PutError::Call(error)) | Self::Log(ReadError::Call(error)) => {
                of_call(error.kind())
            }
            Self::Conflict => Class::Passing,
            Self::Unfinished { .. } => Class::Progress,
        }
    }
}

/// A call that DynamoDB refuses is refused again: a projection that it cannot hold, for one.
fn of_call(kind: CallErrorKind) -> Class {
    if kind.is_lasting() { Class::Lasting } else { Class::Passing }
}

#[cfg(test)]
mod tests {
    use store::BrokenItem;

    use super::*;

    #[test]
    fn every_error_of_a_fold_passes_waits_or_lasts() {
        let broken = || BrokenItem { key: String::new(), reason: String::new() };
        let version = Version::FIRST;
        let rows: [(FoldError, Class); 7] = [
            (GetError::Broken(broken()).into(), Class::Lasting),
            (PutError::NotStorable(store::item::NotStorable::TooLarge { bytes: 500_000 }).into(), Class::Lasting),
            (ReadError::Broken(broken()).into(), Class::Lasting),
            (
                ReadError::Hole { order_id: "o".to_owned(), missing: version, next: version.next() }.into(),
                Class::Waiting,
            ),
            (FoldError::Gap { missing: version, due: version.next() }, Class::Waiting),
            (FoldError::Conflict, Class::Passing),
            (
                FoldError::Unfinished { at: version, due: version.next(), before: OwnerBefore::AsOf(version) },
                Class::Progress,
            ),
        ];
        for (error, class) in rows {
            assert_eq!(error.class(), class, "{error:?}");
        }
    }

    #[test]
    fn a_call_that_is_refused_is_refused_again_and_every_other_one_may_be_served() {
        for (kind, class) in [
            (CallErrorKind::Throttled, Class::Passing),
            (CallErrorKind::Unavailable, Class::Passing),
            (CallErrorKind::Denied, Class::Passing),
            (CallErrorKind::Refused, Class::Lasting),
        ] {
            assert_eq!(of_call(kind), class, "{kind:?}");
        }
    }
}
