//! AWS on one laptop: WebSocket API, Lambda, DynamoDB with its change feed, queues.
//!
//! Owns: reading a CloudFormation template and running what it declares, over AWS's own wire protocols.
//! Must not know: which application it runs.
//! Source: `docs` of AWS, and what was recorded from it; each module names its own.

pub mod application;
mod dynamodb;
mod event_source;
pub mod faults;
pub mod lambda;
mod limits;
pub mod queue;
mod schedule;
mod stack;
pub mod template;
pub mod websocket_api;

pub use application::Function;
pub use faults::Faults;
pub use lambda::{Command, Commands, Invocation};
pub use stack::{Data, Stack, StackOptions, StartError, Watch};
