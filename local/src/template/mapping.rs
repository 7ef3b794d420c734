//! The event source mappings of a template.
//!
//! Owns: their defaults.
//! Must not know: how a change feed is read.
//! Source: `AWS::Lambda::EventSourceMapping` for DynamoDB Streams.

use std::{ops::RangeInclusive, time::Duration};

use serde_json::Value;

use super::{
    Resource, TemplateError,
    intrinsics::{function_arn, table_arn},
};
use crate::{
    application::{Application, EventSourceMapping},
    event_source::is_pattern,
};

const BATCH_SIZE_DEFAULT: usize = 100;

/// Patterns of one mapping. Source: Lambda event filtering.
const FILTERS_MAX: usize = 5;

pub(super) fn read(resource: &Resource<'_>, application: &Application) -> Result<EventSourceMapping, TemplateError> {
    let wrong = |property: &str, reason: &str| TemplateError::at(resource.logical_id, property, reason);
    let source = resource.required_text("EventSourceArn")?;
    let table =
        application.tables.values().find(|table| source.starts_with(&format!("{}/stream/", table_arn(&table.name))));
    let table = table.ok_or_else(|| wrong("EventSourceArn", "it is no change feed of a table of the template"))?;
    if table.stream_view.is_none() {
        return Err(wrong("EventSourceArn", "the table has no StreamSpecification"));
    }
    let function = function(resource, application)?;
    let batch_size = number(resource, "BatchSize", 1..=10_000)?.unwrap_or(BATCH_SIZE_DEFAULT);
    let factor = number(resource, "ParallelizationFactor", 1..=10)?.unwrap_or(1);
    let window = number(resource, "MaximumBatchingWindowInSeconds", 0..=300)?.unwrap_or(0);
    // -1 is without end, and no other number is negative.
    let record_age = resource.whole_number("MaximumRecordAgeInSeconds")?.filter(|seconds| *seconds != -1);
    let record_age = record_age.map(|_| number(resource, "MaximumRecordAgeInSeconds", 60..=604_800)).transpose()?;
    if resource.whole_number("TumblingWindowInSeconds")?.unwrap_or(0) != 0 {
        return Err(wrong("TumblingWindowInSeconds", "tumbling windows are not emulated"));
    }
    let starting_position = resource.required_text("StartingPosition")?;
    if !matches!(starting_position.as_str(), "TRIM_HORIZON" | "LATEST") {
        return Err(wrong("StartingPosition", "a change feed has TRIM_HORIZON and LATEST"));
    }
    let attempts = resource.whole_number("MaximumRetryAttempts")?.and_then(|attempts| u32::try_from(attempts).ok());
    Ok(EventSourceMapping {
        logical_id: resource.logical_id.to_owned(),
        table: table.name.clone(),
        function,
        batch_size,
        batching_window: Duration::from_secs(u64::try_from(window).unwrap_or(0)),
        parallelization_factor: factor,
        retry_attempts_max: attempts,
        record_age_max: record_age.flatten().and_then(|age| Some(Duration::from_secs(u64::try_from(age).ok()?))),
        bisect: resource.flag("BisectBatchOnFunctionError")?,
        report_batch_item_failures: reports(resource)?,
        from_latest: starting_position == "LATEST",
        filters: filters(resource)?,
        on_failure: on_failure(resource)?,
    })
}

/// The logical id of the function that a mapping invokes.
pub(super) fn function(resource: &Resource<'_>, application: &Application) -> Result<String, TemplateError> {
    let named = resource.required_text("FunctionName")?;
    let is_named = |name: &str| named == name || named == function_arn(name);
    let function = application.functions.values().find(|function| is_named(&function.name));
    let reason = "it names no function of the template";
    let function = function.ok_or_else(|| TemplateError::at(resource.logical_id, "FunctionName", reason))?;
    Ok(function.logical_id.clone())
}

/// Whether the function says which records of a batch failed.
pub(super) fn reports(resource: &Resource<'_>) -> Result<bool, TemplateError> {
    let response_types = resource.get("FunctionResponseTypes")?;
    let response_types = response_types.as_ref().and_then(Value::as_array);
    Ok(response_types.is_some_and(|types| types.iter().any(|response_type| response_type == "ReportBatchItemFailures")))
}

/// A number within its documented bounds.
pub(super) fn number(
    resource: &Resource<'_>,
    property: &str,
    bounds: RangeInclusive<usize>,
) -> Result<Option<usize>, TemplateError> {
    let Some(given) = resource.whole_number(property)? else { return Ok(None) };
    let number = usize::try_from(given).ok().filter(|number| bounds.contains(number));
    let reason = || format!("it must be from {} to {}, and not {given}", bounds.start(), bounds.end());
    number.map(Some).ok_or_else(|| TemplateError::at(resource.logical_id, property, reason()))
}

fn filters(resource: &Resource<'_>) -> Result<Vec<Value>, TemplateError> {
    let criteria = resource.get("FilterCriteria")?;
    let filters = criteria.as_ref().and_then(|criteria| criteria.get("Filters")).and_then(Value::as_array);
    if filters.is_some_and(|filters| filters.len() > FILTERS_MAX) {
        let reason = format!("there are at most {FILTERS_MAX} patterns");
        return Err(TemplateError::at(resource.logical_id, "FilterCriteria", reason));
    }
    let parse = |filter: &Value| {
        let pattern = filter.get("Pattern").and_then(Value::as_str);
        let pattern = pattern.and_then(|pattern| serde_json::from_str(pattern).ok()).filter(is_pattern);
        pattern.ok_or_else(|| {
            TemplateError::at(resource.logical_id, "FilterCriteria", "Invalid filter pattern definition.")
        })
    };
    filters.into_iter().flatten().map(parse).collect()
}

/// The queue's name, from the last part of its ARN; `None` for the ARN of something else.
pub(super) fn queue_name(arn: &str) -> Option<&str> {
    arn.strip_prefix("arn:aws:sqs:").and_then(|rest| rest.rsplit(':').next())
}

/// The queue's name of the destination.
fn on_failure(resource: &Resource<'_>) -> Result<Option<String>, TemplateError> {
    let config = resource.get("DestinationConfig")?;
    let arn = config.as_ref().and_then(|config| config.get("OnFailure")?.get("Destination")?.as_str());
    let Some(arn) = arn else { return Ok(None) };
    match queue_name(arn) {
        Some(name) => Ok(Some(name.to_owned())),
        None => Err(TemplateError::at(resource.logical_id, "DestinationConfig", "only a queue is emulated")),
    }
}
