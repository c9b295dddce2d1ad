//! Go nodes and ours on one network in virtual time.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::go::{Go, Sent};
use crate::config::{Config, Wire};
use crate::core::{
    Carrier, Class, Command, Event, Input, Metadata, Outbox, Output, Protocol as _, Record, Value,
};
use crate::node::{Generation, Node};
use crate::pekonode::{Carried, Kind, LegacyEngine, LegacyPacket};
use crate::rng::{Probability, Rng};
use crate::time::{Instant, Now, UnixNanos};

pub(super) const SECOND: Duration = Duration::from_secs(1);

/// The wall clock at the zero of virtual time.
const EPOCH: i64 = 1_800_000_000_000_000_000;

#[expect(clippy::large_enum_variant, reason = "a handful of them")]
pub(super) enum Member {
    Ours(LegacyEngine),
    /// With the time of its next cycle.
    Go(Go, Instant),
}

pub(super) struct Cluster {
    pub(super) now: Instant,
    pub(super) loss: Probability,
    /// Times that the network is crossed for one packet: over TCP a connection is made first.
    pub(super) trips: u64,
    pub(super) members: BTreeMap<u16, Member>,
    pub(super) events: Vec<(u16, Event)>,
    /// Rumor packets sent, by origin, kind and version.
    pub(super) sent: BTreeMap<(u16, Kind, i64), usize>,
    /// Nodes on one side of a cut.
    pub(super) far_side: BTreeSet<u16>,
    flights: BTreeMap<(Instant, u64), (u16, Arc<LegacyPacket>)>,
    pub(super) config: Arc<Config>,
    rng: Rng,
    sequence: u64,
}

pub(super) fn addr(node: u16) -> SocketAddr {
    ([127, 0, 0, 1], node).into()
}

pub(super) fn node(node: u16) -> Node {
    Node::new(addr(node).to_string()).name(format!("n{node}")).build().unwrap()
}

/// A packet that comes from a port of the system's choice.
fn arriving(packet: Arc<LegacyPacket>) -> Input<LegacyPacket> {
    let carrier = Carrier::Datagram(packet.encoded_len());
    Input::Packet { from: addr(u16::MAX), carrier, packet }
}

pub(super) fn config() -> Config {
    Config::builder().wire(Wire::Pekonode).build().unwrap()
}

impl Cluster {
    pub(super) fn new(config: Config) -> Self {
        Self {
            now: Instant::from_nanos(1 << 50),
            loss: Probability::ZERO,
            trips: 1,
            members: BTreeMap::new(),
            events: Vec::new(),
            sent: BTreeMap::new(),
            far_side: BTreeSet::new(),
            flights: BTreeMap::new(),
            config: config.into(),
            rng: Rng::fork(4711, "mixed", 0),
            sequence: 0,
        }
    }

    /// Nodes 1 to `ours` are ours, `go` more are Go nodes; all have joined through the last.
    pub(super) fn of(ours: u16, go: u16) -> Self {
        let mut cluster = Self::new(config());
        cluster.join(ours, go);
        cluster
    }

    pub(super) fn join(&mut self, ours: u16, go: u16) {
        let seed = ours + go;
        for node in (ours + 1..=seed).rev() {
            self.start_go(node, seed);
        }
        for node in (1..=ours).rev() {
            self.start(node, &[seed]);
        }
        self.run(8 * SECOND);
    }

    pub(super) fn clock(&self) -> Now {
        Now { mono: self.now, wall: UnixNanos(EPOCH + (self.now.as_nanos() - (1 << 50)) as i64) }
    }

    pub(super) fn start(&mut self, at: u16, seeds: &[u16]) {
        let now = self.clock();
        let me = Arc::new(Record::new(node(at), Generation::start(None, now.wall)));
        let engine = LegacyEngine::new(me, &self.config, at.into(), now);
        self.members.insert(at, Member::Ours(engine));
        self.command(at, Command::Seeds(seeds.iter().map(|&seed| addr(seed)).collect()));
    }

    pub(super) fn start_go(&mut self, at: u16, seed: u16) {
        let (amount, timeout) = (self.config.fan_out(), self.config.timeout().as_secs() as i64);
        let mut go = Go::new(node(at), amount, timeout);
        go.set(self.clock(), &node(at));
        if seed != at {
            // What `Set` is given has no name yet.
            go.set(self.clock(), &node(seed));
        }
        let phase = Duration::from_nanos(self.rng.between(0, 1_000_000_000));
        self.members.insert(at, Member::Go(go, self.now + phase));
    }

    pub(super) fn ours(&mut self, at: u16) -> &mut LegacyEngine {
        match self.members.get_mut(&at) {
            Some(Member::Ours(engine)) => engine,
            _ => panic!("{at} is none of ours"),
        }
    }

    pub(super) fn go(&mut self, at: u16) -> &mut Go {
        match self.members.get_mut(&at) {
            Some(Member::Go(go, _)) => go,
            _ => panic!("{at} is no Go node"),
        }
    }

