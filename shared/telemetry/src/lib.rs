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
use tracing_subscriber::{
    Layer,
    filter::{Targets, filter_fn},
    fmt,
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

/// The variable that chooses what is said: a level, or levels by targets, as in `warn,push=debug`.
const LEVEL_VARIABLE: &str = "RUST_LOG";

/// Whose every word is ours: the crates of this workspace, and the lines of the local stack's functions.
const OURS: [&str; 18] = [
    "authorizer",
    "connect",
    "delivery",
    "disconnect",
    "domain",
    "event_handler",
    "fan_out",
    "fauna_feed",
    "foldcast",
    "foldcast_cli",
    "function",
    "local",
    "protocol",
    "push",
    "queues",
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
    let asked = asked(reader, var(LEVEL_VARIABLE).as_deref());
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

/// What is said by level and target; what is none of these is as if it were not set.
fn asked(reader: Reader, set: Option<&str>) -> Targets {
    set.filter(|set| !set.is_empty()).and_then(|set| set.parse().ok()).unwrap_or_else(|| match reader {
        Reader::CloudWatch | Reader::LocalStack => Targets::new().with_default(Level::INFO),
        // The engine warns of each condition that does not hold, which is what conditions are for.
        Reader::Terminal => Targets::new()
            .with_default(Level::WARN)
            .with_target("dynoxide", Level::ERROR)
            .with_target("function", Level::INFO),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_said_and_what_is_malformed_is_as_if_it_were_not_set() {
        let says =
            |set: Option<&str>, target: &str, level: Level| asked(Reader::CloudWatch, set).would_enable(target, &level);
        assert!(says(None, "push", Level::INFO) && !says(None, "push", Level::DEBUG));
        let by_target = Some("warn,push=debug");
        assert!(says(by_target, "push::call", Level::DEBUG) && !says(by_target, "store", Level::INFO));
        assert!(!says(Some("off"), "push", Level::ERROR));
        for nothing in ["push=loud", ""] {
            assert!(says(Some(nothing), "store", Level::INFO), "{nothing:?}");
        }
    }

    #[test]
    fn a_terminal_is_told_of_functions_and_not_of_each_condition() {
        let asked = asked(Reader::Terminal, None);
        assert!(asked.would_enable("function", &Level::INFO) && !asked.would_enable("store", &Level::INFO));
        assert!(!asked.would_enable("dynoxide", &Level::WARN) && asked.would_enable("hyper", &Level::WARN));
    }
}
