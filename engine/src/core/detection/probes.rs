//! Probes: who lives is found out by asking, at a cost that does not grow with the cluster.
//!
//! Once a cycle a node asks one member whether it lives, each in its turn. Who does not answer in
//! time is asked twice more, because packets get lost, and then by a few others and by stream,
//! because the fault may lie on the way; who answers nobody is suspected (see
//! [`super::suspects`]). And if not even those others say a word, the fault is most likely our own:
//! then nobody is suspected, and we give everybody more time.
//!
//! Where two are suspected at once, more may have failed with them, and their turn to be asked
//! would come seconds later. So each node asks those who follow it on the ring: together they ask
//! everybody.

use std::iter;
use std::net::SocketAddr;
use std::time::Duration;

use super::Detection;
use super::responses::Responses;
use crate::config::TransportKind;
use crate::core::context::{Context, Effect, Life, Source};
use crate::core::dissemination::Dissemination;
use crate::core::io::Carrier;
use crate::core::members::NodeIx;
use crate::core::packet::{
    AckOrNack, Body, Delta, Echoed, IndirectAck, MembershipUpdate, PingReq, Probe, ProbeAnswer,
    Reply,
};
use crate::core::round::Round;
use crate::core::timers::Timer;
use crate::node::NodeId;
use crate::time::Instant;

/// The probe under way, those that others asked us for, and how far we trust ourselves.
#[derive(Clone, Debug, Default)]
pub(super) struct Prober {
    round: Round,
    responses: Responses,
    current: Option<Current>,
    /// Whom to ask before their turn.
    urgent: Vec<NodeIx>,
    /// At most [`Prober::ERRANDS_MAX`], the earliest to end first.
    relayed: Vec<RelayedProbe>,
    health: Health,
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
    /// We asked it ourselves, so often.
    Direct { asks: u32 },
    /// We asked so many others to ask it.
    Indirect { asked: usize },
}

/// A probe for another.
#[derive(Clone, Copy, Debug)]
struct RelayedProbe {
    token: u32,
    target: SocketAddr,
    client: SocketAddr,
    client_token: u32,
    until: Instant,
}

/// How slow we are ourselves, by how our own probes fare (Lifeguard's local health multiplier).
#[derive(Clone, Copy, Debug, Default)]
struct Health(u32);

impl Health {
    const WORST: u32 = 8;

    /// By how much everything takes longer than it should.
    fn factor(self) -> u32 {
        self.0 + 1
    }

    fn worsen(&mut self) {
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

    #[cfg(test)]
    pub(crate) fn health_factor(&self) -> u32 {
        self.health.factor()
    }

    #[cfg(test)]
    pub(crate) fn relayed_len(&self) -> usize {
        self.relayed.len()
    }

    /// What was unanswered was so for a reason that is gone.
    pub(super) fn forgive(&mut self) {
        self.be_prompt();
        self.responses.forgive();
    }

    /// Nobody answers at all: it is no slowness that makes us ask less often, and once a cycle
    /// will show when it ends.
    pub(super) fn be_prompt(&mut self) {
        self.health = Health::default();
    }

    /// True while most of those whom we ask do not answer at once.
    pub(super) fn is_unwell(&self) -> bool {
        self.responses.are_missing()
    }

    fn heard_somebody(&mut self) {
        self.failed = 0;
        self.mute = 0;
    }
}

impl Detection {
    /// Who else is asked to probe one that did not answer us.
    const PROXIES: usize = 3;
    /// How often a member is asked before others are: at a loss of 5 % each way one time leaves
    /// a living one in doubt in ten of a hundred, three times in one of a thousand.
    const ASKS: u32 = 3;
    /// How many that follow us on the ring are asked when several are silent at once.
    const NEIGHBOURS: usize = 3;
    /// After so many failed probes in a row, about one of which nobody said a word, everybody is
    /// asked. One alone fails now and then where packets get lost.
    const FAILED_MAX: u32 = 2;

