//! Reducers over the seeds of a run: ranks, intervals and shares, none of which hides a failure.
//!
//! A value that was never reached counts as larger than any other (it is *censored*), and is never
//! dropped: where nine of ten seeds converge, the median is a number and the 95th percentile is
//! not. Everything here is plain arithmetic in a fixed order, so that one binary prints the same
//! digits on every machine.

mod mean;

use serde::Serialize;

pub use self::mean::{Mean, Means};

/// The 97.5 % point of the standard normal distribution.
const Z_95: f64 = 1.959_963_984_540_054;

/// Which place a percentile takes among `n` sorted values, counted from 1: `ceil(percent * n)`.
///
/// At least 1, so that the 0th percentile is the smallest value. Zero only when `n` is.
pub fn rank(n: usize, percent: u32) -> usize {
    (n * percent as usize).div_ceil(100).clamp(1.min(n), n)
}

/// Values of one figure over seeds, in the order of the seeds.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// The values that were reached, in rising order.
    reached: Vec<f64>,
    censored: usize,
    sum: f64,
}

/// An interval of numbers; an end that is `None` lies beyond everything that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval(pub Option<f64>, pub Option<f64>);

/// A figure over seeds, as it stands in the aggregates of `summaries/1`.
///
/// A percentile is `None` when its rank falls on a censored value, the mean when any value is
/// censored, and the interval when there are fewer than six values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Spread {
    pub median: Option<f64>,
    pub p5: Option<f64>,
    pub p95: Option<f64>,
    pub p99: Option<f64>,
    pub mean: Option<f64>,
    /// Where the median of all possible seeds lies, with a confidence of at least 95 %.
    pub ci95: Option<Interval>,
    pub n: usize,
    pub censored: usize,
}

/// How many of a number of seeds did something.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Share {
    /// Those that did.
    #[serde(rename = "true")]
    pub held: usize,
    /// All that were asked.
    pub n: usize,
    /// Where the share of all possible seeds lies, with a confidence of 95 %.
    pub wilson: Option<Interval>,
}

impl Sample {
    /// Takes values in the order of the seeds; `None` is one that was never reached.
    ///
    /// # Panics
    /// On NaN, which no figure of ours may be.
    pub fn new(values: impl IntoIterator<Item = Option<f64>>) -> Self {
        let mut sample = Self::default();
        for value in values {
            match value {
                Some(value) => {
                    assert!(!value.is_nan(), "a figure is never NaN");
                    sample.sum += value;
                    sample.reached.push(value);
                }
                None => sample.censored += 1,
            }
        }
        sample.reached.sort_by(f64::total_cmp);
        sample
    }

    /// How many values there are, censored ones included.
    pub fn len(&self) -> usize {
        self.reached.len() + self.censored
    }

    /// Whether there are no values at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value at a percentile's rank, `None` when that one is censored.
    pub fn percentile(&self, percent: u32) -> Option<f64> {
        self.at_rank(rank(self.len(), percent))
    }

    /// The value with half of the others on each side.
    pub fn median(&self) -> Option<f64> {
        self.percentile(50)
    }

    /// The mean, summed in the order of the seeds; `None` when any value is censored.
    pub fn mean(&self) -> Option<f64> {
        (self.censored == 0 && !self.is_empty()).then(|| self.sum / self.len() as f64)
    }

    /// The narrowest symmetric pair of ranks around the median that holds it with 95 % or more.
    ///
    /// `None` below six values: not even the smallest and the largest are that sure.
    pub fn median_interval(&self) -> Option<Interval> {
        let low = median_interval_rank(self.len())?;
        Some(Interval(self.at_rank(low), self.at_rank(self.len() + 1 - low)))
    }

    /// All figures at once.
    pub fn spread(&self) -> Spread {
        Spread {
            median: self.median(),
            p5: self.percentile(5),
            p95: self.percentile(95),
            p99: self.percentile(99),
            mean: self.mean(),
            ci95: self.median_interval(),
            n: self.len(),
            censored: self.censored,
        }
    }

    fn at_rank(&self, rank: usize) -> Option<f64> {
        self.reached.get(rank.checked_sub(1)?).copied()
    }
}

impl Share {
    /// Counts what held.
    pub fn new(held: impl IntoIterator<Item = bool>) -> Self {
        let (mut count, mut n) = (0, 0);
        for held in held {
            n += 1;
            count += usize::from(held);
        }
        Self { held: count, n, wilson: wilson(count, n) }
    }

    /// Whether the share is at least `wanted` (0 to 1), with the rank rule: `ceil(wanted * n)`.
    pub fn reaches(self, wanted: f64) -> bool {
        // 0.07 * 100 is a little over 7: without the slack that would ask for 8.
        let needed = (wanted * self.n as f64 - 1e-9).ceil();
        self.held as f64 >= needed
    }
}

