//! What the nodes list, held against the truth: missing and ghosts, kept up incrementally.

use std::sync::Arc;

use super::cast::{Cast, IncarnationNo};
use super::lists::Lists;
use super::truth::{NodeShift, Shift, Truth};
use crate::bits::{self, count_without};
use crate::scenario::plan::NodeNo;

/// The node lists of all nodes, and how wrong those of live nodes are.
#[derive(Clone, Debug)]
pub(crate) struct Views {
    cast: Arc<Cast>,
    /// Node by incarnation, in order of the ring. A node always lists its own one.
    listed: Lists,
    /// By node: its newest incarnation.
    own: Vec<Option<IncarnationNo>>,
    /// As of the last shift.
    live: Vec<Option<IncarnationNo>>,
    /// Whom nobody answers: its list is what it was when somebody last did, and left out.
    isolated: Vec<bool>,
    missing: u64,
    ghosts: u64,
    missing_max: u64,
    ghosts_max: u64,
}

/// How a list changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listing {
    /// It is as it was.
    Same,
    /// An entry came or went.
    Changed,
}

impl Views {
    /// Shifts of single nodes at a time; of more, everything is counted anew.
    const SHIFTS_MAX: usize = 2;

    pub(crate) fn new(cast: Arc<Cast>) -> Self {
        let (nodes, parts) = (cast.nodes() as usize, cast.parts().len());
        let initial = cast.initial().map(|part| cast.ring_place(part));
        let listed = Lists::new(cast.nodes(), parts, initial);
        Self {
            cast,
            listed,
            own: vec![None; nodes],
            live: vec![None; nodes],
            isolated: vec![false; nodes],
            missing: 0,
            ghosts: 0,
            missing_max: 0,
            ghosts_max: 0,
        }
    }

    /// Ordered pairs of live nodes of which the first must list the second and does not.
    pub(crate) fn missing(&self) -> u64 {
        self.missing
    }

    /// What live nodes list though it is not true.
    pub(crate) fn ghosts(&self) -> u64 {
        self.ghosts
    }

    pub(crate) fn missing_max(&self) -> u64 {
        self.missing_max
    }

    pub(crate) fn ghosts_max(&self) -> u64 {
        self.ghosts_max
    }

    /// True when every live node that is not isolated lists exactly what is true.
    pub(crate) fn are_true(&self) -> bool {
        self.missing == 0 && self.ghosts == 0
    }

    pub(crate) fn lists(&self, node: NodeNo, incarnation: IncarnationNo) -> bool {
        self.listed.has(node, self.cast.ring_place(incarnation))
    }

    /// A node begins with an empty list. It must not live yet.
    pub(crate) fn begin(&mut self, node: NodeNo, incarnation: IncarnationNo) {
        self.listed.clear_row(node);
        self.be(node, incarnation);
    }

    /// A node begins with the list of all initial nodes. It must not live yet.
    pub(crate) fn begin_full(&mut self, node: NodeNo, incarnation: IncarnationNo) {
        self.listed.fill_row(node);
        self.be(node, incarnation);
    }

    fn be(&mut self, node: NodeNo, incarnation: IncarnationNo) {
        assert!(self.live[node as usize].is_none(), "node {node} starts while it lives");
        self.listed.set(node, self.cast.ring_place(incarnation));
        self.own[node as usize] = Some(incarnation);
        self.isolated[node as usize] = false;
    }

    /// A node says that nobody answers it, or that somebody does again.
    pub(crate) fn isolate(&mut self, truth: &Truth, node: NodeNo, is_isolated: bool) {
        self.isolated[node as usize] = is_isolated;
        self.recount(truth);
    }

    /// Whether the list of a node is held against the truth.
    fn counts(&self, node: NodeNo) -> bool {
        self.live[node as usize].is_some() && !self.isolated[node as usize]
    }

    /// A node lists an incarnation from now on.
    pub(crate) fn list(
        &mut self,
        truth: &Truth,
        node: NodeNo,
        incarnation: IncarnationNo,
    ) -> Listing {
        if !self.listed.set(node, self.cast.ring_place(incarnation)) {
            return Listing::Same;
        }
        if self.counts(node) {
            let about = self.cast.node_of(incarnation);
            let right = truth.holds(node, about, incarnation);
            if right { self.missing -= 1 } else { self.ghosts += 1 }
        }
        Listing::Changed
    }

