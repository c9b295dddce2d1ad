//! Laying out one run: the actions are walked through in order of time, chance is drawn, and who
//! runs when is kept track of, so that `"live"` has a meaning.
//!
//! It decides nothing about packets: that a node runs, or is stopped, follows from the plan alone.

mod texts;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use rumormill::units::show_duration;
use rumormill::{Instant, Node, Rng, nanos};

use super::addresses::address;
use super::document::Place;
use super::errors::Mistake;
use super::language::actions::{Act, Address, At, Payload, Restart, Scope};
use super::language::nodes::{Moment, Nodes, show_set};
use super::language::{Bootstrap, Typed};
use super::plan::{Action, Deed, Heal, Incarnation, Manner, NodeNo, StartCause, WayIn, Ways};

/// The parts of a plan that depend on the seed.
pub(super) struct Laid {
    pub(super) incarnations: Vec<Incarnation>,
    pub(super) actions: Vec<Action>,
}

/// Bits of a stream's number that tell the choices of one action apart.
const CHOICES_BITS: u32 = 32;

/// Random live nodes that show a returning node the way when its own seeds are gone.
const RETURN_SEEDS: usize = 3;

pub(super) fn lay_out(typed: &Typed, seed: u64) -> Result<Laid, Mistake> {
    let mut walk = Walk::begin(typed, seed);
    for (index, at) in typed.actions.iter().enumerate() {
        walk.schedule(at.time, Turn::File, Step::Act(index));
    }
    while let Some(((time, _, _), step)) = walk.agenda.pop_first() {
        walk.now = Instant::from_nanos(time);
        match step {
            Step::Act(index) => {
                walk.stream = (index as u64) << CHOICES_BITS;
                walk.act(&typed.actions[index])?;
            }
            Step::Undo(action) => walk.undo(action),
            Step::Return(range) => walk.find_way_back(range),
        }
    }
    Ok(Laid { incarnations: walk.incarnations, actions: walk.actions })
}

struct Walk<'s> {
    typed: &'s Typed,
    seed: u64,
    now: Instant,
    /// By time, then turn, then order of entry.
    agenda: BTreeMap<(u64, Turn, u64), Step>,
    entries: u64,
    nodes: Vec<State>,
    incarnations: Vec<Incarnation>,
    actions: Vec<Action>,
    /// The stream of the next random choice: above, the place of the action in the file; below,
    /// the choice's place in the action.
    stream: u64,
    /// Whether chance had a say so far.
    drawn: bool,
    addresses: u32,
}

/// Who comes first at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Return,
    Undo,
    File,
}

/// What is still to come.
enum Step {
    Act(usize),
    Undo(Box<Action>),
    /// Incarnations that start now.
    Return(Range<usize>),
}

#[derive(Clone, Debug)]
struct State {
    life: Life,
    /// Its first and its last incarnation, in the plan's list.
    first: usize,
    last: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// Runs, or will from a time on.
    Up { since: Instant, stopped: bool },
    /// Went down and nothing brings it back as yet.
    Down { since: Instant },
}

impl Moment for Walk<'_> {
    fn initial(&self) -> u32 {
        self.typed.nodes
    }

    fn so_far(&self) -> u32 {
        number(self.nodes.len())
    }

    fn ever(&self) -> u32 {
        self.typed.nodes + self.typed.newcomers
    }

    fn is_live(&self, node: NodeNo) -> bool {
        let life = self.nodes[node as usize].life;
        matches!(life, Life::Up { since, stopped: false } if since <= self.now)
    }

    fn draw(&mut self) -> Rng {
        self.drawn = true;
        self.stream += 1;
        Rng::fork(self.seed, "scenario", self.stream)
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("checked against NODES_MAX")
}

