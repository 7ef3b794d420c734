//! The numbers of everything but the WebSocket API, which has its own.
//!
//! Owns: bounds, and behaviours that AWS does not document.
//! Must not know: who keeps to them.
//! Source: Lambda quotas and the Runtime Interface Emulator; the others are ours and say so.

use std::time::Duration;

/// Sandboxes of one function at a time. Ours: a laptop is no region; Lambda's own default is 1,000 an account.
pub(crate) const SANDBOXES_PER_FUNCTION_MAX: usize = 10;

/// Longest time from a sandbox's start to its first `/next`. Source: Lambda, 10 seconds.
pub(crate) const INIT_TIME_OUT: Duration = Duration::from_secs(10);

/// Largest reply of a function, in bytes. Source: the Runtime Interface Emulator, 6 MB and 100 bytes.
pub(crate) const REPLY_BYTES_MAX: usize = 6 * 1024 * 1024 + 100;

/// How often a change feed is looked at when nothing comes. Ours: AWS polls four times a second.
pub(crate) const POLL_PAUSE: Duration = Duration::from_millis(10);

/// Records that are read at once from a change feed. Source: `GetRecords`, 1,000.
pub(crate) const RECORDS_PER_READ_MAX: usize = 1_000;

/// Pause before a batch's first retry; it doubles, with full jitter. AWS does not document its own.
pub(crate) const RETRY_PAUSE_FIRST: Duration = Duration::from_millis(50);

/// Longest pause between two tries of a batch.
pub(crate) const RETRY_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Records that a change feed keeps behind its checkpoint before they are removed together. Ours: AWS keeps 24 hours.
pub(crate) const RECORDS_KEPT_BEHIND: u64 = 10_000;

/// How often expired items are removed. Source: DynamoDB does it within a few days; a laptop sees it within a minute.
pub(crate) const TIME_TO_LIVE_SWEEP: Duration = Duration::from_secs(60);

/// Longest wait for the stack's parts to end. Ours.
pub(crate) const STOP_TIME_OUT: Duration = Duration::from_secs(10);
