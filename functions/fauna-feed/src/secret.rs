//! The secret of FaunaDB.
//!
//! Owns: that it is in no log and no error, and which text can be one.
//! Must not know: where it is from.
//! Source: FaunaDB `AuthScope.scala` `AuthParser`; a secret may name a database and a role after colons.

use std::fmt;

/// A key's secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// A text that is no secret. It says nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("FaunaDB's secret must be 1 to 1,024 printable ASCII characters without blanks")]
pub struct NoSecret;

impl Secret {
    /// Checks a text; a line's end behind it is no part of it.
    ///
    /// # Errors
    /// [`NoSecret`] for a text that cannot be one.
    pub fn new(text: &str) -> Result<Self, NoSecret> {
        let text = text.trim_end_matches(['\r', '\n']);
        let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_plain && (1..=1_024).contains(&text.len()) { Ok(Self(text.to_owned())) } else { Err(NoSecret) }
    }

    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_printable_and_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::new("fnAabc:app:server\n").unwrap()), "Secret");
        for text in ["", "\n", "a b", "é", &"x".repeat(1_025)] {
            assert_eq!(Secret::new(text), Err(NoSecret), "{text:?}");
        }
    }
}
