//! Suspects: members that did not answer, on their way to be cleared or removed.
//!
//! A suspicion is told to the suspect first and then to everybody, so that it can refute it by
//! raising its counter. Nobody is told that a member is dead: each node has a timer of its own for
//! each suspect, which is shorter the more others found it silent too; and before the timer ends
//! it asks the suspect itself. What another says of a death is no more than a suspicion.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::beat::COUNTER_MAX;
use super::calls::Calls;
use super::engine::{Engine, Life};
use super::identity::Outranked;
use super::io::Outbox;
use super::newcomers::Via;
use super::packet::{Body, Gone, News, Records, Reply, Suspicion, Topic};
use super::roll_call::RollCall;
use super::roster::NodeIx;
use super::timers::Timer;
use crate::config::{Config, Liveness};
use crate::node::{Generation, NodeId};
use crate::time::{Instant, Now};

/// The members that are in doubt, by address so that their order is the same everywhere: whoever
/// is taken off the list is taken off here too.
#[derive(Clone, Debug, Default)]
pub(super) struct Suspects {
    by_addr: BTreeMap<SocketAddr, Suspect>,
    /// Whom the next relay will tell of; at most [`Suspects::PENDING_MAX`].
    pending: Vec<SocketAddr>,
    /// Members of which the packet at hand said something that is out of date.
    outdated: Vec<NodeIx>,
    /// Those of the cycle that ends then.
    calls: Calls,
    calls_until: Instant,
    /// No roll is called before, however many are in doubt.
    roll_from: Instant,
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
    calls: u32,
    called_at: Instant,
    next_call: Instant,
}

/// Why a member is in doubt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grounds {
    /// It did not answer a probe, of ours or of somebody else.
    Silence,
    /// Somebody who waited for long enough has removed it.
    Removal,
    /// We hear nobody: everybody is in doubt, and everybody is asked at once.
    RollCall,
}

/// What came of hearing that a member is suspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heed {
    /// It was refuted already, or is nothing to us: not worth telling others.
    Drop,
    /// It is known.
    Known,
    /// It is news.
    News,
}

impl Suspects {
    /// Which share of what may be saved is saved by so many further witnesses, in thousandths:
    /// it goes by the logarithm, for the first of them says most (Lifeguard).
    const SHARES: [u32; Suspicion::WITNESSES_MAX] = [0, 500, 792, 1_000];
    /// What else there is to tell, others learn by swaps once somebody has been removed.
    const PENDING_MAX: usize = 128;
    /// Beyond so many suspects, the clock is looked at less often.
    const MANY: usize = 16;
    /// Which of the calls goes by stream: two datagrams may have got lost.
    const STREAM_CALL: u32 = 3;

    pub(super) fn has(&self, addr: SocketAddr) -> bool {
        !self.by_addr.is_empty() && self.by_addr.contains_key(&addr)
    }

    pub(super) fn len(&self) -> usize {
        self.by_addr.len()
    }

    /// What is told of a suspect, if it is one because it was silent.
    pub(super) fn suspicion(&self, addr: SocketAddr) -> Option<Suspicion> {
        let suspect = self.by_addr.get(&addr).filter(|it| !it.witnesses.is_empty())?;
        let Suspect { generation, counter, ref witnesses, .. } = *suspect;
        Some(Suspicion { addr, generation, counter, witnesses: witnesses.clone() })
    }

    /// Puts everything off by this much: we were not there.
    pub(super) fn shift(&mut self, by: Duration) {
        for suspect in self.by_addr.values_mut() {
            for at in [&mut suspect.since, &mut suspect.called_at, &mut suspect.next_call] {
                *at = *at + by;
            }
        }
    }

    /// What waits to be told, with all the witnesses there are by now.
    pub(super) fn take_pending(&mut self) -> Vec<Suspicion> {
        let pending = std::mem::take(&mut self.pending);
        pending.into_iter().filter_map(|addr| self.suspicion(addr)).collect()
    }

