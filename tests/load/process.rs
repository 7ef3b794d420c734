//! What a process costs.
//!
//! Owns: processor time and memory of this process and of others.
//! Must not know: what they do.
//! Source: `proc(5)`; a tick is a hundredth of a second on every Linux that Rust runs on.

use std::{fs, time::Duration};

use rustix::time::{ClockId, clock_gettime};

/// Processor time that this process has used, all threads together.
pub(crate) fn own_cpu() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Processor time that another process has used, in hundredths of a second.
pub(crate) fn cpu(id: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// A line of a process's status, in KB: `VmRSS` is the memory in use, `VmHWM` the most that ever was.
pub(crate) fn memory_kb(id: u32, name: &str) -> f64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
