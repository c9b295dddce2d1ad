//! Suspects: members that did not answer, on their way to be cleared or removed.
//!
//! A suspicion is told to the suspect first and then to everybody, so that it can refute it by
//! raising its counter. Nobody is told that a member is dead: each node has a timer of its own for
//! each suspect, which is shorter the more others found it silent too; and before the timer ends
//! it asks the suspect itself. What another says of a death is no more than a suspicion.
//!
//! Who is known to be slow would be suspected by somebody every few seconds, and each time all
//! would be told, twice. So who finds one of them silent keeps that to itself at first, and asks it
//! for as long as others wait; only one that has not answered by then is told of.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::Detection;
use super::calls::Calls;
use super::roll_call::RollCall;
use super::slow::{ClearedDoubt, SlowMembers};
use crate::config::Config;
use crate::core::context::Context;
use crate::core::dissemination::Dissemination;
use crate::core::members::NodeIx;
use crate::core::packet::{Body, Cause, Delta, MembershipUpdate, Reply, Suspicion};
use crate::core::timers::Timer;
use crate::node::{Generation, NodeId};
use crate::time::Instant;

/// The members that are in doubt, by address so that their order is the same everywhere: whoever
/// is taken off the list is taken off here too.
#[derive(Clone, Debug, Default)]
pub(super) struct Suspects {
    by_addr: BTreeMap<SocketAddr, Suspect>,
    slow: SlowMembers,
    /// No roll is called before, however many are in doubt.
    roll_from: Instant,
    /// Nor are neighbours asked.
    neighbours_from: Instant,
    /// For whom nobody vouched when that was last looked at, and when it is next.
    rumored: BTreeSet<SocketAddr>,
    rumored_from: Instant,
}

#[derive(Clone, Debug)]
struct Suspect {
    node: NodeIx,
    generation: Generation,
    counter: u32,
    since: Instant,
    /// Who found it silent, as far as it was told; at most [`Suspicion::WITNESSES_MAX`].
    witnesses: Vec<NodeId>,
    grounds: Grounds,
    /// Who said that they have removed it; no more than it takes.
    removed_by: Vec<SocketAddr>,
    /// It needed long to answer of late.
    is_slow: bool,
    calls: u32,
    called_at: Instant,
    next_call: Instant,
}

/// Why a member is in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grounds {
    /// It did not answer a probe, of ours or of somebody else.
    Silence,
    /// Somebody who waited for long enough has removed it.
    Removal,
    /// We hear nobody: everybody is in doubt, and everybody is asked at once.
    RollCall,
    /// It did not answer us, as slow as it is: nobody is told as yet.
    Slowness,
}

/// What came of hearing that a member is suspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Relevance {
    /// It was refuted already, or is nothing to us: not worth telling others.
    Nothing,
    /// It is known.
    Known,
    /// It is news.
    News,
}

impl Suspects {
    /// Which share of what may be saved is saved by so many further witnesses, in thousandths:
    /// it goes by the logarithm, for the first of them says most (Lifeguard).
    const SHARES: [u32; Suspicion::WITNESSES_MAX] = [0, 500, 792, 1_000];
    /// Beyond so many suspects, the clock is looked at less often.
    pub(crate) const MANY: usize = 16;
    /// Which of the calls goes by stream: two datagrams may have got lost.
    const STREAM_CALL: u32 = 3;
    /// How many are told at each call from that one on: one may be where we are, and hear no more.
    const ASKED_AROUND: usize = 2;
    /// At which of the calls others are asked to probe one of whom nobody else was told.
    const PROXY_CALLS: [u32; 2] = [2, 4];

    /// Puts everything off by this much: we were not there.
    pub(super) fn shift(&mut self, by: Duration) {
        for suspect in self.by_addr.values_mut() {
            for at in [&mut suspect.since, &mut suspect.called_at, &mut suspect.next_call] {
                *at = *at + by;
            }
        }
    }
}

impl Suspect {
    /// Those who must have removed a member before one that is behind does.
    const WORDS: usize = 2;

