//! The one clock of a run: the time since it began.

use rumormill::time::Instant;

use crate::clock::Stopwatch;

/// A clock that shows zero when a run begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock(Stopwatch);

impl Clock {
    /// The run begins.
    pub(super) fn start() -> Self {
        Self(Stopwatch::start())
    }

    /// What time of the run it is.
    pub(super) fn now(self) -> Instant {
        Instant::ZERO + self.0.elapsed()
    }
}
