//! JSON in DynamoDB's types and back, without loss.
//!
//! Owns: that every number keeps its digits, and which JSON DynamoDB cannot hold.
//! Must not know: which table it is for.
//! Source: DynamoDB data types and quotas: 38 digits, 32 levels, no empty names.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{Fields, limits};
use serde_json::{Number, Value};

/// Why DynamoDB cannot hold a JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotStorable {
    /// The item is over DynamoDB's limit.
    #[error("it takes {bytes} bytes as an item, and DynamoDB takes at most {}", limits::ITEM_BYTES_MAX)]
    TooLarge {
        /// The item's size by DynamoDB's rules.
        bytes: usize,
    },
    /// Lists and objects are nested too deeply.
    #[error("it is nested more than {} levels deep, and DynamoDB takes no more", limits::NESTING_LEVELS_MAX)]
    TooDeep,
    /// A number has too many digits or too large an exponent.
    #[error("it has a number that DynamoDB cannot hold exactly: at most 38 digits, from 1e-130 to 1e125")]
    Number,
    /// A time or a version is over the largest whole number that every browser holds.
    #[error("its {name} is over {}", limits::WHOLE_NUMBER_MAX)]
    OutOfRange {
        /// Which of them.
        name: &'static str,
    },
    /// A field's name is empty.
    #[error("it has a field whose name is empty")]
    EmptyName,
}

/// An object as a map.
pub(super) fn to_map(fields: &Fields) -> Result<AttributeValue, NotStorable> {
    map(fields, limits::NESTING_LEVELS_MAX)
}

fn map(fields: &Fields, levels_left: usize) -> Result<AttributeValue, NotStorable> {
    let levels_left = levels_left.checked_sub(1).ok_or(NotStorable::TooDeep)?;
    let mut attributes = HashMap::with_capacity(fields.len());
    for (name, value) in fields {
        if name.is_empty() {
            return Err(NotStorable::EmptyName);
        }
        attributes.insert(name.clone(), attribute(value, levels_left)?);
    }
    Ok(AttributeValue::M(attributes))
}

fn attribute(value: &Value, levels_left: usize) -> Result<AttributeValue, NotStorable> {
    Ok(match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(truth) => AttributeValue::Bool(*truth),
        Value::Number(number) => AttributeValue::N(storable(number)?),
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(values) => {
            let levels_left = levels_left.checked_sub(1).ok_or(NotStorable::TooDeep)?;
            AttributeValue::L(values.iter().map(|value| attribute(value, levels_left)).collect::<Result<_, _>>()?)
        }
        Value::Object(fields) => map(fields, levels_left)?,
    })
}

/// The digits of a number, if DynamoDB keeps them all.
fn storable(number: &Number) -> Result<String, NotStorable> {
    let text = number.to_string();
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((&text, "0"));
    let (whole, fraction) = mantissa.trim_start_matches('-').split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{}{fraction}", whole.trim_start_matches('-'));
    let significant = digits.trim_start_matches('0');
    let exponent: i64 = exponent.parse().map_err(|_out_of_range| NotStorable::Number)?;
    let fraction_digits = i64::try_from(fraction.len()).map_err(|_out_of_range| NotStorable::Number)?;
    let significant_digits = i64::try_from(significant.len()).map_err(|_out_of_range| NotStorable::Number)?;
    let magnitude = exponent.saturating_add(significant_digits).saturating_sub(fraction_digits).saturating_sub(1);
    let is_zero = significant.is_empty();
    if is_zero || (significant.trim_end_matches('0').len() <= 38 && (-130..=125).contains(&magnitude)) {
        Ok(text)
    } else {
        Err(NotStorable::Number)
    }
}

/// A map as an object. Sets become lists; binary values have no JSON. The map is taken apart on the way, so that a large one is
/// not in memory in both forms.
pub(super) fn from_map(attributes: HashMap<String, AttributeValue>) -> Result<Fields, String> {
    let mut attributes: Vec<_> = attributes.into_iter().collect();
    attributes.sort_unstable_by(|(name, _), (other, _)| name.cmp(other));
    attributes.into_iter().map(|(name, attribute)| Ok((name, value(attribute)?))).collect()
}

fn value(attribute: AttributeValue) -> Result<Value, String> {
    Ok(match attribute {
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::Bool(truth) => Value::Bool(truth),
        AttributeValue::N(digits) => number(&digits)?,
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::L(values) => Value::Array(values.into_iter().map(value).collect::<Result<_, _>>()?),
        AttributeValue::M(attributes) => Value::Object(from_map(attributes)?),
        AttributeValue::Ss(texts) => Value::Array(texts.into_iter().map(Value::String).collect()),
        AttributeValue::Ns(numbers) => {
            Value::Array(numbers.iter().map(|digits| number(digits)).collect::<Result<_, _>>()?)
        }
        AttributeValue::B(_) | AttributeValue::Bs(_) | _ => return Err("binary values are no JSON".to_owned()),
    })
}

fn number(digits: &str) -> Result<Value, String> {
    digits.parse::<Number>().map(Value::Number).map_err(|_not_json| "a number is no JSON number".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn fields(json: &str) -> Fields {
        serde_json::from_str(json).unwrap()
    }

    fn round_trip(fields: &Fields) -> Fields {
        let AttributeValue::M(map) = to_map(fields).unwrap() else { panic!("no map") };
        from_map(map).unwrap()
    }

    #[test]
    fn numbers_keep_their_digits() {
        let kept = fields(
            r#"{"a":9007199254740993,"b":1.10,"c":-12345678901234567890123456789012345678,"d":1e-130,"e":0,"f":-0.0,"g":9e+125}"#,
        );
        assert_eq!(round_trip(&kept), kept);
        assert_eq!(
            serde_json::to_string(&round_trip(&kept)).unwrap(),
            r#"{"a":9007199254740993,"b":1.10,"c":-12345678901234567890123456789012345678,"d":1e-130,"e":0,"f":-0.0,"g":9e+125}"#
        );
    }

    #[test]
    fn what_dynamodb_cannot_hold_is_named() {
        let deep = |levels: usize| fields(&format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels)));
        assert!(to_map(&deep(31)).is_ok());
        assert_eq!(to_map(&deep(32)), Err(NotStorable::TooDeep));
        assert_eq!(to_map(&fields(r#"{"a":{"":1}}"#)), Err(NotStorable::EmptyName));
        for number in
            ["1e126", "1e-131", "123456789012345678901234567890123456789", "1e99999999999999999999", "0.1e-130"]
        {
            assert_eq!(to_map(&fields(&format!("{{\"a\":{number}}}"))), Err(NotStorable::Number), "{number}");
        }
    }

    #[test]
    fn sets_become_lists_and_binary_values_are_refused() {
        let sets = HashMap::from([
            ("s".to_owned(), AttributeValue::Ss(vec!["a".into()])),
            ("n".to_owned(), AttributeValue::Ns(vec!["1.5".into()])),
        ]);
        assert_eq!(Value::Object(from_map(sets).unwrap()), json!({"s":["a"],"n":[1.5]}));
        let binary = HashMap::from([("b".to_owned(), AttributeValue::B(vec![1].into()))]);
        assert!(from_map(binary).is_err());
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e100f64..1e100).prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::btree_map("\\PC{1,4}", inner, 0..4).prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_stored(
            map in prop::collection::btree_map("\\PC{1,4}", any_value(), 0..6)
        ) {
            let fields: Fields = map.into_iter().collect();
            prop_assert_eq!(round_trip(&fields), fields);
        }
    }
}
