//! The policy that an authorizer returns, against the ARN of `$connect`.
//!
//! Owns: statements, wildcards, and that an explicit deny wins.
//! Must not know: who is authorized, where the policy is from.
//! Source: IAM user guide, "Policy evaluation logic" and "IAM JSON policy elements".

use serde_json::Value;

/// The only action that a browser takes.
const INVOKE: &str = "execute-api:Invoke";

/// What a policy says of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// A statement allows it and none denies it.
    Allow,
    /// A statement denies it.
    ExplicitDeny,
    /// No statement is about it.
    NotCovered,
}

/// A policy document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Policy(Vec<Statement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Statement {
    allows: bool,
    actions: Patterns,
    resources: Patterns,
    /// Conditions are not evaluated: a statement that has some denies as if they held and allows as if they did not.
    has_condition: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Patterns {
    /// Whether the element is `NotAction` or `NotResource`.
    inverted: bool,
    patterns: Vec<String>,
}

impl Policy {
    /// Reads a document; `None` if it is malformed.
    pub(super) fn read(document: &Value) -> Option<Self> {
        let statements = match document.get("Statement")? {
            Value::Array(statements) => statements.iter().map(Statement::read).collect::<Option<_>>()?,
            one @ Value::Object(_) => vec![Statement::read(one)?],
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
        };
        Some(Self(statements))
    }

    /// Whether the resource with this ARN may be invoked.
    pub(super) fn decide(&self, arn: &str) -> Decision {
        let about = |allows: bool| {
            self.0.iter().any(|statement| {
                statement.allows == allows
                    && !(allows && statement.has_condition)
                    && statement
                        .actions
                        .cover(|pattern| matches(&pattern.to_ascii_lowercase(), &INVOKE.to_ascii_lowercase()))
                    && statement.resources.cover(|pattern| matches(pattern, arn))
            })
        };
        match (about(false), about(true)) {
            (true, _) => Decision::ExplicitDeny,
            (false, true) => Decision::Allow,
            (false, false) => Decision::NotCovered,
        }
    }
}

impl Statement {
    fn read(statement: &Value) -> Option<Self> {
        let allows = match statement.get("Effect")?.as_str()? {
            "Allow" => true,
            "Deny" => false,
            _ => return None,
        };
        let condition = statement.get("Condition").and_then(Value::as_object);
        Some(Self {
            allows,
            actions: Patterns::read(statement, "Action", "NotAction")?,
            resources: Patterns::read(statement, "Resource", "NotResource")?,
            has_condition: condition.is_some_and(|condition| !condition.is_empty()),
        })
    }
}

