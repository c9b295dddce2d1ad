//! Our node among Go nodes: what it learns, what it costs, and that it shares none of their faults.

mod cluster;
mod faults;
mod go;
#[cfg(feature = "net")]
mod tcp;

use std::sync::Arc;

use super::*;
use crate::config::{Config, Wire};
use crate::core::{Command, Event, Input, Outbox, Output, Protocol as _};
use crate::node::Node;
use crate::rng::Probability;
use cluster::{Cluster, Member, SECOND, addr, config, node};

/// Packets that one beat costs among this many Go nodes that all list each other.
fn packets_of_one_go_beat(nodes: u16) -> usize {
    let mut cluster = Cluster::new(config());
    for at in 1..=nodes {
        cluster.start_go(at, 1);
    }
    let now = cluster.clock();
    for at in 1..=nodes {
        for other in 1..=nodes {
            cluster.go(at).set(now, &node(other));
        }
    }
    let before = cluster.sent.len();
    assert_eq!(before, 0);
    cluster.publish(1, b"v");
    cluster.run(SECOND / 1_000);
    // Only what the one rumor sets off: nobody's cycle has come.
    for member in cluster.members.values_mut() {
        if let Member::Go(_, next) = member {
            *next = *next + 60 * SECOND;
        }
    }
    cluster.run(2 * SECOND);
    cluster.sent.iter().filter(|((_, kind, _), _)| *kind == Kind::Publish).map(|it| it.1).sum()
}

#[test]
fn the_go_nodes_of_these_tests_cost_what_go_nodes_cost() {
    assert_eq!(packets_of_one_go_beat(10), 39);
    assert_eq!(packets_of_one_go_beat(20), 1_821);
}

/// Metadata from each side reaches all at once, and a rumor of ours costs at most n + 1 packets.
fn holds_among(ours: u16, go: u16) {
    let mut cluster = Cluster::of(ours, go);
    let nodes = ours + go;
    assert!(cluster.all_list_all(), "{ours} of ours among {go}");
    for from in [1, nodes, ours, ours.max(nodes - 1)] {
        let data = format!("by {from} at {}", cluster.now);
        let version = cluster.publish(from, data.as_bytes());
        let took = cluster.run_until(SECOND / 2, |cluster| cluster.all_hold(data.as_bytes()));
        assert!(took, "{data}: {ours} of ours among {go}");
        cluster.run(SECOND);
        let packets = cluster.sent[&(from, Kind::Publish, version)];
        if from <= ours {
            assert!(packets <= usize::from(nodes) + 1, "{packets} packets of {from}");
        }
    }
    assert!(cluster.all_list_all());
    assert_eq!(cluster.removals(), 0);
}

#[test]
fn one_of_ours_among_nineteen_go_nodes_is_a_full_member() {
    holds_among(1, 19);
}

#[test]
fn ten_of_ours_among_ten_go_nodes_are_full_members() {
    holds_among(10, 10);
}

#[test]
fn over_tcp_ten_of_ours_among_ten_go_nodes_are_full_members_as_well() {
    let mut cluster = Cluster::new(config());
    cluster.trips = 3;
    cluster.join(10, 10);
    assert!(cluster.all_list_all());
    for from in [1, 20] {
        let data = format!("by {from}");
        let version = cluster.publish(from, data.as_bytes());
        assert!(cluster.run_until(SECOND / 2, |cluster| cluster.all_hold(data.as_bytes())));
        cluster.run(SECOND);
        assert!(from == 20 || cluster.sent[&(from, Kind::Publish, version)] <= 21);
    }
    assert_eq!(cluster.removals(), 0);
}

#[test]
fn twenty_of_ours_need_no_go_node() {
    holds_among(20, 0);
}

#[test]
fn a_beat_of_ours_costs_as_many_packets_as_there_are_others() {
    for (ours, go) in [(1, 19), (10, 10), (20, 0)] {
        let mut cluster = Cluster::of(ours, go);
        cluster.sent.clear();
        cluster.run(10 * SECOND);
        let packets = cluster.sent[&(1, Kind::Beat, 0)];
        // Twice a cycle, give or take a twentieth.
        assert!((18 * 19..=20 * 19).contains(&packets), "{packets} in ten cycles, {ours} + {go}");
    }
}

#[test]
fn ours_calm_what_go_nodes_say() {
    let cost = |ours, go| {
        let mut cluster = Cluster::of(ours, go);
        let version = cluster.publish(ours + go, b"v");
        cluster.run(SECOND);
        cluster.sent[&(ours + go, Kind::Publish, version)]
    };
    // Among Go nodes alone it is 1,821.
    let (one, half) = (cost(1, 19), cost(10, 10));
    assert!((900..1_821).contains(&one), "{one}");
    assert!(half < 200, "{half}");
}

#[test]
fn at_a_twentieth_of_loss_nobody_is_removed_and_metadata_arrives() {
    let mut cluster = Cluster::of(10, 10);
    cluster.loss = Probability::from_ppb(50_000_000);
    cluster.publish(1, b"ours");
    assert!(cluster.run_until(20 * SECOND, |cluster| cluster.all_hold(b"ours")));
    cluster.publish(20, b"theirs");
    assert!(cluster.run_until(20 * SECOND, |cluster| cluster.all_hold(b"theirs")));
    cluster.run(20 * SECOND);
    assert_eq!(cluster.removals(), 0);
}

