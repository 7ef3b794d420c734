//! The fan-out of one update: whom it goes to, and what to do with the connections that it did not reach.
//!
//! Owns: who gets an update, what a page of subscribers is, the rule that tells a bad connection from an outage, and when
//! the next round begins.
//! Must not know: HTTP, retries, tables; it plans and does nothing.
//! Source: rule 4 of the guarantee, `docs/decisions/0006-an-order-of-another-looks-like-no-order.md`, `docs/decisions/0003-closing-a-connection-is-safe.md`.

use std::time::Duration;

use crate::{ConnectionId, Subscription, limits};

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

/// Decides who gets an update of an order that had the first owner before it and has the second one after it, at `now_s`
/// seconds since 1970.
#[must_use]
pub fn audience(subscriptions: Vec<Subscription>, before: Option<&str>, after: Option<&str>, now_s: i64) -> Audience {
    let mut audience = Audience::default();
    for subscription in subscriptions {
        if subscription.expires_at_s <= now_s {
            audience.expired.push(subscription);
        } else if subscription.principal.may_see(after) {
            audience.shown.push(subscription);
        } else if subscription.principal.may_see(before) {
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
    /// 429 in every attempt: the account's quota is used up, or the reader is too slow.
    Throttled,
    /// No answer in time, a server error or a broken connection.
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
    /// It accepts calls, and the account's quota is not used up.
    Up,
    /// It accepts calls, and the account's quota was used up within the last [`limits::HEALTH_WINDOW`].
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
/// A connection is closed only if it is the cause: API Gateway is known to accept calls, and either others got the same
/// update or this is at least round [`limits::CLOSE_ROUND_MIN`]. A connection that was throttled is closed only while the
/// account is not throttled. At most a tenth of the connections (or three) are closed at once, so that a mistake is no
/// storm of reconnects.
#[must_use]
pub fn settle(outcomes: Vec<(ConnectionId, Outcome)>, round: u32, health: Health) -> Settlement {
    let delivered = outcomes.iter().filter(|(_, outcome)| *outcome == Outcome::Delivered).count();
    let closes_max = limits::CLOSES_ANY_SHARE_MAX.max(outcomes.len() / limits::CLOSES_SHARE_DIVISOR);
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
            Outcome::Throttled => {
                health == Health::Up && (is_late || delivered >= limits::CLOSE_THROTTLED_DELIVERED_MIN)
            }
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
        let everybody = vec![old.clone(), new.clone(), other, support.clone(), expired.clone()];
        assert_eq!(
            audience(everybody, Some("old"), Some("new"), 10),
            Audience { shown: vec![new, support], lost: vec![old], expired: vec![expired] }
        );
    }
}
