//! What the examples that measure read of the machine.

use tokio::time::Instant;

/// The clock of the measurement.
#[allow(clippy::disallowed_methods, reason = "these programs measure real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Processor time of this process' threads, to the nanosecond where the system keeps it so; zero
/// where it doesn't say.
pub(crate) fn cpu_seconds() -> f64 {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanos = threads.filter_map(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        stat.split(' ').next()?.parse::<f64>().ok()
    });
    nanos.sum::<f64>() / 1e9
}
