//! The wall clocks of a run: true time for most nodes, and what the plan makes of it for others.
//!
//! What a clock shows depends on the plan and the time alone, so that whoever asks gets the same
//! answer.

use std::time::Duration;

use rumormill::time::{Instant, UnixNanos, nanos};

use crate::scenario::plan::{ClockChange, Deed, NodeNo, Plan};

/// The wall clock at the start of every run: 2025-01-01, so that times in output look like times.
pub(crate) const EPOCH: UnixNanos = UnixNanos(1_735_689_600_000_000_000);

const BILLION: i128 = 1_000_000_000;

/// What every wall clock shows at every time.
#[derive(Clone, Debug)]
pub(crate) struct Clocks {
    /// By node, as far as some clock differs: its stretches in order of time.
    by_node: Vec<Vec<Stretch>>,
}

/// From a time on a clock is this far ahead of true time, and goes faster by this.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stretch {
    from: Instant,
    ahead_nanos: i64,
    drift_ppb: i64,
}

impl Stretch {
    fn ahead(self, at: Instant) -> i64 {
        let gained = i128::from(nanos(at - self.from)) * i128::from(self.drift_ppb) / BILLION;
        self.ahead_nanos.saturating_add(i64::try_from(gained).unwrap_or(i64::MAX))
    }
}

impl Clocks {
    pub(crate) fn of(plan: &Plan) -> Self {
        let mut clocks = Self { by_node: Vec::new() };
        for (nodes, change) in &plan.clocks {
            clocks.change(Instant::ZERO, nodes, *change, &[]);
        }
        let own: Vec<Stretch> =
            clocks.by_node.iter().map(|of| of.last().copied().unwrap_or_default()).collect();
        for action in &plan.actions {
            if let Deed::Clock { nodes, change } = &action.deed {
                clocks.change(action.at, nodes, *change, &own);
            }
        }
        clocks
    }

    /// What a clock shows that is right.
    pub(crate) fn true_time(&self, at: Instant) -> UnixNanos {
        EPOCH.saturating_add(at - Instant::ZERO)
    }

    /// What the clock of a node shows.
    pub(crate) fn wall(&self, node: NodeNo, at: Instant) -> UnixNanos {
        let true_time = self.true_time(at);
        match self.by_node.get(node as usize) {
            None => true_time,
            Some(stretches) => UnixNanos(true_time.0.saturating_add(ahead(stretches, at))),
        }
    }

    /// The earliest that any clock shows.
    pub(crate) fn earliest(&self, at: Instant) -> UnixNanos {
        let walls = (0..).take(self.by_node.len()).map(|node| self.wall(node, at));
        walls.fold(self.true_time(at), UnixNanos::min)
    }

    /// By how much the clock of a node was set ahead after `since` and up to `until`; what it was
    /// set back does not count against it.
    pub(crate) fn set_ahead(&self, node: NodeNo, since: Instant, until: Instant) -> Duration {
        let Some(stretches) = self.by_node.get(node as usize) else { return Duration::ZERO };
        let mut before = Stretch::default();
        let mut sum = Duration::ZERO;
        for &stretch in stretches {
            let step = stretch.ahead_nanos.saturating_sub(before.ahead(stretch.from));
            if since < stretch.from && stretch.from <= until {
                sum += Duration::from_nanos(u64::try_from(step).unwrap_or(0));
            }
            before = stretch;
        }
        sum
    }

    /// The most that any clock was set ahead in that time.
    pub(crate) fn any_set_ahead(&self, since: Instant, until: Instant) -> Duration {
        let all = (0..).take(self.by_node.len()).map(|node| self.set_ahead(node, since, until));
        all.max().unwrap_or_default()
    }

