//! The JSON against packets that Go wrote, against itself, and against bytes nobody would write.

use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use super::*;
use crate::wire::arbitrary::text;

/// pekonode's default.
const SIZE: usize = 16_384;

/// What three of the vectors have in their names, though no name may have it.
const ODD: &str = r"\u2028\t\u0001";

/// Packets that a pekonode cluster sent, byte by byte but for what is odd in names.
fn vectors() -> Vec<(String, Vec<u8>)> {
    let plain = |bytes| String::from_utf8(bytes).unwrap().replace(ODD, "").into_bytes();
    as_sent().into_iter().map(|(file, bytes)| (file, plain(bytes))).collect()
}

fn as_sent() -> Vec<(String, Vec<u8>)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| (file.display().to_string(), std::fs::read(file).unwrap())).collect()
}

fn encoded(packet: &LegacyPacket) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(packet, &mut bytes);
    bytes
}

fn vector(name: &str) -> LegacyPacket {
    let found = vectors().into_iter().find(|(file, _)| file.contains(name)).unwrap();
    decode(&found.1, SIZE).unwrap()
}

#[test]
fn what_go_wrote_decodes_and_encodes_to_the_same_bytes() {
    let vectors = vectors();
    assert!(vectors.len() >= 14);
    for (file, bytes) in vectors {
        let packet = decode(&bytes, SIZE).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert_eq!(encoded(&packet), bytes, "{file}");
        assert_eq!(packet.encoded_len(), bytes.len(), "{file}");
    }
}

#[test]
fn what_go_wrote_means_what_go_meant() {
    let publish = vector("04_publish");
    assert_eq!(publish.kind, Kind::Publish);
    assert_eq!(publish.metadata.data.as_deref(), Some(&b"test metadata"[..]));
    assert_eq!(publish.metadata.update, 1_795_334_247_458_789_013);
    assert_eq!(publish.node.addr().to_string(), "127.0.0.1:18001");
    assert!(publish.infected.contains("127.0.0.1:18099"));
    let binary = vector("24_publish_binary").metadata.data.unwrap();
    assert_eq!(binary[..], [0, 1, 2, 250, 251, 252, 253, 254, 255, 62, 63]);
    assert_eq!(vector("22_publish_nil").metadata.data, None);
    assert_eq!(vector("23_publish_empty").metadata.data.as_deref(), Some(&b""[..]));
    assert_eq!(vector("02_swap").kind, Kind::SwapRequest);
    assert_eq!(vector("06_swap").kind, Kind::SwapAnswer);
    assert_eq!(vector("14_publish").secret_key, SecretDigest::of(b"test_key"));
}

