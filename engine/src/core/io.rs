//! What goes into an engine and what comes out of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::entry::{Entry, EntryKey, PutError, Terms};
use super::metadata::{Metadata, Value, Version};
use super::packet::{Cause, Packet};
use super::record::Record;
use super::settings::Difference;
use crate::config::{Config, TransportKind};
use crate::node::Node;

/// Something that happens to a node, of whatever protocol these are the packets.
#[derive(Clone, Debug)]
pub enum Input<P = Packet> {
    /// A packet arrived.
    Packet {
        /// Where it came from, and where an answer goes.
        from: SocketAddr,
        /// By what it came.
        carrier: Carrier,
        /// The packet, decoded.
        packet: Arc<P>,
    },
    /// A stream to this address could not be made, or broke: what was to go there is lost.
    StreamFailed {
        /// To whom it was.
        to: SocketAddr,
    },
    /// The deadline has come. A call before it does no harm.
    Timeout,
    /// What is handed over next had arrived so long ago and was not read: the node is behind, and
    /// judges nobody until it has caught up. Lateness of its own deadlines it notices itself.
    Waited(Duration),
    /// The service wants something.
    Command(Command),
}

/// By what a packet came, which decides how much may go back: the source of a datagram is what its
/// sender wrote on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A datagram of so many bytes, with what guarded them.
    Datagram(usize),
    /// A stream, whose handshake has shown that its other end is where it says.
    Stream,
}

/// What a service can ask for.
#[derive(Clone, Debug)]
pub enum Command {
    /// The addresses of nodes that are already in the cluster, as they resolve now. Replaces the
    /// earlier ones; our own address among them is ignored.
    Seeds(Vec<SocketAddr>),
    /// Makes this value the cluster's metadata.
    Publish(Value),
    /// The same, to be answered by [`Answer::Published`] once so many others hold it, or after a
    /// timeout.
    PublishTo(Value, usize),
    /// Gives a key this value; answered by [`Answer::Written`].
    Put(EntryKey, Arc<[u8]>, Terms),
    /// The same, to be answered by [`Answer::Kept`] as well once so many others hold it, or after a
    /// timeout.
    PutTo(EntryKey, Arc<[u8]>, Terms, usize),
    /// Takes its value from a key; answered by [`Answer::Written`].
    Delete(EntryKey),
    /// Changes our name and private data to those of this node; its address is not looked at.
    /// The others see it as a new incarnation, never as a second node.
    Update(Node),
    /// Silences beats and swaps; the node still listens, forwards and answers swaps. Idempotent.
    Stop,
    /// Resumes after [`Command::Stop`]. Idempotent.
    Start,
    /// Says goodbye. From then on the engine only sees to it that the goodbye, what it was to pass
    /// on, and a value that nobody else holds yet come through; commands are ignored. It is deaf
    /// and mute from [`Answer::Left`] on, until which its inputs must go on.
    Leave,
}

/// Something that a node wants done.
#[derive(Clone, Debug)]
pub enum Output<P = Packet> {
    /// Send this packet.
    Send {
        /// To whom.
        to: SocketAddr,
        /// What; one packet may go to many.
        packet: Arc<P>,
        /// By what way.
        class: Class,
    },
    /// Tell the service.
    Event(Event),
    /// Tell who gave the command.
    Answer(Answer),
    /// What follows of this input says that something is held, and is to wait until that outlasts
    /// a crash: until the [`Moment`](super::Moment) that this input has led to, or a later one, is
    /// kept. Only where there is a `state_dir`.
    Flush,
}

/// What came of a command that takes its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Of [`Command::PublishTo`]: enough others hold the value, or too few.
    Published(Result<Version, NotConfirmed>),
    /// Of [`Command::PutTo`], if it was made: enough others hold this key's value, or too few.
    Kept(EntryKey, Result<Version, NotConfirmed>),
    /// Of [`Command::Put`], [`Command::PutTo`] and [`Command::Delete`], at once: the version of
    /// what was written, if there was anything to write.
    Written(Result<Option<Version>, PutError>),
    /// Of [`Command::Leave`]: the node is off, and [`Engine::handle`](super::Engine::handle) does
    /// nothing any more. An error if no other node is known to hold what was published here last.
    Left(Result<(), NotConfirmed>),
}

