//! FaunaDB's `order_stream` as a source: nothing is lost and nothing doubled, whatever goes wrong.

#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod faults;
mod gate;
mod order;
mod rig;
mod secret;
mod vectors;
mod wire;
