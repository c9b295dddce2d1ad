//! The engine: one node's state machine, without sockets, clocks or entropy.
//!
//! It hands each input to the room that has its rules, and what one room has to tell another
//! ([`Effect`]) to that one. Nothing of the protocol is decided here; what takes several rooms is
//! in the modules below.

mod inspect;
mod keeping;
mod leaving;
#[cfg(test)]
mod peek;
mod rumors;

use std::net::SocketAddr;
use std::sync::Arc;

use super::anti_entropy::AntiEntropy;
pub use super::context::PreloadedEntries;
use super::context::{Context, Effect, Ground, Life, Source};
use super::detection::Detection;
use super::dissemination::Dissemination;
use super::io::{Carrier, Command, Input, Outbox};
use super::joining::Joiner;
use super::members::{PreloadedMembers, SharedRecords};
use super::membership::Membership;
use super::packet::{Body, Packet};
use super::record::Record;
use super::store::Store;
use super::timers::Timer;
use crate::config::Config;
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
    ground: Ground,
    rooms: Rooms,
}

/// The rooms, each of which may go by those that stand before it.
#[derive(Clone, Debug, Default)]
struct Rooms {
    spread: Dissemination,
    detection: Detection,
    membership: Membership,
    store: Store,
    anti_entropy: AntiEntropy,
    joiner: Joiner,
}

impl Engine {
    /// A node that has heard of nobody. It wants its first [`Input::Timeout`] at once.
    ///
    /// `roster` may name incarnations in advance, to be shared by many engines; a service gives
    /// an empty one. `seed` decides every choice that the engine will make.
    pub fn new(
        me: Arc<Record>,
        config: Arc<Config>,
        roster: Arc<SharedRecords>,
        seed: u64,
        now: Now,
    ) -> Self {
        let me = match me.speaks() == config.wire_max() {
            true => me,
            false => Arc::new(Record::clone(&me).speaking(config.wire_max())),
        };
        let ground = Ground::new(me, config, roster, seed, now);
        let mut engine = Self { ground, rooms: Rooms::default() };
        // What a node does of its own accord begins with its first timeout: nothing goes out here.
        let mut out = Outbox::new();
        engine.rooms.start(&mut engine.ground.context(now, &mut out));
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
        let (rooms, cx) = (&mut self.rooms, &mut self.ground.context(now, out));
        for record in members {
            let Rooms { spread, detection, membership, .. } = &mut *rooms;
            membership.list_kept(cx, spread, detection, record);
            rooms.settle(cx);
        }
    }

    /// Lists all of a list that many engines share, as if each member had just been heard of; it
    /// takes no room of its own until something changes. Raises no events.
    ///
    /// Panics when anybody but this node is listed already, or when the list is not one of this
    /// engine's roster and with its own incarnation in it.
    pub fn restore_full(&mut self, now: Now, list: &Arc<PreloadedMembers>, out: &mut Outbox) {
        let cx = &mut self.ground.context(now, out);
        cx.members.fill(list, now.mono);
        Detection::watch(cx, cx.members.me());
        for &node in list.namesakes() {
            self.rooms.membership.examine_name(cx, node, None);
        }
    }

    /// Holds these entries, which many engines may share: they take no room of their own until
    /// something changes. To be given before the first input; raises no events.
    pub fn restore_entries(&mut self, entries: &PreloadedEntries) {
        self.ground.hold(entries);
    }

    /// Reacts to one input. Never fails and never panics, whatever arrives from the network.
    pub fn handle(&mut self, now: Now, input: Input, out: &mut Outbox) {
        let (rooms, cx) = (&mut self.rooms, &mut self.ground.context(now, out));
        cx.stats.inputs += 1;
        rooms.notice_sleep(cx);
        match input {
            Input::Packet { from, carrier, packet } => rooms.on_packet(cx, from, carrier, &packet),
            Input::StreamFailed { to } if *cx.life != Life::Left => {
                rooms.store.on_stream_failed(cx, to);
            }
            Input::Command(command) => rooms.on_command(cx, command),
            Input::Waited(waited) => rooms.detection.note_waited(cx, waited),
            Input::StreamFailed { .. } | Input::Timeout => {}
        }
        rooms.settle(cx);
        // After every input, so that a flood of packets can't keep us from beating.
        while let Some(timer) = cx.timers.take_due(now.mono) {
            rooms.on_timer(cx, timer);
            rooms.settle(cx);
        }
        rooms.see_to_farewell(cx);
        Store::follow_members(cx);
        cx.tell_view();
        cx.lower();
        cx.flush_first();
        assert!(cx.effects.is_empty(), "what a room is to be told goes with the input");
        cx.count_members();
    }

