//! Every bound of the product, with its unit, its reason and its source.
//!
//! Owns: numbers that stop a loop, a page, a retry, a fan-out or an input from growing without end.
//! Must not know: who enforces them.
//! Source: named at each number.

use std::time::Duration;

/// Longest order id, in bytes of UTF-8. DynamoDB takes 2,048 for a partition key; an id is typed into every row,
/// index entry and message, so it is kept short.
pub const ORDER_ID_BYTES_MAX: usize = 256;

/// Largest number that is a version, a count or a time: the largest whole number that every browser holds exactly. As microseconds
/// since 1970 it is in the year 2255. Source: ECMAScript, `Number.MAX_SAFE_INTEGER`.
pub const WHOLE_NUMBER_MAX: u64 = (1 << 53) - 1;

/// Longest ref of an event, in bytes of UTF-8. Source: ours; a UUID has 36, a ULID 26, and a ref stands in each item twice.
pub const EVENT_REF_BYTES_MAX: usize = 128;

/// Longest id of a principal, in bytes of UTF-8, for the same reason.
pub const PRINCIPAL_ID_BYTES_MAX: usize = 256;

/// Most subscriptions of one connection, unless the deployment says otherwise: as many as one message can name. Their
/// ids stand in the connection's row, so 100 of the longest take 25 KB of the 400 KB that an item may have.
pub const SUBSCRIPTIONS_PER_CONNECTION_MAX: usize = 100;

/// Most subscriptions of one connection that a deployment may allow: so many of the longest ids fit into one item.
pub const SUBSCRIPTIONS_PER_CONNECTION_CEILING: usize = 1_000;

/// Most orders that one `subscribe` or `unsubscribe` message may name: each costs reads within one invocation.
pub const ORDERS_PER_MESSAGE_MAX: usize = 100;

/// Most orders of one message that are worked on at once, to keep a single browser from filling the connection pool.
pub const ORDERS_IN_FLIGHT_MAX: usize = 16;

/// How far the clocks of a token's issuer and of AWS may be apart, in seconds: a token counts from this much before its time
/// until this much after it, wherever its time is looked at.
pub const CLOCK_SKEW_S: i64 = 5;

/// What one principal's messages may cost at once after a pause, in billionths of a dollar ([`crate::price`]): 190 pages that
/// subscribe to 100 orders each, or a log of 330 MB that is resumed.
pub const PRINCIPAL_COST_AT_ONCE_MAX: u64 = 50_000_000;

/// The same a minute, from then on: 38 such pages.
pub const PRINCIPAL_COST_A_MINUTE_MAX: u64 = 10_000_000;

/// What of it each process grants at once without a call to DynamoDB: nearly two pages of 100 orders, so that an ordinary
/// message costs no more calls than it would without any bound.
pub const PROCESS_COST_AT_ONCE_MAX: u64 = 500_000;

/// The same a minute, from then on.
pub const PROCESS_COST_A_MINUTE_MAX: u64 = 500_000;

/// What a process takes of a principal's allowance in one call.
pub const COST_TAKEN_AT_ONCE: u64 = 500_000;

const _: () = assert!(COST_TAKEN_AT_ONCE <= PRINCIPAL_COST_AT_ONCE_MAX);

/// Principals whose spending a process knows at once; those who have spent nothing lately are forgotten.
pub const SPENDERS_KNOWN_MAX: usize = 1_000;

/// Messages of a principal without an allowance that a process answers, before it closes the connection of each further one.
pub const REFUSALS_MAX: u32 = 20;

/// Calls that spend of a principal's allowance while other processes do so at the same time, before the message fails.
pub const SPEND_ATTEMPTS_MAX: u32 = 16;

/// Largest message that API Gateway delivers to a browser, in bytes. Source: API Gateway quotas (128 KB).
pub const MESSAGE_BYTES_MAX: usize = 128 * 1024;

/// Largest item that DynamoDB stores, in bytes, names included. Source: DynamoDB quotas (400 KB).
pub const ITEM_BYTES_MAX: usize = 400 * 1024;

/// Deepest nesting of lists and maps that DynamoDB stores under an attribute. Source: DynamoDB quotas (32 levels).
pub const NESTING_LEVELS_MAX: usize = 32;