    /// What is to be kept of it, now that it is cleared.
    fn doubt(&self, now: Instant) -> ClearedDoubt {
        ClearedDoubt { grounds: self.grounds, since: self.since, until: now }
    }

    /// Takes more witnesses.
    fn hear(&mut self, witnesses: &[NodeId]) -> Relevance {
        let before = self.witnesses.len();
        for by in witnesses {
            if self.witnesses.len() < Suspicion::WITNESSES_MAX && !self.witnesses.contains(by) {
                self.witnesses.push(*by);
                self.grounds = Grounds::Silence;
            }
        }
        if self.witnesses.len() > before { Relevance::News } else { Relevance::Known }
    }

    /// How long it may stay one.
    fn wait(&self, config: &Config) -> Duration {
        let most = config.suspicion_max();
        let wait = match self.grounds {
            Grounds::Removal => config.silence_min(),
            Grounds::RollCall => most,
            Grounds::Slowness => return SlowMembers::more(most, config),
            Grounds::Silence => {
                let share = Suspects::SHARES[self.witnesses.len().saturating_sub(1)];
                let wait = most - (most - config.suspicion_min()) * share / 1_000;
                planted!(SuspicionTooShort, wait, Duration::ZERO)
            }
        };
        wait + if self.is_slow { SlowMembers::more(wait, config) } else { Duration::ZERO }
    }

    /// When it is removed, if it does not answer so many calls: not before they were made.
    fn end(&self, config: &Config, calls: u32, patience: Duration) -> Option<Instant> {
        let end = self.since + self.wait(config);
        (self.calls >= calls).then(|| end.max(self.called_at + patience))
    }

    /// When the word of others is enough.
    fn end_by_words(&self, config: &Config) -> Instant {
        self.since + config.silence_min()
    }

    fn has_words(&self) -> bool {
        self.removed_by.len() == Self::WORDS
    }
}

impl Detection {
    /// A member answered neither us nor the others whom we asked. It is told to all, unless it is
    /// known to be slow.
    pub(super) fn suspect_silent(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        node: NodeIx,
        witnesses: Vec<NodeId>,
    ) {
        let (addr, timeout) = (cx.members.addr(node), cx.config.timeout());
        let held = self.suspects.by_addr.get(&addr);
        match held.filter(|_| cx.members.is_suspected(node)).map(|held| held.grounds) {
            // It has the time that it was given.
            Some(Grounds::Slowness) => {}
            None if self.suspects.slow.has(addr, cx.now.mono, timeout) => {
                let suspicion = cx.nobodys_suspicion(node);
                self.suspect(cx, node, &suspicion, Grounds::Slowness);
            }
            _ => self.accuse(cx, spread, node, witnesses),
        }
    }

    /// Tells all that a member is silent.
    fn accuse(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        node: NodeIx,
        witnesses: Vec<NodeId>,
    ) {
        let suspicion = Suspicion { witnesses, ..cx.nobodys_suspicion(node) };
        let addr = suspicion.addr;
        if self.suspect(cx, node, &suspicion, Grounds::Silence) == Relevance::News
            && let Some(suspicion) = self.suspicion_of(cx, addr)
        {
            Self::tell_suspect(cx, suspicion.clone());
            spread.spread_suspicion(cx, suspicion);
            self.look_for_more(cx);
        }
    }

    /// What is told of a member, if it is suspected because it was silent.
    pub(super) fn suspicion_of(&self, cx: &Context<'_>, addr: SocketAddr) -> Option<Suspicion> {
        cx.members.node(addr).filter(|&node| cx.members.is_suspected(node))?;
        let suspect = self.suspects.by_addr.get(&addr).filter(|it| !it.witnesses.is_empty())?;
        let Suspect { generation, counter, ref witnesses, .. } = *suspect;
        Some(Suspicion { addr, generation, counter, witnesses: witnesses.clone() })
    }

    pub(crate) fn tell_suspect(cx: &mut Context<'_>, suspicion: Suspicion) {
        let to = suspicion.addr;
        let news = vec![MembershipUpdate::from(suspicion)];
        cx.out.send(to, &cx.packet(Body::Delta(Delta { news })));
    }

