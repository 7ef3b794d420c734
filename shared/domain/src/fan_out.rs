//! The fan-out of one update: whom it goes to, and what to do with the connections that it did not reach.
//!
//! Owns: who gets an update, what a page of subscribers is, the rule that tells a bad connection from an outage, and when
//! the next round begins.
//! Must not know: HTTP, retries, tables; it plans and does nothing.
//! Source: rule 4 of the guarantee, `docs/decisions/0006-an-order-of-another-looks-like-no-order.md`, `docs/decisions/0003-closing-a-connection-is-safe.md`.

use std::time::Duration;

use crate::{ConnectionId, Subscription, Version, limits};

/// What an order's subscriptions come to at one update. A subscription that is in none of the lists stays as it is: its
/// principal may not see the order, and is not told that there is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audience {
    /// Those that may see the order.
    pub shown: Vec<Subscription>,
    /// Those that could see the order before the update and may not after it.
    pub lost: Vec<Subscription>,
    /// Those whose token, or longest life, has ended.
    pub expired: Vec<Subscription>,
}

/// Who owned an order before an update, and as of which version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Before<'a> {
    /// The owner, if the order had one.
    pub owner: Option<&'a str>,
    /// The version of the last event before the update.
    pub version: Version,
}

/// Decides who gets an update of an order that `after` owns after it, at `now_s` seconds since 1970. Whoever subscribed after
/// the update began and was not shown the order knows already that it is not theirs.
#[must_use]
pub fn audience(subscriptions: Vec<Subscription>, before: Before<'_>, after: Option<&str>, now_s: i64) -> Audience {
    let mut audience = Audience::default();
    for subscription in subscriptions {
        let knows = subscription.hidden_at.is_some_and(|hidden_at| hidden_at > before.version);
        if subscription.expires_at_s <= now_s {
            audience.expired.push(subscription);
        } else if subscription.principal.may_see(after) {
            audience.shown.push(subscription);
        } else if subscription.principal.may_see(before.owner) && !knows {
            audience.lost.push(subscription);
        }
    }
    audience
}

/// A run of an order's subscribers, by their connections' ids: what one invocation pushes to. The pages of an order leave
/// nobody out who subscribed before they were cut, and one page may be pushed to while another one waits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Those behind this id; all from the first on, if there is none.
    pub after: Option<ConnectionId>,
    /// Up to this id and with it; to the end, if there is none.
    pub last: Option<ConnectionId>,
}

/// How a push to one connection ended, after all its attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// API Gateway took the message.
    Delivered,
    /// The connection is no more (410).
    Gone,
    /// API Gateway refuses the connection's id itself (400): there is no such connection.
    InvalidId,
    /// The message is over API Gateway's limit (413).
    TooLarge,
    /// 429 in every attempt: the account's quota is used up, or perhaps the reader is too slow.
    Throttled,
    /// No answer in time, a server error or a broken connection; or 429 in every attempt while others were served, so that
    /// the reader is too slow.
    Failed,
    /// API Gateway refuses the call (403, 404): configuration or credentials.
    Refused,
    /// Nothing was sent: the deadline came first, or API Gateway is known to be out.
    Unattempted,
}

/// What a process's recent calls say of API Gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    /// Too few answers to say.
    Unknown,
    /// It accepts calls.
    Up,
    /// It accepts calls, and refused some within the last [`limits::HEALTH_WINDOW`] because the account's quota is used up.
    Throttling,
    /// It answers none of several connections.
    Out,
}

/// What to do with the connections that an update did not reach. No connection is in two of the lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settlement {
    /// Connections that are no more: their rows are deleted.
    pub forget: Vec<ConnectionId>,
    /// Bad connections to close, so that their clients reconnect and resume from the log.
    pub close: Vec<ConnectionId>,
    /// Connections to push to again, in the next round.
    pub left: Vec<ConnectionId>,
}