/// Deepest nesting of lists and objects in JSON that is read. DynamoDB's types double the levels of what it stores, and a
/// message or record adds a few around it.
pub const JSON_LEVELS_MAX: usize = 128;

const _: () = assert!(JSON_LEVELS_MAX >= 2 * NESTING_LEVELS_MAX + 16, "whatever DynamoDB stores is read");

/// Tries of one append that keeps losing the race for the next version. Each loser lost to a winner, so `n` racing
/// appenders need at most `n` rounds; 200 covers far more producers than one order ever has.
pub const APPEND_TRIES_MAX: u32 = 200;

/// Of the events that are appended, one in this many has a trace. Source: X-Ray's own default is 5 in 100.
pub const TRACED_ONE_IN: u32 = 20;

/// Longest pause between two tries of an append, before jitter.
pub const APPEND_PAUSE_MAX: Duration = Duration::from_millis(100);

/// Tries of one fold when another handler writes the projection of the same order meanwhile. The change feed has one
/// reader for each order, so two handlers meet only while one of them is being replaced.
pub const FOLD_TRIES_MAX: u32 = 8;

/// Projections that a process remembers after it stored them, so that the next event of an order is folded without a read.
/// With the bound on each they take 8 MB as stored, of the 256 MB that a function has.
pub const PROJECTIONS_REMEMBERED_MAX: usize = 512;

/// Largest projection that is remembered, in bytes as it is stored.
pub const PROJECTION_REMEMBERED_BYTES_MAX: usize = 16 * 1024;

/// How long an order that fails for a reason that may pass is retried before it is dead-lettered. An outage of AWS is
/// longer only once in years, and a replay of the failure queue repairs every order after that.
pub const DEFERRED_FOR_MAX: Duration = Duration::from_secs(6 * 60 * 60);

/// How long an event waits for one before it that is missing, until it is dead-lettered. Producers that race close a gap within
/// milliseconds, and one that died and starts again within minutes.
pub const GAP_LASTS_MAX: Duration = Duration::from_secs(15 * 60);

const _: () = assert!(GAP_LASTS_MAX.as_secs() <= QUEUE_DELAY_MAX.as_secs(), "one delay of the queue is the whole wait");

/// Orders of one batch that are folded and pushed at once.
pub const FOLDS_IN_FLIGHT_MAX: usize = 32;

/// Bytes of records that are folded and pushed at once, as text; an order with more is worked on without any other. Small
/// values take some twenty times of that in memory, of the 1,769 MB that the event handler has.
pub const FOLD_BYTES_IN_FLIGHT_MAX: usize = 1024 * 1024;

/// Bytes of an order's records up to which it is folded beside any other.
pub const FOLD_BYTES_SMALL: usize = 16 * 1024;

const _: () = assert!(FOLD_BYTES_SMALL * FOLDS_IN_FLIGHT_MAX <= FOLD_BYTES_IN_FLIGHT_MAX);

/// How long after an order was deferred a process defers its next events at once, without a call that would be in vain.
pub const DEFERRED_LATELY: Duration = Duration::from_secs(10);

/// Parts of a log (each at most [`LOG_PART_BYTES_MAX`]) whose events are pushed with one update; a run of more is pushed without
/// its events, and the clients resume from the log.
pub const PUSHED_RUN_PARTS_MAX: usize = 10;

/// How long the event handler folds and pushes a batch itself; whoever is left is retried from the page queue. A full page takes a
/// second or two, and a connection that does not answer the timeouts of two attempts.
pub const PUSH_BEFORE_PAGES_MAX: Duration = Duration::from_secs(10);

const _: () = assert!(PUSH_BEFORE_PAGES_MAX.as_secs() > PUSH_TIME_OUT.as_secs() * 2);

/// Most events in one pushed update. A run is longer only after the change feed stood still for long; it is then pushed
/// without its events, and the clients resume from the log.
pub const PUSHED_RUN_EVENTS_MAX: u64 = 1_000;

/// Calls that one process has in flight at once, over HTTP/1.1 connections that are kept; fewer if its share of the quota
/// is small.
pub const PUSHES_IN_FLIGHT_MAX: usize = 64;

/// Fewest calls that a process may have in flight at once, so that a few connections that do not answer leave room.
pub const PUSHES_IN_FLIGHT_MIN: usize = 8;

