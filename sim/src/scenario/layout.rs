//! Laying out one run: the actions are walked through in order of time, chance is drawn, and who
//! runs when is kept track of, so that `"live"` has a meaning.
//!
//! It decides nothing about packets: that a node runs, or is stopped, follows from the plan alone.

mod births;
mod fit;
mod packets;
mod texts;
mod updates;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use rumormill::Node;
use rumormill::core::{EntryKey, Terms};
use rumormill::rng::Rng;
use rumormill::time::{Instant, nanos};

use self::births::{initial, random_others};
use self::fit::Wanted;
use super::errors::{Mistake, Mistakes};
use super::language::Typed;
use super::language::actions::{Act, At, Blow, Payload, Repeat, Restart, Return};
use super::language::links::Scope;
use super::language::nodes::{Moment, Nodes, Present};
use super::plan::{
    Action, ClockChange, Deed, Heal, Incarnation, Manner, Memory, NodeNo, StaleSeeds, StartCause,
    WayIn,
};
use super::units::Span;
use crate::percent::Percent;

/// The parts of a plan that depend on the seed.
#[derive(Debug)]
pub(super) struct Laid {
    pub(super) incarnations: Vec<Incarnation>,
    pub(super) actions: Vec<Action>,
}

/// Bits of a stream's number that tell the choices of one action apart.
const CHOICES_BITS: u32 = 32;

/// What an input costs on a processor of its own: measured with 50 real nodes in one process.
const INPUT: Duration = Duration::from_micros(30);

/// Random live nodes that show a returning node the way when its own seeds are gone.
const RETURN_SEEDS: usize = 3;

pub(super) fn lay_out(typed: &Typed, seed: u64) -> Result<Laid, Mistakes> {
    let mut walk = Walk::begin(typed, seed);
    walk.schedule_all();
    while let Some(((time, _, _), step)) = walk.agenda.pop_first() {
        walk.now = Instant::from_nanos(time);
        match step {
            AgendaStep::Act(index) => {
                let acted = walk.act(index);
                walk.found.keep(acted);
            }
            AgendaStep::Next { index, node } => walk.strike_next(&typed.actions[index], node),
            AgendaStep::Undo(action) => walk.undo(action),
            AgendaStep::Return(range) => walk.find_way_back(range),
        }
    }
    match walk.found.is_empty() {
        true => Ok(Laid { incarnations: walk.incarnations, actions: walk.actions }),
        false => Err(walk.found),
    }
}

struct Walk<'s> {
    typed: &'s Typed,
    seed: u64,
    now: Instant,
    /// By time, then turn, then order of entry.
    agenda: BTreeMap<(u64, Turn, u64), AgendaStep>,
    entries: u64,
    nodes: Vec<NodeState>,
    incarnations: Vec<Incarnation>,
    actions: Vec<Action>,
    /// The stream of the last random choice: above, the place of the action in the file; below,
    /// the choice's place among all that the action made so far.
    stream: u64,
    /// By action: how many choices it has made.
    choices: Vec<u64>,
    /// Whether chance had a say so far.
    drawn: bool,
    addresses: u32,
    /// What is wrong so far.
    found: Mistakes,
    /// What nodes say of themselves since an update in their present life.
    updated: BTreeMap<NodeNo, Node>,
}

/// Who comes first at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Return,
    Undo,
    File,
}

/// What is still to come.
enum AgendaStep {
    Act(usize),
    /// An action that goes from node to node comes to this one.
    Next {
        index: usize,
        node: NodeNo,
    },
    Undo(Box<Action>),
    /// Incarnations that start now.
    Return(Range<usize>),
}

#[derive(Clone, Debug)]
struct NodeState {
    life: Life,
    /// Its first and its last incarnation, in the plan's list.
    first: usize,
    last: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// Runs, or will from a time on.
    Up(UpLife),
    /// Went down and nothing brings it back as yet.
    Down { since: Instant },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct UpLife {
    since: Instant,
    stopped: bool,
    paused: bool,
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

    fn group(&self, group: usize) -> &[NodeNo] {
        self.typed.groups.set(group)
    }

    fn present(&mut self) -> Option<&mut dyn Present> {
        Some(self)
    }
}

impl Present for Walk<'_> {
    fn is_live(&self, node: NodeNo) -> bool {
        let life = self.nodes[node as usize].life;
        matches!(life, Life::Up(UpLife { since, stopped: false, .. }) if since <= self.now)
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
        let nobody = NodeState { life: Life::Down { since: Instant::ZERO }, first: 0, last: 0 };
        let mut nodes = vec![nobody; typed.nodes as usize];
        nodes.reserve(typed.newcomers as usize);
        for (index, born) in incarnations.iter().enumerate() {
            let life = Life::Up(UpLife { since: born.start, stopped: false, paused: false });
            nodes[born.node as usize] = NodeState { life, first: index, last: index };
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
            choices: vec![0; typed.actions.len()],
            drawn: false,
            addresses: typed.nodes + typed.newcomers,
            found: Mistakes::default(),
            updated: BTreeMap::new(),
        }
    }

