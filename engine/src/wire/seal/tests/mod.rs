//! What a seal lets through and what not, over whole datagrams.

mod clocks;
mod copies;

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::config::SecretKey;
use crate::core::packet::{Body, LastCall};
use crate::core::{AgeStep, Packet};
use crate::time::UnixNanos;
use crate::wire::arbitrary::packet;
use crate::wire::{Guard, encoded_len};

const SKEW: Duration = Duration::from_secs(60);
const SECOND: i64 = 1_000_000_000;
const START: i64 = 1_800_000_000 * SECOND;

/// Seconds after the start.
fn at(seconds: i64) -> Now {
    let mono = Instant::from_nanos((1_000_000 * SECOND + seconds * SECOND) as u64);
    Now { mono, wall: UnixNanos(START + seconds * SECOND) }
}

fn config(secret: &str, cluster: &str) -> Config {
    let config = Config::builder().cluster(cluster).secret_key(secret).members_max(3);
    config.clock_skew_max(SKEW).build().unwrap()
}

/// The run of a node by its number that begins at that many seconds.
fn run(node: u8, seconds: i64) -> Run {
    Run { addr: ([10, 0, 0, node], 8000).into(), random: [node; 8], now: at(seconds) }
}

fn guard(node: u8, seconds: i64) -> Guard {
    Guard::new(&config("secret", "blue"), &run(node, seconds))
}

/// The same with a wall clock that shows another time.
fn guard_with_clock(node: u8, seconds: i64, wall: i64) -> Guard {
    let now = Now { wall: UnixNanos(wall), ..at(seconds) };
    Guard::new(&config("secret", "blue"), &Run { now, ..run(node, seconds) })
}

fn last_call() -> Packet {
    Packet::new(AgeStep(25_000), Body::LastCall(LastCall::default()))
}

fn sealed(guard: &mut Guard, seconds: i64) -> Vec<u8> {
    let mut out = Vec::new();
    guard.encode(at(seconds), &last_call(), &mut out);
    out
}

fn open(guard: &mut Guard, seconds: i64, datagram: &[u8]) -> Result<(), Reject> {
    guard.decode(at(seconds), &mut datagram.to_vec()).map(|packet| assert_eq!(packet, last_call()))
}

fn seal_of(guard: &mut Guard) -> &mut Seal {
    guard.seal_mut().expect("these guards seal")
}