/// Calls in flight for each 100 a second that a process may make. A call takes 20 ms or so, so 2 would do; the others are
/// room for connections that do not answer.
pub const PUSHES_IN_FLIGHT_PER_100: u32 = 7;

/// Requests a second that API Gateway takes from an account in a region, `@connections` among them, unless the
/// deployment says otherwise. Source: API Gateway quotas (10,000; 2,500 in some regions).
pub const REQUESTS_PER_SECOND: u32 = 10_000;

/// Processes of one function that push at the same time, unless the deployment says otherwise: as many as the queue of
/// pages invokes.
pub const PUSH_PROCESSES_MAX: u32 = 10;

/// Of the account's quota, the percentage that the processes of one function use while nothing is throttled.
pub const PACE_QUOTA_PERCENT: u32 = 90;

/// After a pause a process may burst as many calls as it may make in this time. Source: API Gateway's own burst is half a
/// second's calls; half of that is left to others.
pub const PACE_BURST_SECONDS: f64 = 0.25;

/// The burst of a process that was throttled lately: what a timer's coarseness costs.
pub const PACE_SLOWED_BURST_SECONDS: f64 = 0.02;

/// The lowest pace, as a part of the process's share of the quota: throttling never stops a process.
pub const PACE_FLOOR_PART: f64 = 0.1;

/// The same while connections are throttled and none of them is served later: it may be they that are too slow.
pub const PACE_UNPROVEN_FLOOR_PART: f64 = 0.5;

/// By how much of the process's share the pace rises in a second without throttling.
pub const PACE_RISE_PART: f64 = 0.05;

/// The pace is multiplied by at least this when the account is throttled, and by at most the second.
pub const PACE_FALL_MIN: f64 = 0.5;
/// See [`PACE_FALL_MIN`].
pub const PACE_FALL_MAX: f64 = 0.85;

/// How long answers count together for the pace.
pub const PACE_WINDOW: Duration = Duration::from_secs(1);

/// Connections that are throttled and then served within a window, from which on the cause is the account. A reader that
/// is too slow stays throttled, and one that is only just too slow is one connection.
pub const PACE_PASSED_MIN: usize = 3;

/// Connections that are throttled within a window and make up most of its answers, from which on the pace falls as well.
pub const PACE_THROTTLED_MIN: usize = 10;

/// How long an answer counts for what is known of API Gateway: as long as an invocation pushes to a page.
pub const HEALTH_WINDOW: Duration = Duration::from_secs(16);

/// Connections in a row that API Gateway does not answer, from which on it counts as out.
pub const OUT_CONNECTIONS_MIN: usize = 5;

/// Connections of an update that are tried although API Gateway counts as out. If one is answered, the others follow.
pub const OUT_TRIALS_MAX: usize = 3;

/// Calls of a process that are accepted between a connection's first and last 429, from which on its reader is too slow.
/// While the account refuses three calls in ten, twenty are accepted in a row less than once in a thousand times.
pub const OTHERS_SERVED_MIN: u64 = 20;

/// How long before its first 429 nobody may have been throttled because of the account, for the same conclusion.
pub const CALM_BEFORE: Duration = Duration::from_secs(2);

/// Accepted calls from which on API Gateway counts as up although a connection was throttled.
pub const UP_ACCEPTED_MIN: u32 = 5;

/// Calls of one probe: as many as the evidence takes.
pub const PROBES_MAX: usize = 5;

const _: () = assert!(PROBES_MAX >= 5 && UP_ACCEPTED_MIN <= 5);

/// Subscribers of an order that one invocation pushes to, unless the deployment says otherwise; more are handed over in
/// pages of so many. A thousand pushes take about a second, which is short of every time-out and long beside a hop.
pub const PAGE_SUBSCRIBERS_MAX: usize = 1_000;

/// Pages that one call hands over. Source: SQS, `SendMessageBatch` takes 10 messages.
pub const PAGES_PER_CALL_MAX: usize = 10;

/// Longest wait for one push. A POST to a browser that vanished without a word can hang for seconds.
/// Source: aws-sdk-js-v3 #6896, go-v2 #1534.
pub const PUSH_TIME_OUT: Duration = Duration::from_secs(2);

