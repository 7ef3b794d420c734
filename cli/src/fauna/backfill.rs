//! `foldcast fauna backfill`: the documents that there are, into the log.
//!
//! Owns: the progress on a terminal, and a line for each document that is no event.
//! Must not know: how documents are appended; it is the function's own code, with its lease and its place.
//! Source: docs/fauna.md, "Set-up".

use std::io::{self, IsTerminal};

use anyhow::{Context as _, anyhow};
use fauna_feed::{Counts, Ended, Failure as Refusal, Feed, Refused, Until};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::sync::mpsc;

use super::Source;
use crate::{args::Target, deployment, failure::Failure};

pub(super) async fn run(source: &Source, target: &Target) -> Result<(), Failure> {
    let (fauna, names) = source.open()?;
    let documents = fauna.documents(&names).await.context("cannot count the documents")?;
    let state = deployment::fauna_feed(target, &names.collection)?;
    let log = deployment::open(target)?.event_log;
    let (refused, mut refusals) = mpsc::unbounded_channel();
    let feed = Feed::new(fauna, names, state, log, Refused::Listed(refused));
    let progress = progress_bar(documents);
    let seen = |counts: Counts| progress.set_position(counts.documents());
    let report = Box::pin(feed.run(Until::CaughtUp, &seen)).await;
    progress.finish_and_clear();
    drop(feed);
    while let Some(refusal) = refusals.recv().await {
        if let Refusal::NotAppended { event_ref, reason } = refusal {
            println!("{}", json!({"refused": event_ref, "reason": reason}));
        }
    }
    let report = report.context("the backfill stopped; run it again, it goes on where it was (a deployment has its table with a feed alone: foldcast up --fauna URL, or the parameter FaunaEndpoint)")?;
    let Counts { appended, late, there, updated, removed, refused } = report.counts;
    let counts = json!({
        "appended": appended, "late": late, "there": there, "updated": updated, "removed": removed, "refused": refused,
    });
    match report.ended {
        Ended::CaughtUp | Ended::Deadline => println!("{counts}"),
        Ended::Busy | Ended::Superseded => {
            return Err(Failure::failed(anyhow!("another feed works at this collection, and does the same")));
        }
        Ended::Building => return Err(Failure::failed(anyhow!("the index is being built: foldcast fauna init waits"))),
    }
    if refused == 0 { Ok(()) } else { Err(Failure::reported()) }
}

/// Shown on a terminal alone.
fn progress_bar(documents: u64) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} documents, {per_sec}, {eta} left");
    ProgressBar::new(documents).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
