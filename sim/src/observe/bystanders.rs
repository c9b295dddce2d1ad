//! Bystanders: nodes that no fault has touched, and what the sick make them do.
//!
//! Where some are sick, those who are not should stay listed by each other, and should give up who
//! is sick once and not time and again.

use std::collections::BTreeMap;

use rumormill::time::Instant;

use super::cast::IncarnationNo;
use super::told_views::ToldViews;
use super::touched::Touched;
use crate::bits;
use crate::results::summary::Summary;
use crate::scenario::plan::{NodeNo, Plan};

/// What nodes have removed by timeout that nothing had touched.
#[derive(Clone, Debug)]
pub(crate) struct Bystanders {
    touched: Touched,
    /// How many incarnations there ever are.
    incarnations: usize,
    /// By node.
    given_up: BTreeMap<NodeNo, GivenUp>,
    /// Removals of one bystander by another.
    healthy: u64,
    /// How often one listed again whom it had removed.
    flaps: u64,
    views: ToldViews,
}

/// Whom one node gave up and took back, as bits of incarnations.
#[derive(Clone, Debug)]
struct GivenUp {
    now: Box<[u64]>,
    /// At each place: who was taken back more often than that.
    again: Vec<Box<[u64]>>,
}

impl Bystanders {
    pub(crate) fn of(plan: &Plan) -> Self {
        Self {
            touched: Touched::of(plan),
            incarnations: plan.incarnations.len(),
            given_up: BTreeMap::new(),
            healthy: 0,
            flaps: 0,
            views: ToldViews::of(plan),
        }
    }

    /// A node removes an incarnation of another by timeout.
    pub(crate) fn remove(
        &mut self,
        at: Instant,
        by: NodeNo,
        (node, incarnation): (NodeNo, IncarnationNo),
    ) {
        if self.touched.is_touched(at, by) {
            return;
        }
        self.healthy += u64::from(!self.touched.is_touched(at, node));
        let none = || bits::mask(self.incarnations, [].into_iter());
        let given_up = self.given_up.entry(by);
        let now = &mut given_up.or_insert_with(|| GivenUp { now: none(), again: Vec::new() }).now;
        if !bits::has(now, incarnation) {
            bits::flip(now, incarnation);
        }
    }

    /// A node lists an incarnation.
    pub(crate) fn list(&mut self, at: Instant, by: NodeNo, incarnation: IncarnationNo) {
        let Some(given_up) = self.given_up.get_mut(&by) else { return };
        if bits::has(&given_up.now, incarnation) {
            bits::flip(&mut given_up.now, incarnation);
            if !self.touched.is_touched(at, by) {
                given_up.take_back(incarnation);
                self.flaps += 1;
            }
        }
    }

    /// A node is told that it lists so many members now, when so many episodes have closed.
    pub(crate) fn view(&mut self, at: Instant, node: NodeNo, members: usize, episode: usize) {
        if !self.touched.is_touched(at, node) {
            self.views.tell(at, node, members, episode);
        }
    }

    /// Fills in what they did, and were told.
    pub(crate) fn finish(&self, summary: &mut Summary) {
        summary.views = self.views.finish();
        let removals = &mut summary.removals;
        removals.healthy = self.healthy;
        removals.flaps = self.flaps;
        let most = self.given_up.values().map(|given_up| given_up.again.len() as u64).max();
        removals.flaps_max = most.unwrap_or(0);
    }
}

