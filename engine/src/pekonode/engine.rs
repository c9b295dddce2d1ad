//! The machine: what arrives, what is due, and what the service wants.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::packet::{Carried, Kind, LegacyPacket, SecretDigest};
use super::peers::{Peers, Sight};
use crate::config::{self, Config, Liveness, Swap, TransportKind};
use crate::core::{
    Answer, Cause, Class, Command, Event, Footprint, Identity, Input, Inspect, Metadata, Outbox,
    Protocol, PutError, Record, Stats,
};
use crate::node::{Generation, Node};
use crate::rng::Rng;
use crate::time::{Instant, Now, nanos};

/// One node among pekonode nodes: a [`Protocol`], with the contract that it has with its driver.
///
/// Where a packet came from means nothing to it: pekonode sends from any port. Nor does a stream
/// that failed, for losses are expected.
#[derive(Clone, Debug)]
pub struct LegacyEngine {
    pub(super) me: Arc<Record>,
    pub(super) config: Arc<Config>,
    pub(super) secret_key: SecretDigest,
    pub(super) life: LifeStage,
    pub(super) phase: JoinPhase,
    pub(super) rng: Rng,
    pub(super) peers: Peers,
    pub(super) metadata: Option<Metadata>,
    /// Whom we have yet to swap with in this round.
    pub(super) round: Vec<SocketAddr>,
    pub(super) stats: Stats,
    pub(super) told_too_large: bool,
    pub(super) told_full: bool,
    timers: [Option<Instant>; Due::ALL.len()],
    seeds: Vec<SocketAddr>,
    /// Dials so far: where in the list of those to dial the next one begins.
    dials: usize,
    started: Instant,
    told_conflict: bool,
}

/// What a node does of its own accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LifeStage {
    /// Everything.
    Running,
    /// It answers and forwards, but neither beats nor swaps nor dials.
    Stopped,
    /// Nothing at all.
    Left,
}

/// Whether others may know members that we don't.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum JoinPhase {
    /// They may: we began, or heard of a new one, at this time.
    Joining { since: Instant },
    /// For two cycles nobody new turned up.
    Settled,
}

/// What is done from time to time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    Beat,
    Swap,
    Dial,
    Check,
}

impl Due {
    const ALL: [Self; 4] = [Self::Beat, Self::Swap, Self::Dial, Self::Check];
}

impl Protocol for LegacyEngine {
    type Packet = LegacyPacket;
    type Settings = Arc<Config>;

    /// No packet has a generation.
    const IDENTITY: Identity = Identity::Address;

    fn new(me: Arc<Record>, config: &Arc<Config>, seed: u64, now: Now) -> Self {
        let secret = config.secret_key().map_or(&[][..], config::SecretKey::expose);
        let mut engine = Self {
            life: LifeStage::Running,
            phase: JoinPhase::Joining { since: now.mono },
            rng: Rng::fork(seed, "pekonode", me.place().0),
            peers: Peers::default(),
            metadata: None,
            round: Vec::new(),
            stats: Stats::default(),
            told_too_large: false,
            told_full: false,
            timers: [None; Due::ALL.len()],
            seeds: Vec::new(),
            dials: 0,
            started: now.mono,
            told_conflict: false,
            me,
            config: Arc::clone(config),
            secret_key: SecretDigest::of(secret),
        };
        engine.set_timers(now.mono);
        engine
    }

    fn handle(&mut self, now: Now, input: Input<LegacyPacket>, out: &mut Outbox<LegacyPacket>) {
        self.stats.inputs += 1;
        self.notice_sleep(now.mono, out);
        match input {
            _ if self.life == LifeStage::Left => {}
            Input::Packet { packet, .. } => self.on_packet(now, &packet, out),
            Input::Command(command) => self.on_command(now, command, out),
            Input::StreamFailed { .. } | Input::Timeout | Input::Waited(_) => {}
        }
        // After every input, so that a flood of packets can't keep us from beating.
        for timer in Due::ALL {
            if self.timers[timer as usize].is_some_and(|due| due <= now.mono) {
                self.on_timer(now, timer, out);
            }
        }
        self.stats.members = self.members_len();
        self.stats.members_max = self.stats.members_max.max(self.stats.members);
        self.stats.tombstones_max = self.stats.tombstones_max.max(self.peers.lost_len());
    }

