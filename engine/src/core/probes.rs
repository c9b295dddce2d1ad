//! Probes: who lives is found out by asking, at a cost that does not grow with the cluster.
//!
//! Once a cycle a node asks one member whether it lives, each in its turn. Who does not answer in
//! time is asked again, by a few others and by stream, because the fault may lie on the way; who
//! answers nobody is suspected (see [`super::suspects`]). And if not even those others say a word,
//! the fault is most likely our own: then nobody is suspected, and we give everybody more time.

use std::net::SocketAddr;
use std::time::Duration;

use super::engine::{Engine, Life};
use super::io::Outbox;
use super::packet::{
    Body, Holds, News, Probe, ProbeAnswer, ProbeRequest, Records, Reply, Vouch, Word,
};
use super::roster::NodeIx;
use super::round::Round;
use super::rtt::Rtt;
use super::timers::Timer;
use crate::config::{Config, Liveness, TransportKind};
use crate::node::NodeId;
use crate::time::{Instant, Now};

/// The probe under way, those that others asked us for, and how far we trust ourselves.
#[derive(Clone, Debug, Default)]
pub(super) struct Prober {
    round: Round,
    rtt: Rtt,
    current: Option<Current>,
    /// At most [`Prober::ERRANDS_MAX`], the earliest to end first.
    errands: Vec<Errand>,
    pub(super) health: Health,
    /// Who said of the member probed that it does not answer them either.
    silent: Vec<NodeId>,
    /// Probes in a row that failed, and those of them that nobody at all said a word about.
    failed: u32,
    mute: u32,
}

#[derive(Clone, Copy, Debug)]
struct Current {
    token: u32,
    node: NodeIx,
    to: SocketAddr,
    sent_at: Instant,
    deadline: Instant,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// We asked it ourselves.
    Direct,
    /// We asked so many others to ask it.
    Indirect { asked: usize },
}

/// A probe for another.
#[derive(Clone, Copy, Debug)]
struct Errand {
    token: u32,
    target: SocketAddr,
    client: SocketAddr,
    client_token: u32,
    until: Instant,
}

/// How slow we are ourselves, by how our own probes fare (Lifeguard's local health multiplier).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Health(u32);

impl Health {
    const WORST: u32 = 8;

    /// By how much everything takes longer than it should.
    pub(super) fn factor(self) -> u32 {
        self.0 + 1
    }

    pub(super) fn worsen(&mut self) {
        self.0 = (self.0 + 1).min(Self::WORST);
    }

    fn improve(&mut self) {
        self.0 = self.0.saturating_sub(1);
    }
}

impl Prober {
    const ERRANDS_MAX: usize = 64;

    /// Probes for one other at a time: it can't take the places of all.
    const ERRANDS_OF_ONE_MAX: usize = 8;

    /// How long an answer to a datagram may take.
    pub(super) fn patience(&self, config: &Config) -> Duration {
        self.rtt.timeout(config)
    }

    #[cfg(test)]
    pub(super) fn errands_len(&self) -> usize {
        self.errands.len()
    }

    fn heard_somebody(&mut self) {
        self.failed = 0;
        self.mute = 0;
    }

    /// How long the others and the stream may take: a stream repeats what it lost no sooner than
    /// after a fifth of a second.
    fn second_patience(&self, config: &Config) -> Duration {
        let (least, most) = (config.cycle() / 4, config.cycle() / 2);
        (self.patience(config) * 4).clamp(least, most)
    }
}

impl Engine {
    /// Who else is asked to probe one that did not answer us.
    const PROXIES: usize = 3;
    /// After so many failed probes in a row, about one of which nobody said a word, everybody is
    /// asked. One alone fails now and then where packets get lost.
    const FAILED_MAX: u32 = 2;

    /// What we hold, in short.
    pub(super) fn holds(&self) -> Holds {
        let version = self.metadata.as_ref().map_or(0, |metadata| metadata.version().hash());
        Holds { digest: self.members.digest(), version }
    }

    /// Once a cycle: probes the next member of the round.
    pub(super) fn on_probe_due(&mut self, now: Now, out: &mut Outbox) {
        self.dialler.forget_refusals();
        self.ask_newcomers(now, out);
        let next = self.jittered(self.config.cycle()) * self.prober.health.factor();
        planted!(ProbesEnd, self.timers.set(Timer::Probe, now.mono + next));
        if let Some(node) = self.next_to_probe() {
            self.probe(now, node, out);
        }
    }

    /// A member left a swap unanswered: that may be how its death shows first.
    pub(super) fn probe_soon(&mut self, now: Now, addr: SocketAddr, out: &mut Outbox) {
        let node = self.members.node(addr).filter(|&node| self.members.is_listed(node));
        if let Some(node) = node
            && self.config.liveness() == Liveness::Probes
            && self.prober.current.is_none()
        {
            self.probe(now, node, out);
        }
    }

