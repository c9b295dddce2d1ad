//! Coming back from having been taken for dead, sentence by sentence.

use std::time::Duration;

use super::cluster::{Cluster, SECOND, addr};
use super::probes::{counter, records, settled};
use crate::core::packet::{Gone, MembershipUpdate};
use crate::core::{Cause, Event};

/// How often others list a node again that they had removed.
fn returns(cluster: &Cluster, node: u16, by: u16) -> usize {
    let by_it = cluster.events.iter().filter(|it| it.1 == by);
    by_it.filter(|it| matches!(&it.2, Event::Joined(it) if it.node().addr() == addr(node))).count()
}

fn removals(cluster: &Cluster, node: u16, by: u16) -> usize {
    cluster.removals_of(node).iter().filter(|it| it.0 == by).count()
}

#[track_caller]
fn flip_flop(cluster: &mut Cluster, node: u16, times: usize) {
    for _ in 0..times {
        cluster.deaf.insert(node);
        cluster.run(20 * SECOND);
        cluster.deaf.clear();
        cluster.run(20 * SECOND);
    }
}

#[test]
fn who_is_deaf_time_and_again_comes_back_twice_and_then_once_it_hears_for_long() {
    let mut cluster = settled(12);
    flip_flop(&mut cluster, 5, 8);
    for other in (1..=12).filter(|&other| other != 5) {
        let (out, back) = (removals(&cluster, 5, other), returns(&cluster, 5, other));
        assert!(out == 3 && back == 2, "node {other}: removed {out} times, listed again {back}");
    }
    assert!(cluster.events.iter().all(|it| !matches!(it.2, Event::Removed { .. }) || it.1 != 5));
    cluster.run(170 * SECOND);
    cluster.assert_all_list_all();
}

#[test]
fn who_was_taken_for_dead_once_is_back_at_once() {
    let mut cluster = settled(12);
    cluster.deaf.insert(5);
    cluster.run(20 * SECOND);
    assert!(!cluster.engine(1).lists(addr(5)));
    cluster.deaf.clear();
    cluster.run_until(3 * SECOND, Cluster::all_list_all);
}

#[test]
fn ten_minutes_without_a_removal_are_forgiven() {
    let mut cluster = settled(12);
    flip_flop(&mut cluster, 5, 1);
    cluster.run(600 * SECOND);
    cluster.deaf.insert(5);
    cluster.run(20 * SECOND);
    cluster.deaf.clear();
    cluster.run_until(3 * SECOND, Cluster::all_list_all);
}

#[test]
fn a_cut_in_halves_five_times_in_ten_minutes_holds_nobody_back() {
    let mut cluster = settled(12);
    for time in 1..=5 {
        cluster.far_side = (1..=6).collect();
        cluster.run(30 * SECOND);
        assert_eq!(cluster.list(1).len(), 6, "cut for the {time}th time");
        cluster.far_side.clear();
        cluster.run_until(14 * SECOND, Cluster::all_list_all);
        cluster.run(60 * SECOND);
    }
}

#[test]
fn one_observer_alone_may_be_the_sick_one_and_holds_nobody_back() {
    let mut cluster = settled(12);
    for _ in 0..4 {
        let gone = Gone {
            addr: addr(5),
            generation: cluster.engine(5).me().generation(),
            counter: counter(&mut cluster, 5, 5),
            cause: Cause::Timeout,
        };
        let before = gone.counter;
        cluster.body(5, 1, records(MembershipUpdate::from(gone)));
        cluster.run(Duration::from_secs(3));
        assert!(counter(&mut cluster, 5, 5) > before, "it says that it lives");
        cluster.run(20 * SECOND);
    }
}
