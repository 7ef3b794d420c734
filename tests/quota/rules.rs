//! The rules that keep a fan-out within the quota, each of which can be switched off: what is done then is what a fan-out
//! does that knows no quota.

use domain::{
    ConnectionId,
    fan_out::{self, Health, Outcome, Settlement},
    limits,
};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The pace is a share of the quota and follows the answers; else 64 calls are in flight, whatever is answered.
    pub(crate) pace: bool,
    /// Only those that are left of a page are pushed to again; else the whole page is.
    pub(crate) only_left: bool,
    /// Retries are spread; else each page comes again a minute after it was taken.
    pub(crate) spread: bool,
    /// A connection is closed only if it is the cause; else up to a tenth of a page is, whatever the cause.
    pub(crate) close_causes_only: bool,
}

impl Rules {
    pub(crate) const ALL: Self = Self { pace: true, only_left: true, spread: true, close_causes_only: true };
    pub(crate) const NONE: Self = Self { pace: false, only_left: false, spread: false, close_causes_only: false };

    pub(crate) fn settle(self, outcomes: Vec<(ConnectionId, Outcome)>, round: u32, health: Health) -> Settlement {
        if self.close_causes_only {
            return fan_out::settle(outcomes, round, health);
        }
        let few = limits::CLOSES_ANY_SHARE_MAX.max(outcomes.len() / limits::CLOSES_SHARE_DIVISOR);
        let mut settlement = Settlement::default();
        for (connection_id, outcome) in outcomes {
            match outcome {
                Outcome::Delivered => {}
                Outcome::Gone | Outcome::InvalidId => settlement.forget.push(connection_id),
                Outcome::TooLarge | Outcome::Throttled | Outcome::Failed | Outcome::Refused | Outcome::Unattempted => {
                    settlement.close.push(connection_id)
                }
            }
        }
        if settlement.close.len() > few {
            settlement.left = std::mem::take(&mut settlement.close);
        }
        settlement
    }
}
