//! The variables that configure a process.
//!
//! Owns: what can be wrong with one: absent and malformed are different errors.
//! Must not know: the environment; whoever is configured is handed a way to look a variable up.
//! Source: ours; each `from_vars` says which variables it reads.

/// A variable that must be there and is not, or that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VariableError {
    /// The variable is absent.
    #[error("the environment variable {0} is not set")]
    Absent(&'static str),
    /// The variable is set to something else than it must hold.
    #[error("the environment variable {name} must be {must_be}")]
    Malformed {
        /// The variable.
        name: &'static str,
        /// What it must hold.
        must_be: &'static str,
    },
}
