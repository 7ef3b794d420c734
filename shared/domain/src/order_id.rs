//! The id of an order.
//!
//! Owns: what a valid order id looks like.
//! Must not know: where it is stored or who may see the order.
//! Source: ours; see `limits::ORDER_ID_BYTES_MAX`.

use std::fmt;

use crate::limits::ORDER_ID_BYTES_MAX;

/// An order's id: 1 to 256 bytes of UTF-8 without control characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(String);

/// Why a text is no order id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOrderId {
    /// The text has no characters.
    #[error("an orderId must not be empty")]
    Empty,
    /// The text is longer than [`ORDER_ID_BYTES_MAX`].
    #[error("an orderId must have at most {ORDER_ID_BYTES_MAX} bytes, this one has {bytes}")]
    TooLong {
        /// Length of the text in bytes of UTF-8.
        bytes: usize,
    },
    /// The text has a control character, which would forge lines in a log or a terminal.
    #[error("an orderId must not contain control characters")]
    ControlCharacter,
}

impl OrderId {
    /// Checks a text.
    ///
    /// # Errors
    /// [`InvalidOrderId`] names the broken rule.
    pub fn new(text: impl Into<String>) -> Result<Self, InvalidOrderId> {
        let text = text.into();
        if text.is_empty() {
            return Err(InvalidOrderId::Empty);
        }
        if text.len() > ORDER_ID_BYTES_MAX {
            return Err(InvalidOrderId::TooLong { bytes: text.len() });
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidOrderId::ControlCharacter);
        }
        Ok(Self(text))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_id_has_1_to_256_bytes_and_no_control_characters() {
        assert_eq!(OrderId::new(""), Err(InvalidOrderId::Empty));
        assert_eq!(OrderId::new("x".repeat(257)), Err(InvalidOrderId::TooLong { bytes: 257 }));
        assert_eq!(OrderId::new("a\nb"), Err(InvalidOrderId::ControlCharacter));
        assert_eq!(OrderId::new("é".repeat(128)).unwrap().as_str().len(), 256);
        assert_eq!(OrderId::new("guid_123").unwrap().to_string(), "guid_123");
    }
}
