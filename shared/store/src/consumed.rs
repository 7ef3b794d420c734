//! What a call consumed of DynamoDB, as its answer says.

use aws_sdk_dynamodb::types::ConsumedCapacity;

/// Capacity units, whole ones.
pub(crate) fn units<'a>(consumed: impl IntoIterator<Item = &'a ConsumedCapacity>) -> u64 {
    let units: f64 = consumed.into_iter().filter_map(ConsumedCapacity::capacity_units).sum();
    // A text of digits is the one conversion that neither wraps nor cuts in silence.
    format!("{:.0}", units.ceil()).parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_units_add_up_to_whole_ones() {
        let consumed = |units| ConsumedCapacity::builder().capacity_units(units).build();
        assert_eq!(units(&[consumed(0.5), consumed(2.0)]), 3);
        assert_eq!(units(&[]), 0);
    }
}
