//! Bounds: how many nodes a list may hold, and how old news of them may be.

use std::time::Duration;

use crate::config::{Config, Liveness};
use crate::core::beat::{Age, AgeStep};
use crate::time::Instant;

/// The bounds of one engine's list, by its settings.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub members_max: usize,
    pub tombstones_max: usize,
    pub timeout: Duration,
    /// How long a held counter is near enough to the true one to widen a short one.
    pub short_counter: Duration,
    /// Nobody raises its counter more often than this, whatever its own cycle.
    beat_apart: Duration,
    pub liveness: Liveness,
}

impl Limits {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            members_max: config.members_max(),
            tombstones_max: config.members_max() / 2 + 64,
            timeout: config.timeout(),
            short_counter: config.cycle() * 100,
            beat_apart: config.cycle() / 20,
            liveness: config.liveness(),
        }
    }

    /// True when a counter is young enough to list a member by.
    pub(crate) fn fresh(&self, step: AgeStep, age: Age) -> bool {
        match self.liveness {
            Liveness::Off | Liveness::Probes | Liveness::Auto => true,
            Liveness::Beats => step.elapsed(age).is_some_and(|elapsed| elapsed < self.timeout),
        }
    }

    /// When a counter was raised of which nobody says when: too long ago for those who judge by
    /// that.
    pub(super) fn long_ago(&self, now: Instant) -> Instant {
        now.saturating_sub(self.timeout)
    }

    /// The most beats that may have been missed in a silence; of one that was heard just now a few
    /// may be on their way.
    pub(super) fn beats_in(&self, silence: Duration) -> u32 {
        const ON_THEIR_WAY: u32 = 4;
        let apart = self.beat_apart.max(Duration::from_millis(1)).as_nanos();
        let missed = u32::try_from(silence.as_nanos() / apart).unwrap_or(u32::MAX);
        missed.saturating_add(ON_THEIR_WAY)
    }
}
