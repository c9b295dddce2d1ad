//! Two sides compared, measure by measure, over pairs of runs.
//!
//! Both sides of a pair have the same seed, so that luck which both share cancels. A verdict asks
//! for more than chance: pairs that part one way about as often as the other show nothing. Because
//! many measures are looked at, the bar rises with their number (Holm 1979): of a hundred
//! comparisons of a thing with itself, at most five find anything at all.

use serde::Serialize;
use serde_json::{Value, json};

use crate::measures::{self, Better, Measure};
use crate::results::Figures;
use crate::stats::{Interval, Sample, sign_test};

/// The schema of the document.
const SCHEMA: &str = "compare/1";

/// How likely at most a comparison of a thing with itself finds anything.
pub(crate) const DOUBT: f64 = 0.05;

/// Two sides, compared.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Both sides, as they were named.
    pub names: [String; 2],
    /// How many pairs of runs.
    pub pairs: usize,
    /// Runs that had no partner.
    pub unpaired: usize,
    /// Differences up to this part of A's figure count as none.
    pub tolerance: f64,
    /// Every measure that any run has a figure of.
    pub rows: Vec<ComparisonRow>,
}

/// One measure.
#[derive(Clone, Debug)]
pub struct ComparisonRow {
    /// Which.
    pub measure: &'static Measure,
    /// The figures of A and of B, in the order of the seeds.
    pub sides: [Sample; 2],
    /// B's figure less A's.
    pub difference: Sample,
    /// Pairs in which B has less.
    pub less: usize,
    /// Pairs in which B has more.
    pub more: usize,
    /// How likely pairs part so unevenly by chance.
    pub chance: f64,
    /// What it comes to.
    pub verdict: ComparisonVerdict,
}

/// What a measure comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ComparisonVerdict {
    /// B is worse than A.
    Worse,
    /// B is better than A.
    Better,
    /// B differs, in a measure of which neither direction is progress.
    Differs,
    /// Nothing that could not be chance.
    NoDifferenceShown,
    /// All pairs are equal.
    Same,
}

impl Comparison {
    /// Compares pairs of runs by these measures, or by all without any.
    pub fn new(
        names: [String; 2],
        pairs: &[(Figures, Figures)],
        asked: &[&'static Measure],
        tolerance: f64,
    ) -> Self {
        let every: Vec<&'static Measure> = measures::all().iter().collect();
        let measures = if asked.is_empty() { &every } else { asked };
        let rows = measures.iter().filter_map(|measure| row(measure, pairs, tolerance));
        let mut rows: Vec<ComparisonRow> = rows.collect();
        judge(&mut rows);
        Self { names, pairs: pairs.len(), unpaired: 0, tolerance, rows }
    }

    /// How many pairs it takes to show a measure that parts all of them one way, if there are
    /// fewer; `None` where there are enough.
    pub fn pairs_missing(&self) -> Option<usize> {
        let differing = self.rows.iter().filter(|row| row.less + row.more > 0).count();
        let shows = |pairs: usize| sign_test(0, pairs) * differing.max(1) as f64 <= DOUBT;
        (!shows(self.pairs)).then(|| (1..).find(|&pairs| shows(pairs)).expect("chances shrink"))
    }

    /// The measures of a verdict.
    pub fn of(&self, verdict: ComparisonVerdict) -> Vec<&ComparisonRow> {
        self.rows.iter().filter(|row| row.verdict == verdict).collect()
    }
}

impl ComparisonVerdict {
    /// In words.
    pub fn text(self) -> &'static str {
        match self {
            Self::Worse => "worse",
            Self::Better => "better",
            Self::Differs => "differs",
            Self::NoDifferenceShown => "no difference shown",
            Self::Same => "the same",
        }
    }
}

/// What all pairs show of a measure; nothing when no run has a figure of it.
fn row(
    measure: &'static Measure,
    pairs: &[(Figures, Figures)],
    tolerance: f64,
) -> Option<ComparisonRow> {
    let figures: Vec<(Option<f64>, Option<f64>)> =
        pairs.iter().map(|(a, b)| (a.get(measure), b.get(measure))).collect();
    if figures.iter().all(|(a, b)| a.is_none() && b.is_none()) {
        return None;
    }
    let differences: Vec<f64> = figures.iter().map(|&(a, b)| difference(a, b, tolerance)).collect();
    let less = differences.iter().filter(|&&difference| difference < 0.0).count();
    let more = differences.iter().filter(|&&difference| difference > 0.0).count();
    Some(ComparisonRow {
        measure,
        sides: [
            Sample::new(figures.iter().map(|(a, _)| *a)),
            Sample::new(figures.iter().map(|(_, b)| *b)),
        ],
        difference: Sample::new(differences.into_iter().map(Some)),
        less,
        more,
        chance: sign_test(less, more),
        verdict: ComparisonVerdict::Same,
    })
}

