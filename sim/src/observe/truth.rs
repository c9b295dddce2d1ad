//! What is true of the cluster: who lives, and who can reach whom.
//!
//! Truth for a live node is the set of live nodes in its component of the graph of link directions
//! that are not cut. The graph is one of classes (nodes that every change of the network treats
//! alike), so that a split of ten thousand nodes is a graph of two.

use std::collections::VecDeque;
use std::time::Duration;

use rumormill::link::LinkModel;
use rumormill::time::Instant;
use rustc_hash::FxHashMap;

use super::cast::IncarnationNo;
use crate::bits::BitMatrix;
use crate::scenario::plan::NodeNo;

/// How a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It does not run.
    Down,
    /// It runs and beats.
    Live(IncarnationNo),
    /// It runs, but its beats are silenced.
    Stopped(IncarnationNo),
}

impl State {
    pub(crate) fn live(self) -> Option<IncarnationNo> {
        if let Self::Live(incarnation) = self { Some(incarnation) } else { None }
    }
}

/// How the truth shifted at a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shift {
    /// It did not.
    None,
    /// Some nodes came to live or ceased to; all live ones can reach each other, as before.
    Nodes(Vec<NodeShift>),
    /// It may be another for every node.
    Whole,
}

/// One node that came to live, ceased to, or has another incarnation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeShift {
    pub(crate) node: NodeNo,
    pub(crate) before: Option<IncarnationNo>,
    pub(crate) after: Option<IncarnationNo>,
}

/// The truth now, and as much of the past as the judgement of removals needs.
#[derive(Clone, Debug)]
pub(crate) struct Truth {
    states: Vec<State>,
    /// By node: when it last resumed after a stop, in its present life.
    resumed: Vec<Option<Instant>>,
    /// By node: whether its process is awake in its present life.
    awake: Vec<Awake>,
    /// What was live at the last commit.
    committed: Vec<Option<IncarnationNo>>,
    settled: Settled,
    touched: Vec<NodeNo>,
    /// By node; only those of live nodes mean anything.
    component: Vec<u32>,
    eras: VecDeque<Era>,
    memory: Duration,
}

/// What was true at the end of the last instant in which something changed.
#[derive(Clone, Debug)]
struct Settled {
    live: Vec<Option<IncarnationNo>>,
    component: Vec<u32>,
}

/// Whether a process runs, apart from whether its node lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awake {
    Always,
    /// Since it woke from its last pause.
    Since(Instant),
    Paused,
}

/// A stretch of time in which the same could reach the same.
#[derive(Clone, Debug)]
struct Era {
    from: Instant,
    /// `None`: nothing is cut.
    reach: Option<Reach>,
}

impl Truth {
    /// Nobody lives yet. `memory` is how far back [`Truth::reached_since`] can be asked.
    pub(crate) fn new(nodes: u32, memory: Duration) -> Self {
        let nodes = nodes as usize;
        Self {
            states: vec![State::Down; nodes],
            resumed: vec![None; nodes],
            awake: vec![Awake::Always; nodes],
            committed: vec![None; nodes],
            settled: Settled { live: vec![None; nodes], component: vec![0; nodes] },
            touched: Vec::new(),
            component: vec![0; nodes],
            eras: VecDeque::from([Era { from: Instant::ZERO, reach: None }]),
            memory,
        }
    }

    pub(crate) fn state(&self, node: NodeNo) -> State {
        self.states[node as usize]
    }

    /// The incarnation of a node that lives.
    pub(crate) fn live(&self, node: NodeNo) -> Option<IncarnationNo> {
        self.state(node).live()
    }

    /// True when a node lives and has since then not been stopped; what was before its start does
    /// not matter.
    pub(crate) fn lived_since(&self, since: Instant, node: NodeNo) -> bool {
        let resumed = self.resumed[node as usize];
        self.live(node).is_some() && resumed.is_none_or(|resumed| resumed <= since)
    }

    /// True when the process of a node was not paused since then.
    pub(crate) fn awake_since(&self, since: Instant, node: NodeNo) -> bool {
        match self.awake[node as usize] {
            Awake::Always => true,
            Awake::Since(woke) => woke <= since,
            Awake::Paused => false,
        }
    }

