//! API Gateway's WebSocket API from outside: real sockets, and closures for functions.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on has failed")]

mod authorizer;
mod close_codes;
mod events;
mod iam;
mod management;
mod rig;
mod robustness;
mod routes;
mod signed;
mod throttling;
mod upgrade;
