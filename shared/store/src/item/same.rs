//! Whether two events say the same, by what DynamoDB keeps of them: a number has a value and no spelling, so that `1.0` comes
//! back as `1`.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::Event;

use super::json;

/// Whether both have the same `ts` and the same `data`.
pub(crate) fn is_same_content(one: &Event, other: &Event) -> bool {
    let (data, other_data) = (json::to_map(one.data.fields()), json::to_map(other.data.fields()));
    one.ts_us == other.ts_us && data.is_ok_and(|data| other_data.is_ok_and(|other| is_same(&data, &other)))
}

fn is_same(one: &AttributeValue, other: &AttributeValue) -> bool {
    match (one, other) {
        (AttributeValue::N(one), AttributeValue::N(other)) => one == other || decimal(one) == decimal(other),
        (AttributeValue::L(one), AttributeValue::L(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (AttributeValue::M(one), AttributeValue::M(other)) => {
            let is_in_other = |(name, value)| other.get(name).is_some_and(|other| is_same(value, other));
            one.len() == other.len() && one.iter().all(is_in_other)
        }
        (one, other) => one == other,
    }
}

/// A number as whether it is negative, its significant digits, and the power of ten that they begin with.
fn decimal(number: &str) -> Option<(bool, String, i64)> {
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let unsigned = mantissa.trim_start_matches('-');
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_start_matches('0');
    if significant.is_empty() {
        return Some((false, String::new(), 0));
    }
    let leading = i64::try_from(whole.len()).ok()? - i64::try_from(digits.len() - significant.len()).ok()?;
    let power = exponent.parse::<i64>().ok()?.checked_add(leading)?;
    Some((mantissa.starts_with('-'), significant.trim_end_matches('0').to_owned(), power))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_same_by_their_value() {
        for group in [
            &["1", "1.0", "10e-1", "0.1E1", "1e+0", "01"][..],
            &["0", "-0", "0.00", "0e9"],
            &["-1200", "-1.2e3", "-1200.00"],
            &["1e-7", "0.0000001"],
            &["12345678901234567890123456789012345678", "1.2345678901234567890123456789012345678e37"],
            &["12345678901234567890123456789012345679"],
            &["10"],
            &["1e125"],
        ] {
            for one in group {
                for other in group {
                    assert_eq!(decimal(one), decimal(other), "{one} {other}");
                }
            }
        }
        let different = ["1", "-1", "10", "0.1", "0", "9007199254740993", "9007199254740992"];
        for (index, one) in different.iter().enumerate() {
            for other in &different[index + 1..] {
                assert_ne!(decimal(one), decimal(other), "{one} {other}");
            }
        }
    }
}
