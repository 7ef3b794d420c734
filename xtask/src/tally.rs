//! How many tests passed and failed, by the runners' own words.
//!
//! Owns: the closing lines of cargo's, Node's and Python's test runners.
//! Must not know: how a runner is started.
//! Source: libtest `test result: ok. 5 passed; 0 failed; …`; `node --test` `# pass 5` (TAP) or `ℹ pass 5` (spec);
//! unittest `Ran 5 tests in 1.2s`, then `OK (skipped=1)` or `FAILED (failures=1, errors=1)`.

use std::{fmt, ops::AddAssign};

/// A sum of tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    /// Adds what a line of a runner's output says, if it says anything.
    pub(crate) fn read(&mut self, line: &str) {
        let line = line.trim_end();
        let words: Vec<&str> = line.split([' ', ';', ',', '(', ')', '=']).filter(|word| !word.is_empty()).collect();
        match words.as_slice() {
            ["test", "result:", _, passed, "passed", failed, "failed", ..] => {
                self.passed += number(passed);
                self.failed += number(failed);
            }
            ["#" | "ℹ", "pass", passed] => self.passed += number(passed),
            ["#" | "ℹ", "fail" | "cancelled", failed] => self.failed += number(failed),
            ["Ran", ran, "test" | "tests", "in", _] => self.passed += number(ran),
            ["OK" | "FAILED", counts @ ..] if line.ends_with(')') => self.correct(counts),
            _ => {}
        }
    }

    /// Python counts what it ran, and says afterwards what of it did not pass.
    fn correct(&mut self, counts: &[&str]) {
        for count in counts.chunks_exact(2) {
            if let [kind, count] = count {
                let count = number(count);
                let failed = if *kind == "skipped" { 0 } else { count };
                self.passed = self.passed.saturating_sub(count);
                self.failed += failed;
            }
        }
    }
}

fn number(word: &str) -> u64 {
    word.parse().unwrap_or_default()
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(output: &str) -> (u64, u64) {
        let mut tally = Tally::default();
        output.lines().for_each(|line| tally.read(line));
        (tally.passed, tally.failed)
    }

    #[test]
    fn cargo_says_it_once_a_binary() {
        let output = "running 2 tests\ntest fold::passed ... ok\n\n\
            test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.00s\n\
            test result: FAILED. 10 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s\n";
        assert_eq!(tally(output), (12, 3));
    }

    #[test]
    fn node_says_it_in_two_ways() {
        assert_eq!(tally("ok 1 - pass 5\n# tests 8\n# pass 5\n# fail 2\n# cancelled 1\n# skipped 0\n"), (5, 3));
        assert_eq!(tally("ℹ tests 5\nℹ pass 5\nℹ fail 0\n"), (5, 0));
    }

    #[test]
    fn python_says_it_in_two_lines() {
        assert_eq!(tally("Ran 1 test in 0.003s\n\nOK\n"), (1, 0));
        assert_eq!(tally("Ran 6 tests in 0.003s\n\nOK (skipped=2)\n"), (4, 0));
        assert_eq!(tally("Ran 6 tests in 0.003s\n\nFAILED (failures=1, errors=2, skipped=1)\n"), (2, 3));
    }

    #[test]
    fn the_sum_is_the_line_that_a_tool_reads() {
        let mut sum = Tally { passed: 2, failed: 0 };
        sum += Tally { passed: 3, failed: 1 };
        assert_eq!(sum.to_string(), "5 passed, 1 failed");
    }
}
