//! A `MOCK` integration of a template: the reply that API Gateway has ready.
//!
//! Owns: which template is chosen by which key, and refusing those that would have to be evaluated.
//! Must not know: the route.
//! Source: developer guide, "WebSocket selection expressions" and "Set up a WebSocket API integration response".

use serde_json::{Map, Value};

use super::{Resource, TemplateError, intrinsics::Resolver, open};
use crate::application::MockReply;

/// The key of what counts when no other does.
const DEFAULT: &str = "$default";

/// The reply of an integration and its integration responses.
pub(super) fn read(
    integration: &Resource<'_>,
    resources: &Map<String, Value>,
    resolver: &Resolver<'_>,
) -> Result<MockReply, TemplateError> {
    let request = chosen(integration, "RequestTemplates")?;
    let status = request.as_deref().and_then(status);
    let status = status.ok_or_else(|| {
        let reason = r#"a MOCK needs a template such as {"statusCode": 200} for the key that is selected"#;
        TemplateError::at(integration.logical_id, "RequestTemplates", reason)
    })?;
    let (mut matching, mut default) = (None, None);
    for (logical_id, resource) in resources {
        if resource.get("Type").and_then(Value::as_str) != Some("AWS::ApiGatewayV2::IntegrationResponse") {
            continue;
        }
        let response = open(logical_id, resource, resolver);
        if response.required_text("IntegrationId")? != integration.logical_id {
            continue;
        }
        let key = response.required_text("IntegrationResponseKey")?;
        if key == DEFAULT {
            default = Some(response);
        } else if covers(&key, status).ok_or_else(|| unreadable(&response))? {
            matching = matching.or(Some(response));
        }
    }
    let body = match matching.or(default) {
        Some(response) => chosen(&response, "ResponseTemplates")?,
        None => None,
    };
    Ok(MockReply { status, body })
}

/// The `statusCode` that a request template says.
fn status(template: &str) -> Option<u16> {
    let template: Value = serde_json::from_str(template).ok()?;
    u16::try_from(template.get("statusCode")?.as_u64()?).ok().filter(|status| (100..=599).contains(status))
}

/// The template that the selection expression chooses, if there is one for its key or for `$default`.
fn chosen(resource: &Resource<'_>, property: &str) -> Result<Option<String>, TemplateError> {
    let templates = resource.texts(property, resource.get(property)?.as_ref())?;
    let key = match resource.text("TemplateSelectionExpression")?.as_deref() {
        None | Some("$default" | r"\$default") => DEFAULT.to_owned(),
        Some(expression) if expression.contains('$') => {
            let reason = r"it is not evaluated: a text or \$default must do";
            return Err(TemplateError::at(resource.logical_id, "TemplateSelectionExpression", reason));
        }
        Some(text) => text.to_owned(),
    };
    let Some(template) = templates.get(&key).or_else(|| templates.get(DEFAULT)) else { return Ok(None) };
    if template.contains(['$', '#']) {
        let reason = "a template is not evaluated: it must have no $ and no #";
        return Err(TemplateError::at(resource.logical_id, property, reason));
    }
    Ok(Some(template.clone()))
}

fn unreadable(response: &Resource<'_>) -> TemplateError {
    let reason = r"it must be $default or a pattern of digits and \d, such as /2\d\d/";
    TemplateError::at(response.logical_id, "IntegrationResponseKey", reason)
}

