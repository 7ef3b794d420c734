//! The feed: documents of FaunaDB, page by page, into the event log.
//!
//! Owns: the lease, the order of backfill and tail, and that progress is saved after the appends and by nobody else.
//! Must not know: the environment, Lambda.
//! Source: `docs/fauna.md`, "How it works".

use std::time::Duration;

use domain::{
    Json,
    limits::{FAUNA_LEASE, FAUNA_PART_DOCUMENTS_MAX, FAUNA_POLL_PAUSE},
};
use queues::{Failure, FailureQueue, QueueError};
use store::{
    EventLog, FaunaFeed,
    event_log::{AppendError, ReadError},
    fauna_feed::{Lease, Place, Progress, Saved, Taken},
    now_ms,
};
use tokio::{sync::mpsc::UnboundedSender, time::Instant};

use crate::{
    append::{Counts, Sequence, reasons},
    client::{Answer, Fauna},
    document::Page,
    error::FaunaError,
    query::{self, Names},
    retry::Retry,
};

/// What a feed works with.
#[derive(Debug)]
pub struct Feed {
    pub(crate) fauna: Fauna,
    pub(crate) names: Names,
    pub(crate) state: FaunaFeed,
    pub(crate) log: EventLog,
    pub(crate) refused: Refused,
}

/// Where documents go that are no events.
#[derive(Clone, Debug)]
pub enum Refused {
    /// To the failure queue.
    Queue(FailureQueue),
    /// To whoever works on a command line.
    Listed(UnboundedSender<Failure>),
}

/// For how long a feed works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Until then.
    Deadline(Instant),
    /// Until it has read what there is.
    CaughtUp,
}

/// Why a feed ended without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its time is over.
    Deadline,
    /// It has read what there is.
    CaughtUp,
    /// Another feed works.
    Busy,
    /// Another feed took over.
    Superseded,
    /// The index is still being built.
    Building,
}

/// What a feed did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Why it ended.
    pub ended: Ended,
    /// What became of the documents.
    pub counts: Counts,
    /// At its end it had read what there was.
    pub is_drained: bool,
}

