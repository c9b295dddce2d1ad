//! The packets that engines exchange, as values; `wire` turns them into bytes and back.
//!
//! Every kind has an upper bound on its encoded length ([`Packet::len_max`]), by which the core
//! splits what it sends without encoding anything. `wire` tests the bound against the encoder.

mod contact;
mod probes;

use std::net::SocketAddr;

pub use contact::{Alive, Echo, Held, Join, LastCall, Padding, Welcome};
pub use probes::{Holds, Probe, ProbeAnswer, ProbeRequest, Reply, Suspicion, Vouch, Word};

use super::beat::{Age, AgeStep, Beat, RecordId};
use super::metadata::{Metadata, Version};
use super::record::{Digest, Sighting};
use super::settings::Settings;
use crate::node::{Generation, NodeId};
use crate::time::UnixNanos;

/// What one node sends to another at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Packet {
    /// The unit of all ages in the packet.
    pub step: AgeStep,
    /// The message.
    pub body: Body,
}

/// The message in a packet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Body {
    /// What advanced since the sender's last relay. Never answered.
    Bulk(Bulk),
    /// One piece of news, with the arc of the ring that the receiver now answers for. Answered
    /// by [`Body::RumorAck`].
    Rumor(Rumor),
    /// "I answer for that arc." Never answered.
    RumorAck(RumorAck),
    /// A node that wants in, or looks for its cluster again. Answered by [`Body::Welcome`].
    Join(Join),
    /// Some members to begin with.
    Welcome(Welcome),
    /// Opens a swap. Answered by [`Body::SwapAnswer`].
    SwapRequest(SwapRequest),
    /// Says what the answerer holds: its vector where the lists agree, else bucket digests.
    SwapAnswer(SwapAnswer),
    /// Beats of all members by place on the ring. Never answered.
    Vector(Vector),
    /// The ids that the sender lists in some buckets. Answered by what it lacks.
    Ids(Ids),
    /// Ids whose records the sender lacks. Answered by [`Body::Records`].
    Wanted(Wanted),
    /// Records that the receiver lacked or asked for. Never answered.
    Records(Records),
    /// A metadata value that the receiver's summary lacked. Never answered.
    Value(Metadata),
    /// The same of a value that exceeds a datagram: it can be fetched here.
    Announced(Announcement),
    /// What two nodes have to say to each other about the transfer of a value.
    Fetch(Fetch),
    /// The value that was asked for. Answered by [`Call::Done`].
    Fetched(Metadata),
    /// "We have not heard of you for long: do you live?" Answered by [`Body::Alive`].
    LastCall(LastCall),
    /// The newest beat of the sender itself. Never answered.
    Alive(Alive),
    /// "Do you live, and do we hold the same?" Answered by [`Body::ProbeAnswer`].
    Probe(Probe),
    /// "I live." Never answered.
    ProbeAnswer(ProbeAnswer),
    /// Asks for a probe of a third node. Answered by [`Body::Vouch`].
    ProbeRequest(ProbeRequest),
    /// What came of a probe for another. Never answered.
    Vouch(Vouch),
    /// "What you sent to this address has come." Answered by what could not be sent there before
    /// that was known.
    Echo(Echo),
}

/// Beats and membership news in bulk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Bulk {
    /// Beats that advanced.
    pub beats: Vec<Beat>,
    /// Changes of membership.
    pub news: Vec<News>,
}

/// A change of membership. Nearly all are of the first kind, so that is what its size is made for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum News {
    /// This incarnation is a member.
    Member(Sighting),
    /// This incarnation is gone.
    Gone(Box<Gone>),
    /// This incarnation did not answer a probe. Means nothing to a node that does not probe.
    Suspected(Box<Suspicion>),
}

const _: () = assert!(size_of::<News>() <= 24);

impl From<Gone> for News {
    fn from(gone: Gone) -> Self {
        Self::Gone(Box::new(gone))
    }
}

impl From<Suspicion> for News {
    fn from(suspicion: Suspicion) -> Self {
        Self::Suspected(Box::new(suspicion))
    }
}

