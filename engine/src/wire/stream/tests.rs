//! What gets through a connection and what ends it, at the level of bytes.

use proptest::prelude::*;

use super::*;
use crate::core::AgeStep;
use crate::core::packet::{Body, LastCall};
use crate::wire::arbitrary::packet;
use crate::wire::encode;

fn guard(secret: &str, cluster: &str) -> StreamGuard {
    let config = Config::builder().cluster(cluster).secret_key(secret).build().unwrap();
    StreamGuard::of(&config)
}

fn ours() -> StreamGuard {
    guard("secret", "blue")
}

fn keyring(secrets: &[&str]) -> Keyring {
    let mut keyring = Keyring::new(secrets[0].into()).unwrap();
    for &more in &secrets[1..] {
        keyring.add(more.into()).unwrap();
    }
    keyring
}

/// A connection from one to the other, with parts of the key made of these numbers.
fn connected(a: &StreamGuard, b: &StreamGuard, randoms: [u8; 2]) -> (StreamSealer, StreamOpener) {
    let call = a.dial(8_000, [randoms[0]; 16]);
    let (opener, answer) = b.accept(&call.hello(), [randoms[1]; 16]).unwrap();
    (call.answered(&answer).unwrap(), opener)
}

fn numbered(number: u32) -> Packet {
    Packet::new(AgeStep(number), Body::LastCall(LastCall::default()))
}

fn sealed(sealer: &mut StreamSealer, packet: &Packet) -> Vec<u8> {
    let (mut encoded, mut out) = (Vec::new(), vec![7]);
    encode(packet, &mut encoded);
    sealer.seal(&encoded, &mut out);
    assert_eq!(out.remove(0), 7, "it is appended");
    out
}

fn open(opener: &mut StreamOpener, bytes: &[u8]) -> Result<Packet, StreamEnd> {
    opener.open(&ours(), &mut bytes.to_vec(), 0)
}

const BROKEN: Result<Packet, StreamEnd> = Err(StreamEnd::End(Reject::BadSeal));

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn packets_come_back_in_turn(packets in prop::collection::vec(packet(), 1..8)) {
        let (mut sealer, mut opener) = connected(&ours(), &ours(), [1, 2]);
        for packet in packets {
            let bytes = sealed(&mut sealer, &packet);
            prop_assert_eq!(opener.open(&ours(), &mut bytes.clone(), 1 << 20), Ok(packet));
        }
    }

    #[test]
    fn any_other_order_than_the_one_of_sending_ends_the_connection(
        order in prop::collection::vec(0..6_usize, 1..7),
    ) {
        let (mut sealer, mut opener) = connected(&ours(), &ours(), [1, 2]);
        let sent: Vec<_> = (1..=6).map(|number| sealed(&mut sealer, &numbered(number))).collect();
        // Brute force: what was opened is the longest beginning that is in order.
        let in_order = order.iter().enumerate().take_while(|(turn, place)| turn == *place).count();
        let mut opened = 0;
        for &place in &order {
            match open(&mut opener, &sent[place]) {
                Ok(packet) => prop_assert_eq!(packet, numbered(opened + 1)),
                end => {
                    prop_assert_eq!(end, BROKEN);
                    break;
                }
            }
            opened += 1;
        }
        prop_assert_eq!(opened as usize, in_order);
    }

    #[test]
    fn any_flipped_bit_or_cut_ends_the_connection(packet in packet(), more in any::<u8>()) {
        let bytes = sealed(&mut connected(&ours(), &ours(), [1, 2]).0, &packet);
        let mut opener = connected(&ours(), &ours(), [1, 2]).1;
        for bit in (0..bytes.len() * 8).step_by(bytes.len() / 40 + 1) {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(open(&mut opener, &damaged), BROKEN);
        }
        for len in (0..bytes.len()).step_by(bytes.len() / 40 + 1) {
            prop_assert!(matches!(open(&mut opener, &bytes[..len]), Err(StreamEnd::End(_))));
        }
        prop_assert_eq!(open(&mut opener, &[&bytes[..], &[more]].concat()), BROKEN);
        prop_assert_eq!(opener.open(&ours(), &mut bytes.clone(), 1 << 20), Ok(packet));
    }

    #[test]
    fn any_bytes_are_refused_for_a_hello_an_answer_or_a_packet(
        mut bytes in prop::collection::vec(any::<u8>(), 0..100),
        magic in 0..3_usize,
    ) {
        if let (Some(first), true) = (bytes.first_chunk_mut(), magic < 2) {
            *first = [*b"rms\x01", *b"rss\x01"][magic];
        }
        for guard in [ours(), StreamGuard::of(&Config::default())] {
            let is_plain = guard.keyring.is_none();
            let accepted = guard.accept(&bytes, [2; 16]);
            prop_assert!(accepted.is_err() || is_plain && bytes.len() == StreamGuard::HEAD_LEN);
            let answered = guard.dial(1, [1; 16]).answered(&bytes);
            prop_assert_eq!(answered.is_err(), !is_plain);
            let mut opener = connected(&guard, &guard, [1, 2]).1;
            let opened = opener.open(&guard, &mut bytes.clone(), 0);
            prop_assert!(opened.is_err());
        }
    }

    #[test]
    fn any_flipped_bit_of_a_hello_or_an_answer_is_refused(bit in 0..usize::MAX) {
        let flipped = |bytes: &[u8]| {
            let (mut bytes, bit) = (bytes.to_vec(), bit % (bytes.len() * 8));
            bytes[bit / 8] ^= 1 << (bit % 8);
            bytes
        };
        let call = ours().dial(8_000, [1; 16]);
        prop_assert!(ours().accept(&flipped(&call.hello()), [2; 16]).is_err());
        let (_, answer) = ours().accept(&call.hello(), [2; 16]).unwrap();
        prop_assert!(call.answered(&flipped(&answer)).is_err());
    }
}