impl Patterns {
    fn read(statement: &Value, name: &str, inverted_name: &str) -> Option<Self> {
        let (inverted, element) = match (statement.get(name), statement.get(inverted_name)) {
            (Some(element), None) => (false, element),
            (None, Some(element)) => (true, element),
            (Some(_), Some(_)) | (None, None) => return None,
        };
        let patterns = match element {
            Value::String(one) => vec![one.clone()],
            Value::Array(several) => {
                several.iter().map(|one| one.as_str().map(str::to_owned)).collect::<Option<_>>()?
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
        };
        Some(Self { inverted, patterns })
    }

    fn cover(&self, matches: impl Fn(&str) -> bool) -> bool {
        self.patterns.iter().any(|pattern| matches(pattern)) != self.inverted
    }
}

/// Whether a pattern with `*` (any characters, `/` too) and `?` (one) matches all of a text, in time that is bounded by
/// the product of their lengths.
fn matches(pattern: &str, text: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), text.chars());
    // Where to go on if what follows the last `*` does not match here: one character of the text further.
    let mut retry = None;
    loop {
        let (mut pattern_after, mut text_after) = (pattern.clone(), text.clone());
        match (pattern_after.next(), text_after.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                retry = Some((pattern_after.clone(), text.clone()));
                pattern = pattern_after;
            }
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                (pattern, text) = (pattern_after, text_after);
            }
            (Some(_) | None, _) => {
                let Some((after_star, mut from)) = retry else { return false };
                if from.next().is_none() {
                    return false;
                }
                pattern = after_star.clone();
                text = from.clone();
                retry = Some((after_star, from));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CONNECT: &str = "arn:aws:execute-api:us-east-1:000000000000:abcdef1234/live/$connect";

    fn decide(statements: &Value) -> Option<Decision> {
        Some(Policy::read(&json!({"Version": "2012-10-17", "Statement": statements}))?.decide(CONNECT))
    }

    fn statement(effect: &str, resource: &str) -> Value {
        json!({"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource})
    }

    #[test]
    fn a_resource_pattern_matches_the_arn_of_connect_or_not() {
        let cases = [
            (CONNECT, Decision::Allow),
            ("*", Decision::Allow),
            ("arn:aws:execute-api:*:*:abcdef1234/*", Decision::Allow),
            ("arn:aws:execute-api:us-east-1:000000000000:abcdef1234/live/*", Decision::Allow),
            ("arn:aws:execute-api:us-east-1:000000000000:abcdef1234/*/$connect", Decision::Allow),
            ("arn:aws:execute-api:us-east-1:000000000000:abcdef123?/l??e/$connect", Decision::Allow),
            // One segment more than the ARN has.
            ("arn:aws:execute-api:us-east-1:000000000000:abcdef1234/live/*/*", Decision::NotCovered),
            ("arn:aws:execute-api:us-east-1:000000000000:abcdef1234/other/*", Decision::NotCovered),
            ("arn:aws:execute-api:us-east-1:000000000000:abcdef1234/live/$CONNECT", Decision::NotCovered),
            ("arn:aws:execute-api:us-east-1:000000000000:abcdef1234/live/$connect?", Decision::NotCovered),
            ("", Decision::NotCovered),
        ];
        for (resource, decision) in cases {
            assert_eq!(decide(&json!([statement("Allow", resource)])), Some(decision), "{resource}");
        }
    }

    #[test]
    fn an_explicit_deny_wins_wherever_it_stands() {
        let (allow, deny) = (statement("Allow", "*"), statement("Deny", "*/$connect"));
        assert_eq!(decide(&json!([allow, deny])), Some(Decision::ExplicitDeny));
        assert_eq!(decide(&json!([deny, allow])), Some(Decision::ExplicitDeny));
        assert_eq!(decide(&json!([allow, statement("Deny", "*/$default")])), Some(Decision::Allow));
        assert_eq!(decide(&json!([])), Some(Decision::NotCovered));
    }

    #[test]
    fn elements_are_lists_or_single_actions_have_no_case_and_both_can_be_inverted() {
        let one = json!({"Effect": "Allow", "Action": ["s3:*", "EXECUTE-API:in*"], "Resource": ["x", CONNECT]});
        assert_eq!(decide(&one), Some(Decision::Allow));
        let other_action = json!({"Effect": "Allow", "Action": "execute-api:ManageConnections", "Resource": "*"});
        assert_eq!(decide(&other_action), Some(Decision::NotCovered));
        let but_connect = json!({"Effect": "Allow", "Action": "*", "NotResource": CONNECT});
        assert_eq!(decide(&but_connect), Some(Decision::NotCovered));
        let all_but = json!({"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"});
        assert_eq!(decide(&all_but), Some(Decision::ExplicitDeny));
    }

    #[test]
    fn a_condition_is_not_evaluated_and_never_opens_the_door() {
        let conditional = |effect: &str| {
            let condition = json!({"IpAddress": {"aws:SourceIp": "127.0.0.1"}});
            json!({"Effect": effect, "Action": "*", "Resource": "*", "Condition": condition})
        };
        assert_eq!(decide(&conditional("Allow")), Some(Decision::NotCovered));
        assert_eq!(decide(&json!([statement("Allow", "*"), conditional("Deny")])), Some(Decision::ExplicitDeny));
    }

    #[test]
    fn a_malformed_policy_decides_nothing() {
        let malformed = [
            json!("Allow"),
            json!([7]),
            json!([{"Effect": "allow", "Action": "*", "Resource": "*"}]),
            json!([{"Effect": "Allow", "Resource": "*"}]),
            json!([{"Effect": "Allow", "Action": "*"}]),
            json!([{"Effect": "Allow", "Action": 7, "Resource": "*"}]),
        ];
        for statements in malformed {
            assert_eq!(decide(&statements), None, "{statements}");
        }
        assert_eq!(Policy::read(&json!({})), None);
    }

    #[test]
    fn wildcards_are_matched_in_bounded_time() {
        let pattern = "*a".repeat(200) + "b";
        assert!(!matches(&pattern, &"a".repeat(2_000)));
        assert!(matches("a*b*c", "a-b-b-c") && !matches("a*b*c", "a-b-b-d") && matches("**", ""));
    }
}
