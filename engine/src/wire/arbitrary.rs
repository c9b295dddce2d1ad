//! Any packet that an honest node could send, for property tests.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};

use super::{decode_whole, encode, extensions};
use crate::config::{Liveness, WireVersion};
use crate::core::packet::{
    self, AckOrNack, AgedEntry, Announcement, BeatVector, Body, BucketIds, Call, Comparison,
    Covered, DeadEntry, Differences, EntriesSummary, EntryHead, Gone, HashRange, Held, Kept,
    MembershipUpdate, Padding, PlacedRank, RangeContent, RangePart, Reply, RingArc, StateDigest,
    StateSummary, Subject, Suspicion, Token, ViewDigest, packet_kinds,
};
use crate::core::{
    Age, AgeStep, Beat, Cause, Content, Digest, Dot, Entry, EntryKey, EntryKind, EntryRoom,
    Fingerprint, Incarnation, MemberState, Metadata, Packet, Record, RecordId, Settings, Stamp,
    Terms, Version,
};
use crate::node::{Generation, Node, NodeId, Tags};
use crate::text::is_unprintable;
use crate::time::UnixNanos;

/// Packets of every kind, each as likely as the others.
pub(crate) fn packet() -> impl Strategy<Value = Packet> {
    let wire = prop::sample::select(WireVersion::ALL.to_vec());
    (wire, 1..=u32::MAX, any_body()).prop_map(|(wire, step, body)| {
        let wire = if body.is_said_in(wire) { wire } else { WireVersion::Two };
        let packet = Packet::new(AgeStep(step), body).in_version(wire);
        // All but the number of extensions of the future is as it went.
        let read = decode_whole(&encoded(&packet)).expect("a packet of ours");
        assert_eq!(read.body, packet.body);
        read
    })
}

fn encoded(packet: &Packet) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(packet, &mut bytes);
    bytes
}

/// A text of so many characters, as nodes may have them.
pub(crate) fn text(chars: usize) -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..=chars)
        .prop_map(|text| text.into_iter().filter(|&char| !is_unprintable(char)).collect())
}

/// What a field may hold.
trait Field: Clone + std::fmt::Debug + Sized + 'static {
    fn any() -> BoxedStrategy<Self>;
}

/// Implements [`Field`] for structs by their fields.
macro_rules! fields {
    ($($name:ty { $($field:ident: $of:ty),+ $(,)? })+) => {$(
        impl Field for $name {
            fn any() -> BoxedStrategy<Self> {
                let fields = ($(<$of as Field>::any(),)+);
                fields.prop_map(|($($field,)+)| Self { $($field),+ }).boxed()
            }
        }
    )+};
}

