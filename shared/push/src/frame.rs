//! What is sent: a text, and what of it is the same for every connection.
//!
//! Owns: that a text is copied and hashed once, however many connections get it.
//! Must not know: connections, signatures' other parts.
//! Source: Signature Version 4 signs the hash of the payload.

use bytes::Bytes;
use sha2::{Digest, Sha256};

/// The SHA-256 of nothing.
pub(crate) const EMPTY_HASH: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A text that is due.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    /// Its bytes, shared by all that are sent.
    pub(crate) bytes: Bytes,
    /// Their SHA-256, in hexadecimal.
    pub(crate) hash: String,
}

impl Frame {
    pub(crate) fn new(text: &str) -> Self {
        Self { hash: hex::encode(Sha256::digest(text)), bytes: Bytes::copy_from_slice(text.as_bytes()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_of_nothing_is_that_of_an_empty_frame() {
        assert_eq!(Frame::new("").hash, EMPTY_HASH);
    }
}
