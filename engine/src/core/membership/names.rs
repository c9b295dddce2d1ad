//! Two members with one name: a node that moved to a new address, or two that disagree.
//!
//! Both are called, three times soon and then once a cycle for a timeout. If only one answers, it
//! has replaced the other, which need not wait for its timeout; a container that was started anew
//! is listed once. If both answer, both stay, and the service is told once. Replacing at once would
//! make two live namesakes flap every cycle. What counts is an answer to such a call: one to an
//! earlier question may have been under way for longer than its node took to die.
//!
//! A beat keeps its node, for a link may carry beats and no answers. It takes no other's place: it
//! may have been under way for longer than its node took to die and come back elsewhere.
//!
//! What was found holds until one of the two comes anew: was removed and is listed again, or takes
//! the name. Then the pair is examined again, by all who see both, so that a container that goes
//! back and forth between two addresses is listed once each time. One that was replaced and comes
//! back while the other stayed lives without answering us; that one is not replaced again, or it
//! would flap wherever a link carries nothing.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::Membership;
use crate::core::beat::Age;
use crate::core::context::{Context, Life};
use crate::core::io::Event;
use crate::core::members::NodeIx;
use crate::core::packet::{Cause, Echoed, Reply};
use crate::core::record::Record;
use crate::core::timers::Timer;
use crate::node::NodeId;
use crate::time::Instant;

/// The pairs under examination, and what was found of others.
#[derive(Clone, Debug, Default)]
pub(super) struct NameConflicts {
    open: Vec<Pair>,
    /// One is for all pairs that the member stands in.
    calls: Vec<NameCall>,
    /// The oldest first; at most one of each pair.
    findings: VecDeque<Finding>,
}

#[derive(Clone, Debug)]
struct Pair {
    sides: [Side; 2],
    since: Instant,
    calls: u32,
    /// When it is looked at next. Each pair has its own time, for others are opened meanwhile.
    due: Instant,
}

/// That a member was asked whether it lives.
#[derive(Clone, Copy, Debug)]
struct NameCall {
    node: NodeIx,
    /// An answer that was under way before does not echo it: who has died elsewhere may have sent
    /// that one.
    token: u32,
    at: Instant,
    /// When it is called again. Not reckoned anew from a wait that has grown meanwhile, for then a
    /// call that was not made would count as one.
    until: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Side {
    node: NodeIx,
    place: NodeId,
    sign: Sign,
}

/// What shows that a member lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Nothing,
    Beat,
    Answer,
}

#[derive(Clone, Copy, Debug)]
struct Finding {
    pair: [NodeId; 2],
    verdict: Verdict,
}

/// What an examination found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Both answered, and the service was told.
    BothLive,
    /// This one did not, and the other took its place.
    Replaced(NodeId),
}

impl Pair {
    fn key(&self) -> [NodeId; 2] {
        key(self.sides[0].place, self.sides[1].place)
    }

    /// True when both were called as often as it takes where answers come soon.
    fn was_called(&self) -> bool {
        self.calls >= NameConflicts::CALLS_MAX
    }
}

pub(crate) fn key(a: NodeId, b: NodeId) -> [NodeId; 2] {
    [a.min(b), a.max(b)]
}

impl NameConflicts {
    const OPEN_MAX: usize = 64;
    const FINDINGS_MAX: usize = 1024;
    const CALLS_MAX: u32 = 3;
    /// The bits of a counter that it may have raised and we have not heard of.
    const LAST_WORDS: u32 = 31;
    /// With how many of its namesakes a member is compared. A name that more share tells nobody
    /// apart, and each pair costs calls.
    const NAMESAKES_MAX: usize = 4;

    fn found(&self, pair: [NodeId; 2]) -> Option<Verdict> {
        let of_pair = |finding: &&Finding| finding.pair == pair;
        self.findings.iter().find(of_pair).map(|finding| finding.verdict)
    }

    fn note(&mut self, pair: [NodeId; 2], verdict: Verdict) {
        self.findings.retain(|finding| finding.pair != pair);
        if self.findings.len() == Self::FINDINGS_MAX {
            self.findings.pop_front();
        }
        self.findings.push_back(Finding { pair, verdict });
    }

    /// The node at this place was not listed until now, or has another name than before: what was
    /// found of it and others is out of date, but for what it was itself replaced by.
    fn comes_anew(&mut self, place: NodeId) {
        self.open.retain(|pair| !pair.key().contains(&place));
        self.findings.retain(|finding| {
            !finding.pair.contains(&place) || finding.verdict == Verdict::Replaced(place)
        });
    }

