//! A protocol of one's own in the laboratory: push-pull gossip over whole lists.
//!
//! `cargo run --example own_protocol -- run scenarios/partition.toml --protocol push-pull`
//!
//! Once a cycle each node sends all that it knows to a few others, and whoever gets it answers with
//! all that it knows. A member whose count of cycles stands still for one timeout is removed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use rumormill::core::{
    Answer, CarriedNews, Cause, Channel, Class, Command, CommandKind, Event, Input, Inspect, Load,
    Metadata, NewsAbout, Outbox, Output, Protocol, Record, Stats, Traced, Version,
};
use rumormill::node::{Generation, NodeId};
use rumormill::rng::Rng;
use rumormill::time::{Instant, Now, nanos};
use rumormill::{Config, Node};
use rumormill_sim::protocols::{Key, KeyError, KeyValue, Setup, Simulated};
use rumormill_sim::world::Offer;
use serde::{Deserialize, Serialize};

fn main() -> ExitCode {
    rumormill_sim::cli::main_with(&[Offer::of::<PushPull>()])
}

/// All that a node knows.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Packet {
    wants_answer: bool,
    members: Vec<Line>,
    value: Option<(i64, u64, [u8; 16], Vec<u8>)>,
}

/// A member, and how many cycles it has lived, as far as the sender has heard.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Line {
    addr: SocketAddr,
    generation: u64,
    cycles: u64,
    name: String,
    private_data: String,
}

#[derive(Clone, Debug)]
struct Member {
    record: Arc<Record>,
    cycles: u64,
    heard: Instant,
    is_listed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Running,
    Stopped,
    Left,
}

struct PushPull {
    me: Arc<Record>,
    config: Arc<Config>,
    answers: bool,
    life: Life,
    cycles: u64,
    next: Instant,
    /// By address, the removed ones too, lest what others still say brings them back.
    members: BTreeMap<SocketAddr, Member>,
    seeds: Vec<SocketAddr>,
    metadata: Option<Metadata>,
    rng: Rng,
    stats: Stats,
}

impl Protocol for PushPull {
    type Packet = Packet;
    type Settings = (Arc<Config>, bool);

    const REFUSES: &'static [CommandKind] = &[CommandKind::PublishTo, CommandKind::Update];

    fn new(me: Arc<Record>, (config, answers): &Self::Settings, seed: u64, now: Now) -> Self {
        Self {
            config: Arc::clone(config),
            answers: *answers,
            life: Life::Running,
            cycles: 0,
            next: now.mono,
            members: BTreeMap::new(),
            seeds: Vec::new(),
            metadata: None,
            rng: Rng::fork(seed, "push-pull", me.place().0),
            stats: Stats::default(),
            me,
        }
    }

    fn handle(&mut self, now: Now, input: Input<Packet>, out: &mut Outbox<Packet>) {
        self.stats.inputs += 1;
        match input {
            _ if self.life == Life::Left => {}
            Input::Packet { from, packet, .. } => self.on_packet(now, from, &packet, out),
            Input::Command(command) => self.on_command(now, command, out),
            Input::Timeout if now.mono >= self.next => self.on_cycle(now, out),
            Input::Timeout | Input::Waited(_) | Input::StreamFailed { .. } => {}
        }
    }

    fn deadline(&self) -> Option<Instant> {
        (self.life != Life::Left).then_some(self.next)
    }

    fn inspect(&self) -> Inspect<'_> {
        let (metadata, stats) = (self.metadata.as_ref(), &self.stats);
        let members_len = self.listed().count() + 1;
        Inspect { me: &self.me, members_len, metadata, entries: None, stats }
    }

    fn members(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.listed().map(|member| &member.record).chain([&self.me])
    }
}

impl PushPull {
    fn listed(&self) -> impl Iterator<Item = &Member> {
        self.members.values().filter(|member| member.is_listed)
    }

    fn on_command(&mut self, now: Now, command: Command, out: &mut Outbox<Packet>) {
        match command {
            Command::Seeds(seeds) => self.seeds = seeds,
            Command::Publish(value) => {
                let (held, writer) = (self.metadata.as_ref(), self.me.place());
                if let Ok(above) = Metadata::above(held, value, writer, now.wall) {
                    self.hold(above, out);
                    self.tell(out);
                }
            }
            Command::Stop => self.life = Life::Stopped,
            Command::Start => self.life = Life::Running,
            // Nobody is told: the others find out by the timeout.
            Command::Leave => {
                self.life = Life::Left;
                out.push(Output::Answer(Answer::Left(Ok(()))));
            }
            Command::PublishTo(..)
            | Command::Put(..)
            | Command::PutTo(..)
            | Command::Delete(_)
            | Command::Update(_) => {}
        }
    }

    fn on_cycle(&mut self, now: Now, out: &mut Outbox<Packet>) {
        let cycle = nanos(self.config.cycle());
        self.next = now.mono + std::time::Duration::from_nanos(self.rng.between(cycle / 2, cycle));
        for member in self.members.values_mut().filter(|member| member.is_listed) {
            if now.mono - member.heard > self.config.timeout() {
                member.is_listed = false;
                let (record, cause) = (Arc::clone(&member.record), Cause::Timeout);
                out.push(Output::Event(Event::Removed { record, cause }));
            }
        }
        if self.life == Life::Running {
            self.cycles += 1;
            self.tell(out);
        }
    }

