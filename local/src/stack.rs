//! The stack: everything of a template, running together.
//!
//! Owns: the order in which the parts start and stop, and the wires between them.
//! Must not know: how a part does its work.
//! Source: the template; addresses are the caller's choice.

mod listener;
mod operator;

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use futures_util::{FutureExt, future};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::timeout};

use crate::{
    application::{
        Application, AuthorizationTarget, EventSourceMapping, IntegrationTarget, MockReply, QueueMapping, Schedule,
        StreamView, WebSocketApi,
    },
    dynamodb::DynamoDb,
    event_source::{Checkpoint, EventSource},
    faults::{Faults, Upstream},
    lambda::{CREDENTIAL, Commands, Functions, InvokeError},
    limits,
    queue::{self, Invoking, Queues},
    schedule::Scheduler,
    template::{self, ACCOUNT_ID, REGION, TemplateError},
    websocket_api::{
        Api, Authorization, Authorizer, Beside, Credentials, Gateway, Integration, IntegrationError, Limits, Route,
        UNAUTHORIZED,
    },
};
use listener::listen;
pub use operator::Watch;

/// The tag that tells whoever finds a table where its stack's `@connections` and SQS are.
const MANAGEMENT_TAG: &str = "local:management-endpoint";

/// What to run and where.
pub struct StackOptions {
    /// The CloudFormation template.
    pub template: Value,
    /// Values of its parameters; those that it does not declare are not used.
    pub parameters: BTreeMap<String, String>,
    /// The address to listen on.
    pub address: IpAddr,
    /// Port of the WebSocket API and of `@connections`; 0 takes a free one.
    pub port: u16,
    /// Port of DynamoDB; 0 takes a free one.
    pub dynamodb_port: u16,
    /// Where the data is.
    pub data: Data,
    /// Which program each function is.
    pub commands: Commands,
    /// Variables that every function gets, such as `PATH`.
    pub environment: Vec<(String, String)>,
    /// What goes wrong, and when.
    pub faults: Faults,
    /// The numbers of the WebSocket API.
    pub limits: Limits,
    /// Whether `$connect` is authorized as the template says; else whoever comes is let in.
    pub authorizes: bool,
    /// What else is on the port of the WebSocket API, such as a page about the stack.
    pub beside: Option<Beside>,
}

/// Where the data is.
#[derive(Clone, Debug)]
pub enum Data {
    /// In this folder, which one stack at a time may use.
    Folder(PathBuf),
    /// In memory.
    Ephemeral,
}

