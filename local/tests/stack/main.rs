//! Somebody else's application on the stack: any template, a function in Python.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

#[expect(unreachable_pub, reason = "the harness of the crate `tests`, where it is public")]
#[path = "../../../tests/src/aws_json.rs"]
mod aws_json;
mod event_source;
mod lambda;
mod mock;
mod queue_mapping;
mod rig;
mod schedule;
mod templates;
