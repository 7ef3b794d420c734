//! Lambda: functions as child processes that speak the Runtime API.
//!
//! Owns: how many sandboxes a function has, which one serves an invocation, that a broken one is replaced, and what was
//! invoked last.
//! Must not know: who invokes, what an event says.
//! Source: Lambda developer guide, "Lambda execution environment lifecycle".

mod environment;
mod runtime_api;
mod sandbox;

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use futures_util::future::join_all;
use serde::Serialize;
use tokio::{sync::Semaphore, time::Instant};

use crate::{
    application::Function,
    faults::{Faults, Upstream},
    limits,
};
pub(crate) use environment::CREDENTIAL;
pub(crate) use runtime_api::uuid;
pub use runtime_api::{FunctionError, RuntimeApi};
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
    /// As many of the function run as it has reserved.
    #[error("the function {function} is throttled: as many run as it has reserved")]
    Throttled {
        /// The function's name.
        function: String,
    },
    /// The function's process could not be started.
    #[error("the function {function} did not start: {reason}")]
    NotStarted {
        /// The function's name.
        function: String,
        /// Why.
        reason: String,
    },
}

/// An invocation that has ended, as an operator sees it.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Invocation {
    /// The function's name.
    pub function: String,
    /// Its `Handler`.
    pub handler: String,
    /// When it began, in milliseconds since 1970.
    pub begun_at_ms: u64,
    /// How long it took, the start of a sandbox included, in milliseconds.
    pub duration_ms: f64,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// All functions of a stack.
pub(crate) struct Functions {
    pools: BTreeMap<String, Arc<Pool>>,
    /// The last invocations, the newest first.
    ended: Mutex<VecDeque<Invocation>>,
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
            let slots = Semaphore::new(function.concurrency_max.unwrap_or(limits::SANDBOXES_PER_FUNCTION_MAX));
            let logical_id = function.logical_id.clone();
            let watched = faults.watches(&function.handler).then(|| (faults.clone(), upstream.clone()));
            (logical_id, Arc::new(Pool { function, command, environment, watched, idle: Mutex::default(), slots }))
        };
        Self { pools: functions.into_iter().map(pool).collect(), ended: Mutex::default() }
    }

    /// Invokes a function and waits for its reply.
    pub(crate) async fn invoke(&self, logical_id: &str, payload: Bytes) -> Result<Bytes, InvokeError> {
        match self.pools.get(logical_id) {
            Some(pool) => {
                let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let begun = Instant::now();
                let reply = pool.invoke(payload).await;
                self.remember(Invocation {
                    function: pool.function.name.clone(),
                    handler: pool.function.handler.clone(),
                    begun_at_ms: u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX),
                    duration_ms: begun.elapsed().as_secs_f64() * 1e3,
                    error: reply.as_ref().err().map(ToString::to_string),
                });
                reply
            }
            None => Err(InvokeError::NotStarted {
                function: logical_id.to_owned(),
                reason: "no program was given for it".to_owned(),
            }),
        }
    }

    fn remember(&self, invocation: Invocation) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        ended.truncate(limits::INVOCATIONS_REMEMBERED_MAX - 1);
        ended.push_front(invocation);
    }

    /// The last invocations, the newest first.
    pub(crate) fn ended(&self) -> Vec<Invocation> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Ends every sandbox that waits. One that serves is killed with the task that waits for it.
    pub(crate) async fn stop(&self) {
        let idle = self.pools.values().flat_map(|pool| std::mem::take(&mut *pool.lock_idle()));
        join_all(idle.map(Sandbox::stop)).await;
    }
}

impl Pool {
    async fn invoke(&self, payload: Bytes) -> Result<Bytes, InvokeError> {
        let slot = if self.function.concurrency_max.is_some() {
            let throttled = || InvokeError::Throttled { function: self.function.name.clone() };
            Some(self.slots.try_acquire().map_err(|_none_is_free| throttled())?)
        } else {
            // The semaphore is never closed: without a permit the invocation still runs, in one sandbox more.
            self.slots.acquire().await.ok()
        };
        let (mut sandbox, time_left) = match self.idle() {
            Some(sandbox) => (sandbox, self.function.time_out),
            None => self.start().await?,
        };
        let reply = sandbox.invoke(&self.function, payload, time_left).await;
        match &reply {
            Ok(_) | Err(InvokeError::FunctionError { .. }) => self.lock_idle().push(sandbox),
            Err(
                InvokeError::Exited { .. }
                | InvokeError::TimedOut { .. }
                | InvokeError::NotStarted { .. }
                | InvokeError::Throttled { .. },
            ) => {}
        }
        drop(slot);
        reply
    }

    /// A sandbox that has come up, and how long it may take for its first invocation: an initialization that takes too
    /// long is run once more, within the invocation's own time.
    async fn start(&self) -> Result<(Sandbox, Duration), InvokeError> {
        let time_out = self.function.time_out;
        match self.start_within(limits::INIT_TIME_OUT).await {
            Err(InvokeError::TimedOut { .. }) => {
                let begun = Instant::now();
                let sandbox = self.start_within(time_out).await?;
                Ok((sandbox, time_out.saturating_sub(begun.elapsed())))
            }
            started => Ok((started?, time_out)),
        }
    }

    async fn start_within(&self, init_time_out: Duration) -> Result<Sandbox, InvokeError> {
        Sandbox::start(&self.function, &self.command, &self.environment, self.watched.as_ref(), init_time_out).await
    }

    fn lock_idle(&self) -> MutexGuard<'_, Vec<Sandbox>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A sandbox that waits, and whose process has not ended meanwhile.
    fn idle(&self) -> Option<Sandbox> {
        let mut idle = self.lock_idle();
        while let Some(mut sandbox) = idle.pop() {
            if sandbox.is_alive() {
                return Some(sandbox);
            }
        }
        None
    }
}
