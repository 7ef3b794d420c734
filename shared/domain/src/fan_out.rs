//! The fan-out of one update: whom it goes to, and what to do with the connections that it did not reach.
//!
//! Owns: who gets an update, what a page of subscribers is, and the rule that tells a slow reader from an outage.
//! Must not know: HTTP, retries, tables; it plans and does nothing.
//! Source: rule 4 of the guarantee, `docs/decisions/0006-an-order-of-another-looks-like-no-order.md`, `docs/decisions/0003-closing-a-connection-is-safe.md`.

use crate::{
    ConnectionId, Subscription,
    limits::{CLOSES_ANY_SHARE_MAX, CLOSES_SHARE_DIVISOR},
};

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
    /// API Gateway refuses the connection id itself (400).
    InvalidId,
    /// The message is over API Gateway's limit (413).
    TooLarge,
    /// 429 in every attempt: the account's quota, or a reader that is too slow.
    Throttled,
    /// No answer in time, a server error, a broken connection.
    Failed,
    /// Configuration, credentials or another stage (403, 404).
    Refused,
    /// The deadline came first, or API Gateway is known to be out: nothing was sent.
    Unattempted,
}

/// What the recent posts of a process say of API Gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    /// Too few posts to say.
    Unknown,
    /// Posts are accepted.
    Up,
    /// The account's quota is used up.
    Throttling,
    /// Nothing is accepted.
    Out,
}

/// What is left to do after all attempts of one update.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settlement {
    /// Connections that are no more: their rows are deleted.
    pub forget: Vec<ConnectionId>,
    /// Connections to close, so that their clients reconnect and resume from the log.
    pub close: Vec<ConnectionId>,
    /// Connections to push to once more, later.
    pub left: Vec<ConnectionId>,
}

/// Decides on the outcomes of one round of pushes.
#[must_use]
pub fn settle(outcomes: Vec<(ConnectionId, Outcome)>, _round: u32, health: Health) -> Settlement {
    let few = CLOSES_ANY_SHARE_MAX.max(outcomes.len() / CLOSES_SHARE_DIVISOR);
    let mut settlement = Settlement::default();
    for (connection_id, outcome) in outcomes {
        match outcome {
            Outcome::Delivered => {}
            Outcome::Gone | Outcome::InvalidId => settlement.forget.push(connection_id),
            Outcome::TooLarge => settlement.close.push(connection_id),
            Outcome::Throttled | Outcome::Failed if health == Health::Up && settlement.close.len() < few => {
                settlement.close.push(connection_id);
            }
            Outcome::Throttled | Outcome::Failed | Outcome::Refused | Outcome::Unattempted => {
                settlement.left.push(connection_id);
            }
        }
    }
    settlement
}

/// When the next round begins for those who are left.
#[must_use]
pub fn retry_delay(round: u32, random: f64) -> std::time::Duration {
    std::time::Duration::from_secs(5).saturating_mul(1 << round.min(6)).mul_f64(random)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fan_out(delivered: usize, gone: usize, failed: usize) -> Settlement {
        let outcomes = [(Outcome::Delivered, delivered), (Outcome::Gone, gone), (Outcome::Throttled, failed)];
        let each = outcomes.into_iter().flat_map(|(outcome, count)| std::iter::repeat_n(outcome, count));
        settle(each.enumerate().map(|(index, outcome)| (ConnectionId::new(index.to_string()), outcome)).collect())
    }

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

    #[test]
    fn a_few_failures_among_many_close_those_connections() {
        let settlement = fan_out(97, 2, 3);
        assert_eq!((settlement.forget.len(), settlement.close.len(), settlement.retry), (2, 3, false));
        assert_eq!(fan_out(0, 0, 1).close.len(), 1);
        assert_eq!(fan_out(900, 0, 100).close.len(), 100);
    }

    #[test]
    fn a_general_failure_comes_again_and_closes_nobody() {
        let settlement = fan_out(0, 1, 4);
        assert_eq!((settlement.forget.len(), settlement.close.len(), settlement.retry), (1, 0, true));
        assert!(fan_out(800, 0, 101).retry);
    }
}
