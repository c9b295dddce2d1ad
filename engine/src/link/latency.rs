//! Laws of delay as tables of whole nanoseconds, so that every machine draws the same delays.
//!
//! The tables are made once, when a scenario is loaded. Nothing here uses the logarithm of the
//! standard library, whose last bits differ between processors.

use std::sync::Arc;
use std::time::Duration;

use super::Latency;
use crate::time::nanos;

/// Quantiles in the table of a [`Latency::Table`].
const QUANTILES: usize = 4096;

/// The standard normal quantile at 99 %.
const Z99: f64 = 2.326_347_874_040_841;

impl Latency {
    /// A lognormal delay, given by its median and its 99th percentile, at least `min`.
    ///
    /// The table holds the quantiles at (i + 1/2) / 4096, so its longest delay is that of about
    /// one packet in 8,000. `None` when the median is zero or not below `p99`.
    pub fn lognormal(median: Duration, p99: Duration, min: Duration) -> Option<Self> {
        if median.is_zero() || median >= p99 {
            return None;
        }
        let (median, p99, min) = (nanos(median), nanos(p99), nanos(min));
        let mu = libm::log(median as f64);
        let sigma = (libm::log(p99 as f64) - mu) / Z99;
        let quantile = |index: usize| {
            let share = (index as f64 + 0.5) / QUANTILES as f64;
            let delay = libm::exp(mu + sigma * normal_quantile(share));
            (libm::round(delay) as u64).max(min)
        };
        Some(Self::Table((0..QUANTILES).map(quantile).collect::<Arc<[u64]>>()))
    }
}

/// The value below which a standard normal variable stays with probability `share`, by bisection
/// of the complementary error function: slow, plain, and exact to the last bits.
fn normal_quantile(share: f64) -> f64 {
    let (mut low, mut high) = (-8.0_f64, 8.0_f64);
    for _ in 0..64 {
        let middle = f64::midpoint(low, high);
        let below = 0.5 * libm::erfc(-middle / std::f64::consts::SQRT_2);
        if below < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(median: u64, p99: u64, min: u64) -> Arc<[u64]> {
        let millis = Duration::from_millis;
        let latency = Latency::lognormal(millis(median), millis(p99), millis(min));
        let Some(Latency::Table(table)) = latency else { panic!("no table") };
        table
    }

    #[test]
    fn the_normal_quantiles_are_those_of_the_books() {
        for (share, z) in [(0.5, 0.0), (0.975, 1.959_964), (0.99, Z99), (0.0001, -3.719_016)] {
            let found = normal_quantile(share);
            assert!((found - z).abs() < 1e-6, "{share}: {found}, not {z}");
        }
    }

    #[test]
    fn a_lognormal_table_has_its_median_and_its_p99_where_asked() {
        let table = table(5, 60, 0);
        assert_eq!(table.len(), QUANTILES);
        assert!(table.is_sorted());
        let close = |got: u64, want: u64| got.abs_diff(want) < want / 200;
        assert!(close(table[2048], 5_000_000), "{}", table[2048]);
        let p99 = table[QUANTILES * 99 / 100];
        assert!(close(p99, 60_000_000), "{p99}");
    }

    #[test]
    fn nothing_is_faster_than_the_minimum() {
        assert_eq!(table(5, 60, 3)[0], 3_000_000);
    }

    #[test]
    fn a_median_of_zero_or_above_the_p99_is_no_law() {
        let millis = Duration::from_millis;
        assert_eq!(Latency::lognormal(millis(0), millis(5), millis(0)), None);
        assert_eq!(Latency::lognormal(millis(5), millis(5), millis(0)), None);
        assert_eq!(Latency::lognormal(millis(6), millis(5), millis(0)), None);
    }

    #[test]
    fn the_table_never_changes() {
        let table = table(5, 60, 1);
        let sum: u64 = table.iter().sum();
        assert_eq!((table[1000], table[4095], sum), GOLDEN);
    }

    const GOLDEN: (u64, u64, u64) = (2_385_889, 251_587_914, 36_287_245_209);
}
