//! Engines in virtual time, between which each packet goes as bytes; to and from an old node it
//! goes through the frozen codec, as if the build of the time were still running there.

use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rumormill::Config;
use rumormill::config::{ConfigBuilder, WireVersion};
use rumormill::core::{
    Carrier, Cause, Class, Command, Engine, Event, Input, Outbox, Output, Packet, PacketKind,
    Record, SharedRecords, Value,
};
use rumormill::node::{Generation, Node};
use rumormill::rng::Rng;
use rumormill::time::{Instant, Now, UnixNanos};
use rumormill::wire;

use crate::frozen::{Frozen, KINDS};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// The wall clock at the zero of virtual time.
const EPOCH: i64 = 1_800_000_000_000_000_000;

/// What flies: to whom, from whom, by what, what.
type Flight = (SocketAddr, SocketAddr, Carrier, Arc<Packet>);

pub(crate) struct Lab {
    now: Instant,
    engines: BTreeMap<u16, Engine>,
    flights: BTreeMap<Reverse<(Instant, u64)>, Flight>,
    sequence: u64,
    rng: Rng,
    /// One datagram in so many is lost.
    pub(crate) lost_one_in: u64,
    pub(crate) settings: fn() -> ConfigBuilder,
    pub(crate) removals: Vec<(u16, SocketAddr, Cause)>,
    /// What the frozen decoder refused, and why.
    pub(crate) refused: BTreeMap<(PacketKind, &'static str), u64>,
    /// How many packets of each kind went through the frozen codec.
    pub(crate) frozen: BTreeMap<PacketKind, u64>,
    /// What was sent between any two, as bytes of version 1.
    pub(crate) heard: BTreeMap<PacketKind, Vec<Vec<u8>>>,
    /// What went between two new ones last, as it was.
    pub(crate) latest: VecDeque<Vec<u8>>,
}

pub(crate) fn addr(node: u16) -> SocketAddr {
    ([10, 0, 0, 1], node).into()
}

impl Lab {
    /// So many of a kind are enough to look at.
    const HEARD_MAX: usize = 500;
    const LATEST_MAX: usize = 2_000;

    pub(crate) fn new(seed: u64) -> Self {
        Self {
            now: Instant::ZERO,
            engines: BTreeMap::new(),
            flights: BTreeMap::new(),
            sequence: 0,
            rng: Rng::fork(seed, "compat", 0),
            lost_one_in: u64::MAX,
            settings: Config::builder,
            removals: Vec::new(),
            refused: BTreeMap::new(),
            frozen: BTreeMap::new(),
            heard: BTreeMap::new(),
            latest: VecDeque::new(),
        }
    }

    /// Starts a node, with a zone and a tag, that speaks up to this version.
    pub(crate) fn start(&mut self, node: u16, wire: WireVersion, seeds: &[u16]) {
        let public = Node::new(addr(node).to_string()).name(format!("n{node}"));
        let public = public.zone(format!("z{node}")).tag("role", format!("r{node}")).build();
        let config = (self.settings)().wire_max(wire).build().expect("valid settings");
        let generation = Generation::start(None, self.clock().wall);
        let record = Arc::new(Record::new(public.expect("a node"), generation));
        let roster: Arc<SharedRecords> = Arc::default();
        let engine = Engine::new(record, Arc::new(config), roster, self.rng.bits(), self.clock());
        self.engines.insert(node, engine);
        let seeds = seeds.iter().map(|&seed| addr(seed)).collect();
        self.input(node, Input::Command(Command::Seeds(seeds)));
    }

    pub(crate) fn crash(&mut self, node: u16) {
        self.engines.remove(&node);
    }

    pub(crate) fn command(&mut self, node: u16, command: Command) {
        self.input(node, Input::Command(command));
    }

    pub(crate) fn publish(&mut self, node: u16, data: &[u8]) {
        let value = Value::new(data, self.engines[&node].config()).expect("a short value");
        self.command(node, Command::Publish(value));
    }

    pub(crate) fn all_hold(&self, data: &[u8]) -> bool {
        let held = |engine: &Engine| engine.metadata().is_some_and(|held| held.data()[..] == *data);
        self.engines.values().all(held)
    }

    pub(crate) fn all_list_all(&self) -> bool {
        let all: Vec<_> = self.engines.keys().map(|&node| addr(node)).collect();
        self.engines.values().all(|engine| {
            engine.members_len() == all.len() && all.iter().all(|&addr| engine.lists(addr))
        })
    }

    pub(crate) fn all_agree(&self) -> bool {
        self.engines.values().all(|engine| engine.agreement().is_full())
    }

    /// The zone that one node knows of another.
    pub(crate) fn zone(&self, at: u16, of: u16) -> &str {
        let member = self.engines[&at].members().find(|it| it.node().addr() == addr(of));
        member.map_or("", |record| record.node().zone())
    }

