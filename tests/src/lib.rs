//! What tests of more than one room need: a stack of real processes, a browser, a counted DynamoDB.
//!
//! Owns: starting and ending what a test runs against, on ports of its own.
//! Must not know: what a test is about.
//! Source: README.md; the processes are the ones that users start.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a harness that cannot go on has failed the test"
)]

pub mod aws_json;
pub mod browser;
pub mod counted;
pub mod engine;
pub mod fauna;
pub mod gateway;
pub mod stack;

use std::time::Duration;

/// The longest that a test waits for anything; reaching it is a failure.
pub const PATIENCE: Duration = Duration::from_secs(60);