impl<'s> Walk<'s> {
    fn begin(typed: &'s Typed, seed: u64) -> Self {
        let mut incarnations = initial(typed, seed);
        incarnations.sort_by_key(|incarnation| (incarnation.start, incarnation.node));
        let nobody = State { life: Life::Down { since: Instant::ZERO }, first: 0, last: 0 };
        let mut nodes = vec![nobody; typed.nodes as usize];
        nodes.reserve(typed.newcomers as usize);
        for (index, born) in incarnations.iter().enumerate() {
            let life = Life::Up { since: born.start, stopped: false };
            nodes[born.node as usize] = State { life, first: index, last: index };
        }
        Self {
            typed,
            seed,
            now: Instant::ZERO,
            agenda: BTreeMap::new(),
            entries: 0,
            nodes,
            incarnations,
            actions: Vec::new(),
            stream: 0,
            drawn: false,
            addresses: typed.nodes + typed.newcomers,
        }
    }

    fn schedule(&mut self, time: Duration, turn: Turn, step: Step) {
        self.agenda.insert((nanos(time), turn, self.entries), step);
        self.entries += 1;
    }

    /// The time `after` from now, if the run lasts so long.
    fn later(&self, after: Duration) -> Option<Duration> {
        let time = self.now.since(Instant::ZERO) + after;
        (time <= self.typed.duration).then_some(time)
    }

    fn act(&mut self, at: &At) -> Result<(), Mistake> {
        let deed = match &at.act {
            Act::Publish { node, payload, .. } => self.publish(at, node, payload)?,
            Act::Partition(groups) => self.partition(groups)?,
            Act::Heal(heal) => Deed::Heal(heal.clone()),
            Act::Isolate(nodes) => Deed::Isolate(nodes.evaluate(self)?),
            Act::Link { scope, change, .. } => self.link(scope, change.change())?,
            Act::Crash(nodes) => self.go_down(at, nodes, Manner::Crash)?,
            Act::Leave(nodes) => self.go_down(at, nodes, Manner::Leave)?,
            Act::Stop(nodes) => Deed::Stop(self.silence(at, nodes, Wanted::Live)?),
            Act::Start(nodes) => Deed::Start(self.silence(at, nodes, Wanted::Stopped)?),
            Act::Restart(restart) => self.restart(at, restart)?,
            Act::Join { count, via, over } => self.join(*count, via, *over)?,
        };
        if let Some(hold) = at.hold {
            self.schedule_undo(at, hold, &deed);
        }
        let text = texts::action(at, &deed, &self.incarnations);
        self.push(at.label.clone(), deed, text);
        Ok(())
    }

    fn push(&mut self, label: String, deed: Deed, text: String) {
        self.actions.push(Action { at: self.now, deed, label, text });
    }

    /// Puts the end of `for` on the agenda; what goes down comes back by its own incarnations.
    fn schedule_undo(&mut self, at: &At, hold: Duration, deed: &Deed) {
        let deed = match deed {
            Deed::Stop(nodes) => Deed::Start(nodes.clone()),
            Deed::Partition(_) | Deed::Isolate(_) | Deed::Link { .. } | Deed::Network(_) => {
                Deed::Heal(Heal::Label(at.label.clone()))
            }
            _ => return,
        };
        let Some(time) = self.later(hold) else { return };
        let label = at.label.clone();
        let action = Action { at: Instant::ZERO + time, deed, label, text: String::new() };
        self.schedule(time, Turn::Undo, Step::Undo(Box::new(action)));
    }

    fn undo(&mut self, mut action: Box<Action>) {
        if let Deed::Start(nodes) = &mut action.deed {
            nodes.retain(|&node| self.is(node, Wanted::Stopped));
            for &node in &*nodes {
                self.set_stopped(node, false);
            }
            action.text = format!("start {}", show_set(nodes));
            if nodes.is_empty() {
                return;
            }
        } else {
            action.text = format!("heal {}", action.label);
        }
        self.actions.push(*action);
    }

