//! Means over runs, with the spread of the runs and how sure the mean is.

use serde::Serialize;

use super::{Interval, Z_95};

/// A mean over runs.
///
/// All are `None` when a run never came to the value; the last two, when there was but one run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Mean {
    /// The mean.
    pub mean: Option<f64>,
    /// The standard deviation of single runs, estimated with `n - 1`.
    pub sd: Option<f64>,
    /// Where the mean of all possible runs lies, with a confidence of 95 %, by Student's law.
    pub ci95: Option<Interval>,
}

/// Values of one figure over runs, added up as they come: it holds no list of them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Means {
    n: u64,
    censored: u64,
    mean: f64,
    /// The sum of squares of distances from the mean.
    squares: f64,
}

impl Means {
    /// Takes the value of the next run; `None` is one that was never reached.
    pub fn add(&mut self, value: Option<f64>) {
        let Some(value) = value else {
            self.censored += 1;
            return;
        };
        self.n += 1;
        // After Welford (1962): no difference of two large sums.
        let distance = value - self.mean;
        self.mean += distance / self.n as f64;
        self.squares += distance * (value - self.mean);
    }

    /// The mean of all values.
    pub fn mean(&self) -> Mean {
        let known = self.censored == 0 && self.n > 0;
        let sd = (known && self.n > 1).then(|| (self.squares / (self.n - 1) as f64).sqrt());
        let ci95 = sd.map(|sd| {
            let half = student_95(self.n - 1) * sd / (self.n as f64).sqrt();
            Interval(Some(self.mean - half), Some(self.mean + half))
        });
        Mean { mean: known.then_some(self.mean), sd, ci95 }
    }
}

/// Degrees of freedom from which a series replaces the search.
const MANY: u64 = 60;

/// The distance from its middle within which 95 % of Student's law with so many degrees of
/// freedom lie.
fn student_95(freedom: u64) -> f64 {
    if freedom >= MANY {
        return student_series(freedom as f64);
    }
    let (mut low, mut high) = (1.0, 20.0);
    // Sixty halvings leave nothing between two neighbouring numbers.
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        let bound = if student_within(middle, freedom) < 0.95 { &mut low } else { &mut high };
        *bound = middle;
    }
    low
}

/// The first terms of the expansion around the normal law (Abramowitz and Stegun, 26.7.5).
fn student_series(freedom: f64) -> f64 {
    let z = Z_95;
    let z2 = z * z;
    let first = z * (z2 + 1.0) / 4.0;
    let second = z * ((5.0 * z2 + 16.0) * z2 + 3.0) / 96.0;
    let third = z * (((3.0 * z2 + 19.0) * z2 + 17.0) * z2 - 15.0) / 384.0;
    z + (first + (second + third / freedom) / freedom) / freedom
}

/// How much of Student's law lies within a distance from its middle, by the finite sums for
/// whole degrees of freedom (Abramowitz and Stegun, 26.7.3 and 26.7.4).
fn student_within(distance: f64, freedom: u64) -> f64 {
    let count = freedom as f64;
    let hypotenuse = (count + distance * distance).sqrt();
    let (sine, cosine) = (distance / hypotenuse, count.sqrt() / hypotenuse);
    let is_odd = freedom % 2 == 1;
    // Powers of the cosine: the even ones or the odd ones, each with its double factorials.
    let (mut term, mut sum) = (if is_odd { cosine } else { 1.0 }, 0.0);
    for power in (freedom % 2..freedom.saturating_sub(1)).step_by(2) {
        sum += term;
        term *= cosine * cosine * (power + 1) as f64 / (power + 2) as f64;
    }
    match is_odd {
        true => (libm::atan2(sine, cosine) + sine * sum) * std::f64::consts::FRAC_2_PI,
        false => sine * sum,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mean(values: &[f64]) -> Mean {
        let mut means = Means::default();
        values.iter().for_each(|&value| means.add(Some(value)));
        means.mean()
    }

    #[test]
    fn the_points_of_students_law_are_the_published_ones() {
        let published = [
            (1, 12.706),
            (2, 4.303),
            (3, 3.182),
            (4, 2.776),
            (5, 2.571),
            (9, 2.262),
            (30, 2.042),
            (59, 2.001),
            (60, 2.000),
            (120, 1.980),
            (1_000_000, 1.960),
        ];
        for (freedom, point) in published {
            let got = student_95(freedom);
            assert!((got - point).abs() < 6e-4, "{freedom}: {got}");
        }
        let (before, after) = (student_within(student_95(MANY), MANY), 0.95);
        assert!((before - after).abs() < 1e-7, "series and sums agree where they meet");
    }

    #[test]
    fn an_interval_lies_around_the_mean_by_hand() {
        // Mean 3, squares 10, sd sqrt(10/4), half 2.776 * sd / sqrt(5).
        let Mean { mean, sd, ci95 } = mean(&[1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!((mean, sd), (Some(3.0), Some(2.5_f64.sqrt())));
        let Some(Interval(Some(low), Some(high))) = ci95 else { panic!("{ci95:?}") };
        assert!((high - 4.963).abs() < 1e-3 && (low - 1.037).abs() < 1e-3, "{ci95:?}");
    }

    #[test]
    fn one_run_has_a_mean_and_no_spread_and_no_run_has_neither() {
        assert_eq!(mean(&[4.0]), Mean { mean: Some(4.0), sd: None, ci95: None });
        assert_eq!(mean(&[]).mean, None);
    }

    #[test]
    fn a_value_that_was_never_reached_leaves_no_mean() {
        let mut means = Means::default();
        [Some(1.0), None, Some(2.0)].into_iter().for_each(|value| means.add(value));
        assert_eq!(means.mean(), Mean { mean: None, sd: None, ci95: None });
    }

    proptest! {
        #[test]
        fn the_mean_as_it_goes_is_that_of_the_whole_list(
            values in prop::collection::vec(-1e3_f64..1e3, 2..50),
        ) {
            let n = values.len() as f64;
            let average = values.iter().sum::<f64>() / n;
            let squares: f64 = values.iter().map(|value| (value - average).powi(2)).sum();
            let got = mean(&values);
            prop_assert!((got.mean.unwrap() - average).abs() < 1e-9);
            prop_assert!((got.sd.unwrap() - (squares / (n - 1.0)).sqrt()).abs() < 1e-9);
        }
    }
}
