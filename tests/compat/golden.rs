//! Packets of each kind, field by field, and their bytes in version 1: two fields of one type that
//! change places have the same layout, and another meaning.
//!
//! `golden.txt` is never edited: there is no way to bless it.

use std::collections::BTreeSet;
use std::sync::Arc;

use rumormill::config::{Liveness, WireVersion};
use rumormill::core::packet::*;
use rumormill::core::{
    Age, AgeStep, Beat, Digest, MemberState, Metadata, Packet, PacketKind, Record, RecordId,
    Settings, Version,
};
use rumormill::node::{Generation, Node, NodeId};
use rumormill::time::UnixNanos;
use rumormill::wire;

use crate::frozen::{Frozen, KINDS, digest};

const GOLDEN: &str = include_str!("golden.txt");

fn member(addr: &str, name: &str, data: &str) -> MemberState {
    let node = Node::new(addr).name(name).private_data(data).build().expect("a node");
    let record = Record::new(node, generation(0x0102_0304)).speaking(WireVersion::One);
    MemberState { record: Arc::new(record), counter: 5, age: Age(6) }
}

fn generation(value: u64) -> Generation {
    Generation::new(value).expect("above zero")
}

fn version(data: &[u8]) -> Version {
    let digest = digest(data).try_into().expect("16 bytes");
    Version { nanos: 0x1122, writer: NodeId(0x3344_5566_7788_99aa), digest }
}

fn value(data: &[u8]) -> Metadata {
    Metadata::verified(version(data), data.into()).expect("its digest")
}

fn summary(version: Option<Version>, liveness: Liveness) -> StateSummary {
    let settings = Settings { cycle_ms: 1_000, liveness };
    let (digest, wall) = (Digest(0xd1 << 120 | 0xd2), UnixNanos(-2));
    let entries = EntriesSummary::default();
    StateSummary { members: 3, digest, version, wall, settings, entries }
}

fn gone(cause: Cause) -> MembershipUpdate {
    let addr = "10.0.0.9:90".parse().expect("an address");
    Gone { addr, generation: generation(7), counter: 8, cause }.into()
}

fn suspected() -> MembershipUpdate {
    let addr = "[2001:db8::1]:91".parse().expect("an address");
    let witnesses = vec![NodeId(1), NodeId(2)];
    Suspicion { addr, generation: generation(9), counter: 10, witnesses }.into()
}

fn rumor(view: Option<ViewDigest>, topic: Subject) -> Body {
    let arc = RingArc { after: NodeId(3), upto: NodeId(4) };
    Body::Rumor(Rumor { token: Token(0x0a0b_0c0d_0e0f_1011), acks: 2, arc, view, topic })
}

fn spreading() -> Vec<Body> {
    let beat = Beat { id: RecordId(0x2122_2324), counter: 25, age: Age(26) };
    let me = MembershipUpdate::Member(member("127.0.0.1:80", "A", "zone=1"));
    let announced = Announcement { version: version(b"long"), len: 70_000 };
    vec![
        Body::Bulk(Bulk { beats: vec![beat], news: vec![gone(Cause::Timeout)] }),
        Body::Bulk(Bulk { beats: Vec::new(), news: vec![me.clone(), suspected()] }),
        rumor(None, Subject::Metadata(value(b"v1"))),
        rumor(Some(ViewDigest(0x3132_3334)), Subject::Membership(gone(Cause::Left))),
        rumor(None, Subject::Announced(announced)),
        Body::RumorAck(RumorAck {
            token: Token(0x41),
            known: vec![1, 250, 251, 65_535],
            kept: Kept::All,
        }),
        Body::Delta(Delta { news: vec![me, gone(Cause::Left), suspected()] }),
    ]
}