    fn publish(&mut self, at: &At, node: &Nodes, payload: &Payload) -> Result<Deed, Mistake> {
        let nodes = node.evaluate(self)?;
        let &[publisher] = nodes.as_slice() else {
            let text = format!(
                "one node publishes, {node} are {}: write {{ random = 1, from = {node} }}",
                nodes.len()
            );
            return Err(Mistake::new(node.at, text));
        };
        if !self.is(publisher, Wanted::Running) {
            return Err(self.unfit(node.at, &at.act, &nodes, Wanted::Running));
        }
        let data: Arc<[u8]> = match payload {
            Payload::Data(data) => data.as_bytes().into(),
            Payload::Size(size) => {
                let mut rng = self.draw();
                (0..*size).map(|_| rng.bits().to_le_bytes()[0]).collect()
            }
        };
        Ok(Deed::Publish { node: publisher, data })
    }

    fn partition(&mut self, groups: &[Nodes]) -> Result<Deed, Mistake> {
        let mut sets = Vec::with_capacity(groups.len());
        let mut taken: Vec<NodeNo> = Vec::new();
        for group in groups {
            let set = group.evaluate(self)?;
            if let Some(node) = set.iter().find(|node| taken.binary_search(node).is_ok()) {
                let text = format!("node {node} stands in two groups of this partition");
                return Err(Mistake::new(group.at, text));
            }
            taken.extend(&set);
            taken.sort_unstable();
            sets.push(set);
        }
        Ok(Deed::Partition(sets))
    }

    fn link(&mut self, scope: &Scope, change: rumormill::LinkChange) -> Result<Deed, Mistake> {
        let (from, to, ways) = match scope {
            Scope::Everywhere => return Ok(Deed::Network(change)),
            Scope::FromTo(from, to) => (from, to, Ways::One),
            Scope::Between(one, other) => (one, other, Ways::Both),
        };
        let (from, to) = (from.evaluate(self)?, to.evaluate(self)?);
        Ok(Deed::Link { from, to, ways, change })
    }

    /// `crash` and `leave`; with `for`, they are restarts.
    fn go_down(&mut self, at: &At, nodes: &Nodes, manner: Manner) -> Result<Deed, Mistake> {
        let set = self.fit(at, nodes, Wanted::Running)?;
        match at.hold {
            Some(down) => Ok(self.go_and_return(set, manner, down, Address::Same, None)),
            None => Ok(self.go(set, manner)),
        }
    }

    fn go(&mut self, nodes: Vec<NodeNo>, manner: Manner) -> Deed {
        for &node in &nodes {
            self.nodes[node as usize].life = Life::Down { since: self.now };
        }
        match manner {
            Manner::Crash => Deed::Crash(nodes),
            Manner::Leave => Deed::Leave(nodes),
        }
    }

    fn restart(&mut self, at: &At, restart: &Restart) -> Result<Deed, Mistake> {
        let set = self.fit(at, &restart.nodes, Wanted::NotComing)?;
        let data = restart.private_data.as_deref();
        Ok(self.go_and_return(set, restart.manner, restart.down, restart.address, data))
    }

    fn go_and_return(
        &mut self,
        nodes: Vec<NodeNo>,
        manner: Manner,
        down: Duration,
        address: Address,
        private_data: Option<&str>,
    ) -> Deed {
        // Who would come back after the end of the run just goes.
        let Some(start) = self.later(down) else { return self.go(nodes, manner) };
        let first = self.incarnations.len();
        for &node in &nodes {
            let public = self.next_public(node, address, private_data);
            self.begin_incarnation(Incarnation {
                node,
                start: Instant::ZERO + start,
                public,
                way_in: WayIn::Seeds(Vec::new()),
                cause: StartCause::Restart,
            });
        }
        let comes_back = first..self.incarnations.len();
        self.schedule(start, Turn::Return, Step::Return(comes_back.clone()));
        Deed::Restart { nodes, manner, comes_back }
    }

