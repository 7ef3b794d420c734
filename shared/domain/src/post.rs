//! One post to a connection, attempt by attempt: what each answer means and whether another attempt follows.

use std::time::Duration;

use crate::{fan_out::Outcome, limits};

/// How one call to `@connections` ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is done.
    Accepted,
    /// The connection is no more (410).
    Gone,
    /// There is no connection with such an id (400).
    InvalidId,
    /// The message is over API Gateway's limit (413).
    TooLarge,
    /// The account's quota is used up, or the reader is too slow (429).
    Throttled,
    /// A server error or a broken connection.
    Unanswered,
    /// No answer in time.
    Silent,
    /// API Gateway does not want this call (403, 404): another attempt does not help.
    Refused,
}

/// The attempts of one post.
#[derive(Clone, Copy, Debug, Default)]
pub struct Post {
    attempts: u32,
    throttled_at: Option<Duration>,
}

/// What follows an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: this is how the post ended.
    End(Outcome),
    /// Another attempt, after a pause of at most `pause_max`; without it, the post ends as `or_else`.
    Retry {
        /// Longest pause; the jitter is full.
        pause_max: Duration,
        /// How the post ends if there is no time for another attempt.
        or_else: Outcome,
    },
}

impl Post {
    /// Whether nothing was answered yet.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.attempts == 0
    }

    /// When the last attempt that was throttled began, on the process's clock.
    #[must_use]
    pub fn throttled_at(&self) -> Option<Duration> {
        self.throttled_at
    }

    /// Notes the answer to an attempt that began at `begun`. While API Gateway is out there is one attempt only.
    pub fn answered(&mut self, answer: Answer, begun: Duration, is_out: bool) -> Next {
        self.attempts += 1;
        let (outcome, attempts_max) = match answer {
            Answer::Accepted => return Next::End(Outcome::Delivered),
            Answer::Gone => return Next::End(Outcome::Gone),
            Answer::InvalidId => return Next::End(Outcome::InvalidId),
            Answer::TooLarge => return Next::End(Outcome::TooLarge),
            Answer::Refused => return Next::End(Outcome::Refused),
            Answer::Throttled => {
                self.throttled_at = Some(begun);
                (Outcome::Throttled, limits::PUSH_TRIES_MAX)
            }
            Answer::Unanswered => (Outcome::Failed, limits::PUSH_TRIES_MAX),
            Answer::Silent => (Outcome::Failed, limits::PUSH_SILENT_TRIES_MAX),
        };
        // The account's throttling may be the cause of all that follows it.
        let outcome = if self.throttled_at.is_some() { Outcome::Throttled } else { outcome };
        if is_out || self.attempts >= attempts_max {
            return Next::End(outcome);
        }
        let pause_max = limits::PUSH_PAUSE_FIRST.saturating_mul(1 << (self.attempts - 1).min(10));
        Next::Retry { pause_max, or_else: outcome }
    }
}
