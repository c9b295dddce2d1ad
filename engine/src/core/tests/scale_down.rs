//! Many that fall silent at once, and the few among them that live.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::cluster::{Cluster, SECOND, addr, judging, record};
use crate::config::Liveness;
use crate::core::{Event, PacketKind, Record};
use crate::rng::Probability;

const TIMEOUT: Duration = Duration::from_secs(5);
const MANY: u16 = 300;

/// So many live nodes that list each other and the rest of a large cluster, which is dead.
fn left_over(live: u16, liveness: Liveness) -> Cluster {
    left_over_of(MANY, live, liveness)
}

#[track_caller]
fn left_over_of(nodes: u16, live: u16, liveness: Liveness) -> Cluster {
    let config = judging().liveness(liveness).build().unwrap();
    let mut cluster = Cluster::new(config);
    (1..=live).for_each(|node| cluster.start(node, &[]));
    let living = (1..=live).map(|node| Arc::clone(cluster.engine(node).me())).collect::<Vec<_>>();
    let dead = (live + 1..=nodes).map(record);
    let all: Vec<Arc<Record>> = living.iter().cloned().chain(dead).collect();
    (1..=live).for_each(|node| cluster.restore(node, &all));
    cluster.events.clear();
    cluster
}

fn removed(cluster: &Cluster) -> BTreeMap<u16, usize> {
    let mut removed = BTreeMap::new();
    for (_, by, event) in &cluster.events {
        if let Event::Removed { .. } = event {
            *removed.entry(*by).or_default() += 1;
        }
    }
    removed
}

/// The few list each other and nobody else in time, and never removed each other.
#[track_caller]
fn assert_the_few_stay(liveness: Liveness, loss: u64, limit: Duration) {
    let mut cluster = left_over(5, liveness);
    cluster.loss = Probability::from_ppb(loss);
    cluster.run_until(limit, Cluster::all_list_all);
    let wrong: Vec<_> = (1..=5).flat_map(|node| cluster.removals_of(node)).collect();
    assert_eq!(wrong, [], "removals of the living, among nodes by {liveness}");
}

#[test]
fn the_few_that_live_are_not_removed_with_the_many_that_crashed() {
    assert_the_few_stay(Liveness::Beats, 0, TIMEOUT + SECOND / 2);
    assert_the_few_stay(Liveness::Probes, 0, TIMEOUT + 2 * SECOND);
}

#[test]
fn nor_where_packets_get_lost() {
    assert_the_few_stay(Liveness::Beats, 200_000_000, TIMEOUT + SECOND / 2);
    assert_the_few_stay(Liveness::Probes, 50_000_000, TIMEOUT + 4 * SECOND);
}

/// To how many each node sent a packet of a kind how often, in a time.
#[track_caller]
fn calls(cluster: &mut Cluster, kind: PacketKind, time: Duration) -> BTreeMap<u16, usize> {
    cluster.log.clear();
    cluster.run(time);
    let mut calls = BTreeMap::new();
    for (to, _) in cluster.log.iter().filter(|it| it.1 == kind) {
        *calls.entry(to.port()).or_default() += 1;
    }
    calls
}

#[test]
fn when_many_fall_silent_each_is_called_twice_before_any_is_removed_and_no_flood_comes_of_it() {
    let mut cluster = left_over(1, Liveness::Beats);
    let mut calls_in = |time| calls(&mut cluster, PacketKind::LastCall, time);
    assert!(calls_in(TIMEOUT * 3 / 5 - SECOND / 100).is_empty(), "nobody is called before");
    let mut sum = BTreeMap::new();
    for look in 0..40 {
        let calls = calls_in(SECOND / 20);
        let count: usize = calls.values().sum();
        assert!(count <= usize::from(MANY) / 8 + 76, "{count} calls in look {look}");
        calls.into_iter().for_each(|(to, count)| *sum.entry(to).or_default() += count);
    }
    let all: usize = sum.values().sum();
    assert!(all < 3 * usize::from(MANY), "{all} calls of one node");
    let least = (2..=MANY).map(|node| sum.get(&node).copied().unwrap_or(0)).min();
    assert_eq!(least, Some(2), "the least calls of one before its time was over");
    assert!(removed(&cluster).is_empty());
    cluster.run(SECOND / 2);
    assert_eq!(removed(&cluster), BTreeMap::from([(1, usize::from(MANY) - 1)]));
}

