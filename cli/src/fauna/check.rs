//! `foldcast fauna check` and `init`: is FaunaDB ready, and making it so.
//!
//! Owns: what is printed of each finding, and the exit code.
//! Must not know: what is looked at.
//! Source: docs/fauna.md, "Set-up".

use anyhow::{Context as _, anyhow};
use fauna_feed::{IndexState, State};

use super::Source;
use crate::failure::Failure;

pub(super) async fn run(source: &Source) -> Result<(), Failure> {
    let (fauna, names) = source.open()?;
    let findings = fauna.check(&names).await;
    for finding in &findings {
        let state = match finding.state {
            State::Good => "ok     ",
            State::Notice => "notice ",
            State::Bad => "bad    ",
        };
        println!("{state} {}", finding.text);
    }
    let is_bad = findings.iter().any(|finding| finding.state == State::Bad);
    if is_bad { Err(Failure::reported()) } else { Ok(()) }
}

pub(super) async fn init(source: &Source) -> Result<(), Failure> {
    let (fauna, names) = source.open()?;
    let index = &names.index;
    let state = fauna.index(&names).await.with_context(|| format!("cannot look at the index {index}"))?;
    let made = match state {
        IndexState::Active => {
            println!("the index {index} is there and active");
            return Ok(());
        }
        IndexState::Other => {
            return Err(Failure::failed(anyhow!(
                "the index {index} is another one: it must have the values ts and ref and no terms; FAUNA_INDEX names another"
            )));
        }
        IndexState::Building => "is there",
        IndexState::Absent => {
            fauna.create_index(&names).await.with_context(|| format!("cannot make the index {index}"))?;
            "was made"
        }
    };
    println!("the index {index} {made}; it is being built");
    match fauna.built(&names).await.with_context(|| format!("cannot look at the index {index}"))? {
        IndexState::Active => {
            println!("the index {index} is active");
            Ok(())
        }
        IndexState::Absent | IndexState::Building | IndexState::Other => {
            Err(Failure::failed(anyhow!("the index {index} went while it was waited for")))
        }
    }
}
