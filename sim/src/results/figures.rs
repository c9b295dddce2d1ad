//! All figures of one run side by side, small enough to keep for thousands of runs.

use serde_json::Value;

use super::summary::Summary;
use crate::measures::{Measure, all, as_number, value};

/// What a run was worth in every measure, in the order of the registry; true is 1, false is 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Figures(Vec<Option<f64>>);

impl Figures {
    /// Of a summary in memory.
    pub fn of(summary: &Summary) -> Self {
        let value = serde_json::to_value(summary);
        Self::read(&value.expect("figures have string keys and no failing parts"))
    }

    /// Of a summary as JSON.
    pub fn read(summary: &Value) -> Self {
        Self(all().iter().map(|measure| as_number(&value(summary, measure))).collect())
    }

    /// Of figures that were kept by measure.
    pub fn from_each(figure: impl FnMut(&'static Measure) -> Option<f64>) -> Self {
        Self(all().iter().map(figure).collect())
    }

    /// The figure of a measure: none where it was not reached or there was nothing to measure.
    ///
    /// # Panics
    /// When the measure is not one of the registry's.
    pub fn get(&self, measure: &Measure) -> Option<f64> {
        let place = all().iter().position(|one| one.name == measure.name);
        self.0[place.expect("a measure of the registry")]
    }

    /// Each measure with its figure.
    pub fn iter(&self) -> impl Iterator<Item = (&'static Measure, Option<f64>)> {
        all().iter().zip(self.0.iter().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measures::find;
    use crate::results::fixture;

    #[test]
    fn figures_are_those_of_the_summary() {
        let summary = fixture::partition(50, 3, 2).summary;
        let figures = Figures::of(&summary);
        let of = |name| figures.get(find(name).unwrap());
        assert_eq!(of("bytes.with_headers"), Some(summary.bytes.with_headers as f64));
        assert_eq!(of("metadata.converged"), Some(1.0));
        assert_eq!(of("detection.all"), None);
        assert_eq!(figures.iter().count(), all().len());
    }
}