    /// Takes a member out of doubt; true when it was in it. How long that took is looked at soon.
    pub(crate) fn clear(cx: &mut Context<'_>, node: NodeIx) -> bool {
        let was_suspected = cx.members.refute(node);
        if was_suspected {
            let many = cx.members.suspected_len() > Suspects::MANY;
            let wait = if many { Self::look_wait(cx) } else { Duration::ZERO };
            cx.timers.set_earlier(Timer::Check, cx.now.mono + wait);
        }
        was_suspected
    }

    /// Between two looks at many suspects.
    fn look_wait(cx: &Context<'_>) -> Duration {
        cx.config.cycle() / 20
    }

    /// Puts a member in doubt, or takes more witnesses.
    pub(crate) fn suspect(
        &mut self,
        cx: &mut Context<'_>,
        node: NodeIx,
        of: &Suspicion,
        grounds: Grounds,
    ) -> Relevance {
        let Suspicion { addr, generation, counter, .. } = *of;
        let (now, timeout) = (cx.now.mono, cx.config.timeout());
        let Suspects { by_addr, slow, .. } = &mut self.suspects;
        if let Some(before) = by_addr.get(&addr).filter(|_| !cx.members.is_suspected(node)) {
            slow.note_cleared(addr, before.doubt(now), cx.config);
        }
        let fresh = Suspect {
            node,
            generation,
            counter,
            since: cx.now.mono,
            witnesses: Vec::new(),
            grounds,
            removed_by: Vec::new(),
            is_slow: self.suspects.slow.has(addr, now, timeout),
            calls: 0,
            called_at: cx.now.mono,
            next_call: cx.now.mono,
        };
        let is_behind = self.is_behind(cx);
        let suspects = &mut self.suspects.by_addr;
        let is_told = |it: &&Suspect| it.grounds != Grounds::Slowness;
        let known = suspects.get(&addr).filter(|_| cx.members.is_suspected(node)).filter(is_told);
        let known = known.map(|it| (it.generation, it.counter));
        let is_new = known.is_none_or(|known| known < (generation, counter));
        if is_new {
            // What it refuted before no longer counts.
            suspects.insert(addr, fresh);
            cx.members.suspect(node);
        }
        let suspect = suspects.get_mut(&addr).expect("it is there now");
        let heed = suspect.hear(&of.witnesses);
        let end = suspect.since + suspect.wait(cx.config);
        if is_new && !matches!(grounds, Grounds::RollCall | Grounds::Slowness) {
            let from = if is_behind { suspect.end_by_words(cx.config) } else { end };
            suspect.next_call = from.saturating_sub(cx.config.cycle()).max(cx.now.mono);
        }
        let next = suspect.next_call.min(end.max(cx.now.mono));
        cx.timers.set_earlier(Timer::Check, next);
        heed
    }

    /// A member says that it has removed one that we suspect.
    pub(crate) fn note_removed_by(&mut self, cx: &mut Context<'_>, node: NodeIx, by: SocketAddr) {
        let suspect = self.suspects.by_addr.get_mut(&cx.members.addr(node));
        let Some(suspect) = suspect.filter(|_| cx.lists(by)) else { return };
        if !suspect.has_words() && !suspect.removed_by.contains(&by) {
            suspect.removed_by.push(by);
            cx.timers.set_earlier(Timer::Check, suspect.end_by_words(cx.config).max(cx.now.mono));
        }
    }

    /// While we are behind, and judge nobody ourselves, the word of two is enough: but not about
    /// one that has answered us a moment ago.
    fn words_are_enough(&self, cx: &Context<'_>, suspect: &Suspect) -> bool {
        self.is_behind(cx) && suspect.has_words() && cx.now.mono >= suspect.end_by_words(cx.config)
    }

    /// Where several are in doubt there are more whose turn to be probed is still to come, and in
    /// random order the last of them comes late: after ten cycles, where half of a cluster died.
    pub(crate) fn look_for_more(&mut self, cx: &mut Context<'_>) {
        let (now, suspected) = (cx.now.mono, cx.members.suspected_len());
        if cx.many_are_suspected() {
            if now >= self.suspects.roll_from {
                self.suspect_all(cx);
            }
        } else if suspected > 1 && now >= self.suspects.neighbours_from {
            self.suspects.neighbours_from = now + cx.config.timeout();
            self.probe_neighbours(cx);
        }
    }

