//! One outbreak of an epidemic, round by round, from one node that holds the rumor to the end.
//!
//! **A round.** Every contact is with one of the other nodes, drawn evenly; the contacts of one
//! node in one round are with different nodes. Who holds the rumor and who is active is judged as
//! it was when the round began: two nodes that tell the same third one in one round are both
//! useful to it, and it tells nobody before the next round.
//!
//! **Traffic.** Each telling counts, the lost and the unnecessary included. A pull from a node
//! that isn't active costs nothing. With push-pull, two active nodes in contact tell each other.
//!
//! **Interest.** Pushing nodes judge each of their contacts. Where nodes are asked, the tellings
//! of a round are judged together, once: they were useful if any of them was, and a round in
//! which nobody asked changes nothing. What gets lost is no news to the teller: it moves a blind
//! coin or counter, and leaves one with feedback as it is.

use rumormill::rng::Rng;

use super::{Cause, Epidemic, ModelSpread, Rule, Stop};
use crate::bits::BitMatrix;

/// What became of one outbreak.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outbreak {
    nodes: u32,
    /// How many held the rumor after each round, up to the last that reached anybody. The first
    /// is the source alone, before the first round.
    holders: Vec<u32>,
    tellings: u64,
}

impl Outbreak {
    /// The outbreak of one run of an epidemic, with a stream of chance of its own. `progress` is
    /// told after each round how many nodes it reached.
    pub fn nth(epidemic: &Epidemic, seed: u64, run: u64, progress: &mut dyn FnMut(u32)) -> Self {
        let mut rng = Rng::fork(seed, "model", run);
        let mut state = OutbreakState::new(epidemic, &mut rng);
        let mut holders = vec![1];
        let (mut holding, mut last) = (1, 0);
        while state.goes_on(holding) {
            state.round();
            let reached = state.settle();
            progress(reached);
            holding += reached;
            holders.push(holding);
            last = if reached > 0 { holders.len() - 1 } else { last };
        }
        holders.truncate(last + 1);
        Self { nodes: epidemic.nodes(), holders, tellings: state.tellings }
    }

    /// Share of nodes that never held the rumor.
    pub fn residue(&self) -> f64 {
        f64::from(self.nodes - self.holding()) / f64::from(self.nodes)
    }

    /// How often the rumor was told, per node.
    pub fn traffic(&self) -> f64 {
        self.tellings as f64 / f64::from(self.nodes)
    }

    /// The mean, over nodes that came to hold the rumor, of the round that brought it; the source
    /// held it in round 0.
    pub fn t_ave(&self) -> f64 {
        let in_round = self.holders.windows(2).map(|pair| u64::from(pair[1] - pair[0]));
        let sum: u64 =
            (1..).zip(in_round).map(|(round, reached): (u64, u64)| round * reached).sum();
        sum as f64 / f64::from(self.holding())
    }

    /// The last round that brought the rumor to anybody.
    pub fn t_last(&self) -> u32 {
        self.holders.len() as u32 - 1
    }

    /// The round after which all held the rumor, if that came.
    pub fn rounds_to_all(&self) -> Option<u32> {
        (self.holding() == self.nodes).then(|| self.t_last())
    }

    /// Share of nodes that held the rumor after a round; 0 is before the first.
    pub fn coverage(&self, round: u32) -> f64 {
        let last = self.holders.len() - 1;
        f64::from(self.holders[last.min(round as usize)]) / f64::from(self.nodes)
    }

    fn holding(&self) -> u32 {
        *self.holders.last().expect("the source holds it before the first round")
    }
}

/// Rows of flags, one flag a node.
const HOLDS: u32 = 0;
/// The others are kept only where nodes are asked, since those don't know beforehand by whom.
const ACTIVE: u32 = 1;
/// In this round: told somebody, told somebody who lacked it, told somebody who held it.
const TOLD: u32 = 2;
const USEFUL: u32 = 3;
const UNNECESSARY: u32 = 4;

/// An outbreak on its way.
struct OutbreakState<'a> {
    epidemic: Epidemic,
    rng: &'a mut Rng,
    flags: BitMatrix,
    active: Vec<Active>,
    /// Nodes reached in this round, some of them more than once.
    reached: Vec<u32>,
    /// Whom a node contacts in this round.
    others: Vec<u32>,
    tellings: u64,
}

/// A node that is active, and the contacts that count against its interest so far.
struct Active {
    node: u32,
    count: u32,
}

/// What a telling came to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Telling {
    Useful,
    Unnecessary,
    Lost,
}

