//! What a driver, or a simulated world, needs of any protocol's state machine.

use std::net::SocketAddr;
use std::sync::Arc;

use super::engine::Engine;
use super::entries::{AgedEntry, EntriesView};
use super::entry::EntryKey;
use super::footprint::Footprint;
use super::io::{Command, Input, Outbox};
use super::keeping::{KeptState, Moment, MomentMark};
use super::members::SharedRecords;
use super::metadata::{Metadata, PublishError, Value, Version};
use super::packet::{Body, Cause, MembershipUpdate, Packet, Rumor, Subject};
use super::record::{MemberState, Record};
use super::stats::Stats;
use crate::config::Config;
use crate::node::{Generation, Node, NodeId};
use crate::time::{Instant, Now, UnixNanos};

/// One node of a cluster as a state machine that does no I/O: [`Engine`], or another beside it.
///
/// # The driver's contract
/// That of [`Engine`], whatever the protocol. The same inputs, with the same settings and seed,
/// always give the same outputs: time and chance are arguments.
pub trait Protocol: Sized {
    /// What its nodes tell each other.
    type Packet: Traced;

    /// What one node is set to.
    type Settings;

    /// Commands that it can't obey, and ignores when it is given one all the same.
    const REFUSES: &'static [CommandKind] = &[];

    /// By what its nodes know each other.
    const IDENTITY: Identity = Identity::Incarnation;

    /// A node that has heard of nobody. It wants its first [`Input::Timeout`] at once. `seed`
    /// decides every choice that it will make.
    fn new(me: Arc<Record>, settings: &Self::Settings, seed: u64, now: Now) -> Self;

    /// Reacts to one input. Never fails and never panics, whatever arrives from the network.
    fn handle(&mut self, now: Now, input: Input<Self::Packet>, out: &mut Outbox<Self::Packet>);

    /// When the node next wants [`Input::Timeout`].
    fn deadline(&self) -> Option<Instant>;

    /// What the node is and holds, as it may be asked for after each input.
    fn inspect(&self) -> Inspect<'_>;

    /// The listed members, itself included, in an order of the protocol's own.
    fn members(&self) -> impl Iterator<Item = &Arc<Record>>;

    /// Lists these as members, for whom its service vouches. Who has no other way to do that takes
    /// them for seeds.
    fn preload<'a>(
        &mut self,
        now: Now,
        members: impl Iterator<Item = &'a Arc<Record>>,
        out: &mut Outbox<Self::Packet>,
    ) {
        let seeds = members.map(|record| record.node().addr()).collect();
        self.handle(now, Input::Command(Command::Seeds(seeds)), out);
    }

    /// What it holds now as far as it is to outlast the process; `None` where nothing is kept.
    fn moment(&self, _now: Now) -> Option<Moment> {
        None
    }

    /// The mark that such a moment would have now.
    fn moment_mark(&self) -> MomentMark {
        MomentMark::default()
    }

    /// Takes back what a former life kept, before the first input.
    fn take_back(&mut self, _now: Now, _kept: KeptState, _out: &mut Outbox<Self::Packet>) {}

    /// How much it holds of all that may grow.
    fn footprint(&self) -> Footprint {
        Footprint { members: self.inspect().members_len, ..Footprint::default() }
    }

    /// The generation and the counter of the newest beat that is held of an address, be its node
    /// listed or gone; nothing where beats have no numbers.
    fn newest_beat(&self, _addr: SocketAddr) -> Option<(Generation, u32)> {
        None
    }
}

/// By what the nodes of a protocol know each other, which decides how its records are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// By address and generation: who restarts is another.
    Incarnation,
    /// By address alone: records of others have the default generation, and a restart can't be told
    /// from a pause.
    Address,
}

/// The kind of a [`Command`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "one for each variant of Command")]
pub enum CommandKind {
    Seeds,
    Publish,
    PublishTo,
    Put,
    PutTo,
    Delete,
    Update,
    Stop,
    Start,
    Leave,
}

impl From<&Command> for CommandKind {
    fn from(command: &Command) -> Self {
        match command {
            Command::Seeds(_) => Self::Seeds,
            Command::Publish(_) => Self::Publish,
            Command::PublishTo(..) => Self::PublishTo,
            Command::Put(..) => Self::Put,
            Command::PutTo(..) => Self::PutTo,
            Command::Delete(_) => Self::Delete,
            Command::Update(_) => Self::Update,
            Command::Stop => Self::Stop,
            Command::Start => Self::Start,
            Command::Leave => Self::Leave,
        }
    }
}