    fn begin_incarnation(&mut self, incarnation: Incarnation) {
        let last = self.incarnations.len();
        let life = Life::Up { since: incarnation.start, stopped: false };
        match self.nodes.get_mut(incarnation.node as usize) {
            Some(state) => *state = State { life, last, ..*state },
            None => self.nodes.push(State { life, first: last, last }),
        }
        self.incarnations.push(incarnation);
    }

    fn next_public(&mut self, node: NodeNo, at: Address, private_data: Option<&str>) -> Node {
        let last = &self.incarnations[self.nodes[node as usize].last].public;
        let addr = match at {
            Address::Same => last.addr(),
            Address::New => {
                self.addresses += 1;
                address(self.addresses - 1)
            }
        };
        Node::new(addr.to_string())
            .name(last.name())
            .private_data(private_data.unwrap_or(last.private_data()))
            .build()
            .expect("the language limits private data")
    }

    /// Gives nodes that come back now their first seeds if one of them runs, else a few random
    /// live nodes: a cluster doesn't forget how it is reached because node 0 was down once.
    fn find_way_back(&mut self, range: Range<usize>) {
        let live: Vec<NodeNo> = (0..self.so_far()).filter(|&node| self.is_live(node)).collect();
        let mut rng = Rng::fork(self.seed, "return", range.start as u64);
        for index in range {
            let node = self.incarnations[index].node;
            let first = self.nodes[node as usize].first;
            let seeds = match &self.incarnations[first].way_in {
                WayIn::Seeds(seeds) if seeds.iter().any(|&seed| self.is_live(seed)) => {
                    seeds.clone()
                }
                _ => random_others(&live, node, RETURN_SEEDS, &mut rng),
            };
            self.incarnations[index].way_in = WayIn::Seeds(seeds);
        }
    }

    fn silence(&mut self, at: &At, nodes: &Nodes, wanted: Wanted) -> Result<Vec<NodeNo>, Mistake> {
        let set = self.fit(at, nodes, wanted)?;
        for &node in &set {
            self.set_stopped(node, wanted == Wanted::Live);
        }
        Ok(set)
    }

    fn set_stopped(&mut self, node: NodeNo, now_stopped: bool) {
        let Life::Up { stopped, .. } = &mut self.nodes[node as usize].life else {
            unreachable!("only running nodes stop and start")
        };
        *stopped = now_stopped;
    }

    fn join(&mut self, count: u32, via: &Nodes, over: Duration) -> Result<Deed, Mistake> {
        let seeds = via.evaluate(self)?;
        let first = self.incarnations.len();
        for newcomer in 0..count {
            let after = u128::from(nanos(over)) * u128::from(newcomer) / u128::from(count);
            let after = Duration::from_nanos(u64::try_from(after).expect("at most `over`"));
            let node = number(self.nodes.len());
            self.begin_incarnation(Incarnation {
                node,
                start: self.now + after,
                public: public(node),
                way_in: WayIn::Seeds(seeds.clone()),
                cause: StartCause::Join,
            });
        }
        Ok(Deed::Join(first..self.incarnations.len()))
    }

    /// Those of the nodes to which the action can happen now; an error when there are none.
    fn fit(&mut self, at: &At, nodes: &Nodes, wanted: Wanted) -> Result<Vec<NodeNo>, Mistake> {
        let named = nodes.evaluate(self)?;
        let fit: Vec<NodeNo> =
            named.iter().copied().filter(|&node| self.is(node, wanted)).collect();
        // With chance at play nobody may be left by bad luck: then nothing happens.
        let all_started = self.now.since(Instant::ZERO) >= self.typed.start.max;
        if fit.is_empty() && all_started && !self.drawn {
            return Err(self.unfit(nodes.at, &at.act, &named, wanted));
        }
        Ok(fit)
    }