#[test]
fn among_many_suspects_too_each_is_called_twice_before_any_is_removed() {
    let mut cluster = left_over(1, Liveness::Probes);
    cluster.log.clear();
    cluster.run_until(TIMEOUT + 2 * SECOND, |cluster| !removed(cluster).is_empty());
    let probes =
        |node: u16| cluster.log.iter().filter(|it| **it == (addr(node), PacketKind::Probe)).count();
    let least = (2..=MANY).map(probes).min();
    assert!(least >= Some(2), "{least:?} probes of one that was removed");
    let all: usize = (2..=MANY).map(probes).sum();
    assert!(all < 4 * usize::from(MANY), "{all} probes of one node");
}

#[test]
fn where_half_of_the_nodes_died_probes_find_all_of_them_at_once() {
    let mut cluster = left_over_of(100, 50, Liveness::Probes);
    cluster.run_until(TIMEOUT + 2 * SECOND, Cluster::all_list_all);
    let wrong: usize = (1..=50).map(|node| cluster.removals_of(node).len()).sum();
    assert_eq!(wrong, 0, "removals of the living");
}

#[test]
fn after_a_failed_probe_another_shows_at_once_whether_many_are_silent() {
    let mut cluster = left_over(1, Liveness::Probes);
    cluster.run_until(SECOND, |cluster| !cluster.log.is_empty());
    cluster.run(SECOND * 3 / 2);
    let probed = (2..=MANY).filter(|&node| cluster.log.contains(&(addr(node), PacketKind::Probe)));
    let probed = probed.count();
    assert!(probed > 100, "{probed} were asked a cycle and a half after the first");
}

#[test]
fn those_are_called_first_who_were_heard_of_last() {
    let mut cluster = left_over(1, Liveness::Beats);
    cluster.run(SECOND);
    // As many again, of whom the node heard a second later.
    let later: Vec<_> = (MANY + 1..=2 * MANY).map(record).collect();
    cluster.restore(1, &later);
    cluster.asleep.insert(1);
    cluster.run(60 * SECOND);
    cluster.log.clear();
    cluster.asleep.clear();
    cluster.run(SECOND / 20);
    let called = cluster.log.iter().filter(|it| it.1 == PacketKind::LastCall);
    let called: Vec<_> = called.map(|it| it.0.port()).collect();
    assert!(called.len() >= 64, "{} calls", called.len());
    let earlier = called.iter().filter(|&&node| node <= MANY).count();
    assert_eq!(earlier, 0, "of {} calls", called.len());
}

#[test]
fn while_many_are_silent_those_are_told_first_who_are_known_to_live() {
    let mut cluster = left_over(5, Liveness::Beats);
    cluster.run(TIMEOUT * 4 / 5);
    cluster.log.clear();
    cluster.run(SECOND / 2);
    let bulk: Vec<_> = cluster.log.iter().filter(|it| it.1 == PacketKind::Bulk).collect();
    let living = bulk.iter().filter(|it| it.0.port() <= 5).count();
    assert!(living * 10 > bulk.len() * 9, "{living} of {} to the living", bulk.len());
}

#[test]
fn those_who_live_are_told_first_only_where_most_are_silent_lest_they_part_into_circles() {
    let awake_among = |nodes, live| {
        let mut cluster = left_over_of(nodes, live, Liveness::Beats);
        cluster.run(TIMEOUT * 4 / 5);
        let (now, mut awake) = (cluster.clock(), Vec::new());
        cluster.engine(1).with(now, |cx| awake = cx.pick_awake(usize::from(nodes)));
        awake.len()
    };
    assert_eq!(awake_among(50, 30), 0, "of 50 nodes 20 are silent: many, but not most");
    assert_eq!(awake_among(50, 5), 4, "of 50 nodes 45 are silent, and four others live");
}

#[test]
fn a_silent_one_is_called_eight_times_at_least_before_its_time_is_over_however_long_a_cycle_is() {
    let config =
        judging().liveness(Liveness::Beats).cycle(2 * SECOND).timeout(TIMEOUT).build().unwrap();
    let mut cluster = Cluster::of(2, config);
    cluster.run(5 * SECOND);
    cluster.crash(2);
    cluster.log.clear();
    cluster.run_until(2 * TIMEOUT, |cluster| !removed(cluster).is_empty());
    let calls = cluster.log.iter().filter(|it| **it == (addr(2), PacketKind::LastCall)).count();
    assert!((8..=11).contains(&calls), "{calls} calls in two fifths of the timeout");
}