    /// A node lists an incarnation no longer.
    pub(crate) fn unlist(
        &mut self,
        truth: &Truth,
        node: NodeNo,
        incarnation: IncarnationNo,
    ) -> Listing {
        let place = self.cast.ring_place(incarnation);
        if self.own[node as usize] == Some(incarnation) || !self.listed.clear(node, place) {
            return Listing::Same;
        }
        if self.counts(node) {
            let about = self.cast.node_of(incarnation);
            let right = truth.holds(node, about, incarnation);
            if right { self.missing += 1 } else { self.ghosts -= 1 }
        }
        Listing::Changed
    }

    /// The truth shifted.
    pub(crate) fn shift(&mut self, truth: &Truth, shift: &Shift) {
        match shift {
            Shift::None => {}
            // A look at every list costs as much for one node as for all.
            Shift::Nodes(nodes) if nodes.len() <= Self::SHIFTS_MAX => {
                nodes.iter().for_each(|shift| self.shift_node(shift));
            }
            Shift::Nodes(_) | Shift::Whole => self.recount(truth),
        }
    }

    /// Remembers the largest errors. To be called once everything of an instant's input is in.
    pub(crate) fn settle(&mut self) {
        self.missing_max = self.missing_max.max(self.missing);
        self.ghosts_max = self.ghosts_max.max(self.ghosts);
    }

    /// One node came or went while everybody can reach everybody.
    fn shift_node(&mut self, shift: &NodeShift) {
        if let Some(before) = shift.before {
            let (missing, ghosts) = self.row_error(shift.node, &self.live_mask());
            self.missing -= missing;
            self.ghosts -= ghosts;
            self.live[shift.node as usize] = None;
            let listing = self.listing(before);
            self.ghosts += listing;
            self.missing -= self.counted_len() - listing;
        }
        if let Some(after) = shift.after {
            let listing = self.listing(after);
            self.ghosts -= listing;
            self.missing += self.counted_len() - listing;
            self.live[shift.node as usize] = Some(after);
            let (missing, ghosts) = self.row_error(shift.node, &self.live_mask());
            self.missing += missing;
            self.ghosts += ghosts;
        }
    }

    fn recount(&mut self, truth: &Truth) {
        self.live = (0..self.cast.nodes()).map(|node| truth.live(node)).collect();
        let mut by_component: Vec<_> =
            truth.live_nodes().map(|(node, part)| (truth.component(node), node, part)).collect();
        by_component.sort_unstable();
        (self.missing, self.ghosts) = (0, 0);
        for component in by_component.chunk_by(|a, b| a.0 == b.0) {
            let mask = self.mask(component.iter().map(|&(_, _, part)| part));
            // Complete lists are all wrong in the same way.
            let mut of_full = None;
            let counted = component.iter().filter(|it| !self.isolated[it.1 as usize]);
            for &(_, node, _) in counted {
                let (missing, ghosts) = match self.listed.is_full(node) {
                    true => *of_full.get_or_insert_with(|| self.row_error(node, &mask)),
                    false => self.row_error(node, &mask),
                };
                self.missing += missing;
                self.ghosts += ghosts;
            }
        }
    }

    /// Some node whose list is wrong, with whom it lists wrongly (true) or leaves out (false).
    pub(crate) fn first_error(&self, truth: &Truth) -> Option<(NodeNo, IncarnationNo, bool)> {
        let parts = 0..self.cast.parts().len() as IncarnationNo;
        let mut counted = truth.live_nodes().filter(|&(node, _)| !self.isolated[node as usize]);
        counted.find_map(|(node, own)| {
            let others = parts.clone().filter(|&part| part != own);
            let wrong = others.map(|part| {
                let is_true = truth.holds(node, self.cast.node_of(part), part);
                (part, self.lists(node, part), is_true)
            });
            let mut wrong = wrong.filter(|&(_, listed, is_true)| listed != is_true);
            wrong.next().map(|(part, listed, _)| (node, part, listed))
        })
    }

    fn row_error(&self, node: NodeNo, truth: &[u64]) -> (u64, u64) {
        if self.isolated[node as usize] {
            return (0, 0);
        }
        let row = self.listed.row(node);
        (count_without(truth, row), count_without(row, truth))
    }

    /// How many of the nodes that count list an incarnation.
    fn listing(&self, incarnation: IncarnationNo) -> u64 {
        let lists = |&node: &NodeNo| self.counts(node) && self.lists(node, incarnation);
        (0..self.cast.nodes()).filter(lists).count() as u64
    }

