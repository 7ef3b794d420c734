//! A step: one program, its name, its time, and a clear end when it fails.
//!
//! Owns: running programs at the root of the workspace without input, streaming what they print.
//! Must not know: which steps there are.
//! Source: `cargo xtask test` in CONTRIBUTING.md.

use std::{
    io::{self, BufRead, BufReader, PipeReader, Write},
    path::Path,
    process::{Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};

use crate::{root, tally::Tally};

/// How long the output may stay open after the program's end; whatever holds it open was left behind.
const OUTPUT_END_MAX: Duration = Duration::from_secs(5);

/// What cargo tells this process about its package. A cargo below hands it on to build scripts, to which it is a change since
/// the last build by hand, and everything above them would be compiled again. Source: the build script of `ring`.
const ABOUT_XTASK: [&str; 7] = [
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_LINKS",
    "CARGO_PKG_NAME",
    "CARGO_PKG_VERSION_MAJOR",
    "CARGO_PKG_VERSION_MINOR",
    "CARGO_PKG_VERSION_PATCH",
    "CARGO_PKG_VERSION_PRE",
];

/// A program with its arguments, to run at the root.
pub(crate) fn program(name: impl AsRef<Path>, args: &[&str]) -> Command {
    let mut command = Command::new(name.as_ref());
    command.args(args).current_dir(root()).stdin(Stdio::null());
    for name in ABOUT_XTASK {
        command.env_remove(name);
    }
    command
}

/// Runs a step to its end.
pub(crate) fn run(name: &str, mut command: Command) -> anyhow::Result<()> {
    timed(name, || {
        let shown = shown(&command);
        let status = command.status().with_context(|| format!("cannot start {shown}"))?;
        check(name, &shown, status)
    })
}

/// Runs a small part of a step to its end; only its failure is said.
pub(crate) fn quietly(name: &str, mut command: Command) -> anyhow::Result<()> {
    let shown = shown(&command);
    let status = command.status().with_context(|| format!("cannot start {shown}"))?;
    check(name, &shown, status)
}

/// Runs a step and answers what it wrote on its standard output; the rest is passed on.
pub(crate) fn read(name: &str, mut command: Command) -> anyhow::Result<String> {
    timed(name, || {
        let shown = shown(&command);
        let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("cannot start {shown}"))?;
        check(name, &shown, output.status)?;
        Ok(String::from_utf8(output.stdout)?)
    })
}

/// Runs a step that tests, and counts what its runner says.
pub(crate) fn run_tests(name: &str, mut command: Command) -> anyhow::Result<Tally> {
    timed(name, || {
        let shown = shown(&command);
        let (output, writer) = io::pipe()?;
        command.stdout(writer.try_clone()?).stderr(writer);
        let mut child = command.spawn().with_context(|| format!("cannot start {shown}"))?;
        // the command holds the writing ends: while it lives, the output has no end
        drop(command);
        let (sender, counted) = mpsc::channel();
        thread::spawn(move || sender.send(stream(output)));
        let status = child.wait()?;
        let tally = counted.recv_timeout(OUTPUT_END_MAX).with_context(|| {
            format!("{name}: a process that it started still runs, {} s after its end", OUTPUT_END_MAX.as_secs())
        })??;
        check(name, &shown, status).with_context(|| tally.to_string())?;
        ensure!(tally.passed > 0, "{name}: its runner reported no test");
        ensure!(tally.failed == 0, "{name}: {tally}, and yet the exit code is 0");
        Ok(tally)
    })
}

/// Passes the output on, line by line, and counts.
fn stream(output: PipeReader) -> io::Result<Tally> {
    let mut output = BufReader::new(output);
    let mut tally = Tally::default();
    let mut line = Vec::new();
    while output.read_until(b'\n', &mut line)? > 0 {
        io::stdout().write_all(&line)?;
        tally.read(&String::from_utf8_lossy(&line));
        line.clear();
    }
    io::stdout().flush()?;
    Ok(tally)
}

fn timed<T>(name: &str, step: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    eprintln!("\n=== {name}");
    let started = Instant::now();
    let done = step();
    eprintln!("=== {name}: {} in {}", if done.is_ok() { "passed" } else { "FAILED" }, seconds(started));
    done
}

fn check(name: &str, shown: &str, status: ExitStatus) -> anyhow::Result<()> {
    if !status.success() {
        bail!("stopped at the step `{name}`: {shown} ended with {status}");
    }
    Ok(())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    format!("`{}`", words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" "))
}

/// The time since, for a reader.
pub(crate) fn seconds(since: Instant) -> String {
    format!("{:.1} s", since.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(script: &str) -> String {
        format!("{:#}", run_tests("tests", program("sh", &["-c", script])).unwrap_err())
    }

    #[test]
    fn a_runner_that_reports_no_test_has_failed() {
        assert_eq!(error("true"), "tests: its runner reported no test");
    }

    #[test]
    fn a_failed_step_says_what_was_run() {
        assert_eq!(
            error("exit 3"),
            "0 passed, 0 failed: stopped at the step `tests`: `sh -c exit 3` ended with exit status: 3"
        );
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run("x", program("no-such-program", &["--version"])).unwrap_err();
        assert!(format!("{error:#}").starts_with("cannot start `no-such-program --version`: "), "{error:#}");
    }
}