    pub(super) fn is_pending(&self) -> bool {
        !self.pending.is_empty()
    }
}

impl Suspect {
    /// Takes more witnesses.
    fn hear(&mut self, witnesses: &[NodeId]) -> Heed {
        let before = self.witnesses.len();
        for by in witnesses {
            if self.witnesses.len() < Suspicion::WITNESSES_MAX && !self.witnesses.contains(by) {
                self.witnesses.push(*by);
                self.grounds = Grounds::Silence;
            }
        }
        if self.witnesses.len() > before { Heed::News } else { Heed::Known }
    }

    /// How long it may stay one.
    fn wait(&self, config: &Config) -> Duration {
        match self.grounds {
            Grounds::Removal => config.silence_min(),
            Grounds::RollCall => config.suspicion_max(),
            Grounds::Silence => {
                let share = Suspects::SHARES[self.witnesses.len().saturating_sub(1)];
                let (most, least) = (config.suspicion_max(), config.suspicion_min());
                let wait = most - (most - least) * share / 1_000;
                planted!(SuspicionTooShort, wait, Duration::ZERO)
            }
        }
    }

    /// When it is removed, if it does not answer so many calls: not before they were made.
    fn end(&self, config: &Config, calls: u32, patience: Duration) -> Option<Instant> {
        let end = self.since + self.wait(config);
        (self.calls >= calls).then(|| end.max(self.called_at + patience))
    }
}

impl Engine {
    /// A member answered neither us nor the others whom we asked.
    pub(super) fn suspect(
        &mut self,
        now: Now,
        node: NodeIx,
        witnesses: Vec<NodeId>,
        out: &mut Outbox,
    ) {
        let suspicion = Suspicion { witnesses, ..self.nobodys_suspicion(node) };
        let addr = suspicion.addr;
        if self.doubt(now, node, &suspicion, Grounds::Silence) == Heed::News
            && let Some(suspicion) = self.suspects.suspicion(addr)
        {
            self.tell_suspect(suspicion.clone(), out);
            self.spread_suspicion(now, suspicion, out);
        }
    }

    /// A suspicion of a member as it is held here, without a witness.
    fn nobodys_suspicion(&self, node: NodeIx) -> Suspicion {
        Suspicion {
            addr: self.members.addr(node),
            generation: self.members.record(node).generation(),
            counter: self.members.counter(node),
            witnesses: Vec::new(),
        }
    }

    fn tell_suspect(&self, suspicion: Suspicion, out: &mut Outbox) {
        let to = suspicion.addr;
        let news = vec![News::from(suspicion)];
        out.send(to, &self.packet(Body::Records(Records { news })));
    }

    /// By a rumor of its own when it is alone, in bulk when there is more news.
    fn spread_suspicion(&mut self, now: Now, suspicion: Suspicion, out: &mut Outbox) {
        let alone = !self.relay.is_busy_with_news(now.mono, self.config.relay_delay())
            && !self.suspects.is_pending();
        if alone {
            self.relay.told_news(now.mono);
            self.tell_all(now, &Topic::Membership(News::from(suspicion)), out);
        } else {
            self.relay_suspicion(now.mono, suspicion.addr);
        }
    }

    pub(super) fn relay_suspicion(&mut self, now: Instant, addr: SocketAddr) {
        let pending = &mut self.suspects.pending;
        if pending.len() < Suspects::PENDING_MAX && !pending.contains(&addr) {
            pending.push(addr);
            self.schedule_relay(now);
        }
    }