/// Why a stack does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The template cannot be run.
    #[error(transparent)]
    Template(#[from] TemplateError),
    /// The template declares no WebSocket API.
    #[error("the template cannot be run: it declares no WebSocket API")]
    NoApi,
    /// No program was given for a function.
    #[error("the template cannot be run: there is no program for its function {0}")]
    NoProgram(String),
    /// The port cannot be listened on.
    #[error("cannot listen on {address}: {source}; take another port")]
    Port {
        /// The address that was tried.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Another stack uses the folder.
    #[error("the data folder {0} is used by another stack; stop it or take another folder")]
    FolderInUse(String),
    /// The folder cannot be used.
    #[error("the data folder {folder} cannot be used: {source}")]
    Folder {
        /// The folder.
        folder: String,
        /// Why.
        source: io::Error,
    },
    /// The tables cannot be opened.
    #[error("the tables cannot be opened: {0:#}")]
    Tables(anyhow::Error),
}

/// A running stack.
pub struct Stack {
    gateway: Gateway,
    dynamodb: DynamoDb,
    functions: Arc<Functions>,
    queues: Arc<Queues>,
    event_sources: Vec<JoinHandle<()>>,
    stop: watch::Sender<bool>,
    warnings: Vec<String>,
    stage: String,
    is_authorized: bool,
    address: SocketAddr,
    dynamodb_address: SocketAddr,
    _lock: Option<File>,
}

impl Stack {
    /// Starts everything; it is ready when this returns.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running then.
    pub async fn start(options: StackOptions) -> Result<Self, StartError> {
        take_open_files();
        let mut application = template::read(&options.template, &options.parameters)?;
        let api = application.api.clone().ok_or(StartError::NoApi)?;
        let programs = programs(&mut application, &options.commands)?;
        let folder = match &options.data {
            Data::Folder(folder) => Some(folder.as_path()),
            Data::Ephemeral => None,
        };
        let listener = listen(SocketAddr::new(options.address, options.port))?;
        let dynamodb_listener = listen(SocketAddr::new(options.address, options.dynamodb_port))?;
        let lock = folder.map(lock).transpose()?;
        let (address, dynamodb_address) = (local_address(&listener)?, local_address(&dynamodb_listener)?);
        let management_url = format!("http://{address}/{}", api.stage);
        let mut environment = options.environment;
        environment.extend([
            ("AWS_ENDPOINT_URL_DYNAMODB".to_owned(), format!("http://{dynamodb_address}")),
            ("AWS_ENDPOINT_URL_APIGATEWAYMANAGEMENTAPI".to_owned(), management_url.clone()),
            ("LOCAL_MANAGEMENT_ENDPOINT".to_owned(), management_url.clone()),
            ("AWS_ENDPOINT_URL_SQS".to_owned(), format!("http://{address}")),
        ]);
        let upstream = Upstream { dynamodb: dynamodb_address, gateway: address, stage: api.stage.clone() };
        let faults = options.faults;
        let functions = Arc::new(Functions::new(programs, &environment, &faults, &upstream));
        let tables = application.tables.values();
        let dynamodb = DynamoDb::start(folder, tables, dynamodb_listener).map_err(StartError::Tables)?;
        for table in application.tables.values() {
            dynamodb.tag(&table.name, MANAGEMENT_TAG, &management_url).map_err(StartError::Tables)?;
        }
        let queues =
            Arc::new(Queues::open(folder, application.queues.clone()).map_err(|source| folder_error(folder, source))?);
        let (stop, stopped) = watch::channel(false);
        let wires = Wires {
            application: &application,
            dynamodb: &dynamodb,
            functions: &functions,
            queues: &queues,
            folder,
            stopped: &stopped,
            faults: &faults,
        };
        let event_sources = wires.run()?;
        let credentials =
            Credentials { access_key_id: CREDENTIAL.to_owned(), secret_access_key: CREDENTIAL.to_owned() };
        let served = served(&api, &functions, options.authorizes);
        let gateway = Gateway::serve_beside(
            listener,
            served,
            credentials,
            options.limits,
            beside(&queues, options.beside),
            faults,
        );
        let is_authorized = options.authorizes && api.authorization != AuthorizationTarget::None;
        let (warnings, stage) = (application.warnings, api.stage);
        Ok(Self {
            gateway,
            dynamodb,
            functions,
            queues,
            event_sources,
            stop,
            warnings,
            stage,
            is_authorized,
            address,
            dynamodb_address,
            _lock: lock,
        })
    }

    /// The address for browsers.
    #[must_use]
    pub fn websocket_url(&self) -> String {
        format!("ws://{}/{}", self.address, self.stage)
    }

    /// The address of `@connections`.
    #[must_use]
    pub fn management_url(&self) -> String {
        format!("http://{}/{}", self.address, self.stage)
    }

    /// DynamoDB's address.
    #[must_use]
    pub fn dynamodb_url(&self) -> String {
        format!("http://{}", self.dynamodb_address)
    }

    /// What an operator sees of it.
    #[must_use]
    pub fn watch(&self) -> Watch {
        let (functions, queues) = (Arc::clone(&self.functions), Arc::clone(&self.queues));
        Watch { connections: self.gateway.connections(), functions, queues }
    }

    /// Whether somebody decides who may connect.
    #[must_use]
    pub fn is_authorized(&self) -> bool {
        self.is_authorized
    }

    /// What the template has and the stack does not run, a sentence each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Ends everything: the browsers first, whose `$disconnect`s still run, DynamoDB last.
    pub async fn stop(self) {
        self.gateway.stop().await;
        self.stop.send_replace(true);
        for event_source in self.event_sources {
            let aborting = event_source.abort_handle();
            if timeout(limits::STOP_TIME_OUT, event_source).await.is_err() {
                aborting.abort();
            }
        }
        self.functions.stop().await;
        self.dynamodb.stop().await;
    }
}

/// The API as it is served: its routes lead to functions, or have their reply ready.
fn served(api: &WebSocketApi, functions: &Arc<Functions>, authorizes: bool) -> Api {
    let routes = api.routes.iter().map(|(key, target)| {
        let integration = match &target.integration {
            IntegrationTarget::Function(function) => invoking(functions, function, ToString::to_string),
            IntegrationTarget::Mock(reply) => ready(reply),
        };
        (key.clone(), Route { integration, has_route_response: target.has_route_response, time_out: target.time_out })
    });
    Api {
        api_id: api.api_id.clone(),
        stage: api.stage.clone(),
        region: REGION.to_owned(),
        account_id: ACCOUNT_ID.to_owned(),
        route_selection_expression: api.route_selection_expression.clone(),
        routes: routes.collect(),
        stage_variables: api.stage_variables.clone(),
        authorization: if authorizes { authorization(functions, &api.authorization) } else { Authorization::None },
        throttling: api.throttling.clone(),
    }
}

/// A reply that asks nobody.
fn ready(reply: &MockReply) -> Integration {
    let reply = Bytes::from(json!({"statusCode": reply.status, "body": reply.body}).to_string());
    Arc::new(move |_event| future::ready(Ok(reply.clone())).boxed())
}

/// What else is on the port of the WebSocket API: SQS, and what was given.
fn beside(queues: &Arc<Queues>, given: Option<Beside>) -> Beside {
    let queues = Arc::clone(queues);
    Arc::new(move |head, body| match queue::answer(&head.headers, &body, &queues) {
        Some(answer) => Some(answer),
        None => given.as_ref().and_then(|given| given(head, body)),
    })
}

/// The program of each function. One that nothing invokes may have none: it is taken out, with a warning.
fn programs(
    application: &mut Application,
    commands: &Commands,
) -> Result<Vec<(crate::Function, crate::Command)>, StartError> {
    let mut programs = Vec::new();
    for function in application.functions.values() {
        let logical_id = &function.logical_id;
        match commands(function) {
            Some(command) => programs.push((function.clone(), command)),
            None if application.invokes(logical_id) => return Err(StartError::NoProgram(logical_id.clone())),
            None => {
                let reason = "is not run: nothing invokes it, and there is no program for it";
                application.warnings.push(format!("resource {logical_id} {reason}"));
            }
        }
    }
    Ok(programs)
}

/// Takes as many open files as the machine gives: each connection is one, and a laptop's default is 256 or 1,024.
fn take_open_files() {
    let given = getrlimit(Resource::Nofile);
    let at_most = |current| Rlimit { current, ..given };
    // Where all are too many, what macOS gives at most; where that is too many too, it stays as it is.
    setrlimit(Resource::Nofile, at_most(given.maximum))
        .or_else(|_refused| setrlimit(Resource::Nofile, at_most(Some(limits::OPEN_FILES_MAX))))
        .ok();
}

fn local_address(listener: &TcpListener) -> Result<SocketAddr, StartError> {
    let any = SocketAddr::from(([0, 0, 0, 0], 0));
    listener.local_addr().map_err(|source| StartError::Port { address: any, source })
}

fn folder_error(folder: Option<&Path>, source: io::Error) -> StartError {
    let folder = folder.map(|folder| folder.display().to_string()).unwrap_or_default();
    StartError::Folder { folder, source }
}

/// Makes the folder and takes it for this process; the operating system gives it back whatever happens.
fn lock(folder: &Path) -> Result<File, StartError> {
    let made = fs::create_dir_all(folder.join("checkpoints")).and_then(|()| File::create(folder.join("lock")));
    let file = made.map_err(|source| folder_error(Some(folder), source))?;
    file.try_lock().map_err(|error| match error {
        fs::TryLockError::WouldBlock => StartError::FolderInUse(folder.display().to_string()),
        fs::TryLockError::Error(source) => folder_error(Some(folder), source),
    })?;
    Ok(file)
}

/// What the event sources are made of.
struct Wires<'a> {
    application: &'a Application,
    dynamodb: &'a DynamoDb,
    functions: &'a Arc<Functions>,
    queues: &'a Arc<Queues>,
    folder: Option<&'a Path>,
    stopped: &'a watch::Receiver<bool>,
    faults: &'a Faults,
}

