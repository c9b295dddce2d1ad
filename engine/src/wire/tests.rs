//! Laws of the format, and bytes that lie.

use std::sync::Arc;

use proptest::prelude::*;

use super::arbitrary::packet;
use super::*;
use crate::config::WireVersion;
use crate::core::packet::Bounded;
use crate::core::packet::{
    Alive, BeatVector, Body, BucketIds, Bulk, Delta, Gone, LastCall, MembershipUpdate, Pull,
    RingArc, Rumor, Subject, Token, ViewDigest,
};
use crate::core::{Age, AgeStep, Beat, Cause, MemberState, PacketKind, Record, RecordId};
use crate::node::{Generation, Node, NodeId};

fn encoded(packet: &Packet) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(packet, &mut bytes);
    bytes
}

fn with_body(body: Body) -> Packet {
    Packet::new(AgeStep(25_000), body).in_version(WireVersion::One)
}

/// A value has one encoding. In version 2 extensions may follow it that were passed over.
fn is_what_was_read(packet: &Packet, bytes: &[u8]) -> bool {
    let encoded = encoded(packet);
    let is_whole = packet.wire == WireVersion::One || packet.skipped == 0;
    bytes.starts_with(&encoded) && (!is_whole || encoded.len() == bytes.len())
}

/// The header of a packet of this kind, to be followed by bytes that no encoder would write.
fn header(kind: PacketKind) -> Vec<u8> {
    vec![b'r', b'm', 1, kind as u8, 1, 0, 0, 0]
}

fn refused(kind: PacketKind, body: &[&[u8]]) -> Reject {
    let bytes = [&header(kind), &body.concat()[..]].concat();
    decode(&bytes).expect_err("no packet")
}

/// `127.0.0.1:80`, generation 1.
const NODE: &[u8] = &[4, 127, 0, 0, 1, 80, 0, 1, 0, 0, 0, 0, 0, 0, 0];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn every_packet_comes_back_as_it_went(packet in packet()) {
        prop_assert_eq!(decode(&encoded(&packet)), Ok(packet));
    }

    #[test]
    fn lengths_are_told_without_encoding(packet in packet()) {
        let len = encoded(&packet).len();
        prop_assert_eq!(encoded_len(&packet), len);
        prop_assert!(len <= packet.len_max(), "{} > {}", len, packet.len_max());
    }

    #[test]
    fn what_decodes_encodes_to_the_same_bytes(
        packet in packet(),
        bit in any::<prop::sample::Index>(),
    ) {
        let mut bytes = encoded(&packet);
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(other) = decode(&bytes) {
            prop_assert_ne!(&other, &packet);
            prop_assert!(is_what_was_read(&other, &bytes));
        }
    }

    #[test]
    fn no_beginning_of_a_packet_is_a_packet(packet in packet()) {
        let bytes = encoded(&packet);
        for len in 0..bytes.len() {
            prop_assert!(decode(&bytes[..len]).is_err(), "the first {} bytes", len);
        }
    }

    #[test]
    fn nothing_may_follow_a_packet(packet in packet(), more in any::<u8>()) {
        let mut bytes = encoded(&packet);
        bytes.push(more);
        let refused = decode(&bytes).expect_err("something follows it");
        prop_assert!(packet.wire > WireVersion::One || refused == Reject::TrailingBytes);
    }

    #[test]
    fn what_a_newer_build_says_behind_a_packet_of_version_2_is_passed_over_and_counted(
        packet in packet(),
        more in prop::collection::vec((1..300_u64, 0..20_usize), 1..4),
    ) {
        let mut bytes = encoded(&packet);
        for (id, len) in &more {
            bytes.extend(extensions::foreign(*id, &vec![7; *len]));
        }
        let skipped = packet.skipped + more.len() as u16;
        let read = match packet.wire {
            WireVersion::One => Err(Reject::TrailingBytes),
            WireVersion::Two => Ok(Packet { skipped, ..packet }),
        };
        prop_assert_eq!(decode(&bytes), read);
    }

    #[test]
    fn random_bytes_are_refused_or_a_packet(
        wire in 1..3_u8,
        kind in 0..25_u8,
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        decode(&body).unwrap_err();
        let bytes = [&[b'r', b'm', wire, kind, 1, 0, 0, 0], &body[..]].concat();
        if let Ok(packet) = decode(&bytes) {
            prop_assert!(is_what_was_read(&packet, &bytes));
        }
    }

    #[test]
    fn any_byte_may_be_overwritten_by_any_length(
        packet in packet(),
        place in any::<prop::sample::Index>(),
        lie in prop_oneof![0..300_u64, any::<u64>()],
    ) {
        let mut bytes = encoded(&packet);
        let place = place.index(bytes.len());
        let mut number = Vec::new();
        Writer::new(&mut number, packet.wire).number(lie);
        bytes.splice(place..=place, number);
        if let Ok(packet) = decode(&bytes) {
            prop_assert!(is_what_was_read(&packet, &bytes));
        }
    }
}