    /// Notes that the process of a node is paused; in force with the next [`Truth::commit`].
    pub(crate) fn pause(&mut self, node: NodeNo) {
        self.awake[node as usize] = Awake::Paused;
    }

    /// Notes that the process of a node goes on; in force with the next [`Truth::commit`].
    pub(crate) fn wake(&mut self, at: Instant, node: NodeNo) {
        self.awake[node as usize] = Awake::Since(at);
    }

    pub(crate) fn live_nodes(&self) -> impl Iterator<Item = (NodeNo, IncarnationNo)> + '_ {
        (0..).zip(&self.states).filter_map(|(node, state)| Some((node, state.live()?)))
    }

    /// Live nodes can reach each other, both ways, when these are equal.
    pub(crate) fn component(&self, node: NodeNo) -> u32 {
        self.component[node as usize]
    }

    /// True when `node` lives as this incarnation and `of` must list it.
    pub(crate) fn holds(&self, of: NodeNo, node: NodeNo, incarnation: IncarnationNo) -> bool {
        self.live(node) == Some(incarnation) && self.component(of) == self.component(node)
    }

    /// Notes how a node is from now on; in force with the next [`Truth::commit`].
    pub(crate) fn set(&mut self, at: Instant, node: NodeNo, state: State) {
        let before = std::mem::replace(&mut self.states[node as usize], state);
        match (before, state) {
            (State::Stopped(_), State::Live(_)) => self.resumed[node as usize] = Some(at),
            (State::Down, _) => {
                self.resumed[node as usize] = None;
                self.awake[node as usize] = Awake::Always;
            }
            _ => {}
        }
        self.touched.push(node);
    }

    /// Works out what the changes of nodes and of the network since the last commit come to.
    pub(crate) fn commit(&mut self, at: Instant, links: &LinkModel) -> Shift {
        let nodes = self.shifted_nodes();
        let was_open = self.eras.back().is_some_and(|era| era.reach.is_none());
        if !links.has_cuts() && was_open {
            return if nodes.is_empty() { Shift::None } else { Shift::Nodes(nodes) };
        }
        let lives = |node: NodeNo| self.live(node).is_some();
        let reach = links.has_cuts().then(|| Reach::of(links, self.states.len(), lives));
        let component = match &reach {
            Some(reach) => reach.components(&self.states),
            // Nodes to come are in it too, so it has one name, and if possible the one it had.
            None => {
                let name = self.live_nodes().next().map_or(0, |(node, _)| self.component(node));
                vec![name; self.states.len()]
            }
        };
        let open = reach.is_none();
        // A paused node lives, but no news passes through it.
        let passes = |node: NodeNo| lives(node) && self.awake[node as usize] != Awake::Paused;
        let paused = self.awake.contains(&Awake::Paused);
        let paths = reach.map(|reach| match paused {
            true => Reach::of(links, self.states.len(), passes),
            false => reach,
        });
        self.enter(at, paths);
        // The old names of the same components stay, for others may remember them.
        if nodes.is_empty() && self.parts_alike(&self.component, &component) {
            if open {
                self.component = component;
            }
            return Shift::None;
        }
        self.component = component;
        Shift::Whole
    }

    /// True when the last commit left everything as it was at the end of the last instant: what
    /// ends and begins again at one instant has not changed.
    pub(crate) fn is_settled(&self) -> bool {
        self.committed == self.settled.live
            && self.parts_alike(&self.settled.component, &self.component)
    }

    /// To be called at the end of an instant in which the truth changed.
    pub(crate) fn settle(&mut self) {
        self.settled.live.clone_from(&self.committed);
        self.settled.component.clone_from(&self.component);
    }

    /// True when a path of uncut links led from one node to another at every time since.
    pub(crate) fn reached_since(&self, since: Instant, from: NodeNo, to: NodeNo) -> bool {
        let ends =
            self.eras.iter().skip(1).map(|era| era.from).chain([Instant::from_nanos(u64::MAX)]);
        self.eras
            .iter()
            .zip(ends)
            .filter(|&(_, end)| end > since)
            .all(|(era, _)| era.reach.as_ref().is_none_or(|reach| reach.leads(from, to)))
    }

    fn shifted_nodes(&mut self) -> Vec<NodeShift> {
        let mut shifted = Vec::new();
        for node in self.touched.drain(..) {
            let before = &mut self.committed[node as usize];
            let after = self.states[node as usize].live();
            if *before != after {
                shifted.push(NodeShift { node, before: *before, after });
                *before = after;
            }
        }
        shifted
    }

    /// True when both part the live nodes into the same components.
    fn parts_alike(&self, one: &[u32], other: &[u32]) -> bool {
        let (mut forth, mut back) = (FxHashMap::default(), FxHashMap::default());
        self.live_nodes().all(|(node, _)| {
            let (old, new) = (one[node as usize], other[node as usize]);
            *forth.entry(old).or_insert(new) == new && *back.entry(new).or_insert(old) == old
        })
    }

    fn enter(&mut self, at: Instant, reach: Option<Reach>) {
        // What did not last is no era.
        if self.eras.back().is_some_and(|era| era.from == at) {
            self.eras.pop_back();
        }
        self.eras.push_back(Era { from: at, reach });
        let oldest = at.saturating_sub(self.memory);
        while self.eras.get(1).is_some_and(|second| second.from <= oldest) {
            self.eras.pop_front();
        }
    }
}

