//! What a template declares, as plain data: functions, tables, one API, mappings, queues.
//!
//! Owns: the names and numbers that the stack runs by.
//! Must not know: CloudFormation's syntax, how anything runs.
//! Source: the resource types' documented properties and defaults.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Map, Value};

use crate::websocket_api::{IdentitySource, Throttling};

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
    /// From queues to functions.
    pub queue_mappings: BTreeMap<String, QueueMapping>,
    /// Queues, by their names.
    pub queues: BTreeMap<String, Queue>,
    /// Functions that are invoked again and again.
    pub schedules: Vec<Schedule>,
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
    /// `ReservedConcurrentExecutions`: an invocation beyond it is throttled.
    pub concurrency_max: Option<usize>,
}

/// A DynamoDB table.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// `TableName`, else the logical id.
    pub name: String,
    /// The properties that `CreateTable` takes, as it takes them.
    pub create: Map<String, Value>,
    /// What its change feed shows, if it has one.
    pub stream_view: Option<StreamView>,
    /// The attribute that time-to-live reads.
    pub time_to_live: Option<String>,
}

/// `StreamViewType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamView {
    /// `KEYS_ONLY`.
    KeysOnly,
    /// `NEW_IMAGE`.
    NewImage,
    /// `OLD_IMAGE`.
    OldImage,
    /// `NEW_AND_OLD_IMAGES`.
    NewAndOldImages,
}

impl StreamView {
    /// Reads a template's or the engine's name of it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::KeysOnly, Self::NewImage, Self::OldImage, Self::NewAndOldImages]
            .into_iter()
            .find(|view| view.as_str() == name)
    }

    /// DynamoDB's name of it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeysOnly => "KEYS_ONLY",
            Self::NewImage => "NEW_IMAGE",
            Self::OldImage => "OLD_IMAGE",
            Self::NewAndOldImages => "NEW_AND_OLD_IMAGES",
        }
    }
}

/// One stage of a WebSocket API.
#[derive(Clone, Debug, PartialEq)]
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
    /// Who decides whether a browser may connect.
    pub authorization: AuthorizationTarget,
    /// `DefaultRouteSettings` and `RouteSettings` of the stage.
    pub throttling: Throttling,
}

/// `AuthorizationType` of `$connect`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AuthorizationTarget {
    /// `NONE`.
    #[default]
    None,
    /// `CUSTOM`: a function.
    Lambda(AuthorizerTarget),
    /// `AWS_IAM`: a signature.
    Iam,
}

/// Who is asked whether a browser may connect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorizerTarget {
    /// The function's logical id.
    pub function: String,
    /// `IdentitySource`: what a browser must bring.
    pub identity_sources: Vec<IdentitySource>,
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteTarget {
    /// What serves its messages.
    pub integration: IntegrationTarget,
    /// Whether the reply's body goes back.
    pub has_route_response: bool,
    /// `TimeoutInMillis` of the integration, 29 seconds if it is not given.
    pub time_out: Option<Duration>,
}

/// `IntegrationType`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IntegrationTarget {
    /// `AWS_PROXY`: the function with this logical id.
    Function(String),
    /// `MOCK`: API Gateway itself.
    Mock(MockReply),
}

/// What API Gateway replies without asking anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MockReply {
    /// The `statusCode` of the request template.
    pub status: u16,
    /// The response template, if there is one.
    pub body: Option<String>,
}

impl Application {
    /// Takes note that a function takes the messages of a queue.
    pub(crate) fn take_queue(&mut self, name: &str) {
        if let Some(queue) = self.queues.get_mut(name) {
            queue.is_taken = true;
        }
    }

    /// Whether a route, the authorizer, a mapping or a schedule leads to the function.
    #[must_use]
    pub fn invokes(&self, logical_id: &str) -> bool {
        let api = self.api.iter();
        let routes = api.clone().flat_map(|api| api.routes.values()).filter_map(|target| match &target.integration {
            IntegrationTarget::Function(function) => Some(function.as_str()),
            IntegrationTarget::Mock(_) => None,
        });
        let authorizers = api.filter_map(|api| match &api.authorization {
            AuthorizationTarget::Lambda(target) => Some(target.function.as_str()),
            AuthorizationTarget::None | AuthorizationTarget::Iam => None,
        });
        let mappings = self.mappings.values().map(|mapping| mapping.function.as_str());
        let mappings = mappings.chain(self.queue_mappings.values().map(|mapping| mapping.function.as_str()));
        let schedules = self.schedules.iter().map(|schedule| schedule.function.as_str());
        routes.chain(authorizers).chain(mappings).chain(schedules).any(|function| function == logical_id)
    }
}

/// A rule of EventBridge with a rate, and one of its targets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// `Name`, else the logical id.
    pub rule_name: String,
    /// The function's logical id.
    pub function: String,
    /// From one invocation to the next.
    pub period: Duration,
    /// What the function gets instead of EventBridge's event.
    pub input: Option<Value>,
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
    /// `ParallelizationFactor`, 1 if it is not given.
    pub parallelization_factor: usize,
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

/// A queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// `VisibilityTimeout`: how long a received message is hidden from others, 30 seconds if it is not given.
    pub visibility_time_out: Duration,
    /// `RedrivePolicy`: where a message goes that was received often enough.
    pub redrive: Option<Redrive>,
    /// Whether a function takes the messages; else they are for an operator.
    pub is_taken: bool,
}

/// Where messages of a queue go that are received again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redrive {
    /// The other queue's name.
    pub queue: String,
    /// `maxReceiveCount`: how often a message is received before.
    pub receives_max: u32,
}

impl Default for Queue {
    fn default() -> Self {
        Self { visibility_time_out: Duration::from_secs(30), redrive: None, is_taken: false }
    }
}

/// From a queue to a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueMapping {
    /// Its name in the template.
    pub logical_id: String,
    /// The queue's name.
    pub queue: String,
    /// The function's logical id.
    pub function: String,
    /// `BatchSize`, 10 if it is not given.
    pub batch_size: usize,
    /// Whether `FunctionResponseTypes` has `ReportBatchItemFailures`.
    pub report_batch_item_failures: bool,
    /// `ScalingConfig.MaximumConcurrency`; `None` is as many as there are sandboxes.
    pub concurrency_max: Option<usize>,
}
