//! The race: few seeds for every candidate, more for those that are still in it.
//!
//! All candidates meet the same seeds. One that fails a target more often than is allowed is out;
//! one that costs more than the leader on nearly all common seeds waits, and comes back if the
//! leader falls. The leader of a finished race must hold on fresh seeds, which no decision has
//! seen: what was picked for its good luck is found out there.

use crate::measures::Measure;
use crate::results::Figures;
use crate::scenario::plan::Expectation;
use crate::stats::{Interval, Sample, Share, sign_test, wilson};

/// Seeds of the first lap; with six, a candidate that is dearer on all is so with 95 %.
const FIRST: usize = 6;
/// Seeds after which nobody is given more before the fresh ones.
pub(super) const LAST: usize = 48;
/// Seeds of those on the front, so that it is not drawn from a handful.
const FRONT: usize = 24;
/// How unlikely by chance a difference must be.
const DOUBT: f64 = 0.05;

/// What is wanted.
#[derive(Clone, Debug)]
pub(super) struct Goal {
    pub(super) targets: Vec<Expectation>,
    /// How many of them were typed; the rest are what the scenario expects.
    pub(super) typed: usize,
    /// The share of runs that must hold all targets, from 0 to 1.
    pub(super) share: f64,
    /// What should be as little as possible.
    pub(super) minimize: &'static Measure,
    /// What the front is of: a time, and what it costs.
    pub(super) time: &'static Measure,
    pub(super) cost: &'static Measure,
    /// How fast a crash was seen, where the scenario has one.
    pub(super) detection: Option<&'static Measure>,
    /// Fresh seeds that the winner must hold on.
    pub(super) fresh: usize,
}

/// Who runs candidates with seeds, both by number.
pub(super) trait Track {
    type Error;

    /// Runs pairs of candidate and seed; the results are in their order.
    fn run(&mut self, pairs: &[(usize, usize)]) -> Result<Vec<Figures>, Self::Error>;
}

/// One candidate and what its runs showed, in the order of the seeds.
#[derive(Clone, Debug, Default)]
pub(super) struct Candidate {
    pub(super) runs: Vec<Figures>,
    /// On seeds that came after all others.
    pub(super) fresh: Vec<Figures>,
}

/// How a race ended.
#[derive(Clone, Debug)]
pub(super) struct Race {
    pub(super) candidates: Vec<Candidate>,
    /// The winner, if anybody held the targets.
    pub(super) winner: Option<usize>,
}

impl Goal {
    /// Whether a run held a target.
    pub(super) fn holds(&self, target: &Expectation, run: &Figures) -> bool {
        let measure = crate::measures::find(&target.name).expect("targets name measures");
        run.get(measure).is_some_and(|got| target.operator.holds(got, target.value))
    }

    /// How many runs held all targets.
    pub(super) fn held(&self, runs: &[Figures]) -> Share {
        let all = |run: &Figures| self.targets.iter().all(|target| self.holds(target, run));
        Share::new(runs.iter().map(all))
    }

    /// Whether runs show that too many fail.
    fn is_out(&self, runs: &[Figures]) -> bool {
        let held = self.held(runs);
        if self.share >= 1.0 {
            return held.held < held.n;
        }
        let high = wilson(held.held, held.n).and_then(|Interval(_, high)| high);
        high.is_some_and(|high| high < self.share)
    }
}

impl Candidate {
    pub(super) fn median(&self, measure: &Measure) -> f64 {
        let sample = Sample::new(self.runs.iter().map(|run| run.get(measure)));
        sample.median().unwrap_or(f64::INFINITY)
    }
}

/// Runs the race.
///
/// # Errors
/// When the track fails.
pub(super) fn run<T: Track>(count: usize, goal: &Goal, track: &mut T) -> Result<Race, T::Error> {
    let mut race = Race { candidates: vec![Candidate::default(); count], winner: None };
    race.extend(&(0..count).collect::<Vec<_>>(), FIRST, track)?;
    while race.winner.is_none() {
        let Some(leader) = race.leader(goal) else { break };
        let contenders = race.contenders(goal, leader);
        let behind = |place: &usize| race.candidates[*place].runs.len() < LAST;
        let least = contenders.iter().map(|&place| race.candidates[place].runs.len()).min();
        match contenders.iter().any(behind) {
            true => race.extend(&contenders, (least.unwrap_or(FIRST) * 2).min(LAST), track)?,
            false => race.verify(leader, goal, track)?,
        }
    }
    let front = race.front(goal);
    race.extend(&front, FRONT, track)?;
    Ok(race)
}