/// Whether a key such as `/2\d\d/` or `/2\d{2}/` covers a status; `None` if the key has anything else in it.
fn covers(key: &str, status: u16) -> Option<bool> {
    let pattern = key.strip_prefix('/')?.strip_suffix('/')?.replace(r"\d{2}", r"\d\d").replace(r"\d", "d");
    let status = status.to_string();
    if !pattern.chars().all(|symbol| symbol == 'd' || symbol.is_ascii_digit()) {
        return None;
    }
    let is_one = |(symbol, digit): (char, char)| symbol == 'd' || symbol == digit;
    Some(pattern.chars().count() == status.len() && pattern.chars().zip(status.chars()).all(is_one))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    /// What is read of an integration and its responses, each by its key.
    fn read_mock(integration: Value, responses: &[(&str, Value)]) -> Result<MockReply, TemplateError> {
        let mut resources = json!({"Mock": {"Properties": integration}});
        for (number, (key, properties)) in responses.iter().enumerate() {
            let mut properties = properties.clone();
            properties["IntegrationId"] = json!({"Ref": "Mock"});
            properties["IntegrationResponseKey"] = json!(key);
            resources[format!("Response{number}")] =
                json!({"Type": "AWS::ApiGatewayV2::IntegrationResponse", "Properties": properties});
        }
        let template = json!({"Resources": resources});
        let resources = template["Resources"].as_object().unwrap();
        let resolver = Resolver::new(&template, resources, &BTreeMap::new());
        read(&open("Mock", &resources["Mock"], &resolver), resources, &resolver)
    }

    fn ok() -> Value {
        json!({"RequestTemplates": {"200": r#"{"statusCode": 200}"#}, "TemplateSelectionExpression": "200"})
    }

    fn says(text: &str) -> Value {
        json!({"ResponseTemplates": {"200": text}, "TemplateSelectionExpression": "200"})
    }

    #[test]
    fn a_mock_replies_what_stands_in_the_template() {
        let reply = read_mock(ok(), &[(DEFAULT, says("hello"))]).unwrap();
        assert_eq!(reply, MockReply { status: 200, body: Some("hello".into()) });
        assert_eq!(read_mock(ok(), &[]).unwrap(), MockReply { status: 200, body: None });
        let by_default = json!({"RequestTemplates": {"$default": r#"{"statusCode": 418}"#}});
        assert_eq!(read_mock(by_default, &[(DEFAULT, json!({}))]).unwrap(), MockReply { status: 418, body: None });
    }

    #[test]
    fn the_response_is_the_one_for_the_status_else_the_default() {
        let responses = |key| [(DEFAULT, says("default")), (key, says("own"))];
        for (key, body) in [(r"/2\d\d/", "own"), (r"/2\d{2}/", "own"), ("/200/", "own"), (r"/4\d\d/", "default")] {
            assert_eq!(read_mock(ok(), &responses(key)).unwrap().body.as_deref(), Some(body), "{key}");
        }
        let refused = read_mock(ok(), &responses("/2.*/")).unwrap_err().to_string();
        assert!(refused.ends_with(r"must be $default or a pattern of digits and \d, such as /2\d\d/"), "{refused}");
    }

    #[test]
    fn a_mock_that_would_have_to_be_evaluated_is_refused() {
        let request = |template: &str| json!({"RequestTemplates": {"$default": template}});
        let selecting = |expression: &str| {
            let mut integration = ok();
            integration["TemplateSelectionExpression"] = json!(expression);
            integration
        };
        for (integration, response, reason) in [
            (request(r#"{"statusCode": $input.json('$.status')}"#), says(""), "RequestTemplates: a template is not"),
            (request("#set($a = 1)"), says(""), "RequestTemplates: a template is not evaluated"),
            (ok(), says("$context.connectionId"), "ResponseTemplates: a template is not evaluated"),
            (selecting("${request.body.kind}"), says(""), "TemplateSelectionExpression: it is not evaluated"),
            (selecting("201"), says(""), "RequestTemplates: a MOCK needs a template"),
            (request("hello"), says(""), "RequestTemplates: a MOCK needs a template"),
            (request(r#"{"statusCode": 99}"#), says(""), "RequestTemplates: a MOCK needs a template"),
            (json!({}), says(""), "RequestTemplates: a MOCK needs a template"),
        ] {
            let refused = read_mock(integration, &[(DEFAULT, response)]).unwrap_err().to_string();
            assert!(refused.contains(reason), "{refused}");
        }
    }
}