    /// When the engine next wants [`Input::Timeout`].
    pub fn deadline(&self) -> Option<Instant> {
        self.ground.deadline()
    }
}

impl Rooms {
    /// Sets what a running node does by itself, each at a random phase.
    pub(crate) fn start(&mut self, cx: &mut Context<'_>) {
        Joiner::start(cx);
        self.detection.start(cx, &mut self.spread);
        AntiEntropy::start(cx);
    }

    fn notice_sleep(&mut self, cx: &mut Context<'_>) {
        if let Some(sleep) = self.detection.notice_sleep(cx) {
            self.membership.on_woken(cx, &mut self.spread, sleep);
        }
    }

    fn on_packet(
        &mut self,
        cx: &mut Context<'_>,
        from: SocketAddr,
        carrier: Carrier,
        packet: &Packet,
    ) {
        if *cx.life == Life::Left {
            return;
        }
        if from == cx.me.node().addr() {
            // Forged, or a loop in the network: we would swap with ourselves, and suspect us.
            cx.stats.packets_from_myself += 1;
            return;
        }
        cx.limit_answers(from, carrier);
        if packet.wire > cx.config.wire_max() {
            cx.stats.packets_too_new += 1;
            return;
        }
        cx.note_version(from, packet.wire);
        cx.stats.extensions_skipped += u64::from(packet.skipped);
        let via = Source { from, carrier, step: packet.step };
        if cx.life.is_leaving() {
            return self.on_packet_while_leaving(cx, via, packet);
        }
        self.membership.compare_settings(cx, from, packet);
        self.membership.note_call(cx, from, &packet.body);
        self.detection.note_heard(cx, from, &packet.body);
        self.on_body(cx, &packet.body, via);
        self.settle(cx);
        self.detection.correct(cx, from);
        cx.stats.answers_withheld += cx.out.take_withheld();
    }

    fn on_body(&mut self, cx: &mut Context<'_>, body: &Body, via: Source) {
        let Self { spread, detection, membership, store, anti_entropy, joiner } = self;
        let from = via.from;
        match body {
            Body::Bulk(bulk) => membership.on_bulk(cx, spread, detection, bulk, via),
            Body::Rumor(rumor) => self.on_rumor(cx, rumor, via),
            Body::RumorAck(ack) => membership.on_rumor_ack(cx, spread, from, ack),
            Body::Join(join) => joiner.on_join(cx, spread, detection, membership, join, via),
            Body::Welcome(welcome) => {
                joiner.on_welcome(cx, spread, detection, membership, welcome, via);
            }
            Body::Echo(echo) => anti_entropy.on_echo(cx, spread, membership, echo, via),
            Body::SwapRequest(request) => anti_entropy.on_swap_request(cx, from, request),
            Body::SwapAnswer(answer) => {
                anti_entropy.on_swap_answer(cx, spread, membership, answer, via);
            }
            Body::BeatVector(vector) => AntiEntropy::on_vector(cx, spread, membership, vector, via),
            Body::BucketIds(ids) => AntiEntropy::on_ids(cx, spread, membership, from, ids),
            Body::Pull(wanted) => AntiEntropy::on_wanted(cx, from, wanted),
            Body::Delta(records) => {
                membership.take_news(cx, spread, detection, &records.news, via);
                detection.pass_on(cx, from, &records.news);
            }
            Body::Value(metadata) => store.on_value(cx, spread, metadata, from),
            Body::Announced(announcement) => {
                store.on_announced(cx, from, *announcement, None);
            }
            Body::Fetch(fetch) => store.on_fetch(cx, spread, *fetch, via),
            Body::Fetched(metadata) => store.on_fetched(cx, spread, from, metadata),
            Body::LastCall(call) => membership.on_last_call(cx, spread, from, call),
            Body::Alive(alive) => membership.on_alive(cx, spread, detection, alive, via),
            Body::Probe(probe) => detection.on_probe(cx, from, probe),
            Body::ProbeAnswer(answer) => {
                membership.on_probe_answer(cx, spread, detection, via, answer);
            }
            Body::PingReq(request) => detection.on_probe_request(cx, from, *request),
            Body::IndirectAck(vouch) => detection.on_vouch(cx, from, *vouch),
            Body::Compare(compare) => store.on_compare(cx, compare, via),
            Body::CoverageReport(report) => Store::on_coverage(cx, from, report),
        }
    }

