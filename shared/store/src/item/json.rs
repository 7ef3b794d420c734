//! JSON in DynamoDB's types and back, without loss.
//!
//! Owns: that every number keeps its digits, and which JSON DynamoDB cannot hold.
//! Must not know: which table it is for.
//! Source: DynamoDB data types and quotas: 38 digits, 32 levels, no empty names.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{Fields, Json, json::Number, limits};

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

fn attribute(value: &Json, levels_left: usize) -> Result<AttributeValue, NotStorable> {
    Ok(match value {
        Json::Null => AttributeValue::Null(true),
        Json::Bool(truth) => AttributeValue::Bool(*truth),
        Json::Number(number) => AttributeValue::N(storable(number)?),
        Json::String(text) => AttributeValue::S(text.clone()),
        Json::Array(values) => {
            let levels_left = levels_left.checked_sub(1).ok_or(NotStorable::TooDeep)?;
            AttributeValue::L(values.iter().map(|value| attribute(value, levels_left)).collect::<Result<_, _>>()?)
        }
        Json::Object(fields) => map(fields, levels_left)?,
    })
}

/// The digits of a number, if DynamoDB keeps them all.
fn storable(number: &Number) -> Result<String, NotStorable> {
    let decimal = number.decimal();
    // Zero has no magnitude, but DynamoDB refuses an exponent of zero that is out of its range.
    let exponent = number.as_str().split_once(['e', 'E']).map_or(Ok(0), |(_, exponent)| exponent.parse::<i64>());
    let is_zero = decimal.significant_digits() == 0;
    let magnitude = if is_zero { exponent.unwrap_or(i64::MAX) } else { decimal.magnitude() };
    if decimal.significant_digits() <= 38 && (-130..=125).contains(&magnitude) {
        Ok(number.as_str().to_owned())
    } else {
        Err(NotStorable::Number)
    }
}

/// A map as an object. Sets become lists, numbers ordered by value and strings by bytes: DynamoDB gives a set in any order.
/// Binary values have no JSON. The map is taken apart on the way, so that a large one is
/// not in memory in both forms.
pub(super) fn from_map(attributes: HashMap<String, AttributeValue>) -> Result<Fields, String> {
    let mut attributes: Vec<_> = attributes.into_iter().collect();
    attributes.sort_unstable_by(|(name, _), (other, _)| name.cmp(other));
    attributes.into_iter().map(|(name, attribute)| Ok((name, value(attribute)?))).collect()
}

fn value(attribute: AttributeValue) -> Result<Json, String> {
    Ok(match attribute {
        AttributeValue::Null(_) => Json::Null,
        AttributeValue::Bool(truth) => Json::Bool(truth),
        AttributeValue::N(digits) => Json::Number(number(&digits)?),
        AttributeValue::S(text) => Json::String(text),
        AttributeValue::L(values) => Json::Array(values.into_iter().map(value).collect::<Result<_, _>>()?),
        AttributeValue::M(attributes) => Json::Object(from_map(attributes)?),
        AttributeValue::Ss(mut texts) => {
            texts.sort_unstable();
            Json::Array(texts.into_iter().map(Json::String).collect())
        }
        AttributeValue::Ns(numbers) => {
            let mut numbers = numbers.iter().map(|digits| number(digits)).collect::<Result<Vec<_>, _>>()?;
            numbers.sort_by_cached_key(Number::decimal);
            Json::Array(numbers.into_iter().map(Json::Number).collect())
        }
        AttributeValue::B(_) | AttributeValue::Bs(_) | _ => return Err("binary values are no JSON".to_owned()),
    })
}

fn number(digits: &str) -> Result<Number, String> {
    Number::parse(digits).ok_or_else(|| "a number is no JSON number".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fields(json: &str) -> Fields {
        Json::parse(json).unwrap().into_object().unwrap()
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
            Json::Object(round_trip(&kept)).to_string(),
            r#"{"a":9007199254740993,"b":1.10,"c":-12345678901234567890123456789012345678,"d":1e-130,"e":0,"f":-0.0,"g":9e+125}"#
        );
    }

    #[test]
    fn what_dynamodb_cannot_hold_is_named() {
        let deep = |levels: usize| fields(&format!("{{\"a\":{}1{}}}", "[".repeat(levels), "]".repeat(levels)));
        assert!(to_map(&deep(31)).is_ok());
        assert_eq!(to_map(&deep(32)), Err(NotStorable::TooDeep));
        assert_eq!(to_map(&fields(r#"{"a":{"":1}}"#)), Err(NotStorable::EmptyName));
        for number in [
            "1e126",
            "1e-131",
            "123456789012345678901234567890123456789",
            "1e99999999999999999999",
            "0.1e-130",
            "0e126",
            "-0.0E-500",
        ] {
            assert_eq!(to_map(&fields(&format!("{{\"a\":{number}}}"))), Err(NotStorable::Number), "{number}");
        }
    }

    #[test]
    fn sets_become_lists_in_one_order_and_binary_values_are_refused() {
        let texts = ["b", "a", "é", "", "B"].map(str::to_owned);
        let numbers = ["10", "9", "-1", "1.5", "-2e1"].map(str::to_owned);
        for turn in 0..5 {
            let (mut texts, mut numbers) = (texts.clone(), numbers.clone());
            texts.rotate_left(turn);
            numbers.rotate_left(turn);
            let (texts, numbers) = (AttributeValue::Ss(texts.to_vec()), AttributeValue::Ns(numbers.to_vec()));
            let sets = HashMap::from([("s".to_owned(), texts), ("l".to_owned(), AttributeValue::L(vec![numbers]))]);
            let lists = Json::Object(from_map(sets).unwrap()).to_string();
            assert_eq!(lists, r#"{"l":[[-2e1,-1,1.5,9,10]],"s":["","B","a","b","é"]}"#);
        }
        let binary = HashMap::from([("b".to_owned(), AttributeValue::B(vec![1].into()))]);
        assert!(from_map(binary).is_err());
    }

    fn any_value() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<u64>().prop_map(Json::from),
            (-1e100f64..1e100).prop_map(|double| Json::Number(Number::parse(&double.to_string()).unwrap())),
            "\\PC{0,8}".prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::Array),
                prop::collection::btree_map("\\PC{1,4}", inner, 0..4).prop_map(Json::Object),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_was_stored(
            fields in prop::collection::btree_map("\\PC{1,4}", any_value(), 0..6)
        ) {
            prop_assert_eq!(round_trip(&fields), fields);
        }
    }
}
