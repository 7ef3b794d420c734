//! What a process says to its operator.
//!
//! Owns: the shape of a log's lines, and that no library says more than warnings: what they say below that has headers,
//! frames and bodies in it, and with them tokens and events.
//! Must not know: what happens; whoever does it says so.
//! Source: docs/security.md, "Logs".

pub mod measure;
pub mod trace;

use std::io::IsTerminal;

use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::{EnvFilter, Layer, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt};

/// The variable that chooses what is said, as `tracing` reads it.
const LEVEL_VARIABLE: &str = "RUST_LOG";

/// Whose every word is ours: the crates of this workspace, and the lines of the local stack's functions.
const OURS: [&str; 18] = [
    "authorizer",
    "connect",
    "delivery",
    "disconnect",
    "domain",
    "event_handler",
    "failures",
    "fan_out",
    "fauna_feed",
    "foldcast",
    "foldcast_cli",
    "function",
    "local",
    "protocol",
    "push",
    "store",
    "subscribe",
    "telemetry",
];

/// Where a process runs, and so who reads its lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// CloudWatch: a line is a JSON object.
    CloudWatch,
    /// The local stack, which adds the time and the function's name to each line.
    LocalStack,
    /// Somebody at a terminal, on standard error.
    Terminal,
}

/// Begins to say what happens. Once a process; a second time changes nothing.
pub fn init(reader: Reader, var: impl Fn(&str) -> Option<String>) {
    let default = match reader {
        Reader::CloudWatch | Reader::LocalStack => "info",
        // The engine warns of each condition that does not hold, which is what conditions are for.
        Reader::Terminal => "warn,dynoxide=error,function=info",
    };
    let asked = EnvFilter::new(var(LEVEL_VARIABLE).unwrap_or_else(|| default.to_owned()));
    let lines = match reader {
        // CloudWatch has a time of its own.
        Reader::CloudWatch => fmt::layer().json().flatten_event(true).with_span_list(false).without_time().boxed(),
        Reader::LocalStack => fmt::layer().compact().with_ansi(false).with_target(false).without_time().boxed(),
        Reader::Terminal => {
            fmt::layer().compact().with_ansi(std::io::stderr().is_terminal()).with_writer(std::io::stderr).boxed()
        }
    };
    let said = tracing_subscriber::registry().with(lines.with_filter(asked)).with(discreet(reader));
    // A process that says something already goes on saying it.
    said.try_init().ok();
}

/// An error and its causes, in one line.
#[must_use]
pub fn reason(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |cause| cause.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

/// Lets through what is ours, and of others their warnings and errors, whatever was asked for.
fn discreet<S: Subscriber>(reader: Reader) -> impl Layer<S> {
    filter_fn(move |metadata| is_discreet(reader, metadata))
}

fn is_discreet(reader: Reader, metadata: &Metadata<'_>) -> bool {
    let source = metadata.target().split("::").next().unwrap_or_default();
    // The runtime's spans put the invocation's id into each line, which says nothing on one machine.
    let is_invocation = metadata.is_span() && source == "lambda_runtime" && reader == Reader::CloudWatch;
    is_invocation || OURS.contains(&source) || metadata.is_event() && *metadata.level() <= Level::WARN
}