    /// True when a pair may be examined: it is not already, nor known to live, and there is room.
    fn may_open(&self, pair: [NodeId; 2]) -> bool {
        (self.open.len() < Self::OPEN_MAX || self.open.iter().any(Pair::was_called))
            && self.open.iter().all(|open| open.key() != pair)
            && self.found(pair) != Some(Verdict::BothLive)
    }

    /// Takes an answer to a call, which may be a late one; who was called with this token.
    pub(super) fn note_answer(&mut self, token: u32) -> Option<NodeIx> {
        let call = *self.calls.iter().find(|call| call.token == token.first())?;
        for pair in self.open.iter_mut().filter(|pair| pair.since <= call.at) {
            let is_awaited = pair.was_called();
            for side in pair.sides.iter_mut().filter(|side| side.node == call.node) {
                side.sign = Sign::Answer;
                pair.due = if is_awaited { Instant::ZERO } else { pair.due };
            }
        }
        Some(call.node)
    }

    /// Makes room for one more, in place of one that is waited for and called now and then.
    fn open(&mut self, pair: Pair) {
        if self.open.len() == Self::OPEN_MAX
            && let Some(at) = self.open.iter().position(Pair::was_called)
        {
            self.open.remove(at);
        }
        self.open.push(pair);
    }

    /// Forgets calls that are for no pair any more.
    fn forget_calls(&mut self) {
        let open = &self.open;
        let is_awaited = |node| open.iter().any(|pair| pair.sides.iter().any(|it| it.node == node));
        self.calls.retain(|call| is_awaited(call.node));
    }
}

impl Membership {
    /// Examines a member that was just listed, or has taken the place of its `old` incarnation, if
    /// others have its name.
    pub(crate) fn examine_name(
        &mut self,
        cx: &mut Context<'_>,
        node: NodeIx,
        old: Option<&Record>,
    ) {
        let name = cx.members.record(node).node().name();
        if old.is_none_or(|old| old.node().name() != name) {
            self.names.comes_anew(cx.members.place(node));
        }
        if *cx.life != Life::Running {
            return;
        }
        let others = cx.members.namesakes(node).take(NameConflicts::NAMESAKES_MAX);
        let pairs = others.map(|other| Pair {
            sides: [other, node].map(|node| Self::side(cx, node)),
            since: cx.now.mono,
            calls: 0,
            due: cx.now.mono,
        });
        let mut is_new = false;
        for pair in pairs.collect::<Vec<_>>() {
            if self.names.may_open(pair.key()) {
                self.names.open(pair);
                is_new = true;
            }
        }
        if is_new {
            self.on_names(cx);
        }
    }

    fn side(cx: &Context<'_>, node: NodeIx) -> Side {
        let sign = if node == cx.members.me() { Sign::Answer } else { Sign::Nothing };
        Side { node, place: cx.members.place(node), sign }
    }

    /// Calls those that have not answered, and judges the pairs that were called often enough.
    pub(crate) fn on_names(&mut self, cx: &mut Context<'_>) {
        let wait = cx.rtts.rto_of_all(cx.config);
        for mut pair in std::mem::take(&mut self.names.open) {
            if pair.due > cx.now.mono {
                self.names.open.push(pair);
                continue;
            }
            // The last beat of one that died may be under way for as long, and ages are whole
            // steps: only a later one is of a living node.
            let surely_later = pair.since + wait + cx.step.elapsed(Age(1)).unwrap_or_default();
            for side in pair.sides.iter_mut().filter(|side| side.sign == Sign::Nothing) {
                if cx.members.raised_at(side.node) > surely_later {
                    side.sign = Sign::Beat;
                }
            }
            let both_listed = pair.sides.iter().all(|side| cx.members.is_listed(side.node));
            match pair.sides.map(|side| side.sign) {
                _ if !both_listed => {}
                [Sign::Beat | Sign::Answer, Sign::Beat | Sign::Answer] => {
                    self.report_namesakes(cx, &pair);
                }
                [Sign::Nothing, Sign::Answer] if pair.was_called() => {
                    self.replace(cx, &pair, planted!(WrongNamesake, 0, 1));
                }
                [Sign::Answer, Sign::Nothing] if pair.was_called() => {
                    self.replace(cx, &pair, 1);
                }
                _ if cx.now.mono - pair.since >= cx.config.timeout() => {}
                _ => {
                    // Who lives may be far away: its answer is waited for.
                    let wait = if pair.was_called() { cx.config.cycle() } else { wait };
                    self.call_silent(cx, wait, &pair);
                    pair.calls += 1;
                    pair.due = cx.now.mono + wait;
                    self.names.open.push(pair);
                }
            }
        }
        if let Some(due) = self.names.open.iter().map(|pair| pair.due).min() {
            cx.timers.set_earlier(Timer::Names, due);
        }
        self.names.forget_calls();
    }