#[test]
fn the_bytes_of_version_2_never_change() {
    let node = Node::new("10.0.0.5:8000").name("A").zone("b").tag("k", "v").tag("a", "");
    let record = Record::new(node.build().unwrap(), Generation::new(258).unwrap());
    let me = MemberState { record: record.into(), counter: 3, age: Age(4) };
    let alive = Alive { token: 0x0403_0201, me };
    #[rustfmt::skip]
    let golden = [
        b'r', b'm', 2, 12, 0xa8, 0x61, 0, 0,
        1, 2, 3, 4,
        4, 10, 0, 0, 5, 0x40, 0x1f, 2, 1, 0, 0, 0, 0, 0, 0, 1, b'A', 0,
        15, 1, 1, 2, 2, 1, b'b', 3, 7, 1, b'a', 0, 1, b'k', 1, b'v',
        3, 0, 0, 0, 4,
    ];
    assert_eq!(encoded(&Packet::new(AgeStep(25_000), Body::Alive(alive))), golden);
}

/// A record of version 2 with these extensions, behind a node that says nothing else.
fn with_extensions(extensions: &[u8]) -> Result<Packet, Reject> {
    let len = [u8::try_from(extensions.len()).unwrap()];
    let header = [b'r', b'm', 2, PacketKind::Alive as u8, 1, 0, 0, 0];
    let parts = [&header[..], &[1, 0, 0, 0], NODE, &[0, 0], &len, extensions, &[3, 0, 0, 0, 4]];
    decode(&parts.concat())
}

#[test]
fn extensions_that_no_encoder_writes_are_refused() {
    assert!(with_extensions(&[1, 1, 2, 2, 1, b'b']).is_ok());
    for (why, extensions) in [
        ("the first version is not said", &[1, 1, 1][..]),
        ("a version takes one byte", &[1, 2, 2, 2]),
        ("no zone is not said", &[2, 0]),
        ("nor are no tags", &[3, 0]),
        ("ids come in order", &[2, 1, b'b', 1, 1, 2]),
        ("and once", &[2, 1, b'b', 2, 1, b'b']),
        ("none is 0", &[0, 1, 7]),
        ("tags come in order", &[3, 8, 1, b'b', 1, b'v', 1, b'a', 1, b'v']),
        ("each key once", &[3, 6, 1, b'a', 0, 1, b'a', 0]),
        ("and not without one", &[3, 2, 0, 0]),
    ] {
        assert_eq!(with_extensions(extensions), Err(Reject::Malformed), "{why}");
    }
    assert_eq!(with_extensions(&[2, 1, 0xff]), Err(Reject::BadText));
    assert_eq!(with_extensions(&[2, 1, 0x1b]), Err(Reject::BadText));
    assert_eq!(with_extensions(&[7, 4, 0]), Err(Reject::FalseLength));
    // Four GiB that are not there.
    assert_eq!(with_extensions(&[7, 252, 0xff, 0xff, 0xff, 0xff]), Err(Reject::FalseLength));
}

#[test]
fn what_a_newer_build_says_of_a_node_is_counted_kept_and_passed_on_as_it_came() {
    let told: &[u8] = &[1, 1, 9, 2, 1, b'b', 7, 3, b'n', b'e', b'w', 251, 0xff, 0xff, 1, 0];
    let packet = with_extensions(told).unwrap();
    assert_eq!(packet.skipped, 2);
    let Body::Alive(alive) = &packet.body else { panic!("{packet:?}") };
    assert_eq!((alive.me.record.node().zone(), alive.me.record.speaks_number()), ("b", 9));
    assert_eq!(alive.me.record.speaks(), WireVersion::LATEST);
    let bytes = encoded(&packet);
    assert!(bytes.windows(<[u8]>::len(told)).any(|part| part == told), "{bytes:?}");
}