    /// True when each of these knows the zones of all of these.
    pub(crate) fn know_zones(&self, nodes: &[u16]) -> bool {
        let knows = |at, of| self.zone(at, of) == format!("z{of}");
        nodes.iter().all(|&at| nodes.iter().all(|&of| knows(at, of)))
    }

    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until this holds, which took so long.
    #[track_caller]
    pub(crate) fn run_until(&mut self, limit: Duration, holds: impl Fn(&Self) -> bool) -> Duration {
        let (start, end) = (self.now, self.now + limit);
        while !holds(self) {
            assert!(self.step(end), "it did not hold within {limit:?}");
        }
        self.now - start
    }

    fn clock(&self) -> Now {
        let passed = i64::try_from(self.now.as_nanos()).expect("some minutes");
        Now { mono: self.now, wall: UnixNanos(EPOCH + passed) }
    }

    /// The next thing that happens, if any does before the end.
    fn step(&mut self, end: Instant) -> bool {
        let flight = self.flights.last_key_value().map(|(&Reverse((at, _)), _)| at);
        let timers = self.engines.iter();
        let timer = timers.filter_map(|(&node, it)| Some((it.deadline()?, node))).min();
        let next = [flight, timer.map(|(at, _)| at)].into_iter().flatten().min();
        let Some(next) = next.filter(|&next| next <= end) else { return false };
        self.now = self.now.max(next);
        if flight == Some(next) {
            let (_, flight) = self.flights.pop_last().expect("a flight");
            self.arrive(flight);
        } else if let Some((_, node)) = timer {
            self.input(node, Input::Timeout);
        }
        true
    }

    fn arrive(&mut self, (to, from, carrier, packet): Flight) {
        let running = |addr: SocketAddr| self.engines.contains_key(&addr.port());
        if running(to) {
            self.input(to.port(), Input::Packet { from, carrier, packet });
        } else if carrier == Carrier::Stream && running(from) {
            self.input(from.port(), Input::StreamFailed { to });
        }
    }

    fn input(&mut self, node: u16, input: Input) {
        let (now, mut out) = (self.clock(), Outbox::new());
        self.engines.get_mut(&node).expect("it runs").handle(now, input, &mut out);
        for output in out.drain() {
            match output {
                Output::Send { to, packet, class } => self.send(node, to, &packet, class),
                Output::Event(Event::Removed { record, cause }) => {
                    self.removals.push((node, record.node().addr(), cause));
                }
                Output::Event(_) | Output::Answer(_) | Output::Flush => {}
            }
        }
    }

    fn send(&mut self, from: u16, to: SocketAddr, packet: &Packet, class: Class) {
        self.note(packet);
        let Some(read) = self.pass(from, to, packet) else { return };
        let len = wire::encoded_len(&read) + Config::CHECKSUM_LEN;
        let delay = Duration::from_nanos(self.rng.between(1_000_000, 10_000_000));
        let (carrier, is_lost) = match class {
            Class::Stream => (Carrier::Stream, false),
            Class::Datagram => (Carrier::Datagram(len), self.rng.between(1, self.lost_one_in) == 1),
        };
        if !is_lost || self.lost_one_in == u64::MAX {
            self.sequence += 1;
            let flight = (to, addr(from), carrier, Arc::new(read));
            self.flights.insert(Reverse((self.now + delay, self.sequence)), flight);
        }
    }

    /// What the receiver reads of it.
    fn pass(&mut self, from: u16, to: SocketAddr, packet: &Packet) -> Option<Packet> {
        let mut bytes = Vec::new();
        wire::encode(packet, &mut bytes);
        if self.is_old(from) || self.is_old(to.port()) {
            match Frozen::decode(&bytes) {
                Ok(frozen) => {
                    assert_eq!(frozen.encode(), bytes, "{packet:?}");
                    assert_eq!(frozen.name(), packet.kind().name());
                    *self.frozen.entry(packet.kind()).or_default() += 1;
                }
                Err(why) => {
                    assert!(!self.is_old(from), "an old node wrote what is {why}: {packet:?}");
                    *self.refused.entry((packet.kind(), why)).or_default() += 1;
                    return None;
                }
            }
        }
        let read = wire::decode(&bytes).expect("what was written");
        if packet.wire > WireVersion::One {
            self.latest.push_back(bytes);
            if self.latest.len() > Self::LATEST_MAX {
                self.latest.pop_front();
            }
        }
        Some(read)
    }

    fn is_old(&self, node: u16) -> bool {
        let engine = self.engines.get(&node);
        engine.is_some_and(|engine| engine.config().wire_max() == WireVersion::One)
    }

    /// Kinds that version 1 does not know are sent to none who speaks it alone.
    fn note(&mut self, packet: &Packet) {
        if packet.kind() as usize >= KINDS.len() {
            return;
        }
        let heard = self.heard.entry(packet.kind()).or_default();
        if heard.len() < Self::HEARD_MAX {
            let mut bytes = Vec::new();
            wire::encode(&packet.clone().in_version(WireVersion::One), &mut bytes);
            heard.push(bytes);
        }
    }
}
