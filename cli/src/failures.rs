//! `foldcast failures`: what could not be folded, looked at and mended.
//!
//! Owns: which messages a command is about, and that none of the others is lost or stays hidden.
//! Must not know: how an order is folded, SQS.
//! Source: `docs/dead-letters.md`.

mod line;
mod replay;
mod taken;

use anyhow::anyhow;
use queues::FailureQueue;
use serde_json::json;

use crate::{
    args::{self, FailuresCommand},
    deployment,
    failure::Failure,
};
use taken::Taken;

pub(crate) async fn run(options: args::Failures) -> Result<(), Failure> {
    match options.command {
        FailuresCommand::List { queue } => list(&open(&queue).await?).await,
        FailuresCommand::Show { id, queue } => show(&open(&queue).await?, &id).await,
        FailuresCommand::Delete { ids, queue } => delete(&open(&queue).await?, &ids).await,
        FailuresCommand::Replay { ids, all, management_url, queue } => {
            let opened = open(&queue).await?;
            let orders = deployment::orders(&queue.target, management_url.as_deref()).await.map_err(Failure::usage)?;
            let ids = if all { None } else { Some(ids) };
            Box::pin(replay::run(&opened, &orders, ids)).await
        }
    }
}

async fn open(queue: &args::Queue) -> Result<FailureQueue, Failure> {
    deployment::failure_queue(&queue.target, queue.queue_url.as_deref()).await.map_err(Failure::usage)
}

async fn list(queue: &FailureQueue) -> Result<(), Failure> {
    let taken = Taken::receive(queue).await?;
    for message in taken.oldest_first() {
        println!("{}", line::of(message));
    }
    if taken.is_cut() {
        eprintln!("foldcast: the queue has more than these {} messages", taken.len());
    }
    taken.put_back().await;
    Ok(())
}

async fn show(queue: &FailureQueue, id: &str) -> Result<(), Failure> {
    let taken = Taken::receive(queue).await?;
    let shown = taken.get(id).map(line::in_full);
    taken.put_back().await;
    match shown {
        Some(shown) => println!("{shown:#}"),
        None => return Err(not_there(id)),
    }
    Ok(())
}

async fn delete(queue: &FailureQueue, ids: &[String]) -> Result<(), Failure> {
    let mut taken = Taken::receive(queue).await?;
    let mut outcome = Ok(());
    for id in ids {
        let deleted = match taken.delete(id).await {
            None => Err(not_there(id)),
            Some(deleted) => deleted.map_err(Failure::failed),
        };
        match deleted {
            Ok(()) => println!("{}", json!({"id": id, "deleted": true})),
            Err(failure) => {
                failure.report();
                outcome = Err(Failure::reported());
            }
        }
    }
    taken.put_back().await;
    outcome
}

fn not_there(id: &str) -> Failure {
    Failure::failed(anyhow!(
        "the failure queue shows no message {id}; foldcast failures list names those that there are \
         (another command that is looking at them hides them for a moment)"
    ))
}