/// Too few others are known to hold what was published. They may hold it all the same, or soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "version {version} was published, but only {held_by} other nodes confirmed that they hold it: \
     the others will get it from those, if there are any and they live; publish again, or ask for \
     fewer"
)]
pub struct NotConfirmed {
    /// The version that was published.
    pub version: Version,
    /// How many others are known to hold it, or a newer one.
    pub held_by: usize,
}

/// How a packet travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// In one datagram, which may get lost.
    Datagram,
    /// Over a connection, in full or not at all: what exceeds a datagram, what is longer than every
    /// path carries and would not be missed, and with `protocol = "tcp"` everything.
    Stream,
}

/// Something a service may care about.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Event {
    /// A member was listed that was not, the node itself included.
    Joined(Arc<Record>),
    /// A listed member has a new incarnation: it restarted at its address, or changed its name or
    /// private data. The node itself included.
    ///
    /// A new incarnation has a new generation, whatever it is for. If it says of itself what the
    /// old one said, it was started again, or came back from having been taken for dead; if not,
    /// its service changed it, or started it again with other words. Where these must be told
    /// apart, have each start put something of its own into the private data. A restart that comes
    /// back at another address is [`Event::Joined`] and, if it has a name, [`Event::Replaced`].
    Updated {
        /// The incarnation that was listed.
        old: Arc<Record>,
        /// The one that is listed now.
        new: Arc<Record>,
    },
    /// A member is no longer listed.
    Removed {
        /// The incarnation that was listed.
        record: Arc<Record>,
        /// Why.
        cause: Cause,
    },
    /// A member is no longer listed: a live one at another address has its name, and it did not
    /// answer. The usual trace of a container that was started anew.
    Replaced {
        /// The incarnation that was listed.
        old: Arc<Record>,
        /// The one that took its place.
        by: Arc<Record>,
    },
    /// Two live members have the same name; both stay listed. Raised once for each pair, and again
    /// when one of them was gone and is back.
    NameConflict {
        /// The one that was listed before.
        first: Arc<Record>,
        /// The other.
        second: Arc<Record>,
    },
    /// The list as a whole has changed: told after the events of the single changes, at most once
    /// a `relay_delay`, the first at once. Not with `wire = "pekonode"`.
    View {
        /// How many this node has told, this one included.
        number: u64,
        /// How many members are listed now, the node itself included.
        members: usize,
        /// Members listed since the last view.
        joined: usize,
        /// New incarnations listed since then.
        updated: usize,
        /// Members that are listed no more since then, those that were replaced among them.
        left: usize,
        /// Of the members, as peers compare it: equal where the same incarnations are listed.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::forms::digest::serialize"))]
        digest: [u8; 16],
    },
    /// Nobody has answered this node for one `timeout`, though it lists others. They may all be
    /// dead, or it may be cut off: see [`Isolation`](crate::config::Isolation) for what becomes of
    /// its list. Half of a cluster that has lost the other half is not isolated.
    Isolated,
    /// Somebody answers again, after this long.
    Reunited(
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::forms::duration"))] Duration,
    ),
    /// The node has reason to doubt what it sees of others, and gives them more time.
    Degraded(Trouble),
    /// It has none any more.
    Recovered,
    /// The node slept for this long (its machine was suspended, its process did not run, or the
    /// wall clock was set ahead): for some seconds its list may be out of date.
    Woke(#[cfg_attr(feature = "serde", serde(serialize_with = "crate::forms::duration"))] Duration),
    /// Two live nodes claim one address; one must be stopped, or moved. With our own incarnation:
    /// another node lives at our address and will not give way. With that of another, which is the
    /// one that is listed: its rival lives on, whose records keep coming. Raised once, and again
    /// when it comes back after four quiet timeouts.
    AddressConflict(Arc<Record>),
    /// There is no room for one more member, who is not listed: raise `members_max` on every node,
    /// or run fewer. Raised once, and again when it is full anew after there was room.
    ListFull {
        /// The setting.
        members_max: usize,
    },
    /// No higher generation than one that others hold of this node, or than its own, may be taken:
    /// somebody forged it, or a clock ran a century ahead. The node goes on as it is, without a
    /// change of name or private data that was asked for; the others ask it itself which
    /// incarnation it is, and list that. Raised once.
    GenerationsExhausted(Arc<Record>),
    /// The held metadata lies further ahead of the cluster's clocks than `clock_skew_max`: the
    /// clock of its writer is wrong, or was that of somebody before it, for versions only go up.
    /// It is the metadata all the same, and whoever holds it and publishes replaces it. Raised once
    /// for each version.
    VersionAhead {
        /// The version.
        version: Version,
        /// How far ahead it lies of what this node takes for the time.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::forms::duration"))]
        by: Duration,
    },
    /// What was to be published here was not: the held version, given here, has the last time
    /// there is. Somebody made it up, for no clock gives it. Raised each time.
    VersionsExhausted(Version),
    /// The bytes of the held metadata were no longer those of this version: faulty memory, most
    /// likely. They are held no longer; the next swap brings the value back from a peer.
    Corrupted(Version),
    /// The metadata changed, here or elsewhere.
    Published(Metadata),
    /// The entry of a key changed, here or elsewhere: it has a value, or has none any more. Told of
    /// a value that was hidden, deleted or given up for want of room as of one that expired.
    Entry(Entry),
    /// What this node had published is the metadata no longer: another node's value ranks above
    /// it, whether its publisher had seen ours or not. Raised before [`Event::Published`] of
    /// theirs; not with `wire = "pekonode"`, where versions name no writer.
    ///
    /// When theirs is from the future and ours is younger than the `timeout`, their publisher had
    /// not seen it: the same bytes are published here once more, above theirs, which
    /// [`Event::Published`] tells next.
    Superseded {
        /// The version that was published here.
        ours: Version,
        /// The one that took its place.
        theirs: Version,
        /// How far ahead of the time theirs lies, when that is more than `clock_skew_max`.
        #[cfg_attr(feature = "serde", serde(serialize_with = "crate::forms::duration_or_none"))]
        theirs_ahead_by: Option<Duration>,
    },
    /// A peer has settings that do not go with ours: nobody is removed for it, but it costs
    /// packets and time. Raised once for each peer and setting, for the first 64 of them.
    SettingsDiffer {
        /// The peer.
        peer: SocketAddr,
        /// What differs, with both values.
        difference: Difference,
    },
    /// Datagrams of so many bytes do not get to this peer, though shorter ones do: somewhere on the
    /// way the MTU is smaller than here, and the message that would say so is filtered. Values as
    /// long go to it by stream from now on, which takes some round trips more; a smaller `size`
    /// spares the first one the wait. Raised once for each peer, for 256 of them.
    PathNarrow {
        /// The peer.
        peer: SocketAddr,
        /// Length of the datagrams, in bytes of UDP payload.
        len: usize,
    },
    /// A value that exceeds a datagram did not get from this peer here, or from here to it: no
    /// stream between the two can be made (a filter that lets UDP pass and no TCP, most likely), or
    /// it takes too long. The value is asked of others that hold it; if none can be reached, one of
    /// the two does without. Raised once for each peer, and again after a value has got through.
    ValueUnreachable {
        /// The version that did not get through.
        version: Version,
        /// The peer.
        peer: SocketAddr,
    },
    /// Others answer this node, and for four timeouts nobody has called it at this address, which
    /// it advertises: it leads nowhere, or to somebody else. The others list the node and leave it
    /// out of what they do; advertise an address that they reach. Raised once, and again if
    /// somebody called in between.
    NotReached(SocketAddr),
    /// With `wire = "pekonode"`: packets name every member, and those of one more would not be
    /// shorter than `size`. It is not listed; raise `size` on every node, or run fewer. Raised
    /// once.
    ClusterTooLarge {
        /// How many members are listed.
        members: usize,
        /// The setting, in bytes.
        size: usize,
    },
}