/// What remains of an incarnation that was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Gone {
    /// The address.
    pub addr: SocketAddr,
    /// The incarnation that is gone.
    pub generation: Generation,
    /// The beat counter it was last seen with.
    pub counter: u32,
    /// Why it is gone, which decides what this does to a receiver.
    pub cause: Cause,
}

/// Why a member is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(rename_all = "snake_case")
)]
#[non_exhaustive]
pub enum Cause {
    /// Nothing was heard of it: blocks older copies, but removes nobody elsewhere.
    Timeout,
    /// It said goodbye: every node removes exactly this incarnation.
    Left,
}

/// One piece of news on its way along the ring.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rumor {
    /// Comes back in the acknowledgement.
    pub token: Token,
    /// How many acknowledgements to send: more than one where many get lost.
    pub acks: u8,
    /// The part of the ring that the receiver answers for; all the rest is in other hands.
    pub arc: RingArc,
    /// Whom the sender knows on the arc, where they are few.
    pub view: Option<ViewDigest>,
    /// The news.
    pub topic: Topic,
}

/// Takes an arc on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RumorAck {
    /// That of the rumor.
    pub token: Token,
    /// Where the views of the arc differ: the members on it that the receiver knows, each by the
    /// lowest bits of its place. Empty where they don't.
    pub known: Vec<u16>,
}

/// Names one handing over of an arc: a tag of the rumor above, a random number below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

impl Token {
    /// A token for a rumor of this tag.
    pub(crate) fn new(tag: u32, random: u32) -> Self {
        Self(u64::from(tag) << 32 | u64::from(random))
    }

    /// What all tokens of a rumor share, and those of other rumors hardly ever do.
    pub fn tag(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// The members that a node knows on an arc, in 32 bits: equal ones stand for equal views.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ViewDigest(pub u32);

impl ViewDigest {
    /// Views of more members are not compared: their differences are found further down.
    pub(crate) const MEMBERS_MAX: usize = 256;

    /// The digest of some members by their places.
    pub(crate) fn of(places: impl Iterator<Item = NodeId>) -> Self {
        Self(places.fold(0, |sum: u32, place| sum.wrapping_add((place.0 >> 16) as u32)))
    }
}

/// What a rumor is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Topic {
    /// A metadata value.
    Metadata(Metadata),
    /// A metadata value that exceeds a datagram: it can be fetched from the sender.
    Announced(Announcement),
    /// A membership change that came alone.
    Membership(News),
}

/// A half-open stretch of the ring: from `after` (not included) clockwise up to `upto`
/// (included). Equal ends mean the whole ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RingArc {
    /// The place the arc begins behind.
    pub after: NodeId,
    /// The last place of the arc.
    pub upto: NodeId,
}

/// A metadata value that exceeds a datagram, without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Announcement {
    /// Its version, and with it its digest.
    pub version: Version,
    /// Its length in bytes.
    pub len: u32,
}

impl Announcement {
    /// The announcement of a value.
    pub fn of(metadata: &Metadata) -> Self {
        let len = u32::try_from(metadata.data().len()).unwrap_or(u32::MAX);
        Self { version: metadata.version(), len }
    }
}

/// What two nodes have to say to each other about the transfer of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fetch {
    /// The value.
    pub version: Version,
    /// What is to be said.
    pub call: Call,
}

/// What is said about the transfer of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    /// Send it to me. Answered by [`Body::Fetched`], with this or a newer version, or by
    /// [`Call::Busy`].
    Send,
    /// It is here. Never answered.
    Done,
    /// Not now: ask another, or later. Never answered.
    Busy,
}

/// What a node holds, in constant space: equal summaries need no repair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Summary {
    /// How many members are listed, the node itself included.
    pub members: u32,
    /// The sum of their digests.
    pub digest: Digest,
    /// The metadata version, if any is held.
    pub version: Option<Version>,
    /// The sender's wall clock.
    pub wall: UnixNanos,
    /// What others should know of the sender's settings.
    pub settings: Settings,
}

