//! Which route a message takes.
//!
//! Owns: the route selection expression: variables, literals, escapes.
//! Must not know: which routes there are.
//! Source: developer guide, "Selection expressions": one pass, results become text, what is not found is empty.

use serde_json::Value;

const VARIABLE: &str = "$request.body";

/// A route selection expression such as `$request.body.action` or `${request.body.service}/${request.body.action}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RouteSelection(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    /// A path into the body.
    Variable(Vec<String>),
}

impl RouteSelection {
    pub(super) fn parse(expression: &str) -> Self {
        if let Some(path) = expression.strip_prefix(VARIABLE) {
            return Self(vec![Piece::Variable(path_of(path))]);
        }
        let (mut pieces, mut literal, mut rest) = (Vec::new(), String::new(), expression);
        while let Some(next) = rest.chars().next() {
            let variable = rest.strip_prefix("${").and_then(|after| after.split_once('}'));
            if let Some((name, after)) = variable.filter(|(name, _)| format!("${name}").starts_with(VARIABLE)) {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                pieces.push(Piece::Variable(path_of(name.trim_start_matches("request.body"))));
                rest = after;
            } else if let Some(after) = rest.strip_prefix("\\$") {
                literal.push('$');
                rest = after;
            } else {
                literal.push(next);
                rest = rest.get(next.len_utf8()..).unwrap_or_default();
            }
        }
        pieces.push(Piece::Literal(literal));
        Self(pieces)
    }

    /// The key of the route that a body selects; `None` for a body that is no JSON object.
    pub(super) fn select(&self, body: &str) -> Option<String> {
        let body = Value::Object(serde_json::from_str(body).ok()?);
        let text = |piece: &Piece| match piece {
            Piece::Literal(text) => text.clone(),
            Piece::Variable(path) => find(&body, path).map(stringified).unwrap_or_default(),
        };
        Some(self.0.iter().map(text).collect())
    }
}

fn path_of(text: &str) -> Vec<String> {
    text.split('.').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn find<'a>(body: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(body, |value, name| value.get(name.as_str()))
}

fn stringified(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => format!("[{}]", values.iter().map(stringified).collect::<Vec<_>>().join(", ")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(expression: &str, body: &str) -> Option<String> {
        RouteSelection::parse(expression).select(body)
    }

    #[test]
    fn a_variable_is_a_path_into_the_body_and_becomes_text() {
        let body = r#"{"action":"join","service":{"do":"x"},"n":42,"yes":true,"list":["a",1],"nothing":null}"#;
        let cases = [
            ("$request.body.action", "join"),
            ("${request.body.action}", "join"),
            ("$request.body.service.do", "x"),
            ("$request.body.n", "42"),
            ("$request.body.yes", "true"),
            ("$request.body.list", "[a, 1]"),
            ("$request.body.missing", ""),
            ("${request.body.service.do}/${request.body.action}", "x/join"),
            ("${request.body.action}-${request.body.missing}", "join-"),
            (r"\$default", "$default"),
            ("literal", "literal"),
        ];
        for (expression, key) in cases {
            assert_eq!(select(expression, body).as_deref(), Some(key), "{expression}");
        }
    }

    #[test]
    fn a_body_that_is_no_json_object_selects_nothing() {
        let odd = r#"{"$serde_json::private::RawValue":"{\"action\":\"join\"}","action":"leave"}"#;
        assert_eq!(select("$request.body.action", odd).as_deref(), Some("leave"), "no key has a meaning");
        for body in ["", "x", "[]", "7", "\"action\"", "{", "null"] {
            assert_eq!(select("$request.body.action", body), None, "{body}");
        }
    }
}
