//! What an order's log *is*: events, versions, the fold and who is told of it.
//!
//! Owns: the vocabulary of the product and every decision that needs no clock, socket or table.
//! Must not know: DynamoDB, API Gateway, the wire format, `async`.
//! Source: `docs/` and ARCHITECTURE.md of this repository; the fold is FaunaDB's `Reduce` over `Merge`.

pub mod allowance;
pub mod event;
mod evidence;
pub mod fan_out;
pub mod fold;
pub mod json;
pub mod limits;
pub mod order_id;
pub mod origin;
pub mod pace;
pub mod post;
pub mod price;
pub mod principal;
pub mod projection;
pub mod redaction;
pub mod subscription;
mod variable;

pub use allowance::{Allowance, Exhausted};
pub use event::{Event, EventData, EventRef, LoggedEvent, Version};
pub use json::{Fields, Json};
pub use order_id::OrderId;
pub use origin::{Origin, TraceId};
pub use principal::{Anonymous, Identity, Principal, PrincipalId};
pub use projection::Projection;
pub use redaction::{Redacted, Redaction};
pub use subscription::{ConnectionId, RowId, Stage, Subscription};
pub use variable::VariableError;
