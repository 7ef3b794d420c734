//! What a process costs.
//!
//! Owns: processor time and memory of this process and of others.
//! Must not know: what they do.
//! Source: `proc(5)`.

use std::{fs, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// Processor time that this process has used, all threads together.
pub(crate) fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Processor time of another process's threads that live.
pub(crate) fn cpu(id: u32) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{id}/task")).unwrap();
    let ran = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok());
    let ns = ran.filter_map(|ran| ran.split_whitespace().next()?.parse::<u64>().ok());
    Duration::from_nanos(ns.sum())
}

/// A line of a process's status, in KB: `VmRSS` is the memory in use, `VmHWM` the most that ever was.
pub(crate) fn memory_kb(id: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