    /// Sends all that is known to a few others: seeds as well, or two halves that were parted
    /// would never hear of each other again.
    fn tell(&mut self, out: &mut Outbox<Packet>) {
        let me = self.me.node().addr();
        let mut others: Vec<_> = self.members.keys().chain(&self.seeds).copied().collect();
        others.retain(|&addr| addr != me);
        self.rng.shuffle(&mut others);
        let packet = Arc::new(self.packet(self.answers));
        for to in others.into_iter().take(self.config.fan_out()) {
            let (packet, class) = (Arc::clone(&packet), Class::Stream);
            out.push(Output::Send { to, packet, class });
        }
    }

    fn packet(&self, wants_answer: bool) -> Packet {
        let line = |record: &Record, cycles| Line {
            addr: record.node().addr(),
            generation: record.generation().get(),
            cycles,
            name: record.node().name().to_owned(),
            private_data: record.node().private_data().to_owned(),
        };
        let own = line(&self.me, self.cycles);
        let others = self.listed().map(|member| line(&member.record, member.cycles));
        let value = self.metadata.as_ref().map(|held| {
            let Version { nanos, writer, digest } = held.version();
            (nanos, writer.0, digest, held.data().to_vec())
        });
        Packet { wants_answer, members: others.chain([own]).collect(), value }
    }

    fn on_packet(&mut self, now: Now, from: SocketAddr, packet: &Packet, out: &mut Outbox<Packet>) {
        packet.members.iter().for_each(|line| self.on_line(now, line, out));
        let held = self.metadata.as_ref().map(Metadata::version);
        if let Some(news) = packet.version().filter(|&news| Some(news) > held)
            && let Some((.., data)) = &packet.value
            && let Some(news) = Metadata::verified(news, data.as_slice().into())
        {
            self.hold(news, out);
        }
        if packet.wants_answer {
            let (packet, class) = (Arc::new(self.packet(false)), Class::Stream);
            out.push(Output::Send { to: from, packet, class });
        }
    }

    fn on_line(&mut self, now: Now, line: &Line, out: &mut Outbox<Packet>) {
        self.stats.updates += 1;
        let held = self.members.get_mut(&line.addr);
        let known = held.as_ref().map(|it| (it.record.generation().get(), it.cycles));
        let Some(record) = line.record().filter(|_| Some((line.generation, line.cycles)) > known)
        else {
            return;
        };
        if line.addr == self.me.node().addr() {
            return;
        }
        let (new, heard, cycles) = (Arc::new(record), now.mono, line.cycles);
        let (record, is_listed) = (Arc::clone(&new), true);
        let before = self.members.insert(line.addr, Member { record, cycles, heard, is_listed });
        out.push(Output::Event(match before.filter(|member| member.is_listed) {
            None => Event::Joined(new),
            Some(Member { record: old, .. }) if old != new => Event::Updated { old, new },
            Some(_) => return,
        }));
    }

    fn hold(&mut self, metadata: Metadata, out: &mut Outbox<Packet>) {
        out.push(Output::Event(Event::Published(metadata.clone())));
        self.metadata = Some(metadata);
    }
}

impl Line {
    fn record(&self) -> Option<Record> {
        let node = Node::new(self.addr.to_string()).name(self.name.as_str());
        let node = node.private_data(self.private_data.as_str()).build().ok()?;
        Some(Record::new(node, Generation::new(self.generation)?))
    }
}

impl Packet {
    fn version(&self) -> Option<Version> {
        let (nanos, writer, digest, _) = self.value.as_ref()?;
        Some(Version { nanos: *nanos, writer: NodeId(*writer), digest: *digest })
    }
}

impl Traced for Packet {
    fn kind(&self) -> &'static str {
        if self.wants_answer { "push" } else { "pull" }
    }

    fn encoded_len(&self) -> usize {
        let mut bytes = Vec::new();
        PushPull::encode(self, &mut bytes);
        bytes.len()
    }

    fn channel(&self) -> Channel {
        Channel::Swap
    }

    fn carries(&self) -> impl Iterator<Item = CarriedNews<'_>> {
        let member = |line: &Line| {
            let (addr, generation) = (line.addr, Generation::new(line.generation)?);
            Some(NewsAbout::Member { addr, generation })
        };
        let version = self.version().map(NewsAbout::Version);
        let about = self.members.iter().filter_map(member).chain(version);
        about.map(|about| CarriedNews { about, load: Load::Value })
    }
}

impl Simulated for PushPull {
    const NAME: &'static str = "push-pull";
    const ABOUT: &'static str = "once a cycle, all that a node knows goes to a few, and back";
    const KEYS: &'static [Key] = &[Key {
        name: "answers",
        default: KeyValue::Flag(true),
        about: "whether who is told answers with all that it knows",
    }];
    const KINDS: &'static [&'static str] = &["push", "pull"];

    fn settings(setup: &Setup<'_>) -> Result<Self::Settings, KeyError> {
        Ok((Arc::clone(setup.config), setup.keys.flag("answers")))
    }

    fn encode(packet: &Packet, out: &mut Vec<u8>) {
        serde_json::to_writer(out, packet).expect("a packet has string keys");
    }

    fn decode(bytes: &[u8], _: Class) -> Result<Packet, String> {
        serde_json::from_slice(bytes).map_err(|error| error.to_string())
    }
}
