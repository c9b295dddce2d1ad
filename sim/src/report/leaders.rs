//! The best cells of a sweep: the best median, and all that chance can't tell apart from it.
//!
//! Every cell met the same seeds, so that cells are compared seed by seed, by the sign test. Many
//! cells are looked at, so that the bar rises with their number (Holm 1979): in at most one sweep
//! of twenty is any cell left out that is as good as the best.

use crate::measures::{Better, Measure};
use crate::report::comparison::{DOUBT, difference};
use crate::report::sweep::Results;
use crate::stats::sign_test;

/// What a sweep shows of the best cells by a measure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leaders {
    /// No cell is better than another, or neither direction is progress.
    Nobody,
    /// No outcome of so few seeds could tell all but one cell apart from it: that takes so many.
    TooFewSeeds(usize),
    /// Which cells, in their order.
    Cells(Vec<usize>),
}

impl Leaders {
    /// Compares all cells of a sweep with the one that has the best median.
    pub fn of(results: &Results, measure: &Measure) -> Self {
        let Some(best) = best(results, measure) else { return Self::Nobody };
        let rivals: Vec<usize> = (0..results.cells.len()).filter(|&cell| cell != best).collect();
        let needed = seeds_needed(rivals.len());
        if results.plan.seeds.n < needed as u64 {
            return Self::TooFewSeeds(needed);
        }
        let mut chances: Vec<(f64, usize)> =
            rivals.iter().map(|&cell| (chance(results, measure, best, cell), cell)).collect();
        chances.sort_by(|a, b| a.0.total_cmp(&b.0));
        let judged = chances.len();
        let worse = chances
            .iter()
            .enumerate()
            .take_while(|&(number, &(chance, _))| chance * (judged - number) as f64 <= DOUBT)
            .count();
        let mut cells: Vec<usize> = chances[worse..].iter().map(|&(_, cell)| cell).collect();
        cells.push(best);
        cells.sort_unstable();
        Self::Cells(cells)
    }

    /// Whether a cell is one of the best.
    pub fn contain(&self, cell: usize) -> bool {
        matches!(self, Self::Cells(cells) if cells.contains(&cell))
    }

    /// What is framed, in a few words.
    pub fn words(&self) -> Option<String> {
        match self {
            Self::Nobody => None,
            Self::TooFewSeeds(needed) => {
                Some(format!("too few seeds to say which is best: that takes {needed}"))
            }
            Self::Cells(cells) if cells.len() == 1 => Some("framed: the best".to_owned()),
            Self::Cells(cells) => {
                let others = cells.len() - 1;
                Some(format!("framed: the best, and {others} that chance can't tell apart from it"))
            }
        }
    }
}

/// The cell with the best median, the first of equals; none where all are equal.
fn best(results: &Results, measure: &Measure) -> Option<usize> {
    let medians = results.cells.iter().map(|cell| cell.sample(measure).median());
    let known: Vec<(usize, Option<f64>)> = medians.enumerate().collect();
    if known.iter().all(|(_, median)| *median == known[0].1) {
        return None;
    }
    let reached = known.into_iter().filter_map(|(cell, median)| Some((cell, median?)));
    let lower = |a: &(usize, f64), b: &(usize, f64)| a.1.total_cmp(&b.1);
    let best = match measure.better {
        Better::Lower => reached.min_by(lower),
        // Of equals the first: the last of the reversed.
        Better::Higher => reached.collect::<Vec<_>>().into_iter().rev().max_by(lower),
        Better::Neither => None,
    };
    best.map(|(cell, _)| cell)
}

/// How likely the seeds of a cell part so unevenly from those of the best by chance; 1 where they
/// don't speak for the best.
fn chance(results: &Results, measure: &Measure, best: usize, cell: usize) -> f64 {
    let column = |cell: usize| results.cells[cell].column(measure);
    let gaps = column(best)
        .into_iter()
        .zip(column(cell))
        .map(|(best, other)| difference(best, other, 0.0));
    let gaps: Vec<f64> = gaps.collect();
    let less = gaps.iter().filter(|&&gap| gap < 0.0).count();
    let more = gaps.iter().filter(|&&gap| gap > 0.0).count();
    let (for_it, against) = match measure.better {
        Better::Higher => (less, more),
        Better::Lower | Better::Neither => (more, less),
    };
    if for_it > against { sign_test(less, more) } else { 1.0 }
}

/// How many seeds it takes until the clearest outcome tells one cell apart from so many others.
fn seeds_needed(rivals: usize) -> usize {
    let clear = |seeds: &usize| sign_test(0, *seeds) * rivals.max(1) as f64 <= DOUBT;
    (1..).find(clear).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measures::find;
    use crate::report::sweep::tests::{noisy, results};

    #[test]
    fn the_bar_is_what_the_clearest_outcome_of_fair_coins_reaches() {
        for rivals in [1, 2, 8, 31, 400] {
            let naive = (1..).find(|&n| 2.0 * 0.5_f64.powi(n) * f64::from(rivals) <= 0.05);
            assert_eq!(seeds_needed(rivals as usize), naive.unwrap() as usize);
        }
        assert_eq!((seeds_needed(1), seeds_needed(31)), (6, 11));
    }

    #[test]
    fn few_seeds_frame_nothing_and_say_how_many_it_takes() {
        let measure = find("metadata.t99").unwrap();
        let few =
            Leaders::of(&results(&["engine.fan_out=1..=3", "engine.cycle=1s,2s"], 5), measure);
        assert_eq!(few, Leaders::TooFewSeeds(8));
        assert!(!few.contain(0) && few.words().unwrap().ends_with("that takes 8"));
        let enough = results(&["engine.fan_out=1..=3", "engine.cycle=1s,2s"], 8);
        assert_eq!(Leaders::of(&enough, measure), Leaders::Cells(vec![4]));
    }

    #[test]
    fn cells_that_part_from_the_best_by_chance_alone_are_framed_with_it() {
        let measure = find("metadata.t99").unwrap();
        let results = noisy(&["engine.fan_out=1..=4", "engine.cycle=1s,2s"], 20);
        let Leaders::Cells(cells) = Leaders::of(&results, measure) else { panic!("enough seeds") };
        // Fan-outs 3 and 4 differ by luck, with either cycle; 1 and 2 are slower on every seed.
        assert_eq!(cells, [4, 5, 6, 7]);
    }

    #[test]
    fn where_all_are_equal_or_nothing_is_progress_nobody_leads() {
        let results = results(&["engine.fan_out=1..=3", "engine.cycle=1s,2s"], 12);
        for name in ["detection.all", "nodes.start"] {
            assert_eq!(Leaders::of(&results, find(name).unwrap()), Leaders::Nobody, "{name}");
        }
    }
}