#[test]
fn a_connection_that_is_played_back_opens_nothing() {
    let call = ours().dial(8_000, [1; 16]);
    let hello = call.hello();
    let (mut opener, answer) = ours().accept(&hello, [2; 16]).unwrap();
    let packet = sealed(&mut call.answered(&answer).unwrap(), &numbered(1));
    assert_eq!(open(&mut opener, &packet), Ok(numbered(1)));
    let (mut again, other) = ours().accept(&hello, [3; 16]).unwrap();
    assert_ne!(other, answer);
    assert_eq!(open(&mut again, &packet), BROKEN);
}

#[test]
fn an_answer_that_is_played_back_is_refused() {
    let (_, answer) = ours().accept(&ours().dial(8_000, [1; 16]).hello(), [2; 16]).unwrap();
    let again = ours().dial(8_000, [3; 16]).answered(&answer);
    assert_eq!(again.unwrap_err(), Reject::BadSeal);
}

#[test]
fn a_packet_of_another_connection_or_a_datagram_is_refused() {
    let packet = sealed(&mut connected(&ours(), &ours(), [1, 2]).0, &numbered(1));
    for randoms in [[1, 3], [3, 2], [2, 1]] {
        assert_eq!(open(&mut connected(&ours(), &ours(), randoms).1, &packet), BROKEN);
    }
}

#[test]
fn callers_of_another_secret_cluster_version_or_none_are_told_by_their_reason() {
    let plain = StreamGuard::of(&Config::default());
    let reason = |from: &StreamGuard, to: &StreamGuard| {
        to.accept(&from.dial(8_000, [1; 16]).hello(), [2; 16]).unwrap_err()
    };
    assert_eq!(reason(&guard("secret", "green"), &ours()), Reject::WrongCluster);
    assert_eq!(reason(&guard("Secret", "blue"), &ours()), Reject::UnknownKey);
    assert_eq!(reason(&plain, &ours()), Reject::Unsealed);
    assert_eq!(reason(&ours(), &plain), Reject::Sealed);
    for guard in [&plain, &ours()] {
        let mut next = guard.dial(8_000, [1; 16]).hello();
        next[3] += 1;
        assert_eq!(guard.accept(&next, [2; 16]).unwrap_err(), Reject::UnknownVersion);
        let nowhere = guard.dial(0, [1; 16]).hello();
        assert_eq!(guard.accept(&nowhere, [2; 16]).unwrap_err(), Reject::BadAddress);
        assert_eq!(guard.hello_len(b"GET / "), Err(Reject::ForeignMagic));
    }
}

