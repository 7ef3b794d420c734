//! Being one of the Lambda functions.
//!
//! Owns: which name is which function, by the `Handler` of the template.
//! Must not know: what a function does.
//! Source: the local stack starts this binary once a sandbox.

use anyhow::anyhow;
use tracing_subscriber::EnvFilter;

use crate::{deployment::var, failure::Failure};

/// The template's `Handler`s that this binary can be.
pub(crate) const NAMES: [&str; 4] = ["connect", "disconnect", "subscribe", "event-handler"];

/// The runtime's span would put two ids, which say nothing on one machine, before each line.
const LOG_FILTER_DEFAULT: &str = "info,lambda_runtime=warn";

pub(crate) async fn run(name: &str) -> Result<(), Failure> {
    init_log();
    let served = match name {
        "connect" => connect::run(var).await,
        "disconnect" => disconnect::run(var).await,
        "subscribe" => subscribe::run(var).await,
        "event-handler" => event_handler::run(var).await,
        _ => return Err(Failure::usage(anyhow!("there is no function {name:?}, only {}", NAMES.join(", ")))),
    };
    served.map_err(|error| Failure::failed(anyhow!(error)))
}

/// The stack adds the time and the function's name to each line.
fn init_log() {
    let filter = var("RUST_LOG").unwrap_or_else(|| LOG_FILTER_DEFAULT.to_owned());
    let log = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(filter));
    log.with_ansi(false).with_target(false).without_time().compact().init();
}
