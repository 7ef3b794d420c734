//! Histories of real clients on a real stack, in the style of Jepsen: while something goes wrong, producers append and the
//! shipped browser client watches; then a checker that knows only what was acknowledged and what was shown judges whether
//! each event was shown once and in order, and how late.
//!
//! `HISTORY_SEED` repeats a soak's draws, `HISTORY_SECONDS` says how long it lasts.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed, and each scenario prints its figures"
)]

mod checker;
mod clients;
mod deaf;
mod history;
mod scenarios;
mod slow;
mod world;
