//! The packets that engines exchange, as values; `wire` turns them into bytes and back.
//!
//! What a packet says is declared in `kinds`; here is what several say. Everything in a packet is
//! `Bounded`, by which the core splits what it sends without encoding anything. `wire` says the
//! bounds, and tests them against the encoder.

mod contact;
mod kinds;
mod probes;
mod stripped;

use std::net::SocketAddr;

pub use contact::{Held, Padding};
pub(crate) use kinds::packet_kinds;
use kinds::{enums, says, structs};
pub use probes::{AckOrNack, Reply, StateDigest, Suspicion};

use super::beat::{Age, AgeStep, Beat, RecordId};
pub use super::entries::{
    AgedEntry, Covered, DeadEntry, Differences, EntryHead, HashRange, PlacedRank, RangeContent,
    RangePart,
};
use super::entry::Fingerprint;
use super::metadata::{Metadata, Version};
use super::record::{Digest, MemberState};
use super::settings::{EntryRoom, Settings};
use crate::node::{Generation, NodeId};
use crate::time::UnixNanos;
use crate::wire_version::WireVersion;

packet_kinds!(structs);
packet_kinds!(enums);

const _: () = {
    let mut tag = 0;
    while tag < PacketKind::ALL.len() {
        assert!(PacketKind::ALL[tag] as usize == tag, "tags go up from 0 without a gap");
        tag += 1;
    }
};

/// What one node sends to another at once.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Packet {
    /// The version of the wire that it is written in, or was.
    pub wire: WireVersion,
    /// The unit of all ages in the packet.
    pub step: AgeStep,
    /// The message.
    pub body: Body,
    /// Extensions that were passed over when it was read, because this build does not know them.
    pub skipped: u16,
}

/// What takes room in a packet. `wire` says how much, beside its layout.
pub(crate) trait Bounded {
    /// The fewest bytes that a value takes.
    const LEN_MIN: usize;
    /// The most that one takes without what is in its lists, texts and choices.
    const LEN_BARE: usize;
    /// True when every value takes just as many.
    const IS_FIXED: bool;

    /// The most bytes that this value takes.
    fn len_max(&self) -> usize;
}

/// A change of membership. Nearly all are of the first kind, so that is what its size is made for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum MembershipUpdate {
    /// This incarnation is a member.
    Member(MemberState),
    /// This incarnation is gone.
    Gone(Box<Gone>),
    /// This incarnation did not answer a probe. Means nothing to a node that does not probe.
    Suspected(Box<Suspicion>),
}

const _: () = assert!(size_of::<MembershipUpdate>() <= 24);

impl From<Gone> for MembershipUpdate {
    fn from(gone: Gone) -> Self {
        Self::Gone(Box::new(gone))
    }
}

impl From<Suspicion> for MembershipUpdate {
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

/// Names one handing over of an arc: a tag of the rumor above, a random number below.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

impl Token {
    /// A token for a rumor of this tag.
    pub(crate) fn new(tag: u32, random: u32) -> Self {
        Self(u64::from(tag) << 32 | u64::from(random.first()))
    }

    /// What all tokens of a rumor share, and those of other rumors hardly ever do.
    pub fn tag(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// What comes back with an answer. Its lowest bit tells whether that is the answer to the first
/// sending or to a repeat: one to the first shows how long it took, however late it comes.
pub(crate) trait Echoed: Copy + PartialEq {
    /// That of the first sending.
    fn first(self) -> Self;

    /// That of all repeats.
    fn repeated(self) -> Self;

    fn is_first(self) -> bool {
        self == self.first()
    }
}

impl Echoed for u32 {
    fn first(self) -> Self {
        self & !1
    }

    fn repeated(self) -> Self {
        self | 1
    }
}

impl Echoed for Token {
    fn first(self) -> Self {
        Self(self.0 & !1)
    }

    fn repeated(self) -> Self {
        Self(self.0 | 1)
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
pub enum Subject {
    /// A metadata value.
    Metadata(Metadata),
    /// A metadata value that exceeds a datagram: it can be fetched from the sender.
    Announced(Announcement),
    /// A membership change that came alone.
    Membership(MembershipUpdate),
    /// Entries that were written of late; never none. Version 1 of the wire has no word for them.
    Entries(Vec<AgedEntry>),
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
pub struct StateSummary {
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
    /// What it holds of entries; nothing in version 1 of the wire.
    pub entries: EntriesSummary,
}

/// Whether who acknowledges a rumor holds what it brought, or what replaced it. Not in version 1:
/// who speaks that holds what it acknowledges.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kept {
    /// All of it.
    #[default]
    All,
    /// Some of it was refused: there is no room for it, or it is from the future.
    NotAll,
}

/// What a node holds of entries, in constant space.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EntriesSummary {
    /// Of all entries: the same where the same are held.
    pub held: Fingerprint,
    /// Of what it knows of writes: where only that differs, it is enough to tell each other.
    pub covered: u64,
    /// How much it has room for, if it says so.
    pub room: Option<EntryRoom>,
}

impl StateSummary {
    /// The same in short.
    pub fn holds(&self) -> StateDigest {
        StateDigest::of(self.digest, self.version, self.entries.held)
    }

    /// True when both hold the same, whatever their clocks say.
    pub fn agrees(&self, other: &Self) -> bool {
        let held = |it: &Self| (it.digest, it.version, it.entries.held);
        held(self) == held(other)
    }
}

/// How the lists of two swap partners compare.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// They agree: here are my beats.
    InSync(BeatVector),
    /// They differ: digests of my members by bucket of the ring, folded with the swap's token.
    /// The number of buckets is a power of two.
    BucketDigests(Vec<u32>),
}

impl Packet {
    /// A packet in the latest version of the wire.
    pub fn new(step: AgeStep, body: Body) -> Self {
        Self { wire: WireVersion::LATEST, step, body, skipped: 0 }
    }

    /// The same in another version, stripped of what that can't say.
    #[must_use]
    pub fn in_version(mut self, wire: WireVersion) -> Self {
        if wire < WireVersion::Two {
            self.body.strip();
        }
        Self { wire, ..self }
    }

    /// Which kind of packet this is.
    pub fn kind(&self) -> PacketKind {
        self.body.kind()
    }

    /// An upper bound on the encoded length in bytes, without encoding.
    pub fn len_max(&self) -> usize {
        Bounded::len_max(self)
    }
}

impl Body {
    /// What the sender says that it holds, if it does.
    pub fn summary(&self) -> Option<&StateSummary> {
        match self {
            Self::Join(join) => Some(&join.summary),
            Self::Welcome(welcome) => Some(&welcome.summary),
            Self::SwapRequest(request) => Some(&request.summary),
            Self::SwapAnswer(answer) => Some(&answer.summary),
            _ => None,
        }
    }
}