/// B less A, where never is more than everything and within the tolerance is nothing.
pub(crate) fn difference(a: Option<f64>, b: Option<f64>, tolerance: f64) -> f64 {
    match (a, b) {
        (None, None) => 0.0,
        (None, Some(_)) => f64::NEG_INFINITY,
        (Some(_), None) => f64::INFINITY,
        (Some(a), Some(b)) if (b - a).abs() <= tolerance * a.abs() => 0.0,
        (Some(a), Some(b)) => b - a,
    }
}

/// Gives verdicts, the surest difference first, each against what is left of the doubt.
///
/// Measures of which so few pairs differ that they could never show anything take no part
/// (Tarone 1990).
fn judge(rows: &mut [ComparisonRow]) {
    let mut order: Vec<usize> = (0..rows.len())
        .filter(|&place| sign_test(0, rows[place].less + rows[place].more) <= DOUBT)
        .collect();
    order.sort_by(|&a, &b| rows[a].chance.total_cmp(&rows[b].chance));
    let judged = order.len();
    let sure = order
        .iter()
        .enumerate()
        .take_while(|&(number, &place)| rows[place].chance * (judged - number) as f64 <= DOUBT);
    let sure: Vec<usize> = sure.map(|(_, &place)| place).collect();
    for (place, row) in rows.iter_mut().enumerate() {
        row.verdict = match (sure.contains(&place), row.measure.better) {
            (true, Better::Neither) => ComparisonVerdict::Differs,
            (true, Better::Lower) if row.more < row.less => ComparisonVerdict::Better,
            (true, Better::Higher) if row.more > row.less => ComparisonVerdict::Better,
            (true, _) => ComparisonVerdict::Worse,
            (false, _) if row.less + row.more == 0 => ComparisonVerdict::Same,
            (false, _) => ComparisonVerdict::NoDifferenceShown,
        };
    }
}

#[derive(Serialize)]
struct ComparisonDocument<'a> {
    schema: &'static str,
    a: &'a str,
    b: &'a str,
    pairs: usize,
    unpaired: usize,
    tolerance: f64,
    worse: Vec<&'a str>,
    better: Vec<&'a str>,
    measures: Vec<Value>,
}

/// The document `compare/1`. An end of an interval that is null lies beyond everything reached.
pub fn document(comparison: &Comparison) -> impl Serialize + '_ {
    let names =
        |verdict| comparison.of(verdict).into_iter().map(|row| row.measure.name.as_ref()).collect();
    ComparisonDocument {
        schema: SCHEMA,
        a: &comparison.names[0],
        b: &comparison.names[1],
        pairs: comparison.pairs,
        unpaired: comparison.unpaired,
        tolerance: comparison.tolerance,
        worse: names(ComparisonVerdict::Worse),
        better: names(ComparisonVerdict::Better),
        measures: comparison.rows.iter().map(measure).collect(),
    }
}

