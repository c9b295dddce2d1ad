//! The engine: one node's state machine, without sockets, clocks or entropy.

use std::net::SocketAddr;
use std::sync::Arc;

use super::agreement::Reports;
use super::beat::{Age, AgeStep};
use super::called::Called;
use super::claims::Claims;
use super::conflicts::Conflicts;
use super::dial::Dialler;
use super::discord::Discord;
use super::fetch::Fetcher;
use super::holders::Holders;
use super::identity::Jumps;
use super::io::{Carrier, Command, Input, Outbox};
use super::leaving::Farewell;
use super::limits::ListLimit;
use super::members::Members;
use super::metadata::Metadata;
use super::names::Rivals;
use super::newcomers::{Asked, Via};
use super::packet::{Body, Packet, Summary};
use super::paths::Paths;
use super::probes::Prober;
use super::record::{Record, Sighting};
use super::relay::Relay;
use super::roll_call::RollCall;
use super::roster::{NodeIx, Roster};
use super::routes::Routes;
use super::row::Standing;
use super::rtt::Rtts;
use super::settings::{Differences, Settings};
use super::skew::Skew;
use super::stats::Stats;
use super::suspects::Suspects;
use super::swap::Swapper;
use super::table::FullList;
use super::timers::{Timer, Timers};
use super::told::Telling;
use super::unreached::Unreached;
use crate::config::{Config, Liveness};
use crate::rng::Rng;
use crate::time::{Instant, Now};

/// One node.
///
/// # The driver's contract
/// - Call [`Engine::handle`] with [`Input::Timeout`] at once, and from then on whenever
///   [`Engine::deadline`] has come; with every packet and command as it arrives.
/// - `now.mono` never goes back from one call to the next, and stays below nine years (2^58 ns):
///   count it from the start of the process, not from 1970.
/// - Say [`Input::StreamFailed`] where a stream failed: without, the engine waits in vain for some
///   seconds.
/// - After each call drain the outbox, in order: send what is to be sent, once each, losses
///   allowed; then ask for the deadline again, for any input may have moved it.
///
/// The engine does the rest: it reads no clock, draws no entropy and touches no socket, so that
/// the same inputs always give the same outputs.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(super) me: Arc<Record>,
    pub(super) config: Arc<Config>,
    pub(super) life: Life,
    pub(super) step: AgeStep,
    pub(super) rng: Rng,
    pub(super) timers: Timers,
    pub(super) members: Members,
    pub(super) metadata: Option<Metadata>,
    pub(super) telling: Telling,
    pub(super) rtts: Rtts,
    pub(super) fetcher: Fetcher,
    pub(super) paths: Paths,
    pub(super) unreached: Unreached,
    pub(super) holders: Holders,
    pub(super) relay: Relay,
    pub(super) swapper: Swapper,
    pub(super) dialler: Dialler,
    pub(super) asked: Asked,
    pub(super) routes: Routes,
    pub(super) reports: Reports,
    pub(super) called: Called,
    pub(super) jumps: Jumps,
    pub(super) claims: Claims,
    pub(super) conflicts: Conflicts,
    pub(super) discord: Discord,
    pub(super) list_limit: ListLimit,
    pub(super) skew: Skew,
    pub(super) rivals: Rivals,
    pub(super) liveness: super::liveness::Watch,
    pub(super) roll_call: RollCall,
    pub(super) prober: Prober,
    pub(super) suspects: Suspects,
    pub(super) differences: Differences,
    pub(super) stats: Stats,
}

/// What a node does of its own accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    /// Everything.
    Running,
    /// It answers and forwards, but neither beats nor swaps nor dials.
    Stopped,
    /// It has said goodbye, and does only what others need for theirs and for what it told.
    Leaving(Farewell),
    /// Nothing at all.
    Left,
}