impl Race {
    /// Gives candidates more runs, until each has so many.
    fn extend<T: Track>(
        &mut self,
        who: &[usize],
        seeds: usize,
        track: &mut T,
    ) -> Result<(), T::Error> {
        let missing = |&place: &usize| {
            let from = self.candidates[place].runs.len();
            (from..seeds).map(move |seed| (place, seed))
        };
        let pairs: Vec<(usize, usize)> = who.iter().flat_map(missing).collect();
        for ((place, _), figures) in pairs.iter().zip(track.run(&pairs)?) {
            self.candidates[*place].runs.push(figures);
        }
        Ok(())
    }

    /// Fresh seeds for the leader, in three parts, so that a failure is soon seen.
    fn verify<T: Track>(
        &mut self,
        leader: usize,
        goal: &Goal,
        track: &mut T,
    ) -> Result<(), T::Error> {
        for part in [goal.fresh.div_ceil(10), goal.fresh.div_ceil(3), goal.fresh] {
            let from = self.candidates[leader].fresh.len();
            let pairs: Vec<(usize, usize)> =
                (from..part).map(|seed| (leader, LAST + seed)).collect();
            let figures = track.run(&pairs)?;
            self.candidates[leader].fresh.extend(figures);
            if goal.is_out(&self.candidates[leader].fresh) {
                return Ok(());
            }
        }
        if goal.held(&self.candidates[leader].fresh).reaches(goal.share) {
            self.winner = Some(leader);
        }
        Ok(())
    }

    /// Whether a candidate may still win.
    fn is_in(&self, goal: &Goal, place: usize) -> bool {
        let own = &self.candidates[place];
        let settled = own.runs.len() >= LAST;
        let enough = !settled || goal.held(&own.runs).reaches(goal.share);
        // One that was verified and did not win has lost.
        enough && own.fresh.is_empty() && !goal.is_out(&own.runs)
    }

    /// The cheapest of those that are in; of equals the first.
    fn leader(&self, goal: &Goal) -> Option<usize> {
        let inside = (0..self.candidates.len()).filter(|&place| self.is_in(goal, place));
        let cost = |&place: &usize| self.candidates[place].median(goal.minimize);
        inside.min_by(|a, b| cost(a).total_cmp(&cost(b)))
    }

    /// The leader, and those that are not for certain dearer.
    fn contenders(&self, goal: &Goal, leader: usize) -> Vec<usize> {
        let inside = (0..self.candidates.len()).filter(|&place| self.is_in(goal, place));
        inside.filter(|&place| place == leader || !self.is_dearer(goal, place, leader)).collect()
    }

    /// Whether a candidate costs more than another on so many common seeds that it is no chance.
    fn is_dearer(&self, goal: &Goal, place: usize, leader: usize) -> bool {
        let cost = |run: &Figures| run.get(goal.minimize).unwrap_or(f64::INFINITY);
        let (own, other) = (&self.candidates[place].runs, &self.candidates[leader].runs);
        let (mut dearer, mut cheaper) = (0, 0);
        for (own, other) in own.iter().zip(other) {
            dearer += usize::from(cost(own) > cost(other));
            cheaper += usize::from(cost(own) < cost(other));
        }
        dearer > cheaper && sign_test(cheaper, dearer) <= DOUBT
    }

