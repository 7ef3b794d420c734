//! Filter criteria: which records a function gets.
//!
//! Owns: matching one record against the mapping's patterns.
//! Must not know: where records come from.
//! Source: Lambda event filtering; `eventName` can be filtered, and a DynamoDB number is a text, as recorded from AWS.

use serde_json::Value;

/// Whether a record matches one of the patterns; all do if there are none.
pub(super) fn passes(patterns: &[Value], record: &Value) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| matches(pattern, Some(record)))
}

/// Every key of a pattern must match; a list is a choice of rules for a leaf.
fn matches(pattern: &Value, value: Option<&Value>) -> bool {
    match pattern {
        Value::Object(fields) => {
            fields.iter().all(|(name, pattern)| matches(pattern, value.and_then(|value| value.get(name))))
        }
        Value::Array(rules) => rules.iter().any(|rule| rule_matches(rule, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
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
            "ApproximateCreationDateTime": 5.0, "NewImage": {"k": {"S": "value"}, "n": {"N": "7"}},
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
            image(json!({"n": {"N": [{"numeric": ["=", 7]}]}})),
            image(json!({"missing": {"S": ["value"]}})),
            json!({"eventName": ["INSERT"], "eventSource": ["x"]}),
        ];
        for pattern in others {
            assert!(!match_one(pattern.clone()), "{pattern}");
        }
        assert!(passes(&[], &json!({})));
    }
}