/// Why a node doubts itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Trouble {
    /// Its deadlines come late, or what it reads had waited: it has too little processor time.
    /// While that lasts it removes nobody.
    Behind,
    /// Many of those whom it asks do not answer in time, and others say that they live.
    Unanswered,
}

/// Where a node puts its outputs: an argument of every call, so that nothing can be left undrained
/// and one buffer serves any number of nodes.
#[derive(Clone, Debug)]
pub struct Outbox<P = Packet> {
    outputs: Vec<Output<P>>,
    /// The longest packet in a datagram that every path carries, and in one of `size`.
    path_len_max: usize,
    datagram_len_max: usize,
    guard_len: usize,
    limit: Option<Limit>,
    withheld: u64,
    /// How many waited when the input at hand came.
    before: usize,
}

/// What may still go to an address by datagram, in answer to one input.
#[derive(Clone, Copy, Debug)]
struct Limit {
    to: SocketAddr,
    bytes_left: usize,
}

impl<P> Default for Outbox<P> {
    fn default() -> Self {
        let (outputs, longest) = (Vec::new(), usize::MAX);
        let (path_len_max, datagram_len_max) = (longest, longest);
        Self {
            outputs,
            path_len_max,
            datagram_len_max,
            guard_len: 0,
            limit: None,
            withheld: 0,
            before: 0,
        }
    }
}

