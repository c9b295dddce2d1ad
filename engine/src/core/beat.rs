//! Beats: six bytes that say "this incarnation was alive so long ago".

use std::time::Duration;

use crate::time::{Instant, nanos};

/// The largest beat counter: far beyond an honest one, for a node that has come half the way
/// begins a new incarnation.
pub(crate) const COUNTER_MAX: u32 = 1 << 31;

/// The short name of a record in a beat: the first 4 bytes of the record's digest.
///
/// Two members may share one (somewhere in 1.2 % of clusters of 10,000); then their beats are
/// ignored and they live by vectors and last calls alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub u32);

/// How long ago an origin raised its counter, in steps of the packet's [`AgeStep`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Age(pub u8);

impl Age {
    /// Older than can be said: never lowers an age and never lists a member.
    pub const TOO_OLD: Self = Self(u8::MAX);
}

/// The unit of the ages in one packet, in microseconds: a 200th of the sender's timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AgeStep(pub u32);

impl AgeStep {
    const STEPS_PER_TIMEOUT: u32 = 200;

    /// The step that goes with a timeout, at least 1 us.
    pub fn of_timeout(timeout: Duration) -> Self {
        let micros = (timeout / Self::STEPS_PER_TIMEOUT).as_micros();
        Self(u32::try_from(micros).unwrap_or(u32::MAX).max(1))
    }

    /// The timeout that goes with a step.
    pub(crate) fn timeout(self) -> Duration {
        Duration::from_micros(u64::from(self.0) * u64::from(Self::STEPS_PER_TIMEOUT))
    }

    /// The age to write for a duration, to the nearest step so that rounding has no drift over
    /// many hops.
    pub fn age(self, elapsed: Duration) -> Age {
        let step = u64::from(self.0) * 1_000;
        let steps = nanos(elapsed).saturating_add(step / 2) / step;
        Age(u8::try_from(steps).unwrap_or(u8::MAX))
    }

    /// The age to write at a time, of a counter raised at another: the same as
    /// [`AgeStep::age`], to the microsecond below, in the numbers a processor divides fastest.
    #[inline]
    pub(crate) fn age_of(self, now: Instant, raised_at: Instant) -> Age {
        let micros = now.as_nanos().saturating_sub(raised_at.as_nanos()) / 1_000;
        let micros = u32::try_from(micros).unwrap_or(u32::MAX);
        Age(u8::try_from(micros.saturating_add(self.0 / 2) / self.0.max(1)).unwrap_or(u8::MAX))
    }

    /// When a counter was raised that is so old now; `None` when it is too old to say.
    #[inline]
    pub(crate) fn raised_at(self, now: Instant, age: Age) -> Option<Instant> {
        let nanos = u64::from(self.0) * u64::from(age.0) * 1_000;
        let at = Instant::from_nanos(now.as_nanos().saturating_sub(nanos));
        (age != Age::TOO_OLD).then_some(at)
    }

    /// The duration that a written age stands for; `None` when it is too old to say.
    pub fn elapsed(self, age: Age) -> Option<Duration> {
        let micros = u64::from(self.0) * u64::from(age.0);
        (age != Age::TOO_OLD).then(|| Duration::from_micros(micros))
    }
}

/// One heartbeat in bulk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Beat {
    /// Whose.
    pub id: RecordId,
    /// The beat counter, modulo 256.
    pub counter: u8,
    /// How long ago it was raised.
    pub age: Age,
}

/// Widens a counter that travelled modulo 256, given the one that is held.
///
/// Right while the true one lies less than 128 beats from the held one, which the limit of 100
/// cycles on the timeout ensures for every member that is still listed.
pub(crate) fn widen(held: u32, short: u8) -> u32 {
    let ahead = short.wrapping_sub(held as u8) as i8;
    held.saturating_add_signed(i32::from(ahead)).min(COUNTER_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STEP: AgeStep = AgeStep(25_000);

    #[test]
    fn an_age_above_the_scale_is_too_old() {
        assert_eq!(AgeStep::of_timeout(Duration::from_secs(5)), STEP);
        assert_eq!(STEP.age(Duration::from_secs(3600)), Age::TOO_OLD);
        assert_eq!(STEP.elapsed(Age::TOO_OLD), None);
    }

    proptest! {
        #[test]
        fn an_age_is_right_to_half_a_step(millis in 0_u64..6_000) {
            let elapsed = Duration::from_millis(millis);
            let read = STEP.elapsed(STEP.age(elapsed)).unwrap();
            prop_assert!(read.abs_diff(elapsed) <= Duration::from_micros(12_500));
        }

        #[test]
        fn ages_of_instants_are_those_of_durations(
            step in 1_u32..50_000,
            micros in 0_u64..1 << 40,
        ) {
            let (step, zero) = (AgeStep(step), Instant::ZERO);
            let now = Instant::from_nanos(micros * 1_000);
            prop_assert_eq!(step.age_of(now, zero), step.age(Duration::from_micros(micros)));
        }

        #[test]
        fn an_age_goes_back_as_far_as_it_stands_for(age in any::<u8>(), seconds in 10_u64..1_000) {
            let now = Instant::ZERO + Duration::from_secs(seconds);
            let back = STEP.elapsed(Age(age)).map(|elapsed| now.saturating_sub(elapsed));
            prop_assert_eq!(STEP.raised_at(now, Age(age)), back);
        }

        #[test]
        fn a_short_counter_widens_to_any_true_one_within_reach(
            held in 128_u32..COUNTER_MAX - 128,
            ahead in -128_i32..128,
        ) {
            let truth = held.saturating_add_signed(ahead);
            prop_assert_eq!(widen(held, truth as u8), truth);
        }
    }
}