    fn on_command(&mut self, cx: &mut Context<'_>, command: Command) {
        match command {
            _ if *cx.life == Life::Left || cx.life.is_leaving() => {}
            Command::Seeds(addrs) => self.joiner.on_seeds(cx, addrs),
            Command::Publish(value) => self.store.on_publish(cx, &mut self.spread, value),
            Command::PublishTo(value, holders) => {
                self.store.on_publish_to(cx, &mut self.spread, value, holders);
            }
            Command::Put(key, data, terms) => {
                self.store.on_put(cx, &mut self.spread, key, (data, terms, 0));
            }
            Command::PutTo(key, data, terms, holders) => {
                self.store.on_put(cx, &mut self.spread, key, (data, terms, holders));
            }
            Command::Delete(key) => self.store.on_delete(cx, &mut self.spread, key),
            Command::Update(node) => self.membership.on_update(cx, &mut self.spread, &node),
            Command::Stop => self.on_stop(cx),
            Command::Start => self.on_start(cx),
            Command::Leave => self.on_leave(cx),
        }
    }

    fn on_timer(&mut self, cx: &mut Context<'_>, timer: Timer) {
        let Self { spread, detection, membership, store, anti_entropy, joiner } = self;
        match timer {
            // What a leaver does sets some that would show it alive.
            Timer::Retransmit => spread.on_retransmit(cx),
            Timer::Fetch => store.on_fetch_timer(cx),
            _ if cx.life.is_leaving() => {}
            Timer::Leave | Timer::View => {}
            Timer::Confirm => spread.on_confirm(cx),
            Timer::Cycle => {
                membership.on_cycle(cx, spread);
                detection.new_cycle(cx);
            }
            Timer::Relay => {
                let suspicions = detection.suspicions_of(cx, spread.take_suspected());
                spread.on_relay(cx, suspicions);
            }
            Timer::Check => detection.on_check(cx, spread),
            Timer::Probe => {
                membership.ask_newcomers(cx);
                detection.on_probe_due(cx);
            }
            Timer::ProbeWait => detection.on_probe_wait(cx, spread),
            Timer::Relayed => detection.on_relayed_due(cx),
            Timer::Return => membership.on_return(cx, spread, detection),
            Timer::Swap => anti_entropy.on_swap(cx, spread),
            Timer::SwapRetry => anti_entropy.on_swap_retry(cx, detection),
            Timer::Dial => joiner.on_dial(cx),
            Timer::Names => membership.on_names(cx),
            Timer::Scrub => Store::on_scrub(cx),
            Timer::Gather => store.tell_gathered(cx, spread),
            Timer::Ages => Store::on_ages(cx),
        }
    }

    fn on_stop(&mut self, cx: &mut Context<'_>) {
        if *cx.life == Life::Running {
            *cx.life = Life::Stopped;
            cx.timers.stop();
            self.detection.refute_all(cx);
            self.spread.take_suspected();
        }
    }

    fn on_start(&mut self, cx: &mut Context<'_>) {
        if *cx.life == Life::Stopped {
            *cx.life = Life::Running;
            self.membership.on_restart(cx);
            self.start(cx);
            Detection::on_restart(cx, &mut self.spread);
        }
    }

    /// Hands to each room what others have for it.
    fn settle(&mut self, cx: &mut Context<'_>) {
        while let Some(effect) = cx.next_effect() {
            match effect {
                Effect::Listed(addr) => self.joiner.on_listed(addr),
                Effect::Lost(addr) => {
                    self.membership.note_lost(cx, addr);
                    self.joiner.on_lost(cx, addr);
                }
                Effect::Reborn => self.joiner.join_again(cx),
                Effect::Differs(peer, theirs) => {
                    self.anti_entropy.swap_soon(cx, peer, theirs);
                }
                Effect::EntriesDiffer(peer) => self.store.compare_with(cx, peer),
                Effect::CoverageDiffers(peer) => Store::report_coverage(cx, peer),
                Effect::LetIn { by, agrees, was_alone } => {
                    self.anti_entropy.on_let_in(cx, &mut self.spread, by, agrees, was_alone);
                }
            }
        }
    }
}
