//! The feed of a FaunaDB collection: its lease, how far it is, and which documents it has seen.
//!
//! Owns: that one feed works at a time, that one which was replaced moves nothing on, and that a document belongs to one
//! order for ever.
//! Must not know: FaunaDB, the event log.
//! Source: `docs/fauna.md`, "How it works"; the fence is that of Kleppmann, "How to do distributed locking".

use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::{put_item::PutItemError, update_item::UpdateItemError},
    types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure},
};
use domain::OrderId;

use crate::{
    TableName,
    error::CallError,
    item::{
        self, BrokenItem,
        fauna_feed::{Stored, from_item, to_item},
    },
};

/// The table `fauna_feed`, as far as it is about one collection.
#[derive(Clone, Debug)]
pub struct FaunaFeed {
    client: Client,
    table: TableName,
    collection: String,
}

/// How far a feed is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it read last.
    pub place: Place,
    /// The highest transaction time of FaunaDB that it has seen, in microseconds since 1970.
    pub last_seen_us: i64,
    /// From when on removals were not looked for, in the same.
    pub removals_from_us: i64,
    /// The time of the collection's own document.
    pub collection_us: i64,
}

/// The last document that a feed is done with. Ids are FaunaDB's: signed 64-bit numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the order of ids, through all documents that there were.
    Backfill {
        /// When the backfill began: the tail begins there.
        tail_from_us: i64,
        /// The id of the last document; `None` before the first.
        through_id: Option<i64>,
    },
    /// In the order of commits.
    Tail {
        /// The commit of the last document.
        through_us: i64,
        /// Its id; `None` if all of that commit are to be read.
        through_id: Option<i64>,
    },
}

/// The right to move a feed on, until it ends or somebody else takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    fence: u64,
}

/// Whether the lease was free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It was, and it is ours.
    Ours(Lease, Option<Progress>),
    /// Another feed has it.
    Held {
        /// Until then, in milliseconds since 1970, unless it is renewed.
        until_ms: i64,
    },
}

/// Whether progress was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saved {
    /// It is stored.
    Stored,
    /// Another feed took the lease meanwhile; nothing was written.
    Superseded,
}

/// What became of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// The version that was read last, in microseconds since 1970.
    pub ts_us: i64,
    /// The order whose event it is; `None` if it is no event.
    pub order_id: Option<OrderId>,
}