impl<P> Outbox<P> {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// What is in it, in the order in which it was put in.
    pub fn outputs(&self) -> &[Output<P>] {
        &self.outputs
    }

    /// Takes everything out, in the order in which it was put in; the buffer's memory stays.
    pub fn drain(&mut self) -> impl Iterator<Item = Output<P>> + '_ {
        self.outputs.drain(..)
    }

    /// True when nothing is waiting.
    pub fn is_empty(&self) -> bool {
        self.outputs.is_empty()
    }

    /// Puts one more in.
    pub fn push(&mut self, output: Output<P>) {
        self.outputs.push(output);
    }

    pub(crate) fn answer(&mut self, answer: Answer) {
        self.push(Output::Answer(answer));
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.push(Output::Event(event));
    }
}

impl Outbox {
    /// Says what the engine that fills it takes for a datagram.
    pub(crate) fn begin(&mut self, config: &Config) {
        (self.path_len_max, self.datagram_len_max) = match config.protocol() {
            TransportKind::Udp => (config.path_len_max(), config.packet_len_max()),
            TransportKind::Tcp => (0, 0),
        };
        self.guard_len = config.guard_len();
        self.limit = None;
        self.before = self.outputs.len();
    }

    /// What the input at hand has brought so far.
    pub(crate) fn of_this_input(&self) -> &[Output] {
        &self.outputs[self.before..]
    }

    /// Takes out what the input at hand has brought so far.
    pub(crate) fn take_of_this_input(&mut self) -> Vec<Output> {
        self.outputs.split_off(self.before)
    }

    /// Lets no more than this many bytes go to an address by datagram until the next input: a
    /// stranger may have written the address of a victim on what it sent.
    pub(crate) fn limit(&mut self, to: SocketAddr, bytes: usize) {
        self.limit = Some(Limit { to, bytes_left: bytes });
    }

    /// Takes the limit off an address that has just shown that it gets what is sent there.
    pub(crate) fn lift(&mut self, to: SocketAddr) {
        self.limit = self.limit.filter(|limit| limit.to != to);
    }

    /// The longest packet that may go to an address by datagram, if that is limited.
    pub(crate) fn room(&self, to: SocketAddr) -> Option<usize> {
        let limit = self.limit.filter(|limit| limit.to == to)?;
        Some(limit.bytes_left.saturating_sub(self.guard_len))
    }

    /// How many packets were kept back by limits since this was last asked.
    pub(crate) fn take_withheld(&mut self) -> u64 {
        std::mem::take(&mut self.withheld)
    }

    /// Sends a packet by datagram if every path carries one as long, else by stream; not at all if
    /// it is more than may go there.
    pub(crate) fn send(&mut self, to: SocketAddr, packet: &Arc<Packet>) {
        self.send_within(self.path_len_max, to, packet);
    }

    /// The same for a packet that is missed if it doesn't arrive: it may have all of `size`.
    pub(crate) fn attempt(&mut self, to: SocketAddr, packet: &Arc<Packet>) {
        self.send_within(self.datagram_len_max, to, packet);
    }

    fn send_within(&mut self, datagram_len_max: usize, to: SocketAddr, packet: &Arc<Packet>) {
        let len = packet.len_max();
        if len > datagram_len_max {
            return self.stream(to, packet);
        }
        if let Some(limit) = self.limit.as_mut().filter(|limit| limit.to == to) {
            let Some(left) = limit.bytes_left.checked_sub(len + self.guard_len) else {
                self.withheld += 1;
                return;
            };
            limit.bytes_left = left;
        }
        let class = Class::Datagram;
        self.outputs.push(Output::Send { to, packet: Arc::clone(packet), class });
    }

    /// Sends a packet by stream whatever its length: that takes a handshake, which is proof enough.
    pub(crate) fn stream(&mut self, to: SocketAddr, packet: &Arc<Packet>) {
        let class = Class::Stream;
        self.outputs.push(Output::Send { to, packet: Arc::clone(packet), class });
    }
}
