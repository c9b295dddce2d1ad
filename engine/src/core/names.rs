//! Two members with one name: a node that moved to a new address, or two that disagree.
//!
//! Both are called. If only one answers, it has replaced the other, which need not wait for its
//! timeout; a container that was started anew is listed once. If both answer, both stay, and the
//! service is told once. Replacing at once would make two live namesakes flap every cycle.

use std::net::SocketAddr;
use std::sync::Arc;

use super::engine::{Engine, Life};
use super::io::{Event, Outbox};
use super::packet::{Cause, Reply};
use super::roster::NodeIx;
use super::timers::Timer;
use crate::node::NodeId;
use crate::time::{Instant, Now};

/// The pairs under examination, and those that were judged.
#[derive(Clone, Debug, Default)]
pub(super) struct Rivals {
    open: Vec<Pair>,
    judged: Vec<[NodeId; 2]>,
}

#[derive(Clone, Debug)]
struct Pair {
    sides: [Side; 2],
    since: Instant,
    calls: u32,
}

#[derive(Clone, Copy, Debug)]
struct Side {
    node: NodeIx,
    place: NodeId,
    alive: bool,
}

impl Pair {
    fn key(&self) -> [NodeId; 2] {
        key(self.sides[0].place, self.sides[1].place)
    }
}

fn key(a: NodeId, b: NodeId) -> [NodeId; 2] {
    [a.min(b), a.max(b)]
}

impl Rivals {
    const OPEN_MAX: usize = 64;
    const JUDGED_MAX: usize = 1024;
    const CALLS_MAX: u32 = 3;

    /// A pair is examined once; what comes back after that is there to stay.
    fn judge(&mut self, pair: &Pair) {
        if self.judged.len() == Self::JUDGED_MAX {
            self.judged.remove(0);
        }
        self.judged.push(pair.key());
    }

    /// Notes that the node at this place answered.
    pub(super) fn answered(&mut self, place: NodeId) {
        let sides = self.open.iter_mut().flat_map(|pair| &mut pair.sides);
        sides.filter(|side| side.place == place).for_each(|side| side.alive = true);
    }
}

impl Engine {
    /// Examines a member that was just listed, if another has its name.
    pub(super) fn examine_name(&mut self, now: Now, node: NodeIx, out: &mut Outbox) {
        let Some(other) = self.members.namesake(node) else { return };
        let side = |node| {
            let (place, alive) = (self.members.place(node), node == self.members.me());
            Side { node, place, alive }
        };
        let pair = Pair { sides: [side(other), side(node)], since: now.mono, calls: 0 };
        let known = self.rivals.open.iter().any(|open| open.key() == pair.key());
        let judged = self.rivals.judged.contains(&pair.key());
        let full = self.rivals.open.len() == Rivals::OPEN_MAX;
        if known || judged || full || self.life != Life::Running {
            return;
        }
        self.rivals.open.push(pair);
        self.on_names(now, out);
    }

    /// Calls those that have not answered, and judges the pairs that were called often enough.
    pub(super) fn on_names(&mut self, now: Now, out: &mut Outbox) {
        for mut pair in std::mem::take(&mut self.rivals.open) {
            for side in &mut pair.sides {
                side.alive |= self.members.raised_at(side.node) > pair.since;
            }
            let both_listed = pair.sides.iter().all(|side| self.members.is_listed(side.node));
            match pair.sides.map(|side| side.alive) {
                _ if !both_listed => {}
                [true, true] => self.report_namesakes(&pair, out),
                [false, true] if pair.calls == Rivals::CALLS_MAX => {
                    self.replace(now, &pair, 0, out);
                }
                [true, false] if pair.calls == Rivals::CALLS_MAX => {
                    self.replace(now, &pair, 1, out);
                }
                _ if pair.calls == Rivals::CALLS_MAX => {}
                _ => {
                    self.call_silent(now, &pair, out);
                    pair.calls += 1;
                    self.rivals.open.push(pair);
                }
            }
        }
        if !self.rivals.open.is_empty() {
            let wait = self.rtts.patience_of_all(&self.config);
            self.timers.set_earlier(Timer::Names, now.mono + wait);
        }
    }

    fn call_silent(&self, now: Now, pair: &Pair, out: &mut Outbox) {
        for side in pair.sides.iter().filter(|side| !side.alive) {
            let to: SocketAddr = self.members.addr(side.node);
            self.send_probe(to, self.token_for(now.mono, to), Reply::Datagram, out);
        }
    }

    fn report_namesakes(&mut self, pair: &Pair, out: &mut Outbox) {
        let [first, second] = pair.sides.map(|side| Arc::clone(self.members.record(side.node)));
        self.rivals.judge(pair);
        out.event(Event::NameConflict { first, second });
    }

    fn replace(&mut self, now: Now, pair: &Pair, silent: usize, out: &mut Outbox) {
        let by = Arc::clone(self.members.record(pair.sides[1 - silent].node));
        self.rivals.judge(pair);
        // For the others it is a removal by timeout: a judgement of our own, which only blocks.
        // It is not dialled for ever: it has moved.
        let node = pair.sides[silent].node;
        let old = self.members.remove(now.mono, node, Cause::Timeout);
        self.absolve(old.node().addr());
        // Its last beat may still be under way to us: what lives beats once more.
        self.members.raise_counter(node, self.members.counter(node) + 1);
        out.event(Event::Replaced { old, by });
    }
}