/// The 95 % interval of a share after Wilson (1927); `None` without trials.
///
/// Unlike the usual plus-or-minus it stays inside 0 to 1, and 20 of 20 isn't taken for certainty.
pub fn wilson(held: usize, n: usize) -> Option<Interval> {
    if n == 0 {
        return None;
    }
    assert!(held <= n, "no more can hold than were asked");
    let (count, share) = (n as f64, held as f64 / n as f64);
    let z2 = Z_95 * Z_95;
    let centre = share + z2 / (2.0 * count);
    let half = Z_95 * (share * (1.0 - share) / count + z2 / (4.0 * count * count)).sqrt();
    let scale = 1.0 + z2 / count;
    let low = if held == 0 { 0.0 } else { (centre - half) / scale };
    let high = if held == n { 1.0 } else { (centre + half) / scale };
    Some(Interval(Some(low), Some(high)))
}

/// How likely pairs part at least as unevenly as these by chance alone: the two-sided sign test.
///
/// Pairs that are equal say nothing and are not counted. Without any the answer is 1.
pub fn sign_test(fewer: usize, more: usize) -> f64 {
    let weights = coin_weights(fewer + more);
    let tail: f64 = weights[..=fewer.min(more)].iter().sum();
    (2.0 * tail / weights.iter().sum::<f64>()).min(1.0)
}

/// The largest rank that has the median below it in at most 2.5 % of samples of `n`.
///
/// The number of values below the median is a fair coin's heads in `n` throws. The weights are
/// relative to the largest, so that they neither overflow nor vanish where it matters.
fn median_interval_rank(n: usize) -> Option<usize> {
    let weights = coin_weights(n);
    let tail = 0.025 * weights.iter().sum::<f64>();
    let mut below = 0.0;
    let ranks = weights.iter().take_while(|&&weight| {
        below += weight;
        below <= tail
    });
    Some(ranks.count()).filter(|&rank| rank > 0)
}

