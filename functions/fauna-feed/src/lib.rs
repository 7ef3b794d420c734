//! The feed of FaunaDB: from a collection there to the event log here, each document once.
//!
//! Owns: the invocation, a minute each, and what is said of it.
//! Must not know: browsers, projections; what is appended comes to them as every event does.
//! Source: `docs/fauna.md`.

mod append;
mod client;
mod config;
pub mod conversion;
mod document;
mod error;
mod feed;
mod query;
mod removals;
mod retry;
mod secret;
mod secrets_manager;
mod setup;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::{Value, json};
use store::aws;
use tokio::time::Instant;

pub use append::Counts;
pub use client::{Answer, Fauna, NoEndpoint};
pub use config::{Config, ENDPOINT_VARIABLE, SECRET_VARIABLE};
pub use error::{FaunaError, Remedy};
pub use feed::{Ended, Feed, FeedError, Refused, Report, Until};
pub use query::Names;
pub use queues::Failure;
pub use secret::{NoSecret, Secret};
pub use secrets_manager::NoSecretValue;
pub use setup::{Finding, IndexState, State};

/// What an invocation keeps of its time for the page that it is at. Of the 70 seconds that the template gives it, it works
/// for 62: the next one comes after 60 and waits for the lease, so that nobody's event waits for a minute to begin.
const RESERVE: Duration = Duration::from_secs(8);

/// Serves the schedule until Lambda ends the process.
///
/// # Errors
/// What is wrong with the environment, or with the Runtime API.
pub async fn run(var: impl Fn(&str) -> Option<String>) -> Result<(), lambda_runtime::Error> {
    let config = Config::from_vars(&aws::sdk_config(&var)?, &var)?;
    let config = &config;
    let serve = async |event: LambdaEvent<Value>| {
        let deadline = deadline(event.context.deadline);
        Box::pin(invoke(config, deadline)).await.map_err(|error| {
            let error: &(dyn std::error::Error + 'static) = error.as_ref();
            let reason = append::reasons(error);
            tracing::error!(reason, "failed: the feed stops where it is");
            lambda_runtime::Error::from(reason)
        })
    };
    lambda_runtime::run(service_fn(serve)).await
}

/// Works for one invocation.
///
/// # Errors
/// Why the feed stopped.
pub async fn invoke(config: &Config, deadline: Instant) -> anyhow::Result<Value> {
    let feed = config.feed().await?;
    let Report { ended, counts, is_drained } = feed.run(Until::Deadline(deadline), &|_| {}).await?;
    let Counts { appended, late, there, updated, removed, refused } = counts;
    tracing::info!(?ended, is_drained, appended, late, there, updated, removed, refused, "done");
    Ok(json!({
        "ended": format!("{ended:?}"), "isDrained": is_drained, "appended": appended, "late": late, "there": there,
        "updated": updated, "removed": removed, "refused": refused,
    }))
}

/// The instant at which an invocation takes up nothing more.
fn deadline(deadline_ms: u64) -> Instant {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let left = Duration::from_millis(deadline_ms).saturating_sub(since_1970);
    Instant::now() + left.saturating_sub(RESERVE)
}
