//! What the tables hold: one file per stored item.
//!
//! Owns: the storage format in both directions, and its size by DynamoDB's rules.
//! Must not know: when an item is read or written.
//! Source: `docs/tables.md`; sizes: DynamoDB developer guide, "Item sizes and formats".

pub mod connection;
pub mod event;
mod json;
pub mod projection;
pub(crate) mod size;
pub mod subscription;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

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

/// A truth that is absent where it is false.
fn is_set(item: &Item, name: &str) -> Result<bool, String> {
    match item.get(name) {
        Some(AttributeValue::Bool(truth)) => Ok(*truth),
        Some(_) => Err(format!("the attribute {name} must be true or false")),
        None => Ok(false),
    }
}

fn key_text(item: &Item, names: &[&str]) -> String {
    let part = |name: &&str| match item.get(*name) {
        Some(AttributeValue::S(text)) => format!("{name}={text:?}"),
        Some(AttributeValue::N(digits)) => format!("{name}={digits}"),
        Some(_) | None => format!("{name}=?"),
    };
    names.iter().map(part).collect::<Vec<_>>().join(" ")
}
