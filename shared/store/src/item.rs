//! What the tables hold: one file per stored item.
//!
//! Owns: the storage format in both directions, and its size by DynamoDB's rules.
//! Must not know: when an item is read or written.
//! Source: `docs/tables.md`; sizes: DynamoDB developer guide, "Item sizes and formats".

pub mod connection;
pub mod event;
pub mod fauna_document;
pub mod fauna_feed;
mod json;
pub mod projection;
pub(crate) mod size;
pub mod subscription;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{Json, OrderId, Version, limits::WHOLE_NUMBER_MAX};

pub use json::NotStorable;

/// An item as the SDK has it.
pub type Item = HashMap<String, AttributeValue>;

/// An item that is not what its table holds. It is an error and never a skip: a skipped event falsifies every fold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the item {key} is broken: {reason}")]
pub struct BrokenItem {
    /// The item's key, as far as it can be read.
    pub key: String,
    /// What is wrong, without the item's content.
    pub reason: String,
}

impl BrokenItem {
    /// The order of an item of the log, by its key; none if that part of the key could not be read.
    #[must_use]
    pub fn order_id_in(key: &str) -> Option<OrderId> {
        let begun = key.strip_prefix("orderId=")?;
        let order_id = serde_json::Deserializer::from_str(begun).into_iter::<String>().next()?.ok()?;
        OrderId::new(order_id).ok()
    }
}

fn text<'a>(item: &'a Item, name: &str) -> Result<&'a str, String> {
    match item.get(name) {
        Some(AttributeValue::S(text)) => Ok(text),
        Some(_) => Err(format!("the attribute {name} must be a string")),
        None => Err(format!("the attribute {name} is missing")),
    }
}

fn number<N: std::str::FromStr>(item: &Item, name: &str) -> Result<N, String> {
    match item.get(name) {
        Some(AttributeValue::N(digits)) => {
            digits.parse().map_err(|_out_of_range| format!("the attribute {name} must be a whole number"))
        }
        Some(_) => Err(format!("the attribute {name} must be a number")),
        None => Err(format!("the attribute {name} is missing")),
    }
}

/// A version, or 0 for none.
fn version(item: &Item, name: &str) -> Result<Version, String> {
    let number: i128 = number(item, name)?;
    let version = u64::try_from(number).ok().and_then(Version::checked);
    version.ok_or_else(|| format!("the attribute {name} must be from 0 to {WHOLE_NUMBER_MAX}"))
}

/// A time since 1970, of any unit.
fn time(item: &Item, name: &str) -> Result<i64, String> {
    let number: i128 = number(item, name)?;
    let time = i64::try_from(number).ok().filter(|time| time.unsigned_abs() <= WHOLE_NUMBER_MAX);
    time.ok_or_else(|| format!("the attribute {name} must be from -{WHOLE_NUMBER_MAX} to {WHOLE_NUMBER_MAX}"))
}

/// A truth that is absent where it is false.
fn is_set(item: &Item, name: &str) -> Result<bool, String> {
    match item.get(name) {
        Some(AttributeValue::Bool(truth)) => Ok(*truth),
        Some(_) => Err(format!("the attribute {name} must be true or false")),
        None => Ok(false),
    }
}

/// A key as text: `orderId="guid_1" version=7`, its strings as in JSON.
fn key_text(item: &Item, names: &[&str]) -> String {
    let part = |name: &&str| match item.get(*name) {
        Some(AttributeValue::S(text)) => format!("{name}={}", Json::from(text.as_str())),
        Some(AttributeValue::N(digits)) => format!("{name}={digits}"),
        Some(_) | None => format!("{name}=?"),
    };
    names.iter().map(part).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_a_key_is_read_as_it_was_written() {
        for id in ["guid_1", "a \" version=9", "\\", "é\u{301}\u{200b}", "="] {
            let item = Item::from([
                ("orderId".to_owned(), AttributeValue::S(id.to_owned())),
                ("version".to_owned(), AttributeValue::N("7".to_owned())),
            ]);
            let key = event::key_of(&item);
            assert_eq!(BrokenItem::order_id_in(&key).unwrap().as_str(), id, "{key}");
        }
        for key in ["", "orderId=? version=7", "orderId=7", "orderId=\"\"", "version=7", "orderId=\"a"] {
            assert_eq!(BrokenItem::order_id_in(key), None, "{key}");
        }
    }
}
