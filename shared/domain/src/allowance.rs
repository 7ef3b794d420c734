//! What somebody may cost: so much at once, and so much a minute.
//!
//! An allowance is one number, the time until which is paid: whoever spends moves it on by the time in which the allowance grows
//! by as much, and it may lie ahead of now by as long as the allowance takes to grow full. Time is an argument.

use crate::limits;

/// How much may be spent, in billionths of a dollar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// So much at once, after a pause.
    pub at_once: u64,
    /// So much a minute from then on.
    pub a_minute: u64,
}

/// There is no more to spend now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests; try again in {retry_after_ms} milliseconds")]
pub struct Exhausted {
    /// From when on the same may be spent, in milliseconds from now.
    pub retry_after_ms: u64,
}

impl Allowance {
    /// What one principal may cost by its messages, over all of its connections.
    pub const OF_PRINCIPAL: Self =
        Self { at_once: limits::PRINCIPAL_COST_AT_ONCE_MAX, a_minute: limits::PRINCIPAL_COST_A_MINUTE_MAX };

    /// What of it one process grants without asking how much other processes granted.
    pub const OF_PROCESS: Self =
        Self { at_once: limits::PROCESS_COST_AT_ONCE_MAX, a_minute: limits::PROCESS_COST_A_MINUTE_MAX };

    /// Until when is paid after this is spent, in milliseconds since 1970; `paid_until_ms` is until when is paid before.
    ///
    /// # Errors
    /// [`Exhausted`] if it is too much; nothing is spent then.
    pub fn spend(self, paid_until_ms: i64, cost: u64, now_ms: i64) -> Result<i64, Exhausted> {
        let paid_until_ms = paid_until_ms.max(now_ms).saturating_add_unsigned(self.grows_in_ms(cost));
        let latest_ms = now_ms.saturating_add_unsigned(self.grows_in_ms(self.at_once));
        match u64::try_from(paid_until_ms.saturating_sub(latest_ms)) {
            Ok(retry_after_ms @ 1..) => Err(Exhausted { retry_after_ms }),
            Ok(0) | Err(_) => Ok(paid_until_ms),
        }
    }

    /// The time in which the allowance grows by so much.
    fn grows_in_ms(self, cost: u64) -> u64 {
        cost.saturating_mul(60_000).div_ceil(self.a_minute.max(1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALLOWANCE: Allowance = Allowance { at_once: 100, a_minute: 60 };

    #[test]
    fn so_much_is_spent_at_once_and_the_rest_as_it_grows() {
        let now_ms = 1_000_000;
        let spent = ALLOWANCE.spend(0, 100, now_ms).unwrap();
        assert_eq!(ALLOWANCE.spend(spent, 1, now_ms), Err(Exhausted { retry_after_ms: 1_000 }));
        assert_eq!(ALLOWANCE.spend(spent, 5, now_ms), Err(Exhausted { retry_after_ms: 5_000 }));
        assert_eq!(ALLOWANCE.spend(spent, 5, now_ms + 5_000), Ok(spent + 5_000));
        assert_eq!(ALLOWANCE.spend(0, 0, now_ms), Ok(now_ms));
        assert_eq!(ALLOWANCE.spend(i64::MAX, 1, i64::MAX), Ok(i64::MAX));
    }

    proptest! {
        #[test]
        fn nobody_spends_more_than_at_once_and_what_has_grown_since(
            steps in prop::collection::vec((0_i64..5_000, 0_u64..60), 1..200),
        ) {
            let (mut now_ms, mut paid_until_ms, mut spent) = (0, 0, 0);
            for (pause_ms, cost) in steps {
                now_ms += pause_ms;
                if let Ok(until) = ALLOWANCE.spend(paid_until_ms, cost, now_ms) {
                    paid_until_ms = until;
                    spent += cost;
                }
                let grown = ALLOWANCE.a_minute * u64::try_from(now_ms).unwrap() / 60_000;
                prop_assert!(spent <= ALLOWANCE.at_once + grown + 1, "{spent} at {now_ms}");
            }
        }
    }
}