impl Engine {
    /// A node that has heard of nobody. It wants its first [`Input::Timeout`] at once.
    ///
    /// `roster` may name incarnations in advance, to be shared by many engines; a service gives
    /// an empty one. `seed` decides every choice that the engine will make.
    pub fn new(
        me: Arc<Record>,
        config: Arc<Config>,
        roster: Arc<Roster>,
        seed: u64,
        now: Now,
    ) -> Self {
        let members = Members::new(&me, &config, roster, now.mono);
        let mut engine = Self {
            life: Life::Running,
            step: AgeStep::of_timeout(config.timeout()),
            rng: Rng::fork(seed, "engine", me.place().0),
            timers: Timers::default(),
            members,
            metadata: None,
            telling: Telling::default(),
            rtts: Rtts::default(),
            fetcher: Fetcher::default(),
            paths: Paths::default(),
            unreached: Unreached::default(),
            holders: Holders::default(),
            relay: Relay::default(),
            swapper: Swapper::default(),
            dialler: Dialler::default(),
            asked: Asked::new(now.mono + config.timeout()),
            routes: Routes::new(seed, me.place()),
            reports: Reports::default(),
            called: Called::default(),
            jumps: Jumps::default(),
            claims: Claims::default(),
            conflicts: Conflicts::default(),
            discord: Discord::default(),
            list_limit: ListLimit::default(),
            skew: Skew::default(),
            rivals: Rivals::default(),
            liveness: super::liveness::Watch::default(),
            roll_call: RollCall::default(),
            prober: Prober::default(),
            suspects: Suspects::default(),
            differences: Differences::default(),
            stats: Stats::default(),
            me,
            config,
        };
        engine.set_timers(now.mono);
        engine
    }

