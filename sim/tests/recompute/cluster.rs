//! Who lives, who can reach whom, and since when: the truth, worked out pair by pair.

use std::collections::BTreeMap;

use super::trace::Line;

/// The place of one life of one node among all that a trace names.
pub(crate) type Life = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Down,
    Live(Life),
    Stopped(Life),
}

/// For each live node: which life it is, and the first node of its component.
pub(crate) type Truth = Vec<Option<(Life, usize)>>;

#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) states: Vec<State>,
    /// By node: when its beats resumed after a stop, in its present life.
    resumed: Vec<Option<u64>>,
    /// By node: since when its process is awake; `None` while it is paused.
    awake: Vec<Option<u64>>,
    /// Its lives so far, by node.
    lives: Vec<usize>,
    places: BTreeMap<(usize, usize), Life>,
    /// By life: its node, and its address once it was up.
    pub(crate) node_of: Vec<usize>,
    pub(crate) addr_of: Vec<String>,
    sides: Vec<Vec<usize>>,
    cut: Vec<(usize, usize)>,
    pub(crate) truth: Truth,
    /// From when on who could reach whom, over live nodes that are awake.
    reach: Vec<(u64, Vec<Vec<bool>>)>,
}

impl Cluster {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            states: vec![State::Down; nodes],
            resumed: vec![None; nodes],
            awake: vec![Some(0); nodes],
            lives: vec![0; nodes],
            places: BTreeMap::new(),
            node_of: Vec::new(),
            addr_of: Vec::new(),
            sides: Vec::new(),
            cut: Vec::new(),
            truth: vec![None; nodes],
            reach: Vec::new(),
        }
    }

    pub(crate) fn life(&mut self, node: usize, number: usize) -> Life {
        let next = self.node_of.len();
        let place = *self.places.entry((node, number)).or_insert(next);
        if place == next {
            self.node_of.push(node);
            self.addr_of.push(String::new());
        }
        place
    }

    /// A node starts, and is this life from now on.
    pub(crate) fn up(&mut self, line: &Line) -> Life {
        let node = line.node;
        let life = self.life(node, self.lives[node]);
        self.lives[node] += 1;
        self.addr_of[life].clone_from(&line.addr);
        self.states[node] = State::Live(life);
        (self.resumed[node], self.awake[node]) = (None, Some(0));
        life
    }

    /// The life that a node is in, stopped or not.
    pub(crate) fn running(&self, node: usize) -> Option<Life> {
        match self.states[node] {
            State::Down => None,
            State::Live(life) | State::Stopped(life) => Some(life),
        }
    }

    pub(crate) fn live(&self, node: usize) -> Option<Life> {
        if let State::Live(life) = self.states[node] { Some(life) } else { None }
    }

    pub(crate) fn down(&mut self, node: usize) {
        self.states[node] = State::Down;
    }

    pub(crate) fn stop(&mut self, node: usize) {
        if let State::Live(life) = self.states[node] {
            self.states[node] = State::Stopped(life);
        }
    }

    pub(crate) fn start(&mut self, line: &Line) {
        if let State::Stopped(life) = self.states[line.node] {
            self.states[line.node] = State::Live(life);
            self.resumed[line.node] = Some(line.t_ns);
        }
    }

    pub(crate) fn pause(&mut self, node: usize) {
        self.awake[node] = None;
    }

    pub(crate) fn resume(&mut self, line: &Line) {
        self.awake[line.node] = Some(line.t_ns);
    }

    pub(crate) fn paths(&mut self, line: &Line) {
        self.sides.clone_from(&line.sides);
        self.cut.clone_from(&line.cut);
    }

    fn side(&self, node: usize) -> usize {
        self.sides.iter().position(|side| side.contains(&node)).unwrap_or(usize::MAX)
    }

    /// Who reaches whom by uncut links and by nodes that pass news on.
    fn reaches(&self, passes: impl Fn(usize) -> bool) -> Vec<Vec<bool>> {
        let nodes = self.states.len();
        let sides: Vec<_> = (0..nodes).map(|node| self.side(node)).collect();
        let direct = |a: usize, b: usize| a != b && !self.cut.contains(&(sides[a], sides[b]));
        let mut reach: Vec<Vec<bool>> =
            (0..nodes).map(|a| (0..nodes).map(|b| direct(a, b)).collect()).collect();
        for way in (0..nodes).filter(|&way| passes(way)) {
            let onward = reach[way].clone();
            for from in reach.iter_mut().filter(|from| from[way]) {
                from.iter_mut().zip(&onward).for_each(|(to, onward)| *to |= onward);
            }
        }
        reach
    }

    fn work_out_truth(&self) -> Truth {
        let nodes = self.states.len();
        let lives = |node: usize| self.live(node).is_some();
        let reach = (!self.cut.is_empty()).then(|| self.reaches(lives));
        // Where nothing is cut, all reach all.
        let mutual = |a: usize, b: usize| {
            a == b || reach.as_ref().is_none_or(|reach| reach[a][b] && reach[b][a])
        };
        let component = |node: usize| (0..nodes).find(|&other| lives(other) && mutual(other, node));
        let of = |node: usize| Some((self.live(node)?, component(node)?));
        (0..nodes).map(of).collect()
    }

    /// To be called when anything changed by which news may pass: works out the truth.
    pub(crate) fn remember(&mut self, at: u64) {
        let passes = |node: usize| self.live(node).is_some() && self.awake[node].is_some();
        let nodes = self.states.len();
        let reach = match self.cut.is_empty() {
            true => vec![vec![true; nodes]; nodes],
            false => self.reaches(passes),
        };
        self.truth = self.work_out_truth();
        self.reach.retain(|&(from, _)| from != at);
        self.reach.push((at, reach));
    }

    pub(crate) fn lived_since(&self, since: u64, node: usize) -> bool {
        self.live(node).is_some() && self.resumed[node].is_none_or(|resumed| resumed <= since)
    }

    pub(crate) fn awake_since(&self, since: u64, node: usize) -> bool {
        self.awake[node].is_some_and(|woke| woke <= since)
    }

    /// Whether news could get from one node to another all the while.
    pub(crate) fn reached_since(&self, since: u64, from: usize, to: usize) -> bool {
        let ends = self.reach.iter().skip(1).map(|&(end, _)| end).chain([u64::MAX]);
        let eras = self.reach.iter().zip(ends).filter(|&(_, end)| end > since);
        eras.into_iter().all(|((_, reach), _)| reach[from][to])
    }
}