    fn schedule(&mut self, time: Duration, turn: Turn, step: AgendaStep) {
        self.agenda.insert((nanos(time), turn, self.entries), step);
        self.entries += 1;
    }

    /// The time `after` from now, if the run lasts so long.
    fn later(&self, after: Duration) -> Option<Duration> {
        let time = self.now.since(Instant::ZERO) + after;
        (time <= self.typed.duration).then_some(time)
    }

    /// Puts every time of every action on the agenda.
    fn schedule_all(&mut self) {
        let typed = self.typed;
        for (index, at) in typed.actions.iter().enumerate() {
            let Repeat { every, count } = at.repeat;
            for round in 0..count {
                let late = match nanos(at.jitter) {
                    0 => 0,
                    widest => {
                        let key = (index as u64) << CHOICES_BITS | u64::from(round);
                        Rng::fork(self.seed, "jitter", key).between(0, widest)
                    }
                };
                let time = at.time + every * round + Duration::from_nanos(late);
                self.schedule(time.min(typed.duration), Turn::File, AgendaStep::Act(index));
            }
        }
    }

    fn act(&mut self, index: usize) -> Result<(), Mistake> {
        let typed = self.typed;
        let at = &typed.actions[index];
        self.stream = (index as u64) << CHOICES_BITS | self.choices[index];
        let first = self.stream;
        // What comes at a random time may come at a bad one.
        self.drawn |= !at.jitter.is_zero();
        let deed = self.deed(at, index)?;
        self.happen(at, deed);
        self.choices[index] += self.stream - first;
        Ok(())
    }

    /// What an action does now; what it does later is put on the agenda.
    fn deed(&mut self, at: &At, index: usize) -> Result<Deed, Mistake> {
        match &at.act {
            Act::Publish { node, payload, .. } => self.publish(at, node, payload),
            Act::Write { node, key, put, .. } => self.write(at, node, key, put.as_ref()),
            Act::Partition(groups) => self.partition(groups),
            Act::Heal(healing) => Ok(Deed::Heal(healing.heal())),
            Act::Link { scope, change, .. } => self.link(scope.as_ref(), change.change()),
            Act::Join { count, via, over } => self.join(*count, via, *over),
            Act::Drop(drop) => self.drop_one(drop),
            Act::Replay(replay) => self.replay(at, replay),
            Act::Inject(inject) => self.inject(at, inject),
            Act::Strike { nodes, blow } => {
                let set = self.fit(at, nodes, Wanted::by(blow))?;
                Ok(self.strike_first(at, index, blow, set))
            }
        }
    }

    /// The first node now, and the others as far apart as `stagger` says, as long as the run lasts.
    fn strike_first(&mut self, at: &At, index: usize, blow: &Blow, set: Vec<NodeNo>) -> Deed {
        if at.stagger.is_zero() || set.is_empty() {
            return self.strike(at, blow, set);
        }
        for (turn, &node) in (1..).zip(&set[1..]) {
            let Some(time) = self.later(at.stagger.saturating_mul(turn)) else { break };
            self.schedule(time, Turn::File, AgendaStep::Next { index, node });
        }
        self.strike(at, blow, vec![set[0]])
    }

    /// One node's turn; if it went down meanwhile, or the like, it is passed over.
    fn strike_next(&mut self, at: &At, node: NodeNo) {
        if let Act::Strike { blow, .. } = &at.act
            && self.is(node, Wanted::by(blow))
        {
            let deed = self.strike(at, blow, vec![node]);
            self.happen(at, deed);
        }
    }

