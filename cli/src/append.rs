//! `foldcast append`: events from a file, or as they come on standard input, to the log.
//!
//! A file is read twice, so that nothing of a file with bad events is appended. What comes through a pipe is appended as it
//! comes, up to the first bad event. Each order's events go in the order in which they are read.

mod input;
mod window;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};
use tokio::sync::{mpsc, oneshot};

use crate::{
    args, deployment,
    failure::Failure,
    progress::{self, print_line},
};
use domain::Event;
use input::{FileError, Line};
use store::event_log::AppendError;
use window::{Counts, Window};

/// Bad events that are named before the rest is only counted.
const BAD_EVENTS_NAMED_MAX: usize = 20;

/// Lines that are read ahead.
const LINES_AHEAD_MAX: usize = 100;

pub(crate) async fn run(options: args::Append) -> Result<(), Failure> {
    let args::Append { file, skip_bad, target } = options;
    let mut bad = Bad { file: file.clone(), count: 0 };
    // A pipe can be read once.
    let is_readable_twice = file != Path::new("-") && !fs::metadata(&file).is_ok_and(|metadata| !metadata.is_file());
    let good = if is_readable_twice { check(&file, skip_bad)? } else { 0 };
    let store = deployment::open(&target)?;
    let (sender, mut lines) = mpsc::channel(LINES_AHEAD_MAX);
    let (done, reading) = oneshot::channel();
    {
        let file = file.clone();
        // A thread that nobody waits for: it may hang on standard input when the command is done.
        std::thread::spawn(move || done.send(read(&file, |line| sender.blocking_send(line).is_ok())));
    }
    let progress = progress::bar(good, "events");
    let mut window = Window::new(&store.event_log);
    let (mut is_over, mut stopped_at, mut failed, mut is_warned) = (false, None, None, false);
    while !(is_over && window.is_empty()) {
        tokio::select! {
            line = lines.recv(), if !is_over && window.has_room() => match line {
                Some(Line { number, event: Ok(event) }) => {
                    is_warned = is_warned || warn_of_unit(&file, number, &event);
                    window.push(number, event);
                }
                Some(Line { number, event: Err(reason) }) => {
                    bad.add(number, &reason);
                    (is_over, stopped_at) = if skip_bad { (false, None) } else { (true, Some(number)) };
                }
                None => is_over = true,
            },
            appended = window.next_appended(), if !window.is_empty() => match appended {
                Ok(printable) => {
                    progress.inc(1);
                    for line in printable {
                        print_line(&progress, &line).context("cannot print")?;
                    }
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            },
        }
    }
    drop(lines);
    let Counts { appended, was_there } = window.counts();
    for line in window.into_lines() {
        print_line(&progress, &line).context("cannot print")?;
    }
    progress.finish_and_clear();
    bad.report_rest();
    let is_refused = |error: &anyhow::Error| {
        matches!(error.downcast_ref(), Some(AppendError::RefTaken { .. } | AppendError::NotStorable(_)))
    };
    let refused = bad.count + usize::from(failed.as_ref().is_some_and(is_refused));
    eprintln!("foldcast: {appended} appended, {was_there} already there, {refused} refused");
    if let Some(error) = failed {
        return Err(Failure::failed(error));
    }
    if let Some(number) = stopped_at {
        return Err(Failure::failed(anyhow!("nothing behind line {number} was appended (--skip-bad goes on)")));
    }
    let read = reading.await.context("the file's reader died")?;
    read.map_err(|error| unreadable(&file, error))
}

/// Reads a file and appends nothing: how many events are good. Bad ones are an error, unless `skip_bad`.
fn check(file: &Path, skip_bad: bool) -> Result<usize, Failure> {
    let (mut good, mut bad) = (0, Bad { file: file.to_owned(), count: 0 });
    let read = read(file, |Line { number, event }| {
        match event {
            Ok(_) => good += 1,
            Err(_) if skip_bad => {}
            Err(reason) => bad.add(number, &reason),
        }
        true
    });
    read.map_err(|error| unreadable(file, error))?;
    bad.report_rest();
    if bad.count == 0 {
        return Ok(good);
    }
    let (bad, all) = (bad.count, bad.count + good);
    Err(Failure::failed(anyhow!("nothing was appended: {bad} of {all} events are bad (--skip-bad appends the others)")))
}

/// Reads a file or standard input; an event that DynamoDB cannot hold is bad.
fn read(file: &Path, mut take: impl FnMut(Line) -> bool) -> Result<(), FileError> {
    let take = |Line { number, event }: Line| {
        let event = event.and_then(|event| match store::event_log::check(&event) {
            Ok(()) => Ok(event),
            Err(not_storable) => Err(not_storable.to_string()),
        });
        take(Line { number, event })
    };
    if file == Path::new("-") { input::read(io::stdin().lock(), take) } else { input::read(File::open(file)?, take) }
}

/// Names an event whose time is plainly in another unit, and says whether it is. The time orders nothing, so it is taken as it
/// is.
fn warn_of_unit(file: &Path, line: usize, event: &Event) -> bool {
    let Some(unit) = input::other_unit(event.ts_us) else { return false };
    let file = file.display();
    eprintln!("foldcast: warning: {file} line {line}: ts seems to be in {unit}, and is taken as microseconds");
    true
}

fn unreadable(file: &Path, error: FileError) -> Failure {
    match error {
        FileError::Io(error) => {
            Failure::failed(anyhow::Error::new(error).context(format!("cannot read {}", file.display())))
        }
        error @ (FileError::Gzip
        | FileError::Utf16
        | FileError::SeveralLines(_)
        | FileError::UnfinishedArray(_)
        | FileError::BehindArray(_)) => Failure::failed(anyhow!("{}: {error}", file.display())),
    }
}

/// The bad events of a file, the first of which are named.
struct Bad {
    file: PathBuf,
    count: usize,
}

impl Bad {
    fn add(&mut self, number: usize, reason: &str) {
        self.count += 1;
        if self.count <= BAD_EVENTS_NAMED_MAX {
            eprintln!("foldcast: {} line {number}: {reason}", self.file.display());
        }
    }

    fn report_rest(&self) {
        if self.count > BAD_EVENTS_NAMED_MAX {
            eprintln!("foldcast: … and {} more", self.count - BAD_EVENTS_NAMED_MAX);
        }
    }
}
