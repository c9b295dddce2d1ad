//! Durations, counted by how long they were.

use std::time::Duration;

use crate::time::nanos;

/// Durations in fixed buckets: enough to see a median and a tail, in little memory and with no
/// clock of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// How many lie in each bucket and in none below; the last are longer than every bound.
    counts: [u64; Self::BOUNDS.len() + 1],
    sum_nanos: u64,
}

impl Histogram {
    /// The longest duration of each bucket, from a tenth of a millisecond to a minute.
    pub const BOUNDS: [Duration; 18] = [
        Duration::from_micros(100),
        Duration::from_micros(250),
        Duration::from_micros(500),
        Duration::from_millis(1),
        Duration::from_micros(2_500),
        Duration::from_millis(5),
        Duration::from_millis(10),
        Duration::from_millis(25),
        Duration::from_millis(50),
        Duration::from_millis(100),
        Duration::from_millis(250),
        Duration::from_millis(500),
        Duration::from_secs(1),
        Duration::from_millis(2_500),
        Duration::from_secs(5),
        Duration::from_secs(10),
        Duration::from_secs(30),
        Duration::from_secs(60),
    ];

    pub(crate) fn observe(&mut self, duration: Duration) {
        let bucket = Self::BOUNDS.partition_point(|&bound| bound < duration);
        self.counts[bucket] += 1;
        self.sum_nanos = self.sum_nanos.saturating_add(nanos(duration));
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// All of them together.
    pub fn sum(&self) -> Duration {
        Duration::from_nanos(self.sum_nanos)
    }

    /// How many lasted at most so long, for each of [`Histogram::BOUNDS`]: each includes those
    /// before it.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        let cumulative = self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        Self::BOUNDS.into_iter().zip(cumulative.collect::<Vec<_>>())
    }
}

/// In seconds; the buckets as Prometheus has them.
#[cfg(feature = "serde")]
impl serde::Serialize for Histogram {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;

        let seconds = |(bound, count): (Duration, u64)| (bound.as_secs_f64(), count);
        let mut form = serializer.serialize_struct("Histogram", 3)?;
        form.serialize_field("count", &self.count())?;
        form.serialize_field("sum", &self.sum().as_secs_f64())?;
        form.serialize_field("buckets", &self.buckets().map(seconds).collect::<Vec<_>>())?;
        form.end()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_duration_of_exactly_a_bound_lies_below_it() {
        let mut histogram = Histogram::default();
        let millisecond = Duration::from_millis(1);
        histogram.observe(millisecond);
        histogram.observe(millisecond + Duration::from_nanos(1));
        let at_most = |bound| histogram.buckets().find(|&(it, _)| it == bound).unwrap().1;
        assert_eq!(at_most(Duration::from_micros(500)), 0);
        assert_eq!(at_most(millisecond), 1);
        assert_eq!(at_most(Duration::from_micros(2_500)), 2);
    }

    #[test]
    fn bounds_rise_and_what_is_longer_than_all_is_counted() {
        assert!(Histogram::BOUNDS.is_sorted_by(|a, b| a < b));
        let mut histogram = Histogram::default();
        histogram.observe(Duration::MAX);
        histogram.observe(Duration::MAX);
        assert_eq!((histogram.count(), histogram.sum()), (2, Duration::from_nanos(u64::MAX)));
        assert!(histogram.buckets().all(|(_, count)| count == 0));
    }

    proptest! {
        #[test]
        fn buckets_count_and_sum_are_those_of_the_durations(
            millis in proptest::collection::vec(0_u64..100_000, 0..50),
        ) {
            let durations: Vec<_> = millis.into_iter().map(Duration::from_millis).collect();
            let mut histogram = Histogram::default();
            durations.iter().for_each(|&duration| histogram.observe(duration));
            for (bound, count) in histogram.buckets() {
                let lasted = durations.iter().filter(|&&it| it <= bound).count();
                prop_assert_eq!(count, lasted as u64);
            }
            prop_assert_eq!(histogram.count(), durations.len() as u64);
            prop_assert_eq!(histogram.sum(), durations.iter().sum::<Duration>());
        }
    }
}