/// What a node is and holds, without a copy of anything.
#[derive(Clone, Copy, Debug)]
pub struct Inspect<'a> {
    /// Its own incarnation.
    pub me: &'a Arc<Record>,
    /// How many members it lists, itself included.
    pub members_len: usize,
    /// The metadata, once there is one.
    pub metadata: Option<&'a Metadata>,
    /// The entries, once there were any; none of a protocol that knows no such.
    pub entries: Option<&'a EntriesView>,
    /// What it counted.
    pub stats: &'a Stats,
}

/// What measures, traces and pictures need to know of a packet, of whatever protocol.
pub trait Traced {
    /// What its kind is called, such as `swap_request`.
    fn kind(&self) -> &'static str;

    /// Bytes of its encoding, without what guards them.
    fn encoded_len(&self) -> usize;

    /// In what way it spreads what it brings.
    fn channel(&self) -> Channel;

    /// The news in it, as far as it can be followed: values, and who came and went. Beats are not
    /// news, nor is what merely names a version.
    fn carries(&self) -> impl Iterator<Item = CarriedNews<'_>>;

    /// By what acknowledgements of it name the one piece of news that it carries.
    fn tag(&self) -> Option<u32> {
        None
    }

    /// What it is of a talk by which one node finds out whether another lives.
    fn liveness_check(&self) -> Option<LivenessCheck> {
        None
    }
}

/// In what way a packet spreads what it brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// News that is told on at once.
    Rumor,
    /// All that came up since the last one.
    Bulk,
    /// Comparison and repair between two nodes.
    Swap,
    /// A value that was asked for.
    Stream,
}

impl Channel {
    /// What it is called in traces and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rumor => "rumor",
            Self::Bulk => "bulk",
            Self::Swap => "swap",
            Self::Stream => "stream",
        }
    }
}

/// A piece of news in a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CarriedNews<'a> {
    /// What it is about.
    pub about: NewsAbout<'a>,
    /// What the packet brings of it.
    pub load: Load,
}

/// What a piece of news is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewsAbout<'a> {
    /// This version of the metadata.
    Version(Version),
    /// This version of a named entry.
    Entry {
        /// Its key.
        key: &'a EntryKey,
        /// What was written.
        version: Version,
    },
    /// That an incarnation is a member.
    Member {
        /// Its address.
        addr: SocketAddr,
        /// Which it is.
        generation: Generation,
    },
    /// That this node is a member, in whatever incarnation.
    Node(&'a Node),
    /// That an incarnation is gone.
    Departure {
        /// Its address.
        addr: SocketAddr,
        /// Which it was.
        generation: Generation,
        /// Why it is gone.
        cause: Cause,
    },
    /// What packets of this [tag](Traced::tag) carried.
    Tagged(u32),
}

/// What a packet brings of a piece of news.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// The news itself.
    Value,
    /// That there is a version, whose value must be fetched.
    Announcement,
    /// That its sender has it already.
    Ack,
}

/// A part of a talk by which one node finds out whether another lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LivenessCheck {
    /// A call to one of whom nothing was heard for long.
    LastCall,
    /// Its answer.
    Alive,
    /// A question to somebody at random.
    Probe,
    /// Its answer.
    ProbeAnswer,
}

impl Protocol for Engine {
    type Packet = Packet;
    /// The second may name incarnations in advance, for many engines; see [`Engine::new`].
    type Settings = (Arc<Config>, Arc<SharedRecords>);

    fn new(me: Arc<Record>, (config, roster): &Self::Settings, seed: u64, now: Now) -> Self {
        Self::new(me, Arc::clone(config), Arc::clone(roster), seed, now)
    }

    fn handle(&mut self, now: Now, input: Input, out: &mut Outbox) {
        self.handle(now, input, out);
    }

    fn deadline(&self) -> Option<Instant> {
        self.deadline()
    }

