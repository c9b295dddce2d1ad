//! A cluster of nodes that speak different versions of the wire, and its way from one to the next.

use std::sync::Arc;

use super::cluster::{Cluster, SECOND, addr, datagram};
use crate::config::{Config, Swap, WireVersion};
use crate::core::packet::{Body, Delta, MembershipUpdate};
use crate::core::{
    Age, AgeStep, Command, EntryKey, Event, MemberState, Output, Packet, PacketKind, Record, Terms,
};
use crate::node::{Generation, Node};

fn speaking(wire: WireVersion) -> Config {
    Config::builder().wire_max(wire).build().unwrap()
}

/// A record with a zone, of a node that starts now.
fn zoned(cluster: &Cluster, node: u16, zone: &str) -> Arc<Record> {
    let public = Node::new(addr(node).to_string()).name(format!("n{node}")).zone(zone);
    let generation = Generation::start(None, cluster.clock().wall);
    Arc::new(Record::new(public.build().unwrap(), generation))
}

/// Starts a node of this version that says a zone.
fn start(cluster: &mut Cluster, node: u16, wire: WireVersion, seeds: &[u16]) {
    cluster.configure(speaking(wire));
    let record = zoned(cluster, node, &format!("z{node}"));
    cluster.start_as(node, record, seeds);
}

/// The zone that one node knows of another.
fn zone(cluster: &mut Cluster, of: u16, at: u16) -> String {
    let held = cluster.engine(at).members().find(|record| record.node().addr() == addr(of));
    held.map(|record| record.node().zone().to_owned()).unwrap_or_default()
}

/// True when all of these know each other's zones.
fn all_know_zones(cluster: &mut Cluster, nodes: &[u16]) -> bool {
    let knows = |cluster: &mut Cluster, at, of| zone(cluster, of, at) == format!("z{of}");
    nodes.iter().all(|&at| nodes.iter().all(|&of| knows(cluster, at, of)))
}

#[test]
fn where_all_speak_the_latest_nothing_but_last_calls_goes_in_another() {
    let mut cluster = Cluster::new(Config::default());
    for node in 1..=12 {
        start(&mut cluster, node, WireVersion::LATEST, &[1]);
    }
    cluster.run_until(5 * SECOND, Cluster::all_list_all);
    assert!(all_know_zones(&mut cluster, &Vec::from_iter(1..=12)));
    cluster.run(20 * SECOND);
    cluster.sent_in_one.remove(&PacketKind::LastCall);
    assert!(cluster.sent_in_one.is_empty(), "{:?}", cluster.sent_in_one);
    let told_twice = |(_, _, event): &_| matches!(event, Event::Updated { .. });
    assert!(!cluster.events.iter().any(told_twice), "each was listed with all that it says");
    assert!((1..=12).all(|node| cluster.engine(node).agreement().is_full()));
}

#[test]
fn who_speaks_the_first_version_alone_is_sent_nothing_else_but_openings() {
    let mut cluster = Cluster::new(Config::default());
    for node in 1..=12 {
        let wire = if node % 3 == 1 { WireVersion::One } else { WireVersion::Two };
        start(&mut cluster, node, wire, &[1]);
    }
    cluster.run_until(5 * SECOND, Cluster::all_list_all);
    cluster.publish(2, b"v1");
    cluster.run_until(SECOND, |cluster| cluster.all_hold(b"v1"));
    cluster.run(20 * SECOND);
    let openings = [PacketKind::Join, PacketKind::SwapRequest];
    let other = cluster.refused.keys().find(|kind| !openings.contains(kind));
    assert_eq!(other, None, "refused: {:?}", cluster.refused);
    assert!(cluster.refused.contains_key(&PacketKind::SwapRequest), "who may have been stripped");
}

#[test]
fn those_who_joined_through_an_old_node_learn_all_that_the_others_say() {
    let mut cluster = Cluster::new(Config::default());
    let newer: Vec<u16> = (1..=12).filter(|node| node % 3 != 1).collect();
    for node in 1..=12 {
        let wire = if newer.contains(&node) { WireVersion::Two } else { WireVersion::One };
        start(&mut cluster, node, wire, &[1]);
    }
    cluster.run_until(5 * SECOND, Cluster::all_list_all);
    // Two who both take the other for an old one meet in a swap, one in ten cycles.
    cluster.run_until(120 * SECOND, |cluster| all_know_zones(cluster, &newer));
    assert!(zone(&mut cluster, 2, 1).is_empty(), "an old node has no word for it");
    // By then each has heard from all what they hold now.
    cluster.run(30 * SECOND);
    for node in 1..=12 {
        let agreement = cluster.engine(node).agreement();
        assert!(agreement.is_full(), "node {node}: {agreement:?}");
    }
    let swaps = |cluster: &Cluster| cluster.sent.get(&PacketKind::SwapAnswer).copied();
    let before = swaps(&cluster).unwrap_or_default();
    cluster.run(20 * SECOND);
    let more = swaps(&cluster).unwrap_or_default() - before;
    assert!(more <= 3 * 12, "{more} swaps in twenty cycles: they don't differ any more");
}