impl Wires<'_> {
    /// Runs every mapping, from a change feed or from a queue.
    fn run(&self) -> Result<Vec<JoinHandle<()>>, StartError> {
        let Application { mappings, queue_mappings, schedules, .. } = self.application;
        let feeds = mappings.values().map(|mapping| Ok(tokio::spawn(self.event_source(mapping)?.run())));
        let queues = queue_mappings.values().map(|mapping| Ok(tokio::spawn(self.invoking(mapping).run())));
        let schedules = schedules.iter().map(|schedule| Ok(tokio::spawn(self.scheduler(schedule).run())));
        feeds.chain(queues).chain(schedules).collect()
    }

    fn scheduler(&self, schedule: &Schedule) -> Scheduler {
        Scheduler { schedule: schedule.clone(), functions: Arc::clone(self.functions), stopped: self.stopped.clone() }
    }

    fn event_source(&self, mapping: &EventSourceMapping) -> Result<EventSource, StartError> {
        let function = self.application.functions.get(&mapping.function);
        let table = self.application.tables.values().find(|table| table.name == mapping.table);
        let view = table.and_then(|table| table.stream_view).unwrap_or(StreamView::NewAndOldImages);
        let checkpoint = self.folder.map(|folder| folder.join("checkpoints").join(&mapping.logical_id));
        Ok(EventSource {
            mapping: mapping.clone(),
            function_name: function.map(|function| function.name.clone()).unwrap_or_default(),
            handler: function.map(|function| function.handler.clone()).unwrap_or_default(),
            feed: self.dynamodb.change_feed(&mapping.table, view).map_err(StartError::Tables)?,
            functions: Arc::clone(self.functions),
            queues: Arc::clone(self.queues),
            checkpoint: Checkpoint::new(checkpoint),
            stopped: self.stopped.clone(),
            faults: self.faults.clone(),
        })
    }

    fn invoking(&self, mapping: &QueueMapping) -> Invoking {
        let function = self.application.functions.get(&mapping.function);
        Invoking {
            mapping: mapping.clone(),
            handler: function.map(|function| function.handler.clone()).unwrap_or_default(),
            queues: Arc::clone(self.queues),
            functions: Arc::clone(self.functions),
            stopped: self.stopped.clone(),
            faults: self.faults.clone(),
        }
    }
}