/// Which classes of nodes can reach which, over nodes through which news passes.
#[derive(Clone, Debug)]
struct Reach {
    class: Vec<u32>,
    /// By class: whether news passes through some node of it.
    lives: Vec<bool>,
    leads: BitMatrix,
}

impl Reach {
    fn of(links: &LinkModel, nodes: usize, passes: impl Fn(NodeNo) -> bool) -> Self {
        let class: Vec<_> = (0..nodes as u32).map(|node| links.class(node)).collect();
        let classes = class.iter().max().map_or(0, |&highest| highest + 1);
        let mut example = vec![None; classes as usize];
        let mut lives = vec![false; classes as usize];
        for (node, &class) in (0..).zip(&class) {
            example[class as usize].get_or_insert(node);
            lives[class as usize] |= passes(node);
        }
        let mut leads = BitMatrix::new(classes as usize, classes as usize);
        for (from, &from_node) in (0..).zip(&example) {
            for (to, &to_node) in (0..).zip(&example) {
                let (Some(from_node), Some(to_node)) = (from_node, to_node) else { continue };
                if links.passes(from_node, to_node) {
                    leads.set(from, to);
                }
            }
        }
        // Paths by way of one more class at a time, through classes that let news pass.
        for way in (0..classes).filter(|&way| lives[way as usize]) {
            for from in 0..classes {
                if leads.has(from, way) {
                    leads.join_row(from, way);
                }
            }
        }
        Self { class, lives, leads }
    }

    fn leads(&self, from: NodeNo, to: NodeNo) -> bool {
        self.leads.has(self.class[from as usize], self.class[to as usize])
    }

