//! One sandbox: a child process and its Runtime API.
//!
//! Owns: starting, one invocation at a time, killing.
//! Must not know: other sandboxes.
//! Source: Lambda runtimes; without an extension a sandbox is killed at once.

use std::{process::Stdio, time::Duration};

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    process::{Child, Command as Process},
    time::{Instant, sleep_until, timeout},
};

use super::{
    Command, InvokeError,
    runtime_api::{FunctionError, RuntimeApi},
};
use crate::{
    application::Function,
    faults::{Faults, Interception, Upstream},
    limits,
};

/// A started process; it is killed when it is dropped.
pub(super) struct Sandbox {
    process: Child,
    runtime_api: RuntimeApi,
    interception: Option<Interception>,
}

impl Sandbox {
    /// Starts a process and waits until it asks for its first invocation.
    pub(super) async fn start(
        function: &Function,
        command: &Command,
        environment: &[(String, String)],
        watched: Option<&(Faults, Upstream)>,
        init_time_out: Duration,
    ) -> Result<Self, InvokeError> {
        let not_started = |reason: String| InvokeError::NotStarted { function: function.name.clone(), reason };
        let mut runtime_api = RuntimeApi::start().await.map_err(|error| not_started(error.to_string()))?;
        let interception = match watched {
            Some((faults, upstream)) => {
                let started = Interception::start(&function.handler, faults, upstream).await;
                Some(started.map_err(|error| not_started(error.to_string()))?)
            }
            None => None,
        };
        let process = Process::new(&command.program)
            .args(&command.args)
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", runtime_api.address().to_string())
            .envs(interception.iter().flat_map(Interception::variables))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut process = process.map_err(|error| not_started(error.to_string()))?;
        forward(function, process.stdout.take());
        forward(function, process.stderr.take());
        let name = || function.name.clone();
        let failed = tokio::select! {
            ready = timeout(init_time_out, runtime_api.ready()) => match ready {
                Ok(Ok(())) => return Ok(Self { process, runtime_api, interception }),
                Ok(Err(FunctionError { error_type, body })) => {
                    InvokeError::FunctionError { function: name(), error_type, body }
                }
                Err(_) => InvokeError::TimedOut { function: name() },
            },
            ended = process.wait() => InvokeError::Exited { function: name(), status: describe(ended) },
        };
        Err(failed)
    }

    /// Ends the process: at once, unless it asked to be told before by registering an extension.
    pub(super) async fn stop(mut self) {
        let pid = self.process.id().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        if let Some(pid) = pid.filter(|_| self.runtime_api.has_extension())
            && kill_process(pid, Signal::TERM).is_ok()
        {
            // One that does not end by itself is killed when it is dropped.
            timeout(limits::SHUTDOWN_TIME_OUT, self.process.wait()).await.ok();
        }
    }

    /// Whether the process has not ended.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    /// Hands over one invocation and waits for its reply, this long at most.
    pub(super) async fn invoke(
        &mut self,
        function: &Function,
        payload: Bytes,
        time_out: Duration,
    ) -> Result<Bytes, InvokeError> {
        let name = || function.name.clone();
        let deadline = Instant::now() + time_out;
        let reply = self.runtime_api.invoke(&function.name, payload, time_out);
        let killed = async {
            match &self.interception {
                Some(interception) => interception.killed().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            reply = reply => reply.map_err(|error| InvokeError::FunctionError {
                function: name(),
                error_type: error.error_type,
                body: error.body,
            }),
            ended = self.process.wait() => Err(InvokeError::Exited { function: name(), status: describe(ended) }),
            () = killed => Err(InvokeError::Exited { function: name(), status: "killed by a fault".to_owned() }),
            () = sleep_until(deadline) => Err(InvokeError::TimedOut { function: name() }),
        }
    }
}

fn describe(ended: std::io::Result<std::process::ExitStatus>) -> String {
    ended.map_or_else(|error| error.to_string(), |status| status.to_string())
}

/// Forwards what a process prints to the log, line by line.
fn forward(function: &Function, output: Option<impl AsyncRead + Unpin + Send + 'static>) {
    let Some(output) = output else { return };
    let name = function.handler.clone();
    tokio::spawn(async move {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            tracing::info!(target: "function", "{name}: {line}");
        }
    });
}
