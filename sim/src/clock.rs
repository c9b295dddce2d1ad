//! The clocks of the machine, which nothing else in the simulator reads.

use std::time::{Duration, Instant};

/// A clock that was started.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts.
    #[expect(clippy::disallowed_methods, reason = "what a run costs is measured in real time")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

/// What the wall clock of the machine shows: what processes of one run tell their time by.
#[cfg(feature = "testbed")]
#[expect(clippy::disallowed_methods, reason = "processes have no other clock in common")]
pub(crate) fn unix_nanos() -> rumormill::time::UnixNanos {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let nanos = since.map_or(0, rumormill::time::nanos);
    rumormill::time::UnixNanos(i64::try_from(nanos).unwrap_or(i64::MAX))
}
