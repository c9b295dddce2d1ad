//! Metadata: one value, told once to each, the larger version wins.

use super::cluster::{Cluster, SECOND};
use crate::config::{Config, Swap};
use crate::core::packet::{Body, Subject};
use crate::core::{Agreement, Event, Metadata, PacketKind, Reach, Value};
use crate::node::NodeId;
use crate::rng::Probability;
use crate::time::UnixNanos;

#[track_caller]
fn metadata(data: &[u8], nanos: i64) -> Metadata {
    let value = Value::new(data, &Config::default()).unwrap();
    Metadata::publish(value, None, NodeId(1), UnixNanos(nanos)).unwrap()
}

fn rumor(metadata: Metadata) -> Body {
    super::cluster::rumor(Subject::Metadata(metadata))
}

fn rumors(cluster: &Cluster) -> usize {
    cluster.sent.get(&PacketKind::Rumor).copied().unwrap_or(0)
}

#[test]
fn a_publish_is_told_to_each_node_once_in_a_few_hops() {
    let mut cluster = Cluster::of(100, Config::builder().fan_out(8).build().unwrap());
    // By then each has heard of the others from two sides, and knows how long answers take.
    cluster.run(13 * SECOND);
    let before = rumors(&cluster);
    cluster.publish(42, b"v1");
    let took = cluster.run_until(SECOND, |cluster| cluster.all_hold(b"v1"));
    assert_eq!(rumors(&cluster) - before, 99);
    assert!(took < SECOND * 3 / 100, "three hops of at most 10 ms, not {took:?}");
}

#[test]
fn two_that_publish_at_once_end_with_the_larger_version_everywhere() {
    let mut cluster = Cluster::of(30, Config::default());
    cluster.publish(1, b"one");
    cluster.publish(2, b"two");
    let larger = (1..=2).max_by_key(|&node| cluster.engine(node).metadata().unwrap().version());
    let winner: &[u8] = if larger == Some(1) { b"one" } else { b"two" };
    cluster.run_until(3 * SECOND, |cluster| cluster.all_hold(winner));
    cluster.run(3 * SECOND);
    cluster.assert_all_hold(winner);
}

#[test]
fn what_the_rumor_missed_the_swap_repairs() {
    let mut cluster = Cluster::of(30, Config::default());
    cluster.loss = Probability::from_ppb(500_000_000);
    cluster.publish(1, b"v1");
    cluster.run(SECOND / 10);
    cluster.loss = Probability::ZERO;
    assert!(!cluster.all_hold(b"v1"));
    cluster.run_until(6 * SECOND, |cluster| cluster.all_hold(b"v1"));
}

#[test]
fn both_sides_of_a_partition_agree_after_it() {
    let mut cluster = Cluster::of(10, Config::default());
    cluster.far_side = (1..=5).collect();
    cluster.publish(1, b"left");
    cluster.run(SECOND);
    cluster.publish(10, b"right");
    cluster.run(20 * SECOND);
    assert_eq!(cluster.data(2).unwrap(), b"left");
    cluster.far_side.clear();
    cluster.run_until(13 * SECOND, |cluster| cluster.all_hold(b"right"));
}

#[test]
fn a_newcomer_learns_the_metadata() {
    let mut cluster = Cluster::of(5, Config::default());
    cluster.publish(1, b"v1");
    cluster.run(SECOND);
    cluster.start(6, &[3]);
    cluster.run_until(SECOND / 2, |cluster| cluster.all_hold(b"v1"));
}

#[test]
fn an_older_version_than_the_held_one_is_not_passed_on() {
    let mut cluster = Cluster::of(5, Config::default());
    cluster.publish(1, b"new");
    cluster.run(SECOND);
    let before = rumors(&cluster);
    cluster.body(1, 2, rumor(metadata(b"old", 5)));
    cluster.run(SECOND);
    assert_eq!(rumors(&cluster), before);
    cluster.assert_all_hold(b"new");
}

#[test]
fn a_rumor_delivered_twice_is_shared_out_once() {
    let mut cluster = Cluster::of(5, Config::builder().swap(Swap::Off).build().unwrap());
    let before = rumors(&cluster);
    let news = metadata(b"v1", 5);
    cluster.body(1, 2, rumor(news.clone()));
    let once = rumors(&cluster);
    cluster.body(1, 2, rumor(news));
    assert!(once > before);
    assert_eq!(rumors(&cluster), once);
}

#[test]
fn a_value_that_a_swap_brought_first_is_still_passed_on_along_its_arc() {
    let mut cluster = Cluster::of(5, Config::builder().swap(Swap::Off).build().unwrap());
    let news = metadata(b"v1", 5);
    cluster.body(1, 2, Body::Value(news.clone()));
    cluster.body(2, 1, Body::Value(news.clone()));
    cluster.body(1, 2, rumor(news));
    cluster.run_until(SECOND, |cluster| cluster.all_hold(b"v1"));
}

#[test]
fn with_a_secret_values_about_as_long_as_a_datagram_leave_room_for_the_seal() {
    let config = Config::builder().size(1_000).secret_key("secret").build().unwrap();
    let mut cluster = Cluster::of(20, config);
    // Of every datagram the cluster asserts that it fits beside its seal; longer ones go by stream.
    for len in (800..=1_000).step_by(10) {
        cluster.publish(1, &vec![7; len]);
        cluster.run_until(3 * SECOND, |cluster| cluster.all_hold(&vec![7; len]));
    }
    cluster.assert_all_list_all();
}

#[test]
fn a_value_that_was_corrupted_in_memory_is_found_within_a_minute_and_repaired_from_a_peer() {
    let mut cluster = Cluster::of(5, Config::default());
    cluster.publish(1, b"sound");
    cluster.run(SECOND);
    let version = cluster.engine(3).metadata().unwrap().version();
    corrupt(&mut cluster, b"sounb");
    cluster.run_until(62 * SECOND, |cluster| {
        cluster.events.iter().any(|event| event.2 == Event::Corrupted(version))
    });
    cluster.run_until(2 * SECOND, |cluster| cluster.all_hold(b"sound"));
    assert_eq!(cluster.engine(3).stats().values_corrupted, 1);
    // It is watched on.
    corrupt(&mut cluster, b"");
    cluster.run(64 * SECOND);
    cluster.assert_all_hold(b"sound");
}

#[test]
fn agreement_counts_the_members_that_last_reported_the_same() {
    let mut cluster = Cluster::of(4, Config::default());
    cluster.run(4 * SECOND);
    let all = Agreement { peers: 3, same: 3, reach: Reach::Others };
    assert_eq!(cluster.engine(1).agreement(), all);
    assert!(all.is_full() && !Agreement::default().is_full());
    cluster.publish(1, b"new");
    // Until it swaps again nobody is known to hold it.
    assert_eq!(cluster.engine(1).agreement(), Agreement { same: 0, ..all });
    cluster.run(5 * SECOND);
    assert_eq!(cluster.engine(1).agreement(), all);
    cluster.crash(4);
    cluster.run(8 * SECOND);
    assert_eq!(cluster.engine(1).agreement().peers, 2, "who is not listed does not count");
}

/// Has the memory of node 3 hold other bytes of its value.
fn corrupt(cluster: &mut Cluster, bytes: &[u8]) {
    let now = cluster.clock();
    cluster.engine(3).with(now, |cx| {
        let held = cx.metadata.take().expect("it holds one");
        *cx.metadata = Some(held.corrupted(bytes));
    });
}
