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

/// Invocations that are remembered for an operator. Ours.
pub(crate) const INVOCATIONS_REMEMBERED_MAX: usize = 200;

/// Longest time from SIGTERM to SIGKILL, for a process with an extension. Source: Lambda, 500 ms for an internal one.
pub(crate) const SHUTDOWN_TIME_OUT: Duration = Duration::from_millis(500);

/// Largest payload of an invocation, in bytes. Source: Lambda, 6 MB.
pub(crate) const PAYLOAD_BYTES_MAX: usize = 6 * 1024 * 1024;

/// Largest environment of a function, names and values together, in bytes. Source: Lambda, 4 KB.
pub(crate) const ENVIRONMENT_BYTES_MAX: usize = 4 * 1024;

/// Largest reply of a function, in bytes. Source: the Runtime Interface Emulator, 6 MB and 100 bytes.
pub(crate) const REPLY_BYTES_MAX: usize = 6 * 1024 * 1024 + 100;

/// How often a change feed is looked at when nothing comes. Ours: AWS polls four times a second.
pub(crate) const POLL_PAUSE: Duration = Duration::from_millis(10);

/// How often it is looked at soon after something came, and how long that is. Ours.
pub(crate) const BUSY_POLL_PAUSE: Duration = Duration::from_millis(1);
pub(crate) const BUSY_FOR: Duration = Duration::from_secs(1);

/// How often a waiting receiver looks for messages that are visible again. Ours.
pub(crate) const QUEUE_POLL_PAUSE: Duration = Duration::from_millis(200);

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

/// Connections that wait to be accepted; the machine may give less. Ours: API Gateway turns nobody away for coming at once.
pub(crate) const CONNECTIONS_WAITING_MAX: u32 = 4_096;

/// Open files that are asked for where the machine does not give all. Source: macOS, `OPEN_MAX`.
pub(crate) const OPEN_FILES_MAX: u64 = 10_240;

/// Longest wait for the stack's parts to end. Ours.
pub(crate) const STOP_TIME_OUT: Duration = Duration::from_secs(10);
