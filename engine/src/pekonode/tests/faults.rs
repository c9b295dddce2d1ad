//! Each fault of pekonode that our node could share with it, by name: it doesn't.

use std::collections::BTreeMap;

use super::cluster::{Cluster, SECOND, addr, config, node};
use super::*;
use crate::core::Version;
use crate::time::UnixNanos;

/// Two lists of ours and of a Go node next to each other, after both heard the same.
fn pair() -> Cluster {
    let mut cluster = Cluster::new(config());
    cluster.start(1, &[]);
    cluster.start_go(2, 2);
    cluster
}

#[test]
fn exponential_copies() {
    let mut cluster = Cluster::of(20, 0);
    let version = cluster.publish(1, b"v");
    cluster.run(SECOND);
    assert_eq!(cluster.sent[&(1, Kind::Publish, version)], 19);
}

#[test]
fn same_swap_partner_for_ever() {
    let mut cluster = Cluster::of(6, 0);
    let mut partners = BTreeMap::new();
    cluster.ours(1).round.clear();
    for _ in 0..20 {
        let mut out = Outbox::new();
        cluster.ours(1).on_swap(&mut out);
        for output in out.drain() {
            let Output::Send { to, packet, .. } = output else { panic!("only a request") };
            assert_eq!(packet.kind, Kind::SwapRequest);
            *partners.entry(to).or_insert(0) += 1;
        }
    }
    // Five partners, each once a round.
    assert_eq!(partners.values().copied().collect::<Vec<_>>(), [4; 5]);
}

#[test]
fn removed_nodes_revived_by_an_old_copy() {
    let mut cluster = pair();
    cluster.packet(1, beat(9));
    assert_eq!(cluster.list(1), [1, 9]);
    cluster.run(7 * SECOND);
    assert!(!cluster.list(1).contains(&9));
    // An old beat, in several copies that come close together.
    for _ in 0..10 {
        cluster.packet(1, beat(9));
        cluster.packet(2, beat(9));
        cluster.run(SECOND / 100);
    }
    assert!(!cluster.list(1).contains(&9), "ours is not fooled");
    assert!(cluster.list(2).contains(&9), "the Go node is");
    // A node that is really back beats again and again.
    cluster.run(SECOND / 2);
    cluster.packet(1, beat(9));
    assert!(cluster.list(1).contains(&9));
}

#[test]
fn changed_private_data_lists_a_node_twice() {
    let mut cluster = pair();
    cluster.run(3 * SECOND);
    let changed = Node::new(addr(9).to_string()).name("n9").private_data("zone=2");
    let mut packet = beat(9);
    for to in [1, 2] {
        cluster.packet(to, packet.clone());
    }
    cluster.run(SECOND);
    packet.node = changed.build().unwrap();
    for to in [1, 2] {
        cluster.packet(to, packet.clone());
    }
    // A late copy of what it said before changes nothing back.
    cluster.packet(1, beat(9));
    assert_eq!(cluster.list(1).iter().filter(|&&at| at == 9).count(), 1);
    assert_eq!(cluster.list(2).iter().filter(|&&at| at == 9).count(), 2, "the Go node's");
    let shown = cluster.ours(1).members().find(|it| it.node().addr() == addr(9)).unwrap();
    assert_eq!(shown.node().private_data(), "zone=2");
}

#[test]
fn a_future_update_wins_for_ever() {
    // Go nodes alone never get rid of one; what one of ours publishes replaces it on all.
    let mut cluster = Cluster::of(2, 2);
    let future = cluster.clock().wall.saturating_add(3_600 * SECOND).0;
    cluster.go(3).metadata = Carried { data: Some((*b"future").into()), update: future };
    assert!(cluster.run_until(20 * SECOND, |cluster| cluster.all_hold(b"future")));
    cluster.publish(4, b"of Go");
    cluster.run(20 * SECOND);
    assert!(cluster.all_hold(b"future"));
    assert_eq!(cluster.publish(2, b"present"), future + 1);
    assert!(cluster.run_until(20 * SECOND, |cluster| cluster.all_hold(b"present")));
    assert_eq!(cluster.ours(1).inspect().stats.versions_ahead, 2, "each is told of");
}

#[test]
fn a_future_update_wins_for_ever_and_no_update_is_too_far_ahead_to_be_replaced() {
    let mut cluster = Cluster::of(2, 0);
    let mut packet = beat(9);
    let latest = cluster.clock().wall.0 + (1 << 61);
    for update in [latest + 1, Version::NANOS_MAX, i64::MAX] {
        packet.metadata = Carried { data: Some((*b"last").into()), update };
        for kind in [Kind::Publish, Kind::SwapAnswer, Kind::SwapRequest] {
            cluster.packet(1, LegacyPacket { kind, ..packet.clone() });
        }
    }
    cluster.run(2 * SECOND);
    assert_eq!(cluster.ours(1).inspect().stats.versions_refused, 9);
    assert!(
        cluster.ours(1).inspect().metadata.is_none()
            && cluster.ours(2).inspect().metadata.is_none()
    );
    packet.metadata.update = latest;
    cluster.packet(1, LegacyPacket { kind: Kind::Publish, ..packet });
    assert!(cluster.run_until(5 * SECOND, |cluster| cluster.all_hold(b"last")));
    assert_eq!(cluster.publish(2, b"present"), latest + 1);
    assert!(cluster.run_until(5 * SECOND, |cluster| cluster.all_hold(b"present")));
}

