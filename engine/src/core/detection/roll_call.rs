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

use super::Detection;
use crate::core::context::{Context, FEW_SILENT, Life, are_many};
use crate::core::members::NodeIx;
use crate::time::Instant;

/// Who was called since it fell silent, and whether all are.
#[derive(Clone, Debug, Default)]
pub(super) struct RollCall {
    /// Many fell silent at once, and not all of them have spoken or gone.
    is_on: bool,
    called: BTreeMap<NodeIx, RollEntry>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct RollEntry {
    times: u32,
    last: Instant,
    /// When the answer to the last call that the roll takes should have come.
    answer_due: Instant,
}

impl RollCall {
    /// One answer may get lost; whom two did not reach is called again within the limit.
    pub(super) const CALLS: u32 = 2;
    /// Looks at the clock in a cycle, and those in which all are called once.
    const LOOKS_PER_CYCLE: u32 = 20;
    const LOOKS_PER_CALL: usize = 8;

    /// Calls at one look.
    pub(crate) fn share(silent: usize) -> usize {
        silent.div_ceil(Self::LOOKS_PER_CALL).max(FEW_SILENT)
    }

    fn times(&self, node: NodeIx) -> u32 {
        self.called.get(&node).map_or(0, |called| called.times)
    }
}

impl Detection {
    /// Takes note of who is silent now: who spoke meanwhile was not called since.
    pub(super) fn note_silent(&mut self, cx: &mut Context<'_>, silent: &[NodeIx]) {
        cx.members.note_silent(silent.len());
        let RollCall { is_on, called } = &mut self.roll_call;
        *is_on = are_many(silent.len(), cx.members.len()) || *is_on && !silent.is_empty();
        if called.is_empty() {
            return;
        }
        let members = &cx.members;
        let before = std::mem::take(called);
        let since = |&node: &NodeIx| {
            let called = *before.get(&node)?;
            (called.last >= members.raised_at(node)).then_some((node, called))
        };
        *called = silent.iter().filter_map(since).collect();
    }

    /// True when there is nothing more to wait for from a silent member.
    pub(crate) fn is_over(&self, cx: &Context<'_>, node: NodeIx) -> bool {
        let silent_since = cx.members.raised_at(node) + cx.called_after();
        if !self.may_judge(cx, silent_since) {
            return false;
        }
        let end = self.silence_end(cx, node);
        if !self.roll_call.is_on || *cx.life != Life::Running {
            return cx.now.mono >= end;
        }
        let called = self.roll_call.called.get(&node);
        called
            .is_some_and(|it| it.times >= RollCall::CALLS && cx.now.mono >= end.max(it.answer_due))
    }

    /// Calls those of the silent whose turn it is; when to look again.
    pub(super) fn make_last_calls(&mut self, cx: &mut Context<'_>, silent: &[NodeIx]) -> Instant {
        let is_due = |node: &NodeIx| self.next_call(cx, *node) <= cx.now.mono;
        let mut due: Vec<_> = silent.iter().copied().filter(is_due).collect();
        due.sort_by_key(|&node| (self.roll_call.times(node), Reverse(cx.members.raised_at(node))));
        let mut share = if self.roll_call.is_on { RollCall::share(silent.len()) } else { 0 };
        for node in due {
            let is_of_roll = share > 0 && self.roll_call.times(node) < RollCall::CALLS;
            share -= usize::from(is_of_roll);
            if *cx.life == Life::Running && (is_of_roll || self.may_call(cx)) {
                self.call(cx, node);
            }
        }
        self.next_look(cx, silent)
    }

    /// When a silent member is to be called next.
    fn next_call(&self, cx: &Context<'_>, node: NodeIx) -> Instant {
        match self.roll_call.called.get(&node) {
            None => Instant::ZERO,
            Some(it) if self.roll_call.is_on && it.times < RollCall::CALLS => it.answer_due,
            Some(it) => it.last + Self::call_period(cx),
        }
    }

    /// Between two calls to one that does not answer. From the first to the end of the timeout it
    /// is called eight times at least, however few cycles a timeout has: at 20 % loss each way
    /// four were in vain for one in sixty.
    fn call_period(cx: &Context<'_>) -> Duration {
        (cx.config.cycle() / 4).min(cx.config.timeout() / 20)
    }

    fn call(&mut self, cx: &mut Context<'_>, node: NodeIx) {
        let patience = cx.rtts.rto_of_all(cx.config);
        let called = self.roll_call.called.entry(node).or_insert(RollEntry {
            times: 0,
            last: cx.now.mono,
            answer_due: cx.now.mono,
        });
        called.times += 1;
        called.last = cx.now.mono;
        if called.times <= RollCall::CALLS {
            called.answer_due = cx.now.mono + patience;
        }
        cx.send_last_call(cx.members.addr(node));
    }

    /// When the first of the silent is to be called or removed. Whoever could not be called, for
    /// the limit's sake, waits for as long as those that were.
    fn next_look(&self, cx: &Context<'_>, silent: &[NodeIx]) -> Instant {
        let quarter = cx.now.mono + Self::call_period(cx);
        let soon = cx.now.mono + cx.config.cycle() / RollCall::LOOKS_PER_CYCLE;
        let look = |&node: &NodeIx| {
            let end = self.silence_end(cx, node);
            let call = self.next_call(cx, node);
            match self.roll_call.is_on {
                true if end <= cx.now.mono => soon,
                true => call.max(soon).min(quarter).min(end),
                false if call <= cx.now.mono => quarter.min(end),
                false => call.min(end),
            }
        };
        silent.iter().map(look).min().unwrap_or(quarter)
    }
}