/// Who decides whether a browser may connect.
fn authorization(functions: &Arc<Functions>, target: &AuthorizationTarget) -> Authorization {
    let target = match target {
        AuthorizationTarget::None => return Authorization::None,
        AuthorizationTarget::Iam => return Authorization::Iam,
        AuthorizationTarget::Lambda(target) => target,
    };
    let integration = invoking(functions, &target.function, |error| {
        let refuses = matches!(error, InvokeError::FunctionError { body, .. } if is_unauthorized(body));
        if refuses { UNAUTHORIZED.to_owned() } else { error.to_string() }
    });
    Authorization::Lambda(Authorizer { integration, identity_sources: target.identity_sources.clone() })
}

/// Whether a function's error is the one by which an authorizer says that it does not know a browser.
fn is_unauthorized(error: &[u8]) -> bool {
    serde_json::from_slice(error)
        .is_ok_and(|error: Value| error.get("errorMessage").is_some_and(|message| message == UNAUTHORIZED))
}

/// A function as the WebSocket API invokes it; `reason` says why it failed. It runs on when nobody waits for it any more.
fn invoking(functions: &Arc<Functions>, logical_id: &str, reason: fn(&InvokeError) -> String) -> Integration {
    let (functions, logical_id) = (Arc::clone(functions), logical_id.to_owned());
    Arc::new(move |event| {
        let (functions, logical_id) = (Arc::clone(&functions), logical_id.clone());
        let invocation = tokio::spawn(async move { functions.invoke(&logical_id, event).await });
        async move {
            // A function that outlives its own time-out has failed; only an integration's time-out is told apart.
            match invocation.await {
                Ok(reply) => reply.map_err(|error| IntegrationError::Failed(reason(&error))),
                Err(ended) => Err(IntegrationError::Failed(ended.to_string())),
            }
        }
        .boxed()
    })
}
