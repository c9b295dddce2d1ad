//! What the examples that measure read of the machine.

use tokio::time::Instant;

/// The clock of the measurement.
#[allow(clippy::disallowed_methods, reason = "these programs measure real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Processor time of this process; zero where the system doesn't say.
pub(crate) fn cpu_seconds() -> f64 {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name stands in brackets and may hold spaces; user and system time follow at 12 and 13.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS_PER_SECOND
}
