//! A scenario in virtual time beside the same one on real sockets: every measure of both.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::measures::{self, Unit};
use crate::report::curves::{self, Curve};
use crate::results::summary::{FaultWindow, SeriesRow, Summary};
use crate::stats::Sample;

/// The schema of [`Both`].
pub const SCHEMA: &str = "both/1";

/// The runs of one scenario at one place, in the order of the seeds.
#[derive(Clone, Copy, Debug)]
pub struct BothRuns<'a> {
    /// What they showed.
    pub summaries: &'a [Summary],
    /// The series of the first.
    pub series: &'a [SeriesRow],
}

/// Both, as it stands in `both.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Both {
    /// `both/1`.
    pub schema: &'static str,
    /// The scenario's name.
    pub scenario: String,
    /// By which network the real nodes talked.
    pub net: &'static str,
    /// How many runs there were of each.
    pub seeds: usize,
    /// Of the rumors of each kind, the median one of all seeds.
    pub rumors: Vec<Pair>,
    /// Of every measure, the median over the seeds.
    pub measures: Vec<Pair>,
}

/// One measure at both places; in milliseconds where it is a time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Pair {
    /// The measure.
    pub name: String,
    /// In virtual time.
    #[serde(rename = "virtual")]
    pub of_virtual: Option<f64>,
    /// On real sockets.
    #[serde(rename = "real")]
    pub of_real: Option<f64>,
    /// Real to virtual; null without both, or with nothing to divide by.
    pub ratio: Option<f64>,
}

/// What a picture of both shows.
#[derive(Clone, Debug)]
pub struct View {
    /// The scenario's name.
    pub scenario: String,
    /// Nodes at the start.
    pub nodes: u32,
    /// By which network the real nodes talked.
    pub net: &'static str,
    /// How long each run is, in milliseconds.
    pub end_ms: f64,
    /// The kind of rumor that is drawn, if there is one.
    pub kind: Option<String>,
    /// Its curves and the errors of the lists, in virtual time and on real sockets.
    pub sides: [BothSide; 2],
    /// When faults were at work, in virtual time.
    pub fault_windows: Vec<FaultWindow>,
}

/// One of the two places.
#[derive(Clone, Debug)]
pub struct BothSide {
    /// The curves of all rumors of the kind, of all seeds.
    pub curves: Vec<Curve>,
    /// The series of the first seed.
    pub series: Vec<SeriesRow>,
}

impl Both {
    /// Lays the two beside each other.
    pub fn new(of_virtual: BothRuns<'_>, of_real: BothRuns<'_>) -> Self {
        let sides = [of_virtual, of_real];
        let kinds = sides.map(|side| kinds(side.summaries));
        let both = kinds[0].intersection(&kinds[1]);
        let rumors = both.flat_map(|kind| {
            [("t50", 50), ("t90", 90), ("t99", 99), ("t100", 100)].map(|(name, percent)| {
                let of = |side: BothRuns<'_>| {
                    let curves = curves_of(side.summaries, kind);
                    Sample::new(curves.iter().map(|curve| curve.reached(percent))).median()
                };
                pair(format!("{kind} {name}"), sides.map(of))
            })
        });
        let figures = sides.map(|side| {
            let value = |one| serde_json::to_value(one).expect("figures have string keys");
            side.summaries.iter().map(value).collect::<Vec<Value>>()
        });
        let numbers = measures::all().iter().filter(|measure| measure.unit != Unit::Flag);
        let measures = numbers.map(|measure| {
            let median = |runs: &Vec<Value>| {
                let values = runs.iter().map(|run| measures::value(run, measure).as_f64());
                Sample::new(values).median()
            };
            pair(measure.name.to_string(), figures.each_ref().map(median))
        });
        let first = &of_real.summaries[0];
        Self {
            schema: SCHEMA,
            scenario: first.scenario.clone(),
            net: first.net.unwrap_or("virtual"),
            seeds: of_real.summaries.len(),
            rumors: rumors.collect(),
            measures: measures.filter(Pair::is_measured).collect(),
        }
    }
}

impl View {
    /// What there is to see of the two.
    pub fn new(
        of_virtual: BothRuns<'_>,
        of_real: BothRuns<'_>,
        fault_windows: Vec<FaultWindow>,
    ) -> Self {
        let first = &of_real.summaries[0];
        let all = kinds(of_virtual.summaries);
        let metadata = all.iter().find(|kind| *kind == "metadata");
        let kind = metadata.or_else(|| all.first()).cloned();
        let side = |runs: BothRuns<'_>| {
            let curves = kind.iter().flat_map(|kind| curves_of(runs.summaries, kind));
            BothSide { curves: curves.collect(), series: runs.series.to_vec() }
        };
        Self {
            scenario: first.scenario.clone(),
            nodes: first.nodes.start,
            net: first.net.unwrap_or("virtual"),
            end_ms: first.virtual_ms,
            sides: [of_virtual, of_real].map(side),
            kind,
            fault_windows,
        }
    }
}

impl Pair {
    fn is_measured(&self) -> bool {
        self.of_virtual.is_some() || self.of_real.is_some()
    }
}

fn pair(name: String, [of_virtual, of_real]: [Option<f64>; 2]) -> Pair {
    let ratio = of_virtual.zip(of_real).filter(|(of_virtual, _)| *of_virtual != 0.0);
    Pair { name, of_virtual, of_real, ratio: ratio.map(|(one, other)| other / one) }
}

fn kinds(summaries: &[Summary]) -> BTreeSet<String> {
    let rumors = summaries.iter().flat_map(|summary| &summary.rumors);
    rumors.map(|rumor| rumor.kind.clone()).collect()
}

fn curves_of(summaries: &[Summary], kind: &str) -> Vec<Curve> {
    let curves = summaries.iter().flat_map(curves::of_summary);
    curves.filter(|curve| curve.kind == kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::fixture;

    fn runs(seed: u64) -> (Vec<Summary>, Vec<SeriesRow>) {
        let run = fixture::partition(50, 3, seed);
        (vec![run.summary], run.series)
    }

    #[test]
    fn a_run_beside_itself_has_ratios_of_one_and_no_ratio_of_nothing() {
        let (summaries, series) = runs(1);
        let side = BothRuns { summaries: &summaries, series: &series };
        let both = Both::new(side, side);
        assert!(both.rumors.len() >= 4 && both.measures.len() > 40);
        for pair in both.rumors.iter().chain(&both.measures) {
            let expected = pair.of_virtual.filter(|&value| value != 0.0).map(|_| 1.0);
            assert_eq!(pair.ratio, expected, "{}", pair.name);
        }
    }

    #[test]
    fn a_ratio_is_real_to_virtual_by_the_median_rumor_of_a_kind() {
        let (one, series) = runs(1);
        let mut other = one.clone();
        for rumor in other[0].rumors.iter_mut().filter(|rumor| rumor.kind == "metadata") {
            rumor.curve.iter_mut().for_each(|(at, _)| *at *= 3.0);
        }
        other[0].bytes.with_headers *= 2;
        let side = |summaries| BothRuns { summaries, series: &series };
        let both = Both::new(side(&one), side(&other));
        let ratio = |pairs: &[Pair], name: &str| {
            pairs.iter().find(|pair| pair.name == name).unwrap().ratio.unwrap()
        };
        assert!((ratio(&both.rumors, "metadata t99") - 3.0).abs() < 1e-9);
        assert_eq!(ratio(&both.rumors, "join t99"), 1.0);
        assert_eq!(ratio(&both.measures, "bytes.with_headers"), 2.0);
    }
}