fn measure(row: &ComparisonRow) -> Value {
    let interval = row.difference.median_interval();
    json!({
        "name": row.measure.name,
        "verdict": row.verdict,
        "a": row.sides[0].spread(),
        "b": row.sides[1].spread(),
        "b_less_a": {
            "median": row.difference.median().filter(|median| median.is_finite()),
            "ci95": interval.map(|Interval(low, high)| {
                [low, high].map(|end| end.filter(|end| end.is_finite()))
            }),
        },
        "pairs_less": row.less,
        "pairs_more": row.more,
        "chance": row.chance,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::measures::find;

    /// Pairs by their figures of t99 (lower is better) and coverage of metadata (higher is).
    pub(crate) fn compared(pairs: &[[Option<f64>; 4]], tolerance: f64) -> Comparison {
        let figures = |t99: Option<f64>, coverage: Option<f64>| {
            Figures::from_each(|measure| match measure.name.as_ref() {
                "metadata.t99" => t99,
                "rumors.metadata.coverage" => coverage,
                "removals.false" => Some(0.0),
                _ => None,
            })
        };
        let pairs: Vec<(Figures, Figures)> =
            pairs.iter().map(|&[a, b, c, d]| (figures(a, c), figures(b, d))).collect();
        Comparison::new(["one".to_owned(), "other".to_owned()], &pairs, &[], tolerance)
    }

    /// Twenty pairs of which B is later by 5 ms and reaches more.
    pub(crate) fn example() -> Comparison {
        let pair = |seed: i32| {
            let ms = 100.0 + f64::from(seed);
            [Some(ms), Some(ms + 5.0), Some(0.9), Some(0.95)]
        };
        compared(&(0..20).map(pair).collect::<Vec<_>>(), 0.0)
    }

    fn verdict(comparison: &Comparison, name: &str) -> ComparisonVerdict {
        comparison.rows.iter().find(|row| row.measure.name == name).unwrap().verdict
    }

    #[test]
    fn the_direction_of_a_measure_decides_what_is_better() {
        let comparison = example();
        assert_eq!(verdict(&comparison, "metadata.t99"), ComparisonVerdict::Worse);
        assert_eq!(verdict(&comparison, "rumors.metadata.coverage"), ComparisonVerdict::Better);
        assert_eq!(verdict(&comparison, "removals.false"), ComparisonVerdict::Same);
        let row = comparison.of(ComparisonVerdict::Worse)[0];
        assert_eq!((row.less, row.more, row.difference.median()), (0, 20, Some(5.0)));
    }

    #[test]
    fn a_difference_that_could_be_chance_is_none() {
        // Twelve of twenty: as likely as not by chance.
        let pair = |seed: i32| {
            let by = if seed < 12 { 5.0 } else { -5.0 };
            [Some(100.0), Some(100.0 + by), None, None]
        };
        let comparison = compared(&(0..20).map(pair).collect::<Vec<_>>(), 0.0);
        assert_eq!(verdict(&comparison, "metadata.t99"), ComparisonVerdict::NoDifferenceShown);
        // Five of five is not enough either: one in sixteen.
        let comparison = compared(&[[Some(1.0), Some(2.0), None, None]; 5], 0.0);
        assert_eq!(verdict(&comparison, "metadata.t99"), ComparisonVerdict::NoDifferenceShown);
    }

    #[test]
    fn never_is_worse_than_any_time() {
        let comparison = compared(&[[Some(9e9), None, None, None]; 8], 0.0);
        assert_eq!(verdict(&comparison, "metadata.t99"), ComparisonVerdict::Worse);
        let document = serde_json::to_value(document(&comparison)).unwrap();
        let row = document["measures"].as_array().unwrap();
        let row = row.iter().find(|row| row["name"] == "metadata.t99").unwrap();
        assert_eq!(row["b_less_a"]["median"], Value::Null);
        assert_eq!(
            (&row["b"]["censored"], &document["worse"][0]),
            (&json!(8), &json!("metadata.t99"))
        );
    }

    #[test]
    fn pairs_are_missing_where_not_even_all_of_them_could_show_a_difference() {
        // The chance that all of n pairs part one way is 2^(1-n): one in 16 of five, in 32 of six.
        let alike = [Some(1.0), Some(1.0), None, None];
        let parted = [Some(1.0), Some(2.0), Some(0.5), Some(0.4)];
        for (pairs, missing) in [(vec![alike; 5], Some(6)), (vec![alike; 6], None)] {
            assert_eq!(compared(&pairs, 0.0).pairs_missing(), missing);
        }
        // Two measures that differ halve the doubt for each.
        for (pairs, missing) in [(vec![parted; 6], Some(7)), (vec![parted; 7], None)] {
            assert_eq!(compared(&pairs, 0.0).pairs_missing(), missing);
        }
    }

    #[test]
    fn differences_within_the_tolerance_count_as_none() {
        let pairs = [[Some(100.0), Some(100.9), None, None]; 20];
        assert_eq!(verdict(&compared(&pairs, 0.01), "metadata.t99"), ComparisonVerdict::Same);
        assert_eq!(verdict(&compared(&pairs, 0.001), "metadata.t99"), ComparisonVerdict::Worse);
    }

    /// A coin that looks like chance and falls the same way each time.
    fn coin(trial: u64, measure: u64, pair: u64) -> bool {
        let mut mixed = trial * 1_000_003 + measure * 10_007 + pair * 101 + 12_345;
        for _ in 0..3 {
            mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        }
        mixed >> 63 == 1
    }

    #[test]
    fn a_thing_compared_with_itself_seldom_shows_anything() {
        let found = (0..300).filter(|&trial| {
            let figures = |side: u64, pair: u64| {
                let mut number = 0;
                Figures::from_each(|_| {
                    number += 1;
                    Some(f64::from(u8::from(coin(trial, number, pair) == (side == 0))))
                })
            };
            let pairs: Vec<(Figures, Figures)> =
                (0..30).map(|pair| (figures(0, pair), figures(1, pair))).collect();
            let names = ["a".to_owned(), "a".to_owned()];
            let comparison = Comparison::new(names, &pairs, &[], 0.0);
            let shown =
                [ComparisonVerdict::Worse, ComparisonVerdict::Better, ComparisonVerdict::Differs];
            shown.into_iter().any(|verdict| !comparison.of(verdict).is_empty())
        });
        // At most 5 % in the long run: 15 of 300, and three deviations of that.
        assert!(found.count() <= 26);
    }

    #[test]
    fn a_measure_that_was_asked_for_alone_has_the_whole_doubt() {
        let t99 = find("metadata.t99").unwrap();
        let figures = |ms: f64| Figures::from_each(|_| Some(ms));
        let pairs: Vec<_> = (0..8).map(|_| (figures(1.0), figures(2.0))).collect();
        let names = || ["a".to_owned(), "b".to_owned()];
        // One in 128 is little among a hundred measures, and enough for one.
        let all = Comparison::new(names(), &pairs, &[], 0.0);
        assert!(all.of(ComparisonVerdict::Worse).is_empty());
        let one = Comparison::new(names(), &pairs, &[t99], 0.0);
        assert_eq!(one.of(ComparisonVerdict::Worse).len(), 1);
    }
}
