//! Clocks that disagree: what time the cluster takes it to be, and versions from its future.
//!
//! A version from the far future would win for as long as it takes to come. So every node judges
//! by the median clock of those it swapped with lately, its own clock being only the first guess:
//! a node whose clock is a year ahead neither publishes into the next year, nor keeps what
//! somebody else published there.

use std::collections::VecDeque;

use super::engine::Engine;
use super::io::{Event, Outbox};
use super::metadata::{Metadata, Version};
use crate::time::{Now, UnixNanos};

/// How far the clocks of the last swap partners are from ours.
#[derive(Clone, Debug, Default)]
pub(super) struct Skew {
    offsets: VecDeque<i64>,
}

impl Skew {
    const PARTNERS_MAX: usize = 8;
    /// From so many partners on, their median counts for more than our own clock.
    const PARTNERS_TRUSTED: usize = 3;

    /// Takes the clock of a partner that we chose; of others anybody could send us any number.
    pub(super) fn hear(&mut self, ours: UnixNanos, theirs: UnixNanos) {
        if self.offsets.len() == Self::PARTNERS_MAX {
            self.offsets.pop_front();
        }
        self.offsets.push_back(theirs.0.saturating_sub(ours.0));
    }

    /// What time it is in the cluster, when our clock says `wall`.
    pub(super) fn cluster_time(&self, wall: UnixNanos) -> UnixNanos {
        let mut offsets = [0; Self::PARTNERS_MAX];
        let offsets = &mut offsets[..self.offsets.len()];
        for (offset, &heard) in offsets.iter_mut().zip(&self.offsets) {
            *offset = heard;
        }
        offsets.sort_unstable();
        let Some(&median) = offsets.get(offsets.len().saturating_sub(1) / 2) else { return wall };
        let theirs = UnixNanos(wall.0.saturating_add(median));
        if offsets.len() < Self::PARTNERS_TRUSTED { wall.max(theirs) } else { theirs }
    }
}

impl Engine {
    /// True when a version lies further ahead than clocks may differ.
    pub(super) fn is_from_the_future(&self, now: Now, version: Version) -> bool {
        let time = self.skew.cluster_time(now.wall);
        version.nanos > time.saturating_add(self.config.clock_skew_max()).0
    }

    /// The time to publish at: that of our clock, unless it is too far ahead of the cluster's.
    pub(super) fn publish_time(&self, now: Now) -> UnixNanos {
        let time = self.skew.cluster_time(now.wall);
        if now.wall > time.saturating_add(self.config.clock_skew_max()) { time } else { now.wall }
    }

    /// Sets the held version aside when it turns out to lie in the future. If it is our own, it
    /// is published anew; else the next swap brings what the cluster holds.
    pub(super) fn review_held(&mut self, now: Now, out: &mut Outbox) {
        let future = |held: &mut Metadata| self.is_from_the_future(now, held.version());
        let mut held = self.metadata.clone();
        let Some(aside) = held.take_if(future) else { return };
        self.stats.versions_set_aside += 1;
        self.metadata = None;
        out.event(Event::SetAside(aside.version()));
        if aside.version().writer == self.me.place() {
            let time = self.publish_time(now);
            self.publish_at(now, aside.into_value(), time, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster_time(offsets: &[i64]) -> i64 {
        let mut skew = Skew::default();
        for &offset in offsets {
            skew.hear(UnixNanos(1_000), UnixNanos(1_000 + offset));
        }
        skew.cluster_time(UnixNanos(500)).0 - 500
    }

    #[test]
    fn alone_our_own_clock_counts() {
        assert_eq!(cluster_time(&[]), 0);
    }

    #[test]
    fn few_partners_can_only_put_the_time_forward() {
        assert_eq!(cluster_time(&[-100, -90]), 0);
        assert_eq!(cluster_time(&[100]), 100);
    }

    #[test]
    fn the_median_of_three_partners_counts_for_more_than_our_clock() {
        assert_eq!(cluster_time(&[-100, 7, i64::MAX / 2]), 7);
        assert_eq!(cluster_time(&[-100, -90, -80]), -90);
    }

    #[test]
    fn only_the_last_eight_partners_count() {
        assert_eq!(cluster_time(&[50, 50, 50, 50, 50, 1, 1, 1, 1, 1, 1, 1, 1]), 1);
    }
}