    fn inspect(&self) -> Inspect<'_> {
        let (metadata, stats) = (self.metadata(), self.stats());
        let (me, members_len) = (self.me(), self.members_len());
        Inspect { me, members_len, metadata, entries: self.entries(), stats }
    }

    fn members(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.members()
    }

    fn preload<'a>(
        &mut self,
        now: Now,
        members: impl Iterator<Item = &'a Arc<Record>>,
        out: &mut Outbox,
    ) {
        self.restore(now, members, out);
    }

    fn moment(&self, now: Now) -> Option<Moment> {
        Some(self.moment(now))
    }

    fn moment_mark(&self) -> MomentMark {
        self.moment_mark()
    }

    fn take_back(&mut self, now: Now, kept: KeptState, out: &mut Outbox) {
        self.take_back(now, kept, out);
    }

    fn footprint(&self) -> Footprint {
        self.footprint()
    }

    fn newest_beat(&self, addr: SocketAddr) -> Option<(Generation, u32)> {
        self.newest_beat(addr)
    }
}

/// For protocols that have no versions of their own.
impl Metadata {
    /// A value as a node publishes it above the one that it holds.
    ///
    /// # Errors
    /// When the held version is the last there can be.
    pub fn above(
        held: Option<&Self>,
        value: Value,
        writer: NodeId,
        wall: UnixNanos,
    ) -> Result<Self, PublishError> {
        Self::publish(value, held, writer, wall)
    }
}

/// What [`Traced`] says of our own packets, but for their bytes.
impl Packet {
    pub(crate) fn channel(&self) -> Channel {
        match &self.body {
            Body::Rumor(_) => Channel::Rumor,
            Body::Bulk(_) => Channel::Bulk,
            Body::Fetched(_) => Channel::Stream,
            _ => Channel::Swap,
        }
    }

    pub(crate) fn carried_news(&self) -> impl Iterator<Item = CarriedNews<'_>> {
        let (mut one, mut news, mut members) = (None, &[][..], &[][..]);
        let mut entries = &[][..];
        let mut load = Load::Value;
        match &self.body {
            Body::Value(metadata) | Body::Fetched(metadata) => {
                one = Some(NewsAbout::Version(metadata.version()));
            }
            Body::Rumor(Rumor { topic, .. }) => match topic {
                Subject::Metadata(metadata) => one = Some(NewsAbout::Version(metadata.version())),
                Subject::Announced(it) => {
                    (one, load) = (Some(NewsAbout::Version(it.version)), Load::Announcement);
                }
                Subject::Membership(change) => one = change.carried(),
                Subject::Entries(written) => entries = written,
            },
            Body::RumorAck(ack) => {
                (one, load) = (Some(NewsAbout::Tagged(ack.token.tag())), Load::Ack);
            }
            Body::Bulk(bulk) => news = &bulk.news,
            Body::Delta(records) => news = &records.news,
            Body::Join(join) => one = Some(join.me.carried()),
            Body::Alive(alive) => one = Some(alive.me.carried()),
            Body::Welcome(welcome) => members = &welcome.members,
            Body::Compare(compare) => entries = &compare.differences.entries,
            _ => {}
        }
        let members = members.iter().map(MemberState::carried);
        let news = news.iter().filter_map(MembershipUpdate::carried);
        let about = one.into_iter().chain(news).chain(members);
        let about = about.chain(entries.iter().map(AgedEntry::carried));
        about.map(move |about| CarriedNews { about, load })
    }

    pub(crate) fn rumor_tag(&self) -> Option<u32> {
        match &self.body {
            Body::Rumor(rumor) => Some(rumor.token.tag()),
            _ => None,
        }
    }

    pub(crate) fn liveness_check(&self) -> Option<LivenessCheck> {
        Some(match &self.body {
            Body::LastCall(_) => LivenessCheck::LastCall,
            Body::Alive(_) => LivenessCheck::Alive,
            Body::Probe(_) => LivenessCheck::Probe,
            Body::ProbeAnswer(_) => LivenessCheck::ProbeAnswer,
            _ => return None,
        })
    }
}

impl MemberState {
    fn carried(&self) -> NewsAbout<'_> {
        let (addr, generation) = (self.record.node().addr(), self.record.generation());
        NewsAbout::Member { addr, generation }
    }
}

impl AgedEntry {
    fn carried(&self) -> NewsAbout<'_> {
        let version = self.entry.stamp().version;
        NewsAbout::Entry { key: self.entry.key(), version }
    }
}

