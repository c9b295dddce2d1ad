//! How coverage of rumors grows with time, in the forms that pictures need.

use std::collections::BTreeMap;

use crate::report::human;
use crate::results::summary::{RumorFigures, RunResult, Summary};
use crate::stats::Sample;

/// Percentages at which a curve is kept when many are laid over each other: 1 % to 100 %.
pub const LEVELS: std::ops::RangeInclusive<u32> = 1..=100;

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

/// Kinds of rumors that come after what services say, and in this order.
const LATER_KINDS: [&str; 4] = ["removal", "leave", "restart", "join"];

/// The places of the rumors that matter most, so many of them at most, in order of their start:
/// what a service says first, who came and went after that; of a kind the earliest.
pub fn that_matter(rumors: &[RumorFigures], most: usize) -> Vec<usize> {
    let weight = |place: &usize| {
        let kind = rumors[*place].kind.as_str();
        LATER_KINDS.iter().position(|later| *later == kind).map_or(0, |place| place + 1)
    };
    let mut places: Vec<usize> = (0..rumors.len()).collect();
    places.sort_by_key(weight);
    places.truncate(most);
    places.sort_unstable();
    places
}

/// The curves of all rumors of a run, in order of their start.
pub fn of_run(run: &RunResult) -> Vec<Curve> {
    of_summary(&run.summary)
}

/// The same, while the summary still has them.
pub fn of_summary(summary: &Summary) -> Vec<Curve> {
    summary.rumors.iter().map(curve).collect()
}

/// For each kind of rumor, how its median rumor spread.
pub fn median_levels(curves: &[Curve]) -> BTreeMap<String, Levels> {
    let mut kinds: BTreeMap<String, Vec<&Curve>> = BTreeMap::new();
    for curve in curves {
        kinds.entry(curve.kind.clone()).or_default().push(curve);
    }
    kinds.into_iter().map(|(kind, curves)| (kind, levels(&curves))).collect()
}

/// When the median of these rumors reached each level.
pub fn levels(curves: &[&Curve]) -> Levels {
    let at = |percent| Sample::new(curves.iter().map(|curve| curve.reached(percent))).median();
    LEVELS.map(at).collect()
}

fn curve(rumor: &RumorFigures) -> Curve {
    let at = human::moment(rumor.start_ms);
    Curve {
        id: rumor.id.clone(),
        kind: rumor.kind.clone(),
        title: format!("{}, node {} at {at}", rumor.id, rumor.node),
        steps: rumor.curve.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::fixture;

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
    fn the_rumors_that_matter_are_kept_where_there_is_no_room_for_all() {
        let mut rumors = fixture::partition(50, 9, 1).summary.rumors;
        // As in a run that begins with many joins: what is published comes last.
        rumors.sort_by_key(|rumor| rumor.kind != "join");
        let published = rumors.iter().filter(|rumor| rumor.kind == "metadata").count();
        let kept = that_matter(&rumors, published + 1);
        let joins = kept.iter().filter(|&&place| rumors[place].kind == "join").count();
        assert_eq!((kept.len(), joins), (published + 1, 1));
        assert!(kept.is_sorted());
        assert_eq!(that_matter(&rumors, 100), (0..9).collect::<Vec<_>>());
    }

    #[test]
    fn a_level_that_was_never_reached_has_no_time() {
        let mut run = fixture::partition(50, 1, 1);
        run.summary.rumors[0].curve.truncate(20);
        let curves = of_run(&run);
        assert!(curves[0].reached(40).is_some());
        assert_eq!(curves[0].reached(41), None);
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
