//! The roll call: when many fall silent at once, each of them is asked before any is removed.
//!
//! Last calls have a limit, lest half a cluster that falls silent be answered by a flood. But when
//! nearly all are dead, the few that live fall silent too, for most of what they tell goes to the
//! dead; and drawn by chance from so many they were called too late or never: of 300 nodes of which
//! 295 crashed, the five that were left removed each other on 100 of 100 seeds. Hence:
//!
//! - Those are called first who were called least, and of them those who were heard of last.
//! - Beyond an eighth of the list all are called twice, whatever the limit says, an answer's time
//!   apart and spread over the best part of a cycle, and nobody is removed before it was.
//! - While most are silent, who is known to live is told first: so the living find each other.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use super::engine::{Engine, Life};
use super::io::Outbox;
use super::roster::NodeIx;
use crate::config::Liveness;
use crate::time::{Instant, Now};

/// Who was called since it fell silent, and whether all are.
#[derive(Clone, Debug, Default)]
pub(super) struct RollCall {
    /// Many fell silent at once, and not all of them have spoken or gone.
    is_on: bool,
    /// How many were silent when they were last looked for.
    silent: usize,
    called: BTreeMap<NodeIx, Called>,
}

#[derive(Clone, Copy, Debug)]
struct Called {
    times: u32,
    last: Instant,
    /// When the answer to the last call that the roll takes should have come.
    answer_due: Instant,
}

impl RollCall {
    /// One answer may get lost; whom two did not reach is called again within the limit.
    pub(super) const CALLS: u32 = 2;
    /// The share of the list that is many, as its inverse.
    const MEMBERS_PER_SILENT: usize = 8;
    /// So few are called in each quarter of a cycle within the limit on last calls.
    const FEW: usize = 16;
    /// Looks at the clock in a cycle, and those in which all are called once.
    pub(super) const LOOKS_PER_CYCLE: u32 = 20;
    const LOOKS_PER_CALL: usize = 8;

    /// True when so many silent ones are many.
    pub(super) fn is_due(silent: usize, members: usize) -> bool {
        silent > Self::FEW.max(members / Self::MEMBERS_PER_SILENT)
    }

    /// Calls at one look.
    pub(super) fn share(silent: usize) -> usize {
        silent.div_ceil(Self::LOOKS_PER_CALL).max(Self::FEW)
    }

    fn times(&self, node: NodeIx) -> u32 {
        self.called.get(&node).map_or(0, |called| called.times)
    }
}

impl Engine {
    /// True while so many are silent that those who are drawn by chance mostly are. Not sooner: in
    /// a bad network many are silent at any time, and who tells only those that he hears parts the
    /// cluster into circles.
    pub(super) fn most_are_silent(&self) -> bool {
        let silent = match self.config.liveness() {
            Liveness::Beats => self.roll_call.silent,
            Liveness::Probes => self.suspects.len(),
            Liveness::Off => 0,
        };
        silent > RollCall::FEW && 2 * silent > self.members.len()
    }

    /// True while so many are suspected that all of them are called.
    pub(super) fn many_are_suspected(&self) -> bool {
        RollCall::is_due(self.suspects.len(), self.members.len())
    }

    /// Takes note of who is silent now: who spoke meanwhile was not called since.
    pub(super) fn note_silent(&mut self, silent: &[NodeIx]) {
        let RollCall { is_on, silent: count, called } = &mut self.roll_call;
        *count = silent.len();
        *is_on = RollCall::is_due(silent.len(), self.members.len()) || *is_on && !silent.is_empty();
        if called.is_empty() {
            return;
        }
        let members = &self.members;
        let before = std::mem::take(called);
        let since = |&node: &NodeIx| {
            let called = *before.get(&node)?;
            (called.last >= members.raised_at(node)).then_some((node, called))
        };
        *called = silent.iter().filter_map(since).collect();
    }

