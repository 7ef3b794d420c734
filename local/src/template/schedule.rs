//! The schedules of a template: rules of EventBridge with a rate.
//!
//! Owns: reading `rate(…)`, and naming the rules that are not run.
//! Must not know: how a schedule runs.
//! Source: `AWS::Events::Rule`; EventBridge user guide, "Rate expressions".

use std::time::Duration;

use serde_json::Value;

use super::{Resource, TemplateError, intrinsics::function_arn};
use crate::application::{Application, Schedule};

/// The schedules of a rule, one a target; or why it is not run.
pub(super) fn read(
    resource: &Resource<'_>,
    application: &Application,
) -> Result<Result<Vec<Schedule>, String>, TemplateError> {
    let wrong = |property: &str, reason: &str| TemplateError::at(resource.logical_id, property, reason);
    if resource.text("State")?.is_some_and(|state| state != "ENABLED") {
        return Ok(Ok(Vec::new()));
    }
    let Some(expression) = resource.text("ScheduleExpression")? else {
        return Ok(Err("is not emulated: it is a rule without a schedule".to_owned()));
    };
    if expression.starts_with("cron(") {
        return Ok(Err("is not emulated: its schedule is no rate".to_owned()));
    }
    let period = rate(&expression).ok_or_else(|| wrong("ScheduleExpression", "it must be rate(number unit)"))?;
    let rule_name = resource.text("Name")?.unwrap_or_else(|| resource.logical_id.to_owned());
    let targets = resource.get("Targets")?;
    let targets = targets.as_ref().and_then(Value::as_array).into_iter().flatten();
    let schedule = |target: &Value| {
        let arn = target.get("Arn").and_then(Value::as_str).unwrap_or_default();
        let function = application.functions.values().find(|function| function_arn(&function.name) == arn);
        let function = function.ok_or_else(|| wrong("Targets", "only a function of the template is emulated"))?;
        let input = target.get("Input").and_then(Value::as_str).map(serde_json::from_str).transpose();
        let input = input.map_err(|_not_json| wrong("Targets", "Input must be JSON"))?;
        Ok(Schedule { rule_name: rule_name.clone(), function: function.logical_id.clone(), period, input })
    };
    Ok(Ok(targets.map(schedule).collect::<Result<_, _>>()?))
}

/// `rate(1 minute)`, `rate(5 minutes)`: one is written without an s, and more with it.
fn rate(expression: &str) -> Option<Duration> {
    let (number, unit) = expression.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
    let number: u64 = number.parse().ok().filter(|number| *number > 0)?;
    let singular = if number == 1 { unit } else { unit.strip_suffix('s')? };
    let minutes = match singular {
        "minute" => 1,
        "hour" => 60,
        "day" => 24 * 60,
        _ => return None,
    };
    Some(Duration::from_secs(number.checked_mul(minutes * 60)?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_rule(rule: &Value) -> Result<Application, TemplateError> {
        let function = json!({"Type": "AWS::Lambda::Function", "Properties": {"Handler": "h"}});
        let rule = json!({"Type": "AWS::Events::Rule", "Properties": rule});
        super::super::read(&json!({"Resources": {"F": function, "R": rule}}), &[].into())
    }

    #[test]
    fn a_rate_is_a_number_and_a_unit_that_agree() {
        let seconds = |text: &str| rate(text).map(|period| period.as_secs());
        let good = ["rate(1 minute)", "rate(5 minutes)", "rate(1 hour)", "rate(2 days)"];
        assert_eq!(good.map(seconds), [Some(60), Some(300), Some(3_600), Some(172_800)]);
        for bad in ["rate(1 minutes)", "rate(5 minute)", "rate(0 minutes)", "rate(1)", "1 minute", "rate(1 second)"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_rule_with_a_rate_is_a_schedule_for_each_target() {
        let target = json!({"Id": "t", "Arn": {"Fn::GetAtt": ["F", "Arn"]}});
        let own = json!({"Id": "u", "Arn": {"Fn::GetAtt": ["F", "Arn"]}, "Input": "{\"a\":1}"});
        let rule = json!({"ScheduleExpression": "rate(1 minute)", "State": "ENABLED", "Targets": [target, own]});
        let application = read_rule(&rule).unwrap();
        assert_eq!(application.schedules.len(), 2);
        assert_eq!(application.schedules[0].input, None);
        assert_eq!(application.schedules[1].input, Some(json!({"a": 1})));
        assert!(application.invokes("F"));
        let disabled = json!({"ScheduleExpression": "rate(1 minute)", "State": "DISABLED", "Targets": [target]});
        assert!(read_rule(&disabled).unwrap().schedules.is_empty());
        let cron = json!({"ScheduleExpression": "cron(0 12 * * ? *)", "Targets": [target]});
        let warned = read_rule(&cron).unwrap();
        assert_eq!(warned.warnings, ["resource R is not emulated: its schedule is no rate"]);
        let queue = json!({"ScheduleExpression": "rate(1 minute)", "Targets": [{"Arn": "arn:aws:sqs:x:1:q"}]});
        assert!(read_rule(&queue).unwrap_err().to_string().contains("only a function"));
    }
}