impl<'a> OutbreakState<'a> {
    fn new(epidemic: &Epidemic, rng: &'a mut Rng) -> Self {
        let rows = if epidemic.spread() == ModelSpread::Push { HOLDS } else { UNNECESSARY } + 1;
        let mut state = Self {
            epidemic: *epidemic,
            rng,
            flags: BitMatrix::new(rows as usize, epidemic.nodes() as usize),
            active: Vec::new(),
            reached: vec![0],
            others: Vec::new(),
            tellings: 0,
        };
        state.settle();
        state
    }

    fn goes_on(&self, holding: u32) -> bool {
        let is_over = self.epidemic.stop() == Stop::Never && holding == self.epidemic.nodes();
        !self.active.is_empty() && !is_over
    }

    fn round(&mut self) {
        match self.epidemic.spread() {
            ModelSpread::Push => self.push(),
            ModelSpread::Pull | ModelSpread::PushPull => {
                (0..self.epidemic.nodes()).for_each(|caller| self.call(caller));
                self.judge_round();
            }
        }
    }

    /// Every active node tells others.
    fn push(&mut self) {
        let mut active = std::mem::take(&mut self.active);
        active.retain_mut(|teller| {
            let mut interested = true;
            self.draw_others(teller.node);
            for place in 0..self.others.len() {
                let telling = self.tell(self.others[place]);
                interested &= self.stays_interested(&mut teller.count, telling);
            }
            interested
        });
        self.active = active;
    }

    /// A node contacts others, and whoever of the two is active, and may, tells the other.
    fn call(&mut self, caller: u32) {
        let pushes =
            self.epidemic.spread() == ModelSpread::PushPull && self.flags.has(ACTIVE, caller);
        self.draw_others(caller);
        for place in 0..self.others.len() {
            let other = self.others[place];
            if pushes {
                self.tell_on_record(caller, other);
            }
            if self.flags.has(ACTIVE, other) {
                self.tell_on_record(other, caller);
            }
        }
    }

    /// Draws whom a node contacts.
    fn draw_others(&mut self, node: u32) {
        let others = self.epidemic.nodes() as usize - 1;
        self.others.clear();
        while self.others.len() < self.epidemic.fan_out() as usize {
            let drawn = self.rng.below(others) as u32;
            let other = if drawn < node { drawn } else { drawn + 1 };
            if !self.others.contains(&other) {
                self.others.push(other);
            }
        }
    }

    fn tell(&mut self, other: u32) -> Telling {
        self.tellings += 1;
        if self.rng.chance(self.epidemic.loss()) {
            return Telling::Lost;
        }
        if self.flags.has(HOLDS, other) {
            return Telling::Unnecessary;
        }
        self.reached.push(other);
        Telling::Useful
    }

    fn tell_on_record(&mut self, teller: u32, other: u32) {
        self.flags.set(TOLD, teller);
        match self.tell(other) {
            Telling::Useful => _ = self.flags.set(USEFUL, teller),
            Telling::Unnecessary => _ = self.flags.set(UNNECESSARY, teller),
            Telling::Lost => {}
        }
    }

    /// Judges what each active node told in this round, all together.
    fn judge_round(&mut self) {
        let mut active = std::mem::take(&mut self.active);
        active.retain_mut(|teller| {
            let did = |what| self.flags.has(what, teller.node);
            let telling = match (did(TOLD), did(USEFUL), did(UNNECESSARY)) {
                (false, ..) => return true,
                (_, true, _) => Telling::Useful,
                (_, _, true) => Telling::Unnecessary,
                _ => Telling::Lost,
            };
            let interested = self.stays_interested(&mut teller.count, telling);
            if !interested {
                self.flags.clear(ACTIVE, teller.node);
            }
            interested
        });
        self.active = active;
        [TOLD, USEFUL, UNNECESSARY].into_iter().for_each(|row| self.flags.clear_row(row));
    }

    fn stays_interested(&mut self, count: &mut u32, telling: Telling) -> bool {
        let Stop::After(cause, rule, k) = self.epidemic.stop() else { return true };
        let counts = cause == Cause::Blind || telling == Telling::Unnecessary;
        match rule {
            Rule::Coin => !counts || self.rng.below(k as usize) > 0,
            Rule::Counter => {
                match telling {
                    _ if counts => *count += 1,
                    Telling::Useful => *count = 0,
                    Telling::Unnecessary | Telling::Lost => {}
                }
                *count < k
            }
        }
    }

    /// Ends a round: whoever was reached holds the rumor and is active. Says how many are new.
    fn settle(&mut self) -> u32 {
        let before = self.active.len();
        for node in self.reached.drain(..) {
            if self.flags.set(HOLDS, node) {
                self.active.push(Active { node, count: 0 });
                if self.epidemic.spread() != ModelSpread::Push {
                    self.flags.set(ACTIVE, node);
                }
            }
        }
        (self.active.len() - before) as u32
    }
}

#[cfg(test)]
mod tests;
