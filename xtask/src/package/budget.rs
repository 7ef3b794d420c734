//! How large each function may be.
//!
//! Owns: the numbers and their reasons.
//! Must not know: how a function is built.
//! Source: docs/artefacts.md. Lambda loads a program before its first answer, so that its size is a part of a cold start;
//! a dependency that drags in a second TLS stack or a second HTTP version shows here first.

/// Bytes of `bootstrap`, on either architecture, and what they are for: the measured size and about a fifth.
const BUDGETS: [(&str, u64); 7] = [
    // TLS and an HTTP client for the key set, and the cryptography of tokens; no SDK.
    ("authorizer", 4_300_000),
    // DynamoDB's SDK.
    ("connect", 5_900_000),
    ("disconnect", 6_100_000),
    // DynamoDB's SDK, and pushes.
    ("subscribe", 6_600_000),
    // The same, and SQS's SDK for the failure queue.
    ("event-handler", 7_100_000),
    // DynamoDB's SDK, and pushes.
    ("fan-out", 6_500_000),
    // The same without pushes, SQS's SDK, and an HTTP client for FaunaDB.
    ("fauna-feed", 7_100_000),
];

/// The most bytes that a function's program may have.
pub(super) fn of(function: &str) -> Option<u64> {
    BUDGETS.iter().find(|(name, _)| *name == function).map(|(_, bytes)| *bytes)
}

/// What is wrong with a program of so many bytes.
pub(super) fn check(function: &str, bytes: u64) -> Option<String> {
    match of(function) {
        None => Some(format!("{function} has no budget: give it one in xtask/src/package/budget.rs")),
        Some(most) if bytes > most => Some(format!(
            "{function} has {bytes} bytes, over its budget of {most}: `cargo tree -p {function}` shows what is in it"
        )),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_over_its_budget_is_named() {
        let most = of("connect").unwrap();
        assert_eq!(check("connect", most), None);
        assert!(check("connect", most + 1).unwrap().contains("over its budget"));
        assert!(check("no-function", 1).unwrap().contains("no budget"));
    }
}
