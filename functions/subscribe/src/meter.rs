//! What a message costs, and who pays for it.
//!
//! Each process grants a principal a little without asking anybody, so that an ordinary message makes no call for this. Beyond
//! that it takes of the allowance that all processes share. What a step costs is known after it, and nothing further is done
//! before it is paid. Where nobody has to say who they are, each connection pays for itself.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use domain::{
    Allowance, Exhausted,
    limits::{COST_TAKEN_AT_ONCE, REFUSALS_MAX, SPENDERS_KNOWN_MAX},
    price,
};
use store::{CallError, Connections};

use crate::caller::Caller;

/// What principals spent in this process lately.
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<HashMap<String, Account>>);

/// What one of them spent.
#[derive(Debug, Default)]
struct Account {
    /// Until when is paid of what this process grants.
    paid_until_ms: i64,
    /// What was taken of the shared allowance, and is not spent.
    taken: u64,
    /// Until when the shared allowance is exhausted.
    refused_until_ms: i64,
    /// Messages that were refused since then.
    refusals: u32,
}

/// Why a message, or the rest of it, is not served.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotPaid {
    /// The principal has spent what it may.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// The allowance was not read.
    #[error("the allowance was not read")]
    NotRead(#[from] CallError),
}

/// What one message costs.
pub(crate) struct Meter<'a> {
    ledger: &'a Ledger,
    connections: &'a Connections,
    payer: String,
    now_ms: i64,
    /// What is spent and not paid.
    owed: AtomicU64,
}

impl<'a> Meter<'a> {
    /// A message of so many bytes, which costs a message and an invocation already.
    pub(crate) fn new(ledger: &'a Ledger, connections: &'a Connections, caller: &Caller, message_bytes: usize) -> Self {
        let owed = AtomicU64::new(price::message_in(message_bytes).saturating_add(price::INVOCATION));
        Self { ledger, connections, payer: caller.payer().to_owned(), now_ms: caller.requested_at_ms, owed }
    }

    /// Something was done that costs so much.
    pub(crate) fn owe(&self, nano_dollars: u64) {
        self.owed.fetch_add(nano_dollars, Ordering::Relaxed);
    }

    /// Writes were done.
    pub(crate) fn owe_write_units(&self, units: u64) {
        self.owe(price::WRITE_UNIT.saturating_mul(units));
    }

    /// Pays what is owed, before more is done.
    pub(crate) async fn pay(&self) -> Result<(), NotPaid> {
        let owed = self.owed.swap(0, Ordering::Relaxed);
        let Some(lacking) = self.ledger.pay(&self.payer, owed, self.now_ms)? else { return Ok(()) };
        let taken = lacking.max(COST_TAKEN_AT_ONCE);
        let spent = self.connections.spend(&self.payer, Allowance::OF_PRINCIPAL, taken, self.now_ms).await?;
        Ok(self.ledger.taken(&self.payer, spent.map(|()| taken.saturating_sub(lacking)), self.now_ms)?)
    }

    /// Whether so many messages were refused that the next one is not worth an answer.
    pub(crate) fn is_flood(&self) -> bool {
        self.ledger.accounts().get(&self.payer).is_some_and(|account| account.refusals > REFUSALS_MAX)
    }
}

impl Ledger {
    /// Pays of what is granted here, or was taken before. The answer is what is lacking.
    fn pay(&self, payer: &str, owed: u64, now_ms: i64) -> Result<Option<u64>, Exhausted> {
        let mut accounts = self.accounts();
        if accounts.len() >= SPENDERS_KNOWN_MAX {
            accounts.retain(|_, account| account.paid_until_ms.max(account.refused_until_ms) > now_ms);
        }
        let account = accounts.entry(payer.to_owned()).or_default();
        let refused_ms = account.refused_until_ms.saturating_sub(now_ms);
        if let Ok(retry_after_ms @ 1..) = u64::try_from(refused_ms) {
            account.refusals = account.refusals.saturating_add(1);
            return Err(Exhausted { retry_after_ms });
        }
        account.refusals = 0;
        if let Some(left) = account.taken.checked_sub(owed) {
            account.taken = left;
            return Ok(None);
        }
        match Allowance::OF_PROCESS.spend(account.paid_until_ms, owed, now_ms) {
            Ok(paid_until_ms) => {
                account.paid_until_ms = paid_until_ms;
                Ok(None)
            }
            Err(_exhausted) => Ok(Some(owed)),
        }
    }

    /// So much is left of what was taken of the shared allowance, unless that is exhausted.
    fn taken(&self, payer: &str, left: Result<u64, Exhausted>, now_ms: i64) -> Result<(), Exhausted> {
        let mut accounts = self.accounts();
        let account = accounts.entry(payer.to_owned()).or_default();
        match left {
            Ok(left) => account.taken = account.taken.saturating_add(left),
            Err(Exhausted { retry_after_ms }) => {
                account.refused_until_ms = now_ms.saturating_add_unsigned(retry_after_ms)
            }
        }
        left.map(|_left| ())
    }

    fn accounts(&self) -> MutexGuard<'_, HashMap<String, Account>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use domain::limits::PROCESS_COST_AT_ONCE_MAX;

    use super::*;

    const NOW_MS: i64 = 1_800_000_000_000;

    #[test]
    fn what_the_process_grants_needs_no_call_and_more_is_taken_once() {
        let ledger = Ledger::default();
        assert_eq!(ledger.pay("a", PROCESS_COST_AT_ONCE_MAX, NOW_MS), Ok(None));
        assert_eq!(ledger.pay("a", 7, NOW_MS), Ok(Some(7)));
        ledger.taken("a", Ok(10), NOW_MS).unwrap();
        assert_eq!(ledger.pay("a", 10, NOW_MS), Ok(None), "it was taken before");
        assert_eq!(ledger.pay("a", 1, NOW_MS), Ok(Some(1)));
        assert_eq!(ledger.pay("b", 1, NOW_MS), Ok(None), "another principal");
        assert_eq!(ledger.pay("a", PROCESS_COST_AT_ONCE_MAX, NOW_MS + 120_000), Ok(None), "it grows again");
    }

    #[test]
    fn whoever_is_refused_is_refused_without_a_call_until_the_allowance_has_grown() {
        let ledger = Ledger::default();
        let exhausted = Exhausted { retry_after_ms: 1_000 };
        assert_eq!(ledger.taken("a", Err(exhausted), NOW_MS), Err(exhausted));
        assert_eq!(ledger.pay("a", 1, NOW_MS + 999), Err(Exhausted { retry_after_ms: 1 }));
        assert_eq!(ledger.accounts()["a"].refusals, 1);
        assert_eq!(ledger.pay("a", 1, NOW_MS + 1_000), Ok(None));
        assert_eq!(ledger.accounts()["a"].refusals, 0);
    }

    #[test]
    fn those_who_spent_nothing_lately_are_forgotten() {
        let ledger = Ledger::default();
        for number in 0..SPENDERS_KNOWN_MAX {
            ledger.pay(&number.to_string(), 1_000, NOW_MS).unwrap();
        }
        ledger.pay("late", 1_000, NOW_MS + 60_000).unwrap();
        assert_eq!(ledger.accounts().len(), 1);
    }
}
