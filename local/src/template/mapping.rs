//! The event source mappings of a template.
//!
//! Owns: their defaults.
//! Must not know: how a change feed is read.
//! Source: `AWS::Lambda::EventSourceMapping` for DynamoDB Streams.

use serde_json::Value;

use super::{
    Resource, TemplateError,
    intrinsics::{function_arn, table_arn},
};
use crate::application::{Application, EventSourceMapping};

const BATCH_SIZE_DEFAULT: usize = 100;

pub(super) fn read(resource: &Resource<'_>, application: &Application) -> Result<EventSourceMapping, TemplateError> {
    let wrong = |property: &str, reason: &str| TemplateError::at(resource.logical_id, property, reason);
    let source = resource.required_text("EventSourceArn")?;
    let table =
        application.tables.values().find(|table| source.starts_with(&format!("{}/stream/", table_arn(&table.name))));
    let table = table.ok_or_else(|| wrong("EventSourceArn", "it is no change feed of a table of the template"))?;
    if !table.has_change_feed {
        return Err(wrong("EventSourceArn", "the table has no StreamSpecification"));
    }
    let named = resource.required_text("FunctionName")?;
    let is_named = |name: &str| named == name || named == function_arn(name);
    let function = application.functions.values().find(|function| is_named(&function.name));
    let function = function.ok_or_else(|| wrong("FunctionName", "it names no function of the template"))?;
    let batch_size = resource.whole_number("BatchSize")?.and_then(|size| usize::try_from(size).ok());
    let attempts = resource.whole_number("MaximumRetryAttempts")?.and_then(|attempts| u32::try_from(attempts).ok());
    let response_types = resource.get("FunctionResponseTypes")?;
    let response_types = response_types.as_ref().and_then(Value::as_array);
    if resource.whole_number("ParallelizationFactor")?.unwrap_or(1) != 1 {
        return Err(wrong("ParallelizationFactor", "only 1 is emulated"));
    }
    Ok(EventSourceMapping {
        logical_id: resource.logical_id.to_owned(),
        table: table.name.clone(),
        function: function.logical_id.clone(),
        batch_size: batch_size.unwrap_or(BATCH_SIZE_DEFAULT).max(1),
        batching_window: resource.seconds("MaximumBatchingWindowInSeconds")?.unwrap_or_default(),
        retry_attempts_max: attempts,
        record_age_max: resource.seconds("MaximumRecordAgeInSeconds")?,
        bisect: resource.flag("BisectBatchOnFunctionError")?,
        report_batch_item_failures: response_types
            .is_some_and(|types| types.iter().any(|response_type| response_type == "ReportBatchItemFailures")),
        from_latest: resource.required_text("StartingPosition")? == "LATEST",
        filters: filters(resource)?,
        on_failure: on_failure(resource)?,
    })
}

fn filters(resource: &Resource<'_>) -> Result<Vec<Value>, TemplateError> {
    let criteria = resource.get("FilterCriteria")?;
    let filters = criteria.as_ref().and_then(|criteria| criteria.get("Filters")).and_then(Value::as_array);
    let parse = |filter: &Value| {
        let pattern = filter.get("Pattern").and_then(Value::as_str);
        let pattern = pattern.and_then(|pattern| serde_json::from_str(pattern).ok()).filter(Value::is_object);
        pattern.ok_or_else(|| {
            TemplateError::at(resource.logical_id, "FilterCriteria", "Invalid filter pattern definition.")
        })
    };
    filters.into_iter().flatten().map(parse).collect()
}

/// The queue's name, from the last part of its ARN.
fn on_failure(resource: &Resource<'_>) -> Result<Option<String>, TemplateError> {
    let config = resource.get("DestinationConfig")?;
    let arn = config.as_ref().and_then(|config| config.get("OnFailure")?.get("Destination")?.as_str());
    let Some(arn) = arn else { return Ok(None) };
    match arn.strip_prefix("arn:aws:sqs:").and_then(|rest| rest.rsplit(':').next()) {
        Some(name) => Ok(Some(name.to_owned())),
        None => Err(TemplateError::at(resource.logical_id, "DestinationConfig", "only a queue is emulated")),
    }
}
