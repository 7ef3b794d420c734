//! `@connections`: sending to browsers that are connected, at the pace that API Gateway takes.
//!
//! [`Push`] sends one update to one or many connections, closes connections and probes API Gateway. Each post ends with a
//! named [`Outcome`]; what follows from it is decided in `domain::fan_out`. All calls of a process share one
//! [`domain::pace::Pace`], which also knows whether API Gateway is up.

mod call;
mod connector;
pub mod deadline;
pub mod endpoint;
mod frame;
mod signer;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use aws_types::SdkConfig;
use call::{Caller, Request};
use domain::{
    ConnectionId, Stage, VariableError,
    fan_out::{self, Health, Outcome},
    limits,
    pace::{Call, Pace, Quota},
    post::{Next, Post},
};
use frame::Frame;
use futures_util::{
    StreamExt,
    future::{join, join_all},
    stream,
};
use telemetry::measure::Count;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::{Instant, sleep, timeout_at},
};

pub use endpoint::{ManagementEndpoint, MissingEndpoint};

/// The way to every connection of one API stage.
#[derive(Clone, Debug)]
pub struct Push {
    shared: Arc<Shared>,
}

/// What all calls of a process share.
#[derive(Debug)]
struct Shared {
    caller: Caller,
    stage: Stage,
    in_flight_max: usize,
    in_flight: Semaphore,
    pace: Mutex<Pace>,
    /// When the pace's clock began.
    started: Instant,
}

/// A connection that could not be closed.
#[derive(Debug, thiserror::Error)]
#[error("the connection {0} could not be closed")]
pub struct NotClosed(ConnectionId);