    fn deadline(&self) -> Option<Instant> {
        self.timers.iter().flatten().min().copied()
    }

    fn inspect(&self) -> Inspect<'_> {
        let (me, metadata, stats) = (&self.me, self.metadata.as_ref(), &self.stats);
        Inspect { me, members_len: self.members_len(), metadata, entries: None, stats }
    }

    /// By address.
    fn members(&self) -> impl Iterator<Item = &Arc<Record>> {
        let mut members: Vec<_> = self.peers.listed().map(|(_, peer)| &peer.record).collect();
        members.push(&self.me);
        members.sort_by_key(|record| record.node().addr());
        members.into_iter()
    }

    /// As if each had just been heard of.
    fn preload<'a>(
        &mut self,
        now: Now,
        members: impl Iterator<Item = &'a Arc<Record>>,
        out: &mut Outbox<LegacyPacket>,
    ) {
        let me = self.me.node().addr();
        for record in members.filter(|record| record.node().addr() != me) {
            self.see(now, record.node(), out);
        }
    }

    fn footprint(&self) -> Footprint {
        let (members, tombstones) = (self.members_len(), self.peers.lost_len());
        Footprint { members, tombstones, ..Footprint::default() }
    }
}

impl LegacyEngine {
    /// Last calls at one time.
    const CALLS_MAX: usize = 16;

    /// Answers to last calls without a beat after which no more are sent: it is a Go node, and
    /// each answer may carry a value. Of one of ours the beat may have got lost.
    const ANSWERS_MAX: u8 = 3;

    /// Dials at one time.
    const DIALS_MAX: usize = 4;

    /// The settings.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// How all its packets travel.
    pub(super) fn class(&self) -> Class {
        match self.config.protocol() {
            TransportKind::Udp => Class::Datagram,
            TransportKind::Tcp => Class::Stream,
        }
    }

    /// True when a node at this IP is listed: Go nodes send from a port of the system's choice.
    pub fn lists_at(&self, ip: IpAddr) -> bool {
        self.peers.lists_at(ip)
    }

    /// True when the node at this address is listed.
    pub fn lists(&self, addr: SocketAddr) -> bool {
        self.peers.lists(addr)
    }

    /// How many members are listed, itself included.
    pub fn members_len(&self) -> usize {
        self.peers.listed_len() + 1
    }

    fn on_packet(&mut self, now: Now, packet: &LegacyPacket, out: &mut Outbox<LegacyPacket>) {
        if packet.secret_key != self.secret_key {
            self.stats.keys_wrong += 1;
        } else if packet.node.addr() == self.me.node().addr() {
            self.on_namesake(now, &packet.node, out);
        } else {
            match packet.kind {
                Kind::Beat => self.on_beat(now, packet, out),
                Kind::Publish => self.on_publish_of(now, packet, out),
                Kind::SwapRequest => self.on_swap_request(now, packet, out),
                Kind::SwapAnswer => self.on_swap_answer(now, packet, out),
            }
        }
    }

    fn on_beat(&mut self, now: Now, packet: &LegacyPacket, out: &mut Outbox<LegacyPacket>) {
        self.see(now, &packet.node, out);
        self.relay(now, packet, out);
    }

    /// A publish that is older than what we hold, or lies ahead of any clock, ends here.
    fn on_publish_of(&mut self, now: Now, packet: &LegacyPacket, out: &mut Outbox<LegacyPacket>) {
        self.see(now, &packet.node, out);
        self.on_metadata(now, &packet.metadata, out);
        let held = self.metadata.as_ref().map(|held| held.version().nanos);
        if held == Some(packet.metadata.update) {
            self.relay(now, packet, out);
        }
    }