#[test]
fn any_secret_of_the_keyring_opens_until_it_is_removed() {
    let (mut a, mut b) = (guard("old", "blue"), guard("old", "blue"));
    b.use_keys(&keyring(&["old", "new"]));
    let (mut sealer, mut opener) = connected(&a, &b, [1, 2]);
    let mut pass = |b: &StreamGuard| {
        let mut bytes = sealed(&mut sealer, &numbered(1));
        opener.open(b, &mut bytes, 0)
    };
    assert_eq!(pass(&b), Ok(numbered(1)));
    a.use_keys(&keyring(&["new", "old"]));
    connected(&a, &b, [1, 2]);
    b.use_keys(&keyring(&["new", "old"]));
    assert_eq!(pass(&b), Ok(numbered(1)), "a connection outlives a promotion");
    b.use_keys(&keyring(&["new"]));
    assert_eq!(pass(&b), Err(StreamEnd::End(Reject::UnknownKey)));
    connected(&a, &b, [1, 2]);
    let former = guard("old", "blue").dial(8_000, [1; 16]).hello();
    assert_eq!(b.accept(&former, [2; 16]).unwrap_err(), Reject::UnknownKey);
}

#[test]
fn without_a_secret_a_damaged_packet_is_skipped_and_the_next_one_taken() {
    let plain = StreamGuard::of(&Config::default());
    let (mut sealer, mut opener) = connected(&plain, &plain, [1, 2]);
    let mut bytes = sealed(&mut sealer, &numbered(1));
    assert_eq!(opener.open(&plain, &mut bytes, 0), Ok(numbered(1)));
    *bytes.last_mut().unwrap() ^= 1;
    let skipped = Err(StreamEnd::Skip(Reject::Damaged));
    assert_eq!(opener.open(&plain, &mut bytes, 0), skipped);
    let mut bytes = sealed(&mut sealer, &numbered(2));
    assert_eq!(opener.open(&plain, &mut bytes, 0), Ok(numbered(2)));
}

#[test]
fn a_sealed_packet_that_this_build_does_not_know_is_skipped_and_the_next_one_taken() {
    let (mut sealer, mut opener) = connected(&ours(), &ours(), [1, 2]);
    for (place, reason) in [(2, Reject::UnknownVersion), (3, Reject::UnknownKind)] {
        let (mut encoded, mut bytes) = (Vec::new(), Vec::new());
        encode(&numbered(1), &mut encoded);
        encoded[place] = 200;
        sealer.seal(&encoded, &mut bytes);
        assert_eq!(open(&mut opener, &bytes), Err(StreamEnd::Skip(reason)));
    }
    let bytes = sealed(&mut sealer, &numbered(2));
    assert_eq!(open(&mut opener, &bytes), Ok(numbered(2)));
}

#[test]
fn the_first_bytes_of_a_connection_never_change() {
    let hello = ours().dial(8_000, [1; 16]).hello();
    let (_, answer) = ours().accept(&hello, [2; 16]).unwrap();
    let cluster = crc32fast::hash(b"blue").to_le_bytes();
    assert_eq!(hello[..6], *b"rss\x01\x40\x1f");
    assert_eq!(hello[7..27], [&cluster[..], &[1; 16]].concat());
    assert_eq!((hello.len(), answer.len()), (43, 32));
    assert_eq!(answer[..16], [2; 16]);
    let plain = StreamGuard::of(&Config::default()).dial(8_000, [1; 16]);
    assert_eq!((plain.hello(), plain.answer_len()), (b"rms\x01\x40\x1f".to_vec(), 0));
}

#[test]
fn a_guard_of_connections_shows_no_secret() {
    let (sealer, opener) = connected(&ours(), &ours(), [1, 2]);
    let call = ours().dial(1, [1; 16]);
    let shown = format!("{:?} {sealer:?} {opener:?} {call:?}", ours());
    assert!(!shown.contains("\"secret\"") && shown.contains("SecretKey(..)"), "{shown}");
}
