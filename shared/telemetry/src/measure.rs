//! What a function counts and measures, for CloudWatch.
//!
//! Owns: the names of the metrics, their units, and that an invocation's figures are one line of its log.
//! Must not know: what is done about a figure; `infra/lib/alarms.ts` says what is too much.
//! Source: CloudWatch's embedded metric format; `docs/logging.md`, "Metrics".

use std::{io, sync::OnceLock, time::Duration};

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use metrics_cloudwatch_embedded::{Builder, Collector};

const NAMESPACE: &str = "Foldcast";
const DIMENSION: &str = "Function";

static COLLECTOR: OnceLock<&Collector> = OnceLock::new();

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Events that were folded into a stored projection.
    EventsFolded,
    /// Updates that API Gateway took, one a connection.
    UpdatesPushed,
    /// Connections that a push found gone.
    ConnectionsGone,
    /// Pushes that were tried once more.
    PushesRetried,
    /// Pushes that no try got through.
    PushesFailed,
    /// Events that came again, folded already.
    Redeliveries,
    /// Records that are no event, and events that cannot be folded.
    Poison,
    /// Orders that were set aside to be retried.
    Deferred,
}

impl Count {
    const ALL: [Self; 8] = [
        Self::EventsFolded,
        Self::UpdatesPushed,
        Self::ConnectionsGone,
        Self::PushesRetried,
        Self::PushesFailed,
        Self::Redeliveries,
        Self::Poison,
        Self::Deferred,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::EventsFolded => "EventsFolded",
            Self::UpdatesPushed => "UpdatesPushed",
            Self::ConnectionsGone => "ConnectionsGone",
            Self::PushesRetried => "PushesRetried",
            Self::PushesFailed => "PushesFailed",
            Self::Redeliveries => "Redeliveries",
            Self::Poison => "Poison",
            Self::Deferred => "Deferred",
        }
    }

    /// Counts so many more.
    pub fn add(self, more: usize) {
        counter!(self.name()).increment(u64::try_from(more).unwrap_or(u64::MAX));
    }
}

/// How many subscribers an update has.
pub fn fan_out(subscribers: usize) {
    histogram!("FanOut").record(f64::from(u32::try_from(subscribers).unwrap_or(u32::MAX)));
}

/// How long an update took, from the append of its first event until all its pushes were answered.
pub fn lag(lag: Duration) {
    histogram!("Lag").record(lag.as_secs_f64() * 1_000.0);
}

/// Begins to count and measure in the name of a function. Without this, nothing is.
pub fn init(function: &'static str) {
    let built = Builder::new().cloudwatch_namespace(NAMESPACE).with_dimension(DIMENSION, function).init();
    let Ok(collector) = built else { return };
    for count in Count::ALL {
        describe_counter!(count.name(), Unit::Count, "");
    }
    describe_histogram!("FanOut", Unit::Count, "");
    describe_histogram!("Lag", Unit::Milliseconds, "");
    COLLECTOR.set(collector).ok();
}

/// Writes what was counted and measured since the last time, at the end of an invocation: a line a function.
pub fn flush() {
    if let Some(collector) = COLLECTOR.get() {
        // Without a log there is nowhere to say so.
        collector.flush(io::stdout()).ok();
    }
}