#[test]
fn the_longest_record_fits_a_sealed_datagram_with_whatever_it_travels() {
    use crate::config::Config;
    use crate::node::{NAME_LEN_MAX, TAGS_LEN_MAX, TAGS_MAX, TEXTS_LEN_MAX, ZONE_LEN_MAX};

    let data = TEXTS_LEN_MAX - NAME_LEN_MAX - ZONE_LEN_MAX - TAGS_LEN_MAX;
    let node = Node::new("[2001:db8::1]:1").name("n".repeat(NAME_LEN_MAX));
    let node = node.private_data("d".repeat(data)).zone("z".repeat(ZONE_LEN_MAX));
    // Each value as long as needs a length of three bytes, as long as there is room.
    let tag = |node: crate::NodeBuilder, (at, len)| node.tag(format!("{at:02}"), "v".repeat(len));
    let rest = TAGS_LEN_MAX - 2 * TAGS_MAX;
    let lens = (0..TAGS_MAX).map(|at| (at, if at == 0 { rest } else { 0 }));
    let node = lens.fold(node, tag).build().unwrap();
    let config = Config::builder().secret_key("hush").build().unwrap();
    let record = Arc::new(Record::new(node, Generation::MAX));
    let me = MemberState { record, counter: u32::MAX, age: Age(4) };
    let update = MembershipUpdate::Member(me);
    let arc = RingArc { after: NodeId(1), upto: NodeId(2) };
    let topic = Subject::Membership(update.clone());
    let rumor = Rumor { token: Token(1), acks: 5, arc, view: Some(ViewDigest(1)), topic };
    for body in [Body::Rumor(rumor), Body::Delta(Delta { news: vec![update] })] {
        let packet = Packet::new(AgeStep(25_000), body);
        assert!(packet.len_max() <= config.path_len_max(), "{}", packet.len_max());
        assert_eq!(decode(&encoded(&packet)), Ok(packet));
    }
}

#[test]
fn the_bytes_of_version_1_never_change() {
    let beat = Beat { id: RecordId(0x0403_0201), counter: 5, age: Age(6) };
    let gone = Gone {
        addr: "10.0.0.5:8000".parse().unwrap(),
        generation: Generation::new(7).unwrap(),
        counter: 300,
        cause: Cause::Left,
    };
    let bulk = Bulk { beats: vec![beat], news: vec![MembershipUpdate::from(gone)] };
    #[rustfmt::skip]
    let golden = [
        b'r', b'm', 1, 0, 0xa8, 0x61, 0, 0,
        1, 1, 2, 3, 4, 5, 6,
        1, 1, 4, 10, 0, 0, 5, 0x40, 0x1f, 7, 0, 0, 0, 0, 0, 0, 0, 44, 1, 0, 0, 1,
    ];
    assert_eq!(encoded(&with_body(Body::Bulk(bulk))), golden);

    let node = Node::new("[2001:db8::1]:1").name("A").private_data("z").build().unwrap();
    let record = Record::new(node, Generation::new(258).unwrap());
    let me = MemberState { record: record.into(), counter: 3, age: Age(4) };
    let alive = Alive { token: 0x0403_0201, me };
    #[rustfmt::skip]
    let golden = [
        b'r', b'm', 1, 12, 0xa8, 0x61, 0, 0,
        1, 2, 3, 4,
        6, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0,
        2, 1, 0, 0, 0, 0, 0, 0, 1, b'A', 1, b'z', 3, 0, 0, 0, 4,
    ];
    assert_eq!(encoded(&with_body(Body::Alive(alive))), golden);
}

#[test]
fn a_beat_takes_six_bytes_and_a_place_in_a_vector_two() {
    let beat = Beat { id: RecordId(u32::MAX), counter: u8::MAX, age: Age::TOO_OLD };
    let bulk = |n| with_body(Body::Bulk(Bulk { beats: vec![beat; n], news: vec![] }));
    assert_eq!(encoded_len(&bulk(201)) - encoded_len(&bulk(200)), 6);
    let vector =
        |n| BeatVector { digest: Default::default(), first: 0, beats: vec![(9, Age(9)); n] };
    let vector = |n| with_body(Body::BeatVector(vector(n)));
    assert_eq!(encoded_len(&vector(201)) - encoded_len(&vector(200)), 2);
    let wanted = |n| with_body(Body::Pull(Pull { ids: vec![RecordId(u32::MAX); n] }));
    assert_eq!(encoded_len(&wanted(201)) - encoded_len(&wanted(200)), 4);
}