/// Why a feed failed. It stops where it is: the next one goes on from the same place.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// FaunaDB was not read.
    #[error("FaunaDB could not be read")]
    Fauna(#[from] FaunaError),
    /// An event was not appended.
    #[error("an event of FaunaDB was not appended")]
    Append(#[from] AppendError),
    /// A log was not read.
    #[error("a log could not be read")]
    Log(#[from] ReadError),
    /// The feed's own state was not read or written.
    #[error(transparent)]
    State(#[from] store::fauna_feed::FeedError),
    /// A document that is no event is on no queue.
    #[error("a document that is no event was not reported")]
    NotReported(#[from] QueueError),
}

impl From<store::CallError> for FeedError {
    fn from(error: store::CallError) -> Self {
        Self::State(error.into())
    }
}

impl Refused {
    pub(crate) async fn take(&self, failure: Failure) -> Result<(), QueueError> {
        match self {
            Self::Queue(queue) => queue.send(&failure).await,
            Self::Listed(listed) => {
                // Whoever listened has gone; what was refused is marked and logged all the same.
                listed.send(failure).ok();
                Ok(())
            }
        }
    }
}

/// What ends a run before its time.
pub(crate) enum Stop {
    Ended(Ended),
    Failed(FeedError),
}

impl<E: Into<FeedError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// A feed at work.
pub(crate) struct Run<'a> {
    pub(crate) feed: &'a Feed,
    pub(crate) counts: Counts,
    pub(crate) progress: Progress,
    lease: Lease,
    held_until_ms: i64,
    retry: Retry,
    until: Until,
    is_drained: bool,
    /// When it looked for removals last.
    pub(crate) looked_at: Option<Instant>,
}

impl Feed {
    /// A feed from this server into this log.
    #[must_use]
    pub fn new(fauna: Fauna, names: Names, state: FaunaFeed, log: EventLog, refused: Refused) -> Self {
        Self { fauna, names, state, log, refused }
    }

    /// Works until it is time, or until it has read what there is. `seen` is told after each page.
    ///
    /// # Errors
    /// [`FeedError`] for what no waiting helps against, or lasts until the end of the time.
    pub async fn run(&self, until: Until, seen: &(dyn Fn(Counts) + Send + Sync)) -> Result<Report, FeedError> {
        let Some((lease, progress, held_until_ms)) = self.take(until).await? else {
            return Ok(Report { ended: Ended::Busy, counts: Counts::default(), is_drained: false });
        };
        let is_new = progress.is_none();
        let progress = progress.unwrap_or(Progress {
            place: Place::Backfill { tail_from_us: 0, through_id: None },
            last_seen_us: 0,
            removals_from_us: 0,
            collection_us: 0,
        });
        self.fauna.saw(progress.last_seen_us);
        let counts = Counts::default();
        let retry = Retry::default();
        let mut run = Run {
            feed: self,
            lease,
            held_until_ms,
            progress,
            retry,
            until,
            counts,
            is_drained: false,
            looked_at: None,
        };
        let stop = match Box::pin(run.work(is_new, seen)).await {
            Ok(never) => match never {},
            Err(stop) => stop,
        };
        run.leave(&stop).await;
        let Run { counts, is_drained, .. } = run;
        match stop {
            Stop::Ended(ended) => Ok(Report { ended, counts, is_drained }),
            Stop::Failed(error) => Err(error),
        }
    }

    /// Takes the lease; waits for one that was left behind, and no longer: one that is renewed is in good hands.
    async fn take(&self, until: Until) -> Result<Option<(Lease, Option<Progress>, i64)>, FeedError> {
        let give_up = Instant::now() + FAUNA_LEASE + FAUNA_POLL_PAUSE;
        loop {
            let now_ms = now_ms();
            let until_ms = now_ms.saturating_add(lease_ms());
            match self.state.take(now_ms, until_ms).await? {
                Taken::Ours(lease, progress) => return Ok(Some((lease, progress, until_ms))),
                Taken::Held { until_ms } => {
                    let left_ms = u64::try_from(until_ms.saturating_sub(now_ms)).unwrap_or_default();
                    let left = Duration::from_millis(left_ms.saturating_add(1));
                    let again = Instant::now() + left.min(FAUNA_POLL_PAUSE);
                    if again > give_up || until.is_over(again) {
                        return Ok(None);
                    }
                    tokio::time::sleep_until(again).await;
                }
            }
        }
    }
}

impl Until {
    fn is_over(self, now: Instant) -> bool {
        match self {
            Self::Deadline(deadline) => now >= deadline,
            Self::CaughtUp => false,
        }
    }
}

fn lease_ms() -> i64 {
    i64::try_from(FAUNA_LEASE.as_millis()).unwrap_or(i64::MAX)
}

/// A run ends by a reason alone.
pub(crate) enum Never {}

impl Run<'_> {
    async fn work(&mut self, is_new: bool, seen: &(dyn Fn(Counts) + Send + Sync)) -> Result<Never, Stop> {
        self.open(is_new).await?;
        loop {
            if self.until.is_over(Instant::now()) {
                return Err(Stop::Ended(Ended::Deadline));
            }
            // The last page of the backfill is followed by what was committed meanwhile.
            let is_tail = matches!(self.progress.place, Place::Tail { .. });
            let has_more = self.page().await?;
            seen(self.counts);
            self.is_drained = is_tail && !has_more;
            if !self.is_drained {
                continue;
            }
            self.look_for_removals().await?;
            if self.until == Until::CaughtUp {
                return Err(Stop::Ended(Ended::CaughtUp));
            }
            self.pause(FAUNA_POLL_PAUSE).await?;
        }
    }

    /// Looks at the collection and its index before anything is read.
    async fn open(&mut self, is_new: bool) -> Result<(), Stop> {
        let names = &self.feed.names;
        let last = match self.progress.place {
            Place::Backfill { through_id, .. } | Place::Tail { through_id, .. } => through_id,
        };
        let opened = loop {
            let opened = self.ask(|_| query::opening(names, last)).await?.resource;
            if opened.at(["index", "active"]).and_then(Json::as_bool) == Some(true) {
                break opened;
            }
            self.failed(FaunaError::Building).await?;
        };
        let collection_us = opened.at(["collection", "ts"]).and_then(Json::as_i64).ok_or(FaunaError::Unreadable)?;
        if !is_new && collection_us != self.progress.collection_us {
            tracing::error!("changed: the collection was made anew, or its settings were changed; the feed goes on");
        }
        self.progress.collection_us = collection_us;
        if opened.get("last").and_then(Json::as_bool) == Some(false) {
            let document = last.unwrap_or_default();
            tracing::warn!(document, "missing: the last document was deleted, or the database was restored");
        }
        if opened.at(["collection", "ttl_days"]).is_some_and(|days| *days != Json::Null) {
            tracing::warn!("ttl: documents of the collection end by themselves; one that ends unread is lost");
        }
        Ok(())
    }

    /// Reads and appends a page; whether there is more of the same.
    async fn page(&mut self) -> Result<bool, Stop> {
        let (names, place) = (&self.feed.names, self.progress.place);
        let answer = self.ask(|size| query::page(names, place, size)).await?;
        let Page { mut documents, has_more } = Page::read(answer.resource)?;
        // The place may be that of the first document, which is done with.
        let is_done = |id: i64, ts_us: i64| match place {
            Place::Backfill { through_id, .. } => through_id == Some(id),
            Place::Tail { through_us, through_id } => through_id == Some(id) && through_us == ts_us,
        };
        if documents.first().is_some_and(|first| is_done(first.id, first.ts_us)) {
            documents.remove(0);
        }
        let last = documents.last().map(|last| (last.id, last.ts_us));
        let sequence = match place {
            Place::Backfill { .. } => Sequence::Ids,
            Place::Tail { .. } => Sequence::Commits,
        };
        let is_idle = documents.is_empty();
        let mut documents = documents.into_iter();
        loop {
            let part: Vec<_> = documents.by_ref().take(FAUNA_PART_DOCUMENTS_MAX).collect();
            if part.is_empty() {
                break;
            }
            // A page that takes long is no page of a feed that was killed.
            self.hold().await?;
            self.counts += self.feed.append(part, sequence).await?;
        }
        self.progress.place = match (place, last) {
            (Place::Backfill { tail_from_us, through_id }, last) => {
                // The tail begins where the backfill did: what was committed since is in one of them.
                let tail_from_us = if tail_from_us == 0 { answer.transaction_us } else { tail_from_us };
                self.progress.removals_from_us = tail_from_us;
                if has_more {
                    Place::Backfill { tail_from_us, through_id: last.map(|(id, _)| id).or(through_id) }
                } else {
                    Place::Tail { through_us: tail_from_us, through_id: None }
                }
            }
            (Place::Tail { .. }, Some((id, ts_us))) => Place::Tail { through_us: ts_us, through_id: Some(id) },
            (tail @ Place::Tail { .. }, None) => tail,
        };
        if !is_idle || self.progress.place != place {
            self.save().await?;
        }
        Ok(has_more)
    }

    /// Asks until there is an answer.
    pub(crate) async fn ask(&mut self, query: impl Fn(usize) -> Json) -> Result<Answer, Stop> {
        loop {
            self.hold().await?;
            let left = match self.until {
                Until::Deadline(deadline) => deadline.saturating_duration_since(Instant::now()),
                Until::CaughtUp => self.retry.time_out,
            };
            let time_out = self.retry.time_out.min(left.max(Duration::from_secs(1)));
            match self.feed.fauna.query(&query(self.retry.page), time_out).await {
                Ok(answer) => {
                    self.retry.succeeded();
                    if answer.is_limited {
                        tracing::warn!("throttled: FaunaDB held a query up");
                    }
                    return Ok(answer);
                }
                Err(error) => self.failed(error).await?,
            }
        }
    }

    /// Waits before the next try, if there is one.
    async fn failed(&mut self, error: FaunaError) -> Result<(), Stop> {
        let Some(pause) = self.retry.failed(&error) else { return Err(error.into()) };
        tracing::warn!(%error, "asking again");
        match (self.pause(pause).await, error) {
            (Err(Stop::Ended(Ended::Deadline)), FaunaError::Building) => Err(Stop::Ended(Ended::Building)),
            // An error that lasts as long as the time is one.
            (Err(Stop::Ended(Ended::Deadline)), error) => Err(error.into()),
            (paused, _) => paused,
        }
    }

    /// Waits, unless the time is over before.
    async fn pause(&mut self, pause: Duration) -> Result<(), Stop> {
        let end = Instant::now() + pause;
        if self.until.is_over(end) {
            return Err(Stop::Ended(Ended::Deadline));
        }
        tokio::time::sleep_until(end).await;
        Ok(())
    }

    /// Saves progress, and holds the lease by it.
    pub(crate) async fn save(&mut self) -> Result<(), Stop> {
        self.progress.last_seen_us = self.feed.fauna.last_seen_us();
        let until_ms = now_ms().saturating_add(lease_ms());
        let saved = self.feed.state.save(&self.lease, &self.progress, until_ms).await.map_err(FeedError::from)?;
        self.held(saved, until_ms)
    }

    /// Holds the lease, if half of it is over.
    async fn hold(&mut self) -> Result<(), Stop> {
        let now_ms = now_ms();
        if self.held_until_ms.saturating_sub(now_ms) > lease_ms() / 2 {
            return Ok(());
        }
        let until_ms = now_ms.saturating_add(lease_ms());
        let held = self.feed.state.hold(&self.lease, until_ms).await.map_err(FeedError::from)?;
        self.held(held, until_ms)
    }

    fn held(&mut self, saved: Saved, until_ms: i64) -> Result<(), Stop> {
        match saved {
            Saved::Stored => {
                self.held_until_ms = until_ms;
                Ok(())
            }
            Saved::Superseded => Err(Stop::Ended(Ended::Superseded)),
        }
    }

    /// Saves what was seen and gives the lease back, so that the next feed need not wait for its end. It ends by itself too.
    async fn leave(&self, stop: &Stop) {
        if matches!(stop, Stop::Ended(Ended::Superseded)) {
            return;
        }
        let has_begun = !matches!(self.progress.place, Place::Backfill { tail_from_us: 0, .. });
        let left = if has_begun {
            let last_seen_us = self.feed.fauna.last_seen_us();
            let progress = Progress { last_seen_us, ..self.progress.clone() };
            self.feed.state.save(&self.lease, &progress, 0).await
        } else {
            self.feed.state.hold(&self.lease, 0).await
        };
        if let Err(error) = left {
            tracing::warn!(reason = reasons(&error), "the lease was not given back");
        }
    }
}