#[test]
fn a_crash_is_removed_after_the_timeout() {
    let mut cluster = Cluster::of(3, 3);
    cluster.members.remove(&6);
    cluster.members.remove(&3);
    assert!(cluster.run_until(7 * SECOND, |cluster| cluster.list(1) == [1, 2, 4, 5]));
    assert_eq!(cluster.list(2), [1, 2, 4, 5]);
}

#[test]
fn a_stopped_node_is_removed_by_all_and_listed_again_when_it_starts() {
    let mut cluster = Cluster::of(3, 3);
    cluster.command(2, Command::Stop);
    cluster.go(6).is_stopped = true;
    // A stopped Go node answers last calls, which gains it nothing.
    cluster.run(4 * SECOND);
    assert!((1..=3).all(|at| cluster.list(at) == [1, 2, 3, 4, 5, 6]));
    let gone = |cluster: &Cluster| [1, 3, 4].iter().all(|&at| cluster.list(at) == [1, 3, 4, 5]);
    assert!(cluster.run_until(3 * SECOND / 2, gone), "a timeout, and a quarter of a cycle");
    assert!(cluster.run_until(SECOND, |cluster| cluster.list(5) == [1, 3, 4, 5]));
    // It still takes metadata and passes it on.
    cluster.publish(1, b"v");
    cluster.command(2, Command::Start);
    cluster.go(6).is_stopped = false;
    assert!(cluster.run_until(12 * SECOND, Cluster::all_list_all));
    assert!(cluster.run_until(20 * SECOND, |cluster| cluster.all_hold(b"v")));
}

#[test]
fn a_silent_go_node_gets_a_request_that_it_answers_whatever_it_holds() {
    let mut cluster = Cluster::of(1, 1);
    cluster.go(2).is_stopped = true;
    cluster.run(4 * SECOND);
    assert!(cluster.sent.contains_key(&(1, Kind::SwapRequest, -1)));
    assert!(cluster.sent.contains_key(&(2, Kind::SwapAnswer, 0)));
}

#[test]
fn a_last_call_draws_a_beat_from_one_of_ours_that_runs_and_nothing_from_one_that_stopped() {
    let mut cluster = Cluster::of(2, 0);
    for (command, beats) in [(Command::Stop, 0), (Command::Start, 1)] {
        cluster.command(2, command);
        cluster.sent.clear();
        let engine = cluster.ours(1);
        let call = engine.packet(Kind::SwapRequest, Carried::NEVER);
        cluster.packet(2, call);
        let sent = |kind| cluster.sent.get(&(2, kind, 0)).copied().unwrap_or(0);
        assert_eq!((sent(Kind::SwapAnswer), sent(Kind::Beat)), (beats, beats));
    }
}

#[test]
fn at_three_tenths_of_loss_none_of_twenty_of_ours_is_removed() {
    let mut cluster = Cluster::of(20, 0);
    cluster.loss = Probability::from_ppb(300_000_000);
    cluster.run(30 * SECOND);
    assert_eq!(cluster.removals(), 0);
}

#[test]
fn a_packet_with_another_key_is_counted_and_changes_nothing() {
    let mut cluster = Cluster::new(config());
    cluster.start(1, &[]);
    let mut packet = beat(2);
    packet.secret_key = SecretDigest::of(b"other");
    cluster.packet(1, packet);
    assert_eq!(cluster.ours(1).inspect().stats.keys_wrong, 1);
    assert_eq!(cluster.list(1), [1]);
}

#[test]
fn a_list_that_packets_have_no_room_for_is_refused_with_an_event() {
    let mut cluster = Cluster::new(config());
    cluster.start(1, &[]);
    for other in 10_000..11_000 {
        cluster.packet(1, beat(other));
    }
    let members = cluster.ours(1).members_len();
    assert!((650..720).contains(&members), "{members}");
    let told: Vec<_> = cluster
        .events
        .iter()
        .filter(|(_, event)| matches!(event, Event::ClusterTooLarge { .. }))
        .collect();
    assert_eq!(told, [&(1, Event::ClusterTooLarge { members, size: 16_384 })]);
    assert_eq!(cluster.ours(1).inspect().stats.records_over_limit, 1_001 - members as u64);
    // What it then sends still fits, with metadata as well.
    cluster.publish(1, &[7; 5_000]);
    cluster.run(5 * SECOND);
    assert_eq!(cluster.ours(1).inspect().stats.packets_too_large, 0);
}

#[test]
fn a_value_without_room_for_marks_is_handed_over_directly() {
    let config = Config::builder().wire(Wire::Pekonode).size(8_192).build().unwrap();
    let value = vec![7; config.value_len_max()];
    let mut cluster = Cluster::new(config);
    for at in 1..=60 {
        cluster.start(10_000 + at, &[10_001]);
    }
    cluster.run(10 * SECOND);
    let name = Arc::clone(cluster.ours(10_002).inspect().me);
    assert_eq!(name.node().name(), "n10002");
    cluster.publish(10_002, &value);
    assert!(cluster.run_until(SECOND, |cluster| cluster.all_hold(&value)));
}

fn beat(of: u16) -> LegacyPacket {
    LegacyPacket {
        node: node(of),
        infected: [mark(addr(of)), mark(addr(1))].into(),
        metadata: Carried::NONE,
        kind: Kind::Beat,
        secret_key: SecretDigest::default(),
    }
}