#[test]
fn the_length_of_beats_and_ids_is_a_product() {
    const { assert!(Beat::IS_FIXED && Beat::LEN_MIN == 6) };
    const { assert!(<(u8, Age)>::IS_FIXED && <(u8, Age)>::LEN_MIN == 2) };
    const { assert!(RecordId::IS_FIXED && RecordId::LEN_MIN == 4) };
    let beat = Beat { id: RecordId(1), counter: 2, age: Age(3) };
    let bulk = with_body(Body::Bulk(Bulk { beats: vec![beat; 1_000_000], news: vec![] }));
    assert_eq!(encoded_len(&bulk), 8 + 5 + 6_000_000 + 1);
}

#[test]
fn the_largest_datagram_of_each_long_kind_comes_back() {
    let beat = Beat { id: RecordId(1), counter: 2, age: Age(3) };
    let bulk = Body::Bulk(Bulk { beats: vec![beat; 10_900], news: vec![] });
    let vector =
        BeatVector { digest: Default::default(), first: 9, beats: vec![(1, Age(2)); 32_700] };
    let ids =
        BucketIds { echo: None, bits: 16, buckets: (0..=65_535).step_by(3).collect(), ids: vec![] };
    for body in [bulk, Body::BeatVector(vector), Body::BucketIds(ids)] {
        let packet = with_body(body);
        let bytes = encoded(&packet);
        assert!((65_000..DATAGRAM_LEN_MAX).contains(&bytes.len()), "{}", bytes.len());
        assert_eq!(decode(&bytes), Ok(packet));
    }
    assert_eq!(decode(&vec![0; DATAGRAM_LEN_MAX + 1]), Err(Reject::TooLong));
}

#[test]
fn a_count_that_lies_is_refused_before_anything_is_set_aside() {
    let many_u32: &[u8] = &[252, 255, 255, 255, 255];
    let many_u64: &[u8] = &[253, 255, 255, 255, 255, 255, 255, 255, 255];
    for many in [many_u32, many_u64] {
        // Room for 2^32 beats would be 32 GiB, for 2^64 the process would be aborted.
        assert_eq!(refused(PacketKind::Bulk, &[many]), Reject::FalseLength);
        assert_eq!(refused(PacketKind::Bulk, &[&[0], many, &[0; 12]]), Reject::FalseLength);
        assert_eq!(refused(PacketKind::Pull, &[many, &[0; 12]]), Reject::FalseLength);
        assert_eq!(
            refused(PacketKind::Alive, &[&[0; 4], NODE, many, &[0; 12]]),
            Reject::FalseLength
        );
    }
    // Nine bytes are too few for two beats, twelve are not.
    assert_eq!(refused(PacketKind::Bulk, &[&[2], &[0; 9]]), Reject::FalseLength);
    assert_eq!(refused(PacketKind::Bulk, &[&[2], &[0; 12]]), Reject::Truncated);
}

#[test]
fn foreign_bytes_are_told_from_broken_ones() {
    assert_eq!(decode(b""), Err(Reject::TooShort));
    assert_eq!(decode(b"rm\x01\x00"), Err(Reject::TooShort));
    assert_eq!(decode(b"GET / HTTP/1.1\r\n"), Err(Reject::ForeignMagic));
    assert_eq!(decode(b"rm\x03\x00\x01\x00\x00\x00"), Err(Reject::UnknownVersion));
    assert_eq!(decode(b"rm\x01\xff\x01\x00\x00\x00"), Err(Reject::UnknownKind));
}

#[test]
fn a_packet_whose_ages_have_no_unit_is_malformed() {
    assert_eq!(decode(b"rm\x01\x0b\x00\x00\x00\x00"), Err(Reject::Malformed));
    let call = Body::LastCall(LastCall::default());
    assert_eq!(decode(b"rm\x01\x0b\x01\0\0\0\0\0\0\0\0").unwrap().body, call);
}