    fn probe(&mut self, now: Now, node: NodeIx, out: &mut Outbox) {
        let to = self.members.addr(node);
        let token = self.token_for(now.mono, to);
        let deadline = now.mono + self.first_wait();
        let stage = Stage::Direct;
        self.prober.current = Some(Current { token, node, to, sent_at: now.mono, deadline, stage });
        self.timers.set(Timer::ProbeWait, deadline);
        self.send_probe(to, token, Reply::Datagram, out);
    }

    fn next_to_probe(&mut self) -> Option<NodeIx> {
        let me = self.members.me();
        let ring = self.members.ring();
        if ring.len() == 1 {
            return None;
        }
        loop {
            let node = ring[self.prober.round.next(ring.len(), &mut self.rng)];
            if node != me {
                return Some(node);
            }
        }
    }

    fn first_wait(&self) -> Duration {
        self.prober.patience(&self.config) * self.prober.health.factor()
    }

    pub(super) fn send_probe(&self, to: SocketAddr, token: u32, reply: Reply, out: &mut Outbox) {
        let packet = self.packet(Body::Probe(Probe { token, holds: self.holds(), reply }));
        match reply {
            Reply::Datagram => out.send(to, &packet),
            Reply::Stream => out.stream(to, &packet),
        }
    }

    /// The probe under way was not answered in time.
    pub(super) fn on_probe_wait(&mut self, now: Now, out: &mut Outbox) {
        let Some(current) = self.prober.current else { return };
        if !self.members.is_listed(current.node) || self.life != Life::Running {
            self.prober.current = None;
            return;
        }
        if now.mono - current.deadline > self.grace() {
            // We were not there to see the answer, which may be waiting to be read.
            self.prober.health.worsen();
            self.wait_for_probe(Current { deadline: now.mono + self.first_wait(), ..current });
            return;
        }
        match current.stage {
            Stage::Direct => self.ask_others(now, current, out),
            Stage::Indirect { asked } => {
                self.prober.current = None;
                self.on_probe_failed(now, current.node, asked, out);
            }
        }
    }

    /// A deadline that we notice so much too late says more of us than of others.
    pub(super) fn grace(&self) -> Duration {
        self.config.cycle() / 8
    }

    fn wait_for_probe(&mut self, current: Current) {
        self.timers.set(Timer::ProbeWait, current.deadline);
        self.prober.current = Some(current);
    }

    fn ask_others(&mut self, now: Now, current: Current, out: &mut Outbox) {
        let Current { token, node, to: target, .. } = current;
        let mut proxies = self.pick(now.mono, Self::PROXIES + 1);
        proxies.retain(|&proxy| proxy != node);
        proxies.truncate(Self::PROXIES);
        let request = self.packet(Body::ProbeRequest(ProbeRequest { token, target }));
        for &proxy in &proxies {
            out.send(self.members.addr(proxy), &request);
        }
        if self.config.protocol() == TransportKind::Udp {
            self.send_probe(target, token, Reply::Stream, out);
        }
        let wait = self.prober.second_patience(&self.config) * self.prober.health.factor();
        let stage = Stage::Indirect { asked: proxies.len() };
        self.prober.silent.clear();
        self.wait_for_probe(Current { deadline: now.mono + wait, stage, ..current });
    }

    fn on_probe_failed(&mut self, now: Now, node: NodeIx, asked: usize, out: &mut Outbox) {
        self.stats.probes_failed += 1;
        self.prober.failed += 1;
        let mut witnesses = std::mem::take(&mut self.prober.silent);
        if asked == 0 || !witnesses.is_empty() {
            witnesses.insert(0, self.me.place());
            self.suspect(now, node, witnesses, out);
        } else {
            // Nobody was heard: it is we who are cut off, or too slow; or they all are dead.
            self.prober.health.worsen();
            self.prober.mute += 1;
        }
        if asked == 0 {
            return;
        }
        if self.prober.failed >= Self::FAILED_MAX && self.prober.mute > 0 {
            self.prober.heard_somebody();
            self.call_the_roll(now);
        } else if self.prober.failed == 1
            && let Some(next) = self.next_to_probe()
        {
            // Another shows which it is, and need not wait for its turn.
            self.probe(now, next, out);
        }
    }

    pub(super) fn on_probe(&mut self, from: SocketAddr, probe: &Probe, out: &mut Outbox) {
        if self.life != Life::Running {
            return;
        }
        self.note_report(from, probe.holds);
        let answer = ProbeAnswer { token: probe.token, holds: self.holds() };
        let answer = self.packet(Body::ProbeAnswer(answer));
        match probe.reply {
            Reply::Datagram => out.send(from, &answer),
            Reply::Stream => out.stream(from, &answer),
        }
        self.tell_what_we_think(from, out);
    }

