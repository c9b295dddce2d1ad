//! Removals that no goodbye caused, judged by what was true, and how long crashes took to be
//! noticed.

use std::time::Duration;

use rumormill::time::Instant;

use super::cast::IncarnationNo;
use super::ms;
use super::truth::{State, Truth};
use crate::results::summary::{Detection, Removals};
use crate::scenario::plan::NodeNo;

/// Why a node removed another that had not said goodbye.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// It was silent for a timeout.
    Silence,
    /// It did not answer, and another node has its name.
    Name,
}

/// What a removal was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The removed one did not run, or not without a break, during the whole timeout before.
    Right,
    /// It ran, and paths led from it and back to it all the while: a mistake.
    False,
    /// It ran, but its process was paused at some time.
    Paused,
    /// It ran, but at some time no path led from it or none back to it, or the remover was itself
    /// stopped: whom the others take for gone is told nothing.
    Cut,
}

/// Judges that `by` removes an incarnation of `node` that has not said goodbye.
///
/// News must have had a way in both directions: a node that is heard but hears nobody is in no
/// component with those who hear it, so that the truth asks them to give it up. A node that has not
/// been stopped since its start was alive however short that is: it must not be removed before a
/// timeout has passed.
pub(crate) fn judge(
    truth: &Truth,
    now: Instant,
    timeout: Duration,
    by: NodeNo,
    (node, incarnation): (NodeNo, IncarnationNo),
) -> Verdict {
    let since = now.saturating_sub(timeout);
    if truth.live(node) != Some(incarnation) || !truth.lived_since(since, node) {
        Verdict::Right
    } else if !truth.lived_since(since, by) {
        Verdict::Cut
    } else if !truth.awake_since(since, node) {
        Verdict::Paused
    } else if truth.reached_since(since, node, by) && truth.reached_since(since, by, node) {
        Verdict::False
    } else {
        Verdict::Cut
    }
}

/// Counts a verdict. Whoever lived is counted alike, whatever the reason was.
pub(crate) fn count(removals: &mut Removals, reason: Reason, verdict: Verdict) {
    match (verdict, reason) {
        (Verdict::Right, Reason::Silence) => removals.right += 1,
        (Verdict::Right, Reason::Name) => removals.replaced += 1,
        (Verdict::False, _) => removals.wrong += 1,
        (Verdict::Paused, _) => removals.paused += 1,
        (Verdict::Cut, _) => removals.cut += 1,
    }
}

/// Crashes, until every live node that could reach the victim has removed it.
#[derive(Clone, Debug)]
pub(crate) struct Detections {
    crashes: Vec<Crash>,
    /// By incarnation: its crash.
    crash_of: Vec<Option<u32>>,
}

#[derive(Clone, Debug)]
struct Crash {
    at: Instant,
    node: NodeNo,
    /// By node: whether it is one that must notice.
    watches: Vec<bool>,
    /// Watchers that still list the victim.
    listing: u32,
    first: Option<Instant>,
    all: Option<Instant>,
    /// The victim came back before all had noticed, so that nobody had to any more.
    came_back: bool,
}

impl Detections {
    pub(crate) fn new(incarnations: usize) -> Self {
        Self { crashes: Vec::new(), crash_of: vec![None; incarnations] }
    }

    /// A node crashes; the truth is still that before it. `lists` says who lists it.
    pub(crate) fn crash(
        &mut self,
        truth: &Truth,
        at: Instant,
        node: NodeNo,
        lists: impl Fn(NodeNo) -> bool,
    ) {
        let (State::Live(incarnation) | State::Stopped(incarnation)) = truth.state(node) else {
            return;
        };
        let stopped = truth.live(node).is_none();
        let mut watches: Vec<_> = Vec::new();
        let mut listing = 0;
        for (other, _) in truth.live_nodes() {
            let reached = stopped || truth.component(other) == truth.component(node);
            if other != node && reached {
                watches.resize(other as usize + 1, false);
                watches[other as usize] = true;
                listing += u32::from(lists(other));
            }
        }
        // Nobody lists it: there is nothing to notice.
        if listing > 0 {
            self.crash_of[incarnation as usize] = Some(self.crashes.len() as u32);
            let (first, all, came_back) = (None, None, false);
            self.crashes.push(Crash { at, node, watches, listing, first, all, came_back });
        }
    }

