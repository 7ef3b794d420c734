//! The progress bar of commands that work through many things.
//!
//! Owns: when it is shown, and how it looks.
//! Must not know: what is worked on.
//! Source: README.md, "Commands": results are lines of JSON on stdout, progress is for people and goes to stderr.

use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of so many things; it is shown on a terminal alone, and not where the results go to the terminal themselves.
pub(crate) fn bar(length: usize, unit: &str) -> ProgressBar {
    if !io::stderr().is_terminal() || io::stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = format!("{{wide_bar}} {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left");
    let style = ProgressStyle::with_template(&template);
    ProgressBar::new(length.try_into().unwrap_or(u64::MAX))
        .with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Prints a line of results beside the bar.
pub(crate) fn print_line(bar: &ProgressBar, line: &str) -> io::Result<()> {
    bar.suspend(|| writeln!(io::stdout(), "{line}"))
}