    /// A copy of our own beat, or another node at our address. What an earlier life of ours said
    /// is gone after a timeout.
    fn on_namesake(&mut self, now: Now, node: &Node, out: &mut Outbox<LegacyPacket>) {
        let is_old = now.mono - self.started < self.config.timeout();
        if *node != *self.me.node() && !is_old && !self.told_conflict {
            self.told_conflict = true;
            let other = Record::new(node.clone(), Generation::default());
            out.event(Event::AddressConflict(other.into()));
        }
    }

    /// Takes in a sign of life.
    pub(super) fn see(&mut self, now: Now, node: &Node, out: &mut Outbox<LegacyPacket>) {
        self.stats.updates += 1;
        let sight = match self.peers.hear(now.mono, node, self.config.cycle()) {
            Some(sight) => sight,
            None if self.has_room(node.addr(), out) => self.peers.list(now.mono, node),
            None => return,
        };
        match sight {
            Sight::Known => {}
            Sight::Updated { old, new } => out.event(Event::Updated { old, new }),
            Sight::Joined(record) => {
                if matches!(self.phase, JoinPhase::Joining { .. }) {
                    self.phase = JoinPhase::Joining { since: now.mono };
                }
                out.event(Event::Joined(record));
            }
        }
    }

    fn on_command(&mut self, now: Now, command: Command, out: &mut Outbox<LegacyPacket>) {
        match command {
            Command::Seeds(addrs) => {
                let me = self.me.node().addr();
                self.seeds = addrs.into_iter().filter(|&addr| addr != me).collect();
                if self.life == LifeStage::Running {
                    self.set(Due::Dial, now.mono);
                }
            }
            Command::Publish(value) => self.on_publish(now, value, out),
            Command::PublishTo(value, holders) => self.on_publish_to(now, value, holders, out),
            Command::Put(..) | Command::PutTo(..) | Command::Delete(_) => {
                out.answer(Answer::Written(Err(PutError::NoEntries)));
            }
            Command::Update(node) => self.on_update(now, &node, out),
            Command::Stop => self.on_stop(),
            Command::Start => self.on_start(now),
            // There is no goodbye on this wire, and nothing that could be waited for.
            Command::Leave => {
                self.life = LifeStage::Left;
                self.timers = [None; Due::ALL.len()];
                out.answer(Answer::Left(Ok(())));
            }
        }
    }

    fn on_update(&mut self, now: Now, node: &Node, out: &mut Outbox<LegacyPacket>) {
        let node = node.with_addr(self.me.node().addr());
        if node == *self.me.node() {
            return;
        }
        // It names our incarnations to the service alone: this wire carries no generations.
        let generation = Generation::start(Some(self.me.generation()), now.wall);
        let new = Arc::new(Record::new(node, generation));
        let old = std::mem::replace(&mut self.me, Arc::clone(&new));
        self.started = now.mono;
        if self.life == LifeStage::Running {
            self.set(Due::Beat, now.mono);
        }
        out.event(Event::Updated { old, new });
    }

    fn on_stop(&mut self) {
        if self.life == LifeStage::Running {
            self.life = LifeStage::Stopped;
            for timer in [Due::Beat, Due::Swap, Due::Dial] {
                self.timers[timer as usize] = None;
            }
        }
    }

    fn on_start(&mut self, now: Now) {
        if self.life == LifeStage::Stopped {
            self.life = LifeStage::Running;
            self.phase = JoinPhase::Joining { since: now.mono };
            self.set_timers(now.mono);
        }
    }

    fn set_timers(&mut self, now: Instant) {
        let cycle = self.config.cycle();
        self.set(Due::Dial, now);
        self.set(Due::Check, now + cycle / 4);
        if self.config.liveness() == Liveness::Beats {
            self.set(Due::Beat, now);
        }
        if self.config.swap() == Swap::On {
            let phase = self.part_of(cycle);
            self.set(Due::Swap, now + phase);
        }
    }

    fn set(&mut self, timer: Due, due: Instant) {
        self.timers[timer as usize] = Some(due);
    }

    fn part_of(&mut self, duration: Duration) -> Duration {
        Duration::from_nanos(self.rng.between(0, nanos(duration)))
    }