    /// Tells a member that it is suspected, or that it was removed, so that it can refute that.
    fn tell_what_we_think(&mut self, of: SocketAddr, out: &mut Outbox) {
        let Some(node) = self.members.node(of) else { return };
        let thought = match self.members.gone(node) {
            Some(gone) => Some(News::from(gone)),
            None => self.suspects.suspicion(of).map(News::from),
        };
        if let Some(thought) = thought
            && self.config.liveness() == Liveness::Probes
            && self.dialler.may_answer_refused(of)
        {
            out.send(of, &self.packet(Body::Records(Records { news: vec![thought] })));
        }
    }

    pub(super) fn on_probe_answer(
        &mut self,
        now: Now,
        from: SocketAddr,
        answer: &ProbeAnswer,
        out: &mut Outbox,
    ) {
        self.note_report(from, answer.holds);
        let token = answer.token;
        let ours = self.prober.current.take_if(|it| (it.to, it.token) == (from, token));
        let asked = self.asked_with(now.mono, from, token);
        if let Some(addr) = asked {
            self.confirm(now, addr, out);
            self.rivals.answered(NodeId::of(addr));
        }
        if let Some(current) = ours {
            if current.stage == Stage::Direct {
                let rtt = now.mono - current.sent_at;
                self.stats.round_trip.observe(rtt);
                self.prober.rtt.sample(rtt);
            }
            self.end_probe(from);
            if answer.holds != self.holds() {
                self.swap_soon(now, from, Some(answer.holds), out);
            }
        } else if let Some(errand) = self.take_errand(from, token) {
            self.absolve(from);
            self.vouch(errand.client, errand.client_token, Word::Lives, out);
        } else if let Some(addr) = asked {
            self.prober.heard_somebody();
            planted!(AnswerUnheeded, _ = self.absolve(addr));
        } else if self.is_errand_token_of(now.mono, from, token) {
            // Too late for who asked us, but it lives.
            self.absolve(from);
        } else {
            self.stats.answers_stale += 1;
        }
    }

    /// The member probed last lives.
    fn end_probe(&mut self, addr: SocketAddr) {
        self.timers.clear(Timer::ProbeWait);
        self.prober.health.improve();
        self.prober.heard_somebody();
        self.absolve(addr);
    }

    /// Probes a member for somebody who could not reach it.
    pub(super) fn on_probe_request(
        &mut self,
        now: Now,
        from: SocketAddr,
        request: ProbeRequest,
        out: &mut Outbox,
    ) {
        let ProbeRequest { token: client_token, target } = request;
        // Only of members and for members: no stranger can have us send packets to a third party.
        if self.life != Life::Running || !self.lists(from) {
            return;
        }
        if !self.lists(target) {
            // That we hear the asker is worth saying: where nobody else lists the target it would
            // take all others for dead, and never the target.
            return self.vouch(from, client_token, Word::Silent, out);
        }
        let of_one = self.prober.errands.iter().filter(|errand| errand.client == from).count();
        let full = self.prober.errands.len() == Prober::ERRANDS_MAX
            || of_one == Prober::ERRANDS_OF_ONE_MAX;
        if full {
            return;
        }
        let token = self.errand_token(now.mono, target);
        let until = now.mono + self.prober.patience(&self.config);
        let errand = Errand { token, target, client: from, client_token, until };
        self.prober.errands.push(errand);
        self.timers.set_earlier(Timer::Errands, until);
        self.send_probe(target, token, Reply::Datagram, out);
    }

    fn take_errand(&mut self, target: SocketAddr, token: u32) -> Option<Errand> {
        let errands = &mut self.prober.errands;
        let at = errands.iter().position(|it| (it.target, it.token) == (target, token))?;
        Some(errands.remove(at))
    }

    fn vouch(&self, client: SocketAddr, token: u32, word: Word, out: &mut Outbox) {
        out.send(client, &self.packet(Body::Vouch(Vouch { token, word })));
    }

    /// Reports those that did not answer.
    pub(super) fn on_errands(&mut self, now: Now, out: &mut Outbox) {
        let due = |errand: &mut Errand| errand.until <= now.mono;
        let silent: Vec<_> = self.prober.errands.extract_if(.., due).collect();
        for errand in silent {
            self.vouch(errand.client, errand.client_token, Word::Silent, out);
        }
        if let Some(next) = self.prober.errands.iter().map(|errand| errand.until).min() {
            self.timers.set(Timer::Errands, next);
        }
    }

    pub(super) fn on_vouch(&mut self, from: SocketAddr, vouch: Vouch) {
        let current = self.prober.current.filter(|current| current.token == vouch.token);
        let Some(Current { to, stage: Stage::Indirect { asked }, .. }) = current else {
            self.stats.answers_stale += 1;
            return;
        };
        let by = NodeId::of(from);
        match vouch.word {
            Word::Lives => {
                self.prober.current = None;
                self.end_probe(to);
            }
            Word::Silent => {
                if self.prober.silent.len() < asked && !self.prober.silent.contains(&by) {
                    self.prober.silent.push(by);
                }
            }
        }
    }
}