/// Most of an answer to a push that is read, in bytes, so that its connection can be kept; API Gateway's have less than
/// 1 KB. A longer one costs its connection.
pub const PUSH_ANSWER_BYTES_MAX: usize = 16 * 1024;

/// Tries of one push whose failure can pass (429, 5xx).
pub const PUSH_TRIES_MAX: u32 = 4;

/// Tries of one push that gets no answer in time. Fewer than for an answer: a browser that vanished costs the whole
/// time-out in each, and meanwhile its batch is not done.
pub const PUSH_SILENT_TRIES_MAX: u32 = 2;

/// Pause before the second try of a push, doubled for each further one; the jitter is full.
pub const PUSH_PAUSE_FIRST: Duration = Duration::from_millis(50);

/// What an invocation keeps of its time for settling: closing connections, answering.
pub const INVOCATION_RESERVE: Duration = Duration::from_secs(5);

/// Of the reserve, what probes and closes may take; the rest is for the tables and the answer.
pub const SETTLE_TIME: Duration = Duration::from_secs(3);

const _: () = assert!(PUSH_TIME_OUT.as_secs() < SETTLE_TIME.as_secs());
const _: () = assert!(SETTLE_TIME.as_secs() < INVOCATION_RESERVE.as_secs());

/// Bad connections of one settlement that are closed, whatever their share: a close is safe (the client resumes from the
/// log) and this many reconnects at once are no storm.
pub const CLOSES_ANY_SHARE_MAX: usize = 3;

/// Of the connections of one settlement, one in this many may be closed.
pub const CLOSES_SHARE_DIVISOR: usize = 10;

/// The first round in which a connection is closed that may have been throttled because of the account, or that is not
/// answered although nobody else got the same update: a disturbance of a moment is over by then.
pub const CLOSE_ROUND_MIN: u32 = 3;

/// Longest delay before the second round of an update's pushes, doubled for each further one; the jitter is full.
pub const RETRY_DELAY_FIRST: Duration = Duration::from_secs(2);

/// Longest delay before any round.
pub const RETRY_DELAY_MAX: Duration = Duration::from_secs(60);

/// Doublings after which the delay is [`RETRY_DELAY_MAX`].
pub const RETRY_DOUBLINGS_MAX: u32 = 5;

/// Longest delay that the queue takes. Source: SQS, `DelaySeconds` (15 minutes).
pub const QUEUE_DELAY_MAX: Duration = Duration::from_secs(15 * 60);

const _: () = assert!(RETRY_DELAY_MAX.as_secs() <= QUEUE_DELAY_MAX.as_secs());
const _: () = assert!(RETRY_DELAY_FIRST.as_secs() << RETRY_DOUBLINGS_MAX >= RETRY_DELAY_MAX.as_secs());

/// Longest life of a WebSocket connection. Source: API Gateway quotas (2 hours).
pub const CONNECTION_LIFE_MAX: Duration = Duration::from_secs(2 * 60 * 60);

/// How long a row outlives the longest life of its connection before time-to-live may take it.
pub const ROW_GRACE: Duration = Duration::from_secs(10 * 60);

/// Keys in one `BatchWriteItem`. Source: DynamoDB quotas (25).
pub const BATCH_WRITE_KEYS_MAX: usize = 25;

/// Events of a log that are in memory at once, in bytes as they are stored, unless one takes more. It is as much as one
/// projection may take.
pub const LOG_PART_BYTES_MAX: usize = ITEM_BYTES_MAX;

/// Bytes of projections and events, as they are stored, that the answers to one message hold at once. The largest order takes
/// all but the last 64 KB, so that it has no other large one beside it, while small ones are read as others are sent. In memory
/// a byte of many small values takes up to 300.
pub const ANSWER_BYTES_MAX: usize = ITEM_BYTES_MAX + 64 * 1024;

/// Attempts to subscribe to an order of another that changes meanwhile: each needs one more event of the order between two
/// calls.
pub const SUBSCRIBE_ATTEMPTS_MAX: u32 = 4;

/// Keys in one `BatchGetItem`. Source: DynamoDB quotas (100).
pub const BATCH_GET_KEYS_MAX: usize = 100;

const _: () = assert!(ORDERS_PER_MESSAGE_MAX <= BATCH_GET_KEYS_MAX, "the orders of a message are read in one call");

