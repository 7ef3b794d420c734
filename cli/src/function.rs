//! Being one of the Lambda functions.
//!
//! Owns: which name is which function, by the `Handler` of the template.
//! Must not know: what a function does.
//! Source: the local stack starts this binary once a sandbox.

use anyhow::anyhow;
use telemetry::Reader;

use crate::{deployment::var, failure::Failure};

/// The template's `Handler`s that this binary can be.
pub(crate) const NAMES: [&str; 7] =
    ["authorizer", "connect", "disconnect", "subscribe", "event-handler", "fan-out", "fauna-feed"];

pub(crate) async fn run(name: &str) -> Result<(), Failure> {
    telemetry::init(Reader::LocalStack, var);
    let served = match name {
        "authorizer" => authorizer::run_locally(var).await,
        "connect" => connect::run(var).await,
        "disconnect" => disconnect::run(var).await,
        "subscribe" => subscribe::run(var).await,
        "event-handler" => event_handler::run(var).await,
        "fan-out" => fan_out::run(var).await,
        "fauna-feed" => fauna_feed::run(var).await,
        _ => return Err(Failure::usage(anyhow!("there is no function {name:?}, only {}", NAMES.join(", ")))),
    };
    served.map_err(|error| Failure::failed(anyhow!(error)))
}
