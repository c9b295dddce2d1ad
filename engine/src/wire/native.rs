//! The layout of every kind of packet, in the order of its fields.

use std::net::SocketAddr;
use std::sync::Arc;

use super::codec::{
    COUNT_LEN_MAX, Reader, Wire, Writer, blob_len, wire_choices, wire_fixed, wire_structs,
};
use super::extensions;
use super::reject::Reject;
use crate::config::{Liveness, WireVersion};
use crate::core::packet::{
    self, AckOrNack, Announcement, BeatVector, Body, Bounded, BucketIds, Call, Comparison, Covered,
    Differences, EntriesSummary, Gone, Held, Kept, MembershipUpdate, Padding, Reply, RingArc,
    StateDigest, StateSummary, Subject, Suspicion, Token, ViewDigest, packet_kinds,
};
use crate::core::{
    Age, AgeStep, Beat, Cause, Digest, Fingerprint, MemberState, Metadata, Packet, PacketKind,
    Record, RecordId, Settings, Version,
};
use crate::node::{Generation, Node, NodeId};
use crate::time::UnixNanos;

pub(super) const MAGIC: [u8; 2] = *b"rm";
const HEADER_LEN: usize = 8;

/// The last kind that version 1 knows.
const LAST_OF_ONE: PacketKind = PacketKind::Echo;

/// Most buckets that the ring is cut into, as a power of two.
const BUCKET_BITS_MAX: u8 = 16;

impl Bounded for Packet {
    const LEN_MIN: usize = HEADER_LEN;
    const LEN_BARE: usize = HEADER_LEN;
    const IS_FIXED: bool = false;

    fn len_max(&self) -> usize {
        HEADER_LEN + body_len_max(&self.body)
    }
}

