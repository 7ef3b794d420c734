//! `foldcast up`: the local stack with our functions in it.
//!
//! Owns: which template and which functions, what is printed at the start, ending on a signal.
//! Must not know: how AWS is emulated.
//! Source: README.md, "Commands".

use std::{
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use anyhow::{Context as _, anyhow};
use local::{Command, Commands, Data, Faults, Stack, StackOptions, StartError, websocket_api::Limits};
use serde_json::Value;
use telemetry::Reader;
use tokio::signal::unix::{SignalKind, signal};

use crate::{access::Access, args, console::Console, deployment::var, failure::Failure, fauna, function};

/// The template that `infra/` synthesizes.
const TEMPLATE: &str = include_str!("../../infra/template.json");

/// The stage of the local stack, whatever the template's default is.
const STAGE: (&str, &str) = ("StageName", "local");

/// The variables of this process that its functions get too.
const HANDED_ON: [&str; 6] = [
    "AWS_XRAY_DAEMON_ADDRESS",
    "PAGE_SUBSCRIBERS_MAX",
    "PATH",
    "PUSH_PROCESSES_MAX",
    "REQUESTS_PER_SECOND",
    "RUST_LOG",
];

pub(crate) async fn run(options: args::Up) -> Result<(), Failure> {
    let started = Instant::now();
    telemetry::init(Reader::Terminal, var);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::failed)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(Failure::failed)?;
    let data = options.data.clone();
    let is_kept = !options.ephemeral;
    let access = Access::of(options.auth, options.no_auth, options.template.is_none())?;
    let console = options.template.is_none().then(|| Console::new(access.clone()));
    let mut options = stack_options(options, &access)?;
    options.beside = console.as_ref().map(Console::service);
    let stack = Stack::start(options).await.map_err(|error| {
        let hint = if let StartError::NoProgram(function) = &error {
            format!("; give one with --function {function}=FILE")
        } else {
            String::new()
        };
        Failure::usage(anyhow!("{error}{hint}"))
    })?;
    for warning in stack.warnings() {
        eprintln!("foldcast: {warning}");
    }
    if let Some(console) = console {
        console.show(&stack)?;
        println!("console     {}/", stack.management_url().trim_end_matches(|last| last != '/').trim_end_matches('/'));
    }
    println!("websocket   {}", stack.websocket_url());
    println!("management  {}", stack.management_url());
    println!("dynamodb    {}  (access key local, secret local, region us-east-1)", stack.dynamodb_url());
    println!("data        {}", if is_kept { data.display().to_string() } else { "in memory".to_owned() });
    println!("access      {}", access.sentence(stack.is_authorized()));
    println!("ready in {} ms; ctrl-c ends it", started.elapsed().as_millis());
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    stack.stop().await;
    Ok(())
}

fn stack_options(options: args::Up, access: &Access) -> Result<StackOptions, Failure> {
    let template = template(options.template.as_ref())?;
    let mut parameters = access.parameters();
    parameters.extend(fauna::parameters(options.fauna.as_deref())?);
    parameters.insert(STAGE.0.to_owned(), STAGE.1.to_owned());
    let fauna = options.fauna.is_some().then(fauna::environment).into_iter().flatten();
    let handed_on = HANDED_ON.iter().filter_map(|name| Some(((*name).to_owned(), var(name)?)));
    Ok(StackOptions {
        template,
        parameters,
        address: IpAddr::from([127, 0, 0, 1]),
        port: options.port,
        dynamodb_port: options.dynamodb_port,
        data: if options.ephemeral { Data::Ephemeral } else { Data::Folder(options.data) },
        commands: commands(options.function)?,
        faults: faults(options.faults.as_ref())?,
        limits: limits(options.limits.as_ref())?,
        authorizes: access.authorizes(),
        beside: None,
        environment: handed_on.chain(access.environment()).chain(fauna).collect(),
    })
}

/// The programs that were given, and this one for our own functions.
fn commands(given: Vec<(String, PathBuf)>) -> Result<Commands, Failure> {
    let own = std::env::current_exe().context("cannot find this program's own file")?;
    if let Some((name, file)) = given.iter().find(|(_, file)| !file.is_file()) {
        return Err(Failure::usage(anyhow!("the function {name}: there is no file {}", file.display())));
    }
    Ok(Arc::new(move |function| {
        let is_named =
            |name: &str| [&function.name, &function.logical_id, &function.handler].iter().any(|own| *own == name);
        if let Some((_, program)) = given.iter().find(|(name, _)| is_named(name)) {
            return Some(Command { program: program.clone(), args: Vec::new() });
        }
        let is_ours = function::NAMES.contains(&function.handler.as_str());
        is_ours.then(|| Command { program: own.clone(), args: vec!["function".to_owned(), function.handler.clone()] })
    }))
}

/// A variable of the own template's function, as the local stack tells it to the function.
pub(crate) fn variable_of(handler: &str, name: &str) -> anyhow::Result<String> {
    let mut parameters = Access::Everybody.parameters();
    parameters.insert(STAGE.0.to_owned(), STAGE.1.to_owned());
    let application = local::template::read(&serde_json::from_str(TEMPLATE)?, &parameters)?;
    let function = application.functions.values().find(|function| function.handler == handler);
    let variable = function.and_then(|function| function.environment.get(name));
    variable.cloned().with_context(|| format!("the template has no {name} of {handler}"))
}

fn template(file: Option<&PathBuf>) -> Result<Value, Failure> {
    let Some(file) = file else { return Ok(serde_json::from_str(TEMPLATE).context("the template of this build")?) };
    serde_json::from_str(&read("template", file)?)
        .map_err(|error| Failure::usage(anyhow!("the template {} is not JSON: {error}", file.display())))
}

/// What goes wrong, by a script; without one nothing does.
fn faults(file: Option<&PathBuf>) -> Result<Faults, Failure> {
    let Some(file) = file else { return Ok(Faults::default()) };
    let faults = Faults::read(&read("faults", file)?);
    faults.map_err(|error| Failure::usage(anyhow!("the faults {}: {error}", file.display())))
}

/// The numbers of the WebSocket API; those that are not given are AWS's.
fn limits(file: Option<&PathBuf>) -> Result<Limits, Failure> {
    let Some(file) = file else { return Ok(Limits::default()) };
    let limits = serde_json::from_str(&read("limits", file)?);
    limits.map_err(|error| Failure::usage(anyhow!("the limits {}: {error}", file.display())))
}

fn read(what: &str, file: &Path) -> Result<String, Failure> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read the {what} {}", file.display()));
    text.map_err(Failure::usage)
}
