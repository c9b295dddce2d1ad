//! The run to look at first among the seeds of a scenario, kept for its page as the others go by.

use std::sync::{Mutex, PoisonError};

use super::Outcome;
use crate::results::summary::{RunResult, Summary};
use crate::scenario::plan::Plan;

/// The worst run so far, whole. Nobody keeps all of thousands, and to have it again would cost
/// another run.
#[derive(Debug, Default)]
pub(super) struct Worst(Mutex<Option<(Plan, RunResult)>>);

impl Worst {
    /// Keeps a run that is worse than all before it. Runs come in any order: of equals that with
    /// the lowest seed stays, so that the number of threads can't be seen.
    pub(super) fn offer(&self, plan: &Plan, run: &RunResult) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_worse = kept.as_ref().is_none_or(|(before, worst)| {
            let (one, other) = (badness(&run.summary), badness(&worst.summary));
            one > other || one == other && plan.seed < before.seed
        });
        if is_worse {
            *kept = Some((plan.clone(), run.clone()));
        }
    }

    /// The worst of all.
    pub(super) fn take(&self) -> Option<(Plan, RunResult)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The place of the same run among all, which are in the order of their seeds.
pub(super) fn place(outcomes: &[Outcome]) -> usize {
    let mut worst = 0;
    for place in 1..outcomes.len() {
        if badness(&outcomes[place].summary) > badness(&outcomes[worst].summary) {
            worst = place;
        }
    }
    worst
}

/// Whether it failed, then how long it took to agree.
fn badness(summary: &Summary) -> (bool, f64, f64) {
    let (list, metadata) = (&summary.node_list, &summary.metadata);
    let never = f64::INFINITY;
    (
        !summary.ok,
        list.converged_after_max_ms.unwrap_or(never),
        metadata.converged.map_or(0.0, |_| metadata.converged_after_ms.unwrap_or(never)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::fixture;
    use crate::scenario::parse;

    #[test]
    fn the_same_run_is_the_worst_in_whatever_order_they_end() {
        let plan = parse("x.toml", "name = 'x'\nnodes = 2\nduration = '1s'", &[]).unwrap();
        let run = |seed: u64, ok: bool, took_ms: Option<f64>| {
            let mut run = fixture::partition(2, 0, seed);
            run.summary.ok = ok;
            run.summary.node_list.converged_after_max_ms = took_ms;
            (plan.plan(seed).unwrap(), run)
        };
        let last = |seeds: &[(u64, bool, Option<f64>)]| {
            let worst = Worst::default();
            let runs = seeds.iter().map(|&(seed, ok, took_ms)| run(seed, ok, took_ms));
            runs.for_each(|(plan, run)| worst.offer(&plan, &run));
            worst.take().map(|(plan, run)| (plan.seed, run.summary.seed))
        };
        let slow = [(1, true, Some(5.0)), (2, true, Some(9.0)), (3, true, Some(9.0))];
        let never = (4, true, None);
        let failed = (5, false, Some(1.0));
        for turn in 0..3 {
            let mut seeds = slow.to_vec();
            seeds.rotate_left(turn);
            assert_eq!(last(&seeds), Some((2, "2".to_owned())));
            seeds.insert(turn, never);
            assert_eq!(last(&seeds), Some((4, "4".to_owned())));
            seeds.insert(turn, failed);
            assert_eq!(last(&seeds), Some((5, "5".to_owned())));
        }
        assert_eq!(last(&[]), None);
    }
}
