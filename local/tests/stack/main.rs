//! Somebody else's application on the stack: any template, a function in Python.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod event_source;
mod lambda;
mod rig;
mod templates;
