//! How large an item is.
//!
//! Owns: DynamoDB's rules of counting, so that what is too large is refused before it is sent.
//! Must not know: what the item means.
//! Source: DynamoDB developer guide, "DynamoDB item sizes and formats" and "Item size" of local secondary indexes.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::limits::ITEM_BYTES_MAX;

use super::{Item, NotStorable};

/// Bytes of overhead of a list or map, and of each of its entries.
const COLLECTION_BYTES: usize = 3;
const ENTRY_BYTES: usize = 1;

/// Passes an item on, unless it is larger than DynamoDB takes.
pub(super) fn checked(item: Item) -> Result<Item, NotStorable> {
    checked_with_index(item, &[])
}

/// The same for a table with a local secondary index: the item's entry there, with these attributes, counts too.
pub(super) fn checked_with_index(item: Item, index: &[&str]) -> Result<Item, NotStorable> {
    let entry: usize = index.iter().filter_map(|name| Some(attribute_bytes(name, item.get(*name)?))).sum();
    let bytes = bytes(&item) + entry;
    if bytes > ITEM_BYTES_MAX { Err(NotStorable::TooLarge { bytes }) } else { Ok(item) }
}

/// An item's own size.
pub(crate) fn bytes(item: &Item) -> usize {
    item.iter().map(|(name, value)| attribute_bytes(name, value)).sum()
}

fn attribute_bytes(name: &str, value: &AttributeValue) -> usize {
    name.len() + value_bytes(value)
}

fn value_bytes(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => number_bytes(digits),
        AttributeValue::B(blob) => blob.as_ref().len(),
        AttributeValue::L(values) => {
            COLLECTION_BYTES + values.iter().map(|value| ENTRY_BYTES + value_bytes(value)).sum::<usize>()
        }
        AttributeValue::M(attributes) => {
            let entry = |(name, value): (&String, &AttributeValue)| ENTRY_BYTES + name.len() + value_bytes(value);
            COLLECTION_BYTES + attributes.iter().map(entry).sum::<usize>()
        }
        AttributeValue::Ss(texts) => texts.iter().map(String::len).sum(),
        AttributeValue::Ns(numbers) => numbers.iter().map(|digits| number_bytes(digits)).sum(),
        AttributeValue::Bs(blobs) => blobs.iter().map(|blob| blob.as_ref().len()).sum(),
        AttributeValue::Bool(_) | AttributeValue::Null(_) | _ => 1,
    }
}

/// One byte for two significant digits, one more for the exponent, one more below zero: 21 at most.
fn number_bytes(digits: &str) -> usize {
    let mantissa = digits.split(['e', 'E']).next().unwrap_or_default();
    let significant = mantissa.bytes().filter(u8::is_ascii_digit).count();
    (significant.div_ceil(2) + 1 + usize::from(digits.starts_with('-'))).min(21)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_of_400_kb_is_the_largest() {
        let item = |bytes: usize| Item::from([("a".to_owned(), AttributeValue::S("x".repeat(bytes)))]);
        assert!(checked(item(ITEM_BYTES_MAX - 1)).is_ok());
        assert_eq!(checked(item(ITEM_BYTES_MAX)), Err(NotStorable::TooLarge { bytes: ITEM_BYTES_MAX + 1 }));
    }

    #[test]
    fn an_entry_of_a_local_secondary_index_counts_too() {
        let item = |bytes: usize| {
            let key = ("k".to_owned(), AttributeValue::S("key".into()));
            Item::from([key, ("a".to_owned(), AttributeValue::S("x".repeat(bytes)))])
        };
        let largest = ITEM_BYTES_MAX - 5 - 4;
        assert!(checked_with_index(item(largest), &["k", "absent"]).is_ok());
        let bytes = ITEM_BYTES_MAX + 1;
        assert_eq!(checked_with_index(item(largest + 1), &["k", "absent"]), Err(NotStorable::TooLarge { bytes }));
    }

    #[test]
    fn names_overheads_and_digits_count() {
        let number = || AttributeValue::N("-12345".into());
        assert_eq!(value_bytes(&number()), 5);
        assert_eq!(value_bytes(&AttributeValue::L(vec![number(), AttributeValue::Bool(true)])), 3 + 6 + 2);
        let map = AttributeValue::M([("ab".to_owned(), number())].into());
        assert_eq!(value_bytes(&map), 3 + 1 + 2 + 5);
    }
}