#[test]
fn numbers_have_one_form_and_tags_a_meaning() {
    assert_eq!(refused(PacketKind::Bulk, &[&[251, 0, 0, 0]]), Reject::Malformed);
    assert_eq!(refused(PacketKind::Bulk, &[&[254], &[0; 16], &[0]]), Reject::Malformed);
    assert_eq!(refused(PacketKind::Delta, &[&[1, 2], &[0; 30]]), Reject::Malformed);
    assert_eq!(refused(PacketKind::Alive, &[&[0; 4], &[5], &[1; 30]]), Reject::Malformed);
}

#[test]
fn an_address_where_no_node_can_be_is_refused() {
    for ip in [[0, 0, 0, 0], [224, 0, 0, 1], [255, 255, 255, 255]] {
        let rest = [80, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(refused(PacketKind::Alive, &[&[0; 4], &[4], &ip, &rest]), Reject::BadAddress);
    }
    let port_0 = [4, 127, 0, 0, 1, 0, 0];
    assert_eq!(refused(PacketKind::Alive, &[&[0; 4], &port_0, &[0; 12]]), Reject::BadAddress);
    let mapped = [6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 1, 80, 0];
    assert_eq!(refused(PacketKind::Alive, &[&[0; 4], &mapped, &[0; 12]]), Reject::BadAddress);
}

#[test]
fn values_above_their_limits_are_refused() {
    let generation = [4, 127, 0, 0, 1, 80, 0, 1, 0, 0, 0, 0, 0, 0, 0x40];
    assert_eq!(refused(PacketKind::Alive, &[&[0; 4], &generation, &[0; 4]]), Reject::OverLimit);
    let no_generation = [4, 127, 0, 0, 1, 80, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(refused(PacketKind::Alive, &[&[0; 4], &no_generation, &[0; 4]]), Reject::Malformed);
    let name = [&[129][..], &[b'n'; 129]].concat();
    assert_eq!(refused(PacketKind::Alive, &[&[0; 4], NODE, &name, &[0; 3]]), Reject::OverLimit);
    let private = [&[0, 251, 1, 2][..], &[b'n'; 513]].concat();
    assert_eq!(refused(PacketKind::Alive, &[&[0; 4], NODE, &private, &[0; 2]]), Reject::OverLimit);
    assert_eq!(refused(PacketKind::Alive, &[&[0; 4], NODE, &[1, 0xff, 0, 0, 0]]), Reject::BadText);
    for nanos in [(1_i64 << 62) + 1, i64::MAX, -1, i64::MIN].map(i64::to_le_bytes) {
        assert_eq!(refused(PacketKind::Value, &[&nanos, &[0; 25]]), Reject::OverLimit);
    }
    assert_eq!(refused(PacketKind::BeatVector, &[&[0xff; 20], &[1, 0, 0]]), Reject::OverLimit);
}

#[test]
fn a_name_that_would_write_on_a_terminal_is_refused() {
    for text in ["\u{1b}[2J", "A\nB", "\r", "\u{7f}", "\u{9b}31m", "\u{2029}", "\u{202e}A"] {
        let text = [&[text.len() as u8][..], text.as_bytes()].concat();
        let as_name = refused(PacketKind::Alive, &[&[0; 4], NODE, &text, &[0; 3]]);
        let as_private_data = refused(PacketKind::Alive, &[&[0; 4], NODE, &[0], &text, &[0; 2]]);
        assert_eq!((as_name, as_private_data), (Reject::BadText, Reject::BadText), "{text:?}");
    }
}

#[test]
fn buckets_are_those_of_a_ring_cut_in_halves() {
    assert_eq!(refused(PacketKind::BucketIds, &[&[0, 17, 0, 0]]), Reject::OverLimit);
    assert_eq!(refused(PacketKind::BucketIds, &[&[0, 1, 1, 2, 0]]), Reject::Malformed);
    assert_eq!(
        refused(PacketKind::BucketIds, &[&[0, 16, 1, 252, 0, 0, 1, 0, 0]]),
        Reject::OverLimit
    );
    let answer = |buckets: &[u8]| {
        refused(
            PacketKind::SwapAnswer,
            &[&[0; 4], &[0], &[0; 4], &[0; 16], &[0], &[0; 13], &[1], buckets],
        )
    };
    assert_eq!(answer(&[0]), Reject::Malformed);
    assert_eq!(answer(&[3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]), Reject::Malformed);
}

#[test]
fn metadata_under_a_foreign_digest_is_refused() {
    assert_eq!(refused(PacketKind::Value, &[&[0; 32], &[2, 1, 2]]), Reject::BadDigest);
}
