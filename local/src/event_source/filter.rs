//! Filter criteria: which records a function gets.
//!
//! Owns: matching one record against the mapping's patterns.
//! Must not know: where records come from.
//! Source: Lambda event filtering; `eventName` can be filtered, and a DynamoDB number is a text, as recorded from AWS.

use serde_json::Value;

const OR: &str = "$or";

const COMPARISONS: [&str; 5] = ["=", "<", "<=", ">", ">="];

/// Whether a record matches one of the patterns; all do if there are none.
pub(super) fn passes(patterns: &[Value], record: &Value) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| matches(pattern, Some(record)))
}

/// Every key of a pattern must match; `$or` is a choice of patterns, a list a choice of rules for a leaf.
fn matches(pattern: &Value, value: Option<&Value>) -> bool {
    match pattern {
        Value::Object(fields) => fields.iter().all(|(name, pattern)| match pattern.as_array() {
            Some(choices) if name == OR => choices.iter().any(|choice| matches(choice, value)),
            Some(_) | None => matches(pattern, value.and_then(|value| value.get(name))),
        }),
        Value::Array(rules) => rules.iter().any(|rule| rule_matches(rule, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Whether a pattern can be one: objects with a list of rules at each leaf.
pub(crate) fn is_pattern(pattern: &Value) -> bool {
    let Value::Object(fields) = pattern else { return false };
    !fields.is_empty()
        && fields.iter().all(|(name, value)| match value {
            Value::Array(choices) if name == OR => !choices.is_empty() && choices.iter().all(is_pattern),
            Value::Array(rules) => !rules.is_empty() && rules.iter().all(is_rule),
            Value::Object(_) => is_pattern(value),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        })
}

fn is_rule(rule: &Value) -> bool {
    let Value::Object(operators) = rule else { return !rule.is_array() };
    let is_operator = |(operator, argument): (&String, &Value)| match operator.as_str() {
        "exists" => argument.is_boolean(),
        "prefix" | "suffix" | "equals-ignore-case" => argument.is_string(),
        "anything-but" => {
            let others = argument.as_array().map_or(std::slice::from_ref(argument), Vec::as_slice);
            !others.is_empty() && others.iter().all(|other| other.is_string() || other.is_number())
        }
        "numeric" => argument.as_array().is_some_and(|comparison| {
            let is_pair = |pair: &[Value]| match pair {
                [Value::String(operator), Value::Number(_)] => COMPARISONS.contains(&operator.as_str()),
                _ => false,
            };
            matches!(comparison.len(), 2 | 4) && comparison.chunks(2).all(is_pair)
        }),
        _ => false,
    };
    operators.len() == 1 && operators.iter().all(is_operator)
}

fn rule_matches(rule: &Value, value: Option<&Value>) -> bool {
    let Value::Object(operators) = rule else { return value == Some(rule) };
    operators.iter().all(|(operator, argument)| {
        let text = value.and_then(Value::as_str);
        match (operator.as_str(), argument) {
            // It looks at leaves alone: on a map, "does not exist" is true.
            ("exists", Value::Bool(wanted)) => value.is_some_and(|value| !value.is_object()) == *wanted,
            ("prefix", Value::String(prefix)) => text.is_some_and(|text| text.starts_with(prefix.as_str())),
            ("suffix", Value::String(suffix)) => text.is_some_and(|text| text.ends_with(suffix.as_str())),
            ("equals-ignore-case", Value::String(other)) => text.is_some_and(|text| text.eq_ignore_ascii_case(other)),
            ("anything-but", Value::Array(others)) => value.is_some_and(|value| !others.contains(value)),
            ("anything-but", other) => value.is_some_and(|value| value != other),
            ("numeric", Value::Array(comparison)) => {
                value.and_then(Value::as_f64).is_some_and(|number| compares(number, comparison))
            }
            _ => false,
        }
    })
}

fn compares(number: f64, comparison: &[Value]) -> bool {
    comparison.chunks(2).all(|pair| match pair {
        [Value::String(operator), bound] => bound.as_f64().is_some_and(|bound| match operator.as_str() {
            "=" => (number - bound).abs() < f64::EPSILON,
            "<" => number < bound,
            "<=" => number <= bound,
            ">" => number > bound,
            ">=" => number >= bound,
            _ => false,
        }),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn match_one(pattern: Value) -> bool {
        let record = json!({"eventName": "INSERT", "dynamodb": {
            "ApproximateCreationDateTime": 5.0, "NewImage": {"k": {"S": "value"}, "n": {"N": "7"}, "empty": {"S": ""},
                         "nothing": {"NULL": true}},
        }});
        passes(&[pattern], &record)
    }

    #[test]
    fn patterns_match_as_recorded() {
        let image = |pattern: Value| json!({"dynamodb": {"NewImage": pattern}});
        let matching = [
            json!({"eventName": ["MODIFY", "INSERT"]}),
            image(json!({"k": {"S": ["value"]}})),
            image(json!({"k": {"S": [{"prefix": "va"}]}})),
            image(json!({"k": {"S": [{"anything-but": ["x"]}]}})),
            image(json!({"k": {"S": [{"suffix": "ue"}]}})),
            image(json!({"k": {"S": [{"equals-ignore-case": "VALUE"}]}})),
            image(json!({"n": {"N": ["7"]}})),
            image(json!({"empty": {"S": [""]}})),
            image(json!({"nothing": {"NULL": [null, true]}})),
            json!({"$or": [{"eventName": ["MODIFY"]}, {"dynamodb": {"NewImage": {"n": {"N": ["7"]}}}}]}),
            image(json!({"missing": [{"exists": false}]})),
            image(json!({"k": [{"exists": false}]})),
            json!({"dynamodb": {"ApproximateCreationDateTime": [{"numeric": [">", 4, "<=", 5]}]}}),
        ];
        for pattern in matching {
            assert!(match_one(pattern.clone()), "{pattern}");
        }
        let others = [
            json!({"eventName": ["MODIFY"]}),
            image(json!({"k": ["value"]})),
            image(json!({"k": {"S": ["VALUE"]}})),
            image(json!({"n": {"N": ["7.0"]}})),
            image(json!({"k": {"S": [{"anything-but": "value"}]}})),
            json!({"$or": [{"eventName": ["MODIFY"]}, {"eventName": ["REMOVE"]}]}),
            image(json!({"n": {"N": [{"numeric": ["=", 7]}]}})),
            image(json!({"missing": {"S": ["value"]}})),
            json!({"eventName": ["INSERT"], "eventSource": ["x"]}),
        ];
        for pattern in others {
            assert!(!match_one(pattern.clone()), "{pattern}");
        }
        assert!(passes(&[], &json!({})));
    }

    #[test]
    fn a_number_is_compared_by_its_text() {
        let record: Value = serde_json::from_str(r#"{"n": 300}"#).unwrap();
        let pattern = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        assert!(passes(&[pattern(r#"{"n": [300]}"#)], &record));
        assert!(!passes(&[pattern(r#"{"n": [300.0]}"#)], &record));
    }

    #[test]
    fn what_is_no_pattern_is_told_apart() {
        let patterns = [
            json!({"a": ["x", 1, null, true, {"exists": true}]}),
            json!({"a": {"b": [{"numeric": [">", 1, "<=", 5]}]}}),
            json!({"$or": [{"a": ["x"]}, {"b": [{"anything-but": "y"}]}]}),
        ];
        for pattern in patterns {
            assert!(is_pattern(&pattern), "{pattern}");
        }
        let others = [
            json!("text"),
            json!({}),
            json!({"a": "x"}),
            json!({"a": []}),
            json!({"a": [{"between": [1, 2]}]}),
            json!({"a": [{"exists": "yes"}]}),
            json!({"a": [{"numeric": ["!", 1]}]}),
            json!({"a": [{"numeric": [">"]}]}),
            json!({"a": [{"prefix": 1}]}),
            json!({"a": [["nested"]]}),
            json!({"$or": [{"a": "x"}]}),
        ];
        for pattern in others {
            assert!(!is_pattern(&pattern), "{pattern}");
        }
    }
}