    fn change(&mut self, at: Instant, nodes: &[NodeNo], change: ClockChange, own: &[Stretch]) {
        for &node in nodes {
            let place = node as usize;
            if self.by_node.len() <= place {
                self.by_node.resize(place + 1, Vec::new());
            }
            let own = own.get(place).copied().unwrap_or_default();
            let stretches = &mut self.by_node[place];
            let mut next = stretches.last().copied().unwrap_or_default();
            (next.ahead_nanos, next.from) = (next.ahead(at), at);
            match change {
                ClockChange::Offset { nanos } => next.ahead_nanos = nanos,
                ClockChange::Jump { nanos } => {
                    next.ahead_nanos = next.ahead_nanos.saturating_add(nanos);
                }
                ClockChange::Unjump { nanos } => {
                    next.ahead_nanos = next.ahead_nanos.saturating_sub(nanos);
                }
                ClockChange::Drift { ppb } => next.drift_ppb = ppb,
                ClockChange::OwnOffset => next.ahead_nanos = own.ahead(at),
                ClockChange::OwnDrift => next.drift_ppb = own.drift_ppb,
            }
            stretches.push(next);
        }
    }
}

fn ahead(stretches: &[Stretch], at: Instant) -> i64 {
    let after = stretches.partition_point(|stretch| stretch.from <= at);
    after.checked_sub(1).map_or(0, |last| stretches[last].ahead(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::testkit::{self, act, at_ms};

    const SECOND: i64 = 1_000_000_000;

    fn ahead_ms(clocks: &Clocks, node: NodeNo, ms: u64) -> i64 {
        let at = at_ms(ms);
        let true_time = EPOCH.saturating_add(at - Instant::ZERO);
        (clocks.wall(node, at).0 - true_time.0) / 1_000_000
    }

    #[test]
    fn offsets_jumps_and_drifts_add_up_and_are_undone_to_the_nodes_own() {
        let mut plan = testkit::plan(4, Duration::from_secs(60));
        plan.clocks = vec![(vec![1, 2], ClockChange::Offset { nanos: -2 * SECOND })];
        for (ms, change) in [
            (10_000, ClockChange::Jump { nanos: 5 * SECOND }),
            (20_000, ClockChange::Drift { ppb: 100_000_000 }),
            (30_000, ClockChange::OwnDrift),
            (40_000, ClockChange::Unjump { nanos: 5 * SECOND }),
            (50_000, ClockChange::OwnOffset),
        ] {
            act(&mut plan, ms, "", Deed::Clock { nodes: vec![1], change });
        }
        let clocks = Clocks::of(&plan);
        let of_1 = [0, 9_999, 10_000, 20_000, 25_000, 35_000, 45_000, 55_000];
        let of_1 = of_1.map(|ms| ahead_ms(&clocks, 1, ms));
        assert_eq!(of_1, [-2_000, -2_000, 3_000, 3_000, 3_500, 4_000, -1_000, -2_000]);
        assert_eq!(ahead_ms(&clocks, 2, 55_000), -2_000);
        assert_eq!([0, 3].map(|node| ahead_ms(&clocks, node, 55_000)), [0, 0]);
    }

    #[test]
    fn what_a_clock_was_set_ahead_is_the_sum_of_its_steps_forward() {
        let mut plan = testkit::plan(2, Duration::from_secs(60));
        for (ms, nanos) in [(10_000, 5 * SECOND), (20_000, -9 * SECOND), (30_000, SECOND)] {
            let change = ClockChange::Jump { nanos };
            act(&mut plan, ms, "", Deed::Clock { nodes: vec![1], change });
        }
        let clocks = Clocks::of(&plan);
        let sum = |node, since, until| clocks.set_ahead(node, at_ms(since), at_ms(until)).as_secs();
        assert_eq!(sum(1, 0, 60_000), 6);
        assert_eq!([sum(1, 10_000, 60_000), sum(1, 9_999, 10_000), sum(1, 0, 9_999)], [1, 5, 0]);
        assert_eq!(sum(0, 0, 60_000), 0);
    }
}
