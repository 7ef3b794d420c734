//! The queues between our functions and to the operator, over SQS.
//!
//! `page` holds subscribers who wait for an update, `deferred` orders that wait to be folded, and `failure` what cannot
//! succeed by retrying. A message names keys, versions and reasons, and never an event's content.
//! *Invariant:* what a `send` accepted is on the queue when it returns.

pub mod batch;
mod deferred;
mod failure;
mod failure_queue;
mod message;
mod page;
mod queue;

pub use deferred::{DeferredOrder, DeferredOrders};
pub use failure::Failure;
pub use failure_queue::FailureQueue;
pub use message::{Content, GivenUp, Message, Received};
pub use page::{OwnerBefore, PageOfSubscribers, PageQueue, UnreadablePage};
pub use queue::{FAILURE_QUEUE_VARIABLE, MissingQueueError, QueueError, SQS_ENDPOINT_VARIABLE};