/// Decides on the outcomes of one round of an update, which is round 1 when it is pushed for the first time.
///
/// A connection is closed only if it is the cause. API Gateway must be known to accept calls. One that failed is closed if others got the same update, and in a late round ([`limits::CLOSE_ROUND_MIN`]) in any case. One that was
/// throttled is closed in a late round only, and only while the account is not throttled. At most a tenth of the
/// connections (or three) are closed at once, so that a mistake is no storm of reconnects.
#[must_use]
pub fn settle(outcomes: Vec<(ConnectionId, Outcome)>, round: u32, health: Health) -> Settlement {
    let delivered = outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Delivered).count();
    let closes_max = closes_max(outcomes.len());
    let is_late = round >= limits::CLOSE_ROUND_MIN;
    let mut settlement = Settlement::default();
    for (connection_id, outcome) in outcomes {
        let is_bad = match outcome {
            Outcome::Delivered => continue,
            Outcome::Gone | Outcome::InvalidId => {
                settlement.forget.push(connection_id);
                continue;
            }
            Outcome::TooLarge => true,
            Outcome::Failed => matches!(health, Health::Up | Health::Throttling) && (is_late || delivered > 0),
            Outcome::Throttled => health == Health::Up && is_late,
            Outcome::Refused | Outcome::Unattempted => false,
        };
        if is_bad && settlement.close.len() < closes_max {
            settlement.close.push(connection_id);
        } else {
            settlement.left.push(connection_id);
        }
    }
    settlement
}

/// Whether a round is not worth going on with: nobody was served, and as many of its connections failed as may be closed.
#[must_use]
pub fn is_hopeless(served: usize, failed: usize, connections: usize) -> bool {
    served == 0 && failed >= closes_max(connections)
}

fn closes_max(connections: usize) -> usize {
    limits::CLOSES_ANY_SHARE_MAX.max(connections / limits::CLOSES_SHARE_DIVISOR)
}

impl Outcome {
    /// Whether API Gateway took the message or said that there is nobody to take it.
    #[must_use]
    pub fn is_served(self) -> bool {
        matches!(self, Self::Delivered | Self::Gone | Self::InvalidId)
    }
}