impl Summary {
    /// The same in short.
    pub fn holds(&self) -> Holds {
        Holds { digest: self.digest, version: self.version.map_or(0, Version::hash) }
    }

    /// True when both hold the same, whatever their clocks say.
    pub fn agrees(&self, other: &Self) -> bool {
        (self.digest, self.version) == (other.digest, other.version)
    }
}

/// Opens a swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SwapRequest {
    /// Comes back in the answer.
    pub token: u32,
    /// What the sender holds.
    pub summary: Summary,
    /// Makes it so long that the usual answer may be given.
    pub padding: Padding,
}

/// Answers a swap.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SwapAnswer {
    /// That of the request.
    pub token: u32,
    /// What to echo, if the answerer does not know yet that the asker is where it says.
    pub ask: Option<u32>,
    /// What the answerer holds.
    pub summary: Summary,
    /// How the lists compare.
    pub detail: Detail,
}

/// How the lists of two swap partners compare.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Detail {
    /// They agree: here are my beats.
    Same(Vector),
    /// They differ: digests of my members by bucket of the ring, folded with the swap's token.
    /// The number of buckets is a power of two.
    Differ(Vec<u32>),
}

/// Counters and ages of members by place on the ring, valid only between equal lists.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Vector {
    /// The digest of the list that the places refer to.
    pub digest: Digest,
    /// The place in ring order of the first entry.
    pub first: u32,
    /// Counter modulo 256 and age, one pair a member.
    pub beats: Vec<(u8, Age)>,
}

/// The ids listed in some buckets of the ring.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ids {
    /// What the receiver asked to have echoed, if it did.
    pub echo: Option<u32>,
    /// The ring is cut into `2^bits` buckets by the highest bits of a place; at most 16.
    pub bits: u8,
    /// The buckets this packet speaks of.
    pub buckets: Vec<u16>,
    /// Every id that the sender lists in them.
    pub ids: Vec<RecordId>,
}

/// Ids whose records the sender lacks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The ids.
    pub ids: Vec<RecordId>,
}

/// What the receiver lacked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Records {
    /// Members and departures.
    pub news: Vec<News>,
}

/// The kind of a packet, for counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "one for each variant of Body")]
pub enum PacketKind {
    Bulk,
    Rumor,
    Join,
    Welcome,
    SwapRequest,
    SwapAnswer,
    Vector,
    Ids,
    Wanted,
    Records,
    Value,
    LastCall,
    Alive,
    Announced,
    Fetch,
    Fetched,
    Probe,
    ProbeAnswer,
    ProbeRequest,
    Vouch,
    RumorAck,
    Echo,
}

impl PacketKind {
    /// Every kind at the place that is its tag on the wire: new ones go to the end.
    pub const ALL: [Self; 22] = [
        Self::Bulk,
        Self::Rumor,
        Self::Join,
        Self::Welcome,
        Self::SwapRequest,
        Self::SwapAnswer,
        Self::Vector,
        Self::Ids,
        Self::Wanted,
        Self::Records,
        Self::Value,
        Self::LastCall,
        Self::Alive,
        Self::Announced,
        Self::Fetch,
        Self::Fetched,
        Self::Probe,
        Self::ProbeAnswer,
        Self::ProbeRequest,
        Self::Vouch,
        Self::RumorAck,
        Self::Echo,
    ];
}

impl Packet {
    /// Which kind of packet this is.
    pub fn kind(&self) -> PacketKind {
        match self.body {
            Body::Bulk(_) => PacketKind::Bulk,
            Body::Rumor(_) => PacketKind::Rumor,
            Body::RumorAck(_) => PacketKind::RumorAck,
            Body::Join(_) => PacketKind::Join,
            Body::Welcome(_) => PacketKind::Welcome,
            Body::SwapRequest(_) => PacketKind::SwapRequest,
            Body::SwapAnswer(_) => PacketKind::SwapAnswer,
            Body::Vector(_) => PacketKind::Vector,
            Body::Ids(_) => PacketKind::Ids,
            Body::Wanted(_) => PacketKind::Wanted,
            Body::Records(_) => PacketKind::Records,
            Body::Value(_) => PacketKind::Value,
            Body::Announced(_) => PacketKind::Announced,
            Body::Fetch(_) => PacketKind::Fetch,
            Body::Fetched(_) => PacketKind::Fetched,
            Body::LastCall(_) => PacketKind::LastCall,
            Body::Alive(_) => PacketKind::Alive,
            Body::Probe(_) => PacketKind::Probe,
            Body::ProbeAnswer(_) => PacketKind::ProbeAnswer,
            Body::ProbeRequest(_) => PacketKind::ProbeRequest,
            Body::Vouch(_) => PacketKind::Vouch,
            Body::Echo(_) => PacketKind::Echo,
        }
    }