    /// Once a cycle: probes the next member of the round.
    pub(crate) fn on_probe_due(&mut self, cx: &mut Context<'_>) {
        self.corrections.new_cycle();
        self.look_at_ourselves(cx);
        let next = cx.jittered(cx.config.cycle()) * self.prober.health.factor();
        planted!(ProbesEnd, cx.timers.set(Timer::Probe, cx.now.mono + next));
        match self.next_to_probe(cx) {
            Some(node) if self.prober.current.is_none() => self.probe(cx, node),
            next => self.prober.urgent.extend(next),
        }
    }

    /// Asks those who follow us on the ring before their turn.
    pub(super) fn probe_neighbours(&mut self, cx: &mut Context<'_>) {
        let ring = cx.members.ring();
        let me = ring.iter().position(|&node| node == cx.members.me()).expect("we are listed");
        let after = ring[me + 1..].iter().chain(&ring[..me]).copied();
        let is_asked = |node| !cx.members.is_suspected(node) && !cx.members.is_rumored(node);
        let unsuspected = after.filter(|&node| is_asked(node));
        self.prober.urgent = unsuspected.take(Self::NEIGHBOURS).collect();
        if self.prober.current.is_none() {
            self.probe_urgent(cx);
        }
    }

    /// Asks the next of those whose turn does not matter.
    fn probe_urgent(&mut self, cx: &mut Context<'_>) {
        while let Some(node) = self.prober.urgent.pop() {
            if cx.members.is_listed(node) && !cx.members.is_suspected(node) {
                return self.probe(cx, node);
            }
        }
    }

    /// A member left a swap unanswered: that may be how its death shows first.
    pub(crate) fn probe_soon(&mut self, cx: &mut Context<'_>, addr: SocketAddr) {
        let node = cx.members.node(addr).filter(|&node| cx.members.is_listed(node));
        if let Some(node) = node
            && cx.config.liveness().asks()
            && self.prober.current.is_none()
        {
            self.probe(cx, node);
        }
    }

    /// Asks nobody any more, as one that has stopped.
    pub(super) fn end_probes(&mut self) {
        self.prober.current = None;
        self.prober.urgent.clear();
    }

    fn probe(&mut self, cx: &mut Context<'_>, node: NodeIx) {
        let to = cx.members.addr(node);
        let token = cx.token_for(to);
        let (sent_at, stage) = (cx.now.mono, Stage::Direct { asks: 0 });
        self.ask(cx, Current { token, node, to, sent_at, deadline: sent_at, stage }, 1);
    }

    /// Asks the member under way itself, for the first time or again.
    fn ask(&mut self, cx: &mut Context<'_>, current: Current, asks: u32) {
        let last = current.sent_at + self.direct_time(cx);
        let deadline = (cx.now.mono + self.call_rto(cx)).min(last);
        match asks {
            1 => self.prober.responses.note_first(current.to, current.token, cx.now.mono),
            _ => self.prober.responses.note_again(),
        }
        let token = if asks == 1 { current.token } else { current.token.repeated() };
        cx.send_probe(current.to, token, Reply::Datagram);
        self.wait_for_probe(cx, Current { deadline, stage: Stage::Direct { asks }, ..current });
    }

    fn next_to_probe(&mut self, cx: &mut Context<'_>) -> Option<NodeIx> {
        let ring = cx.members.ring();
        let turns = iter::repeat_with(|| ring[self.prober.round.next(ring.len(), cx.rng)]);
        // Whom nobody vouches for `ask_newcomers` asks, within its limit.
        let is_asked = |node: &NodeIx| *node != cx.members.me() && !cx.members.is_rumored(*node);
        turns.take(2 * ring.len()).find(is_asked)
    }