    fn on_timer(&mut self, now: Now, timer: Due, out: &mut Outbox<LegacyPacket>) {
        let cycle = self.config.cycle();
        let wait = match timer {
            Due::Beat => {
                self.settle(now.mono);
                self.tell(now, Kind::Beat, Carried::NONE, out);
                // Twice a cycle, and never twice in half of one: that is how long a beat's copies
                // count as its own.
                cycle / 2 + self.part_of(cycle / 20)
            }
            Due::Swap => {
                self.on_swap(out);
                cycle - cycle / 10 + self.part_of(cycle / 5)
            }
            Due::Dial => {
                self.on_dial(now, out);
                if self.peers.listed_len() == 0 { cycle } else { self.config.redial() }
            }
            Due::Check => {
                if self.config.liveness() == Liveness::Beats {
                    self.on_check(now, out);
                }
                cycle / 4
            }
        };
        self.set(timer, now.mono + wait);
    }

    /// Ends the joining once nobody new has turned up for two cycles.
    fn settle(&mut self, now: Instant) {
        match self.phase {
            _ if self.peers.listed_len() == 0 => self.phase = JoinPhase::Joining { since: now },
            JoinPhase::Joining { since } if now - since >= self.config.cycle() * 2 => {
                self.phase = JoinPhase::Settled;
            }
            JoinPhase::Joining { .. } | JoinPhase::Settled => {}
        }
    }

    /// Seeds that we don't list first, then those that were removed, some at a time.
    fn on_dial(&mut self, now: Now, out: &mut Outbox<LegacyPacket>) {
        let lost = self.peers.lost_within(now.mono, self.config.redial_for());
        let seeds = self.seeds.iter().copied().filter(|&seed| !self.peers.lists(seed));
        let mut wanted: Vec<_> = seeds.filter(|seed| !lost.contains(seed)).collect();
        wanted.extend(&lost);
        if wanted.is_empty() {
            return;
        }
        let count = wanted.len().min(Self::DIALS_MAX).min(self.config.fan_out());
        let from = self.dials % wanted.len();
        for &to in wanted.iter().cycle().skip(from).take(count) {
            self.introduce(now, to, out);
        }
        self.dials = self.dials.wrapping_add(count);
    }

    /// From here on a silent member is asked directly.
    pub(super) fn called_after(&self) -> Duration {
        self.config.timeout() * 3 / 5
    }

    /// Removes who is silent for too long. Only a beat counts: a stopped Go node answers last
    /// calls, so that an answer gains it nothing. One of ours that runs answers with a beat.
    fn on_check(&mut self, now: Now, out: &mut Outbox<LegacyPacket>) {
        let timeout = self.config.timeout();
        let (mut silent, mut gone) = (Vec::new(), Vec::new());
        for (addr, peer) in self.peers.listed() {
            let silence = now.mono - peer.heard;
            if silence > timeout {
                gone.push(addr);
            } else if silence >= self.called_after() && peer.answers < Self::ANSWERS_MAX {
                silent.push(addr);
            }
        }
        for addr in gone {
            let record = self.peers.lose(now.mono, addr);
            out.event(Event::Removed { record, cause: Cause::Timeout });
        }
        if self.life == LifeStage::Running {
            self.stats.last_calls_over_limit += silent.len().saturating_sub(Self::CALLS_MAX) as u64;
            for to in silent.into_iter().take(Self::CALLS_MAX) {
                let call = self.packet(Kind::SwapRequest, Carried::NEVER);
                self.send(to, call.into(), out);
            }
        }
    }

    /// If we were not called for half a timeout, it was we who were silent: nobody is removed for
    /// what we could not hear.
    fn notice_sleep(&mut self, now: Instant, out: &mut Outbox<LegacyPacket>) {
        let late = self.deadline().map_or(Duration::ZERO, |deadline| now - deadline);
        if late >= self.config.timeout() / 2 {
            self.stats.sleeps += 1;
            self.peers.slept(late);
            out.event(Event::Woke(late));
        }
    }
}
