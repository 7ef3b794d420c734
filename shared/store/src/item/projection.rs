//! A projection in `order_projections`.
//!
//! Owns: the format `{orderId S, version N, projection M, updatedAt N}`; `updatedAt` is in milliseconds since 1970.
//! Must not know: the log it was folded from.
//! Source: `docs/tables.md`.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{OrderId, Projection, Version};

use super::{BrokenItem, Item, NotStorable, json, key_text, number, size, text};

/// The item of a projection.
///
/// # Errors
/// [`NotStorable`] says which of DynamoDB's limits the projection passes.
pub fn to_item(order_id: &OrderId, projection: &Projection, updated_at_ms: i64) -> Result<Item, NotStorable> {
    size::checked(Item::from([
        ("orderId".to_owned(), AttributeValue::S(order_id.as_str().to_owned())),
        ("version".to_owned(), AttributeValue::N(projection.version().to_string())),
        ("projection".to_owned(), to_attribute(projection)?),
        ("updatedAt".to_owned(), AttributeValue::N(updated_at_ms.to_string())),
    ]))
}

/// The attribute `projection` of its item.
///
/// # Errors
/// [`NotStorable`] says which of DynamoDB's limits the projection passes.
pub fn to_attribute(projection: &Projection) -> Result<AttributeValue, NotStorable> {
    json::to_map(projection.fields())
}

/// The projection of an item.
///
/// # Errors
/// [`BrokenItem`] for an item that is no projection.
pub fn from_item(item: &Item) -> Result<(OrderId, Projection), BrokenItem> {
    read(item).map_err(|reason| BrokenItem { key: key_text(item, &["orderId"]), reason })
}

fn read(item: &Item) -> Result<(OrderId, Projection), String> {
    let order_id = OrderId::new(text(item, "orderId")?).map_err(|invalid| invalid.to_string())?;
    let version = Version::new(number(item, "version")?);
    match item.get("projection") {
        Some(AttributeValue::M(attributes)) => Ok((order_id, Projection::stored(version, json::from_map(attributes)?))),
        Some(_) => Err("the attribute projection must be a map".to_owned()),
        None => Err("the attribute projection is missing".to_owned()),
    }
}