    /// The probe under way was not answered in time.
    pub(crate) fn on_probe_wait(&mut self, cx: &mut Context<'_>, spread: &mut Dissemination) {
        let Some(current) = self.prober.current else { return };
        if !cx.members.is_listed(current.node) || *cx.life != Life::Running {
            self.prober.current = None;
            return self.probe_urgent(cx);
        }
        if cx.now.mono - current.deadline > cx.grace() {
            // We were not there to see the answer, which may be waiting to be read.
            self.prober.health.worsen();
            self.wait_for_probe(
                cx,
                Current { deadline: cx.now.mono + self.call_rto(cx), ..current },
            );
            return;
        }
        match current.stage {
            Stage::Direct { asks } => {
                let is_early = cx.now.mono < current.sent_at + self.direct_time(cx);
                match asks < Self::ASKS && is_early {
                    true => self.ask(cx, current, asks + 1),
                    false => self.ask_others(cx, current),
                }
            }
            Stage::Indirect { asked } => {
                self.prober.current = None;
                self.on_probe_failed(cx, spread, current.node, asked);
            }
        }
    }

    fn wait_for_probe(&mut self, cx: &mut Context<'_>, current: Current) {
        cx.timers.set(Timer::ProbeWait, current.deadline);
        self.prober.current = Some(current);
    }

    fn ask_others(&mut self, cx: &mut Context<'_>, current: Current) {
        self.prober.responses.note_unanswered();
        let Current { token, to: target, .. } = current;
        let asked = Self::ask_proxies(cx, target, token);
        if cx.config.protocol() == TransportKind::Udp {
            cx.send_probe(target, token.repeated(), Reply::Stream);
        }
        let wait = Self::second_rto(cx) * self.prober.health.factor();
        let stage = Stage::Indirect { asked };
        self.prober.silent.clear();
        self.wait_for_probe(cx, Current { deadline: cx.now.mono + wait, stage, ..current });
    }

    /// Has others probe a member that does not answer us, and says how many.
    pub(super) fn ask_proxies(cx: &mut Context<'_>, target: SocketAddr, token: u32) -> usize {
        let mut proxies = cx.pick(Self::PROXIES + 1);
        proxies.retain(|&proxy| cx.members.addr(proxy) != target);
        proxies.truncate(Self::PROXIES);
        let request = cx.packet(Body::PingReq(PingReq { token, target }));
        for &proxy in &proxies {
            cx.out.send(cx.members.addr(proxy), &request);
        }
        proxies.len()
    }

    fn on_probe_failed(
        &mut self,
        cx: &mut Context<'_>,
        spread: &mut Dissemination,
        node: NodeIx,
        asked: usize,
    ) {
        cx.stats.probes_failed += 1;
        self.prober.failed += 1;
        let mut witnesses = std::mem::take(&mut self.prober.silent);
        if self.is_behind(cx) {
            // The answer may be among what we have not read yet.
            self.prober.health.worsen();
            return self.probe_urgent(cx);
        }
        if asked == 0 || !witnesses.is_empty() {
            witnesses.insert(0, cx.me.place());
            self.suspect_silent(cx, spread, node, witnesses);
        } else {
            // Nobody was heard: it is we who are cut off, or too slow; or they all are dead.
            self.prober.mute += 1;
            match self.is_isolated() {
                true => self.prober.be_prompt(),
                false => self.prober.health.worsen(),
            }
        }
        if asked == 0 {
            return self.probe_urgent(cx);
        }
        if self.prober.failed >= Self::FAILED_MAX && self.prober.mute > 0 {
            self.prober.heard_somebody();
            self.suspect_all(cx);
        } else if self.prober.failed == 1
            && let Some(next) = self.next_to_probe(cx)
        {
            // Another shows which it is, and need not wait for its turn.
            self.prober.urgent.push(next);
        }
        self.probe_urgent(cx);
    }