    /// Takes everybody out of doubt.
    pub(crate) fn refute_all(&mut self, cx: &mut Context<'_>) {
        self.end_probes();
        self.suspects = Suspects::default();
        self.calls = Calls::default();
        cx.members.refute_all();
    }

    /// Nobody says a word, or many are in doubt: everybody is asked, and who doesn't answer is
    /// removed after as long as any other suspect. It is not told to others, who find out
    /// themselves, and for it may be we who are cut off.
    pub(super) fn suspect_all(&mut self, cx: &mut Context<'_>) {
        self.suspects.roll_from = cx.now.mono + cx.config.timeout();
        let me = cx.members.me();
        for node in cx.members.ring().to_vec() {
            if node == me || cx.members.is_suspected(node) || cx.members.is_rumored(node) {
                continue;
            }
            self.suspect(cx, node, &cx.nobodys_suspicion(node), Grounds::RollCall);
        }
    }

    /// Calls the suspects whose time is nearly over, removes those whose time is, and finds when
    /// to look again.
    pub(super) fn check_suspects(&mut self, cx: &mut Context<'_>, spread: &mut Dissemination) {
        cx.members.forget(cx.now.mono, cx.tombstone_time());
        self.remove_rumored(cx);
        for addr in self.judge_suspects(cx) {
            let suspect = self.suspects.by_addr.remove(&addr).expect("it was just judged");
            match suspect.grounds {
                Grounds::Slowness => self.accuse(cx, spread, suspect.node, vec![cx.me.place()]),
                _ => Self::remove_silent(cx, suspect.node),
            }
        }
        if !self.keeps_still(cx) {
            self.call_suspects(cx);
        }
        let (calls, patience) = (Self::calls_before_removal(cx), self.call_rto(cx));
        let next = self.suspects.by_addr.values().flat_map(|suspect| {
            let end = suspect.end(cx.config, calls, patience);
            let by_words = Some(suspect.end_by_words(cx.config))
                .filter(|&at| at > cx.now.mono && suspect.has_words());
            [Some(suspect.next_call), end, by_words].into_iter().flatten()
        });
        let mut next = next.min().unwrap_or(cx.now.mono + cx.config.timeout());
        if cx.members.suspected_len() > Suspects::MANY {
            next = next.max(cx.now.mono + Self::look_wait(cx));
        }
        planted!(SuspectsUnjudged, Self::look_again(cx, next));
    }

    /// Once a timeout: removes whom nobody vouched for then and nobody does now, and who has not
    /// shown himself. He is not asked like others, for he may be one of many who were invented.
    fn remove_rumored(&mut self, cx: &mut Context<'_>) {
        if cx.now.mono < self.suspects.rumored_from {
            return;
        }
        self.suspects.rumored_from = cx.now.mono + cx.config.timeout();
        let has_newcomers = cx.members.newcomers().len() > 0;
        let mut rumored = if has_newcomers { cx.others() } else { Vec::new() };
        rumored.retain(|&node| cx.members.is_rumored(node));
        let still = rumored.iter().map(|&node| cx.members.addr(node)).collect();
        let before = std::mem::replace(&mut self.suspects.rumored, still);
        for node in rumored {
            if before.contains(&cx.members.addr(node)) {
                Self::remove_silent(cx, node);
            }
        }
    }

    /// Calls that a suspect must have left unanswered: two of which one may have got lost, when
    /// there are so many suspects that hardly anybody else speaks for those that live.
    fn calls_before_removal(cx: &Context<'_>) -> u32 {
        if cx.many_are_suspected() { RollCall::CALLS } else { 1 }
    }

