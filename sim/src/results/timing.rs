//! What a run cost this machine: the one report that differs between two runs of the same plan.
//!
//! It has a file of its own, so that everything else can be compared byte by byte.

use std::time::Duration;

use serde::Serialize;

use super::summary::Summary;

/// The content of `timing.json`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Timing {
    /// How long the run took.
    pub wall_seconds: f64,
    /// Engine calls a second.
    pub inputs_per_second: Option<f64>,
    /// Comparisons with state a second.
    pub updates_per_second: Option<f64>,
    /// The most memory that the whole process has held, where the system tells.
    pub peak_memory_bytes: Option<u64>,
    /// Threads for all runs of the command: one for each, or several where runs are few.
    pub threads: usize,
}

impl Timing {
    /// What a run cost that took so long.
    pub fn new(summary: &Summary, wall: Duration, threads: usize) -> Self {
        let seconds = wall.as_secs_f64();
        let per_second = |count: u64| (seconds > 0.0).then(|| count as f64 / seconds);
        Self {
            wall_seconds: seconds,
            inputs_per_second: per_second(summary.inputs),
            updates_per_second: per_second(summary.updates),
            peak_memory_bytes: peak_memory_bytes(),
            threads,
        }
    }
}

/// The high-water mark of resident memory; Linux tells it, for others it is unknown.
fn peak_memory_bytes() -> Option<u64> {
    high_water_mark(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn high_water_mark(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::fixture;

    #[test]
    fn the_high_water_mark_is_read_from_the_status_of_the_process() {
        let status = "VmPeak:\t  9000 kB\nVmHWM:\t    1234 kB\nThreads:\t2\n";
        assert_eq!(high_water_mark(status), Some(1234 * 1024));
        assert_eq!(high_water_mark("Threads:\t2\n"), None);
    }

    #[test]
    fn a_run_that_took_no_time_has_no_speed() {
        let summary = fixture::partition(2, 0, 1).summary;
        assert_eq!(Timing::new(&summary, Duration::ZERO, 1).inputs_per_second, None);
        let timing = Timing::new(&summary, Duration::from_secs(2), 1);
        assert_eq!(timing.inputs_per_second, Some(60_000.0));
    }
}
