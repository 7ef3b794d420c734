//! A number as it is written, and what it is worth.

use std::{cmp::Ordering, fmt};

/// A number as JSON writes it: all its digits, its exponent, and nothing else. `1` and `1.0` are two texts of one value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Number(pub(super) String);

/// The value of a number, the same for each way to write it. Exponents beyond 64 bits count as the largest one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decimal {
    is_negative: bool,
    magnitude: i64,
    digits: String,
}

impl Number {
    /// Reads a number by JSON's grammar; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
            None => (text, None),
        };
        let unsigned = mantissa.strip_prefix('-').unwrap_or(mantissa);
        let (whole, fraction) = match unsigned.split_once('.') {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (unsigned, None),
        };
        let is_whole = digits(whole) && (whole == "0" || !whole.starts_with('0'));
        (is_whole && fraction.is_none_or(digits) && exponent.is_none_or(digits)).then(|| Self(text.to_owned()))
    }

    /// The number as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest number that a double holds; infinite beyond its range.
    #[must_use]
    pub fn to_f64(&self) -> f64 {
        // JSON's grammar is a part of Rust's.
        self.0.parse().unwrap_or(f64::NAN)
    }

    /// The number's value.
    #[must_use]
    pub fn decimal(&self) -> Decimal {
        let (mantissa, exponent) = self.0.split_once(['e', 'E']).unwrap_or((&self.0, "0"));
        let (is_negative, unsigned) = match mantissa.strip_prefix('-') {
            Some(unsigned) => (true, unsigned),
            None => (false, mantissa),
        };
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let written = format!("{whole}{fraction}");
        let significant = written.trim_start_matches('0');
        let digits = significant.trim_end_matches('0');
        if digits.is_empty() {
            return Decimal::default();
        }
        let beyond = if exponent.starts_with('-') { i64::MIN } else { i64::MAX };
        let length = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
        let places = length(significant).saturating_sub(length(fraction)).saturating_sub(1);
        let magnitude = exponent.parse().unwrap_or(beyond).saturating_add(places);
        Decimal { is_negative, magnitude, digits: digits.to_owned() }
    }
}

impl Decimal {
    /// The exponent of the first digit that is not zero; 0 for zero.
    #[must_use]
    pub fn magnitude(&self) -> i64 {
        self.magnitude
    }

    /// How many digits it has, without zeros at either end.
    #[must_use]
    pub fn significant_digits(&self) -> usize {
        self.digits.len()
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let sign = |decimal: &Self| match (decimal.digits.is_empty(), decimal.is_negative) {
            (true, _) => 0,
            (false, false) => 1,
            (false, true) => -1,
        };
        let size = || self.magnitude.cmp(&other.magnitude).then_with(|| self.digits.cmp(&other.digits));
        sign(self).cmp(&sign(other)).then_with(|| if self.is_negative { size().reverse() } else { size() })
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        Number::parse(text).unwrap().decimal()
    }

    #[test]
    fn numbers_are_one_by_jsons_grammar() {
        for text in ["0", "-0", "-0.0", "1.10", "9007199254740993", "12345678901234567890123456789012345678", "1E+125"]
        {
            assert_eq!(Number::parse(text).unwrap().as_str(), text);
        }
        for text in ["", "-", "01", "+1", ".5", "1.", "1e", "1e+", "0x1", "NaN", "Infinity", "1 ", " 1", "1_0", "١"] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_are_ordered_by_their_value() {
        let ascending = [
            "-1e9999999999999999999999",
            "-100",
            "-12",
            "-1.25",
            "-1.2",
            "-1e-3",
            "0",
            "1e-130",
            "0.5",
            "9",
            "10",
            "1e2",
        ];
        for pair in ascending.windows(2) {
            assert!(decimal(pair[0]) < decimal(pair[1]), "{pair:?}");
        }
        for (one, other) in [("1", "1.0"), ("0", "-0.0e5"), ("120", "1.2e2"), ("0.00120", "12E-4"), ("-1e1", "-10")] {
            assert_eq!(decimal(one), decimal(other));
        }
    }

    proptest! {
        #[test]
        fn doubles_have_the_order_of_their_texts(one in any::<f64>(), other in any::<f64>()) {
            prop_assume!(one.is_finite() && other.is_finite());
            let order = one.partial_cmp(&other).unwrap();
            prop_assert_eq!(decimal(&format!("{one:e}")).cmp(&decimal(&format!("{other}"))), order);
        }
    }
}
