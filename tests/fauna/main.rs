//! FaunaDB's `order_stream` as a source: nothing is lost and nothing doubled, whatever goes wrong.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod vectors;
mod wire;
