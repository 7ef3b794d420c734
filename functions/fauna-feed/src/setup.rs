//! Whether FaunaDB is as the feed needs it, and making what is missing.
//!
//! Owns: what is looked at, in which order, and what each finding means.
//! Must not know: how it is shown.
//! Source: `docs/fauna.md`, "Set-up".

use std::time::Duration;

use domain::{Fields, Json, OrderId, limits::FAUNA_POLL_PAUSE};
use serde_json::json;
use store::fauna_feed::Place;

use crate::{
    Fauna, Names, conversion,
    document::{Page, Removals},
    error::FaunaError,
    query,
    retry::Retry,
};

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How it is.
    pub state: State,
    /// What, and what to do about it.
    pub text: String,
}

/// How something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// As it must be.
    Good,
    /// The feed works; something is worth knowing.
    Notice,
    /// The feed does not work.
    Bad,
}

/// How the index is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IndexState {
    /// There is none.
    Absent,
    /// It is being built.
    Building,
    /// It is there.
    Active,
    /// There is another of this name.
    Other,
}

fn good(text: impl Into<String>) -> Finding {
    Finding { state: State::Good, text: text.into() }
}

fn notice(text: impl Into<String>) -> Finding {
    Finding { state: State::Notice, text: text.into() }
}

fn bad(text: impl Into<String>) -> Finding {
    Finding { state: State::Bad, text: text.into() }
}

impl Fauna {
    /// Asks until there is an answer, or nothing helps.
    ///
    /// # Errors
    /// [`FaunaError`] that does not pass.
    pub async fn ask(&self, query: &Json) -> Result<Json, FaunaError> {
        let mut retry = Retry::default();
        loop {
            match self.query(query, retry.time_out).await {
                Ok(answer) => return Ok(answer.resource),
                Err(error) => tokio::time::sleep(retry.failed(&error).ok_or(error)?).await,
            }
        }
    }

    /// How many documents the collection has.
    ///
    /// # Errors
    /// [`FaunaError`] if it cannot be counted.
    pub async fn documents(&self, names: &Names) -> Result<u64, FaunaError> {
        self.ask(&query::count(names)).await?.as_u64().ok_or(FaunaError::Unreadable)
    }

    /// How the index is.
    ///
    /// # Errors
    /// [`FaunaError`] if it cannot be looked at.
    pub async fn index(&self, names: &Names) -> Result<IndexState, FaunaError> {
        let index = match self.ask(&query::index(&names.index)).await {
            Ok(index) => index,
            Err(FaunaError::Undefined | FaunaError::NotFound { .. }) => return Ok(IndexState::Absent),
            Err(error) => return Err(error),
        };
        let field = |name: &str| json!({"field": [name]});
        let is_ours = index.get("values") == Some(&Json::from(json!([field("ts"), field("ref")])))
            && index.get("terms").is_none()
            && index.at(["source", "@ref", "id"]).and_then(Json::as_str) == Some(&names.collection);
        let is_active = index.get("active").and_then(Json::as_bool) == Some(true);
        Ok(match (is_ours, is_active) {
            (false, _) => IndexState::Other,
            (true, false) => IndexState::Building,
            (true, true) => IndexState::Active,
        })
    }

    /// Makes the index.
    ///
    /// # Errors
    /// [`FaunaError`] if it was not made.
    pub async fn create_index(&self, names: &Names) -> Result<(), FaunaError> {
        let time_out = Duration::from_secs(30);
        match self.query(&query::create_index(names), time_out).await {
            Ok(_) => Ok(()),
            // An answer that was lost may have made it: whoever asks looks again.
            Err(error) if self.index(names).await != Ok(IndexState::Absent) => {
                tracing::debug!(%error, "the index is there");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Waits until the index is built.
    ///
    /// # Errors
    /// [`FaunaError`] if it cannot be looked at.
    pub async fn built(&self, names: &Names) -> Result<IndexState, FaunaError> {
        loop {
            match self.index(names).await? {
                IndexState::Building => tokio::time::sleep(FAUNA_POLL_PAUSE).await,
                state @ (IndexState::Absent | IndexState::Active | IndexState::Other) => return Ok(state),
            }
        }
    }

    /// FaunaDB's own fold of an order, by its own index of orders.
    ///
    /// # Errors
    /// [`FaunaError`] if it cannot be folded there.
    pub async fn fold(&self, index: &str, order_id: &OrderId) -> Result<Fields, FaunaError> {
        let folded = self.ask(&query::fold(index, order_id.as_str())).await?;
        conversion::from_wire(folded).ok().flatten().ok_or(FaunaError::Unreadable)
    }

    /// Looks at everything that the feed needs.
    pub async fn check(&self, names: &Names) -> Vec<Finding> {
        let mut findings = Vec::new();
        match self.build().await {
            Ok(build) => findings.push(good(format!("it answers: build {build}"))),
            Err(error) => return vec![bad(format!("{error}"))],
        }
        let collection = match self.ask(&query::collection(names)).await {
            Ok(collection) => collection,
            Err(FaunaError::Undefined | FaunaError::NotFound { .. }) => {
                findings.push(good("it serves FQL v4 and takes the secret"));
                findings.push(bad(format!("there is no collection {} in the secret's database", names.collection)));
                return findings;
            }
            Err(error) => {
                findings.push(bad(error.to_string()));
                return findings;
            }
        };
        findings.push(good("it serves FQL v4 and takes the secret"));
        findings.extend(self.check_collection(names, &collection).await);
        findings.push(match self.index(names).await {
            Ok(IndexState::Active) => good(format!("the index {} is active", names.index)),
            Ok(IndexState::Building) => bad(format!("the index {} is being built: wait for it", names.index)),
            Ok(IndexState::Absent) => bad(format!("there is no index {}: `foldcast fauna init` makes it", names.index)),
            Ok(IndexState::Other) => bad(format!(
                "the index {} is another one: it must have the values ts and ref of {} and no terms; name another by FAUNA_INDEX",
                names.index, names.collection
            )),
            Err(error) => bad(format!("the index {} cannot be looked at: {error}", names.index)),
        });
        findings
    }

    async fn check_collection(&self, names: &Names, collection: &Json) -> Vec<Finding> {
        let mut findings = Vec::new();
        let first = query::page(names, Place::Backfill { tail_from_us: 0, through_id: None }, 1);
        let read = self.ask(&first).await.and_then(Page::read);
        let counted = self.documents(names).await;
        findings.push(match (read, counted) {
            (Ok(page), Ok(documents)) if documents > 0 && page.documents.is_empty() => bad(format!(
                "the collection {} has {documents} documents and the secret's role reads none of them",
                names.collection
            )),
            (Ok(_), Ok(documents)) => good(format!("the collection {} has {documents} documents", names.collection)),
            (Err(error), _) | (_, Err(error)) => bad(format!("its documents cannot be read: {error}")),
        });
        let history = self.ask(&query::removals(names, Json::from(0_u64), 1)).await.and_then(Removals::read);
        if let Err(error) = history {
            findings.push(notice(format!("its history cannot be read, so deletions are not counted: {error}")));
        }
        if collection.get("ttl_days").is_some_and(|days| *days != Json::Null) {
            findings.push(notice("it has ttl_days: a document that ends before the feed reads it is lost"));
        }
        findings
    }
}
