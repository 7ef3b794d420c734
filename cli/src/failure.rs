//! How a command fails.
//!
//! Owns: one line on stderr and the exit code.
//! Must not know: what failed.
//! Source: README.md, "Commands": 1 is failed, 2 is usage.

use std::{fmt::Write as _, process::ExitCode};

use store::{CallError, error::CallErrorKind};

/// A command that did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    exit_code: u8,
    cause: Option<anyhow::Error>,
}

impl Failure {
    /// The command was tried and failed.
    pub(crate) fn failed(cause: impl Into<anyhow::Error>) -> Self {
        Self { exit_code: 1, cause: Some(cause.into()) }
    }

    /// The command cannot be tried as it was asked.
    pub(crate) fn usage(cause: impl Into<anyhow::Error>) -> Self {
        Self { exit_code: 2, cause: Some(cause.into()) }
    }

    /// The command failed and has said why.
    pub(crate) fn reported() -> Self {
        Self { exit_code: 1, cause: None }
    }

    /// Says why, in one line, and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        if let Some(cause) = &self.cause {
            let advice = if is_unanswered(cause) { "; is the stack running (foldcast up)?" } else { "" };
            eprintln!("foldcast: {}{advice}", one_line(cause));
        }
        ExitCode::from(self.exit_code)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(cause: anyhow::Error) -> Self {
        Self::failed(cause)
    }
}

/// Whether nobody answered at the address that was called.
fn is_unanswered(error: &anyhow::Error) -> bool {
    let mut calls = error.chain().filter_map(|cause| cause.downcast_ref::<CallError>());
    calls.any(|call| call.kind() == CallErrorKind::Unavailable)
}

/// An error and its causes on one line; a cause that says the same again is left out.
pub(crate) fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        if line.contains(&text) {
            continue;
        }
        let separator = if line.is_empty() { "" } else { ": " };
        // Writing to a String cannot fail.
        write!(line, "{separator}{text}").ok();
    }
    line
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn an_error_is_one_line() {
        let error = Err::<(), _>(anyhow::anyhow!("a\nb")).context("tried").unwrap_err();
        assert_eq!(one_line(&error), "tried: a b");
        assert_eq!(one_line(&Err::<(), _>(anyhow::anyhow!("x")).context("it is x").unwrap_err()), "it is x");
    }
}
