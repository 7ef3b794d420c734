//! The errors that a browser is told of.
//!
//! Owns: the codes and the shape of an `error` message.
//! Must not know: what went wrong inside; the text is for the browser's developer.
//! Source: README.md of this crate.

use domain::OrderId;

/// What kind of error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The message cannot be understood.
    BadRequest,
    /// The principal may not see the order.
    Forbidden,
    /// The connection has as many subscriptions as one may have.
    TooManySubscriptions,
    /// The answer cannot be sent.
    TooLarge,
    /// The gateway failed; the same message may succeed later.
    Internal,
}

impl ErrorCode {
    /// Every code.
    pub const ALL: [Self; 5] =
        [Self::BadRequest, Self::Forbidden, Self::TooManySubscriptions, Self::TooLarge, Self::Internal];

    /// The code on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::Forbidden => "forbidden",
            Self::TooManySubscriptions => "too_many_subscriptions",
            Self::TooLarge => "too_large",
            Self::Internal => "internal",
        }
    }

    /// The code with this name on the wire.
    #[must_use]
    pub fn from_wire(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == name)
    }
}

/// An `error` message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorMessage {
    /// What kind of error it is.
    pub code: ErrorCode,
    /// One sentence for the browser's developer.
    pub message: String,
    /// API Gateway's id of the message that is answered, for the operator's logs.
    pub request_id: String,
    /// The order that is meant, when it was named well enough to repeat it.
    pub order_id: Option<OrderId>,
    /// The order's place in the list of the message that is answered, from 0, when an order of it is wrong.
    pub index: Option<usize>,
    /// After how many milliseconds the same message may succeed, when this one came too soon.
    pub retry_after_ms: Option<u64>,
}

impl ErrorMessage {
    /// An error that concerns the whole message.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>, request_id: impl Into<String>) -> Self {
        let (message, request_id) = (message.into(), request_id.into());
        Self { code, message, request_id, order_id: None, index: None, retry_after_ms: None }
    }

    /// The same about one order.
    #[must_use]
    pub fn about(self, order_id: OrderId) -> Self {
        Self { order_id: Some(order_id), ..self }
    }
}