/// How long after a round the next one begins; `random` is between 0 and 1. The bound doubles with each round up to
/// [`limits::RETRY_DELAY_MAX`], and the jitter is full: what failed together is not retried together.
#[must_use]
pub fn retry_delay(round: u32, random: f64) -> Duration {
    let doublings = round.saturating_sub(1).min(limits::RETRY_DOUBLINGS_MAX);
    let longest = limits::RETRY_DELAY_FIRST.saturating_mul(1 << doublings).min(limits::RETRY_DELAY_MAX);
    longest.mul_f64(random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_update_goes_to_those_who_may_see_the_order_after_it() {
        let subscription = |id: &str, scope: &str, expires_at_s| {
            let principal = crate::Principal::with_scope(crate::PrincipalId::new(id).unwrap(), scope);
            Subscription::new(crate::OrderId::new("o").unwrap(), ConnectionId::new(id), principal, expires_at_s)
        };
        let all = crate::principal::READ_ALL_SCOPE;
        let [old, new, other, support] =
            [("old", ""), ("new", ""), ("other", ""), ("support", all)].map(|(id, scope)| subscription(id, scope, 11));
        let expired = subscription("new", all, 10);
        let hidden_at = |version| Subscription { hidden_at: Some(Version::new(version)), ..old.clone() };
        let everybody =
            vec![old.clone(), new.clone(), other, support.clone(), expired.clone(), hidden_at(7), hidden_at(6)];
        assert_eq!(
            audience(everybody, Before { owner: Some("old"), version: Version::new(6) }, Some("new"), 10),
            Audience { shown: vec![new, support], lost: vec![old.clone(), hidden_at(6)], expired: vec![expired] }
        );
    }

    const OUTCOMES: [Outcome; 8] = [
        Outcome::Delivered,
        Outcome::Gone,
        Outcome::InvalidId,
        Outcome::TooLarge,
        Outcome::Throttled,
        Outcome::Failed,
        Outcome::Refused,
        Outcome::Unattempted,
    ];
    const HEALTHS: [Health; 4] = [Health::Unknown, Health::Up, Health::Throttling, Health::Out];

    fn numbered(outcomes: impl IntoIterator<Item = Outcome>) -> Vec<(ConnectionId, Outcome)> {
        let each = outcomes.into_iter().enumerate();
        each.map(|(index, outcome)| (ConnectionId::new(index.to_string()), outcome)).collect()
    }

    /// What becomes of the first connection: done, forgotten, closed or left.
    fn becomes(outcomes: &[Outcome], round: u32, health: Health) -> char {
        let settlement = settle(numbered(outcomes.iter().copied()), round, health);
        let first = ConnectionId::new("0");
        let lists = [('F', settlement.forget), ('C', settlement.close), ('L', settlement.left)];
        lists.iter().find(|(_, list)| list.contains(&first)).map_or('D', |(list, _)| *list)
    }

    #[test]
    fn each_outcome_is_settled_by_round_and_health() {
        // Of each outcome: by health as above in an early round with nobody else, with others served, and in a late round.
        let table = [
            (Outcome::Delivered, "DDDD", "DDDD", "DDDD"),
            (Outcome::Gone, "FFFF", "FFFF", "FFFF"),
            (Outcome::InvalidId, "FFFF", "FFFF", "FFFF"),
            (Outcome::TooLarge, "CCCC", "CCCC", "CCCC"),
            (Outcome::Throttled, "LLLL", "LLLL", "LCLL"),
            (Outcome::Failed, "LLLL", "LCCL", "LCCL"),
            (Outcome::Refused, "LLLL", "LLLL", "LLLL"),
            (Outcome::Unattempted, "LLLL", "LLLL", "LLLL"),
        ];
        assert_eq!(table.map(|(outcome, ..)| outcome), OUTCOMES);
        for (outcome, alone, among_others, late) in table {
            let by_health = |outcomes: &[Outcome], round| {
                HEALTHS.map(|health| becomes(outcomes, round, health)).iter().collect::<String>()
            };
            for round in [0, 1, 2] {
                assert_eq!(by_health(&[outcome], round), alone, "{outcome:?} alone in round {round}");
                let others = [outcome, Outcome::Delivered];
                assert_eq!(by_health(&others, round), among_others, "{outcome:?} among others in round {round}");
            }
            for round in [3, 4, u32::MAX] {
                assert_eq!(by_health(&[outcome], round), late, "{outcome:?} alone in round {round}");
                assert_eq!(by_health(&[outcome, Outcome::Delivered], round), late, "{outcome:?} in round {round}");
            }
        }
    }

    #[test]
    fn a_tenth_of_the_connections_or_three_are_closed_at_once_and_the_others_are_left() {
        for (connections, failed, closed) in
            [(1, 1, 1), (4, 4, 3), (10, 10, 3), (100, 10, 10), (100, 50, 10), (1_000, 1_000, 100)]
        {
            let outcome = |index| if index < failed { Outcome::Failed } else { Outcome::Delivered };
            let settlement = settle(numbered((0..connections).map(outcome)), 3, Health::Up);
            assert_eq!((settlement.close.len(), settlement.left.len()), (closed, failed - closed), "{connections}");
        }
    }

    proptest! {
        #[test]
        fn every_connection_that_is_not_served_is_in_exactly_one_list(
            outcomes in prop::collection::vec(prop::sample::select(OUTCOMES.to_vec()), 0..60),
            round: u32,
            health in prop::sample::select(HEALTHS.to_vec()),
        ) {
            let outcomes = numbered(outcomes);
            let Settlement { forget, close, left } = settle(outcomes.clone(), round, health);
            let mut listed: Vec<ConnectionId> = forget.into_iter().chain(close).chain(left).collect();
            listed.sort();
            let undelivered = outcomes.into_iter().filter(|(_, outcome)| *outcome != Outcome::Delivered);
            let mut wanted: Vec<ConnectionId> = undelivered.map(|(connection_id, _)| connection_id).collect();
            wanted.sort();
            prop_assert_eq!(listed, wanted);
        }

        #[test]
        fn a_delay_is_within_its_bound_which_doubles_up_to_the_longest(round: u32, random in 0.0..1.0) {
            let longest = retry_delay(round, 1.0);
            prop_assert!(longest >= limits::RETRY_DELAY_FIRST);
            prop_assert!(longest <= limits::RETRY_DELAY_MAX);
            prop_assert_eq!(retry_delay(round, random), longest.mul_f64(random));
            let next = retry_delay(round.saturating_add(1), 1.0);
            prop_assert!(next == limits::RETRY_DELAY_MAX || next == longest * 2 || round == 0, "{longest:?} {next:?}");
        }
    }

    #[test]
    fn a_round_is_hopeless_once_nobody_is_served_and_as_many_failed_as_may_be_closed() {
        for (served, failed, connections, wanted) in [
            (0, 2, 10, false),
            (0, 3, 10, true),
            (1, 9, 10, false),
            (0, 99, 1_000, false),
            (0, 100, 1_000, true),
            (1, 999, 1_000, false),
        ] {
            assert_eq!(is_hopeless(served, failed, connections), wanted, "{served} {failed} {connections}");
        }
    }
}
