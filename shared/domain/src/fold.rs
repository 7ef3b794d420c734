//! The fold: FaunaDB's `Merge`, reduced over a log from the empty object.
//!
//! Owns: what one event does to the fields before it.
//! Must not know: versions, storage, redaction. It neither throws nor logs.
//! Source: FaunaDB `ObjectFunctions.scala` `MergeFunction`: shallow, the later field wins whole, `null` removes.

use crate::{Fields, Json};

/// Merges `later` into `fields`: each field of `later` replaces the whole value before it; a `null` removes the field.
pub fn merge(fields: &mut Fields, later: &Fields) {
    for (name, value) in later {
        match value {
            Json::Null => {
                fields.remove(name);
            }
            Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) | Json::Object(_) => {
                fields.insert(name.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn fold(log: &[Json]) -> Json {
        let mut fields = Fields::new();
        for data in log {
            merge(&mut fields, data.as_object().unwrap());
        }
        Json::Object(fields)
    }

    /// The differential vectors that hold for a log which keeps what its producer wrote, by their numbers.
    /// Source: FaunaDB fact sheet, section 8.
    #[test]
    fn the_fold_is_faunas_reduce_over_merge() {
        let vectors = [
            (1, vec![], json!({})),
            (2, vec![json!({"e":"Created","qty":1}), json!({"e":"Succeeded"})], json!({"e":"Succeeded","qty":1})),
            (
                3,
                vec![json!({"addr":{"city":"Oslo","zip":"0150"}}), json!({"addr":{"city":"Bergen"}})],
                json!({"addr":{"city":"Bergen"}}),
            ),
            (9, vec![json!({"a":1}), json!({"a":1.0})], json!({"a":1.0})),
            (23, vec![json!({"a":1,"b":2}), json!({"a":null})], json!({"b":2})),
        ];
        for (number, log, folded) in vectors {
            let log: Vec<Json> = log.into_iter().map(Json::from).collect();
            assert_eq!(fold(&log), folded, "vector {number}");
        }
    }

    #[test]
    fn a_log_of_10_000_events_folds_whole() {
        let event = |seq: i32| Json::from(json!({"seq": seq, format!("k{}", seq % 100): seq}));
        let log: Vec<Json> = (1..=10_000).map(event).collect();
        let folded = fold(&log);
        assert_eq!(folded.as_object().unwrap().len(), 101);
        assert_eq!(folded.get("seq"), Some(&Json::from(10_000_u64)));
    }

    fn value() -> impl Strategy<Value = Json> {
        prop_oneof![Just(Json::Null), any::<i64>().prop_map(Json::from), "[a-z]{0,3}".prop_map(Json::from)]
    }

    fn event() -> impl Strategy<Value = Json> {
        prop::collection::btree_map("[a-e]", value(), 0..4).prop_map(Json::Object)
    }

    proptest! {
        #[test]
        fn the_fold_of_a_prefix_and_then_the_rest_is_the_fold_of_all(
            log in prop::collection::vec(event(), 0..20), cut in 0usize..20,
        ) {
            let (prefix, rest) = log.split_at(cut.min(log.len()));
            let Json::Object(mut fields) = fold(prefix) else { unreachable!() };
            for data in rest {
                merge(&mut fields, data.as_object().unwrap());
            }
            prop_assert_eq!(Json::Object(fields), fold(&log));
        }

        #[test]
        fn no_null_is_left_at_the_top_and_twice_the_last_event_is_once(log in prop::collection::vec(event(), 1..20)) {
            let folded = fold(&log);
            prop_assert!(folded.as_object().unwrap().values().all(|value| *value != Json::Null));
            let mut twice = log.clone();
            twice.extend(log.last().cloned());
            prop_assert_eq!(fold(&twice), folded);
        }
    }
}