    /// What an action does to nodes to which it can happen.
    fn strike(&mut self, at: &At, blow: &Blow, nodes: Vec<NodeNo>) -> Deed {
        match blow {
            Blow::Isolate => Deed::Isolate(nodes),
            Blow::Crash => self.go_down(at, nodes, Manner::Crash),
            Blow::Leave => self.go_down(at, nodes, Manner::Leave),
            Blow::Stop => {
                self.each_up(&nodes, |up| up.stopped = true);
                Deed::Stop(nodes)
            }
            Blow::Start => {
                self.each_up(&nodes, |up| up.stopped = false);
                Deed::Start(nodes)
            }
            Blow::Pause => {
                self.each_up(&nodes, |up| up.paused = true);
                Deed::Pause(nodes)
            }
            Blow::Suspend => {
                self.each_up(&nodes, |up| up.paused = true);
                Deed::Suspend(nodes)
            }
            Blow::Starve(Span { min, max }) => Deed::Starve { nodes, delay: *min..=*max },
            Blow::Slow(cpu) => Deed::Slow { nodes, cost: cost(*cpu) },
            Blow::Update(update) => Deed::Update(self.update(update, &nodes)),
            Blow::Restart(Restart { manner, how }) => self.go_and_return(nodes, *manner, how),
            Blow::Clock(setting) => Deed::Clock { nodes, change: setting.change() },
        }
    }

    /// Writes down what happens now, and puts its end on the agenda.
    fn happen(&mut self, at: &At, deed: Deed) {
        if let Some(hold) = at.hold {
            self.schedule_undo(at, hold, &deed);
        }
        let text = texts::action(at, &deed, &self.incarnations, &self.typed.groups);
        let label = at.label.clone();
        self.actions.push(Action { at: self.now, deed, label, text });
    }

    /// Puts the end of `for` on the agenda; what goes down comes back by its own incarnations.
    fn schedule_undo(&mut self, at: &At, hold: Duration, deed: &Deed) {
        let deed = match deed {
            Deed::Stop(nodes) => Deed::Start(nodes.clone()),
            Deed::Pause(nodes) | Deed::Suspend(nodes) => Deed::Resume(nodes.clone()),
            Deed::Starve { nodes, .. } | Deed::Slow { nodes, .. } => {
                Deed::Relieve { nodes: nodes.clone(), of: self.actions.len() }
            }
            Deed::Clock { nodes, change } => {
                Deed::Clock { nodes: nodes.clone(), change: undone(*change) }
            }
            Deed::Partition(_) | Deed::Isolate(_) | Deed::Link { .. } | Deed::Network(_) => {
                Deed::Heal(Heal::Action(self.actions.len()))
            }
            _ => return,
        };
        let Some(time) = self.later(hold) else { return };
        let label = at.label.clone();
        let action = Action { at: Instant::ZERO + time, deed, label, text: String::new() };
        self.schedule(time, Turn::Undo, AgendaStep::Undo(Box::new(action)));
    }

    fn undo(&mut self, mut action: Box<Action>) {
        let nobody = match &mut action.deed {
            Deed::Start(nodes) => {
                nodes.retain(|&node| self.is(node, Wanted::Stopped));
                self.each_up(nodes, |up| up.stopped = false);
                nodes.is_empty()
            }
            Deed::Resume(nodes) => {
                nodes.retain(|&node| self.is(node, Wanted::Paused));
                self.each_up(nodes, |up| up.paused = false);
                nodes.is_empty()
            }
            _ => false,
        };
        if !nobody {
            action.text = texts::undo(&action, &self.typed.groups);
            self.actions.push(*action);
        }
    }

    fn publish(&mut self, at: &At, node: &Nodes, payload: &Payload) -> Result<Deed, Mistake> {
        let publisher = self.one_node(at, node, "publishes")?;
        Ok(Deed::Publish { node: publisher, data: self.bytes(payload) })
    }

    /// Writes an entry, or deletes one.
    fn write(
        &mut self,
        at: &At,
        node: &Nodes,
        key: &str,
        put: Option<&(Payload, Terms)>,
    ) -> Result<Deed, Mistake> {
        let node = self.one_node(at, node, "writes")?;
        let key = EntryKey::new(key).expect("the language knows keys");
        let put = put.map(|(payload, terms)| (self.bytes(payload), *terms));
        Ok(Deed::Write { node, key, put })
    }

