//! How coverage of a rumor grows with time, from the rows of first receipts.
//!
//! The figures of a rumor are not computed here (the observers do that); these curves are for
//! pictures, and take their height from the figures so that both tell the same.

use std::collections::BTreeMap;

use crate::report::summary::{RumorFigures, RumorRow, RunResult};
use crate::stats::Sample;

/// Percentages at which a curve is kept when many are laid over each other: 1 % to 100 %.
pub const LEVELS: std::ops::RangeInclusive<u32> = 1..=100;

/// The most steps that one drawn curve has; a picture has no room for more.
const STEPS_MAX: usize = 256;

/// The coverage of one rumor.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The rumor.
    pub id: String,
    /// What it is about: `metadata`, `join`, ...
    pub kind: String,
    /// One line for a legend.
    pub title: String,
    /// `(milliseconds since the rumor's start, share from then on)`, both rising.
    pub steps: Vec<(f64, f64)>,
}

/// For each of [`LEVELS`], when the median rumor of a kind reached it, in milliseconds.
pub type Levels = Vec<Option<f64>>;

impl Curve {
    /// When the coverage reached a percentage of the nodes, if it did.
    pub fn reached(&self, percent: u32) -> Option<f64> {
        // Shares are quotients of whole numbers: a hair of slack makes 3/100 reach 3 %.
        let wanted = f64::from(percent) / 100.0 - 1e-9;
        self.steps.iter().find(|&&(_, share)| share >= wanted).map(|&(at, _)| at)
    }
}

/// The curves of all rumors of a run, in order of their start.
pub fn of_run(run: &RunResult) -> Vec<Curve> {
    let mut receipts: BTreeMap<&str, Vec<&RumorRow>> = BTreeMap::new();
    for row in &run.rumor_rows {
        receipts.entry(&row.rumor).or_default().push(row);
    }
    let truncated = (run.rumor_rows_left_out > 0).then(|| run.rumor_rows.last()).flatten();
    let complete = |id: &str| truncated.is_none_or(|row| row.rumor != id);
    let curve = |rumor: &RumorFigures| match receipts.get(rumor.id.as_str()) {
        Some(rows) if complete(&rumor.id) => from_rows(rumor, rows),
        _ => from_figures(rumor),
    };
    run.summary.rumors.iter().map(curve).collect()
}

/// For each kind of rumor, how its median rumor spread.
pub fn median_levels(curves: &[Curve]) -> BTreeMap<String, Levels> {
    let mut kinds: BTreeMap<String, Vec<&Curve>> = BTreeMap::new();
    for curve in curves {
        kinds.entry(curve.kind.clone()).or_default().push(curve);
    }
    let levels = |curves: Vec<&Curve>| {
        let at = |percent| Sample::new(curves.iter().map(|curve| curve.reached(percent))).median();
        LEVELS.map(at).collect()
    };
    kinds.into_iter().map(|(kind, curves)| (kind, levels(curves))).collect()
}

/// Every receipt a step, the last of which stands at the coverage that the figures state.
fn from_rows(rumor: &RumorFigures, rows: &[&RumorRow]) -> Curve {
    let mut times: Vec<f64> = rows.iter().map(|row| row.first_ms - rumor.start_ms).collect();
    times.sort_by(f64::total_cmp);
    let each = rumor.coverage / times.len() as f64;
    let step = |place: usize| (times[place].max(0.0), each * (place + 1) as f64);
    let stride = times.len().div_ceil(STEPS_MAX);
    let last = times.len() - 1;
    let mut steps: Vec<(f64, f64)> = (0..last).step_by(stride).map(step).collect();
    steps.push(step(last));
    curve(rumor, steps)
}

/// A rough curve where the rows are incomplete: the four percentiles that the figures hold.
fn from_figures(rumor: &RumorFigures) -> Curve {
    let known = [(rumor.t50_ms, 0.5), (rumor.t90_ms, 0.9), (rumor.t99_ms, 0.99)];
    let known = known.into_iter().chain([(rumor.t100_ms, 1.0)]);
    let steps = known.filter_map(|(at, share)| at.map(|at| (at, share))).collect();
    curve(rumor, steps)
}

fn curve(rumor: &RumorFigures, steps: Vec<(f64, f64)>) -> Curve {
    let at = crate::report::human::moment(rumor.start_ms);
    Curve {
        id: rumor.id.clone(),
        kind: rumor.kind.clone(),
        title: format!("{}, node {} at {at}", rumor.id, rumor.node),
        steps,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::fixture;

    #[test]
    fn a_curve_agrees_with_the_percentiles_of_its_rumor() {
        let run = fixture::partition(50, 3, 1);
        for (curve, rumor) in of_run(&run).iter().zip(&run.summary.rumors) {
            for (percent, ms) in [(50, rumor.t50_ms), (90, rumor.t90_ms), (100, rumor.t100_ms)] {
                let got = curve.reached(percent).unwrap();
                assert!((got - ms.unwrap()).abs() < 1e-6, "{} at {percent} %", curve.id);
            }
        }
    }

    #[test]
    fn a_curve_ends_at_the_coverage_of_the_figures() {
        let mut run = fixture::partition(50, 1, 1);
        run.rumor_rows.truncate(20);
        run.summary.rumors[0].coverage = 0.4;
        let curves = of_run(&run);
        assert!((curves[0].steps.last().unwrap().1 - 0.4).abs() < 1e-9);
        assert_eq!(curves[0].reached(41), None);
    }

    #[test]
    fn a_large_cluster_makes_no_more_steps_than_a_picture_shows() {
        let curves = of_run(&fixture::partition(5_000, 1, 1));
        assert!(curves[0].steps.len() <= STEPS_MAX + 1);
        assert_eq!(curves[0].steps.last().map(|&(_, share)| share), Some(1.0));
    }

    #[test]
    fn a_rumor_whose_rows_were_left_out_is_drawn_from_its_percentiles() {
        let mut run = fixture::partition(50, 2, 1);
        run.rumor_rows.truncate(70);
        run.rumor_rows_left_out = 30;
        let curves = of_run(&run);
        assert_eq!(curves[0].steps.len(), 50);
        assert_eq!(curves[1].steps.len(), 4);
    }

    #[test]
    fn the_median_rumor_of_a_kind_is_taken_level_by_level() {
        let curves = of_run(&fixture::partition(50, 7, 1));
        let levels = median_levels(&curves);
        let metadata: Vec<&Curve> = curves.iter().filter(|c| c.kind == "metadata").collect();
        let naive = Sample::new(metadata.iter().map(|curve| curve.reached(80))).median();
        assert_eq!(levels["metadata"][79], naive);
        assert_eq!(levels.keys().collect::<Vec<_>>(), ["join", "metadata"]);
    }
}