/// Draws a body of any kind by its declaration, each as likely as the others.
macro_rules! bodies {
    ($(
        $(#[$about:meta])* $tag:literal $name:literal $kind:ident $says:tt $(=> $check:ident)?
    )+) => {
        $(bodies!(@one $kind $says $(=> $check)?);)+

        fn any_body() -> impl Strategy<Value = Body> {
            prop::strategy::Union::new([$(Field::any().prop_map(Body::$kind).boxed(),)+])
        }
    };
    (@one $kind:ident {
        $($(#[$about:meta])* $field:ident: $of:ty $([$bare:expr])?,)+
    }) => {
        fields! { packet::$kind { $($field: $of),+ } }
    };
    // What must hold between fields is drawn so below.
    (@one $kind:ident $says:tt => $check:ident) => {};
    (@one $kind:ident ($of:ty)) => {};
}
packet_kinds!(bodies);

fields! {
    Announcement { version: Version, len: u32 }
    Beat { id: RecordId, counter: u8, age: Age }
    Gone { addr: SocketAddr, generation: Generation, counter: u32, cause: Cause }
    Held { digest: Digest, version: Option<Version> }
    StateDigest { digest: Digest, version: u64 }
    RingArc { after: NodeId, upto: NodeId }
    Settings { cycle_ms: u32, liveness: Liveness }
    MemberState { record: Arc<Record>, counter: u32, age: Age }
    StateSummary {
        members: u32,
        digest: Digest,
        version: Option<Version>,
        wall: UnixNanos,
        settings: Settings,
        entries: EntriesSummary,
    }
    Version { nanos: i64, writer: NodeId, digest: [u8; 16] }
    EntriesSummary { held: Fingerprint, covered: u64, room: Option<EntryRoom> }
    EntryRoom { len_max: u64, count_max: u64, bytes_max: u64 }
    PlacedRank { place: u64, rank_hash: u64 }
    EntryHead { place: u64, stamp: Stamp, kind: EntryKind }
    DeadEntry { key: EntryKey, version: Version }
    RangePart { range: HashRange, content: RangeContent }
    Incarnation { place: NodeId, generation: Generation }
    Differences {
        parts: Vec<RangePart>,
        wanted: Vec<PlacedRank>,
        heads: Vec<EntryHead>,
        entries: Vec<AgedEntry>,
        dead: Vec<DeadEntry>,
    }
}

/// Implements [`Field`] for the rest, each by its strategy.
macro_rules! drawn {
    ($($name:ty: $strategy:expr;)+) => {$(
        impl Field for $name {
            fn any() -> BoxedStrategy<Self> {
                $strategy.boxed()
            }
        }
    )+};
}

drawn! {
    u8: any::<u8>();
    u16: any::<u16>();
    // Of every size class of the encoding.
    u32: prop_oneof![0..300_u32, 0..100_000_u32, 0..=u32::MAX];
    u64: any::<u64>();
    // Of a version.
    i64: 0..=Version::NANOS_MAX;
    [u8; 16]: any::<[u8; 16]>();
    Age: any::<u8>().prop_map(Age);
    RecordId: any::<u32>().prop_map(RecordId);
    Token: any::<u64>().prop_map(Token);
    ViewDigest: any::<u32>().prop_map(ViewDigest);
    NodeId: any::<u64>().prop_map(NodeId);
    Digest: any::<u128>().prop_map(Digest);
    UnixNanos: any::<i64>().prop_map(UnixNanos);
    Padding: (0..600_u16).prop_map(Padding);
    Generation: (Generation::MIN.get()..=Generation::MAX.get())
        .prop_map(|value| Generation::new(value).expect("in range"));
    Cause: prop::sample::select(vec![Cause::Timeout, Cause::Left]);
    Call: prop::sample::select(vec![Call::Send, Call::Done, Call::Busy]);
    Reply: prop::sample::select(vec![Reply::Datagram, Reply::Stream]);
    AckOrNack: prop::sample::select(vec![AckOrNack::Ack, AckOrNack::Nack]);
    Kept: prop::sample::select(vec![Kept::All, Kept::NotAll]);
    Liveness: prop::sample::select(vec![
        Liveness::Beats,
        Liveness::Probes,
        Liveness::Off,
        Liveness::Auto,
    ]);
    MembershipUpdate: prop_oneof![
        MemberState::any().prop_map(MembershipUpdate::Member),
        Gone::any().prop_map(MembershipUpdate::from),
        Suspicion::any().prop_map(MembershipUpdate::from),
    ];
    Subject: prop_oneof![
        Metadata::any().prop_map(Subject::Metadata),
        MembershipUpdate::any().prop_map(Subject::Membership),
        Announcement::any().prop_map(Subject::Announced),
        vec(AgedEntry::any(), 1..4).prop_map(Subject::Entries),
    ];
    Fingerprint: any::<u128>().prop_map(Fingerprint);
    EntryKind: prop::sample::select(vec![EntryKind::Put, EntryKind::Delete, EntryKind::Expired]);
    EntryKey: text(12).prop_map(|text| EntryKey::new(&text).expect("a key"));
    HashRange: (any::<u64>(), 0..=HashRange::DEPTH_MAX).prop_map(|(place, depth)| {
        let kept = u64::MAX.checked_shl(64 - 6 * u32::from(depth)).unwrap_or(0);
        Self::new(place & kept, depth).expect("a range")
    });
    RangeContent: {
        let sums = vec(any::<u64>(), HashRange::CUT).prop_map(|sums| {
            RangeContent::Sums(Box::new(sums.try_into().expect("as many as there are")))
        });
        prop_oneof![sums, Vec::any().prop_map(RangeContent::List)]
    };
    Stamp: (Version::any(), Generation::any(), 1..=u64::MAX)
        .prop_map(|(version, generation, seq)| Self { version, generation, seq });
    Dot: (Incarnation::any(), 1..=u64::MAX).prop_map(|(writer, seq)| Self { writer, seq });
    Covered: (Incarnation::any(), 1..1_000_u64, 0..=u64::MAX - 1_000, i64::any())
        .prop_map(|(writer, first, more, nanos)| {
            Self { writer, first, last: first + more, nanos }
        });
    AgedEntry: {
        let put = (vec(any::<u8>(), 0..200), any::<bool>(), option::of(1..u64::MAX));
        let content = prop_oneof![
            put.prop_map(|(data, bound, ttl)| {
                let ttl = ttl.map(Duration::from_nanos);
                Content::Put { data: data.into(), terms: Terms { bound, ttl } }
            }),
            Dot::any().prop_map(|replaced| Content::Delete { replaced }),
            Just(Content::Expired),
        ];
        let drawn = (EntryKey::any(), Stamp::any(), content, any::<u64>());
        drawn.prop_map(|(key, stamp, content, age)| {
            let data: &[u8] = match &content {
                Content::Put { data, .. } => data,
                Content::Delete { .. } | Content::Expired => &[],
            };
            let mut digest = [0; 16];
            digest.copy_from_slice(&Sha256::digest(data)[..16]);
            let version = Version { digest, ..stamp.version };
            let entry = Entry::verified(key, Stamp { version, ..stamp }, content);
            let entry = entry.expect("its own digest");
            let age = if entry.ages() { age } else { 0 };
            Self { entry, age: Duration::from_nanos(age) }
        })
    };
    Suspicion: (
        SocketAddr::any(),
        Generation::any(),
        u32::any(),
        vec(NodeId::any(), 0..=Suspicion::WITNESSES_MAX),
    )
        .prop_map(|(addr, generation, counter, witnesses)| {
            Self { addr, generation, counter, witnesses }
        });
    // Up to four bytes a character: within the limits of both texts.
    Arc<Record>: {
        let tags = vec((text(4), text(8)), 0..4);
        let said = (text(30), text(60), text(16), tags, any::<u8>(), option::of(4..900_u64));
        (SocketAddr::any(), Generation::any(), said).prop_map(|(addr, generation, said)| {
            let (name, data, zone, tags, speaks, foreign) = said;
            let tags = tags.into_iter().map(|(key, value)| (key.replace('=', "") + "k", value));
            let tags = Tags::of(tags.collect::<BTreeMap<_, _>>()).expect("few and short");
            let node = Node::of(addr, &name, &data).expect("short enough");
            let node = node.extended(&zone, tags).expect("short enough");
            let foreign = foreign.map(|id| extensions::foreign(id, b"from the future"));
            let foreign = foreign.unwrap_or_default().into();
            Self::new(Record::of(node, generation, speaks.max(1), foreign))
        })
    };
    Metadata: (Version::any(), vec(any::<u8>(), 0..600)).prop_map(|(version, data)| {
        let mut digest = [0; 16];
        digest.copy_from_slice(&Sha256::digest(&data)[..16]);
        Self::verified(Version { digest, ..version }, data.into()).expect("its own digest")
    });
    Comparison: {
        let buckets = (0..9_u32).prop_flat_map(|bits| vec(any::<u32>(), 1_usize << bits));
        let in_sync = BeatVector::any().prop_map(Comparison::InSync);
        prop_oneof![in_sync, buckets.prop_map(Comparison::BucketDigests)]
    };
    BeatVector: (Digest::any(), 0..u32::MAX - 700, vec((any::<u8>(), Age::any()), 0..700))
        .prop_map(|(digest, first, beats)| Self { digest, first, beats });
    BucketIds: {
        let buckets = (0..=16_u8)
            .prop_flat_map(|bits| (Just(bits), vec(0..=((1_u32 << bits) - 1) as u16, 0..100)));
        (Option::any(), buckets, Vec::any())
            .prop_map(|(echo, (bits, buckets), ids)| Self { echo, bits, buckets, ids })
    };
    SocketAddr: {
        let v4 = any::<Ipv4Addr>().prop_map(IpAddr::from);
        let v6 = any::<Ipv6Addr>().prop_map(IpAddr::from);
        let ip = prop_oneof![v4, v6].prop_map(|ip| match ip.to_canonical() {
            ip if ip.is_unspecified() || ip.is_multicast() => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V4(ip) if ip.is_broadcast() => Ipv4Addr::LOCALHOST.into(),
            ip => ip,
        });
        (ip, 1_u16..).prop_map(|(ip, port)| SocketAddr::new(ip, port))
    };
}

impl<T: Field> Field for Option<T> {
    fn any() -> BoxedStrategy<Self> {
        option::of(T::any()).boxed()
    }
}

/// Records take long to draw; of what is short there are so many that their count takes more than
/// one byte.
impl<T: Field> Field for Vec<T> {
    fn any() -> BoxedStrategy<Self> {
        let most = if size_of::<T>() <= 8 { 300 } else { 8 };
        vec(T::any(), 0..most).boxed()
    }
}