    /// Whose time is over. Who was never called, or only just, has a little more.
    fn judge_suspects(&mut self, cx: &mut Context<'_>) -> Vec<SocketAddr> {
        let (members, now) = (&mut *cx.members, cx.now.mono);
        let Suspects { by_addr, slow, .. } = &mut self.suspects;
        by_addr.retain(|&addr, suspect| {
            // Of one that is gone not even the tombstone may be left, and its index be another's.
            let listed = members.node(addr).filter(|&node| members.is_suspected(node));
            let Some(node) = listed else {
                if members.lists(addr) {
                    slow.note_cleared(addr, suspect.doubt(now), cx.config);
                }
                return false;
            };
            let doubted = members.record(node).generation() == suspect.generation
                && members.counter(node) <= suspect.counter;
            if !doubted {
                members.refute(node);
            }
            doubted
        });
        let (calls, patience) = (Self::calls_before_removal(cx), self.call_rto(cx));
        // Where we may not judge alone, another who has removed it is enough.
        let over = |(_, suspect): &(&SocketAddr, &Suspect)| {
            let is_over =
                suspect.end(cx.config, calls, patience).is_some_and(|end| cx.now.mono >= end);
            is_over && (self.may_judge(cx, suspect.since) || !suspect.removed_by.is_empty())
                || self.words_are_enough(cx, suspect)
        };
        self.suspects.by_addr.iter().filter(over).map(|(&addr, _)| addr).collect()
    }

    /// Asks the suspects themselves, those first who were asked least. When there are many, two
    /// calls of each are made whatever the limit says, but not all of them at once.
    fn call_suspects(&mut self, cx: &mut Context<'_>) {
        self.calls.renew(cx.now.mono, cx.config.cycle());
        let members = cx.members.len();
        let again = cx.now.mono + cx.config.cycle() / 4;
        let (many, patience) = (cx.many_are_suspected(), self.call_rto(cx));
        let mut share = if many { RollCall::share(cx.members.suspected_len()) } else { 0 };
        let is_behind = self.is_behind(cx);
        let (by_addr, budget) = (&mut self.suspects.by_addr, &mut self.calls);
        let due = by_addr.iter_mut().filter(|it| it.1.next_call <= cx.now.mono);
        let mut due: Vec<_> = due.collect();
        due.sort_by_key(|(addr, suspect)| (suspect.calls, **addr));
        let mut calls = Vec::new();
        for (&addr, suspect) in due {
            let is_of_roll = many && suspect.calls < RollCall::CALLS;
            let may = if is_of_roll { share > 0 } else { budget.make(members) };
            if !may {
                cx.stats.last_calls_over_limit += u64::from(!is_of_roll);
                suspect.next_call = if is_of_roll { cx.now.mono } else { again };
                continue;
            }
            share -= usize::from(is_of_roll);
            suspect.calls += 1;
            if planted!(CallsPutOff, suspect.calls <= RollCall::CALLS, true) {
                // What counts is whether these are answered: more of them put no end off.
                suspect.called_at = cx.now.mono;
            }
            let again_soon = is_of_roll && suspect.calls < RollCall::CALLS;
            suspect.next_call = if again_soon { cx.now.mono + patience } else { again };
            let by_stream = suspect.calls == Suspects::STREAM_CALL;
            let reply = if by_stream { Reply::Stream } else { Reply::Datagram };
            calls.push((addr, reply, suspect.calls));
        }
        for (addr, reply, calls) in calls {
            match self.suspicion_of(cx, addr) {
                // Whoever has not heard that it is suspected answers us, and nobody else would
                // know.
                Some(suspicion) if calls == 1 => Self::tell_suspect(cx, suspicion),
                Some(suspicion) if (calls >= Suspects::STREAM_CALL || is_behind) && !many => {
                    Self::ask_around(cx, suspicion);
                }
                None if Suspects::PROXY_CALLS.contains(&calls) && !many => {
                    Self::ask_proxies(cx, addr, cx.token_for(addr));
                }
                _ => {}
            }
            let token = cx.token_for(addr);
            cx.send_probe(addr, token, reply);
        }
    }

    /// Tells others of a suspicion that has nearly lasted its time: whoever has heard more of the
    /// suspect corrects us.
    fn ask_around(cx: &mut Context<'_>, suspicion: Suspicion) {
        let news = vec![MembershipUpdate::from(suspicion)];
        let suspicion = cx.packet(Body::Delta(Delta { news }));
        for other in cx.pick(Suspects::ASKED_AROUND) {
            cx.out.send(cx.members.addr(other), &suspicion);
        }
    }