proptest! {
    // Each case seals and opens hundreds of times.
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_sealed_packet_comes_back_once(packet in packet(), before in 0..40_usize) {
        let (mut a, mut b) = (guard(1, 0), guard(2, 0));
        let mut out = vec![7; before];
        a.encode(at(0), &packet, &mut out);
        let mut datagram = out.split_off(before);
        prop_assert!(out.iter().all(|&byte| byte == 7));
        prop_assert_eq!(datagram.len(), encoded_len(&packet) + Config::SEAL_LEN);
        prop_assert_eq!(b.decode(at(0), &mut datagram.clone()), Ok(packet));
        prop_assert_eq!(b.decode(at(0), &mut datagram), Err(Reject::Duplicate));
    }

    #[test]
    fn any_flipped_bit_is_refused_and_leaves_no_trace(packet in packet(), known in any::<bool>()) {
        let (mut a, mut b) = (guard(1, 0), guard(2, 0));
        if known {
            open(&mut b, 0, &sealed(&mut a, 0)).unwrap();
        }
        let mut datagram = Vec::new();
        a.encode(at(0), &packet, &mut datagram);
        // Every bit of the header and the tag, and some of a long packet.
        let bits = datagram.len() * 8;
        let packet_bits = (Header::LEN * 8..bits - TAG_LEN * 8).step_by(bits / 100 + 1);
        for bit in (0..Header::LEN * 8).chain(packet_bits).chain(bits - TAG_LEN * 8..bits) {
            let mut damaged = datagram.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(b.decode(at(0), &mut damaged).is_err(), "bit {}", bit);
        }
        prop_assert_eq!(seal_of(&mut b).senders.len(), usize::from(known));
        prop_assert_eq!(b.decode(at(0), &mut datagram), Ok(packet));
    }

    #[test]
    fn a_cut_or_lengthened_packet_is_refused(packet in packet(), more in any::<u8>()) {
        let (mut a, mut b) = (guard(1, 0), guard(2, 0));
        let mut datagram = Vec::new();
        a.encode(at(0), &packet, &mut datagram);
        for len in 0..datagram.len() {
            prop_assert!(b.decode(at(0), &mut datagram[..len].to_vec()).is_err(), "{} bytes", len);
        }
        datagram.push(more);
        prop_assert_eq!(b.decode(at(0), &mut datagram), Err(Reject::BadSeal));
    }

    #[test]
    fn in_whatever_order_packets_come_within_the_window_each_is_taken_once(
        order in Just((0..600_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let (mut a, mut b) = (guard(1, 0), guard(2, 0));
        let datagrams: Vec<_> = (0..600).map(|_| sealed(&mut a, 0)).collect();
        for &place in &order {
            prop_assert_eq!(open(&mut b, 0, &datagrams[place]), Ok(()));
        }
        for &place in order.iter().take(50) {
            prop_assert_eq!(open(&mut b, 0, &datagrams[place]), Err(Reject::Duplicate));
        }
    }

    #[test]
    fn random_bytes_after_the_magic_are_refused(
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let mut b = guard(2, 0);
        let mut datagram = [&MAGIC[..], &body].concat();
        prop_assert!(b.decode(at(0), &mut datagram).is_err());
        prop_assert_eq!(seal_of(&mut b).senders.len(), 0);
    }
}

#[test]
fn a_packet_that_comes_later_than_the_window_is_outdated() {
    let (mut a, mut b) = (guard(1, 0), guard(2, 0));
    let late: Vec<_> = (0..2).map(|_| sealed(&mut a, 0)).collect();
    for _ in 0..window::WINDOW_LEN - 1 {
        open(&mut b, 0, &sealed(&mut a, 0)).unwrap();
    }
    assert_eq!(open(&mut b, 0, &late[1]), Ok(()));
    open(&mut b, 0, &sealed(&mut a, 0)).unwrap();
    assert_eq!(open(&mut b, 0, &late[0]), Err(Reject::Outdated));
}

#[test]
fn nothing_of_a_packet_can_be_read_without_the_secret() {
    let mut datagram = Vec::new();
    let text = b"meet me at noon";
    guard(1, 0).guard(at(0), &mut datagram, |out| out.extend_from_slice(text));
    assert_eq!(datagram.len(), text.len() + Config::SEAL_LEN);
    assert!(!datagram.windows(3).any(|some| text.windows(3).any(|clear| clear == some)));
}

#[test]
fn another_secret_cluster_or_none_is_told_by_its_reason() {
    let mut b = guard(2, 0);
    let mut from = |config: &Config| {
        let mut guard = Guard::new(config, &run(1, 0));
        open(&mut b, 0, &sealed(&mut guard, 0)).unwrap_err()
    };
    assert_eq!(from(&config("secret", "green")), Reject::WrongCluster);
    assert_eq!(from(&config("Secret", "blue")), Reject::UnknownKey);
    assert_eq!(from(&Config::default()), Reject::Unsealed);
    let mut unsealed = Guard::new(&Config::default(), &run(3, 0));
    assert_eq!(open(&mut unsealed, 0, &sealed(&mut b, 0)), Err(Reject::Sealed));
}

#[test]
fn a_secret_that_looks_alike_does_not_open() {
    let hint = |secret: &str| Keyring::new(secret.into()).unwrap().keys()[0].hint;
    let alike = (0..).map(|n| n.to_string()).find(|other| hint(other) == hint("secret")).unwrap();
    let (mut a, mut b) = (Guard::new(&config(&alike, "blue"), &run(1, 0)), guard(2, 0));
    assert_eq!(open(&mut b, 0, &sealed(&mut a, 0)), Err(Reject::BadSeal));
    // Who holds both opens both, whichever it knows of the sender.
    let mut both = Keyring::new("secret".into()).unwrap();
    both.add(alike.as_str().into()).unwrap();
    b.use_keys(&both);
    open(&mut b, 0, &sealed(&mut a, 0)).unwrap();
    let mut old = both.clone();
    old.promote(&"secret".into()).unwrap();
    a.use_keys(&old);
    open(&mut b, 0, &sealed(&mut a, 0)).unwrap();
}

#[test]
fn a_secret_changes_without_a_packet_refused() {
    let (mut a, mut b) = (guard(1, 0), guard(2, 0));
    let [old, new] = ["secret", "new"].map(SecretKey::from);
    let exchange = |a: &mut Guard, b: &mut Guard| {
        let to_b = sealed(a, 0);
        let to_a = sealed(b, 0);
        (open(b, 0, &to_b), open(a, 0, &to_a))
    };
    let both = |first: &SecretKey, second: &SecretKey| {
        let mut keyring = Keyring::new(first.clone()).unwrap();
        keyring.add(second.clone()).unwrap();
        keyring
    };
    for keyring in [both(&old, &new), both(&new, &old), Keyring::new(new.clone()).unwrap()] {
        assert_eq!(exchange(&mut a, &mut b), (Ok(()), Ok(())));
        a.use_keys(&keyring);
        assert_eq!(exchange(&mut a, &mut b), (Ok(()), Ok(())));
        b.use_keys(&keyring);
        assert_eq!(exchange(&mut a, &mut b), (Ok(()), Ok(())));
    }
    let mut left_behind = guard(3, 0);
    assert_eq!(open(&mut a, 0, &sealed(&mut left_behind, 0)), Err(Reject::UnknownKey));
}

#[test]
fn a_packet_that_came_stays_refused_whatever_becomes_of_the_keys() {
    let (mut a, mut b) = (guard(1, 0), guard(2, 0));
    let datagram = sealed(&mut a, 0);
    open(&mut b, 0, &datagram).unwrap();
    b.use_keys(&Keyring::new("secret".into()).unwrap());
    assert_eq!(open(&mut b, 0, &datagram), Err(Reject::Duplicate));
}

#[test]
fn after_a_restart_of_the_sender_its_former_run_is_heard_no_longer_than_packets_fly() {
    let mut b = guard(2, 0);
    let mut former = guard(1, 0);
    open(&mut b, 5, &sealed(&mut former, 5)).unwrap();
    let kept_back: Vec<_> = (0..3).map(|_| sealed(&mut former, 6)).collect();
    let mut latter = guard(1, 7);
    open(&mut b, 8, &sealed(&mut latter, 8)).unwrap();
    assert_eq!(open(&mut b, 8, &kept_back[0]), Ok(()), "it was on its way");
    assert_eq!(open(&mut b, 8, &kept_back[0]), Err(Reject::Duplicate));
    open(&mut b, 16, &sealed(&mut latter, 16)).unwrap();
    assert_eq!(open(&mut b, 16, &kept_back[1]), Ok(()));
    open(&mut b, 17, &sealed(&mut latter, 17)).unwrap();
    assert_eq!(open(&mut b, 17, &kept_back[2]), Err(Reject::ClockBack));
    assert_eq!(open(&mut b, 500, &kept_back[2]), Err(Reject::ClockBack));
    open(&mut b, 500, &sealed(&mut latter, 500)).unwrap();
}

#[test]
fn a_restarted_receiver_takes_nothing_from_long_before() {
    let mut a = guard(1, 0);
    let packets = [sealed(&mut a, 0), sealed(&mut a, 30), sealed(&mut a, 100)];
    let mut b = guard(2, 80);
    assert_eq!(open(&mut b, 81, &packets[0]), Err(Reject::Untimely));
    assert_eq!(open(&mut b, 81, &packets[1]), Ok(()), "within the skew, once");
    assert_eq!(open(&mut b, 82, &packets[1]), Err(Reject::Duplicate));
    assert_eq!(open(&mut b, 101, &packets[2]), Ok(()));
}

#[test]
fn what_comes_back_to_its_sender_is_refused() {
    let mut a = guard(1, 0);
    let datagram = sealed(&mut a, 0);
    assert_eq!(open(&mut a, 0, &datagram), Err(Reject::Replayed));
}

#[test]
fn only_so_many_senders_are_remembered_and_no_replay_comes_of_forgetting() {
    let mut b = guard(99, 0);
    let mut first = Vec::new();
    for node in 1..=5 {
        let datagram = sealed(&mut guard(node, 0), i64::from(node));
        open(&mut b, 6, &datagram).unwrap();
        first.push(datagram);
        assert!(seal_of(&mut b).senders.len() <= 3);
    }
    // Nodes 1 and 2 are forgotten, and with them all that was sent until 2.
    assert_eq!(open(&mut b, 6, &first[0]), Err(Reject::Untimely));
    assert_eq!(open(&mut b, 6, &first[1]), Err(Reject::Untimely));
    assert_eq!(open(&mut b, 6, &first[2]), Err(Reject::Duplicate));
    assert_eq!(open(&mut b, 7, &sealed(&mut guard(1, 0), 7)), Ok(()));
}

#[test]
fn an_epoch_ends_before_its_counter_repeats() {
    let (mut a, mut b) = (guard(1, 0), guard(2, 0));
    seal_of(&mut a).counter = u64::from(u32::MAX) - 1;
    let epoch = seal_of(&mut a).epoch;
    for _ in 0..4 {
        open(&mut b, 0, &sealed(&mut a, 0)).unwrap();
    }
    assert_eq!(seal_of(&mut a).counter, 2);
    assert!(seal_of(&mut a).epoch.start > epoch.start);
}

#[test]
fn a_guard_shows_no_secret() {
    let shown = format!("{:?}", guard(1, 0));
    assert!(shown.starts_with("Guard(Seal(Seal { epoch") && !shown.contains("secret"), "{shown}");
}
