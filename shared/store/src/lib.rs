//! DynamoDB: the event log, the projections, the connections and the subscriptions.
//!
//! Owns: every table's shape and every call to DynamoDB; each storage format stands in one file under `item/`.
//! Must not know: the messages of a browser, `@connections`, who decides what to write.
//! Source: the tables are described in `docs/tables.md`; limits and consistency are DynamoDB's.

pub mod aws;
pub mod change_feed;
mod clock;
pub mod connections;
mod consumed;
pub mod error;
pub mod event_log;
pub mod fauna_feed;
pub mod item;
pub mod projections;
mod store;
pub mod subscriptions;
pub mod table_name;

pub use aws_types::SdkConfig;
pub use clock::now_ms;
pub use connections::{Connection, Connections, Forgotten, Witness};
pub use error::CallError;
pub use event_log::{Appended, EventLog};
pub use fauna_feed::FaunaFeed;
pub use item::{
    BrokenItem,
    projection::{ProjectionWrite, StoredProjection},
};
pub use projections::{Projections, Written};
pub use store::{Store, forget, forget_gone, unsubscribe};
pub use subscriptions::{BrokenRow, Subscribers, Subscriptions};
pub use table_name::TableName;