    /// Puts a member in doubt, or takes more witnesses.
    fn doubt(&mut self, now: Now, node: NodeIx, of: &Suspicion, grounds: Grounds) -> Heed {
        let Suspicion { addr, generation, counter, .. } = *of;
        let fresh = Suspect {
            node,
            generation,
            counter,
            since: now.mono,
            witnesses: Vec::new(),
            grounds,
            calls: 0,
            called_at: now.mono,
            next_call: now.mono,
        };
        let suspects = &mut self.suspects.by_addr;
        let known = suspects.get(&addr).map(|it| (it.generation, it.counter));
        let is_new = known.is_none_or(|known| known < (generation, counter));
        if is_new {
            // What it refuted before no longer counts.
            suspects.insert(addr, fresh);
            self.members.doubt(node);
        }
        let suspect = suspects.get_mut(&addr).expect("it is there now");
        let heed = suspect.hear(&of.witnesses);
        let end = suspect.since + suspect.wait(&self.config);
        if is_new && grounds != Grounds::RollCall {
            suspect.next_call = end.saturating_sub(self.config.cycle()).max(now.mono);
        }
        let next = suspect.next_call.min(end.max(now.mono));
        self.timers.set_earlier(Timer::Check, next);
        heed
    }

    /// Where so many are in doubt there are more whose turn to be probed is still to come, and in
    /// random order the last of them comes late: after ten cycles, where half of a cluster died.
    fn call_the_roll_of_many(&mut self, now: Now) {
        if self.many_are_suspected() && now.mono >= self.suspects.roll_from {
            self.call_the_roll(now);
        }
    }

    /// Takes a member out of doubt; true when it was in doubt.
    pub(super) fn absolve(&mut self, addr: SocketAddr) -> bool {
        let suspects = &mut self.suspects.by_addr;
        let suspect = if suspects.is_empty() { None } else { suspects.remove(&addr) };
        if let Some(suspect) = &suspect {
            self.members.undoubt(suspect.node);
        }
        suspect.is_some()
    }

    /// Takes everybody out of doubt.
    pub(super) fn absolve_all(&mut self) {
        for suspect in std::mem::take(&mut self.suspects).by_addr.into_values() {
            self.members.undoubt(suspect.node);
        }
    }

    /// Nobody says a word, or many are in doubt: everybody is asked, and who doesn't answer is
    /// removed after as long as any other suspect. It is not told to others, who find out
    /// themselves, and for it may be we who are cut off.
    pub(super) fn call_the_roll(&mut self, now: Now) {
        self.suspects.roll_from = now.mono + self.config.timeout();
        let me = self.members.me();
        for node in self.members.ring().to_vec() {
            let addr = self.members.addr(node);
            if node == me || self.suspects.has(addr) {
                continue;
            }
            self.doubt(now, node, &self.nobodys_suspicion(node), Grounds::RollCall);
        }
    }

    /// Somebody found a member silent.
    pub(super) fn on_suspicion(
        &mut self,
        now: Now,
        suspicion: &Suspicion,
        via: Via,
        out: &mut Outbox,
    ) -> Heed {
        self.stats.updates += 1;
        let Some(node) = self.members.node(suspicion.addr) else { return Heed::Drop };
        if node == self.members.me() {
            self.refute(now, suspicion.generation, suspicion.counter, via, out);
            return Heed::Drop;
        }
        if !self.members.is_listed(node)
            || self.members.record(node).generation() != suspicion.generation
        {
            return Heed::Drop;
        }
        if suspicion.counter < self.members.counter(node) {
            // It was refuted, and the sender has not heard of it.
            self.suspects.outdated.push(node);
            return Heed::Drop;
        }
        if self.config.liveness() != Liveness::Probes || self.life != Life::Running {
            // Not our way of judging, but it may be that of others.
            return Heed::Known;
        }
        self.members.raise_counter(node, suspicion.counter);
        let heed = self.doubt(now, node, suspicion, Grounds::Silence);
        self.call_the_roll_of_many(now);
        heed
    }