    /// True when there is nothing more to wait for from a silent member.
    pub(super) fn is_over(&self, now: Instant, node: NodeIx) -> bool {
        let end = self.silence_end(node);
        if !self.roll_call.is_on || self.life != Life::Running {
            return now >= end;
        }
        let called = self.roll_call.called.get(&node);
        called.is_some_and(|it| it.times >= RollCall::CALLS && now >= end.max(it.answer_due))
    }

    /// Calls those of the silent whose turn it is; when to look again.
    pub(super) fn make_last_calls(
        &mut self,
        now: Now,
        silent: &[NodeIx],
        out: &mut Outbox,
    ) -> Instant {
        let is_due = |node: &NodeIx| self.next_call(*node) <= now.mono;
        let mut due: Vec<_> = silent.iter().copied().filter(is_due).collect();
        due.sort_by_key(|&node| {
            (self.roll_call.times(node), Reverse(self.members.raised_at(node)))
        });
        let mut share = if self.roll_call.is_on { RollCall::share(silent.len()) } else { 0 };
        for node in due {
            let is_of_roll = share > 0 && self.roll_call.times(node) < RollCall::CALLS;
            share -= usize::from(is_of_roll);
            if self.life == Life::Running && (is_of_roll || self.may_call()) {
                self.call(now, node, out);
            }
        }
        self.next_look(now.mono, silent)
    }

    /// When a silent member is to be called next.
    fn next_call(&self, node: NodeIx) -> Instant {
        match self.roll_call.called.get(&node) {
            None => Instant::ZERO,
            Some(it) if self.roll_call.is_on && it.times < RollCall::CALLS => it.answer_due,
            Some(it) => it.last + self.call_period(),
        }
    }

    /// Between two calls to one that does not answer. From the first to the end of the timeout it
    /// is called eight times at least, however few cycles a timeout has: at 20 % loss each way
    /// four were in vain for one in sixty.
    fn call_period(&self) -> Duration {
        (self.config.cycle() / 4).min(self.config.timeout() / 20)
    }

    fn call(&mut self, now: Now, node: NodeIx, out: &mut Outbox) {
        let patience = self.rtts.patience_of_all(&self.config);
        let called = self.roll_call.called.entry(node).or_insert(Called {
            times: 0,
            last: now.mono,
            answer_due: now.mono,
        });
        called.times += 1;
        called.last = now.mono;
        if called.times <= RollCall::CALLS {
            called.answer_due = now.mono + patience;
        }
        self.send_last_call(now, self.members.addr(node), out);
    }

    /// When the first of the silent is to be called or removed. Whoever could not be called, for
    /// the limit's sake, waits for as long as those that were.
    fn next_look(&self, now: Instant, silent: &[NodeIx]) -> Instant {
        let quarter = now + self.call_period();
        let soon = now + self.config.cycle() / RollCall::LOOKS_PER_CYCLE;
        let look = |&node: &NodeIx| {
            let end = self.silence_end(node);
            let call = self.next_call(node);
            match self.roll_call.is_on {
                true if end <= now => soon,
                true => call.max(soon).min(quarter).min(end),
                false if call <= now => quarter.min(end),
                false => call.min(end),
            }
        };
        silent.iter().map(look).min().unwrap_or(quarter)
    }

    /// Some of those who are known to live, at most so many, when most of those who are drawn by
    /// chance would be silent; else nobody.
    pub(super) fn pick_awake(&mut self, now: Instant, count: usize) -> Vec<NodeIx> {
        if !self.most_are_silent() {
            return Vec::new();
        }
        let mut awake = self.others();
        awake.retain(|&node| !self.members.is_newcomer(node) && !self.is_silent(now, node));
        let count = count.min(awake.len());
        for at in 0..count {
            let other = at + self.rng.below(awake.len() - at);
            awake.swap(at, other);
        }
        awake.truncate(count);
        awake
    }
}