    /// Another has had an answer of a suspect that does not answer us.
    pub(super) fn note_vouched(&self, cx: &mut Context<'_>, token: u32) -> bool {
        let suspect = self.suspects.by_addr.keys().find(|&&addr| cx.is_token_of(addr, token));
        suspect.copied().is_some_and(|addr| Self::refute_addr(cx, addr))
    }

    /// Answers somebody who looks for one that knows better of a suspect: one that we have removed
    /// he may remove as well. The suspect is told as well, if we have not heard before that it is
    /// in doubt, or hear it ourselves, for it may not have either.
    pub(crate) fn pass_on(
        &self,
        cx: &mut Context<'_>,
        from: SocketAddr,
        told: &[MembershipUpdate],
    ) {
        let [MembershipUpdate::Suspected(suspicion)] = told else { return };
        Self::tell_removal(cx, from, suspicion.addr);
        let suspect = self.suspects.by_addr.get(&suspicion.addr);
        if suspect.is_some_and(|suspect| suspect.since == cx.now.mono) {
            Self::tell_suspect(cx, suspicion.as_ref().clone());
        }
    }

    /// Tells a member, who asks for another, that we have removed that one because it was silent.
    pub(super) fn tell_removal(cx: &mut Context<'_>, to: SocketAddr, of: SocketAddr) {
        let gone = cx.members.node(of).and_then(|node| cx.members.gone(node));
        if let Some(gone) = gone.filter(|gone| gone.cause == Cause::Timeout)
            && cx.lists(to)
        {
            let news = vec![MembershipUpdate::from(gone)];
            cx.out.send(to, &cx.packet(Body::Delta(Delta { news })));
        }
    }

    /// What is told of these members, as far as they are still suspected.
    pub(crate) fn suspicions_of(&self, cx: &Context<'_>, addrs: Vec<SocketAddr>) -> Vec<Suspicion> {
        addrs.into_iter().filter_map(|addr| self.suspicion_of(cx, addr)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(grounds: Grounds, witnesses: u64) -> Duration {
        let config = Config::builder().build().unwrap();
        suspect(grounds, witnesses).wait(&config)
    }

    fn suspect(grounds: Grounds, witnesses: u64) -> Suspect {
        let zero = Instant::ZERO;
        let mut suspect = Suspect {
            node: NodeIx::default(),
            generation: Generation::default(),
            counter: 1,
            since: zero,
            witnesses: Vec::new(),
            grounds,
            removed_by: Vec::new(),
            is_slow: false,
            calls: 0,
            called_at: zero,
            next_call: zero,
        };
        let witnesses: Vec<_> = (0..witnesses).map(NodeId).collect();
        suspect.hear(&witnesses);
        suspect
    }

    #[test]
    fn who_is_slow_has_twice_the_time_but_no_more_than_four_cycles_beyond() {
        for (timeout, quiet, told) in [(5, 3_500, 7_000), (15, 4_000, 17_500)] {
            let timeout = Duration::from_secs(timeout);
            let config = Config::builder().timeout(timeout).build().unwrap();
            let wait = |grounds, witnesses| {
                let suspect = Suspect { is_slow: true, ..suspect(grounds, witnesses) };
                suspect.wait(&config).as_millis()
            };
            assert_eq!((wait(Grounds::Slowness, 0), wait(Grounds::Silence, 1)), (quiet, told));
        }
    }

    #[test]
    fn each_further_witness_shortens_the_wait_and_the_first_of_them_most() {
        let waits = [1, 2, 3, 4, 5].map(|witnesses| wait(Grounds::Silence, witnesses).as_millis());
        assert_eq!(waits, [3_500, 3_250, 3_104, 3_000, 3_000]);
    }

    #[test]
    fn what_others_have_waited_for_need_not_be_waited_for_again() {
        assert_eq!(wait(Grounds::Removal, 0), Duration::from_millis(1_750));
        assert_eq!(wait(Grounds::RollCall, 0), Duration::from_millis(3_500));
    }
}