/// Attempts of a `BatchGetItem` that leaves keys unprocessed, before the caller is told. One call reads 16 MB, and 100
/// items of 400 KB are 40 MB: three calls without any throttling.
pub const BATCH_GET_ATTEMPTS_MAX: u32 = 8;

/// Longest pause before the second attempt of a `BatchGetItem`, doubled for each further one; the jitter is full. All of
/// them together take at most 6.4 seconds.
pub const BATCH_GET_PAUSE_FIRST: Duration = Duration::from_millis(50);

/// Tries to take room for a connection's subscriptions, when its other messages change what it has meanwhile: as many as
/// messages are worked on at once, and some.
pub const ROOM_TRIES_MAX: u32 = 16;

/// Attempts of a `BatchWriteItem` that leaves keys unprocessed, before the caller gets an error: with the pauses between them
/// at most 4 s.
pub const BATCH_WRITE_ATTEMPTS_MAX: u32 = 8;

/// Longest pause after the first attempt of a `BatchWriteItem`, doubled for each further one; the jitter is full.
/// Source: DynamoDB asks for exponential backoff where keys are left unprocessed.
pub const BATCH_WRITE_PAUSE_FIRST: Duration = Duration::from_millis(50);

/// Longest pause between two attempts of a `BatchWriteItem`.
pub const BATCH_WRITE_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Documents in one page of FaunaDB, read with their contents: at 1 KB each a quarter of a megabyte.
pub const FAUNA_PAGE_DOCUMENTS_MAX: usize = 250;

/// Documents of a page that are appended between two looks at the lease.
pub const FAUNA_PART_DOCUMENTS_MAX: usize = 50;

/// Refs in one page of FaunaDB's history, which has no contents.
pub const FAUNA_PAGE_REFS_MAX: usize = 1_000;

/// Pages of history that one look for removals reads; the next look goes on.
pub const FAUNA_REMOVAL_PAGES_MAX: usize = 20;

/// Largest answer of FaunaDB that is held, in bytes; a page over it is read in smaller ones. Twice what FaunaDB takes as a
/// request (8 MiB), so that each document fits.
pub const FAUNA_ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long a query of FaunaDB may take at first, and at most after it took too long. Source: FaunaDB takes up to 10 minutes.
pub const FAUNA_QUERY_TIME_OUT: Duration = Duration::from_secs(10);
/// See [`FAUNA_QUERY_TIME_OUT`].
pub const FAUNA_QUERY_TIME_OUT_MAX: Duration = Duration::from_secs(40);

/// How long a connection to FaunaDB may be idle and still be used. Source: the server closes it after 5 seconds.
pub const FAUNA_IDLE_MAX: Duration = Duration::from_secs(4);

/// How far ahead of this machine's clock a transaction time may be that FaunaDB is told: beyond it reads would wait.
pub const FAUNA_AHEAD_MAX: Duration = Duration::from_secs(2);

/// Tries of one query that fails for a reason that passes; the feed's time is over before, as a rule.
pub const FAUNA_TRIES_MAX: u32 = 30;

/// Tries after an internal error or an answer that cannot be read: what does not pass soon does not pass.
pub const FAUNA_TRIES_TWICE: u32 = 3;

/// Pause before the second try of a query, doubled for each further one up to the longest; the jitter is full.
pub const FAUNA_PAUSE_FIRST: Duration = Duration::from_millis(100);
/// The first pause where a cluster is being changed.
pub const FAUNA_PAUSE_SLOW: Duration = Duration::from_secs(2);
/// See [`FAUNA_PAUSE_FIRST`].
pub const FAUNA_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Pause between two looks for new documents.
pub const FAUNA_POLL_PAUSE: Duration = Duration::from_secs(1);

/// Least time between two looks for what was deleted: nobody waits for it.
pub const FAUNA_REMOVALS_PAUSE: Duration = Duration::from_secs(10);

/// How long the feed's lease is held beyond the last sign of life. A feed that is killed is followed after this.
pub const FAUNA_LEASE: Duration = Duration::from_secs(20);

/// Orders of one page of FaunaDB that are appended to at once.
pub const FAUNA_ORDERS_IN_FLIGHT_MAX: usize = 16;