#[test]
fn a_go_node_whose_name_would_write_on_a_terminal_is_refused() {
    let texts = as_sent().into_iter().map(|(_, bytes)| String::from_utf8(bytes).unwrap());
    let odd: Vec<String> = texts.filter(|text| text.contains(ODD)).collect();
    assert_eq!(odd.len(), 3);
    // What Go escapes is escaped here as Go does it, wherever a packet has it.
    let mut name = Vec::new();
    put_text(&mut name, "a<b>&\"c\" 中文 😀\u{2028}\t\u{1}");
    let name = String::from_utf8(name).unwrap();
    for text in odd {
        assert_eq!(decode(text.as_bytes(), SIZE), Err(Reject::BadText));
        assert!(text.contains(&name), "{text}");
        // With its name and nothing else made plain, the same packet is taken.
        let plain = text.replace(ODD, "");
        let packet = decode(plain.as_bytes(), SIZE).unwrap();
        assert_eq!(packet.node.name(), "a<b>&\"c\" 中文 😀");
        let odd = plain.replace(r#""PrivateData":""#, r#""PrivateData":"\u001b[2J"#);
        assert_eq!(decode(odd.as_bytes(), SIZE), Err(Reject::BadText));
    }
}

#[test]
fn keys_are_taken_in_any_letter_case_and_what_is_missing_is_zero() {
    let text = r#" {"NODE":{"addr":"127.0.0.1","pOrT":1,"Extra":[{"a":[1e9]}]},
        "iſswap":2, "Metadata":{"UPDATE":-1,"Data":null}, "Infected":null, "Unknown":{"x":{}}} "#;
    let packet = decode(text.as_bytes(), SIZE).unwrap();
    assert_eq!(packet.kind, Kind::SwapAnswer);
    assert_eq!(packet.metadata, Carried::NEVER);
    assert_eq!((packet.node.name(), packet.secret_key.as_str()), ("", ""));
    assert!(packet.infected.is_empty());
    assert!(String::from_utf8(encoded(&packet)).unwrap().contains(r#""Infected":{}"#));
}

#[test]
fn the_case_of_a_mark_matters_and_a_false_one_is_none() {
    let text = r#"{"Node":{"Addr":"127.0.0.1","Port":1},
        "Infected":{"Host:1":true,"b:2":false,"c:3":true,"c:3":false}}"#;
    let packet = decode(text.as_bytes(), SIZE).unwrap();
    assert_eq!(packet.infected, BTreeSet::from(["Host:1".into()]));
}

#[test]
fn bad_utf_8_becomes_replacement_characters() {
    let text = b"{\"Node\":{\"Addr\":\"127.0.0.1\",\"Port\":1,\"Name\":\"a\xff\xfe\"}}";
    assert_eq!(decode(text, SIZE).unwrap().node.name(), "a\u{fffd}\u{fffd}");
    // Half of a pair of surrogates is no text either.
    let text = r#"{"Node":{"Addr":"127.0.0.1","Port":1,"Name":"a\ud800b"}}"#;
    assert!(decode(text.as_bytes(), SIZE).unwrap().node.name().contains('\u{fffd}'));
}

#[test]
fn an_ipv6_address_travels_in_brackets() {
    let mut packet = vector("01_heartbeat");
    packet.node = Node::new("[::1]:80").build().unwrap();
    let bytes = encoded(&packet);
    assert!(String::from_utf8_lossy(&bytes).contains(r#""Addr":"[::1]","Port":80"#));
    assert_eq!(decode(&bytes, SIZE), Ok(packet));
}

#[test]
fn what_is_no_packet_is_refused_with_its_reason() {
    let node = r#""Node":{"Addr":"127.0.0.1","Port":1}"#;
    let long = "n".repeat(200);
    for (text, reason) in [
        (String::new(), Reject::Truncated),
        ("{".into(), Reject::Truncated),
        ("{}".into(), Reject::BadAddress),
        ("null".into(), Reject::Malformed),
        ("[]".into(), Reject::Malformed),
        ("\u{0}".into(), Reject::Malformed),
        (format!("{{{node}}}{{}}"), Reject::Malformed),
        (format!("{{{node},\"IsSwap\":3}}"), Reject::UnknownKind),
        (format!("{{{node},\"IsSwap\":1.5}}"), Reject::Malformed),
        (format!("{{{node},\"IsSwap\":99999999999999999999}}"), Reject::Malformed),
        (format!("{{{node},\"IsUpdate\":\"yes\"}}"), Reject::Malformed),
        (format!("{{{node},\"Infected\":{{\"a\":1}}}}"), Reject::Malformed),
        (format!("{{{node},\"Metadata\":{{\"Data\":\"a\"}}}}"), Reject::Malformed),
        (r#"{"Node":{"Addr":"nowhere","Port":1}}"#.into(), Reject::BadAddress),
        (r#"{"Node":{"Addr":"127.0.0.1","Port":0}}"#.into(), Reject::BadAddress),
        (r#"{"Node":{"Addr":"127.0.0.1","Port":65536}}"#.into(), Reject::BadAddress),
        (r#"{"Node":{"Addr":"127.0.0.1","Port":-1}}"#.into(), Reject::BadAddress),
        (
            format!(r#"{{"Node":{{"Addr":"127.0.0.1","Port":1,"Name":"{long}"}}}}"#),
            Reject::OverLimit,
        ),
    ] {
        assert_eq!(decode(text.as_bytes(), SIZE), Err(reason), "{text}");
    }
}

#[test]
fn a_packet_of_size_is_refused_and_one_byte_less_passes() {
    let bytes = encoded(&vector("01_heartbeat"));
    assert!(decode(&bytes, bytes.len() + 1).is_ok());
    assert_eq!(decode(&bytes, bytes.len()), Err(Reject::TooLong));
}

#[test]
fn deep_and_wide_shapes_are_refused_or_skipped_without_harm() {
    let node = r#""Node":{"Addr":"127.0.0.1","Port":1}"#;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let deep = format!("{{{node},\"x\":{}1{}}}", open.repeat(3_000), close.repeat(3_000));
        let _ = decode(deep.as_bytes(), 65_536);
        let _ = decode(open.repeat(10_000).as_bytes(), 65_536);
    }
    let marks: Vec<_> = (0..5_000).map(|mark| format!("\"{mark}\":true")).collect();
    let wide = format!("{{{node},\"Infected\":{{{}}}}}", marks.join(","));
    assert_eq!(decode(wide.as_bytes(), 65_536).unwrap().infected.len(), 5_000);
}

fn any_packet() -> impl Strategy<Value = LegacyPacket> {
    let node = (any::<[u8; 4]>(), 1_u16.., text(20), "[<>&\"\\\\ a]{0,20}");
    // Nobody reads the marks, so that they may have what names may not.
    let marks = "[<>&\"\\\\\u{2028}\u{2029}\u{0}-\u{20}a]{0,9}|\\PC{0,20}";
    let kind = prop_oneof![
        Just(Kind::Beat),
        Just(Kind::Publish),
        Just(Kind::SwapRequest),
        Just(Kind::SwapAnswer)
    ];
    let carried = (proptest::option::of(vec(any::<u8>(), 0..50)), any::<i64>());
    (node, btree_set(marks, 0..9), carried, kind, "[a-f0-9]{0,32}").prop_map(
        |((ip, port, name, data), infected, (bytes, update), kind, key)| LegacyPacket {
            node: Node::of((ip, port).into(), &name, &data).unwrap(),
            infected: infected.into_iter().map(String::into_boxed_str).collect(),
            metadata: Carried { data: bytes.map(Into::into), update },
            kind,
            secret_key: SecretDigest::from_wire(&key),
        },
    )
}

proptest! {
    #[test]
    fn every_packet_survives_the_round_trip_and_its_length_is_known(packet in any_packet()) {
        let bytes = encoded(&packet);
        prop_assert_eq!(bytes.len(), packet.encoded_len());
        prop_assert_eq!(decode(&bytes, SIZE), Ok(packet));
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..300)) {
        let _ = decode(&bytes, SIZE);
    }

    #[test]
    fn no_part_and_no_flipped_byte_of_a_packet_panics(
        packet in any_packet(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = encoded(&packet);
        let at = at.index(bytes.len());
        prop_assert!(decode(&bytes[..at], SIZE).is_err());
        bytes[at] = byte;
        if let Ok(packet) = decode(&bytes, SIZE) {
            prop_assert_eq!(decode(&encoded(&packet), 2 * SIZE), Ok(packet));
        }
    }

    #[test]
    fn no_text_of_json_signs_panics(text in "[{}\\[\\]:,\"a0.eE\\-\\\\untrlfs ]{0,80}") {
        let _ = decode(text.as_bytes(), SIZE);
    }
}
