//! Axes: where a value stands in a picture, and which ticks help to read it.

use crate::report::human;

/// How values are spread along an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scale {
    /// Evenly.
    Linear,
    /// A decade takes the same room everywhere; what is below the floor stands at the floor.
    Log { floor: f64 },
    /// As [`Scale::Log`] of the value plus one, so that zero has a place of its own.
    LogFromZero,
}

/// A value so many times the median squeezes the others on an even axis.
const OUTLIER_RATIO: f64 = 5.0;

/// One axis, in its own coordinates.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PlotAxis {
    pub(super) title: String,
    pub(super) scale: Scale,
    /// The ends, as places.
    pub(super) from: f64,
    pub(super) to: f64,
    /// Places and their labels.
    pub(super) ticks: Vec<(f64, String)>,
}

impl Scale {
    /// Where a value stands.
    pub(super) fn place(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log { floor } => value.max(floor).log10(),
            Self::LogFromZero => (value + 1.0).log10(),
        }
    }
}

impl PlotAxis {
    /// An axis of shares, from nothing to all.
    pub(super) fn share(title: &str) -> Self {
        let ticks = (0..=5).map(|fifth| f64::from(fifth) / 5.0);
        let ticks = ticks.map(|share| (share, format!("{:.0} %", share * 100.0))).collect();
        // A little room above, so that a line at 100 % isn't mistaken for the frame.
        let (title, scale) = (title.to_owned(), Scale::Linear);
        Self { title, scale, from: 0.0, to: 1.03, ticks }
    }

    /// An axis from zero to a largest value, with round ticks.
    pub(super) fn linear(title: &str, largest: f64) -> Self {
        let step = round_step(largest.max(1e-3));
        let ticks = (0..).map(|tick| f64::from(tick) * step);
        let ticks =
            ticks.take_while(|&tick| tick <= largest * 1.000_001).map(|tick| tick.min(largest));
        Self {
            title: title.to_owned(),
            scale: Scale::Linear,
            from: 0.0,
            to: largest.max(1e-3),
            ticks: ticks.map(|tick| (tick, human::three_digits(tick))).collect(),
        }
    }

    /// An axis by decades, from a floor above zero to a largest value.
    pub(super) fn log(title: &str, floor: f64, largest: f64) -> Self {
        let scale = Scale::Log { floor };
        let ticks = decades(floor, largest);
        Self {
            title: format!("{title}, log scale"),
            scale,
            from: scale.place(floor),
            to: scale.place(largest.max(floor * 2.0)),
            ticks: ticks.map(|tick| (scale.place(tick), human::three_digits(tick))).collect(),
        }
    }

    /// An axis by decades with more ticks than those, where it has few of them.
    pub(super) fn log_fine(title: &str, low: f64, high: f64) -> Self {
        let mut axis = Self::log(title, low, high);
        let ticks = (-6..=15).flat_map(|decade| [1.0, 2.0, 5.0].map(|n| n * 10_f64.powi(decade)));
        let ticks = ticks.filter(|tick| (low..=high).contains(tick));
        axis.ticks =
            ticks.map(|tick| (axis.scale.place(tick), human::three_digits(tick))).collect();
        axis
    }

    /// An axis for these values, all of them of one kind: from zero, or by decades where a few
    /// that are far out would squeeze the rest together.
    pub(super) fn unsqueezed(title: &str, values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (Some(&low), Some(&high)) = (values.first(), values.last()) else {
            return Self::linear(title, 1.0);
        };
        match low > 0.0 && high > OUTLIER_RATIO * values[values.len() / 2] {
            true => Self::log_fine(title, low * 0.8, high * 1.25),
            false => Self::linear(title, high * 1.12),
        }
    }

    /// An axis of counts by decades that begins at zero.
    pub(super) fn log_from_zero(title: &str, largest: f64) -> Self {
        let scale = Scale::LogFromZero;
        // Where a decade is low, the label of 1 would touch that of 0.
        let first = if largest > 3e5 { 10.0 } else { 1.0 };
        let ticks = std::iter::once(0.0).chain(decades(first, largest));
        Self {
            title: format!("{title}, log scale"),
            scale,
            // A little below zero, so that a line at zero isn't mistaken for the frame.
            from: -0.04 * scale.place(largest),
            to: scale.place(largest) * 1.05,
            ticks: ticks.map(|tick| (scale.place(tick), human::three_digits(tick))).collect(),
        }
    }
}

/// Powers of ten between two values.
fn decades(from: f64, to: f64) -> impl Iterator<Item = f64> {
    let all = (-6..=15).map(|exponent| 10_f64.powi(exponent));
    all.filter(move |&decade| decade >= from * 0.999_999 && decade <= to * 1.000_001)
}

/// A step of 1, 2 or 5 times a power of ten that makes four to nine ticks.
fn round_step(largest: f64) -> f64 {
    let rough = largest / 9.0;
    let decade = 10_f64.powf(rough.log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|factor| factor * decade);
    steps.into_iter().find(|&step| step >= rough * 0.999_999).unwrap_or(10.0 * decade)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linear_axes_have_round_ticks() {
        for largest in [0.3, 1.0, 7.0, 60.0, 61.0, 599.0, 1_000.0, 86_400.0] {
            let axis = PlotAxis::linear("s", largest);
            assert!((4..=11).contains(&axis.ticks.len()), "{largest}: {:?}", axis.ticks);
            assert!(axis.ticks.iter().all(|&(place, _)| place <= axis.to));
        }
        let labels = PlotAxis::linear("s", 60.0).ticks.into_iter().map(|(_, label)| label);
        assert_eq!(labels.collect::<Vec<_>>(), ["0", "10", "20", "30", "40", "50", "60"]);
    }

    #[test]
    fn log_axes_have_a_tick_at_each_decade() {
        let labels = PlotAxis::log("ms", 1.0, 25_000.0).ticks.into_iter().map(|(_, label)| label);
        assert_eq!(labels.collect::<Vec<_>>(), ["1", "10", "100", "1,000", "10,000"]);
    }

    #[test]
    fn an_axis_goes_by_decades_where_an_outlier_would_squeeze_the_rest() {
        let of = |values: &[f64]| PlotAxis::unsqueezed("ms", values.iter().copied());
        assert_eq!(of(&[10.0, 12.0, 14.0, 20.0]).scale, Scale::Linear);
        assert!(matches!(of(&[10.0, 12.0, 14.0, 400.0]).scale, Scale::Log { .. }));
        assert_eq!(of(&[0.0, 12.0, 14.0, 400.0]).scale, Scale::Linear, "zero has no logarithm");
        assert_eq!(of(&[]).scale, Scale::Linear);
    }

    #[test]
    fn zero_has_a_place_of_its_own_on_an_axis_of_counts() {
        let axis = PlotAxis::log_from_zero("pairs", 120.0);
        assert_eq!(axis.ticks[0], (0.0, "0".to_owned()));
        assert!(axis.from < 0.0 && axis.scale.place(120.0) < axis.to);
        assert_eq!(axis.ticks.len(), 4);
    }
}
