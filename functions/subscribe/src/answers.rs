//! The way of the answers to one message: frames leave in order, and what is read for them has room in memory.
//!
//! A route response carries one frame and costs no call: the last frame is held back for it, and those before it go through
//! `@connections`.

use domain::{
    ConnectionId,
    fan_out::Outcome,
    limits::{ANSWER_BYTES_MAX, ITEM_BYTES_MAX},
    price,
};
use protocol::Message;
use push::Push;
use tokio::{
    sync::{Mutex, Semaphore, SemaphorePermit},
    time::Instant,
};

use crate::meter::Meter;

/// The answers to one message. The newest frame is held back until the next one comes.
pub(crate) struct Answers<'a> {
    push: &'a Push,
    /// Each frame is owed here.
    pub(crate) meter: Meter<'a>,
    connection_id: &'a ConnectionId,
    deadline: Instant,
    held: Mutex<Option<String>>,
    /// A permit for each byte, as it is stored, that may be held beside what is.
    room: Semaphore,
}

/// Room for what an order is answered with. It is given back when this is dropped.
pub(crate) struct Room<'a>(Option<SemaphorePermit<'a>>);

impl Room<'_> {
    /// Gives back what is not needed for so many bytes.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        if let Some(permit) = self.0.as_mut() {
            let spare = permit.num_permits().saturating_sub(bytes);
            drop(permit.split(spare));
        }
    }
}

/// Why an answer did not reach the browser.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The connection is no more.
    #[error("the connection is gone")]
    Gone,
    /// API Gateway did not take a frame.
    #[error("a frame was not accepted: {0:?}")]
    NotAccepted(Outcome),
    /// Nothing was answered.
    #[error("there is no answer")]
    Nothing,
}

impl<'a> Answers<'a> {
    pub(crate) fn new(push: &'a Push, meter: Meter<'a>, connection_id: &'a ConnectionId, deadline: Instant) -> Self {
        Self { push, meter, connection_id, deadline, held: Mutex::new(None), room: Semaphore::new(ANSWER_BYTES_MAX) }
    }

    /// Waits until there is room for the largest order. Whoever has read the order gives back what it does not need.
    pub(crate) async fn room(&self) -> Room<'_> {
        let bytes = u32::try_from(ITEM_BYTES_MAX).unwrap_or(u32::MAX);
        // The semaphore is never closed.
        Room(self.room.acquire_many(bytes).await.ok())
    }

    /// Sends a message. Its frames stay together, whoever else answers at the same time.
    pub(crate) async fn send(&self, message: Message) -> Result<(), AnswerError> {
        let frames = message.frames();
        drop(message);
        frames.iter().for_each(|frame| self.meter.owe(price::message_out(frame.len())));
        let mut held = self.held.lock().await;
        let mut due: Vec<String> = held.take().into_iter().chain(frames).collect();
        *held = due.pop();
        if due.is_empty() {
            return Ok(());
        }
        match self.push.send(self.connection_id, &due, self.deadline).await {
            Outcome::Delivered => Ok(()),
            Outcome::Gone | Outcome::InvalidId => Err(AnswerError::Gone),
            refused @ (Outcome::TooLarge
            | Outcome::Throttled
            | Outcome::Failed
            | Outcome::Refused
            | Outcome::Unattempted) => Err(AnswerError::NotAccepted(refused)),
        }
    }

    /// The frame that is the route response.
    pub(crate) fn last_frame(self) -> Result<String, AnswerError> {
        self.held.into_inner().ok_or(AnswerError::Nothing)
    }
}
