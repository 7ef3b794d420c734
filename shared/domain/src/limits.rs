//! Every bound of the product, with its unit, its reason and its source.
//!
//! Owns: numbers that stop a loop, a page, a retry, a fan-out or an input from growing without end.
//! Must not know: who enforces them.
//! Source: named at each number.

use std::time::Duration;

/// Longest order id, in bytes of UTF-8. DynamoDB takes 2,048 for a partition key; an id is typed into every row,
/// index entry and message, so it is kept short.
pub const ORDER_ID_BYTES_MAX: usize = 256;

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

/// Largest message that API Gateway delivers to a browser, in bytes. Source: API Gateway quotas (128 KB).
pub const MESSAGE_BYTES_MAX: usize = 128 * 1024;

/// Largest item that DynamoDB stores, in bytes, names included. Source: DynamoDB quotas (400 KB).
pub const ITEM_BYTES_MAX: usize = 400 * 1024;

/// Deepest nesting of lists and maps that DynamoDB stores under an attribute. Source: DynamoDB quotas (32 levels).
pub const NESTING_LEVELS_MAX: usize = 32;

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

/// Orders of one batch that are folded and pushed at once.
pub const FOLDS_IN_FLIGHT_MAX: usize = 32;

/// Most events in one pushed update. A run is longer only after the change feed stood still for long; it is then pushed
/// without its events, and the clients resume from the log.
pub const PUSHED_RUN_EVENTS_MAX: u64 = 1_000;

/// Pushes that one function has in flight at once, over HTTP/1.1 connections that are kept.
pub const PUSHES_IN_FLIGHT_MAX: usize = 64;

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

/// Failed pushes of one update that are settled by closing these connections, whatever their share: a close is safe
/// (the client resumes from the log) and this many reconnects at once are no storm.
pub const CLOSES_ANY_SHARE_MAX: usize = 3;

/// Of the connections of one update, one in this many may be closed; more failures than that are a general failure.
pub const CLOSES_SHARE_DIVISOR: usize = 10;

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