    /// Somebody has removed a member that we list: reason enough to ask it.
    pub(super) fn on_obituary(&mut self, now: Now, gone: &Gone, via: Via, out: &mut Outbox) {
        let Gone { addr, generation, counter, .. } = *gone;
        let Some(node) = self.members.node(addr) else { return };
        if node == self.members.me() {
            planted!(ObituaryUnheeded, self.refute(now, generation, counter, via, out));
            return;
        }
        if self.members.record(node).generation() != generation {
            return;
        }
        let outdated = counter < self.members.counter(node);
        self.members.raise_counter(node, counter);
        if !self.members.is_listed(node) || self.life != Life::Running {
            return;
        }
        if outdated {
            self.suspects.outdated.push(node);
        } else if !self.suspects.has(addr) {
            let suspicion = self.nobodys_suspicion(node);
            self.doubt(now, node, &suspicion, Grounds::Removal);
            self.tell_suspect(suspicion, out);
        }
    }

    /// Somebody doubts that we live.
    fn refute(
        &mut self,
        now: Now,
        generation: Generation,
        counter: u32,
        via: Via,
        out: &mut Outbox,
    ) {
        if self.life != Life::Running || generation != self.me.generation() {
            return;
        }
        let me = self.members.me();
        let ours = self.members.counter(me);
        if counter > ours {
            // More than we ever said: an earlier life, or a rival.
            self.outrank(now, Outranked::ByCopy(generation), out);
        } else if counter == ours && self.renew(now, out) {
            self.stats.refutations += 1;
            self.prober.health.worsen();
            self.announce(now, self.members.me(), out);
            self.suspects.outdated.push(me);
        } else if self.dialler.may_answer_refused(via.from) {
            self.suspects.outdated.push(me);
        }
    }

    /// Says that we live, unasked.
    pub(super) fn return_to_life(&mut self, now: Now, out: &mut Outbox) {
        if self.life == Life::Running && self.renew(now, out) {
            self.announce(now, self.members.me(), out);
        }
    }

    /// Raises our counter because somebody asks for a sign of life that is newer than what he
    /// has; not when that was done a moment ago, for then it is on its way. True when it was.
    pub(super) fn renew(&mut self, now: Now, out: &mut Outbox) -> bool {
        let me = self.members.me();
        if self.members.counter(me) >= COUNTER_MAX / 2 && self.begin_anew(now, out) {
            return true;
        }
        let due = now.mono - self.members.raised_at(me) >= self.moment();
        if due {
            self.members.beat_once(now.mono);
        }
        due
    }

    /// How long a beat is on its way to all.
    pub(super) fn moment(&self) -> Duration {
        Duration::from_millis(250).min(self.config.relay_delay())
    }

    /// Tells the sender of what was out of date how it really is.
    pub(super) fn correct(&mut self, now: Now, to: SocketAddr, out: &mut Outbox) {
        if self.suspects.outdated.is_empty() {
            return;
        }
        let mut nodes = std::mem::take(&mut self.suspects.outdated);
        nodes.sort_unstable_by_key(|&node| self.members.addr(node));
        nodes.dedup();
        let news = nodes.iter().filter_map(|&node| self.news_of(node, now.mono));
        let pages = self.record_pages(news);
        self.send_records(to, pages, out);
    }

    /// Calls the suspects whose time is nearly over, removes those whose time is, and finds when
    /// to look again.
    pub(super) fn on_check_suspects(&mut self, now: Now, out: &mut Outbox) {
        self.members.forget(now.mono, self.tombstone_time());
        for addr in self.judge_suspects(now) {
            let suspect = self.suspects.by_addr.remove(&addr).expect("it was just judged");
            self.remove_silent(now.mono, suspect.node, out);
        }
        self.call_suspects(now, out);
        let (calls, patience) = (self.calls_before_removal(), self.call_patience());
        let next = self.suspects.by_addr.values().map(|suspect| {
            let end = suspect.end(&self.config, calls, patience);
            suspect.next_call.min(end.unwrap_or(suspect.next_call))
        });
        let mut next = next.min().unwrap_or(now.mono + self.config.timeout());
        if self.suspects.by_addr.len() > Suspects::MANY {
            next = next.max(now.mono + self.config.cycle() / 20);
        }
        planted!(SuspectsUnjudged, self.timers.set(Timer::Check, next));
    }

