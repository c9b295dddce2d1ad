//! Clocks that disagree: what time the cluster takes it to be, and versions from its future.
//!
//! No clock has a say in which of two versions wins: if a sane one were to beat one from the
//! future, nodes whose clocks differ would hold different values, or none. So a version of a
//! confirmed member is held by its rank alone, however far ahead it lies. Clocks act in one place,
//! where a version is made:
//!
//! - Its time is that of our own clock, as long as that is near the time of the cluster, and else
//!   that of the cluster: the median of the clocks of those we swapped with lately and of ours.
//! - It lies above the version that we hold, though that one be from the future. So whoever has
//!   seen a value replaces it, and a clock that is a year ahead freezes nobody.
//! - Who publishes while one from the future is on its way has seen nothing of it and would lose
//!   against it: the same bytes are published once more, above it.
//!
//! What remains is that of two who publish without having seen each other the later one wins.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use super::Context;
use crate::core::io::Event;
use crate::core::metadata::{Metadata, Version};
use crate::node::Generation;
use crate::time::{Instant, Now, UnixNanos, nanos};

/// What the clocks of others show, and what follows for versions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clocks {
    /// What the clock of each of our last swap partners showed at the zero of our monotonic clock,
    /// which stays true when our own wall clock is set.
    heard: VecDeque<(SocketAddr, i64)>,
    /// The last version from the future that the service was told of.
    told: Option<Version>,
}

impl Clocks {
    pub(crate) const PARTNERS_MAX: usize = 8;

    /// Takes the clock of a partner. One counts once, however often we swap with it.
    fn hear(&mut self, now: Now, partner: SocketAddr, theirs: UnixNanos) {
        self.heard.retain(|&(heard, _)| heard != partner);
        if self.heard.len() == Self::PARTNERS_MAX {
            self.heard.pop_front();
        }
        self.heard.push_back((partner, at_zero(now.mono, theirs)));
    }

    /// What time it is in the cluster. Of two in the middle the earlier counts: a version that is
    /// made too early does no harm, for it lies above the held one all the same.
    fn cluster_time(&self, now: Now) -> UnixNanos {
        let mut clocks = [at_zero(now.mono, now.wall); Self::PARTNERS_MAX + 1];
        let clocks = &mut clocks[..=self.heard.len()];
        for (clock, &(_, heard)) in clocks.iter_mut().zip(&self.heard) {
            *clock = heard;
        }
        clocks.sort_unstable();
        UnixNanos(clocks[(clocks.len() - 1) / 2]).saturating_add(now.mono - Instant::ZERO)
    }
}

/// What a clock showed at the zero of the monotonic one.
fn at_zero(mono: Instant, wall: UnixNanos) -> i64 {
    wall.0.saturating_sub_unsigned(mono.as_nanos())
}

