//! x
pub mod application;
mod dynamodb;
pub mod lambda;
mod limits;
pub mod queue;
pub mod template;
pub mod websocket_api;