    fn is(&self, node: NodeNo, wanted: Wanted) -> bool {
        let Some(state) = self.nodes.get(node as usize) else { return false };
        match (state.life, wanted) {
            (Life::Down { .. }, Wanted::NotComing) => true,
            (Life::Down { .. }, _) => false,
            (Life::Up { since, .. }, _) if since > self.now => false,
            (Life::Up { .. }, Wanted::Running | Wanted::NotComing) => true,
            (Life::Up { stopped, .. }, Wanted::Live) => !stopped,
            (Life::Up { stopped, .. }, Wanted::Stopped) => stopped,
        }
    }

    /// Why an action can't happen to any of these nodes, by the example of the first.
    fn unfit(&self, at: Place, act: &Act, nodes: &[NodeNo], wanted: Wanted) -> Mistake {
        let first = nodes[0];
        let since = |since: Instant| show_duration(since.since(Instant::ZERO));
        let why = match self.nodes.get(first as usize).map(|state| state.life) {
            None => "has not joined yet".to_owned(),
            Some(Life::Down { since: down }) => format!("went down at {}", since(down)),
            Some(Life::Up { since: up, .. }) if up > self.now => {
                format!("does not run before {}", since(up))
            }
            Some(Life::Up { .. }) if wanted == Wanted::Stopped => "is not stopped".to_owned(),
            Some(Life::Up { .. }) => "is stopped already".to_owned(),
        };
        let who = match nodes.len() {
            1 => format!("node {first}"),
            more => format!("none of these {more} nodes: node {first}"),
        };
        let (now, verb) = (since(self.now), texts::verb(act));
        let fix = match act {
            Act::Publish { .. } => ", `{ random = 1 }` is one that runs",
            _ => "",
        };
        Mistake::new(at, format!("nothing to {verb} at {now}: {who} {why}{fix}"))
    }
}

/// What a node must be for an action to happen to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// Running, stopped or not.
    Running,
    /// Running and not stopped.
    Live,
    /// Running and stopped.
    Stopped,
    /// Running, or down without a return.
    NotComing,
}

fn public(node: NodeNo) -> Node {
    let node = Node::new(address(node).to_string()).name(format!("node-{node}"));
    node.build().expect("our own names are short")
}

fn initial(typed: &Typed, seed: u64) -> Vec<Incarnation> {
    let all: Vec<NodeNo> = (0..typed.nodes).collect();
    let (low, high) = (nanos(typed.start.min), nanos(typed.start.max));
    let start = |node: NodeNo| match low == high {
        true => low,
        false => Rng::fork(seed, "start", node.into()).between(low, high),
    };
    let way_in = |node: NodeNo| match typed.bootstrap {
        Bootstrap::Full => WayIn::Full,
        Bootstrap::First if node == 0 => WayIn::Seeds(Vec::new()),
        Bootstrap::First => WayIn::Seeds(vec![0]),
        Bootstrap::Random(count) => {
            let mut rng = Rng::fork(seed, "bootstrap", node.into());
            WayIn::Seeds(random_others(&all, node, count as usize, &mut rng))
        }
    };
    let begin = |&node: &NodeNo| Incarnation {
        node,
        start: Instant::from_nanos(start(node)),
        public: public(node),
        way_in: way_in(node),
        cause: StartCause::Initial,
    };
    all.iter().map(begin).collect()
}

/// So many distinct nodes of `pool` but `node`, or all of them where there are no more.
fn random_others(pool: &[NodeNo], node: NodeNo, count: usize, rng: &mut Rng) -> Vec<NodeNo> {
    if count * 2 >= pool.len() {
        let mut others: Vec<NodeNo> = pool.iter().copied().filter(|&other| other != node).collect();
        rng.shuffle(&mut others);
        others.truncate(count);
        return others;
    }
    let mut others = Vec::with_capacity(count);
    while others.len() < count {
        let other = pool[rng.below(pool.len())];
        if other != node && !others.contains(&other) {
            others.push(other);
        }
    }
    others
}

#[cfg(test)]
mod tests;