impl Context<'_> {
    /// Takes the clock of a partner that we chose; of others anybody could send us any number.
    /// Those who are members no longer count no longer.
    pub(crate) fn hear_clock(&mut self, partner: SocketAddr, theirs: UnixNanos) {
        let members = &self.members;
        let is_listed = |addr| members.node(addr).is_some_and(|node| members.is_listed(node));
        self.clocks.heard.retain(|&(addr, _)| is_listed(addr));
        self.clocks.hear(self.now, partner, theirs);
        self.tell_if_ahead();
    }

    /// How far ahead of the cluster a version lies, when that is more than clocks may differ.
    pub(crate) fn ahead_by(&self, version: Version) -> Option<Duration> {
        let time = self.clocks.cluster_time(self.now);
        let by = u64::try_from(version.nanos.saturating_sub(time.0)).ok()?;
        (by > nanos(self.config.clock_skew_max())).then(|| Duration::from_nanos(by))
    }

    /// The time to publish at: that of our clock, unless it is too far from the cluster's.
    pub(crate) fn publish_time(&self) -> UnixNanos {
        let time = self.clocks.cluster_time(self.now);
        let is_near = self.now.wall.0.abs_diff(time.0) <= nanos(self.config.clock_skew_max());
        if is_near { self.now.wall } else { time }
    }

    /// True for a version from the future whose sender may be a stranger, who could send us the
    /// end of all times. It is counted.
    pub(crate) fn refuses(&mut self, version: Version, from: SocketAddr) -> bool {
        let stranger = planted!(MembersRefused, !self.is_confirmed(from), true);
        let refused = self.ahead_by(version).is_some() && stranger;
        self.stats.versions_refused += u64::from(refused);
        refused
    }

    /// Tells of the held version once if it is from the future, be it that it was just taken or
    /// that we have just learned what time it is.
    pub(crate) fn tell_if_ahead(&mut self) {
        let held = self.metadata.as_ref().map(Metadata::version);
        let Some(version) = held.filter(|_| self.clocks.told != held) else { return };
        if let Some(by) = self.ahead_by(version) {
            planted!(AheadToldAgain, self.clocks.told = held);
            self.stats.versions_ahead += 1;
            self.out.event(Event::VersionAhead { version, by });
        }
    }

    /// The largest generation that is not from the future.
    pub(crate) fn horizon(&self) -> Generation {
        let time = self.clocks.cluster_time(self.now);
        let latest = time.saturating_add(self.config.clock_skew_max()).0;
        let most = Generation::MAX.get();
        let shown = u64::try_from(latest).map_or(Generation::MIN.get(), |latest| latest.min(most));
        Generation::new(shown).unwrap_or(Generation::MIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: i64 = 500;

    fn now(mono: u64, wall: i64) -> Now {
        Now { mono: Instant::from_nanos(mono), wall: UnixNanos(wall) }
    }

    fn partner(number: u16) -> SocketAddr {
        ([10, 0, 0, 1], number).into()
    }

    /// By how much the cluster's time differs from ours, given how others' clocks do.
    fn cluster_offset(offsets: &[i64]) -> i64 {
        let mut skew = Clocks::default();
        for (number, &offset) in (0..).zip(offsets) {
            skew.hear(now(100, OURS), partner(number), UnixNanos(OURS + offset));
        }
        skew.cluster_time(now(140, OURS + 40)).0 - (OURS + 40)
    }

    #[test]
    fn alone_our_own_clock_counts() {
        assert_eq!(cluster_offset(&[]), 0);
    }

    #[test]
    fn our_own_clock_is_one_of_those_whose_median_counts() {
        assert_eq!(cluster_offset(&[-100, -90]), -90);
        assert_eq!(cluster_offset(&[-100, 90]), 0);
        assert_eq!(cluster_offset(&[-100, 7, 8, i64::MAX / 2]), 7);
    }

    #[test]
    fn of_two_clocks_in_the_middle_the_earlier_counts() {
        assert_eq!(cluster_offset(&[100]), 0);
        assert_eq!(cluster_offset(&[-100]), -100);
        assert_eq!(cluster_offset(&[10, 20, 30]), 10);
    }

    #[test]
    fn only_the_last_eight_partners_count_and_each_of_them_once() {
        assert_eq!(cluster_offset(&[50, 50, 50, 50, 50, 1, 1, 1, 1, 1, 1, 1, 1]), 1);
        let mut skew = Clocks::default();
        for offset in [9, 9, 9, 9, 7] {
            skew.hear(now(0, OURS), partner(1), UnixNanos(OURS + offset));
        }
        skew.hear(now(0, OURS), partner(2), UnixNanos(OURS + 8));
        assert_eq!(skew.cluster_time(now(0, OURS)).0, OURS + 7);
    }

    #[test]
    fn what_others_showed_stays_true_when_our_own_clock_is_set() {
        let mut skew = Clocks::default();
        for number in 1..=3 {
            skew.hear(now(100, OURS), partner(number), UnixNanos(OURS));
        }
        for wall in [i64::MIN, 0, OURS + 1_000_000, i64::MAX] {
            assert_eq!(skew.cluster_time(now(150, wall)).0, OURS + 50);
        }
    }

    #[test]
    fn no_clock_that_a_partner_claims_overflows() {
        let mut skew = Clocks::default();
        for (number, wall) in [(1, i64::MIN), (2, i64::MIN), (3, i64::MAX), (4, i64::MAX)] {
            skew.hear(now(u64::MAX / 64, OURS), partner(number), UnixNanos(wall));
            skew.cluster_time(now(u64::MAX / 64, i64::MAX));
        }
    }
}
