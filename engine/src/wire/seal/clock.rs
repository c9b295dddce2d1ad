//! The clock of a seal: it goes with the monotonic clock, and is only ever set ahead.

use crate::time::{Instant, Now};

/// The time by which sealed packets are stamped and judged, in nanoseconds since the Unix epoch.
///
/// The wall clock is read once, when a node starts. From then on this clock goes as the monotonic
/// one does, so that no step of a wall clock, ours or another's, makes a packet look late.
#[derive(Clone, Copy, Debug)]
pub(super) struct SealClock {
    /// What is to be added to the monotonic clock.
    offset: i64,
}

impl SealClock {
    /// The last time at which it may start, in 2116: far enough from its end.
    const START_MAX: i64 = 1 << 62;

    /// A wall clock that shows what it can't be is not believed: others will say what time it is.
    pub(super) fn new(now: Now) -> Self {
        let is_possible = (0..=Self::START_MAX).contains(&now.wall.0);
        let start = if is_possible { now.wall.0 } else { 0 };
        Self { offset: start.saturating_sub(nanos(now.mono)) }
    }

    /// What it shows.
    pub(super) fn at(self, mono: Instant) -> i64 {
        self.offset.saturating_add(nanos(mono)).max(0)
    }

    /// Sets it to a later time; an earlier one changes nothing.
    pub(super) fn catch_up(&mut self, mono: Instant, time: i64) {
        self.offset = self.offset.max(time.saturating_sub(nanos(mono)));
    }
}

fn nanos(mono: Instant) -> i64 {
    i64::try_from(mono.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::time::UnixNanos;

    fn extremes() -> impl Strategy<Value = i64> {
        prop_oneof![Just(i64::MIN), Just(0), Just(1 << 62), Just(i64::MAX), any::<i64>()]
    }

    proptest! {
        #[test]
        fn whatever_it_is_set_to_it_never_goes_back(
            wall in extremes(),
            mut steps in prop::collection::vec((any::<u64>(), extremes()), 1..20),
        ) {
            steps.sort_by_key(|&(mono, _)| mono);
            let at = |mono| Instant::from_nanos(mono);
            let mut clock = SealClock::new(Now { mono: at(steps[0].0), wall: UnixNanos(wall) });
            let mut shown = 0;
            for (mono, time) in steps {
                prop_assert!(clock.at(at(mono)) >= shown);
                clock.catch_up(at(mono), time);
                shown = clock.at(at(mono));
            }
        }
    }

    #[test]
    fn it_goes_as_the_monotonic_clock_and_only_ahead_by_hand() {
        let at = Instant::from_nanos;
        let mut clock = SealClock::new(Now { mono: at(1_000), wall: UnixNanos(50) });
        assert_eq!((clock.at(at(1_000)), clock.at(at(1_007))), (50, 57));
        clock.catch_up(at(1_007), 56);
        assert_eq!(clock.at(at(1_007)), 57);
        clock.catch_up(at(1_007), 100);
        assert_eq!(clock.at(at(1_008)), 101);
        for wall in [i64::MIN, -1, (1 << 62) + 1, i64::MAX] {
            let clock = SealClock::new(Now { mono: at(7), wall: UnixNanos(wall) });
            assert_eq!(clock.at(at(9)), 2, "a wall clock that shows {wall}");
        }
    }
}
