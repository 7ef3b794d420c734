//! A projection in `order_projections`.
//!
//! Owns: the format `{orderId S, version N, projection M, updatedAt N, ahead N}`; `updatedAt` is in milliseconds since 1970,
//! `ahead` is there while a later event waits for one that is missing.
//! Must not know: the log it was folded from.
//! Source: `docs/tables.md`.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use domain::{OrderId, Projection, Version};

use super::{BrokenItem, Item, NotStorable, json, key_text, size, text, time, version};
use crate::projections::Head;

/// A projection as one write stored it, or that none is stored.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StoredProjection {
    /// The projection; the empty one at [`Version::NONE`] if none is stored.
    pub projection: Projection,
    pub(crate) updated_at_ms: Option<i64>,
    /// The highest version of an event that was met beyond a gap; whoever folds the missing event goes on up to it.
    pub(crate) ahead: Option<Version>,
}

/// Which write of an order's projection it was; by default none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProjectionWrite {
    pub(crate) version: Version,
    /// When it was, in milliseconds since 1970. Each write of an order has a later time than the one before.
    pub(crate) updated_at_ms: Option<i64>,
    /// What the next write says of events ahead, unless it has them.
    pub(crate) ahead: Option<Version>,
}

impl StoredProjection {
    /// The write that stored it.
    #[must_use]
    pub fn write(&self) -> ProjectionWrite {
        ProjectionWrite { version: self.projection.version(), updated_at_ms: self.updated_at_ms, ahead: self.ahead }
    }

    /// The highest version of an event that waits behind a gap, if one is known to.
    #[must_use]
    pub fn ahead(&self) -> Option<Version> {
        self.ahead
    }
}

impl ProjectionWrite {
    /// The same write, for whoever met an event of this version behind a gap.
    #[must_use]
    pub fn ahead_of(self, version: Version) -> Self {
        Self { ahead: self.ahead.max(Some(version)), ..self }
    }
}

/// The item of a projection.
///
/// # Errors
/// [`NotStorable`] says which of DynamoDB's limits the projection passes.
pub fn to_item(
    order_id: &OrderId,
    projection: &Projection,
    updated_at_ms: i64,
    ahead: Option<Version>,
) -> Result<Item, NotStorable> {
    let number = |name: &str, number: &dyn ToString| (name.to_owned(), AttributeValue::N(number.to_string()));
    let mut item = Item::from([
        ("orderId".to_owned(), AttributeValue::S(order_id.as_str().to_owned())),
        number("version", &projection.version()),
        ("projection".to_owned(), json::to_map(projection.fields())?),
        number("updatedAt", &updated_at_ms),
    ]);
    item.extend(ahead.map(|version| number("ahead", &version)));
    size::checked(item)
}

/// The projection of an item.
///
/// # Errors
/// [`BrokenItem`] for an item that is no projection.
pub fn from_item(mut item: Item) -> Result<(OrderId, StoredProjection), BrokenItem> {
    read(&mut item).map_err(|reason| BrokenItem { key: key_text(&item, &["orderId"]), reason })
}

/// A strongly consistent read of what [`head_from_item`] needs, and of nothing else, of the items with these keys.
pub(crate) fn heads_of(keys: Vec<Item>) -> KeysAndAttributes {
    let names = [("#projection", "projection"), ("#owner", domain::projection::OWNER_FIELD)];
    let names = names.map(|(name, attribute)| (name.to_owned(), attribute.to_owned()));
    let read = KeysAndAttributes::builder()
        .set_keys(Some(keys))
        .consistent_read(true)
        .projection_expression("orderId, version, #projection.#owner")
        .set_expression_attribute_names(Some(HashMap::from(names)));
    #[expect(clippy::expect_used, reason = "the keys are set")]
    read.build().expect("a read of keys")
}

/// The head of an item of which only a part was read. A malformed item names its order, if it has one.
pub(crate) fn head_from_item(item: &Item) -> Result<(OrderId, Head), (Option<OrderId>, BrokenItem)> {
    let order_id = text(item, "orderId").ok().and_then(|text| OrderId::new(text).ok());
    let malformed = |reason| BrokenItem { key: key_text(item, &["orderId"]), reason };
    let version = match version(item, "version") {
        Ok(version) => version,
        Err(reason) => return Err((order_id, malformed(reason))),
    };
    let owner = match item.get("projection") {
        Some(AttributeValue::M(attributes)) => attributes.get(domain::projection::OWNER_FIELD),
        Some(_) | None => None,
    };
    let owner = owner.and_then(|owner| owner.as_s().ok()).cloned();
    match order_id {
        Some(order_id) => Ok((order_id, Head { version, owner })),
        None => Err((None, malformed("the attribute orderId is none".to_owned()))),
    }
}

fn read(item: &mut Item) -> Result<(OrderId, StoredProjection), String> {
    let order_id = OrderId::new(text(item, "orderId")?).map_err(|invalid| invalid.to_string())?;
    let version = version(item, "version")?;
    let updated_at_ms = item.contains_key("updatedAt").then(|| time(item, "updatedAt")).transpose()?;
    let ahead = item.contains_key("ahead").then(|| super::version(item, "ahead")).transpose()?;
    match item.remove("projection") {
        Some(AttributeValue::M(attributes)) => {
            let projection = Projection::stored(version, json::from_map(attributes)?);
            Ok((order_id, StoredProjection { projection, updated_at_ms, ahead }))
        }
        Some(_) => Err("the attribute projection must be a map".to_owned()),
        None => Err("the attribute projection is missing".to_owned()),
    }
}
