//! What becomes of a page that was not pushed to: the one table of every error.

use delivery::ReadFoldedError;
use store::{event_log::ReadError, projections::GetError};

use crate::PageError;

impl PageError {
    /// Whether retrying cannot succeed until an operator repairs the order. No other order is concerned.
    pub(crate) fn is_lasting(&self) -> bool {
        match self {
            Self::NotRead(ReadFoldedError::Get(GetError::Broken(_)))
            | Self::NotRead(ReadFoldedError::Log(ReadError::Broken(_) | ReadError::Hole { .. })) => true,
            Self::NotRead(
                ReadFoldedError::Get(GetError::Call(error)) | ReadFoldedError::Log(ReadError::Call(error)),
            )
            | Self::NoSubscribers(error) => error.kind().is_lasting(),
            // The message may be of another release, a projection that was taken away is stored again by the order's next
            // event, and SQS takes later what it does not take now.
            Self::Unreadable(_) | Self::NotRead(ReadFoldedError::Behind { .. }) | Self::NotDelivered(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::Version;
    use queues::PageOfSubscribers;
    use store::BrokenItem;

    use super::*;

    #[test]
    fn a_page_whose_order_is_broken_is_not_retried_and_every_other_one_is() {
        let broken = || BrokenItem { key: String::new(), reason: String::new() };
        let hole =
            || ReadError::Hole { order_id: "o".to_owned(), missing: Version::FIRST, next: Version::FIRST.next() };
        let behind = ReadFoldedError::Behind { at: Version::NONE, due: Version::FIRST };
        let rows: [(PageError, bool); 5] = [
            (ReadFoldedError::Get(GetError::Broken(broken())).into(), true),
            (ReadFoldedError::Log(ReadError::Broken(broken())).into(), true),
            (ReadFoldedError::Log(hole()).into(), true),
            (behind.into(), false),
            (PageOfSubscribers::parse("{}").unwrap_err().into(), false),
        ];
        for (error, is_lasting) in rows {
            assert_eq!(error.is_lasting(), is_lasting, "{error:?}");
        }
    }
}