    /// Calls that a suspect must have left unanswered: two of which one may have got lost, when
    /// there are so many suspects that hardly anybody else speaks for those that live.
    fn calls_before_removal(&self) -> u32 {
        if self.many_are_suspected() { RollCall::CALLS } else { 1 }
    }

    fn call_patience(&self) -> Duration {
        self.prober.patience(&self.config) * self.prober.health.factor()
    }

    /// Whose time is over. Who was never called, or only just, has a little more.
    fn judge_suspects(&mut self, now: Now) -> Vec<SocketAddr> {
        let members = &mut self.members;
        self.suspects.by_addr.retain(|_, suspect| {
            let doubted = members.is_listed(suspect.node)
                && members.record(suspect.node).generation() == suspect.generation
                && members.counter(suspect.node) <= suspect.counter;
            if !doubted {
                members.undoubt(suspect.node);
            }
            doubted
        });
        let (calls, patience) = (self.calls_before_removal(), self.call_patience());
        let over = |(_, suspect): &(&SocketAddr, &Suspect)| {
            suspect.end(&self.config, calls, patience).is_some_and(|end| now.mono >= end)
        };
        self.suspects.by_addr.iter().filter(over).map(|(&addr, _)| addr).collect()
    }

    /// Asks the suspects themselves, those first who were asked least. When there are many, two
    /// calls of each are made whatever the limit says, but not all of them at once.
    fn call_suspects(&mut self, now: Now, out: &mut Outbox) {
        if now.mono >= self.suspects.calls_until {
            self.suspects.calls.new_cycle();
            self.suspects.calls_until = now.mono + self.config.cycle();
        }
        let members = self.members.len();
        let again = now.mono + self.config.cycle() / 4;
        let (many, patience) = (self.many_are_suspected(), self.call_patience());
        let mut share = if many { RollCall::share(self.suspects.len()) } else { 0 };
        let Suspects { by_addr, calls: budget, .. } = &mut self.suspects;
        let due = by_addr.iter_mut().filter(|it| it.1.next_call <= now.mono);
        let mut due: Vec<_> = due.collect();
        due.sort_by_key(|(addr, suspect)| (suspect.calls, **addr));
        let mut calls = Vec::new();
        for (&addr, suspect) in due {
            let is_of_roll = many && suspect.calls < RollCall::CALLS;
            let may = if is_of_roll { share > 0 } else { budget.make(members) };
            if !may {
                self.stats.last_calls_over_limit += u64::from(!is_of_roll);
                suspect.next_call = if is_of_roll { now.mono } else { again };
                continue;
            }
            share -= usize::from(is_of_roll);
            suspect.calls += 1;
            if planted!(CallsPutOff, suspect.calls <= RollCall::CALLS, true) {
                // What counts is whether these are answered: more of them put no end off.
                suspect.called_at = now.mono;
            }
            let again_soon = is_of_roll && suspect.calls < RollCall::CALLS;
            suspect.next_call = if again_soon { now.mono + patience } else { again };
            let by_stream = suspect.calls == Suspects::STREAM_CALL;
            let reply = if by_stream { Reply::Stream } else { Reply::Datagram };
            calls.push((addr, reply));
        }
        for (addr, reply) in calls {
            let token = self.token_for(now.mono, addr);
            self.send_probe(addr, token, reply, out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(grounds: Grounds, witnesses: u64) -> Duration {
        let config = Config::builder().liveness(Liveness::Probes).build().unwrap();
        let zero = Instant::ZERO;
        let mut suspect = Suspect {
            node: NodeIx::default(),
            generation: Generation::default(),
            counter: 1,
            since: zero,
            witnesses: Vec::new(),
            grounds,
            calls: 0,
            called_at: zero,
            next_call: zero,
        };
        let witnesses: Vec<_> = (0..witnesses).map(NodeId).collect();
        suspect.hear(&witnesses);
        suspect.wait(&config)
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
