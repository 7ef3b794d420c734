//! Asking FaunaDB again.
//!
//! Owns: how often, after which pause, with which page and which time; nothing of it knows what is asked.
//! Must not know: HTTP, the feed.
//! Source: `FaunaError::remedy`; `domain::limits`.

use std::time::Duration;

use domain::limits::{
    FAUNA_PAGE_DOCUMENTS_MAX, FAUNA_PAUSE_FIRST, FAUNA_PAUSE_MAX, FAUNA_PAUSE_SLOW, FAUNA_POLL_PAUSE,
    FAUNA_QUERY_TIME_OUT, FAUNA_QUERY_TIME_OUT_MAX, FAUNA_TRIES_MAX, FAUNA_TRIES_TWICE,
};

use crate::error::{FaunaError, Remedy};

/// What the next try is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Retry {
    /// Documents that a page is to have at most.
    pub(crate) page: usize,
    /// How long the query may take.
    pub(crate) time_out: Duration,
    tries: u32,
}

impl Default for Retry {
    fn default() -> Self {
        Self { page: FAUNA_PAGE_DOCUMENTS_MAX, time_out: FAUNA_QUERY_TIME_OUT, tries: 0 }
    }
}

impl Retry {
    /// After an answer: pages grow again.
    pub(crate) fn succeeded(&mut self) {
        let page = self.page.saturating_mul(2).min(FAUNA_PAGE_DOCUMENTS_MAX);
        *self = Self { page, ..Self::default() };
    }

    /// How long to wait before the next try; `None` if there is none.
    pub(crate) fn failed(&mut self, error: &FaunaError) -> Option<Duration> {
        self.tries += 1;
        let (tries_max, first) = match error.remedy() {
            Remedy::Somebody => return None,
            Remedy::Twice => (FAUNA_TRIES_TWICE, FAUNA_PAUSE_FIRST),
            Remedy::Again => (FAUNA_TRIES_MAX, FAUNA_PAUSE_FIRST),
            Remedy::Slowly => (FAUNA_TRIES_MAX, FAUNA_PAUSE_SLOW),
            Remedy::Wait => return Some(FAUNA_POLL_PAUSE),
            Remedy::Smaller => {
                // What is too large with one document stays so; a server that times out may recover.
                if self.page == 1 && *error == FaunaError::TooLarge {
                    return None;
                }
                self.page = (self.page / 2).max(1);
                (FAUNA_TRIES_MAX, FAUNA_PAUSE_FIRST)
            }
            Remedy::Longer => {
                self.time_out = (self.time_out * 2).min(FAUNA_QUERY_TIME_OUT_MAX);
                (FAUNA_TRIES_MAX, FAUNA_PAUSE_FIRST)
            }
        };
        (self.tries < tries_max).then(|| {
            let doubled = first.saturating_mul(2_u32.saturating_pow(self.tries - 1)).min(FAUNA_PAUSE_MAX);
            doubled.mul_f64(fastrand::f64())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tries(error: &FaunaError) -> u32 {
        let mut retry = Retry::default();
        let mut tries = 1;
        while retry.failed(error).is_some() && tries < 1_000 {
            tries += 1;
        }
        tries
    }

    #[test]
    fn what_passes_is_tried_and_what_lasts_is_not() {
        assert_eq!(tries(&FaunaError::Unauthorized), 1);
        assert_eq!(tries(&FaunaError::Internal { status: 500 }), FAUNA_TRIES_TWICE);
        assert_eq!(tries(&FaunaError::Throttled), FAUNA_TRIES_MAX);
        assert_eq!(tries(&FaunaError::Building), 1_000, "an index that is built is waited for");
    }

    #[test]
    fn a_page_that_is_too_large_shrinks_to_one_document_and_grows_again() {
        let mut retry = Retry::default();
        let mut pages = Vec::new();
        while retry.failed(&FaunaError::TooLarge).is_some() {
            pages.push(retry.page);
        }
        assert_eq!(pages, [125, 62, 31, 15, 7, 3, 1]);
        retry.succeeded();
        assert_eq!(retry, Retry { page: 2, ..Retry::default() });
        retry.failed(&FaunaError::TooLong);
        retry.failed(&FaunaError::TooLong);
        assert_eq!(retry.time_out, FAUNA_QUERY_TIME_OUT * 4);
    }

    #[test]
    fn pauses_grow_and_have_an_end() {
        let mut retry = Retry::default();
        let longest = (0..20).filter_map(|_| retry.failed(&FaunaError::Topology)).max().unwrap();
        assert!(longest <= FAUNA_PAUSE_MAX);
    }
}