    pub(crate) fn on_probe(&mut self, cx: &mut Context<'_>, from: SocketAddr, probe: &Probe) {
        if *cx.life != Life::Running {
            return;
        }
        cx.note_report(from, probe.holds);
        let answer = ProbeAnswer { token: probe.token, holds: cx.holds(cx.wire()) };
        let answer = cx.packet(Body::ProbeAnswer(answer));
        match probe.reply {
            Reply::Datagram => cx.out.send(from, &answer),
            Reply::Stream => cx.out.stream(from, &answer),
        }
        if self.is_doubted(cx)
            && self.may_correct(from)
            && let Some(me) = cx.news_of(cx.members.me())
        {
            // One of many who ask will hear it, and tell the others.
            cx.out.send(from, &cx.packet(Body::Delta(Delta { news: vec![me] })));
        }
        self.tell_what_we_think(cx, from);
    }

    /// Tells a member that it is suspected, or that it was removed, so that it can refute that.
    fn tell_what_we_think(&mut self, cx: &mut Context<'_>, of: SocketAddr) {
        let Some(node) = cx.members.node(of) else { return };
        let thought = match cx.members.gone(node) {
            Some(gone) => Some(MembershipUpdate::from(gone)),
            None => self.suspicion_of(cx, of).map(MembershipUpdate::from),
        };
        if let Some(thought) = thought
            && cx.config.liveness().asks()
            && self.may_correct(of)
        {
            cx.out.send(of, &cx.packet(Body::Delta(Delta { news: vec![thought] })));
        }
    }

    pub(crate) fn on_probe_answer(
        &mut self,
        cx: &mut Context<'_>,
        via: Source,
        answer: &ProbeAnswer,
        asked: Option<SocketAddr>,
    ) {
        let (from, token) = (via.from, answer.token);
        cx.note_report(from, answer.holds);
        self.time_answer(cx, via, token);
        let answers = |it: &mut Current| (it.to, it.token) == (from, token.first());
        let ours = self.prober.current.take_if(answers);
        if ours.is_some() {
            self.end_probe(cx, from);
            Self::follow_up(cx, from, answer);
        } else if let Some(errand) = self.take_relayed(from, token) {
            Self::refute_addr(cx, from);
            Self::vouch(cx, errand.client, errand.client_token, AckOrNack::Ack);
        } else if let Some(addr) = asked {
            self.prober.heard_somebody();
            planted!(AnswerUnheeded, _ = Self::refute_addr(cx, addr));
            Self::follow_up(cx, from, answer);
        } else if cx.is_relayed_token_of(from, token) {
            // Too late for who asked us, but it lives.
            Self::refute_addr(cx, from);
        } else {
            cx.stats.answers_stale += 1;
        }
    }

    /// A swap with who answers a question of ours and holds something else.
    fn follow_up(cx: &mut Context<'_>, from: SocketAddr, answer: &ProbeAnswer) {
        if answer.holds != cx.holds(cx.wire()) {
            cx.effects.push_back(Effect::Differs(from, Some(answer.holds)));
        }
    }

    /// What a stream takes says nothing of datagrams.
    fn time_answer(&mut self, cx: &mut Context<'_>, via: Source, token: u32) {
        if via.carrier == Carrier::Stream && cx.config.protocol() == TransportKind::Udp {
            return;
        }
        if let Some(waited) = self.prober.responses.note(cx.now.mono, via.from, token.first()) {
            cx.note_round_trip(via.from, waited, token);
        }
    }

    /// The member probed last lives.
    fn end_probe(&mut self, cx: &mut Context<'_>, addr: SocketAddr) {
        cx.timers.clear(Timer::ProbeWait);
        self.prober.health.improve();
        self.prober.heard_somebody();
        Self::refute_addr(cx, addr);
        self.probe_urgent(cx);
    }

    /// Clears whoever is at an address of suspicion; true when it was suspected.
    pub(super) fn refute_addr(cx: &mut Context<'_>, addr: SocketAddr) -> bool {
        let node = cx.members.node(addr);
        node.is_some_and(|node| Self::clear(cx, node))
    }