    /// The component of each node. A class whose nodes can't reach each other is as many
    /// components as it has nodes: if a way round existed, they could.
    fn components(&self, states: &[State]) -> Vec<u32> {
        let classes = self.lives.len() as u32;
        let mutual = |a: u32, b: u32| self.leads.has(a, b) && self.leads.has(b, a);
        let first = |class: u32| {
            (0..class).find(|&other| self.lives[other as usize] && mutual(class, other))
        };
        let of_class: Vec<_> = (0..classes).map(|class| first(class).unwrap_or(class)).collect();
        let mut component: Vec<_> =
            self.class.iter().map(|&class| of_class[class as usize]).collect();
        let alone = (0..).zip(states).filter(|(_, state)| state.live().is_some());
        for (node, _) in alone {
            if !self.leads(node, node) {
                component[node as usize] = classes + node;
            }
        }
        component
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rumormill::link::{Link, LinkChange, Loss, NetworkChange, Ways};

    const NODES: u32 = 7;

    fn links() -> LinkModel {
        let ms = Duration::from_millis(1);
        LinkModel::new(1, Link::uniform(ms, ms * 10))
    }

    fn at(secs: u64) -> Instant {
        Instant::ZERO + Duration::from_secs(secs)
    }

    fn all_live(links: &LinkModel) -> Truth {
        let mut truth = Truth::new(NODES, Duration::from_secs(5));
        (0..NODES).for_each(|node| truth.set(at(0), node, State::Live(node)));
        truth.commit(at(0), links);
        truth
    }

    #[test]
    fn a_split_and_its_heal_shift_the_truth_and_a_second_name_for_it_does_not() {
        let mut links = links();
        let mut truth = all_live(&links);
        let split = || NetworkChange::Partition(vec![vec![0, 1, 2], vec![3, 4, 5, 6]]);
        let first = links.apply(split());
        assert_eq!(truth.commit(at(1), &links), Shift::Whole);
        assert!(truth.holds(0, 1, 1) && !truth.holds(0, 3, 3));
        let second = links.apply(split());
        links.undo(first);
        assert_eq!(truth.commit(at(2), &links), Shift::None);
        links.undo(second);
        assert_eq!(truth.commit(at(3), &links), Shift::Whole);
        assert!(truth.holds(0, 3, 3));
    }

    #[test]
    fn what_ends_and_begins_again_at_one_instant_leaves_the_truth_as_it_was() {
        let mut links = links();
        let mut truth = all_live(&links);
        assert!(!truth.is_settled());
        truth.settle();
        assert!(truth.is_settled());
        let split = || NetworkChange::Partition(vec![vec![0, 1, 2], vec![3, 4, 5, 6]]);
        let first = links.apply(split());
        truth.commit(at(1), &links);
        assert!(!truth.is_settled());
        truth.settle();
        links.undo(first);
        assert_eq!(truth.commit(at(2), &links), Shift::Whole);
        assert!(!truth.is_settled());
        links.apply(split());
        assert_eq!(truth.commit(at(2), &links), Shift::Whole);
        assert!(truth.is_settled());
        truth.set(at(2), 6, State::Live(9));
        truth.commit(at(2), &links);
        assert!(!truth.is_settled(), "another incarnation");
    }

    #[test]
    fn a_stop_ends_a_life_and_the_crash_of_a_stopped_node_changes_nothing() {
        let links = links();
        let mut truth = all_live(&links);
        truth.set(at(1), 3, State::Stopped(3));
        let gone = NodeShift { node: 3, before: Some(3), after: None };
        assert_eq!(truth.commit(at(1), &links), Shift::Nodes(vec![gone]));
        truth.set(at(2), 3, State::Down);
        assert_eq!(truth.commit(at(2), &links), Shift::None);
        assert!(!truth.lived_since(at(3), 3));
        truth.set(at(3), 3, State::Live(9));
        truth.commit(at(3), &links);
        assert!(truth.lived_since(at(0), 3), "a start is no resumption");
        truth.set(at(4), 3, State::Stopped(9));
        truth.set(at(5), 3, State::Live(9));
        assert!(!truth.lived_since(at(4), 3) && truth.lived_since(at(5), 3));
    }

    #[test]
    fn a_path_must_have_been_there_all_the_while() {
        let mut links = links();
        let mut truth = all_live(&links);
        let change = LinkChange { loss: Some(Loss::ALL), ..LinkChange::default() };
        let (from, to, ways) = (vec![0], (1..NODES).collect(), Ways::One);
        let cut = links.apply(NetworkChange::Links { from, to, ways, change });
        truth.commit(at(10), &links);
        assert!(!truth.reached_since(at(9), 0, 1) && truth.reached_since(at(9), 1, 0));
        links.undo(cut);
        truth.commit(at(11), &links);
        assert!(!truth.reached_since(at(9), 0, 1) && !truth.reached_since(at(10), 0, 1));
        assert!(truth.reached_since(at(11), 0, 1));
    }

    fn sets() -> impl Strategy<Value = (Vec<u32>, Vec<u32>)> {
        let set = || {
            prop::collection::btree_set(0..NODES, 0..5).prop_map(|set| set.into_iter().collect())
        };
        (set(), set())
    }

    fn change() -> impl Strategy<Value = NetworkChange> {
        let cut = LinkChange { loss: Some(Loss::ALL), ..LinkChange::default() };
        prop_oneof![
            2 => sets().prop_map(|(a, b)| {
                let b = b.into_iter().filter(|node| !a.contains(node)).collect();
                NetworkChange::Partition(vec![a, b])
            }),
            1 => sets().prop_map(|(a, _)| NetworkChange::Isolate(a)),
            4 => sets().prop_map(move |(from, to)| {
                NetworkChange::Links { from, to, ways: Ways::One, change: cut.clone() }
            }),
        ]
    }

    /// Who reaches whom by live nodes in between, one pair of nodes at a time.
    fn naive(links: &LinkModel, live: &[bool]) -> Vec<Vec<bool>> {
        let nodes = 0..NODES as usize;
        let direct = |a, b| a != b && links.passes(a as u32, b as u32);
        let mut reach: Vec<Vec<_>> =
            nodes.clone().map(|a| nodes.clone().map(|b| direct(a, b)).collect()).collect();
        for way in nodes.clone().filter(|&way| live[way]) {
            for a in nodes.clone() {
                for b in nodes.clone() {
                    reach[a][b] |= reach[a][way] && reach[way][b];
                }
            }
        }
        reach
    }

    #[test]
    fn a_pause_ends_with_the_life_it_happens_in() {
        let links = links();
        let mut truth = all_live(&links);
        truth.pause(3);
        assert_eq!(truth.commit(at(1), &links), Shift::None, "a paused node lives");
        assert!(!truth.awake_since(at(9), 3) && truth.awake_since(at(0), 2));
        truth.wake(at(4), 3);
        assert!(!truth.awake_since(at(3), 3) && truth.awake_since(at(4), 3));
        truth.set(at(5), 3, State::Down);
        truth.set(at(6), 3, State::Live(9));
        assert!(truth.awake_since(at(0), 3));
    }

    proptest! {
        #[test]
        fn no_path_leads_through_a_paused_node_but_it_stays_in_its_component(
            changes in prop::collection::vec(change(), 1..4),
            paused in prop::collection::vec(any::<bool>(), NODES as usize),
        ) {
            let mut links = links();
            changes.into_iter().for_each(|change| { links.apply(change); });
            let mut truth = all_live(&links);
            let before = truth.clone();
            let pausing = (0..).zip(&paused).filter(|(_, paused)| **paused);
            pausing.for_each(|(node, _)| truth.pause(node));
            truth.commit(at(9), &links);
            let awake: Vec<_> = paused.iter().map(|paused| !paused).collect();
            let reach = naive(&links, &awake);
            for (a, b) in (0..NODES).flat_map(|a| (0..NODES).map(move |b| (a, b))) {
                if a != b && links.has_cuts() {
                    let led = truth.reached_since(at(9), a, b);
                    prop_assert_eq!(led, reach[a as usize][b as usize], "{} to {}", a, b);
                }
                prop_assert_eq!(truth.holds(a, b, b), before.holds(a, b, b));
            }
        }

        #[test]
        fn components_and_paths_are_those_of_the_graph_of_nodes(
            changes in prop::collection::vec(change(), 0..4),
            live in prop::collection::vec(any::<bool>(), NODES as usize),
        ) {
            let mut links = links();
            changes.into_iter().for_each(|change| { links.apply(change); });
            let mut truth = Truth::new(NODES, Duration::from_secs(5));
            for (node, &live) in (0..).zip(&live) {
                truth.set(at(0), node, if live { State::Live(node) } else { State::Stopped(node) });
            }
            truth.commit(at(0), &links);
            let reach = naive(&links, &live);
            for (a, b) in (0..NODES).flat_map(|a| (0..NODES).map(move |b| (a, b))) {
                let (i, j) = (a as usize, b as usize);
                if a == b {
                    continue;
                }
                prop_assert_eq!(truth.reached_since(at(0), a, b), reach[i][j], "{} to {}", a, b);
                if live[i] && live[j] {
                    let together = reach[i][j] && reach[j][i];
                    prop_assert_eq!(truth.holds(a, b, b), together, "{} and {}", a, b);
                }
            }
        }
    }
}