    /// An upper bound on the encoded length in bytes, without encoding.
    pub fn len_max(&self) -> usize {
        len::HEADER + self.body.len_max()
    }
}

impl Body {
    /// What the sender says that it holds, if it does.
    pub fn summary(&self) -> Option<&Summary> {
        match self {
            Self::Join(join) => Some(&join.summary),
            Self::Welcome(welcome) => Some(&welcome.summary),
            Self::SwapRequest(request) => Some(&request.summary),
            Self::SwapAnswer(answer) => Some(&answer.summary),
            _ => None,
        }
    }

    fn len_max(&self) -> usize {
        match self {
            Self::Bulk(bulk) => {
                2 * len::COUNT
                    + bulk.beats.len() * len::BEAT
                    + len::of_all(&bulk.news, News::len_max)
            }
            Self::Rumor(rumor) => len::RUMOR + rumor.topic.len_max(),
            Self::RumorAck(ack) => {
                len::RUMOR_TOKEN + len::COUNT + ack.known.len() * len::FINGERPRINT
            }
            Self::Join(join) => {
                len::TOKEN + join.me.len_max() + len::SUMMARY + join.padding.len_max()
            }
            Self::Welcome(welcome) => {
                len::WELCOME + len::of_all(&welcome.members, Sighting::len_max)
            }
            Self::SwapRequest(request) => len::TOKEN + len::SUMMARY + request.padding.len_max(),
            Self::SwapAnswer(answer) => len::SWAP_ANSWER + answer.detail.len_max(),
            Self::Vector(vector) => vector.len_max(),
            Self::Ids(ids) => len::IDS + ids.buckets.len() * len::BUCKET + ids.ids.len() * len::ID,
            Self::Wanted(wanted) => len::COUNT + wanted.ids.len() * len::ID,
            Self::Records(records) => len::COUNT + len::of_all(&records.news, News::len_max),
            Self::Value(metadata) | Self::Fetched(metadata) => metadata.len_max(),
            Self::Announced(_) => len::VERSION + len::LENGTH,
            Self::Fetch(_) => len::VERSION + len::TAG,
            Self::LastCall(call) => len::TOKEN + call.padding.len_max(),
            Self::Alive(alive) => len::TOKEN + alive.me.len_max(),
            Self::Probe(_) => len::TOKEN + Holds::LEN + len::TAG,
            Self::ProbeAnswer(_) => len::TOKEN + Holds::LEN,
            Self::ProbeRequest(_) => len::TOKEN + len::ADDR,
            Self::Vouch(_) => len::TOKEN + len::TAG,
            Self::Echo(_) => len::TOKEN + len::TAG + len::DIGEST + len::TAG + len::VERSION,
        }
    }
}

impl Topic {
    fn len_max(&self) -> usize {
        match self {
            Self::Metadata(metadata) => metadata.len_max(),
            Self::Announced(_) => len::VERSION + len::LENGTH,
            Self::Membership(news) => news.len_max(),
        }
    }
}

impl News {
    /// An upper bound on the encoded length in bytes.
    pub fn len_max(&self) -> usize {
        len::TAG
            + match self {
                Self::Member(sighting) => sighting.len_max(),
                Self::Gone(_) => len::ADDR + len::GENERATION + len::COUNTER + len::TAG,
                Self::Suspected(suspicion) => suspicion.len_max(),
            }
    }
}