    /// The one node that does something.
    fn one_node(&mut self, at: &At, node: &Nodes, does: &str) -> Result<NodeNo, Mistake> {
        let nodes = node.evaluate(self)?;
        let &[publisher] = nodes.as_slice() else {
            let text = format!(
                "one node {does}, {node} are {}: write {{ random = 1, from = {node} }}",
                nodes.len()
            );
            return Err(Mistake::new(node.at, text));
        };
        // Whom chance chose may be paused: then the world says that nothing is published.
        let wanted = if self.drawn { Wanted::Running } else { Wanted::Awake };
        if !self.is(publisher, wanted) && self.found.is_empty() {
            return Err(self.unfit(node.at, &at.act, &nodes, wanted));
        }
        Ok(publisher)
    }

    fn bytes(&mut self, payload: &Payload) -> Arc<[u8]> {
        match payload {
            Payload::Data(data) => data.as_bytes().into(),
            Payload::Size(size) => {
                let mut rng = self.draw();
                (0..*size).map(|_| rng.bits().to_le_bytes()[0]).collect()
            }
        }
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

    fn link(
        &mut self,
        scope: Option<&Scope>,
        change: rumormill::link::LinkChange,
    ) -> Result<Deed, Mistake> {
        let Some(scope) = scope else { return Ok(Deed::Network(change)) };
        Ok(Deed::Link { links: scope.evaluate(self)?, change })
    }

    /// `crash` and `leave`; with `for`, they are restarts.
    fn go_down(&mut self, at: &At, nodes: Vec<NodeNo>, manner: Manner) -> Deed {
        match at.hold {
            Some(down) => self.go_and_return(nodes, manner, &Return::after(down)),
            None => self.go(nodes, manner),
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

    fn go_and_return(&mut self, nodes: Vec<NodeNo>, manner: Manner, how: &Return) -> Deed {
        // Who would come back after the end of the run just goes.
        let Some(start) = self.later(how.down) else { return self.go(nodes, manner) };
        let first = self.incarnations.len();
        let start_at = Instant::ZERO + start;
        let stale = |stale_for| StaleSeeds { as_of: self.now, until: start_at + stale_for };
        let stale_seeds = how.stale_seeds.map(stale);
        for &node in &nodes {
            let public = self.next_public(node, how.address, how.private_data.as_deref());
            self.begin_incarnation(Incarnation {
                node,
                start: start_at,
                public,
                config: self.next_config(node, how.wire_max),
                way_in: WayIn::Seeds(Vec::new()),
                cause: StartCause::Restart,
                memory: how.memory,
                stale_seeds,
            });
        }
        let comes_back = first..self.incarnations.len();
        self.schedule(start, Turn::Return, AgendaStep::Return(comes_back.clone()));
        Deed::Restart { nodes, manner, comes_back }
    }

    fn begin_incarnation(&mut self, incarnation: Incarnation) {
        let last = self.incarnations.len();
        let life = Life::Up(UpLife { since: incarnation.start, stopped: false, paused: false });
        match self.nodes.get_mut(incarnation.node as usize) {
            Some(state) => *state = NodeState { life, last, ..*state },
            None => self.nodes.push(NodeState { life, first: last, last }),
        }
        self.incarnations.push(incarnation);
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

    /// Changes those of these nodes that run.
    fn each_up(&mut self, nodes: &[NodeNo], change: impl Fn(&mut UpLife)) {
        for &node in nodes {
            if let Life::Up(up) = &mut self.nodes[node as usize].life {
                change(up);
            }
        }
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
                public: births::public(self.typed, node),
                config: births::config(self.typed, node),
                way_in: WayIn::Seeds(seeds.clone()),
                cause: StartCause::Join,
                memory: Memory::Keeps,
                stale_seeds: None,
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
        // And what went wrong before may be why.
        let is_certain = !self.drawn && self.found.is_empty();
        if fit.is_empty() && all_started && is_certain {
            return Err(self.unfit(nodes.at, &at.act, &named, wanted));
        }
        Ok(fit)
    }
}

/// What an input costs with this share of a processor.
fn cost(cpu: Percent) -> Duration {
    Duration::from_nanos(nanos(INPUT) * Percent::WHOLE.ppb / cpu.ppb)
}

/// What makes a change of clocks undone.
fn undone(change: ClockChange) -> ClockChange {
    match change {
        ClockChange::Jump { nanos } | ClockChange::Unjump { nanos } => {
            ClockChange::Unjump { nanos }
        }
        ClockChange::Offset { .. } | ClockChange::OwnOffset => ClockChange::OwnOffset,
        ClockChange::Drift { .. } | ClockChange::OwnDrift => ClockChange::OwnDrift,
    }
}

#[cfg(test)]
mod tests;
