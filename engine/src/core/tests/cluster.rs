//! A few engines on a plain in-memory network in virtual time, for tests of the protocol.
//!
//! Deliberately naive: a heap, one latency range, one loss, cuts as a list. The simulator is the
//! real thing; this one is small enough to be trusted by reading.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, ConfigBuilder, Isolation, Liveness, WireVersion};
use crate::core::packet::{Body, RingArc, Rumor, Subject, Token};
use crate::core::{
    AgeStep, Answer, Carrier, Cause, Class, Command, Engine, Event, Input, KeptState, Metadata,
    Outbox, Output, Packet, PacketKind, Record, SharedRecords, Value,
};
use crate::node::{Generation, Node, NodeId};
use crate::rng::{Probability, Rng};
use crate::time::{Instant, Now, UnixNanos};
use crate::wire;

/// The wall clock at the zero of virtual time.
const EPOCH: i64 = 1_800_000_000_000_000_000;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// What flies: to whom, from whom, by what, what.
type Flight = (SocketAddr, SocketAddr, Carrier, Arc<Packet>);

pub(crate) struct Cluster {
    pub(crate) now: Instant,
    pub(crate) loss: Probability,
    pub(crate) events: Vec<(Instant, u16, Event)>,
    /// What came of commands.
    pub(crate) answers: Vec<(Instant, u16, Answer)>,
    pub(crate) sent: BTreeMap<PacketKind, usize>,
    /// To whom what kind of packet was sent.
    pub(crate) log: Vec<(SocketAddr, PacketKind)>,
    /// What of it went by stream.
    pub(crate) streams: BTreeMap<PacketKind, usize>,
    /// Pairs of nodes between which nothing gets through.
    pub(crate) cuts: BTreeSet<(u16, u16)>,
    /// Nodes to which nothing gets through.
    pub(crate) deaf: BTreeSet<u16>,
    /// Nodes on one side of a cut.
    pub(crate) far_side: BTreeSet<u16>,
    /// Datagrams of more bytes vanish.
    pub(crate) path_size: usize,
    pub(crate) vanished: usize,
    /// Pairs of nodes of which the first gets no stream through to the second.
    pub(crate) filters: BTreeSet<(u16, u16)>,
    /// Packets of these kinds get lost.
    pub(crate) mute: BTreeSet<PacketKind>,
    /// What went in the first version of the wire, by kind.
    pub(crate) sent_in_one: BTreeMap<PacketKind, usize>,
    /// What went in a newer one to nodes that speak the first alone, which refuse it.
    pub(crate) refused: BTreeMap<PacketKind, usize>,
    /// Nodes that neither read nor wake.
    pub(crate) asleep: BTreeSet<u16>,
    /// How far the wall clock has moved without the monotonic one.
    pub(crate) wall_ahead: Duration,
    /// How far single nodes' wall clocks are off, in nanoseconds.
    pub(crate) clocks: BTreeMap<u16, i64>,
    engines: BTreeMap<u16, Engine>,
    /// Those that have left.
    pub(crate) off: BTreeMap<u16, Engine>,
    flights: BTreeMap<Reverse<(Instant, u64)>, Flight>,
    config: Arc<Config>,
    roster: Arc<SharedRecords>,
    rng: Rng,
    sequence: u64,
}

pub(crate) fn addr(node: u16) -> SocketAddr {
    ([127, 0, 0, 1], node).into()
}

/// A packet as it comes by datagram, from wherever its sender says.
pub(crate) fn datagram(from: SocketAddr, packet: Packet) -> Input {
    Input::Packet { from, carrier: carrier(&packet), packet: Arc::new(packet) }
}

fn carrier(packet: &Packet) -> Carrier {
    Carrier::Datagram(wire::encoded_len(packet) + Config::CHECKSUM_LEN)
}

/// A record of a node that a test speaks of.
#[track_caller]
pub(crate) fn record(node: u16) -> Arc<Record> {
    let node = Node::new(addr(node).to_string()).name(format!("n{node}")).build().unwrap();
    Arc::new(Record::new(node, Generation::new(7).unwrap()))
}

