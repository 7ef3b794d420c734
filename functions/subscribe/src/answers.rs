//! The way of the answers to one message.
//!
//! Owns: that frames leave in order, and that the last one leaves as the route response, which costs no call.
//! Must not know: what is answered.
//! Source: a route response carries one message; everything before it goes through `@connections`.

use domain::{ConnectionId, fan_out::Outcome};
use protocol::Message;
use push::Push;
use tokio::{sync::Mutex, time::Instant};

/// The answers to one message. The newest frame is held back until the next one comes.
pub(crate) struct Answers<'a> {
    push: &'a Push,
    connection_id: &'a ConnectionId,
    deadline: Instant,
    held: Mutex<Option<String>>,
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
    pub(crate) fn new(push: &'a Push, connection_id: &'a ConnectionId, deadline: Instant) -> Self {
        Self { push, connection_id, deadline, held: Mutex::new(None) }
    }

    /// Sends a message. Its frames stay together, whoever else answers at the same time.
    pub(crate) async fn send(&self, message: &Message) -> Result<(), AnswerError> {
        let mut held = self.held.lock().await;
        let mut due: Vec<String> = held.take().into_iter().chain(message.frames()).collect();
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
