//! The queues of a template, and the mappings from them to functions.
//!
//! Owns: their defaults and bounds.
//! Must not know: how a message is kept, how a function is invoked.
//! Source: `AWS::SQS::Queue`, and `AWS::Lambda::EventSourceMapping` for SQS.

use serde_json::Value;

use super::{
    Resource, TemplateError,
    mapping::{function, number, queue_name, reports},
};
use crate::application::{Application, Queue, QueueMapping, Redrive};

const BATCH_SIZE_DEFAULT: usize = 10;

/// `MaximumConcurrency`. Source: Lambda, 2 to 1,000.
const CONCURRENCY: std::ops::RangeInclusive<u64> = 2..=1_000;

/// A queue and its name.
pub(super) fn read(resource: &Resource<'_>) -> Result<(String, Queue), TemplateError> {
    let name = resource.text("QueueName")?.unwrap_or_else(|| resource.logical_id.to_owned());
    let mut queue = Queue::default();
    if let Some(time_out) = resource.seconds("VisibilityTimeout")? {
        queue.visibility_time_out = time_out;
    }
    queue.redrive = redrive(resource)?;
    Ok((name, queue))
}

fn redrive(resource: &Resource<'_>) -> Result<Option<Redrive>, TemplateError> {
    let Some(policy) = resource.get("RedrivePolicy")? else { return Ok(None) };
    let target = policy.get("deadLetterTargetArn").and_then(Value::as_str).and_then(queue_name);
    let receives_max =
        policy.get("maxReceiveCount").and_then(|count| count.as_u64().or_else(|| count.as_str()?.parse().ok()));
    let receives_max = receives_max.and_then(|count| u32::try_from(count).ok()).filter(|count| *count > 0);
    match (target, receives_max) {
        (Some(queue), Some(receives_max)) => Ok(Some(Redrive { queue: queue.to_owned(), receives_max })),
        (None, _) | (_, None) => {
            let reason = "it must have a queue as deadLetterTargetArn, and maxReceiveCount from 1";
            Err(TemplateError::at(resource.logical_id, "RedrivePolicy", reason))
        }
    }
}

/// The mapping from a queue; `None` if its source is something else.
pub(super) fn mapping(
    resource: &Resource<'_>,
    application: &Application,
) -> Result<Option<QueueMapping>, TemplateError> {
    let wrong = |property: &str, reason: &str| TemplateError::at(resource.logical_id, property, reason);
    let source = resource.required_text("EventSourceArn")?;
    let Some(queue) = queue_name(&source) else { return Ok(None) };
    if !application.queues.contains_key(queue) {
        return Err(wrong("EventSourceArn", "it is no queue of the template"));
    }
    if resource.whole_number("MaximumBatchingWindowInSeconds")?.unwrap_or(0) != 0 {
        return Err(wrong("MaximumBatchingWindowInSeconds", "a window of a queue is not emulated"));
    }
    if resource.get("FilterCriteria")?.is_some() {
        return Err(wrong("FilterCriteria", "filters of a queue are not emulated"));
    }
    let scaling = resource.get("ScalingConfig")?;
    let concurrency_max = scaling.as_ref().and_then(|scaling| scaling.get("MaximumConcurrency"));
    let concurrency_max = concurrency_max.map(|given| {
        let given = given.as_u64().filter(|given| CONCURRENCY.contains(given));
        let given = given.and_then(|given| usize::try_from(given).ok());
        given.ok_or_else(|| wrong("ScalingConfig", "its MaximumConcurrency must be from 2 to 1000"))
    });
    Ok(Some(QueueMapping {
        logical_id: resource.logical_id.to_owned(),
        queue: queue.to_owned(),
        function: function(resource, application)?,
        // More than 10 take a window.
        batch_size: number(resource, "BatchSize", 1..=10)?.unwrap_or(BATCH_SIZE_DEFAULT),
        report_batch_item_failures: reports(resource)?,
        concurrency_max: concurrency_max.transpose()?,
    }))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, time::Duration};

    use serde_json::json;

    use super::*;
    use crate::template;

    fn read_with(queue: &Value, mapping: &Value) -> Result<Application, TemplateError> {
        let mut properties = json!({"EventSourceArn": {"Fn::GetAtt": ["Q", "Arn"]}, "FunctionName": {"Ref": "F"}});
        properties.as_object_mut().unwrap().extend(mapping.as_object().unwrap().clone());
        let resources = json!({
            "F": {"Type": "AWS::Lambda::Function", "Properties": {"Handler": "h"}},
            "Dead": {"Type": "AWS::SQS::Queue"},
            "Q": {"Type": "AWS::SQS::Queue", "Properties": queue},
            "M": {"Type": "AWS::Lambda::EventSourceMapping", "Properties": properties},
        });
        template::read(&json!({"Resources": resources}), &BTreeMap::new())
    }

    #[test]
    fn a_queue_and_its_mapping_have_the_defaults_of_aws() {
        let application = read_with(&json!({}), &json!({})).unwrap();
        let seconds = |name: &str| application.queues[name].visibility_time_out.as_secs();
        assert_eq!(
            (seconds("Q"), application.queues["Q"].is_taken, application.queues["Dead"].is_taken),
            (30, true, false)
        );
        let mapping = &application.queue_mappings["M"];
        assert_eq!((mapping.queue.as_str(), mapping.function.as_str()), ("Q", "F"));
        assert_eq!(
            (mapping.batch_size, mapping.report_batch_item_failures, mapping.concurrency_max),
            (10, false, None)
        );
        assert!(application.invokes("F"));
    }

    #[test]
    fn what_a_template_says_of_a_queue_is_followed() {
        let policy = json!({"deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]}, "maxReceiveCount": 3});
        let queue = json!({"VisibilityTimeout": 60, "RedrivePolicy": policy});
        let more = json!({"BatchSize": 1, "FunctionResponseTypes": ["ReportBatchItemFailures"],
                          "ScalingConfig": {"MaximumConcurrency": 5}});
        let application = read_with(&queue, &more).unwrap();
        let redrive = Some(Redrive { queue: "Dead".to_owned(), receives_max: 3 });
        let expected = Queue { visibility_time_out: Duration::from_secs(60), redrive, is_taken: true };
        assert_eq!(application.queues["Q"], expected);
        let mapping = &application.queue_mappings["M"];
        assert_eq!((mapping.batch_size, mapping.report_batch_item_failures), (1, true));
        assert_eq!((mapping.concurrency_max, application.warnings.len()), (Some(5), 0));
    }

    #[test]
    fn what_is_wrong_or_not_emulated_is_named() {
        for (queue, mapping, property) in [
            (json!({"RedrivePolicy": {"maxReceiveCount": 3}}), json!({}), "RedrivePolicy"),
            (json!({}), json!({"BatchSize": 11}), "BatchSize"),
            (json!({}), json!({"MaximumBatchingWindowInSeconds": 1}), "MaximumBatchingWindowInSeconds"),
            (json!({}), json!({"FilterCriteria": {"Filters": []}}), "FilterCriteria"),
            (json!({}), json!({"ScalingConfig": {"MaximumConcurrency": 1}}), "ScalingConfig"),
            (json!({}), json!({"EventSourceArn": "arn:aws:sqs:us-east-1:000000000000:other"}), "EventSourceArn"),
        ] {
            let error = read_with(&queue, &mapping).unwrap_err().to_string();
            assert!(error.contains(&format!("property {property}: ")), "{error}");
        }
    }
}
