//! What one event costs, from its append to its subscribers.
//!
//! Owns: the calls of an append and of a fan-out, and what DynamoDB meters for them.
//! Must not know: prices, how often events come.
//! Source: `shared/store`; the calls and units are those that tests/e2e/cost.rs and tests/cost count. DynamoDB developer guide,
//! "Capacity unit consumption": a strongly consistent read is a unit for each 4 KB, a write one for each 1 KB and one more for
//! each index entry.

use domain::{limits, pace::Quota};

use super::bill::Bill;

/// A subscription's row whose order and principal are UUIDs, its id among them: attribute names and values.
const SUBSCRIPTION_BYTES: u64 = 152;

/// Bytes of a message of API Gateway. Source: API Gateway's prices.
const MESSAGE_UNIT_BYTES: u64 = 32 * 1024;

/// Memory of the functions that push to many, and of the others, in MB. Source: infra/lib/functions.ts.
pub(super) const PUSHING_MB: u64 = 1_769;
pub(super) const WAITING_MB: u64 = 256;

/// Processes of the event handler that push at the same time. Source: infra/lib/functions.ts.
const HANDLER_PROCESSES: u32 = 4;

/// How long a call of DynamoDB takes, and a push: assumed, in milliseconds, since only AWS can say.
const CALL_MS: u64 = 5;
const PUSH_MS: u64 = 20;

/// One event and whom it goes to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) subscribers: u64,
    /// The event's item in the log.
    pub(super) event_bytes: u64,
    /// The projection's item.
    pub(super) projection_bytes: u64,
    /// The update as it is sent.
    pub(super) message_bytes: u64,
}

/// Units of a strongly consistent read; reading nothing is one too.
pub(super) fn read_units(bytes: u64) -> u64 {
    bytes.div_ceil(4 * 1024).max(1)
}

fn write_units(bytes: u64) -> u64 {
    bytes.div_ceil(1024).max(1)
}

/// A bound of `domain::limits`, as a number of this arithmetic.
pub(super) fn bound(limit: usize) -> u64 {
    u64::try_from(limit).unwrap_or(u64::MAX)
}

/// Subscribers that one invocation pushes to; an order with more hands them over in pages of so many.
fn page_max() -> u64 {
    bound(limits::PAGE_SUBSCRIBERS_MAX)
}

/// Time of one invocation that makes calls one after the other and pushes many at once, at its share of the quota:
/// `processes` push at the same time.
pub(super) fn invocation_ms(calls: u64, pushes: u64, processes: u32) -> u64 {
    let unthrottled = pushes.div_ceil(bound(limits::PUSHES_IN_FLIGHT_MAX)) * PUSH_MS;
    let quota = Quota::new(limits::REQUESTS_PER_SECOND, processes);
    let paced = quota.time_for(u32::try_from(pushes).unwrap_or(u32::MAX)).as_millis();
    calls * CALL_MS + unthrottled.max(u64::try_from(paced).unwrap_or(u64::MAX))
}

impl Event {
    /// Appending it: the head and the ref are looked up, then the item and its entry in the index are written.
    pub(super) fn append(&self) -> Bill {
        Bill { dynamodb_calls: 3, read_units: 2, write_units: write_units(self.event_bytes) + 1, ..Bill::default() }
    }

    /// Folding it and pushing it to its subscribers, alone in its batch.
    pub(super) fn bill(&self) -> Bill {
        let fold = Bill {
            dynamodb_calls: 2,
            read_units: read_units(self.projection_bytes),
            write_units: write_units(self.projection_bytes),
            ..Bill::default()
        };
        if self.pages_count() == 0 {
            let read = Bill { dynamodb_calls: 1, read_units: subscriptions_units(self.subscribers), ..Bill::default() };
            return fold + read + invocation(3, self.subscribers, HANDLER_PROCESSES) + self.push(self.subscribers);
        }
        fold + self.hand_over() + self.pages().map(|subscribers| self.page(subscribers)).sum()
    }

    /// How many pages the subscribers are handed over in; none where one invocation pushes itself.
    pub(super) fn pages_count(&self) -> u64 {
        if self.subscribers <= page_max() { 0 } else { self.subscribers.div_ceil(page_max()) }
    }

    fn pages(&self) -> impl Iterator<Item = u64> {
        let (pages, all) = (self.pages_count(), self.subscribers);
        (0..pages).map(move |page| page_max().min(all - page * page_max()))
    }