/// Why a feed's state was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// DynamoDB did not serve the call.
    #[error("the feed's state could not be reached")]
    Call(#[from] CallError),
    /// The table has an item that is none of ours.
    #[error("the feed's state is broken")]
    Broken(#[from] BrokenItem),
}

impl FaunaFeed {
    /// What this table has about a collection.
    #[must_use]
    pub fn new(client: Client, table: TableName, collection: &str) -> Self {
        Self { client, table, collection: collection.to_owned() }
    }

    fn feed_id(&self) -> String {
        format!("feed#{}", self.collection)
    }

    fn document_id(&self, id: i64) -> String {
        format!("document#{}#{id}", self.collection)
    }

    /// Takes the lease if it is free or has ended.
    ///
    /// # Errors
    /// [`FeedError`] if DynamoDB does not answer or the state is broken.
    pub async fn take(&self, now_ms: i64, until_ms: i64) -> Result<Taken, FeedError> {
        let taken = self
            .client
            .update_item()
            .table_name(self.table.as_str())
            .key("id", AttributeValue::S(self.feed_id()))
            .update_expression("SET leaseUntil = :until ADD fence :one")
            .condition_expression("attribute_not_exists(leaseUntil) OR leaseUntil <= :now")
            .expression_attribute_values(":until", AttributeValue::N(until_ms.to_string()))
            .expression_attribute_values(":now", AttributeValue::N(now_ms.to_string()))
            .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match taken {
            Ok(taken) => {
                let Stored { fence, progress, .. } = from_item(&taken.attributes.unwrap_or_default())?;
                Ok(Taken::Ours(Lease { fence }, progress))
            }
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                    let held = from_item(&failed.item().cloned().unwrap_or_default())?;
                    Ok(Taken::Held { until_ms: held.lease_until_ms })
                }
                Some(_) | None => Err(CallError::new("UpdateItem", &self.table, error).into()),
            },
        }
    }

    /// Saves progress and holds the lease until `until_ms`, unless another feed has taken it.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve the call.
    pub async fn save(&self, lease: &Lease, progress: &Progress, until_ms: i64) -> Result<Saved, CallError> {
        let stored = Stored { fence: lease.fence, lease_until_ms: until_ms, progress: Some(progress.clone()) };
        let put = self.client.put_item().table_name(self.table.as_str());
        let put = put.set_item(Some(to_item(&self.feed_id(), &stored)));
        let put = put
            .condition_expression("fence = :fence")
            .expression_attribute_values(":fence", AttributeValue::N(lease.fence.to_string()));
        match put.send().await {
            Ok(_) => Ok(Saved::Stored),
            Err(error) if is_condition_failed(&error) => Ok(Saved::Superseded),
            Err(error) => Err(CallError::new("PutItem", &self.table, error)),
        }
    }

    /// Holds the lease until `until_ms`; an `until_ms` in the past gives it back.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve the call.
    pub async fn hold(&self, lease: &Lease, until_ms: i64) -> Result<Saved, CallError> {
        let held = self
            .client
            .update_item()
            .table_name(self.table.as_str())
            .key("id", AttributeValue::S(self.feed_id()))
            .update_expression("SET leaseUntil = :until")
            .condition_expression("fence = :fence")
            .expression_attribute_values(":until", AttributeValue::N(until_ms.to_string()))
            .expression_attribute_values(":fence", AttributeValue::N(lease.fence.to_string()))
            .send()
            .await;
        match held {
            Ok(_) => Ok(Saved::Stored),
            Err(error)
                if error.as_service_error().is_some_and(UpdateItemError::is_conditional_check_failed_exception) =>
            {
                Ok(Saved::Superseded)
            }
            Err(error) => Err(CallError::new("UpdateItem", &self.table, error)),
        }
    }

    /// How far the feed is, without the lease; `None` before it has begun. A strongly consistent read.
    ///
    /// # Errors
    /// [`FeedError`] if DynamoDB does not answer or the state is broken.
    pub async fn progress(&self) -> Result<Option<Progress>, FeedError> {
        let item = self.get(self.feed_id()).await?;
        Ok(item.as_ref().map(from_item).transpose()?.and_then(|stored| stored.progress))
    }

    /// Marks a document that has no mark; else gives the one that it has.
    ///
    /// # Errors
    /// [`FeedError`] if DynamoDB does not answer or the mark is broken.
    pub async fn claim(&self, id: i64, mark: &Mark) -> Result<Option<Mark>, FeedError> {
        let put = self.client.put_item().table_name(self.table.as_str());
        let put = put.set_item(Some(item::fauna_document::to_item(&self.document_id(id), mark)));
        let put = put
            .condition_expression("attribute_not_exists(id)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match put.send().await {
            Ok(_) => Ok(None),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                    let known = failed.item().cloned().unwrap_or_default();
                    Ok(Some(item::fauna_document::from_item(&known)?))
                }
                Some(_) | None => Err(CallError::new("PutItem", &self.table, error).into()),
            },
        }
    }

    /// Marks a document, whatever mark it has.
    ///
    /// # Errors
    /// [`CallError`] if DynamoDB does not serve the call.
    pub async fn mark(&self, id: i64, mark: &Mark) -> Result<(), CallError> {
        let put = self.client.put_item().table_name(self.table.as_str());
        let put = put.set_item(Some(item::fauna_document::to_item(&self.document_id(id), mark)));
        put.send().await.map(|_put| ()).map_err(|error| CallError::new("PutItem", &self.table, error))
    }

    /// The mark of a document. A strongly consistent read.
    ///
    /// # Errors
    /// [`FeedError`] if DynamoDB does not answer or the mark is broken.
    pub async fn marked(&self, id: i64) -> Result<Option<Mark>, FeedError> {
        let item = self.get(self.document_id(id)).await?;
        Ok(item.as_ref().map(item::fauna_document::from_item).transpose()?)
    }

    async fn get(&self, id: String) -> Result<Option<item::Item>, CallError> {
        let get = self.client.get_item().table_name(self.table.as_str()).consistent_read(true);
        let got = get.key("id", AttributeValue::S(id)).send().await;
        got.map(|got| got.item).map_err(|error| CallError::new("GetItem", &self.table, error))
    }
}

fn is_condition_failed(error: &SdkError<PutItemError>) -> bool {
    error.as_service_error().is_some_and(PutItemError::is_conditional_check_failed_exception)
}