    /// The candidates than which no other is both quicker and cheaper, by rising time.
    pub(super) fn front(&self, goal: &Goal) -> Vec<usize> {
        let point = |place: usize| {
            let own = &self.candidates[place];
            (own.median(goal.time), own.median(goal.cost))
        };
        let beaten = |place: usize| {
            let (time, cost) = point(place);
            (0..self.candidates.len()).any(|other| {
                let (quick, cheap) = point(other);
                let better = quick < time || cheap < cost;
                let twin = quick == time && cheap == cost && other < place;
                quick <= time && cheap <= cost && (better || twin)
            })
        };
        let reached = |place: &usize| point(*place).0.is_finite();
        let mut front: Vec<usize> =
            (0..self.candidates.len()).filter(reached).filter(|&place| !beaten(place)).collect();
        front.sort_by(|&a, &b| point(a).0.total_cmp(&point(b).0));
        front
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::measures::Operator;
    use crate::measures::find;

    /// Candidates whose figures are a function of candidate and seed.
    struct Table<F> {
        of: F,
        runs: usize,
    }

    impl<F: Fn(usize, usize) -> (f64, f64)> Track for Table<F> {
        type Error = Infallible;

        fn run(&mut self, pairs: &[(usize, usize)]) -> Result<Vec<Figures>, Infallible> {
            self.runs += pairs.len();
            let figures = pairs.iter().map(|&(candidate, seed)| {
                let (ms, bytes) = (self.of)(candidate, seed);
                Figures::from_each(|measure| match measure.name.as_ref() {
                    "metadata.t99" => Some(ms),
                    "bytes.with_headers" => Some(bytes),
                    _ => None,
                })
            });
            Ok(figures.collect())
        }
    }

    fn goal(share: f64) -> Goal {
        let target = Expectation {
            name: "metadata.t99".to_owned(),
            want: "<= 200ms".to_owned(),
            operator: Operator::AtMost,
            value: 200.0,
        };
        Goal {
            targets: vec![target],
            typed: 1,
            share,
            minimize: find("bytes.with_headers").unwrap(),
            time: find("metadata.t99").unwrap(),
            cost: find("bytes.with_headers").unwrap(),
            detection: None,
            fresh: 200,
        }
    }

    fn raced(count: usize, share: f64, of: impl Fn(usize, usize) -> (f64, f64)) -> (Race, usize) {
        let mut track = Table { of, runs: 0 };
        let Ok(race) = run(count, &goal(share), &mut track);
        (race, track.runs)
    }

    /// A number from 0 to 1 that looks like chance and is the same each time.
    fn noise(candidate: usize, seed: usize) -> f64 {
        let mixed = (candidate as u64 * 7_919 + seed as u64 * 104_729 + 1)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15);
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }

    #[test]
    fn the_cheapest_that_holds_wins_with_few_runs() {
        // Larger numbers are dearer and quicker; from 3 on all hold.
        let of = |candidate: usize, seed: usize| {
            let base = if candidate >= 3 { 100.0 } else { 190.0 };
            let cost = 1_000.0 + 50.0 * candidate as f64 + 10.0 * noise(candidate, seed);
            (base + 40.0 * noise(candidate, seed), cost)
        };
        let (race, runs) = raced(12, 1.0, of);
        assert_eq!(race.winner, Some(3));
        assert_eq!(race.candidates[3].fresh.len(), 200);
        // A full grid with the seeds of the winner would be 12 * 248.
        assert!(runs < 700, "{runs} runs");
    }

    #[test]
    fn one_that_fails_on_fresh_seeds_alone_does_not_win() {
        // The cheapest is right on every seed of the race and wrong on one later.
        let of = |candidate: usize, seed: usize| {
            let late = candidate == 0 && seed == LAST + 150;
            (if late { 300.0 } else { 100.0 }, 1_000.0 + 100.0 * candidate as f64)
        };
        assert_eq!(raced(3, 1.0, of).0.winner, Some(1));
        // Where one run in twenty may fail, it wins.
        assert_eq!(raced(3, 0.95, of).0.winner, Some(0));
    }

    #[test]
    fn where_nobody_holds_nobody_wins() {
        let (race, runs) = raced(5, 1.0, |candidate, _| (500.0 + candidate as f64, 1.0));
        assert_eq!(race.winner, None);
        assert!(runs < 5 * FIRST + FRONT + 1, "{runs} runs");
    }

    #[test]
    fn those_that_cannot_be_told_apart_get_all_seeds() {
        // Each is the dearer one on every other seed.
        let of = |candidate: usize, seed: usize| {
            let dearer = (candidate + seed).is_multiple_of(2);
            (100.0, 1_000.0 + f64::from(u8::from(dearer)))
        };
        let (race, _) = raced(2, 1.0, of);
        assert!(race.candidates.iter().all(|candidate| candidate.runs.len() == LAST));
    }

    #[test]
    fn the_front_has_those_than_which_none_is_quicker_and_cheaper() {
        let points = [(10.0, 9.0), (20.0, 5.0), (25.0, 6.0), (40.0, 1.0), (40.0, 1.0), (9.0, 20.0)];
        let (race, _) = raced(points.len(), 1.0, |candidate, _| points[candidate]);
        assert_eq!(race.front(&goal(1.0)), [5, 0, 1, 3]);
    }

    #[test]
    fn a_share_below_all_puts_out_only_what_is_surely_below_it() {
        let half = |candidate: usize, seed: usize| {
            let fails = candidate == 0 && seed.is_multiple_of(2);
            (if fails { 900.0 } else { 100.0 }, 1_000.0 + candidate as f64)
        };
        assert_eq!(raced(2, 0.95, half).0.winner, Some(1));
        assert_eq!(raced(2, 0.4, half).0.winner, Some(0));
    }
}