    /// A node that had listed an incarnation does so no longer.
    pub(crate) fn unlisted(&mut self, at: Instant, by: NodeNo, incarnation: IncarnationNo) {
        if let Some(crash) = self.watched(by, incarnation) {
            crash.first.get_or_insert(at);
            crash.count_down(at);
        }
    }

    /// A node that had not listed an incarnation does so now.
    pub(crate) fn listed(&mut self, by: NodeNo, incarnation: IncarnationNo) {
        if let Some(crash) = self.watched(by, incarnation) {
            crash.listing += 1;
            crash.all = None;
        }
    }

    /// A node ceases to live: what it lists no longer matters.
    pub(crate) fn blind(
        &mut self,
        at: Instant,
        node: NodeNo,
        lists: impl Fn(IncarnationNo) -> bool,
    ) {
        for (incarnation, crash) in (0..).zip(&self.crash_of) {
            let Some(crash) = crash else { continue };
            let crash = &mut self.crashes[*crash as usize];
            let Some(watches) = crash.watches.get_mut(node as usize) else { continue };
            if std::mem::take(watches) && lists(incarnation) {
                crash.count_down(at);
            }
        }
    }

    /// A node starts anew.
    pub(crate) fn came_back(&mut self, node: NodeNo) {
        let pending =
            self.crashes.iter_mut().filter(|crash| crash.node == node && crash.all.is_none());
        pending.for_each(|crash| crash.came_back = true);
    }

    /// The slowest crash; null when one was never noticed by all.
    pub(crate) fn finish(&self) -> Detection {
        let slowest = |when: fn(&Crash) -> Option<Instant>| {
            let crashes = self.crashes.iter().filter(|crash| !crash.came_back);
            let took: Option<Vec<_>> =
                crashes.map(|crash| when(crash).map(|when| when - crash.at)).collect();
            took?.into_iter().max().map(|slowest| ms(Instant::ZERO + slowest))
        };
        Detection { first_ms: slowest(|crash| crash.first), all_ms: slowest(|crash| crash.all) }
    }

    fn watched(&mut self, by: NodeNo, incarnation: IncarnationNo) -> Option<&mut Crash> {
        if self.crashes.is_empty() {
            return None;
        }
        let crash = &mut self.crashes[self.crash_of[incarnation as usize]? as usize];
        crash.watches.get(by as usize).copied().unwrap_or(false).then_some(crash)
    }
}