/// A variable that is missing or malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PushVariableError {
    /// No variable holds the address.
    #[error(transparent)]
    Endpoint(#[from] MissingEndpoint),
    /// The quota is no number.
    #[error(transparent)]
    Quota(#[from] VariableError),
}

impl Push {
    /// A client of the endpoint and with the quota that the environment names, with the region, credentials and HTTP client
    /// of `sdk`. Timeouts and retries are this crate's.
    ///
    /// # Errors
    /// [`PushVariableError`] if a variable is missing or malformed.
    pub fn from_vars(sdk: &SdkConfig, var: impl Fn(&str) -> Option<String>) -> Result<Self, PushVariableError> {
        let endpoint = ManagementEndpoint::from_vars(&var)?;
        let quota = Quota::from_vars(&var)?;
        let in_flight_max = quota.in_flight_max();
        let shared = Shared {
            caller: Caller::new(sdk, &endpoint),
            stage: endpoint.stage(&var),
            in_flight_max,
            in_flight: Semaphore::new(in_flight_max),
            pace: Mutex::new(Pace::new(quota)),
            started: Instant::now(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The stage whose connections these are.
    #[must_use]
    pub fn stage(&self) -> &Stage {
        &self.shared.stage
    }

    /// Sends frames to one connection in order, each after the answer to the one before. What can pass is retried, with
    /// backoff and full jitter. No attempt begins that may not end before `deadline`.
    pub async fn send(&self, connection_id: &ConnectionId, frames: &[String], deadline: Instant) -> Outcome {
        let frames: Vec<Frame> = frames.iter().map(|text| Frame::new(text)).collect();
        self.shared.send_frames(connection_id, &frames, deadline).await
    }

    /// Sends the same frames to many connections, each with its own outcome. The frames are copied and hashed once.
    ///
    /// While API Gateway is out, [`limits::OUT_TRIALS_MAX`] connections are tried and probed; the others follow if a call is
    /// answered, and are unattempted if not. So is the rest of a round that is hopeless.
    pub async fn send_all(
        &self,
        mut connection_ids: Vec<ConnectionId>,
        frames: Arc<[String]>,
        deadline: Instant,
    ) -> Vec<(ConnectionId, Outcome)> {
        let frames: Vec<Frame> = frames.iter().map(|text| Frame::new(text)).collect();
        // Those that failed are not the first of the next round again.
        fastrand::shuffle(&mut connection_ids);
        let connections = connection_ids.len();
        let mut outcomes = Vec::with_capacity(connections);
        if self.shared.is_out() {
            let trials = connection_ids.split_off(connections.saturating_sub(limits::OUT_TRIALS_MAX));
            let posts = join_all(trials.iter().map(|connection_id| async {
                let outcome = self.shared.send_frames(connection_id, &frames, deadline).await;
                // While API Gateway is out, a failure says nothing about the connection.
                if matches!(outcome, Outcome::Failed | Outcome::Refused) { Outcome::Unattempted } else { outcome }
            }));
            let (tried, _health) = join(posts, self.probe(&trials, deadline)).await;
            outcomes.extend(trials.iter().cloned().zip(tried));
        }
        let is_over = AtomicBool::new(false);
        let sends = connection_ids.into_iter().map(|connection_id| async {
            let outcome = match is_over.load(Ordering::Relaxed) || self.shared.is_out() {
                true => Outcome::Unattempted,
                false => self.shared.send_frames(&connection_id, &frames, deadline).await,
            };
            (connection_id, outcome)
        });
        let mut sends = stream::iter(sends).buffer_unordered(self.shared.in_flight_max);
        let mut served = 0;
        while let Some((connection_id, outcome)) = sends.next().await {
            served += usize::from(outcome.is_served());
            outcomes.push((connection_id, outcome));
            if served == 0 {
                is_over.store(fan_out::is_hopeless(served, outcomes.len(), connections), Ordering::Relaxed);
            }
        }
        outcomes
    }

    /// Closes a connection, so that its client reconnects. One that is gone is closed. What can pass is retried, until
    /// [`limits::SETTLE_TIME`] after the deadline of the pushes.
    ///
    /// # Errors
    /// [`NotClosed`] if API Gateway did not do it.
    pub async fn close(&self, connection_id: &ConnectionId, deadline: Instant) -> Result<(), NotClosed> {
        let outcome = self.shared.attempts(Request::Delete, connection_id, deadline + limits::SETTLE_TIME).await;
        match outcome {
            Outcome::Delivered | Outcome::Gone | Outcome::InvalidId => Ok(()),
            Outcome::TooLarge | Outcome::Throttled | Outcome::Failed | Outcome::Refused | Outcome::Unattempted => {
                Err(NotClosed(connection_id.clone()))
            }
        }
    }

    /// Asks API Gateway for a few of these connections, which needs no browser that reads. The answers count for
    /// [`Push::health`], which is returned. It may take until [`limits::SETTLE_TIME`] after the deadline of the pushes.
    pub async fn probe(&self, connection_ids: &[ConnectionId], deadline: Instant) -> Health {
        let shared = &self.shared;
        let probes = connection_ids.iter().cycle().take(limits::PROBES_MAX).map(|connection_id| async move {
            let Some(_permit) = shared.begin(deadline + limits::SETTLE_TIME).await else { return };
            let begun = shared.now();
            let answer = shared.caller.attempt(Request::Get, connection_id).await;
            shared.pace().answered(Call { connection_id, begun, post: None }, answer, shared.now());
        });
        join_all(probes).await;
        self.health()
    }

    /// What the process's recent calls say of API Gateway.
    #[must_use]
    pub fn health(&self) -> Health {
        self.shared.pace().health(self.shared.now())
    }
}

impl Shared {
    async fn send_frames(&self, connection_id: &ConnectionId, frames: &[Frame], deadline: Instant) -> Outcome {
        for frame in frames {
            let outcome = self.attempts(Request::Post(frame), connection_id, deadline).await;
            if outcome != Outcome::Delivered {
                return outcome;
            }
        }
        Outcome::Delivered
    }

    /// Makes a call until it is done, or has failed for good, or there is no time for another attempt.
    async fn attempts(&self, request: Request<'_>, connection_id: &ConnectionId, deadline: Instant) -> Outcome {
        let is_post = matches!(request, Request::Post(_));
        let mut post = Post::default();
        let mut so_far = Outcome::Unattempted;
        loop {
            let Some(permit) = self.begin(deadline).await else { return so_far };
            let begun = self.now();
            let answer = self.caller.attempt(request, connection_id).await;
            drop(permit);
            let next = {
                let mut pace = self.pace();
                let answered = Call { connection_id, begun, post: is_post.then_some(&post) };
                pace.answered(answered, answer, self.now());
                let around = pace.around();
                post.answered(answer, begun, around)
            };
            let pause = match next {
                Next::End(outcome) => return outcome,
                Next::Retry { pause_max, or_else } => {
                    so_far = or_else;
                    pause_max.mul_f64(fastrand::f64())
                }
            };
            if Instant::now() + pause + limits::PUSH_TIME_OUT > deadline {
                return so_far;
            }
            sleep(pause).await;
            if self.is_out() {
                return so_far;
            }
            Count::PushesRetried.add(1);
        }
    }

    /// Waits until a call may begin; `None` if it might then not end before `deadline`.
    async fn begin(&self, deadline: Instant) -> Option<SemaphorePermit<'_>> {
        let latest = deadline.checked_sub(limits::PUSH_TIME_OUT).filter(|latest| *latest >= Instant::now())?;
        let permit = match self.in_flight.try_acquire() {
            Ok(permit) => permit,
            // The semaphore is never closed.
            Err(_) => timeout_at(latest, self.in_flight.acquire()).await.ok()?.ok()?,
        };
        let wait = self.pace().take(self.now(), latest.saturating_duration_since(self.started))?;
        if !wait.is_zero() {
            sleep(wait).await;
        }
        Some(permit)
    }

    fn is_out(&self) -> bool {
        self.pace().is_out()
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pace's clock.
    fn now(&self) -> Duration {
        self.started.elapsed()
    }
}
