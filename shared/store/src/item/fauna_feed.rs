//! How far the feed of a FaunaDB collection is, in `fauna_feed`.
//!
//! Owns: the format `{id S, fence N, leaseUntil N}` and of its progress `{phase S, tailFrom N, throughTs N, throughId N,
//! lastSeen N, removalsFrom N, collectionTs N}`; ids are N, since FaunaDB's are signed 64-bit numbers; times of FaunaDB
//! are in microseconds since 1970, `leaseUntil` is in milliseconds.
//! Must not know: what FaunaDB answers.
//! Source: `docs/tables.md`.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{BrokenItem, Item, key_text, number, text};
use crate::fauna_feed::{Place, Progress};

/// What is stored of a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// How often the lease was taken.
    pub fence: u64,
    /// Until when it is held.
    pub lease_until_ms: i64,
    /// Absent until the first documents are appended.
    pub progress: Option<Progress>,
}

/// The item of a feed.
#[must_use]
pub fn to_item(id: &str, stored: &Stored) -> Item {
    let mut item = Item::from([
        ("id".to_owned(), AttributeValue::S(id.to_owned())),
        ("fence".to_owned(), AttributeValue::N(stored.fence.to_string())),
        ("leaseUntil".to_owned(), AttributeValue::N(stored.lease_until_ms.to_string())),
    ]);
    let Some(progress) = &stored.progress else { return item };
    let (phase, numbers, through_id) = match &progress.place {
        Place::Backfill { tail_from_us, through_id } => ("backfill", ("tailFrom", *tail_from_us), *through_id),
        Place::Tail { through_us, through_id } => ("tail", ("throughTs", *through_us), *through_id),
    };
    let numbers = [
        Some(numbers),
        through_id.map(|id| ("throughId", id)),
        Some(("lastSeen", progress.last_seen_us)),
        Some(("removalsFrom", progress.removals_from_us)),
        Some(("collectionTs", progress.collection_us)),
    ];
    item.insert("phase".to_owned(), AttributeValue::S(phase.to_owned()));
    let numbers = numbers.into_iter().flatten();
    item.extend(numbers.map(|(name, number)| (name.to_owned(), AttributeValue::N(number.to_string()))));
    item
}

/// The feed of an item.
///
/// # Errors
/// [`BrokenItem`] for an item that is none.
pub fn from_item(item: &Item) -> Result<Stored, BrokenItem> {
    read(item).map_err(|reason| BrokenItem { key: key_text(item, &["id"]), reason })
}

fn read(item: &Item) -> Result<Stored, String> {
    let (fence, lease_until_ms) = (number(item, "fence")?, number(item, "leaseUntil")?);
    if !item.contains_key("phase") {
        return Ok(Stored { fence, lease_until_ms, progress: None });
    }
    let through_id = item.contains_key("throughId").then(|| number(item, "throughId")).transpose()?;
    let place = match text(item, "phase")? {
        "backfill" => Place::Backfill { tail_from_us: number(item, "tailFrom")?, through_id },
        "tail" => Place::Tail { through_us: number(item, "throughTs")?, through_id },
        _ => return Err("the attribute phase must be backfill or tail".to_owned()),
    };
    let progress = Progress {
        place,
        last_seen_us: number(item, "lastSeen")?,
        removals_from_us: number(item, "removalsFrom")?,
        collection_us: number(item, "collectionTs")?,
    };
    Ok(Stored { fence, lease_until_ms, progress: Some(progress) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(place: Place) -> Stored {
        let progress = Progress { place, last_seen_us: 3, removals_from_us: 4, collection_us: 5 };
        Stored { fence: 1, lease_until_ms: 2, progress: Some(progress) }
    }

    #[test]
    fn what_is_read_is_what_was_stored() {
        let places = [
            Place::Backfill { tail_from_us: 1_605_999_005_510_000, through_id: None },
            Place::Backfill { tail_from_us: 7, through_id: Some(282_842_364_888_744_451) },
            Place::Tail { through_us: 8, through_id: None },
            Place::Tail { through_us: 8, through_id: Some(-9) },
        ];
        let nothing_yet = Stored { progress: None, ..stored(places[0]) };
        for stored in places.map(stored).into_iter().chain([nothing_yet]) {
            assert_eq!(from_item(&to_item("feed", &stored)), Ok(stored));
        }
    }

    #[test]
    fn an_item_that_is_no_feed_is_named() {
        let mut item = to_item("feed", &stored(Place::Tail { through_us: 8, through_id: None }));
        item.insert("phase".to_owned(), AttributeValue::S("sideways".to_owned()));
        let broken = from_item(&item).unwrap_err();
        assert_eq!(broken.reason, "the attribute phase must be backfill or tail");
        item.remove("fence");
        assert_eq!(from_item(&item).unwrap_err().reason, "the attribute fence is missing");
    }
}