    /// Probes a member for somebody who could not reach it.
    pub(crate) fn on_probe_request(
        &mut self,
        cx: &mut Context<'_>,
        from: SocketAddr,
        request: PingReq,
    ) {
        let PingReq { token: client_token, target } = request;
        // Only of members and for members: no stranger can have us send packets to a third party.
        if *cx.life != Life::Running || !cx.lists(from) {
            return;
        }
        if !cx.lists(target) {
            // That we hear the asker is worth saying: where nobody else lists the target it would
            // take all others for dead, and never the target.
            Self::vouch(cx, from, client_token, AckOrNack::Nack);
            return Self::tell_removal(cx, from, target);
        }
        let of_one = self.prober.relayed.iter().filter(|errand| errand.client == from).count();
        let full = self.prober.relayed.len() == Prober::ERRANDS_MAX
            || of_one == Prober::ERRANDS_OF_ONE_MAX;
        if full {
            return;
        }
        let token = cx.relayed_token(target);
        let until = cx.now.mono + cx.rtts.rto(target, cx.config);
        let errand = RelayedProbe { token, target, client: from, client_token, until };
        self.prober.relayed.push(errand);
        cx.timers.set_earlier(Timer::Relayed, until);
        cx.send_probe(target, token, Reply::Datagram);
    }

    fn take_relayed(&mut self, target: SocketAddr, token: u32) -> Option<RelayedProbe> {
        let errands = &mut self.prober.relayed;
        let at = errands.iter().position(|it| (it.target, it.token) == (target, token))?;
        Some(errands.remove(at))
    }

    fn vouch(cx: &mut Context<'_>, client: SocketAddr, token: u32, word: AckOrNack) {
        cx.out.send(client, &cx.packet(Body::IndirectAck(IndirectAck { token, word })));
    }

    /// Reports those that did not answer.
    pub(crate) fn on_relayed_due(&mut self, cx: &mut Context<'_>) {
        let due = |errand: &mut RelayedProbe| errand.until <= cx.now.mono;
        let silent: Vec<_> = self.prober.relayed.extract_if(.., due).collect();
        for errand in silent {
            Self::vouch(cx, errand.client, errand.client_token, AckOrNack::Nack);
        }
        if let Some(next) = self.prober.relayed.iter().map(|errand| errand.until).min() {
            cx.timers.set(Timer::Relayed, next);
        }
    }

    pub(crate) fn on_vouch(&mut self, cx: &mut Context<'_>, from: SocketAddr, vouch: IndirectAck) {
        let current = self.prober.current.filter(|current| current.token == vouch.token);
        let Some(Current { to, stage: Stage::Indirect { asked }, .. }) = current else {
            // Only members were asked, and to look for whom it was costs two hashes a suspect.
            let is_heeded = vouch.word == AckOrNack::Ack
                && cx.lists(from)
                && self.note_vouched(cx, vouch.token);
            cx.stats.answers_stale += u64::from(!is_heeded);
            return;
        };
        let by = NodeId::of(from);
        match vouch.word {
            AckOrNack::Ack => {
                self.prober.current = None;
                self.end_probe(cx, to);
            }
            AckOrNack::Nack => {
                if self.prober.silent.len() < asked && !self.prober.silent.contains(&by) {
                    self.prober.silent.push(by);
                }
            }
        }
    }

    /// How long a member may take before others are asked.
    fn direct_time(&self, cx: &Context<'_>) -> Duration {
        cx.config.cycle() / 4 * self.prober.health.factor()
    }

    /// Others doubt us: we are slow ourselves.
    pub(crate) fn worsen_health(&mut self) {
        self.prober.health.worsen();
    }

    /// How long the answer to a call may take.
    pub(super) fn call_rto(&self, cx: &Context<'_>) -> Duration {
        cx.rtts.rto_of_all(cx.config) * self.prober.health.factor()
    }

    /// How long the others and the stream may take: a stream repeats what it lost no sooner than
    /// after a fifth of a second, and who is asked for us waits as long as we would before it says
    /// that it heard nothing. Where that never came in time nobody would be suspected.
    fn second_rto(cx: &Context<'_>) -> Duration {
        (cx.rtts.rto_of_all(cx.config) * 4).clamp(cx.config.cycle() / 4, cx.config.cycle())
    }
}