impl Sighting {
    /// An upper bound on the encoded length in bytes.
    pub fn len_max(&self) -> usize {
        let node = self.record.node();
        len::SIGHTING + node.name().len() + node.private_data().len()
    }
}

impl Metadata {
    /// An upper bound on the encoded length in bytes.
    pub fn len_max(&self) -> usize {
        len::VERSION + len::COUNT + self.data().len()
    }
}

impl Detail {
    fn len_max(&self) -> usize {
        match self {
            Self::Same(vector) => vector.len_max(),
            Self::Differ(buckets) => len::COUNT + buckets.len() * len::FOLDED,
        }
    }
}

impl Vector {
    fn len_max(&self) -> usize {
        len::DIGEST + 2 * len::COUNT + self.beats.len() * len::VECTOR_BEAT
    }
}

/// Largest encoded lengths of the parts of a packet, in bytes.
pub(crate) mod len {
    /// Magic, version, kind and step. What guards a datagram is left out by `packet_len_max`.
    pub(crate) const HEADER: usize = 8;
    pub(crate) const TAG: usize = 1;
    /// A length or a place: at most 32 bits, as a variable-length integer.
    pub(crate) const COUNT: usize = 5;
    pub(crate) const BEAT: usize = 6;
    pub(crate) const VECTOR_BEAT: usize = 2;
    pub(crate) const ID: usize = 4;
    pub(crate) const FOLDED: usize = 4;
    pub(crate) const BUCKET: usize = 3;
    pub(crate) const TOKEN: usize = 4;
    pub(crate) const AGE: usize = 1;
    pub(crate) const COUNTER: usize = 4;
    pub(crate) const GENERATION: usize = 8;
    /// A record with its beat, without its texts.
    pub(crate) const SIGHTING: usize = ADDR + GENERATION + 2 * COUNT + COUNTER + AGE;
    pub(crate) const DIGEST: usize = 16;
    pub(crate) const ARC: usize = 16;
    pub(crate) const RUMOR_TOKEN: usize = 8;
    pub(crate) const ACKS: usize = 1;
    pub(crate) const VIEW: usize = 4;
    /// A rumor without its topic.
    pub(crate) const RUMOR: usize = RUMOR_TOKEN + ACKS + ARC + TAG + VIEW + TAG;
    pub(crate) const FINGERPRINT: usize = 3;
    /// An IPv6 address with its port: tag, 16 bytes, port.
    pub(crate) const ADDR: usize = 20;
    pub(crate) const VERSION: usize = 8 + 8 + 16;
    /// The length of a value.
    pub(crate) const LENGTH: usize = 4;
    pub(crate) const WALL: usize = 8;
    /// Cycle and liveness.
    pub(crate) const SETTINGS: usize = 4 + TAG;
    pub(crate) const SUMMARY: usize = COUNT + DIGEST + TAG + VERSION + WALL + SETTINGS;
    /// A welcome without its members.
    pub(crate) const WELCOME: usize = TOKEN + TAG + TOKEN + SUMMARY + COUNT;
    /// The answer in a swap without its detail.
    pub(crate) const SWAP_ANSWER: usize = TOKEN + TAG + TOKEN + SUMMARY + TAG;
    /// Ids without their buckets and themselves.
    pub(crate) const IDS: usize = TAG + TOKEN + TAG + 2 * COUNT;
    /// The least that a datagram has of a summary, which holds no version.
    const SUMMARY_MIN: usize = 4 + DIGEST + TAG + WALL + SETTINGS;
    /// The shortest request of a swap, and the shortest join, before they are padded.
    pub(crate) const SWAP_REQUEST_MIN: usize = HEADER + TOKEN + SUMMARY_MIN + TAG;
    pub(crate) const JOIN_MIN: usize =
        HEADER + TOKEN + 7 + GENERATION + 2 + COUNTER + AGE + SUMMARY_MIN + TAG;

    pub(crate) fn of_all<T>(items: &[T], one: impl Fn(&T) -> usize) -> usize {
        items.iter().map(one).sum()
    }
}