impl Crash {
    fn count_down(&mut self, at: Instant) {
        self.listing -= 1;
        if self.listing == 0 {
            self.all = Some(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::testkit;
    use rumormill::link::{LinkChange, LinkModel, Loss, NetworkChange, Ways};

    const TIMEOUT: Duration = Duration::from_secs(5);

    fn at(secs: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(secs)
    }

    fn live(links: &LinkModel, nodes: u32) -> Truth {
        let mut truth = Truth::new(nodes, TIMEOUT);
        (0..nodes).for_each(|node| truth.set(at(0), node, State::Live(node)));
        truth.commit(at(0), links);
        truth
    }

    fn verdict(truth: &Truth, now: u64) -> Verdict {
        judge(truth, at(now), TIMEOUT, 0, (1, 1))
    }

    #[test]
    fn removing_a_node_that_was_there_all_the_while_is_false_at_any_age() {
        let links = LinkModel::new(1, testkit::lan());
        let truth = live(&links, 2);
        assert_eq!([verdict(&truth, 2), verdict(&truth, 20)], [Verdict::False; 2]);
    }

    #[test]
    fn removing_a_node_that_was_silent_at_some_time_of_the_timeout_is_right() {
        let links = LinkModel::new(1, testkit::lan());
        let mut truth = live(&links, 2);
        truth.set(at(10), 1, State::Stopped(1));
        truth.commit(at(10), &links);
        assert_eq!(verdict(&truth, 11), Verdict::Right);
        truth.set(at(12), 1, State::Live(1));
        truth.commit(at(12), &links);
        assert_eq!([verdict(&truth, 16), verdict(&truth, 17)], [Verdict::Right, Verdict::False]);
        truth.set(at(30), 1, State::Down);
        truth.set(at(30), 1, State::Live(7));
        truth.commit(at(30), &links);
        assert_eq!(verdict(&truth, 99), Verdict::Right, "another incarnation lives now");
    }

    #[test]
    fn removing_a_node_behind_a_cut_within_the_timeout_is_cut() {
        let mut links = LinkModel::new(1, testkit::lan());
        let mut truth = live(&links, 3);
        let cut = links.apply(NetworkChange::Partition(vec![vec![0, 2]]));
        truth.commit(at(10), &links);
        assert_eq!(verdict(&truth, 14), Verdict::Cut);
        links.undo(cut);
        truth.commit(at(20), &links);
        assert_eq!([verdict(&truth, 24), verdict(&truth, 25)], [Verdict::Cut, Verdict::False]);
    }

    #[test]
    fn removing_a_node_whose_process_was_paused_is_neither_right_nor_false() {
        let links = LinkModel::new(1, testkit::lan());
        let mut truth = live(&links, 2);
        truth.pause(1);
        truth.commit(at(10), &links);
        assert_eq!(verdict(&truth, 16), Verdict::Paused);
        truth.wake(at(20), 1);
        truth.commit(at(20), &links);
        assert_eq!([verdict(&truth, 24), verdict(&truth, 25)], [Verdict::Paused, Verdict::False]);
        truth.pause(1);
        truth.set(at(30), 1, State::Down);
        truth.commit(at(30), &links);
        assert_eq!(verdict(&truth, 31), Verdict::Right, "it died in its sleep");
    }

    #[test]
    fn who_was_paused_itself_may_not_remove_those_it_did_not_hear_meanwhile() {
        let links = LinkModel::new(1, testkit::lan());
        let mut truth = live(&links, 2);
        truth.pause(0);
        truth.commit(at(10), &links);
        truth.wake(at(20), 0);
        assert_eq!(verdict(&truth, 20), Verdict::False);
    }

    #[test]
    fn whom_nobody_can_hear_is_told_nothing_and_may_give_up_the_others() {
        let mut links = LinkModel::new(1, testkit::lan());
        let mut truth = live(&links, 3);
        let change = LinkChange { loss: Some(Loss::ALL), ..LinkChange::default() };
        let (from, to, ways) = (vec![0], vec![1, 2], Ways::One);
        links.apply(NetworkChange::Links { from, to, ways, change });
        truth.commit(at(10), &links);
        assert!(truth.reached_since(at(10), 1, 0), "node 0 could hear it");
        assert_eq!(verdict(&truth, 30), Verdict::Cut);
        assert!(!truth.holds(0, 1, 1), "and must not list it");
    }

    #[test]
    fn a_removal_by_a_node_that_was_stopped_is_its_own_doing() {
        let links = LinkModel::new(1, testkit::lan());
        let mut truth = live(&links, 2);
        truth.set(at(10), 0, State::Stopped(0));
        truth.commit(at(10), &links);
        assert_eq!(verdict(&truth, 16), Verdict::Cut);
        truth.set(at(20), 0, State::Live(0));
        truth.commit(at(20), &links);
        assert_eq!([verdict(&truth, 24), verdict(&truth, 25)], [Verdict::Cut, Verdict::False]);
    }

    #[test]
    fn a_crash_is_noticed_when_the_last_watcher_has_removed_the_victim() {
        let links = LinkModel::new(1, testkit::lan());
        let truth = live(&links, 4);
        let mut detections = Detections::new(8);
        detections.crash(&truth, at(10), 3, |_| true);
        detections.unlisted(at(14), 0, 3);
        assert_eq!(detections.finish().first_ms, Some(4_000.0));
        detections.unlisted(at(15), 1, 3);
        detections.listed(0, 3);
        detections.unlisted(at(16), 2, 3);
        assert_eq!(detections.finish().all_ms, None, "node 0 lists it again");
        detections.blind(at(17), 0, |incarnation| incarnation == 3);
        assert_eq!(detections.finish().all_ms, Some(7_000.0));
    }

    #[test]
    fn a_victim_that_came_back_in_time_or_was_listed_by_nobody_does_not_count() {
        let links = LinkModel::new(1, testkit::lan());
        let truth = live(&links, 4);
        let mut detections = Detections::new(8);
        detections.crash(&truth, at(10), 3, |_| true);
        detections.came_back(3);
        detections.crash(&truth, at(10), 2, |_| false);
        assert_eq!(detections.finish().all_ms, None);
        detections.crash(&truth, at(20), 1, |node| node == 0);
        detections.unlisted(at(22), 0, 1);
        assert_eq!(detections.finish().all_ms, Some(2_000.0));
    }
}