    /// Finding where each page ends reads every row once, and asks once more behind a last page that is full; then the pages
    /// go to the queue.
    fn hand_over(&self) -> Bill {
        let behind_the_last = u64::from(self.subscribers.is_multiple_of(page_max()));
        let queries = self.pages_count() + behind_the_last;
        let reads = self.pages().map(subscriptions_units).sum::<u64>() + behind_the_last;
        let read = Bill { dynamodb_calls: queries, read_units: reads, ..Bill::default() };
        let send = Bill { sqs_requests: self.sends(), ..Bill::default() };
        read + send + invocation(2 + queries + self.sends(), 0, HANDLER_PROCESSES)
    }

    /// Calls that hand the pages over.
    fn sends(&self) -> u64 {
        self.pages_count().div_ceil(bound(limits::PAGES_PER_CALL_MAX))
    }

    /// A page: the projection, the pushed event from the log, the page's rows, and a push each; the message is received and
    /// deleted.
    fn page(&self, subscribers: u64) -> Bill {
        let reads = read_units(self.projection_bytes) + read_units(self.event_bytes) + subscriptions_units(subscribers);
        let read = Bill { dynamodb_calls: 3, read_units: reads, sqs_requests: 2, ..Bill::default() };
        read + invocation(3, subscribers, limits::PUSH_PROCESSES_MAX) + self.push(subscribers)
    }

    fn push(&self, subscribers: u64) -> Bill {
        let units = self.message_bytes.div_ceil(MESSAGE_UNIT_BYTES).max(1);
        let bytes_out = subscribers * self.message_bytes;
        Bill { pushes: subscribers, messages: subscribers * units, bytes_out, ..Bill::default() }
    }

    /// How long the event handler works on it, in milliseconds.
    pub(super) fn handler_ms(&self) -> u64 {
        match self.pages_count() {
            0 => invocation_ms(3, self.subscribers, HANDLER_PROCESSES),
            pages => invocation_ms(2 + pages + self.sends(), 0, HANDLER_PROCESSES),
        }
    }

    /// Read units that the order's rows cost: all of them are in one partition.
    pub(super) fn subscription_units(&self) -> u64 {
        match self.pages_count() {
            0 => subscriptions_units(self.subscribers),
            _ => 2 * self.pages().map(subscriptions_units).sum::<u64>(),
        }
    }
}

fn subscriptions_units(subscribers: u64) -> u64 {
    read_units(subscribers * SUBSCRIPTION_BYTES)
}

fn invocation(calls: u64, pushes: u64, processes: u32) -> Bill {
    Bill { invocations: 1, lambda_mb_ms: PUSHING_MB * invocation_ms(calls, pushes, processes), ..Bill::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(subscribers: u64) -> Event {
        Event { subscribers, event_bytes: 1_000, projection_bytes: 1_000, message_bytes: 2_000 }
    }

    #[test]
    fn an_event_costs_three_calls_and_a_push_each() {
        let bill = event(2).bill();
        assert_eq!((bill.dynamodb_calls, bill.read_units, bill.write_units), (3, 2, 1));
        assert_eq!((bill.pushes, bill.messages, bill.invocations, bill.sqs_requests), (2, 2, 1, 0));
    }

    #[test]
    fn one_more_than_a_page_is_handed_over_in_two() {
        let (whole, more) = (event(page_max()).bill(), event(page_max() + 1).bill());
        assert_eq!((whole.invocations, whole.sqs_requests), (1, 0));
        assert_eq!((more.invocations, more.pushes, more.sqs_requests), (3, page_max() + 1, 1 + 2 * 2));
        assert_eq!(event(20_000).bill().sqs_requests, 2 + 20 * 2);
    }

    #[test]
    fn a_page_takes_as_long_as_its_share_of_the_quota_lasts() {
        assert_eq!(invocation_ms(0, 64, limits::PUSH_PROCESSES_MAX), PUSH_MS);
        // 900 a second, after a burst of 225.
        assert_eq!(invocation_ms(0, 1_125, limits::PUSH_PROCESSES_MAX), 1_000);
        assert_eq!(invocation_ms(3, 1_000, HANDLER_PROCESSES), 3 * CALL_MS + 16 * PUSH_MS);
    }

    #[test]
    fn a_message_over_32_kb_counts_twice() {
        let large = |message_bytes| Event { message_bytes, ..event(3) }.bill().messages;
        assert_eq!((large(32 * 1024), large(32 * 1024 + 1)), (3, 6));
    }
}