#[test]
fn equal_update_diverges_for_ever() {
    // Go nodes alone never agree; with one of ours among them they do.
    for ours in [0, 1] {
        let mut cluster = Cluster::of(ours, 4 - ours);
        let update = cluster.clock().wall.0;
        for (at, data) in [(3, *b"a"), (4, *b"b")] {
            cluster.go(at).metadata = Carried { data: Some(data.into()), update };
        }
        let agreed = cluster
            .run_until(20 * SECOND, |cluster| cluster.all_hold(b"a") || cluster.all_hold(b"b"));
        assert_eq!(agreed, ours == 1);
    }
}

#[test]
fn partitions_longer_than_timeout_never_heal() {
    let mut cluster = Cluster::of(6, 0);
    cluster.far_side = [4, 5, 6].into();
    cluster.run(20 * SECOND);
    assert_eq!((cluster.list(1), cluster.list(6)), (vec![1, 2, 3], vec![4, 5, 6]));
    cluster.publish(1, b"v");
    cluster.far_side.clear();
    let limit = cluster.config.redial() + 4 * SECOND;
    assert!(cluster.run_until(limit, Cluster::all_list_all));
    assert!(cluster.run_until(6 * SECOND, |cluster| cluster.all_hold(b"v")));
}

#[test]
fn a_partition_longer_than_redial_for_does_not_heal_without_a_seed_on_the_other_side() {
    for (redial_for, heals) in [(20 * SECOND, false), (600 * SECOND, true)] {
        let config = Config::builder().wire(Wire::Pekonode).redial_for(redial_for);
        let mut cluster = Cluster::new(config.build().unwrap());
        cluster.join(4, 0);
        for node in 1..=4 {
            cluster.command(node, Command::Seeds(Vec::new()));
        }
        cluster.far_side = [3, 4].into();
        cluster.run(60 * SECOND);
        cluster.far_side.clear();
        assert_eq!(cluster.run_until(60 * SECOND, Cluster::all_list_all), heals);
    }
}

#[test]
fn stop_then_start_doubles_beats() {
    let mut cluster = Cluster::of(4, 0);
    for _ in 0..5 {
        cluster.command(1, Command::Stop);
        cluster.command(1, Command::Start);
        cluster.command(1, Command::Start);
    }
    cluster.run(5 * SECOND);
    cluster.sent.clear();
    cluster.run(10 * SECOND);
    let packets = cluster.sent[&(1, Kind::Beat, 0)];
    assert!(packets <= 20 * 3, "{packets} packets of twenty beats to three");
}

#[test]
fn clock_jumps_empty_the_list() {
    let mut cluster = Cluster::of(3, 0);
    for jump in [-3_600_000_000_000, 3_600_000_000_000] {
        for at in 1..=3 {
            let mut now = cluster.clock();
            now.wall = UnixNanos(now.wall.0 + jump);
            let mut out = Outbox::new();
            cluster.ours(at).handle(now, Input::Timeout, &mut out);
        }
        assert!(cluster.all_list_all());
    }
    assert_eq!(cluster.removals(), 0);
}

/// What a Go node calls when it reads such a packet ends its process: a map that is not there.
#[test]
fn no_packet_of_ours_lacks_its_marks() {
    let mut cluster = pair();
    cluster.run(3 * SECOND);
    let engine = cluster.ours(1);
    for kind in [Kind::Beat, Kind::Publish, Kind::SwapRequest, Kind::SwapAnswer] {
        let mut bytes = Vec::new();
        crate::wire::pekonode::encode(&engine.packet(kind, Carried::NONE), &mut bytes);
        let text = String::from_utf8(bytes).unwrap();
        assert!(text.contains(r#""Infected":{"#), "{text}");
    }
}

#[test]
fn a_sleep_removes_nobody() {
    let mut cluster = Cluster::of(2, 0);
    let mut now = cluster.clock();
    now.mono = now.mono + 60 * SECOND;
    let mut out = Outbox::new();
    cluster.ours(1).handle(now, Input::Timeout, &mut out);
    assert_eq!(cluster.ours(1).members_len(), 2);
    assert!(out.drain().any(|output| matches!(output, Output::Event(Event::Woke(_)))));
}

#[test]
fn two_nodes_at_one_address_are_reported_once() {
    let mut cluster = Cluster::of(1, 1);
    let mut packet = beat(1);
    packet.node = Node::new(addr(1).to_string()).name("other").build().unwrap();
    for _ in 0..3 {
        cluster.packet(1, packet.clone());
    }
    let conflicts = cluster.events.iter().filter(|it| matches!(it.1, Event::AddressConflict(_)));
    assert_eq!(conflicts.count(), 1);
    assert_eq!(cluster.list(1), [1, 2]);
    assert_eq!(cluster.ours(1).inspect().me.node(), &node(1));
}
