//! `@connections`: sending to browsers that are connected.
//!
//! Owns: one push, its retries and its time-outs, many pushes with a bound, closing a connection; each outcome has a name.
//! Must not know: what is sent, who subscribes, what an outcome leads to.
//! Source: API Gateway's management API: 410 is gone, 429 is throttled or a slow reader, a POST may hang.

mod call;
mod connector;
pub mod deadline;
pub mod endpoint;
mod frame;
mod signer;

use std::sync::Arc;

use aws_types::SdkConfig;
use call::{Attempt, Caller};
use domain::{
    ConnectionId,
    fan_out::{Health, Outcome},
    limits,
};
use frame::Frame;
use futures_util::{StreamExt, stream};
use telemetry::measure::Count;
use tokio::{sync::Semaphore, time::Instant};

pub use endpoint::{ManagementEndpoint, MissingEndpoint};

/// The way to every connection of one API stage.
#[derive(Clone, Debug)]
pub struct Push {
    caller: Arc<Caller>,
    in_flight: Arc<Semaphore>,
}

/// A connection that could not be closed.
#[derive(Debug, thiserror::Error)]
#[error("the connection {0} could not be closed")]
pub struct NotClosed(ConnectionId);

impl Push {
    /// A client of this endpoint, with the region, credentials and HTTP client of `sdk`. Time-outs and retries are this
    /// crate's.
    #[must_use]
    pub fn new(sdk: &SdkConfig, endpoint: &ManagementEndpoint) -> Self {
        let in_flight = Arc::new(Semaphore::new(limits::PUSHES_IN_FLIGHT_MAX));
        Self { caller: Arc::new(Caller::new(sdk, endpoint)), in_flight }
    }

    /// Sends frames to one connection in order, each after the answer to the one before. What can pass is tried again,
    /// with backoff and full jitter, while there is time before `deadline`.
    pub async fn send(&self, connection_id: &ConnectionId, frames: &[String], deadline: Instant) -> Outcome {
        let frames: Vec<Frame> = frames.iter().map(|text| Frame::new(text)).collect();
        self.send_frames(connection_id, &frames, deadline).await
    }

    async fn send_frames(&self, connection_id: &ConnectionId, frames: &[Frame], deadline: Instant) -> Outcome {
        for frame in frames {
            match self.send_frame(connection_id, frame, deadline).await {
                Outcome::Delivered => {}
                undelivered => return undelivered,
            }
        }
        Outcome::Delivered
    }

    async fn send_frame(&self, connection_id: &ConnectionId, frame: &Frame, deadline: Instant) -> Outcome {
        let mut pause_max = limits::PUSH_PAUSE_FIRST;
        let mut tries = 1;
        loop {
            // The semaphore is never closed: without a permit the push still goes out, unbounded.
            let permit = self.in_flight.acquire().await.ok();
            let attempt = self.caller.post(connection_id, frame).await;
            drop(permit);
            let (outcome, tries_max) = match attempt {
                Attempt::Accepted => return Outcome::Delivered,
                Attempt::Gone => return Outcome::Gone,
                Attempt::TooLarge => return Outcome::TooLarge,
                Attempt::Refused => return Outcome::Failed,
                Attempt::Throttled => (Outcome::Throttled, limits::PUSH_TRIES_MAX),
                Attempt::Unanswered => (Outcome::Failed, limits::PUSH_TRIES_MAX),
                Attempt::Silent => (Outcome::Failed, limits::PUSH_SILENT_TRIES_MAX),
            };
            let pause = pause_max.mul_f64(fastrand::f64());
            let next_answer_by = Instant::now() + pause + limits::PUSH_TIME_OUT;
            if tries >= tries_max || next_answer_by > deadline {
                return outcome;
            }
            Count::PushesRetried.add(1);
            tokio::time::sleep(pause).await;
            pause_max *= 2;
            tries += 1;
        }
    }

    /// Sends the same frames to many connections, each with its own outcome. The frames are copied and hashed once. Whatever
    /// is sent at the same time, by this call and others, at most [`limits::PUSHES_IN_FLIGHT_MAX`] posts are in flight.
    pub async fn send_all(
        &self,
        connection_ids: Vec<ConnectionId>,
        frames: Arc<[String]>,
        deadline: Instant,
    ) -> Vec<(ConnectionId, Outcome)> {
        let frames: Vec<Frame> = frames.iter().map(|text| Frame::new(text)).collect();
        let frames = frames.as_slice();
        let sends = connection_ids.into_iter().map(|connection_id| async move {
            let outcome = self.send_frames(&connection_id, frames, deadline).await;
            (connection_id, outcome)
        });
        stream::iter(sends).buffer_unordered(limits::PUSHES_IN_FLIGHT_MAX).collect().await
    }

    /// Closes a connection, so that its client reconnects. One that is gone is closed.
    ///
    /// # Errors
    /// [`NotClosed`] if API Gateway does not do it.
    pub async fn close(&self, connection_id: &ConnectionId, _deadline: Instant) -> Result<(), NotClosed> {
        match self.caller.delete(connection_id).await {
            Attempt::Accepted | Attempt::Gone => Ok(()),
            Attempt::TooLarge | Attempt::Throttled | Attempt::Unanswered | Attempt::Silent | Attempt::Refused => {
                Err(NotClosed(connection_id.clone()))
            }
        }
    }

    pub async fn probe(&self, _ids: &[ConnectionId], _deadline: Instant) {}

    pub fn health(&self) -> Health {
        Health::Up
    }
}
