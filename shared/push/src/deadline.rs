//! The end of an invocation's time.
//!
//! Owns: turning Lambda's deadline into an instant, with the reserve that settling needs.
//! Must not know: what the time is spent on.
//! Source: `Lambda-Runtime-Deadline-Ms`, milliseconds since 1970.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use domain::limits::INVOCATION_RESERVE;
use tokio::time::Instant;

/// The instant at which an invocation has to stop trying, some time before Lambda stops it.
#[must_use]
pub fn from_epoch_ms(deadline_ms: u64) -> Instant {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = Duration::from_millis(deadline_ms).saturating_sub(since_1970);
    Instant::now() + left.saturating_sub(INVOCATION_RESERVE)
}