fn contacts() -> Vec<Body> {
    let me = member("[::1]:65535", "ä", "");
    let held = Held { digest: Digest(0x51), version: Some(version(b"v1")) };
    let bare = summary(None, Liveness::Probes);
    let full = summary(Some(version(b"v1")), Liveness::Beats);
    let off = summary(None, Liveness::Off);
    vec![
        Body::Join(Join { token: 1, me: me.clone(), summary: bare, padding: Padding(3) }),
        Body::Join(Join { token: 1, me: me.clone(), summary: off, padding: Padding(0) }),
        Body::Welcome(Welcome { token: 2, ask: Some(3), summary: full, members: vec![me.clone()] }),
        Body::Welcome(Welcome { token: 2, ask: None, summary: bare, members: Vec::new() }),
        Body::LastCall(LastCall { token: 4, padding: Padding(2) }),
        Body::Alive(Alive { token: 5, me }),
        Body::Echo(Echo { token: 6, swap: Some(held) }),
        Body::Echo(Echo { token: 6, swap: None }),
    ]
}

fn swaps() -> Vec<Body> {
    let full = summary(Some(version(b"v1")), Liveness::Beats);
    let beats = vec![(61, Age(62)), (63, Age(64))];
    let vector = BeatVector { digest: Digest(0x65), first: 66, beats };
    let (same, buckets) =
        (Comparison::InSync(vector.clone()), Comparison::BucketDigests(vec![67, 68]));
    let ids = vec![RecordId(0x71), RecordId(0x72)];
    vec![
        Body::SwapRequest(SwapRequest { token: 7, summary: full, padding: Padding(251) }),
        Body::SwapAnswer(SwapAnswer { token: 8, ask: Some(9), summary: full, detail: same }),
        Body::SwapAnswer(SwapAnswer { token: 8, ask: None, summary: full, detail: buckets }),
        Body::BeatVector(vector),
        Body::BucketIds(BucketIds {
            echo: Some(10),
            bits: 9,
            buckets: vec![300],
            ids: ids.clone(),
        }),
        Body::Pull(Pull { ids }),
    ]
}

fn values_and_probes() -> Vec<Body> {
    let (version, len) = (version(b"v2"), 2);
    let holds = StateDigest { digest: Digest(0x81), version: 0x82 };
    let fetch = |call| Body::Fetch(Fetch { version, call });
    let probe = |reply| Body::Probe(Probe { token: 11, holds, reply });
    let vouch = |word| Body::IndirectAck(IndirectAck { token: 12, word });
    let target = "10.0.0.8:8000".parse().expect("an address");
    vec![
        Body::Value(value(b"v2")),
        Body::Value(value(b"")),
        Body::Announced(Announcement { version, len }),
        fetch(Call::Send),
        fetch(Call::Done),
        fetch(Call::Busy),
        Body::Fetched(value(&[7; 260])),
        probe(Reply::Datagram),
        probe(Reply::Stream),
        Body::ProbeAnswer(ProbeAnswer { token: 13, holds }),
        Body::PingReq(PingReq { token: 14, target }),
        vouch(AckOrNack::Ack),
        vouch(AckOrNack::Nack),
    ]
}

fn packets() -> Vec<Packet> {
    let bodies = [spreading(), contacts(), swaps(), values_and_probes()].concat();
    let packet = |body| Packet::new(AgeStep(25_000), body).in_version(WireVersion::One);
    bodies.into_iter().map(packet).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn packets_of_every_kind_have_the_bytes_that_they_had() {
    let packets = packets();
    let mut lines = Vec::new();
    for packet in &packets {
        let mut bytes = Vec::new();
        wire::encode(packet, &mut bytes);
        assert_eq!(wire::decode(&bytes).as_ref(), Ok(packet));
        assert_eq!(Frozen::decode(&bytes).map(|frozen| frozen.encode()).as_ref(), Ok(&bytes));
        lines.push(format!("{} {}", packet.kind().name(), hex(&bytes)));
    }
    assert_eq!(lines, GOLDEN.lines().collect::<Vec<_>>());
    let kinds: BTreeSet<PacketKind> = packets.iter().map(Packet::kind).collect();
    assert!(kinds.into_iter().eq(PacketKind::ALL.into_iter().take(KINDS.len())));
}
