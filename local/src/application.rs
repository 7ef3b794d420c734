//! What a template declares, as plain data: functions, tables, one API, mappings, queues.
//!
//! Owns: the names and numbers that the stack runs by.
//! Must not know: CloudFormation's syntax, how anything runs.
//! Source: the resource types' documented properties and defaults.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Map, Value};

/// Everything of a template that the stack runs, by logical id.
#[derive(Clone, Debug, Default)]
pub struct Application {
    /// Lambda functions.
    pub functions: BTreeMap<String, Function>,
    /// DynamoDB tables.
    pub tables: BTreeMap<String, Table>,
    /// The WebSocket API, if there is one.
    pub api: Option<WebSocketApi>,
    /// From change feeds to functions.
    pub mappings: BTreeMap<String, EventSourceMapping>,
    /// Queues, by their names.
    pub queues: BTreeSet<String>,
    /// What the template has and the stack does not run, a sentence each.
    pub warnings: Vec<String>,
}

/// A Lambda function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name in the template.
    pub logical_id: String,
    /// `FunctionName`, else the logical id.
    pub name: String,
    /// `Handler`: which program of the package it is.
    pub handler: String,
    /// `Environment.Variables`.
    pub environment: BTreeMap<String, String>,
    /// `Timeout`, 3 seconds if it is not given.
    pub time_out: Duration,
    /// `MemorySize`, in megabytes, 128 if it is not given.
    pub memory_mb: u32,
}

/// A DynamoDB table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// `TableName`, else the logical id.
    pub name: String,
    /// The properties that `CreateTable` takes, as it takes them.
    pub create: Map<String, Value>,
    /// Whether it has a change feed.
    pub has_change_feed: bool,
    /// The attribute that time-to-live reads.
    pub time_to_live: Option<String>,
}

/// One stage of a WebSocket API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSocketApi {
    /// The API's id.
    pub api_id: String,
    /// The stage's name.
    pub stage: String,
    /// Which route a message takes.
    pub route_selection_expression: String,
    /// `StageVariables`.
    pub stage_variables: BTreeMap<String, String>,
    /// The routes by their keys.
    pub routes: BTreeMap<String, RouteTarget>,
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTarget {
    /// The function's logical id.
    pub function: String,
    /// Whether the reply's body goes back.
    pub has_route_response: bool,
}

/// From a table's change feed to a function.
#[derive(Clone, Debug, PartialEq)]
pub struct EventSourceMapping {
    /// Its name in the template.
    pub logical_id: String,
    /// The table's name.
    pub table: String,
    /// The function's logical id.
    pub function: String,
    /// `BatchSize`, 100 if it is not given.
    pub batch_size: usize,
    /// `MaximumBatchingWindowInSeconds`, 0 if it is not given.
    pub batching_window: Duration,
    /// `MaximumRetryAttempts`; `None` is without end.
    pub retry_attempts_max: Option<u32>,
    /// `MaximumRecordAgeInSeconds`; `None` is without end.
    pub record_age_max: Option<Duration>,
    /// `BisectBatchOnFunctionError`.
    pub bisect: bool,
    /// Whether `FunctionResponseTypes` has `ReportBatchItemFailures`.
    pub report_batch_item_failures: bool,
    /// Whether `StartingPosition` is `LATEST` and not `TRIM_HORIZON`.
    pub from_latest: bool,
    /// `FilterCriteria`: a record passes if it matches one of them, or if there are none.
    pub filters: Vec<Value>,
    /// The name of the on-failure queue.
    pub on_failure: Option<String>,
}
