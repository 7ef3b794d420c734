//! Lambda: functions as child processes that speak the Runtime API.
//!
//! Owns: how many sandboxes a function has, which one serves an invocation, and that a broken one is replaced.
//! Must not know: who invokes, what an event says.
//! Source: Lambda developer guide, "Lambda execution environment lifecycle".

mod environment;
mod runtime_api;
mod sandbox;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use tokio::sync::Semaphore;

use crate::{
    application::Function,
    faults::{Faults, Upstream},
    limits,
};
pub(crate) use environment::CREDENTIAL;
pub(crate) use runtime_api::uuid;
use sandbox::Sandbox;

/// The program that is a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
}

/// Which program a function of the template is; `None` if there is none.
pub type Commands = Arc<dyn Fn(&Function) -> Option<Command> + Send + Sync>;

/// Why an invocation has no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// The function reported an error.
    #[error("the function {function} failed: {error_type}")]
    FunctionError {
        /// The function's name.
        function: String,
        /// What kind of error it reported.
        error_type: String,
        /// The error as it reported it, for the caller.
        body: Bytes,
    },
    /// The function's process ended in the middle.
    #[error("the function {function} ended before it replied: {status}")]
    Exited {
        /// The function's name.
        function: String,
        /// How the process ended.
        status: String,
    },
    /// The function did not reply within its time-out, and was killed.
    #[error("the function {function} did not reply within its time-out")]
    TimedOut {
        /// The function's name.
        function: String,
    },
    /// The function's process could not be started, or did not come up.
    #[error("the function {function} did not start: {reason}")]
    NotStarted {
        /// The function's name.
        function: String,
        /// Why.
        reason: String,
    },
}

/// All functions of a stack.
pub(crate) struct Functions {
    pools: BTreeMap<String, Arc<Pool>>,
}

/// The sandboxes of one function.
struct Pool {
    function: Function,
    command: Command,
    environment: Vec<(String, String)>,
    /// What may kill the sandboxes at their calls, if something may.
    watched: Option<(Faults, Upstream)>,
    /// Sandboxes that wait for an invocation; the one that served last is taken first.
    idle: Mutex<Vec<Sandbox>>,
    slots: Semaphore,
}

impl Functions {
    /// Takes the functions of a template; `extra` are variables that all of them get. Those that `faults` may kill call
    /// `upstream` through an interception.
    pub(crate) fn new(
        functions: Vec<(Function, Command)>,
        extra: &[(String, String)],
        faults: &Faults,
        upstream: &Upstream,
    ) -> Self {
        let pool = |(function, command): (Function, Command)| {
            let environment = environment::of(&function, extra);
            let slots = Semaphore::new(limits::SANDBOXES_PER_FUNCTION_MAX);
            let logical_id = function.logical_id.clone();
            let watched = faults.watches(&function.handler).then(|| (faults.clone(), upstream.clone()));
            (logical_id, Arc::new(Pool { function, command, environment, watched, idle: Mutex::default(), slots }))
        };
        Self { pools: functions.into_iter().map(pool).collect() }
    }

    /// Invokes a function and waits for its reply.
    pub(crate) async fn invoke(&self, logical_id: &str, payload: Bytes) -> Result<Bytes, InvokeError> {
        match self.pools.get(logical_id) {
            Some(pool) => pool.invoke(payload).await,
            None => Err(InvokeError::NotStarted {
                function: logical_id.to_owned(),
                reason: "no program was given for it".to_owned(),
            }),
        }
    }

    /// Kills every sandbox that waits. One that serves is killed with the task that waits for it.
    pub(crate) fn stop(&self) {
        for pool in self.pools.values() {
            pool.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
    }
}

impl Pool {
    async fn invoke(&self, payload: Bytes) -> Result<Bytes, InvokeError> {
        // The semaphore is never closed: without a permit the invocation still runs, in one sandbox more.
        let slot = self.slots.acquire().await.ok();
        let mut sandbox = match self.idle() {
            Some(sandbox) => sandbox,
            None => Sandbox::start(&self.function, &self.command, &self.environment, self.watched.as_ref()).await?,
        };
        let reply = sandbox.invoke(&self.function, payload).await;
        match &reply {
            Ok(_) | Err(InvokeError::FunctionError { .. }) => {
                self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sandbox);
            }
            Err(InvokeError::Exited { .. } | InvokeError::TimedOut { .. } | InvokeError::NotStarted { .. }) => {}
        }
        drop(slot);
        reply
    }

    /// A sandbox that waits, and whose process has not ended meanwhile.
    fn idle(&self) -> Option<Sandbox> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(mut sandbox) = idle.pop() {
            if sandbox.is_alive() {
                return Some(sandbox);
            }
        }
        None
    }
}