    fn counted_len(&self) -> u64 {
        (0..self.cast.nodes()).filter(|&node| self.counts(node)).count() as u64
    }

    fn live_mask(&self) -> Box<[u64]> {
        self.mask(self.live.iter().copied().flatten())
    }

    fn mask(&self, parts: impl Iterator<Item = IncarnationNo>) -> Box<[u64]> {
        bits::mask(self.cast.parts().len(), parts.map(|part| self.cast.ring_place(part)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::observe::truth::State;
    use crate::world::testkit;
    use proptest::prelude::*;
    use rumormill::link::{LinkModel, NetworkChange};
    use rumormill::time::Instant;

    const NODES: u32 = 5;

    #[derive(Clone, Debug)]
    enum Step {
        Isolate(NodeNo, bool),
        List(NodeNo, IncarnationNo),
        Unlist(NodeNo, IncarnationNo),
        /// They go down, stop, or start as their next incarnations.
        Turn(Vec<NodeNo>, u8),
        Split(Vec<NodeNo>),
        Heal,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            2 => (0..NODES, any::<bool>()).prop_map(|(node, is)| Step::Isolate(node, is)),
            6 => (0..NODES, 0..2 * NODES).prop_map(|(node, part)| Step::List(node, part)),
            3 => (0..NODES, 0..2 * NODES).prop_map(|(node, part)| Step::Unlist(node, part)),
            4 => (prop::collection::btree_set(0..NODES, 1..5), 0_u8..3)
                .prop_map(|(nodes, turn)| Step::Turn(nodes.into_iter().collect(), turn)),
            1 => prop::collection::btree_set(0..NODES, 1..4)
                .prop_map(|set| Step::Split(set.into_iter().collect())),
            1 => Just(Step::Heal),
        ]
    }

    /// Errors counted pair by pair.
    fn naive(views: &Views, truth: &Truth) -> (u64, u64) {
        let (mut missing, mut ghosts) = (0, 0);
        for (node, own) in truth.live_nodes().filter(|it| !views.isolated[it.0 as usize]) {
            for part in (0..2 * NODES).filter(|&part| part != own) {
                let about = views.cast.part(part).node;
                let (lists, right) = (views.lists(node, part), truth.holds(node, about, part));
                missing += u64::from(right && !lists);
                ghosts += u64::from(lists && !right);
            }
        }
        (missing, ghosts)
    }

    fn turn(views: &mut Views, truth: &mut Truth, node: NodeNo, turn: u8) {
        let next = match (truth.state(node), turn) {
            (State::Down, 0) => {
                views.begin_full(node, node);
                State::Live(node)
            }
            (State::Down, _) => {
                let part = node + if turn == 1 { 0 } else { NODES };
                views.begin(node, part);
                State::Live(part)
            }
            (State::Live(part), 1) => State::Stopped(part),
            (State::Stopped(part), 2) => State::Live(part),
            _ => State::Down,
        };
        truth.set(Instant::ZERO, node, next);
    }

    proptest! {
        #[test]
        fn missing_and_ghosts_are_those_of_a_count_of_all_pairs(
            steps in prop::collection::vec(step(), 0..60),
        ) {
            let cast = Arc::new(Cast::of(&testkit::plan_with_restarts(NODES)));
            let mut truth = Truth::new(NODES, Duration::from_secs(5));
            let mut links = LinkModel::new(1, testkit::lan());
            let mut views = Views::new(cast);
            let mut splits = Vec::new();
            for step in steps {
                match step {
                    Step::Isolate(node, is) => views.isolate(&truth, node, is),
                    Step::List(node, part) => { views.list(&truth, node, part); }
                    Step::Unlist(node, part) => { views.unlist(&truth, node, part); }
                    Step::Turn(nodes, how) => {
                        nodes.into_iter().for_each(|node| turn(&mut views, &mut truth, node, how));
                    }
                    Step::Split(group) => {
                        splits.push(links.apply(NetworkChange::Partition(vec![group])));
                    }
                    Step::Heal => splits.drain(..).for_each(|id| links.undo(id)),
                }
                let shift = truth.commit(Instant::ZERO, &links);
                views.shift(&truth, &shift);
                prop_assert_eq!((views.missing(), views.ghosts()), naive(&views, &truth));
            }
        }
    }
}
