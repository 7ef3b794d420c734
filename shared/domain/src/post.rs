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
    throttles: u32,
    throttled_at: Option<Duration>,
    /// When the first attempt began, and how many calls of the process had been accepted when it was answered.
    first: Option<(Duration, u64)>,
}

/// What a post's attempts are judged by: the other calls of the process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Around {
    /// Whether API Gateway answers none of several connections.
    pub is_out: bool,
    /// Calls that were accepted since the process's start.
    pub accepted: u64,
    /// When a call was refused because of the account the last time.
    pub account_throttled_at: Option<Duration>,
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
    pub fn answered(&mut self, answer: Answer, begun: Duration, around: Around) -> Next {
        self.attempts += 1;
        self.first = self.first.or(Some((begun, around.accepted)));
        let (outcome, attempts_max) = match answer {
            Answer::Accepted => return Next::End(Outcome::Delivered),
            Answer::Gone => return Next::End(Outcome::Gone),
            Answer::InvalidId => return Next::End(Outcome::InvalidId),
            Answer::TooLarge => return Next::End(Outcome::TooLarge),
            Answer::Refused => return Next::End(Outcome::Refused),
            Answer::Throttled => {
                self.throttles += 1;
                self.throttled_at = Some(begun);
                (Outcome::Throttled, limits::PUSH_TRIES_MAX)
            }
            Answer::Unanswered => (Outcome::Failed, limits::PUSH_TRIES_MAX),
            Answer::Silent => (Outcome::Failed, limits::PUSH_SILENT_TRIES_MAX),
        };
        // The account's throttling may be the cause of all that follows it.
        let outcome = if self.throttles > 0 { Outcome::Throttled } else { outcome };
        if around.is_out || self.attempts >= attempts_max {
            return Next::End(if self.is_too_slow(around) { Outcome::Failed } else { outcome });
        }
        let pause_max = limits::PUSH_PAUSE_FIRST.saturating_mul(1 << (self.attempts - 1).min(10));
        Next::Retry { pause_max, or_else: outcome }
    }

    /// Whether the reader is the cause: it was throttled each time, while many others were served and nobody was throttled
    /// because of the account, then and shortly before.
    fn is_too_slow(&self, around: Around) -> bool {
        let Some((begun, accepted)) = self.first else { return false };
        let is_calm = around.account_throttled_at.is_none_or(|at| at + limits::CALM_BEFORE <= begun);
        let others = around.accepted.saturating_sub(accepted);
        self.throttles >= limits::PUSH_TRIES_MAX && is_calm && others >= limits::OTHERS_SERVED_MIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALM: Around = Around { is_out: false, accepted: 0, account_throttled_at: None };

    /// How a post ends that is answered like this, each time with this around it, and how many attempts it makes.
    fn ends(answers: &[(Answer, Around)]) -> (Outcome, usize) {
        let mut post = Post::default();
        for (index, (answer, around)) in answers.iter().enumerate() {
            let begun = Duration::from_secs(10 + u64::try_from(index).unwrap());
            if let Next::End(outcome) = post.answered(*answer, begun, *around) {
                return (outcome, index + 1);
            }
        }
        panic!("not at its end: {post:?}");
    }

    #[test]
    fn each_answer_has_its_outcome_and_its_attempts() {
        for (answer, outcome, attempts) in [
            (Answer::Accepted, Outcome::Delivered, 1),
            (Answer::Gone, Outcome::Gone, 1),
            (Answer::InvalidId, Outcome::InvalidId, 1),
            (Answer::TooLarge, Outcome::TooLarge, 1),
            (Answer::Refused, Outcome::Refused, 1),
            (Answer::Throttled, Outcome::Throttled, 4),
            (Answer::Unanswered, Outcome::Failed, 4),
            (Answer::Silent, Outcome::Failed, 2),
        ] {
            assert_eq!(ends(&[(answer, CALM); 4]), (outcome, attempts), "{answer:?}");
        }
    }

    #[test]
    fn while_api_gateway_is_out_there_is_one_attempt() {
        let out = Around { is_out: true, ..CALM };
        for (answer, outcome) in [(Answer::Unanswered, Outcome::Failed), (Answer::Silent, Outcome::Failed)] {
            assert_eq!(ends(&[(answer, out); 4]), (outcome, 1));
        }
    }

    #[test]
    fn what_follows_a_429_may_be_throttling_too() {
        let answers = [Answer::Throttled, Answer::Unanswered, Answer::Silent].map(|answer| (answer, CALM));
        assert_eq!(ends(&answers), (Outcome::Throttled, 3));
    }

    #[test]
    fn a_reader_is_too_slow_if_it_is_throttled_while_many_others_are_served_and_the_account_is_not_throttled() {
        let served = |accepted, account_throttled_at| Around { accepted, account_throttled_at, ..CALM };
        let answers = |last| {
            [(Answer::Throttled, CALM), (Answer::Throttled, CALM), (Answer::Throttled, CALM), (Answer::Throttled, last)]
        };
        let seconds = Duration::from_secs;
        for (last, outcome) in [
            (served(20, None), Outcome::Failed),
            (served(19, None), Outcome::Throttled),
            (served(20, Some(seconds(8))), Outcome::Failed),
            (served(20, Some(seconds(9))), Outcome::Throttled),
            (served(20, Some(seconds(12))), Outcome::Throttled),
        ] {
            assert_eq!(ends(&answers(last)), (outcome, 4), "{last:?}");
        }
    }

    #[test]
    fn the_pause_doubles() {
        let mut post = Post::default();
        let pauses = [0; 3].map(|_| match post.answered(Answer::Throttled, Duration::ZERO, CALM) {
            Next::Retry { pause_max, .. } => pause_max.as_millis(),
            Next::End(outcome) => panic!("{outcome:?}"),
        });
        assert_eq!(pauses, [50, 100, 200]);
    }
}
