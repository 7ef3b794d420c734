//! What was deleted after it was appended.
//!
//! Owns: reading what left the collection, as far as FaunaDB remembers it: 15 minutes and the collection's history days.
//! Must not know: appending. The log keeps what it has.
//! Source: FaunaDB `SetHistory`, `Collection.MVTOffset`; `docs/fauna.md`, "What is guaranteed".

use domain::{
    Json,
    limits::{FAUNA_PAGE_REFS_MAX, FAUNA_REMOVAL_PAGES_MAX, FAUNA_REMOVALS_PAUSE},
};
use tokio::time::Instant;

use crate::{
    FeedError,
    document::Removals,
    error::FaunaError,
    feed::{Run, Stop},
    query,
};

impl Run<'_> {
    /// Counts the documents that were deleted since the last look, of those that are in a log. What keeps it from looking
    /// keeps no event from being appended.
    pub(crate) async fn look_for_removals(&mut self) -> Result<(), Stop> {
        if self.looked_at.is_some_and(|looked_at| looked_at.elapsed() < FAUNA_REMOVALS_PAUSE) {
            return Ok(());
        }
        self.looked_at = Some(Instant::now());
        let (names, from_us) = (&self.feed.names, self.progress.removals_from_us);
        let mut after = Json::from(from_us);
        let mut next_us = from_us;
        for _ in 0..FAUNA_REMOVAL_PAGES_MAX {
            let answer = match self.ask(|_| query::removals(names, after.clone(), FAUNA_PAGE_REFS_MAX)).await {
                Ok(answer) => answer,
                Err(Stop::Failed(FeedError::Fauna(FaunaError::Forgotten))) => {
                    tracing::warn!("removals: FaunaDB has forgotten what was since the last look");
                    self.progress.removals_from_us = self.feed.fauna.last_seen_us();
                    return Ok(());
                }
                Err(Stop::Failed(FeedError::Fauna(FaunaError::Forbidden))) => {
                    tracing::warn!("removals: the secret's role may not read history; deletions are not counted");
                    return Ok(());
                }
                Err(stop) => return Err(stop),
            };
            let Removals { removed, after: next, last_us } = Removals::read(answer.resource)?;
            for id in removed {
                let mark = self.feed.state.marked(id).await.map_err(FeedError::from)?;
                let Some(order_id) = mark.and_then(|mark| mark.order_id) else { continue };
                self.counts.removed += 1;
                tracing::warn!(order_id = order_id.as_str(), document = id, "removed: the log keeps its event");
            }
            next_us = last_us.map_or(next_us, |last_us| last_us.saturating_add(1));
            match next {
                Some(next) => after = next,
                None => break,
            }
        }
        if next_us != from_us {
            self.progress.removals_from_us = next_us;
            self.save().await?;
        }
        Ok(())
    }
}