impl GivenUp {
    /// Counts that somebody was taken back: at the first place where it is not yet.
    fn take_back(&mut self, incarnation: IncarnationNo) {
        let fresh = self.again.iter_mut().find(|again| !bits::has(again, incarnation));
        match fresh {
            Some(again) => bits::flip(again, incarnation),
            None => self.again.push(bits::mask(self.now.len() * 64, [incarnation].into_iter())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use super::*;
    use crate::scenario::plan::Deed;
    use crate::world::testkit::{self, act, at_ms};
    use proptest::prelude::*;

    const NODES: u32 = 6;

    /// Six nodes of which two are touched at ten seconds and at fifteen.
    fn plan() -> Plan {
        let mut plan = testkit::plan(NODES, Duration::from_secs(60));
        act(&mut plan, 10_000, "", Deed::Stop(vec![4]));
        act(&mut plan, 15_000, "", Deed::Stop(vec![5]));
        plan
    }

    fn figures(bystanders: &Bystanders) -> (u64, u64, u64) {
        let mut summary = Summary::default();
        bystanders.finish(&mut summary);
        let removals = &summary.removals;
        (removals.healthy, removals.flaps, removals.flaps_max)
    }

    #[test]
    fn what_the_sick_are_told_of_their_lists_is_left_out() {
        let mut bystanders = Bystanders::of(&plan());
        bystanders.view(at_ms(20_000), 4, 3, 0);
        bystanders.view(at_ms(20_000), 0, 5, 0);
        let mut summary = Summary::default();
        bystanders.finish(&mut summary);
        assert_eq!((summary.views.unique, summary.views.changes), (1, 1));
    }

    #[test]
    fn who_is_untouched_is_healthy_and_so_must_be_who_removes_it() {
        let mut bystanders = Bystanders::of(&plan());
        for (ms, by, node) in [(9_000, 0, 1), (9_000, 4, 1), (9_000, 0, 4), (12_000, 5, 1)] {
            bystanders.remove(at_ms(ms), by, (node, node));
        }
        assert_eq!(figures(&bystanders), (4, 0, 0), "nothing had happened to these");
        for (ms, by, node) in [(10_000, 4, 1), (10_000, 0, 4), (15_000, 5, 4)] {
            bystanders.remove(at_ms(ms), by, (node, node));
        }
        assert_eq!(figures(&bystanders), (4, 0, 0));
    }

    #[test]
    fn only_who_was_removed_by_timeout_is_listed_again() {
        let mut bystanders = Bystanders::of(&plan());
        bystanders.list(at_ms(1_000), 0, 4);
        bystanders.remove(at_ms(11_000), 0, (4, 4));
        assert_eq!(figures(&bystanders), (0, 0, 0));
        bystanders.list(at_ms(12_000), 0, 4);
        bystanders.list(at_ms(12_000), 0, 4);
        bystanders.list(at_ms(12_000), 1, 4);
        assert_eq!(figures(&bystanders), (0, 1, 1), "once, by the one that had removed it");
        bystanders.remove(at_ms(13_000), 5, (4, 4));
        bystanders.list(at_ms(15_000), 5, 4);
        assert_eq!(figures(&bystanders), (0, 1, 1), "by one that is touched meanwhile");
    }

    proptest! {
        #[test]
        fn figures_are_those_of_the_whole_story_counted_afterwards(
            story in prop::collection::vec((0..NODES, 0..NODES, any::<bool>()), 0..300),
        ) {
            let plan = plan();
            let mut bystanders = Bystanders::of(&plan);
            let mut told = Vec::new();
            for (second, &(by, node, removes)) in (0_u64..).map(|at| at / 10).zip(&story) {
                let at = at_ms(1_000 * second);
                match removes {
                    true => bystanders.remove(at, by, (node, node)),
                    false => bystanders.list(at, by, node),
                }
                told.push((second, by, node, removes));
            }
            let healthy = |second: u64, node: u32| {
                second < [u64::MAX, u64::MAX, u64::MAX, u64::MAX, 10, 15][node as usize]
            };
            let removals = told.iter().filter(|&&(second, by, node, removes)| {
                removes && healthy(second, by) && healthy(second, node)
            });
            let pairs: BTreeSet<_> = told.iter().map(|&(_, by, node, _)| (by, node)).collect();
            let flaps = pairs.into_iter().map(|pair| {
                let own: Vec<_> = told.iter().filter(|it| (it.1, it.2) == pair).collect();
                let again = own.windows(2).filter(|it| {
                    it[0].3 && !it[1].3 && healthy(it[1].0, pair.0)
                });
                again.count() as u64
            });
            let flaps: Vec<u64> = flaps.collect();
            let (all, most) = (flaps.iter().sum(), flaps.iter().copied().max().unwrap_or(0));
            prop_assert_eq!(figures(&bystanders), (removals.count() as u64, all, most));
        }
    }
}
