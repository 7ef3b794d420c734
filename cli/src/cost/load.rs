//! What a load costs a month.
//!
//! Owns: what a connection costs in its life, and adding up a month.
//! Must not know: prices.
//! Source: `functions/`: the calls of each; `client/`: a ping after each silence, a connection of at most 2 hours.

use domain::limits;

use super::{
    bill::Bill,
    event::{Event, WAITING_MB, invocation_ms, read_units},
};

/// Minutes of a month of 730 hours.
pub(super) const MONTH_MINUTES: u64 = 43_800;

/// Longest life of a connection. Source: API Gateway quotas.
pub(super) const LIFE_MINUTES: u64 = 120;

/// The answer that an order is level: `{"type":"heads","orders":{}}`.
const HEADS_BYTES: u64 = 28;

/// Open connections, each subscribed to one order, and the events that come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) connections: u64,
    pub(super) events_per_minute: u64,
    /// After how many seconds of silence a client pings.
    pub(super) ping_seconds: u64,
    /// After how many seconds at most a client asks whether its order is level.
    pub(super) heads_seconds: u64,
    pub(super) event: Event,
}

impl Load {
    /// A month of it: appends, events, connections that live as long as they may, pings as if all were silent, and heads as if
    /// all pages were visible.
    pub(super) fn month(&self) -> Bill {
        let events = (self.event.append() + self.event.bill()) * (self.events_per_minute * MONTH_MINUTES);
        let lives = (self.connections * MONTH_MINUTES).div_ceil(LIFE_MINUTES);
        let minutes = Bill { connection_minutes: self.connections * MONTH_MINUTES, ..Bill::default() };
        events
            + self.life() * lives
            + minutes
            + self.pings() * (self.connections * MONTH_MINUTES * 60 / self.ping_seconds)
            + self.heads() * (self.connections * MONTH_MINUTES * 60 / self.heads_every_seconds())
    }

    /// A connection: the authorizer, `$connect`, one `subscribe` with its answer, `$disconnect`.
    fn life(&self) -> Bill {
        let answer = self.event.message_bytes;
        Bill {
            // PutItem; UpdateItem, PutItem and GetItem; Query, BatchWriteItem and DeleteItem.
            dynamodb_calls: 1 + 3 + 3,
            read_units: read_units(self.event.projection_bytes) + 1,
            // The row of a subscription and its entry in the index count one each, when they come and when they go.
            write_units: 1 + (1 + 2) + (2 + 1),
            pushes: 1,
            messages: 2,
            invocations: 4,
            lambda_mb_ms: WAITING_MB * (waiting_ms(1, 0) * 2 + waiting_ms(3, 1) + waiting_ms(3, 0)),
            bytes_out: answer,
            ..Bill::default()
        }
    }

    /// The time between two questions: the client draws it between the half and the whole of the longest one.
    pub(super) fn heads_every_seconds(&self) -> u64 {
        (self.heads_seconds * 3 / 4).max(1)
    }

    /// The question whether one order is level, and its answer: BatchGetItem.
    pub(super) fn heads(&self) -> Bill {
        Bill {
            dynamodb_calls: 1,
            read_units: read_units(self.event.projection_bytes),
            messages: 2,
            invocations: 1,
            lambda_mb_ms: WAITING_MB * waiting_ms(1, 0),
            bytes_out: HEADS_BYTES,
            ..Bill::default()
        }
    }

    /// A ping and its answer: two messages, which API Gateway answers without a function.
    fn pings(&self) -> Bill {
        Bill { messages: 2, ..Bill::default() }
    }
}

/// Time of an invocation of a function that answers one message.
fn waiting_ms(calls: u64, pushes: u64) -> u64 {
    invocation_ms(calls, pushes, limits::PUSH_PROCESSES_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_of_a_silent_connection_is_minutes_pings_and_its_lives() {
        let event = Event { subscribers: 1, event_bytes: 1, projection_bytes: 1, message_bytes: 1 };
        let load = Load { connections: 1, events_per_minute: 0, ping_seconds: 60, heads_seconds: 180, event };
        let month = load.month();
        assert_eq!(month.connection_minutes, MONTH_MINUTES);
        let heads = MONTH_MINUTES * 60 / 135;
        assert_eq!(month.messages, 2 * MONTH_MINUTES + 2 * 365 + 2 * heads);
        assert_eq!((month.invocations, month.write_units), (4 * 365 + heads, 7 * 365));
        let unasked = Load { heads_seconds: MONTH_MINUTES * 60 * 2, ..load };
        let rarely = Load { ping_seconds: 540, ..unasked };
        assert!(rarely.month().messages < unasked.month().messages / 8);
    }
}