impl MembershipUpdate {
    fn carried(&self) -> Option<NewsAbout<'_>> {
        match self {
            Self::Member(member) => Some(member.carried()),
            Self::Gone(gone) => {
                let (addr, generation, cause) = (gone.addr, gone.generation, gone.cause);
                Some(NewsAbout::Departure { addr, generation, cause })
            }
            // Whether it will be a removal is open.
            Self::Suspected(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Wire;
    use crate::core::{Command, Event, Output, Value};
    use crate::node::{Generation, Node};
    use crate::time::UnixNanos;
    use crate::{pekonode, wire};

    /// What a node of any protocol that joins and publishes sends, by kind; and its events.
    fn live<P: Protocol>(
        settings: &P::Settings,
        encode: fn(&P::Packet, &mut Vec<u8>),
    ) -> (Vec<&'static str>, Vec<Event>) {
        let now = Now { mono: Instant::from_nanos(1 << 50), wall: UnixNanos(1 << 60) };
        let me = Arc::new(Record::new(Node::at(([10, 0, 0, 1], 1).into()), Generation::default()));
        let mut node = P::new(Arc::clone(&me), settings, 1, now);
        assert_eq!(node.deadline(), Some(now.mono), "it wants its first timeout at once");
        let (mut out, mut kinds, mut events) = (Outbox::new(), Vec::new(), Vec::new());
        let value = Value::new(*b"v", &Config::default()).unwrap();
        let seeds = vec![([10, 0, 0, 2], 1).into()];
        let commands = [Command::Seeds(seeds), Command::Publish(value)].map(Input::Command);
        for input in [Input::Timeout].into_iter().chain(commands) {
            node.handle(now, input, &mut out);
            for output in out.drain() {
                match output {
                    Output::Send { packet, .. } => {
                        let mut bytes = Vec::new();
                        encode(&packet, &mut bytes);
                        assert_eq!(packet.encoded_len(), bytes.len(), "{}", packet.kind());
                        kinds.push(packet.kind());
                    }
                    Output::Event(event) => events.push(event),
                    Output::Answer(answer) => panic!("{answer:?} to nobody"),
                    Output::Flush => panic!("it keeps nothing"),
                }
            }
        }
        let seen = node.inspect();
        assert_eq!((seen.me, seen.members_len, seen.stats.inputs), (&me, 1, 3));
        assert_eq!(seen.metadata.map(|held| &held.data()[..]), Some(&b"v"[..]));
        assert!(node.members().eq([&me]));
        assert!(node.deadline() > Some(now.mono), "what is due is done");
        (kinds, events)
    }

    /// A node of any protocol with one member that it was told of in advance, and its events.
    fn preloaded<P: Protocol>(settings: &P::Settings) -> (P, Vec<Event>) {
        let now = Now { mono: Instant::from_nanos(1 << 50), wall: UnixNanos(1 << 60) };
        let record = |port| {
            let node = Node::at(([10, 0, 0, 1], port).into());
            Arc::new(Record::new(node, Generation::default()))
        };
        let (mut node, mut out) = (P::new(record(1), settings, 1, now), Outbox::new());
        node.preload(now, [&record(1), &record(2)].into_iter(), &mut out);
        let events = out.drain().map(|output| match output {
            Output::Event(event) => event,
            Output::Send { .. } | Output::Answer(_) | Output::Flush => {
                panic!("only the service is told")
            }
        });
        let events = events.collect();
        (node, events)
    }

    #[test]
    fn who_is_told_of_members_in_advance_lists_them_and_says_so() {
        fn assert_listed<P: Protocol>((node, events): (P, Vec<Event>)) {
            assert_eq!((node.members().count(), node.footprint().members), (2, 2));
            let port = |of: &Record| of.node().addr().port();
            let joined = |event: &&Event| matches!(event, Event::Joined(of) if port(of) == 2);
            assert_eq!(events.iter().filter(joined).count(), 1, "{events:?}");
        }
        assert_listed(preloaded::<Engine>(&(Arc::new(Config::default()), Arc::default())));
        let config = Config::builder().wire(Wire::Pekonode).build().unwrap();
        assert_listed(preloaded::<pekonode::LegacyEngine>(&config.into()));
    }

    #[test]
    fn a_driver_runs_either_protocol_without_knowing_which() {
        let settings = (Arc::new(Config::default()), Arc::default());
        let (kinds, events) = live::<Engine>(&settings, wire::encode);
        assert_eq!(kinds, ["join"]);
        assert!(matches!(events[..], [Event::Published(_)]), "{events:?}");
        let config = Config::builder().wire(Wire::Pekonode).build().unwrap();
        let (kinds, events) =
            live::<pekonode::LegacyEngine>(&config.into(), wire::pekonode::encode);
        assert_eq!(kinds, ["beat"]);
        assert!(matches!(events[..], [Event::Published(_)]), "{events:?}");
    }
}