/// A rumor that its receiver is to tell everybody but node 2, who sends it.
#[track_caller]
pub(crate) fn rumor(topic: Subject) -> Body {
    let [others, _] = RingArc::whole(place(2)).minus(RingArc::of(place(2)));
    rumor_along(others.expect("the rest of the ring"), topic)
}

pub(crate) fn place(node: u16) -> NodeId {
    NodeId::of(addr(node))
}

/// A rumor with an arc of its own.
pub(crate) fn rumor_along(arc: RingArc, topic: Subject) -> Body {
    Body::Rumor(Rumor { token: Token(7), acks: 1, arc, view: None, topic })
}

/// Settings of nodes that judge by beats.
pub(crate) fn beating() -> Config {
    Config::builder().liveness(Liveness::Beats).build().expect("a valid configuration")
}

/// Settings of nodes that take all for dead when nobody answers them.
#[track_caller]
pub(crate) fn judging() -> ConfigBuilder {
    Config::builder().isolation(Isolation::Judge)
}

impl Cluster {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            now: Instant::ZERO,
            loss: Probability::ZERO,
            events: Vec::new(),
            answers: Vec::new(),
            sent: BTreeMap::new(),
            log: Vec::new(),
            streams: BTreeMap::new(),
            cuts: BTreeSet::new(),
            deaf: BTreeSet::new(),
            far_side: BTreeSet::new(),
            path_size: usize::MAX,
            vanished: 0,
            filters: BTreeSet::new(),
            mute: BTreeSet::new(),
            sent_in_one: BTreeMap::new(),
            refused: BTreeMap::new(),
            asleep: BTreeSet::new(),
            wall_ahead: Duration::ZERO,
            clocks: BTreeMap::new(),
            engines: BTreeMap::new(),
            off: BTreeMap::new(),
            flights: BTreeMap::new(),
            config: Arc::new(config),
            roster: Arc::default(),
            rng: Rng::fork(4711, "cluster", 0),
            sequence: 0,
        }
    }

    /// A cluster whose nodes 1 to `nodes` have joined through node 1 and list each other.
    #[track_caller]
    pub(crate) fn of(nodes: u16, config: Config) -> Self {
        let mut cluster = Self::new(config);
        for node in 1..=nodes {
            cluster.start(node, &[1]);
        }
        cluster.run_until(20 * SECOND, Self::all_list_all);
        cluster
    }

    /// Engines that share a roster of everybody, instead of each interning for itself.
    pub(crate) fn with_shared_roster(mut self, nodes: u16) -> Self {
        let record = |node| Arc::new(Record::new(self.node(node), self.generation(node)));
        self.roster = Arc::new(SharedRecords::of((1..=nodes).map(record)));
        self
    }

    #[track_caller]
    fn node(&self, node: u16) -> Node {
        Node::new(addr(node).to_string()).name(format!("n{node}")).build().unwrap()
    }

    /// The generation of a node that starts now without knowing of an earlier life.
    fn generation(&self, node: u16) -> Generation {
        Generation::start(None, self.clock_of(node).wall)
    }

    /// What a node's own clocks show.
    fn clock_of(&self, node: u16) -> Now {
        let mut now = self.clock();
        now.wall.0 += self.clocks.get(&node).copied().unwrap_or(0);
        now
    }

    pub(crate) fn clock(&self) -> Now {
        let wall = UnixNanos(EPOCH + self.now.as_nanos() as i64);
        Now { mono: self.now, wall: wall.saturating_add(self.wall_ahead) }
    }

    #[track_caller]
    pub(crate) fn start(&mut self, node: u16, seeds: &[u16]) {
        let record = Arc::new(Record::new(self.node(node), self.generation(node)));
        self.start_as(node, record, seeds);
    }

    #[track_caller]
    pub(crate) fn start_as(&mut self, node: u16, record: Arc<Record>, seeds: &[u16]) {
        let (config, roster) = (Arc::clone(&self.config), Arc::clone(&self.roster));
        let engine = Engine::new(record, config, roster, 1, self.clock_of(node));
        self.engines.insert(node, engine);
        let seeds = seeds.iter().map(|&seed| addr(seed)).collect();
        self.command(node, Command::Seeds(seeds));
    }

    /// Starts a node that knows nobody but what a former life kept, so long ago.
    #[track_caller]
    pub(crate) fn start_with(&mut self, node: u16, kept: KeptState, passed: Duration) {
        let generation = Generation::start(Some(kept.generation), self.clock_of(node).wall);
        let record = Record::new(self.node(node), generation);
        let (config, roster, now) = (Arc::clone(&self.config), Arc::default(), self.clock_of(node));
        let mut engine = Engine::new(record.into(), config, roster, 1, now);
        let mut out = Outbox::new();
        engine.take_back(now, kept.aged(passed), &mut out);
        for output in out.drain() {
            let Output::Event(event) = output else { panic!("{output:?} before the first input") };
            self.events.push((self.now, node, event));
        }
        self.engines.insert(node, engine);
        self.input(node, Input::Timeout);
    }

    /// Has those that start from now on do so with other settings.
    pub(crate) fn configure(&mut self, config: Config) {
        self.config = Arc::new(config);
    }

    pub(crate) fn crash(&mut self, node: u16) {
        self.engines.remove(&node);
    }

    #[track_caller]
    pub(crate) fn publish(&mut self, node: u16, data: &[u8]) {
        let value = Value::new(data, &self.config).unwrap();
        self.command(node, Command::Publish(value));
    }

    #[track_caller]
    pub(crate) fn command(&mut self, node: u16, command: Command) {
        self.input(node, Input::Command(command));
    }

    /// Has a node begin with a list.
    #[track_caller]
    pub(crate) fn restore(&mut self, node: u16, members: &[Arc<Record>]) {
        let now = self.clock();
        self.engine(node).restore(now, members, &mut Outbox::new());
    }

    /// A node publishes while its network is down.
    #[track_caller]
    pub(crate) fn publish_silently(&mut self, node: u16, data: &[u8]) {
        let loss = std::mem::replace(&mut self.loss, Probability::ONE);
        self.publish(node, data);
        self.loss = loss;
    }

    /// Hands a message to a node, as if it came from another.
    #[track_caller]
    pub(crate) fn body(&mut self, node: u16, from: u16, body: Body) {
        let step = AgeStep::of_timeout(self.config.timeout());
        self.packet(node, from, Packet::new(step, body));
    }

    /// What a node does about something else than a packet.
    #[track_caller]
    pub(crate) fn outputs_of(&mut self, node: u16, input: Input) -> Vec<Output> {
        let (now, mut out) = (self.clock(), Outbox::new());
        self.engine(node).handle(now, input, &mut out);
        out.drain().collect()
    }

    /// What a node does about a packet, without sending it anywhere.
    #[track_caller]
    pub(crate) fn outputs(&mut self, node: u16, from: u16, packet: Packet) -> Vec<Output> {
        let (now, mut out) = (self.clock(), Outbox::new());
        let input = datagram(addr(from), packet);
        self.engine(node).handle(now, input, &mut out);
        out.drain().collect()
    }

    /// The same about a packet that comes by stream.
    #[track_caller]
    pub(crate) fn outputs_of_stream(
        &mut self,
        node: u16,
        from: u16,
        packet: Packet,
    ) -> Vec<Output> {
        let (now, mut out) = (self.clock(), Outbox::new());
        let (from, carrier) = (addr(from), Carrier::Stream);
        let input = Input::Packet { from, carrier, packet: Arc::new(packet) };
        self.engine(node).handle(now, input, &mut out);
        out.drain().collect()
    }

    /// The request with which a node begins a swap with another.
    #[track_caller]
    pub(crate) fn swap_request(&mut self, node: u16, with: u16) -> Packet {
        let now = self.clock();
        let mut out = self.engine(node).begin_swap(now, addr(with));
        let sent = out.drain().find_map(|output| match output {
            Output::Send { packet, .. } => Some(packet.as_ref().clone()),
            Output::Event(_) | Output::Answer(_) | Output::Flush => None,
        });
        sent.expect("a request")
    }

    /// Who removed a node, and why.
    pub(crate) fn removals_of(&self, node: u16) -> Vec<(u16, Cause)> {
        let removal = |event: &(Instant, u16, Event)| match &event.2 {
            Event::Removed { record, cause } if record.node().addr() == addr(node) => {
                Some((event.1, *cause))
            }
            _ => None,
        };
        self.events.iter().filter_map(removal).collect()
    }

    #[track_caller]
    pub(crate) fn packet(&mut self, node: u16, from: u16, packet: Packet) {
        self.input(node, datagram(addr(from), packet));
    }

    #[track_caller]
    pub(crate) fn engine(&mut self, node: u16) -> &mut Engine {
        self.engines.get_mut(&node).expect("a running node")
    }

    /// The nodes that a node lists.
    #[track_caller]
    pub(crate) fn list(&mut self, node: u16) -> Vec<u16> {
        let members = self.engine(node).members();
        let mut list: Vec<_> = members.map(|record| record.node().addr().port()).collect();
        list.sort_unstable();
        list
    }

    pub(crate) fn all_list_all(&mut self) -> bool {
        let all: Vec<_> = self.engines.keys().copied().collect();
        all.iter().all(|&node| self.list(node) == all)
    }

    #[track_caller]
    pub(crate) fn data(&mut self, node: u16) -> Option<Vec<u8>> {
        self.engine(node).metadata().map(|metadata| metadata.data().to_vec())
    }

    pub(crate) fn all_hold(&mut self, data: &[u8]) -> bool {
        let held =
            |engine: &Engine| engine.metadata().map(Metadata::data).map(|data| data.to_vec());
        self.engines.values().all(|engine| held(engine).as_deref() == Some(data))
    }

    /// Panics, with what became of everybody, unless all that run list just each other.
    #[track_caller]
    pub(crate) fn assert_all_list_all(&mut self) {
        assert!(self.all_list_all(), "lists differ:\n{}", self.state());
    }

    /// Panics, with what became of everybody, unless all that run hold this.
    #[track_caller]
    pub(crate) fn assert_all_hold(&mut self, data: &[u8]) {
        let shown = data[..data.len().min(40)].escape_ascii();
        assert!(self.all_hold(data), "not all hold \"{shown}\":\n{}", self.state());
    }

    /// Runs for a time.
    #[track_caller]
    pub(crate) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until a condition holds, which took the time that is returned. Panics when it
    /// doesn't within `limit`, with what became of everybody.
    #[track_caller]
    pub(crate) fn run_until(
        &mut self,
        limit: Duration,
        mut holds: impl FnMut(&mut Self) -> bool,
    ) -> Duration {
        let (start, end) = (self.now, self.now + limit);
        while !holds(self) {
            if !self.step(end) {
                panic!("it did not hold within {limit:?}:\n{}", self.state());
            }
        }
        self.now - start
    }

    /// Whom each node lists and what it holds, a line for each.
    pub(crate) fn state(&mut self) -> String {
        let nodes: Vec<_> = self.engines.keys().copied().collect();
        let mut told = String::new();
        for node in nodes {
            let list = self.list(node);
            let holds = match self.data(node) {
                Some(data) => {
                    let start = data[..data.len().min(40)].escape_ascii();
                    format!("\"{start}\" ({} bytes)", data.len())
                }
                None => "nothing".to_owned(),
            };
            told += &format!("  node {node} lists {list:?} and holds {holds}\n");
        }
        for (node, engine) in &self.off {
            told += &format!("  node {node} has left, with {} listed\n", engine.members_len());
        }
        told
    }

    /// The next thing that happens, if any does before the end.
    #[track_caller]
    fn step(&mut self, end: Instant) -> bool {
        let flight = self.flights.last_key_value().map(|(&Reverse((at, _)), _)| at);
        let timers = self.engines.iter().filter(|(node, _)| !self.asleep.contains(node));
        let timer = timers.filter_map(|(&node, engine)| Some((engine.deadline()?, node))).min();
        let next = [flight, timer.map(|(at, _)| at)].into_iter().flatten().min();
        let Some(next) = next.filter(|&next| next <= end) else { return false };
        self.now = self.now.max(next);
        if flight == Some(next) {
            let (_, (to, from, carrier, packet)) = self.flights.pop_last().expect("a flight");
            let awake = !self.asleep.contains(&to.port());
            if self.engines.contains_key(&to.port()) && awake {
                self.input(to.port(), Input::Packet { from, carrier, packet });
            }
        } else if let Some((_, node)) = timer {
            self.input(node, Input::Timeout);
        }
        true
    }

    #[track_caller]
    fn input(&mut self, node: u16, input: Input) {
        let mut out = Outbox::new();
        let now = self.clock_of(node);
        self.engine(node).handle(now, input, &mut out);
        for output in out.drain() {
            match output {
                Output::Event(event) => self.events.push((self.now, node, event)),
                Output::Send { to, packet, class } => self.send(node, to, packet, class),
                Output::Answer(answer) => {
                    self.answers.push((self.now, node, answer.clone()));
                    if let Answer::Left(_) = answer {
                        self.off.extend(self.engines.remove_entry(&node));
                    }
                }
                Output::Flush => {}
            }
        }
    }

    /// How many packets are on their way by stream.
    pub(crate) fn streams_on_the_way(&self) -> usize {
        self.flights.values().filter(|(_, _, carrier, _)| *carrier == Carrier::Stream).count()
    }

    #[track_caller]
    fn send(&mut self, from: u16, to: SocketAddr, packet: Arc<Packet>, class: Class) {
        *self.sent.entry(packet.kind()).or_default() += 1;
        self.log.push((to, packet.kind()));
        if class == Class::Stream {
            *self.streams.entry(packet.kind()).or_default() += 1;
        }
        assert!(packet.body.is_said_in(packet.wire), "{packet:?} has no encoding");
        if packet.wire == WireVersion::One {
            *self.sent_in_one.entry(packet.kind()).or_default() += 1;
        } else if let Some(reader) = self.engines.get(&to.port())
            && reader.config().wire_max() == WireVersion::One
        {
            *self.refused.entry(packet.kind()).or_default() += 1;
        }
        let longest = match packet.body {
            Body::Value(_) | Body::Rumor(Rumor { topic: Subject::Metadata(_), .. }) => {
                self.config.packet_len_max()
            }
            _ => self.config.path_len_max(),
        };
        let fits = packet.len_max() <= longest || class == Class::Stream;
        assert!(fits, "{:?} is longer than every path carries", packet.kind());
        let cut = self.far_side.contains(&from) != self.far_side.contains(&to.port())
            || self.deaf.contains(&to.port())
            || self.cuts.contains(&(from.min(to.port()), from.max(to.port())))
            || self.mute.contains(&packet.kind())
            || (class == Class::Stream && self.filters.contains(&(from, to.port())));
        let delay = Duration::from_nanos(self.rng.between(1_000_000, 10_000_000));
        let (at, lost) = match class {
            Class::Datagram => {
                let len = wire::encoded_len(&packet) + self.config.guard_len();
                let vanishes = len > self.path_size;
                self.vanished += usize::from(vanishes);
                (self.now + delay, self.rng.chance(self.loss) || vanishes)
            }
            // A handshake first; what gets lost is sent again until the sender gives up.
            Class::Stream => (self.now + 3 * delay, self.loss == Probability::ONE),
        };
        if !cut && !lost {
            self.sequence += 1;
            let carrier = match class {
                Class::Datagram => carrier(&packet),
                Class::Stream => Carrier::Stream,
            };
            let flight = (to, addr(from), carrier, packet);
            self.flights.insert(Reverse((at, self.sequence)), flight);
        }
    }
}