    pub(super) fn command(&mut self, at: u16, command: Command) {
        self.input(at, Input::Command(command));
    }

    pub(super) fn packet(&mut self, at: u16, packet: LegacyPacket) {
        self.input(at, arriving(packet.into()));
    }

    /// Publishes and says which version it became.
    pub(super) fn publish(&mut self, at: u16, data: &[u8]) -> i64 {
        let now = self.clock();
        if let Some(Member::Go(go, _)) = self.members.get_mut(&at) {
            let sent = go.publish(now, data);
            self.send(sent);
        } else {
            let value = Value::new(data, &self.config).unwrap();
            self.command(at, Command::Publish(value));
        }
        self.held(at).update
    }

    pub(super) fn held(&self, at: u16) -> Carried {
        match &self.members[&at] {
            Member::Ours(engine) => {
                engine.inspect().metadata.map_or(Carried::NONE, |held: &Metadata| held.into())
            }
            Member::Go(go, _) => go.metadata.clone(),
        }
    }

    pub(super) fn all_hold(&self, data: &[u8]) -> bool {
        self.members.keys().all(|&at| self.held(at).data.as_deref() == Some(data))
    }

    pub(super) fn list(&self, at: u16) -> Vec<u16> {
        let mut list: Vec<_> = match &self.members[&at] {
            Member::Ours(engine) => {
                engine.members().map(|record| record.node().addr().port()).collect()
            }
            Member::Go(go, _) => {
                go.list(self.clock()).iter().map(|node| node.addr().port()).collect()
            }
        };
        list.sort_unstable();
        list
    }

    pub(super) fn all_list_all(&self) -> bool {
        let all: Vec<_> = self.members.keys().copied().collect();
        all.iter().all(|&at| self.list(at) == all)
    }

    pub(super) fn removals(&self) -> usize {
        self.events.iter().filter(|(_, event)| matches!(event, Event::Removed { .. })).count()
    }

    pub(super) fn run(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step(end) {}
        self.now = end;
    }

    pub(super) fn run_until(&mut self, limit: Duration, holds: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + limit;
        while !holds(self) {
            if self.now >= end {
                return false;
            }
            self.run(Duration::from_millis(50));
        }
        true
    }

    /// Does what comes next, if it comes before the end.
    fn step(&mut self, end: Instant) -> bool {
        let due = |member: &Member| match member {
            Member::Ours(engine) => engine.deadline(),
            Member::Go(_, next) => Some(*next),
        };
        let wake = self.members.iter().filter_map(|(&at, member)| Some((due(member)?, at))).min();
        let flight = self.flights.first_key_value().map(|(&(time, _), _)| time);
        let next = [wake.map(|(time, _)| time), flight].into_iter().flatten().min();
        let Some(next) = next.filter(|&next| next < end) else { return false };
        self.now = self.now.max(next);
        if flight == Some(next) {
            let (_, (to, packet)) = self.flights.pop_first().expect("it was just seen");
            self.input(to, arriving(packet));
        } else {
            self.input(wake.expect("it is due").1, Input::Timeout);
        }
        true
    }

    fn input(&mut self, at: u16, input: Input<LegacyPacket>) {
        let now = self.clock();
        let sent = match self.members.get_mut(&at) {
            Some(Member::Ours(engine)) => {
                let mut out = Outbox::new();
                engine.handle(now, input, &mut out);
                self.take(at, &mut out)
            }
            Some(Member::Go(go, next)) => match input {
                Input::Packet { packet, .. } => go.on_packet(now, &packet),
                _ => {
                    *next = now.mono + SECOND;
                    go.on_cycle(now)
                }
            },
            None => Sent::new(),
        };
        let cut =
            |to: SocketAddr| self.far_side.contains(&at) != self.far_side.contains(&to.port());
        let sent = sent.into_iter().filter(|(to, _)| !cut(*to)).collect();
        self.send(sent);
    }

    fn take(&mut self, at: u16, out: &mut Outbox<LegacyPacket>) -> Sent {
        let mut sent = Sent::new();
        for output in out.drain() {
            match output {
                Output::Send { to, packet, class } => {
                    assert_eq!(class, Class::Datagram, "with `protocol = \"udp\"`");
                    assert!(packet.encoded_len() < self.config.size(), "never beyond `size`");
                    sent.push((to, packet));
                }
                Output::Event(event) => self.events.push((at, event)),
                Output::Answer(_) | Output::Flush => {}
            }
        }
        sent
    }

    fn send(&mut self, sent: Sent) {
        for (to, packet) in sent {
            let rumor = (packet.node.addr().port(), packet.kind, packet.metadata.update);
            *self.sent.entry(rumor).or_default() += 1;
            if !self.rng.chance(self.loss) {
                let trips = (0..self.trips).map(|_| self.rng.between(1_000, 10_000)).sum();
                let latency = Duration::from_micros(trips);
                self.sequence += 1;
                let flight = (self.now + latency, self.sequence);
                self.flights.insert(flight, (to.port(), packet));
            }
        }
    }
}
