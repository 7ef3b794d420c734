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

/// One byte, one more for each two significant digits, and one more below zero. The digits before the decimal point and those
/// behind it are paired apart; zeros at either end are not significant.
fn number_bytes(number: &str) -> usize {
    let (is_negative, magnitude) = match number.strip_prefix('-') {
        Some(magnitude) => (true, magnitude),
        None => (false, number),
    };
    let (mantissa, exponent) = magnitude.split_once(['e', 'E']).unwrap_or((magnitude, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let leading_zeros = digits.bytes().take_while(|digit| *digit == b'0').count();
    let significant = digits.trim_matches('0').len();
    // Out of range only where DynamoDB takes no number at all.
    let exponent: i64 = exponent.parse().unwrap_or_default();
    let signed = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let before_point = signed(whole.len()).saturating_sub(signed(leading_zeros)).saturating_add(exponent);
    let before_point = usize::try_from(before_point.max(0)).unwrap_or(usize::MAX).min(significant);
    let sign = usize::from(is_negative && significant > 0);
    1 + before_point.div_ceil(2) + (significant - before_point).div_ceil(2) + sign
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
    fn digits_count_in_pairs_on_each_side_of_the_point_without_zeros_at_the_ends() {
        let sizes: [(&[&str], usize); 7] = [
            (&["0", "-0", "0.0", "000", "0e5", "-0.0E-3"], 1),
            (&["1", "12", "1200", "1.0", "0012", "1e3", "1E+125", "0.1", "0.12", "1e-130", "0.0012", "1.5E-7"], 2),
            (&["-1", "-12", "-0.01", "123", "1234", "1234e90", "0.001234", "1.2", "1.20", "12.34", "-1.5E-7"], 3),
            (&["-1.2", "-1234", "1.234", "123.4", "12345", "1.2345e2", "123456e-2"], 4),
            (&["-1.234", "-123.4", "123.456", "1.23456"], 5),
            (&["12345678901234567890123456789012345678"], 20),
            (&["-1234567890123456789.0123456789012345678"], 22),
        ];
        for (numbers, bytes) in sizes {
            for number in numbers {
                assert_eq!(number_bytes(number), bytes, "{number}");
            }
        }
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