impl Wire for Packet {
    fn put(&self, out: &mut Writer<'_>) {
        out.bytes(&MAGIC);
        out.bytes(&[self.wire.number(), self.kind() as u8]);
        self.step.put(out);
        put_body(&self.body, out);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Reject> {
        let header = input.array::<HEADER_LEN>().map_err(|_| Reject::TooShort)?;
        let [magic_0, magic_1, version, kind, step @ ..] = header;
        if [magic_0, magic_1] != MAGIC {
            return Err(Reject::ForeignMagic);
        }
        input.wire = WireVersion::of(version).ok_or(Reject::UnknownVersion)?;
        let kind = PacketKind::ALL.get(usize::from(kind)).ok_or(Reject::UnknownKind)?;
        if input.wire == WireVersion::One && *kind > LAST_OF_ONE {
            return Err(Reject::UnknownKind);
        }
        let step = AgeStep::take(&mut Reader::new(&step))?;
        let body = take_body(*kind, input)?;
        skip_extensions(input)?;
        Ok(Self { wire: input.wire, step, body, skipped: input.skipped })
    }

    fn len(&self, _: WireVersion) -> usize {
        HEADER_LEN + body_len(&self.body, self.wire)
    }
}

/// Passes over what a newer build has to say behind the end of a packet. Version 1 ends there.
fn skip_extensions(input: &mut Reader<'_>) -> Result<(), Reject> {
    while input.wire > WireVersion::One && !input.is_empty() {
        extensions::skip(input)?;
    }
    Ok(())
}

/// Refuses what is of no version that this build knows, and nothing else: what guards the rest of
/// the bytes may be another thing in another version.
pub(super) fn check_version(bytes: &[u8]) -> Result<(), Reject> {
    let header = bytes.first_chunk::<HEADER_LEN>().ok_or(Reject::TooShort)?;
    WireVersion::of(header[2]).map(drop).ok_or(Reject::UnknownVersion)
}

/// The kind that these bytes claim to be.
pub(super) fn kind(bytes: &[u8]) -> Option<PacketKind> {
    bytes.get(3).and_then(|&kind| PacketKind::ALL.get(usize::from(kind))).copied()
}

/// Gives each kind of packet its bytes and bounds, by its declaration.
macro_rules! codec {
    ($(
        $(#[$about:meta])* $tag:literal $name:literal $kind:ident $says:tt $(=> $check:ident)?
    )+) => {
        $(codec!(@one $kind $says $(=> $check)?);)+

        fn put_body(body: &Body, out: &mut Writer<'_>) {
            match body {
                $(Body::$kind(says) => says.put(out),)+
            }
        }

        fn take_body(kind: PacketKind, input: &mut Reader<'_>) -> Result<Body, Reject> {
            Ok(match kind {
                $(PacketKind::$kind => Body::$kind(Wire::take(input)?),)+
            })
        }

        fn body_len(body: &Body, wire: WireVersion) -> usize {
            match body {
                $(Body::$kind(says) => says.len(wire),)+
            }
        }

        fn body_len_max(body: &Body) -> usize {
            match body {
                $(Body::$kind(says) => says.len_max(),)+
            }
        }
    };
    (@one $kind:ident {
        $($(#[$about:meta])* $field:ident: $of:ty $([$bare:expr])?,)+
    } $(=> $check:ident)?) => {
        wire_structs! { packet::$kind { $($field: $of $([$bare])?),+ } $(=> $check)? }
    };
    (@one $kind:ident ($of:ty)) => {};
}
packet_kinds!(codec);

wire_fixed! {
    AgeStep, 4: |step| step.0.to_le_bytes(), |bytes| match u32::from_le_bytes(bytes) {
        0 => Err(Reject::Malformed),
        micros => Ok(Self(micros)),
    };
    Age, 1: |age| [age.0], |bytes| Ok(Self(bytes[0]));
    RecordId, 4: |id| id.0.to_le_bytes(), |bytes| Ok(Self(u32::from_le_bytes(bytes)));
    Token, 8: |token| token.0.to_le_bytes(), |bytes| Ok(Self(u64::from_le_bytes(bytes)));
    ViewDigest, 4: |view| view.0.to_le_bytes(), |bytes| Ok(Self(u32::from_le_bytes(bytes)));
    NodeId, 8: |id| id.0.to_le_bytes(), |bytes| Ok(Self(u64::from_le_bytes(bytes)));
    Digest, 16: |digest| digest.0.to_le_bytes(), |bytes| Ok(Self(u128::from_le_bytes(bytes)));
    [u8; 16], 16: |bytes| *bytes, |bytes| Ok(bytes);
    i64, 8: |nanos| nanos.to_le_bytes(), |bytes| match Self::from_le_bytes(bytes) {
        nanos if (0..=Version::NANOS_MAX).contains(&nanos) => Ok(nanos),
        _ => Err(Reject::OverLimit),
    };
    UnixNanos, 8: |wall| wall.0.to_le_bytes(), |bytes| Ok(Self(i64::from_le_bytes(bytes)));
    Generation, 8: |generation| generation.get().to_le_bytes(), |bytes| {
        match u64::from_le_bytes(bytes) {
            0 => Err(Reject::Malformed),
            value => Self::new(value).ok_or(Reject::OverLimit),
        }
    };
    // Nearly all that a cluster sends are these: put in one piece, not in three.
    Beat, 6: |beat| {
        let [a, b, c, d] = beat.id.0.to_le_bytes();
        [a, b, c, d, beat.counter, beat.age.0]
    }, |bytes| {
        let [a, b, c, d, counter, age] = bytes;
        Ok(Self { id: RecordId(u32::from_le_bytes([a, b, c, d])), counter, age: Age(age) })
    };
    (u8, Age), 2: |beat| [beat.0, beat.1.0], |bytes| Ok((bytes[0], Age(bytes[1])));
    Cause, 1: |cause| [match cause {
        Cause::Timeout => 0,
        Cause::Left => 1,
    }], |bytes| match bytes[0] {
        0 => Ok(Self::Timeout),
        1 => Ok(Self::Left),
        _ => Err(Reject::Malformed),
    };
    Call, 1: |call| [match call {
        Call::Send => 0,
        Call::Done => 1,
        Call::Busy => 2,
    }], |bytes| match bytes[0] {
        0 => Ok(Self::Send),
        1 => Ok(Self::Done),
        2 => Ok(Self::Busy),
        _ => Err(Reject::Malformed),
    };
    u64, 8: |value| value.to_le_bytes(), |bytes| Ok(Self::from_le_bytes(bytes));
    Reply, 1: |reply| [match reply {
        Reply::Datagram => 0,
        Reply::Stream => 1,
    }], |bytes| match bytes[0] {
        0 => Ok(Self::Datagram),
        1 => Ok(Self::Stream),
        _ => Err(Reject::Malformed),
    };
    AckOrNack, 1: |word| [match word {
        AckOrNack::Ack => 0,
        AckOrNack::Nack => 1,
    }], |bytes| match bytes[0] {
        0 => Ok(Self::Ack),
        1 => Ok(Self::Nack),
        _ => Err(Reject::Malformed),
    };
}

wire_structs! {
    Gone { addr: SocketAddr, generation: Generation, counter: u32, cause: Cause }
    RingArc { after: NodeId, upto: NodeId }
    Announcement { version: Version, len: u32 }
    Version { nanos: i64, writer: NodeId, digest: [u8; 16] }
    StateSummary {
        members: u32 [COUNT_LEN_MAX],
        digest: Digest,
        version: Option<Version>,
        wall: UnixNanos,
        settings: Settings,
        entries: EntriesSummary,
    }
    Settings { cycle_ms: u32, liveness: Liveness }
    Held { digest: Digest, version: Option<Version> }
    MemberState { record: Arc<Record>, counter: u32, age: Age }
    StateDigest { digest: Digest, version: u64 }
    Suspicion {
        addr: SocketAddr,
        generation: Generation,
        counter: u32,
        witnesses: Vec<NodeId> [1],
    } => witnesses_are_few
}

wire_choices! {
    MembershipUpdate { 0 => Member, 1 => Gone, 2 => Suspected }
    Subject { 0 => Metadata, 1 => Membership, 2 => Announced, 3 => Entries } => entries_are_told
    Comparison { 0 => InSync, 1 => BucketDigests } => buckets_halve
}

/// No rumor is about nothing.
fn entries_are_told(subject: &Subject) -> Result<(), Reject> {
    match subject {
        Subject::Entries(entries) if entries.is_empty() => Err(Reject::Malformed),
        _ => Ok(()),
    }
}

/// The place of the last entry must still be a number.
fn vector_ends(vector: &BeatVector) -> Result<(), Reject> {
    let last = vector.first as usize + vector.beats.len();
    if u32::try_from(last).is_ok() { Ok(()) } else { Err(Reject::OverLimit) }
}

fn witnesses_are_few(suspicion: &Suspicion) -> Result<(), Reject> {
    let few = suspicion.witnesses.len() <= Suspicion::WITNESSES_MAX;
    if few { Ok(()) } else { Err(Reject::OverLimit) }
}

fn buckets_exist(ids: &BucketIds) -> Result<(), Reject> {
    if ids.bits > BUCKET_BITS_MAX {
        return Err(Reject::OverLimit);
    }
    let exists = |&bucket: &u16| u32::from(bucket) >> ids.bits == 0;
    if ids.buckets.iter().all(exists) { Ok(()) } else { Err(Reject::Malformed) }
}

fn buckets_halve(detail: &Comparison) -> Result<(), Reject> {
    match detail {
        Comparison::BucketDigests(buckets) if !buckets.len().is_power_of_two() => {
            Err(Reject::Malformed)
        }
        Comparison::BucketDigests(buckets) if buckets.len() > 1 << BUCKET_BITS_MAX => {
            Err(Reject::OverLimit)
        }
        _ => Ok(()),
    }
}

impl Bounded for Arc<Record> {
    const LEN_MIN: usize = SocketAddr::LEN_MIN + Generation::LEN_MIN + 2;
    const LEN_BARE: usize =
        SocketAddr::LEN_BARE + Generation::LEN_BARE + 2 * COUNT_LEN_MAX + extensions::LEN_BARE;
    const IS_FIXED: bool = false;

    fn len_max(&self) -> usize {
        let texts = self.node().name().len() + self.node().private_data().len();
        Self::LEN_BARE + texts + extensions::len(self)
    }
}

/// A record is read through the checks of a node, so that whatever is listed is one.
impl Wire for Arc<Record> {
    fn put(&self, out: &mut Writer<'_>) {
        let node = self.node();
        node.addr().put(out);
        self.generation().put(out);
        out.blob(node.name().as_bytes());
        out.blob(node.private_data().as_bytes());
        if out.wire > WireVersion::One {
            extensions::put(self, out);
        }
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Reject> {
        let addr = SocketAddr::take(input)?;
        let generation = Generation::take(input)?;
        let (name, private_data) = (take_text(input)?, take_text(input)?);
        let node = Node::of(addr, name, private_data).map_err(|error| Reject::of(&error))?;
        Ok(Self::new(match input.wire {
            WireVersion::One => Record::new(node, generation).speaking(WireVersion::One),
            WireVersion::Two => extensions::take(node, generation, input)?,
        }))
    }

    fn len(&self, wire: WireVersion) -> usize {
        let node = self.node();
        let texts = blob_len(node.name().len()) + blob_len(node.private_data().len());
        let extensions = match wire {
            WireVersion::One => 0,
            WireVersion::Two => blob_len(extensions::len(self)),
        };
        node.addr().len(wire) + self.generation().len(wire) + texts + extensions
    }
}

impl Bounded for Liveness {
    const LEN_MIN: usize = 1;
    const LEN_BARE: usize = 1;
    const IS_FIXED: bool = true;

    fn len_max(&self) -> usize {
        1
    }
}

/// A node that only asks, and a decoder of version 1, need not tell `auto` from `probes`.
impl Wire for Liveness {
    fn put(&self, out: &mut Writer<'_>) {
        out.bytes(&[match self {
            Self::Beats => 0,
            Self::Auto if out.wire > WireVersion::One => 3,
            Self::Probes | Self::Auto => 1,
            Self::Off => 2,
        }]);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Reject> {
        match u8::take(input)? {
            0 => Ok(Self::Beats),
            1 => Ok(Self::Probes),
            2 => Ok(Self::Off),
            3 if input.wire > WireVersion::One => Ok(Self::Auto),
            _ => Err(Reject::Malformed),
        }
    }

    fn len(&self, _: WireVersion) -> usize {
        1
    }
}

pub(super) fn take_text<'a>(input: &mut Reader<'a>) -> Result<&'a str, Reject> {
    str::from_utf8(input.blob()?).map_err(|_| Reject::BadText)
}

impl Bounded for Padding {
    const LEN_MIN: usize = 1;
    const LEN_BARE: usize = COUNT_LEN_MAX;
    const IS_FIXED: bool = false;

    fn len_max(&self) -> usize {
        Self::LEN_BARE + usize::from(self.0)
    }
}

/// Zeros and nothing else, or there would be several encodings of one packet.
impl Wire for Padding {
    fn put(&self, out: &mut Writer<'_>) {
        out.blob(&vec![0; usize::from(self.0)]);
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Reject> {
        let zeros = input.blob()?;
        let len = u16::try_from(zeros.len()).map_err(|_| Reject::OverLimit)?;
        if zeros.iter().all(|&byte| byte == 0) { Ok(Self(len)) } else { Err(Reject::Malformed) }
    }

    fn len(&self, _: WireVersion) -> usize {
        blob_len(usize::from(self.0))
    }
}

impl Bounded for Metadata {
    const LEN_MIN: usize = Version::LEN_MIN + 1;
    const LEN_BARE: usize = Version::LEN_BARE + COUNT_LEN_MAX;
    const IS_FIXED: bool = false;

    fn len_max(&self) -> usize {
        Self::LEN_BARE + self.data().len()
    }
}

/// The digest is verified here, so that whoever holds metadata need not doubt it.
impl Wire for Metadata {
    fn put(&self, out: &mut Writer<'_>) {
        self.version().put(out);
        out.blob(self.data());
    }

    fn take(input: &mut Reader<'_>) -> Result<Self, Reject> {
        let version = Version::take(input)?;
        Self::verified(version, input.blob()?.into()).ok_or(Reject::BadDigest)
    }

    fn len(&self, wire: WireVersion) -> usize {
        self.version().len(wire) + blob_len(self.data().len())
    }
}