    /// Lists these incarnations as if each had just been heard of: a node that comes back with a
    /// list it kept, or a simulation that begins with complete lists.
    pub fn restore<'a>(
        &mut self,
        now: Now,
        members: impl IntoIterator<Item = &'a Arc<Record>>,
        out: &mut Outbox,
    ) {
        out.begin(&self.config);
        for record in members {
            let sighting = Sighting { record: Arc::clone(record), counter: 0, age: Age(0) };
            let (from, carrier) = (record.node().addr(), Carrier::Stream);
            let via = Via { from, carrier, step: self.step };
            // The service vouches for them.
            self.see_member_as(now, Standing::Believed, &sighting, None, via, out);
        }
    }

    /// Lists all of a list that many engines share, as if each member had just been heard of; it
    /// takes no room of its own until something changes. Raises no events.
    ///
    /// Panics when anybody but this node is listed already, or when the list is not one of this
    /// engine's roster and with its own incarnation in it.
    pub fn restore_full(&mut self, now: Now, list: &Arc<FullList>, out: &mut Outbox) {
        out.begin(&self.config);
        self.members.fill(list, now.mono);
        self.watch(self.members.me());
        for &node in list.namesakes() {
            self.examine_name(now, node, None, out);
        }
    }

    /// Reacts to one input. Never fails and never panics, whatever arrives from the network.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Outbox) {
        self.stats.inputs += 1;
        out.begin(&self.config);
        self.notice_sleep(now, out);
        match input {
            Input::Packet { from, carrier, packet } => {
                self.on_packet(now, from, carrier, &packet, out);
            }
            Input::StreamFailed { to } if self.life != Life::Left => {
                self.on_stream_failed(now, to, out);
            }
            Input::Command(command) => self.on_command(now, command, out),
            Input::StreamFailed { .. } | Input::Timeout => {}
        }
        // After every input, so that a flood of packets can't keep us from beating.
        while let Some(timer) = self.timers.take_due(now.mono) {
            self.on_timer(now, timer, out);
        }
        self.see_to_farewell(now, out);
        self.stats.members = self.members.len();
        self.stats.members_max = self.stats.members_max.max(self.stats.members);
        self.stats.tombstones_max = self.stats.tombstones_max.max(self.members.tombstones_len());
    }

    /// When the engine next wants [`Input::Timeout`].
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.deadline()
    }

    /// The node's own incarnation.
    pub fn me(&self) -> &Arc<Record> {
        &self.me
    }

    /// The settings.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// The listed members, itself included, in order of the ring.
    pub fn members(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.members.ring().iter().map(|&node| self.members.record(node))
    }

    /// How many members are listed, itself included.
    pub fn members_len(&self) -> usize {
        self.members.len()
    }

    /// True when the node at this address is listed.
    pub fn lists(&self, addr: SocketAddr) -> bool {
        self.members.node(addr).is_some_and(|node| self.members.is_listed(node))
    }

    /// The metadata, once there is one.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }

    /// What was counted.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    fn on_packet(
        &mut self,
        now: Now,
        from: SocketAddr,
        carrier: Carrier,
        packet: &Packet,
        out: &mut Outbox,
    ) {
        if self.life == Life::Left {
            return;
        }
        if from == self.me.node().addr() {
            // Forged, or a loop in the network: we would swap with ourselves, and doubt ourselves.
            self.stats.packets_from_myself += 1;
            return;
        }
        self.limit_answers(from, carrier, out);
        let via = Via { from, carrier, step: packet.step };
        if self.life.is_leaving() {
            return self.on_packet_while_leaving(now, via, packet, out);
        }
        self.compare_settings(from, packet, out);
        self.note_call(now.mono, from, &packet.body, out);
        match &packet.body {
            Body::Bulk(bulk) => self.on_bulk(now, bulk, via, out),
            Body::Rumor(rumor) => self.on_rumor(now, rumor, via, out),
            Body::RumorAck(ack) => self.on_rumor_ack(now, via.from, ack, out),
            Body::Join(join) => self.on_join(now, join, via, out),
            Body::Welcome(welcome) => self.on_welcome(now, welcome, via, out),
            Body::Echo(echo) => self.on_echo(now, echo, via, out),
            Body::SwapRequest(request) => self.on_swap_request(now, from, request, out),
            Body::SwapAnswer(answer) => self.on_swap_answer(now, answer, via, out),
            Body::Vector(vector) => self.on_vector(now, vector, via, out),
            Body::Ids(ids) => self.on_ids(now, from, ids, out),
            Body::Wanted(wanted) => self.on_wanted(now, from, wanted, out),
            Body::Records(records) => self.take_news(now, &records.news, via, out),
            Body::Value(metadata) => self.on_value(now, metadata, from, out),
            Body::Announced(announcement) => {
                self.on_announced(now, from, *announcement, None, out);
            }
            Body::Fetch(fetch) => self.on_fetch(now, *fetch, via, out),
            Body::Fetched(metadata) => self.on_fetched(now, from, metadata, out),
            Body::LastCall(call) => self.on_last_call(now, from, call, out),
            Body::Alive(alive) => self.on_alive(now, alive, via, out),
            Body::Probe(probe) => self.on_probe(from, probe, out),
            Body::ProbeAnswer(answer) => self.on_probe_answer(now, from, answer, out),
            Body::ProbeRequest(request) => self.on_probe_request(now, from, *request, out),
            Body::Vouch(vouch) => self.on_vouch(from, *vouch),
        }
        self.correct(now, from, out);
        self.stats.answers_withheld += out.take_withheld();
    }

    fn on_command(&mut self, now: Now, command: Command, out: &mut Outbox) {
        match command {
            _ if self.life == Life::Left || self.life.is_leaving() => {}
            Command::Seeds(addrs) => self.on_seeds(now, addrs),
            Command::Publish(value) => self.on_publish(now, value, out),
            Command::PublishTo(value, holders) => self.on_publish_to(now, value, holders, out),
            Command::Update(node) => self.on_update(now, &node, out),
            Command::Stop => self.on_stop(),
            Command::Start => self.on_start(now),
            Command::Leave => self.on_leave(now, out),
        }
    }

    fn on_timer(&mut self, now: Now, timer: Timer, out: &mut Outbox) {
        match timer {
            // What a leaver does sets some that would show it alive.
            Timer::Tell => self.on_tell(now, out),
            Timer::Fetch => self.on_fetch_timer(now, out),
            _ if self.life.is_leaving() => {}
            Timer::Leave => {}
            Timer::Confirm => self.on_confirm(now, out),
            Timer::Cycle => self.on_cycle(now, out),
            Timer::Relay => self.on_relay(now, out),
            Timer::Check if self.config.liveness() == Liveness::Probes => {
                self.on_check_suspects(now, out);
            }
            Timer::Check => self.on_check(now, out),
            Timer::Probe => self.on_probe_due(now, out),
            Timer::ProbeWait => self.on_probe_wait(now, out),
            Timer::Errands => self.on_errands(now, out),
            Timer::Swap => self.on_swap(now, out),
            Timer::SwapRetry => self.on_swap_retry(now, out),
            Timer::Dial => self.on_dial(now, out),
            Timer::Names => self.on_names(now, out),
            Timer::Scrub => self.on_scrub(now, out),
        }
    }

    fn on_stop(&mut self) {
        if self.life == Life::Running {
            self.life = Life::Stopped;
            for timer in [
                Timer::Cycle,
                Timer::Swap,
                Timer::SwapRetry,
                Timer::Dial,
                Timer::Probe,
                Timer::ProbeWait,
            ] {
                self.timers.clear(timer);
            }
            self.absolve_all();
        }
    }

    fn on_start(&mut self, now: Now) {
        if self.life == Life::Stopped {
            self.life = Life::Running;
            self.set_timers(now.mono);
            if self.config.liveness() == Liveness::Probes {
                // The others have removed us, or are about to.
                self.relay_news(now.mono, self.members.me());
            }
        }
    }

    /// Sets what a running node does by itself, each at a random phase.
    fn set_timers(&mut self, now: Instant) {
        let cycle = self.config.cycle();
        self.timers.set(Timer::Dial, now);
        match self.config.liveness() {
            Liveness::Beats => {
                // The first beat at once, for it is what the others list us by.
                self.raise(now);
                let phase = self.part_of(cycle);
                self.timers.set(Timer::Cycle, now + phase);
                self.timers.set(Timer::Check, now + self.config.timeout());
            }
            Liveness::Probes => {
                self.members.beat_once(now);
                let phase = self.part_of(cycle);
                self.timers.set(Timer::Probe, now + phase);
                self.timers.set(Timer::Check, now + self.config.timeout());
            }
            Liveness::Off => {}
        }
        if self.config.swap() == crate::config::Swap::On {
            let phase = self.part_of(cycle);
            self.timers.set(Timer::Swap, now + phase);
        }
    }

    /// Up to this long, drawn at random.
    pub(super) fn part_of(&mut self, duration: std::time::Duration) -> std::time::Duration {
        let nanos = self.rng.between(0, crate::time::nanos(duration));
        std::time::Duration::from_nanos(nanos)
    }

    /// This long, give or take a tenth, so that nodes don't fall in step.
    pub(super) fn jittered(&mut self, duration: std::time::Duration) -> std::time::Duration {
        duration - duration / 10 + self.part_of(duration / 5)
    }

    /// A packet of ours.
    pub(super) fn packet(&self, body: Body) -> Arc<Packet> {
        Arc::new(Packet { step: self.step, body })
    }

    pub(super) fn summary(&self, now: Now) -> Summary {
        Summary {
            wall: now.wall,
            settings: Settings::of(&self.config),
            members: u32::try_from(self.members.len()).expect("members_max is below 2^32"),
            digest: self.members.digest(),
            version: self.metadata.as_ref().map(Metadata::version),
        }
    }

    /// All members but ourselves, in order of the ring.
    pub(super) fn others(&self) -> Vec<NodeIx> {
        let me = self.members.me();
        let mut others = self.members.ring().to_vec();
        others.retain(|&node| node != me);
        others
    }

    /// Up to `count` different listed members, ourselves and newcomers excepted, drawn at random.
    pub(super) fn pick(&mut self, now: Instant, count: usize) -> Vec<NodeIx> {
        if count >= self.believed_len() {
            let mut nodes = self.others();
            nodes.retain(|&node| !self.members.is_newcomer(node));
            return nodes;
        }
        let (mut picked, mut draws) = (self.pick_awake(now, count), 0);
        picked.reserve(count - picked.len());
        while picked.len() < count {
            draws += 1;
            // Who is not silent may be too few: then the others are as good, or it never ends.
            let has_patience = draws <= Self::DRAWS_MAX * count;
            let node = if has_patience { self.draw(now) } else { self.draw_any() };
            if !picked.contains(&node) {
                picked.push(node);
            }
        }
        picked
    }
}
