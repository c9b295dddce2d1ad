//! Version 1 of the wire is for ever what it was, and nodes that speak it alone are members of a
//! cluster of newer ones.

mod frozen;
mod golden;
mod lab;
mod random;

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use rumormill::config::{Liveness, TransportKind, WireVersion};
use rumormill::core::{Command, EntryKey, Packet, PacketKind, Terms};
use rumormill::{Config, wire};

use frozen::{Frozen, KINDS};
use lab::{Lab, SECOND, addr};

use WireVersion::{One, Two};

#[test]
fn the_kinds_of_version_1_have_the_numbers_and_names_that_they_had() {
    for (tag, (name, _)) in KINDS.into_iter().enumerate() {
        assert_eq!(PacketKind::ALL[tag].name(), name);
        assert_eq!(PacketKind::ALL[tag] as usize, tag);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn what_the_frozen_encoder_writes_the_engine_reads_and_writes_again(
        packet in random::packet(),
    ) {
        let bytes = packet.encode();
        prop_assert_eq!(Frozen::decode(&bytes), Ok(packet.clone()));
        let read = wire::decode(&bytes);
        prop_assert!(read.is_ok(), "{read:?}: {packet:?}");
        let read = read.expect("looked at");
        prop_assert_eq!((read.wire, read.kind().name()), (One, packet.name()));
        let mut again = Vec::new();
        wire::encode(&read, &mut again);
        prop_assert_eq!(again, bytes);
    }

    #[test]
    fn what_the_frozen_decoder_refuses_the_engine_refuses_in_version_1(
        bytes in random::damaged(),
    ) {
        let (frozen, read) = (Frozen::decode(&bytes), wire::decode(&bytes));
        let is_of_1 = read.as_ref().is_ok_and(|packet| packet.wire == One);
        prop_assert_eq!(frozen.is_ok(), is_of_1, "{:?} and {:?}", frozen, read);
    }
}

#[test]
fn every_kind_of_packet_is_drawn() {
    use proptest::strategy::ValueTree;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut drawn = BTreeSet::new();
    for _ in 0..500 {
        let packet = random::packet().new_tree(&mut runner).expect("a packet").current();
        drawn.insert(packet.kind);
    }
    assert_eq!(drawn.len(), KINDS.len());
}

/// Clusters in which every kind of packet is sent, by nodes with zones and tags.
fn lively() -> Vec<Lab> {
    let beats = || Config::builder().liveness(Liveness::Beats);
    let streams = || Config::builder().protocol(TransportKind::Tcp);
    let settings: [fn() -> _; 3] = [Config::builder, beats, streams];
    let mut labs = Vec::new();
    for (seed, settings) in (1..).zip(settings) {
        let mut lab = Lab::new(seed);
        (lab.settings, lab.lost_one_in) = (settings, 7);
        for node in 1..=14 {
            lab.start(node, if node % 4 == 0 { One } else { Two }, &[1, 2]);
        }
        lab.run(5 * SECOND);
        lab.publish(4, &[8; 5_000]);
        lab.run(SECOND);
        lab.publish(3, &[7; 700]);
        lab.run(5 * SECOND);
        lab.start(15, Two, &[1]);
        lab.start(16, One, &[2]);
        lab.run(2 * SECOND);
        lab.crash(5);
        lab.run(SECOND);
        lab.command(6, Command::Leave);
        lab.run(20 * SECOND);
        labs.push(lab);
    }
    labs
}

#[test]
fn what_the_engine_writes_in_version_1_the_frozen_decoder_reads_and_writes_again() {
    let labs = lively();
    let mut missing = BTreeSet::from(KINDS.map(|(name, _)| name));
    for (kind, packets) in labs.iter().flat_map(|lab| &lab.heard) {
        missing.remove(kind.name());
        for bytes in packets {
            let packet = Frozen::decode(bytes);
            let packet = packet.unwrap_or_else(|why| panic!("{why}: {bytes:x?}"));
            assert_eq!((&packet.encode(), packet.name()), (bytes, kind.name()));
        }
    }
    assert_eq!(missing, BTreeSet::new(), "kinds that nobody sent");
}

#[test]
fn a_packet_of_another_version_that_calls_itself_one_of_version_1_is_what_it_was_then() {
    let mut seen = 0;
    for mut lab in lively() {
        put(&mut lab, 3);
        lab.run(5 * SECOND);
        for bytes in lab.latest.iter().chain(&samples()) {
            let mut bytes = bytes.clone();
            bytes[2] = 1;
            let (frozen, read) = (Frozen::decode(&bytes), wire::decode(&bytes));
            assert_eq!(frozen.is_ok(), read.is_ok(), "{frozen:?} and {read:?}: {bytes:x?}");
            seen += usize::from(frozen.is_err());
        }
    }
    assert!(seen > 100, "{seen} with extensions");
}

/// A node writes an entry, of which version 1 has no word.
fn put(lab: &mut Lab, node: u16) {
    let key = EntryKey::new("key").expect("a key");
    lab.command(node, Command::Put(key, [7; 9][..].into(), Terms::default()));
}

/// One packet of each kind in the latest version.
fn samples() -> Vec<Vec<u8>> {
    let encoded = |packet: Arc<Packet>| {
        let mut bytes = Vec::new();
        wire::encode(&packet.as_ref().clone().in_version(Two), &mut bytes);
        bytes
    };
    rumormill::fuzzing::samples().into_iter().map(encoded).collect()
}

/// Nodes that speak both versions, and every third the first alone, list each other.
fn mixed(seed: u64) -> Lab {
    let mut lab = Lab::new(seed);
    for node in 1..=12 {
        lab.start(node, wire_of(node), &[1]);
    }
    lab.run_until(10 * SECOND, Lab::all_list_all);
    lab
}

fn wire_of(node: u16) -> WireVersion {
    if node % 3 == 1 { One } else { Two }
}

#[track_caller]
fn assert_only_openings_were_refused(lab: &Lab) {
    for (kind, why) in lab.refused.keys() {
        let is_opening = matches!(kind, PacketKind::Join | PacketKind::SwapRequest);
        assert!(is_opening && *why == "another version", "{}: {why}", kind.name());
    }
}

#[test]
fn an_old_decoder_refuses_nothing_but_openings() {
    for seed in 1..=5 {
        let mut lab = mixed(seed);
        lab.publish(2, b"by a new one");
        lab.run_until(SECOND, |lab| lab.all_hold(b"by a new one"));
        lab.publish(1, b"by an old one");
        lab.run_until(SECOND, |lab| lab.all_hold(b"by an old one"));
        lab.publish(3, &[7; 20_000]);
        lab.run_until(SECOND, |lab| lab.all_hold(&[7; 20_000]));
        put(&mut lab, 5);
        lab.run(60 * SECOND);
        assert_only_openings_were_refused(&lab);
        assert!(!lab.refused.is_empty(), "who may have been stripped is asked in both versions");
        assert!(lab.frozen.len() > 8, "{:?}", lab.frozen);
        assert!(lab.all_list_all() && lab.all_agree());
        assert_eq!(lab.removals, []);
    }
}

#[test]
fn new_nodes_learn_from_each_other_what_old_ones_can_t_pass_on_and_all_agree() {
    for seed in 1..=5 {
        let mut lab = mixed(seed);
        let new: Vec<u16> = (1..=12).filter(|&node| wire_of(node) == Two).collect();
        lab.run_until(120 * SECOND, |lab| lab.know_zones(&new));
        assert!((1..=12).all(|of| of == 1 || lab.zone(1, of).is_empty()), "1 is an old one");
        lab.run(30 * SECOND);
        assert!(lab.all_agree());
    }
}

#[test]
fn a_crash_is_known_to_old_and_new_alike() {
    for liveness in [Liveness::Auto, Liveness::Beats] {
        let mut lab = Lab::new(9);
        lab.settings = match liveness {
            Liveness::Beats => || Config::builder().liveness(Liveness::Beats),
            _ => Config::builder,
        };
        for node in 1..=12 {
            lab.start(node, wire_of(node), &[1]);
        }
        lab.run_until(10 * SECOND, Lab::all_list_all);
        for node in [4, 5] {
            lab.crash(node);
        }
        lab.run_until(15 * SECOND, Lab::all_list_all);
        let gone = |&(_, removed, _): &_| removed == addr(4) || removed == addr(5);
        assert!(lab.removals.iter().all(gone), "{:?}", lab.removals);
        assert_only_openings_were_refused(&lab);
    }
}

#[test]
fn an_upgrade_from_the_frozen_build_and_back_to_it_removes_nobody() {
    let mut lab = Lab::new(3);
    for node in 1..=8 {
        lab.start(node, One, &[1]);
    }
    lab.run_until(10 * SECOND, Lab::all_list_all);
    for (wire, data) in [(Two, b"new"), (One, b"old")] {
        for node in 1..=8 {
            lab.crash(node);
            lab.start(node, wire, &[if node == 1 { 2 } else { 1 }]);
            lab.run_until(5 * SECOND, Lab::all_list_all);
            if node == 4 {
                lab.publish(5, data);
                lab.run_until(SECOND, |lab| lab.all_hold(data));
            }
        }
        let all: Vec<u16> = (1..=8).collect();
        lab.run_until(120 * SECOND, |lab| lab.know_zones(&all) == (wire == Two));
        if wire == Two {
            // Who goes back is sent what its former life could read, until others hear of it.
            assert_only_openings_were_refused(&lab);
        }
    }
    lab.run(20 * SECOND);
    assert!(lab.all_hold(b"old"));
    assert!(lab.all_agree());
    assert_eq!(lab.removals, []);
    lab.refused.clear();
    lab.run(20 * SECOND);
    assert!(lab.refused.is_empty(), "all are old again: {:?}", lab.refused);
}
