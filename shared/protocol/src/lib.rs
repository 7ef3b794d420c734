#![doc = include_str!("../README.md")]
//!
//! Owns: the wire format in both directions, and what a client must do to end with every event once.
//! Must not know: sockets, clocks, tables, API Gateway's own frames.
//! Source: this crate; `README.md` beside it is the description for users.

pub mod error;
pub mod follower;
pub mod message;
pub mod parts;
#[cfg(test)]
#[path = "tests/redaction.rs"]
mod redaction;
pub mod request;
#[cfg(test)]
#[path = "tests/schema.rs"]
mod schema;

pub use error::{ErrorCode, ErrorMessage};
pub use follower::{Follower, Step};
pub use message::{Message, SentEvent, Update};
pub use request::{BadRequest, Request, RequestError};