#[test]
fn an_upgrade_node_by_node_and_back_removes_nobody_and_ends_with_all_in_one_version() {
    let mut cluster = Cluster::new(Config::default());
    for node in 1..=6 {
        start(&mut cluster, node, WireVersion::One, &[1]);
    }
    cluster.run_until(5 * SECOND, Cluster::all_list_all);
    for wire in [WireVersion::Two, WireVersion::One] {
        for node in 1..=6 {
            cluster.crash(node);
            let seed = if node == 1 { 2 } else { 1 };
            start(&mut cluster, node, wire, &[seed]);
            cluster.run_until(3 * SECOND, Cluster::all_list_all);
        }
        let all: Vec<u16> = (1..=6).collect();
        let is_zoned = wire > WireVersion::One;
        cluster.run_until(120 * SECOND, |cluster| all_know_zones(cluster, &all) == is_zoned);
        cluster.run(5 * SECOND);
        cluster.sent_in_one.clear();
        cluster.refused.clear();
        cluster.run(20 * SECOND);
        cluster.sent_in_one.remove(&PacketKind::LastCall);
        match wire {
            WireVersion::One => assert!(cluster.refused.is_empty(), "{:?}", cluster.refused),
            WireVersion::Two => {
                assert!(cluster.sent_in_one.is_empty(), "{:?}", cluster.sent_in_one);
            }
        }
    }
    for node in 1..=6 {
        assert_eq!(cluster.removals_of(node), []);
    }
}

#[test]
fn a_stripped_copy_never_replaces_the_one_that_says_more_and_does_not_outrank_its_owner() {
    let mut cluster = Cluster::new(Config::default());
    for node in 1..=3 {
        start(&mut cluster, node, WireVersion::Two, &[1]);
    }
    cluster.run_until(5 * SECOND, Cluster::all_list_all);
    let me = Arc::clone(cluster.engine(2).me());
    let copy = MemberState { record: Arc::clone(&me), counter: 0, age: Age(0) };
    let news = vec![MembershipUpdate::Member(copy)];
    let body = Body::Delta(Delta { news });
    for node in [1, 2] {
        let step = AgeStep::of_timeout(5 * SECOND);
        let stripped = Packet::new(step, body.clone()).in_version(WireVersion::One);
        cluster.packet(node, 3, stripped);
        assert_eq!(zone(&mut cluster, 2, node), "z2");
    }
    assert_eq!(cluster.engine(2).me(), &me);
}

#[test]
fn a_last_call_goes_in_the_first_version_whatever_a_record_says() {
    let mut cluster = Cluster::new(Config::default());
    for node in 1..=3 {
        start(&mut cluster, node, WireVersion::Two, &[1]);
    }
    cluster.run_until(5 * SECOND, Cluster::all_list_all);
    let mut engine = cluster.engine(1).clone();
    let out = engine.with(cluster.clock(), |cx| cx.send_last_call(addr(2)));
    let [Output::Send { packet, .. }] = out.outputs() else { panic!("{out:?}") };
    assert_eq!((packet.kind(), packet.wire), (PacketKind::LastCall, WireVersion::One));
}

#[test]
fn an_opening_that_came_in_a_newer_version_too_is_not_answered_twice() {
    let mut cluster = Cluster::new(Config::default());
    for node in 1..=3 {
        start(&mut cluster, node, WireVersion::Two, &[1]);
    }
    cluster.run_until(5 * SECOND, Cluster::all_list_all);
    let request = cluster.swap_request(2, 1);
    let older = request.clone().in_version(WireVersion::One);
    let now = cluster.clock();
    let answers = |cluster: &mut Cluster, packet: Packet| {
        let outputs = cluster.outputs_of(1, datagram(addr(2), packet));
        outputs.len()
    };
    assert_eq!((answers(&mut cluster, request), answers(&mut cluster, older)), (1, 0));
    assert_eq!(cluster.engine(1).stats().openings_repeated, 1);
    assert_eq!(cluster.clock().mono, now.mono);
}

#[test]
fn who_turns_out_to_be_old_after_it_was_told_of_entries_is_told_no_more_of_them() {
    let mut cluster = Cluster::new(Config::default());
    for node in 1..=4 {
        start(&mut cluster, node, WireVersion::Two, &[1]);
    }
    cluster.run_until(5 * SECOND, Cluster::all_list_all);
    cluster.deaf.insert(3);
    let key = EntryKey::new("a").unwrap();
    cluster.command(1, Command::Put(key, b"1"[..].into(), Terms::default()));
    cluster.crash(3);
    start(&mut cluster, 3, WireVersion::One, &[2]);
    cluster.deaf.clear();
    cluster.run_until(5 * SECOND, Cluster::all_list_all);
    // What goes to an old node can be said in its version, as the cluster asserts of each packet.
    cluster.run(10 * SECOND);
    assert!(cluster.engine(3).entries().is_none());
}

#[test]
fn an_old_node_that_asks_nobody_is_asked_in_its_own_version() {
    let mut cluster = Cluster::new(Config::default());
    cluster.start(1, &[]);
    let old = Config::builder().wire_max(WireVersion::One).swap(Swap::Off);
    cluster.configure(old.build().unwrap());
    cluster.start(2, &[1]);
    cluster.run_until(5 * SECOND, Cluster::all_list_all);
    cluster.run(20 * SECOND);
    cluster.mute.insert(PacketKind::Rumor);
    cluster.publish(2, b"v1");
    cluster.run_until(30 * SECOND, |cluster| cluster.all_hold(b"v1"));
}