    fn call_silent(&mut self, cx: &mut Context<'_>, wait: Duration, pair: &Pair) {
        for side in pair.sides.iter().filter(|side| side.sign != Sign::Answer) {
            let is_called = |call: &NameCall| call.node == side.node && call.until > cx.now.mono;
            if !self.names.calls.iter().any(is_called) {
                let to = cx.members.addr(side.node);
                let (token, at) = (cx.token_of_now(to), cx.now.mono);
                self.names.calls.push(NameCall { node: side.node, token, at, until: at + wait });
                cx.send_probe(to, token, Reply::Datagram);
            }
        }
    }

    fn report_namesakes(&mut self, cx: &mut Context<'_>, pair: &Pair) {
        let [first, second] = pair.sides.map(|side| Arc::clone(cx.members.record(side.node)));
        self.names.note(pair.key(), Verdict::BothLive);
        cx.out.event(Event::NameConflict { first, second });
    }

    /// Up to which counter its last words may still be under way to us: one more where it beats;
    /// where it refutes each time that it was suspected some more, and the same for all, for what
    /// one says of its death counts as heard by others, who would outrank each other.
    fn last_word(cx: &Context<'_>, counter: u32) -> u32 {
        match cx.config.liveness().asks() {
            true => counter | NameConflicts::LAST_WORDS,
            false => counter + 1,
        }
    }

    fn replace(&mut self, cx: &mut Context<'_>, pair: &Pair, silent: usize) {
        let Side { node, place, .. } = pair.sides[silent];
        let verdict = Verdict::Replaced(place);
        if self.names.found(pair.key()) == Some(verdict) {
            // It came back, so others hear of it: only its timeout removes it.
            return;
        }
        self.names.note(pair.key(), verdict);
        let by = Arc::clone(cx.members.record(pair.sides[1 - silent].node));
        // For the others it is a removal by timeout: a judgement of our own, which only blocks.
        // It is not dialled for ever: it has moved.
        let old = cx.members.remove(cx.now.mono, node, Cause::Timeout);
        // Its last words may still be under way to us: what lives has more to say.
        cx.members.raise_counter(node, Self::last_word(cx, cx.members.counter(node)));
        cx.out.event(Event::Replaced { old, by });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(a: u64, b: u64) -> [NodeId; 2] {
        key(NodeId(a), NodeId(b))
    }

    #[test]
    fn what_was_found_of_a_pair_holds_until_one_of_the_two_comes_anew() {
        let mut rivals = NameConflicts::default();
        rivals.note(pair(1, 2), Verdict::BothLive);
        rivals.note(pair(1, 3), Verdict::Replaced(NodeId(3)));
        rivals.comes_anew(NodeId(4));
        assert!(!rivals.may_open(pair(2, 1)), "it is known");
        rivals.comes_anew(NodeId(3));
        let replaced = Some(Verdict::Replaced(NodeId(3)));
        assert_eq!(rivals.found(pair(1, 3)), replaced, "it came back by itself");
        rivals.comes_anew(NodeId(1));
        assert_eq!((rivals.found(pair(1, 2)), rivals.found(pair(1, 3))), (None, None));
    }

    #[test]
    fn a_pair_has_one_finding_and_there_is_a_limit_on_all_of_them() {
        let mut rivals = NameConflicts::default();
        for other in (2..3_000).chain(2_500..3_000) {
            rivals.note(pair(1, other), Verdict::BothLive);
        }
        assert_eq!(rivals.findings.len(), NameConflicts::FINDINGS_MAX);
        let pairs: std::collections::BTreeSet<_> =
            rivals.findings.iter().map(|finding| finding.pair).collect();
        assert_eq!(pairs.len(), NameConflicts::FINDINGS_MAX);
    }
}