/// How likely 0, 1, .. `n` heads in `n` throws are, relative to the likeliest number.
fn coin_weights(n: usize) -> Vec<f64> {
    let middle = n / 2;
    let mut weights = vec![1.0; n + 1];
    for heads in (0..middle).rev() {
        weights[heads] = weights[heads + 1] * (heads + 1) as f64 / (n - heads) as f64;
    }
    for heads in middle + 1..=n {
        weights[heads] = weights[heads - 1] * (n - heads + 1) as f64 / heads as f64;
    }
    weights
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample(values: &[f64]) -> Sample {
        Sample::new(values.iter().copied().map(Some))
    }

    /// The least value such that at least `percent` of all are not above it, by trying each.
    fn naive_percentile(values: &[Option<f64>], percent: u32) -> Option<f64> {
        let as_infinite = |value: &Option<f64>| value.unwrap_or(f64::INFINITY);
        let all: Vec<f64> = values.iter().map(as_infinite).collect();
        let reaches = |limit: f64| {
            let not_above = all.iter().filter(|&&value| value <= limit).count();
            not_above * 100 >= percent as usize * all.len()
        };
        let fitting = all.iter().copied().filter(|&value| reaches(value));
        fitting.min_by(f64::total_cmp).filter(|value| value.is_finite())
    }

    /// The chance of at most `most` heads in `n` throws, by Pascal's triangle in whole numbers.
    fn naive_coin(n: usize, most: usize) -> f64 {
        let mut row = vec![1_u128];
        for _ in 0..n {
            let inner = row.windows(2).map(|pair| pair[0] + pair[1]);
            row = std::iter::once(1).chain(inner).chain([1]).collect();
        }
        row[..=most].iter().sum::<u128>() as f64 / 2_f64.powi(n as i32)
    }

    #[test]
    fn the_rank_is_rounded_up_and_never_below_one() {
        assert_eq!(rank(50, 99), 50);
        assert_eq!(rank(100, 99), 99);
        assert_eq!(rank(101, 99), 100);
        assert_eq!(rank(3, 50), 2);
        assert_eq!(rank(3, 0), 1);
        assert_eq!(rank(0, 50), 0);
    }

    #[test]
    fn a_censored_value_is_larger_than_every_other() {
        let sample = Sample::new([Some(3.0), None, Some(1.0), Some(2.0)]);
        assert_eq!(sample.median(), Some(2.0));
        assert_eq!(sample.percentile(75), Some(3.0));
        assert_eq!(sample.percentile(95), None);
        assert_eq!(sample.mean(), None);
        assert_eq!((sample.len(), sample.spread().censored), (4, 1));
    }

    #[test]
    fn an_empty_sample_has_no_figures() {
        let spread = Sample::new([]).spread();
        assert_eq!((spread.median, spread.mean, spread.ci95, spread.n), (None, None, None, 0));
    }

    #[test]
    fn the_mean_is_a_fold_in_the_order_of_the_seeds() {
        let values = [0.1, 1e16, -1e16, 0.3];
        let folded = ((0.1 + 1e16) - 1e16 + 0.3) / 4.0;
        assert_eq!(sample(&values).mean(), Some(folded));
    }

    #[test]
    fn the_ranks_of_the_median_interval_are_the_published_ones() {
        // The two-sided 95 % points of the sign test, as in the usual tables.
        let published = [(5, None), (6, Some(1)), (9, Some(2)), (10, Some(2)), (20, Some(6))];
        for (n, rank) in published.into_iter().chain([(30, Some(10)), (100, Some(40))]) {
            assert_eq!(median_interval_rank(n), rank, "{n} values");
        }
    }

    #[test]
    fn the_sign_test_is_a_fair_coins() {
        for (a, b) in [(0, 6), (1, 9), (3, 4), (5, 5), (0, 0), (17, 40)] {
            let expected = (2.0 * naive_coin(a + b, a)).min(1.0);
            assert!((sign_test(a, b) - expected).abs() < 1e-12, "{a} and {b}");
            assert_eq!(sign_test(a, b), sign_test(b, a));
        }
        assert_eq!(sign_test(0, 0), 1.0);
        assert!(sign_test(0, 5) > 0.05 && sign_test(0, 6) < 0.05);
    }

    #[test]
    fn the_median_interval_of_thousands_of_seeds_does_not_underflow() {
        let rank = median_interval_rank(100_000).unwrap() as f64;
        let by_normal_law = 50_000.0 - Z_95 * 100_000_f64.sqrt() / 2.0;
        assert!((rank - by_normal_law).abs() < 2.0, "{rank} against {by_normal_law}");
    }

    #[test]
    fn an_interval_that_reaches_into_the_censored_values_is_open_above() {
        let values = (0..10).map(|i| (i < 6).then_some(f64::from(i)));
        assert_eq!(Sample::new(values).median_interval(), Some(Interval(Some(1.0), None)));
    }

    #[test]
    fn shares_have_the_intervals_that_newcombe_published() {
        // Newcombe 1998, table I, method 3.
        let published = [
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ];
        for (held, n, low, high) in published {
            let Some(Interval(Some(got_low), Some(got_high))) = wilson(held, n) else {
                panic!("a share of {n} has an interval");
            };
            assert!((got_low - low).abs() < 5e-5, "{held}/{n}: {got_low}");
            assert!((got_high - high).abs() < 5e-5, "{held}/{n}: {got_high}");
        }
        assert_eq!(wilson(0, 0), None);
        assert_eq!(wilson(20, 20).unwrap().1, Some(1.0));
    }

    #[test]
    fn a_wanted_share_is_rounded_up_to_whole_seeds() {
        let held = |count: usize, n: usize| Share::new((0..n).map(|i| i < count));
        assert!(held(95, 100).reaches(0.95));
        assert!(!held(94, 100).reaches(0.95));
        assert!(held(7, 100).reaches(0.07));
        assert!(held(10, 10).reaches(1.0) && !held(9, 10).reaches(0.95));
        assert!(held(0, 10).reaches(0.0));
    }

    proptest! {
        #[test]
        fn percentiles_agree_with_the_definition(
            values in prop::collection::vec(prop::option::weighted(0.9, -50_i32..50), 1..60),
            percent in 1_u32..=100,
        ) {
            let values: Vec<Option<f64>> =
                values.into_iter().map(|value| value.map(f64::from)).collect();
            let sample = Sample::new(values.iter().copied());
            prop_assert_eq!(sample.percentile(percent), naive_percentile(&values, percent));
        }

        #[test]
        fn the_median_interval_is_the_narrowest_that_is_sure_enough(n in 1_usize..100) {
            let low = median_interval_rank(n).unwrap_or(0);
            if low > 0 {
                prop_assert!(naive_coin(n, low - 1) <= 0.025);
            }
            prop_assert!(naive_coin(n, low) > 0.025);
        }

        #[test]
        fn a_share_lies_inside_its_interval(held in 0_usize..200, more in 0_usize..200) {
            prop_assume!(held + more > 0);
            let Some(Interval(Some(low), Some(high))) = wilson(held, held + more) else {
                panic!("a share has an interval");
            };
            let share = held as f64 / (held + more) as f64;
            prop_assert!(0.0 <= low && low <= share && share <= high && high <= 1.0);
        }
    }
}
