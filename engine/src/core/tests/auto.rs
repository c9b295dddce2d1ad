//! Asking who lives, and beating for those who go by beats, sentence by sentence.

use std::time::Duration;

use super::cluster::{Cluster, SECOND};
use super::probes::settled;
use crate::config::{Config, Liveness};
use crate::core::{Event, PacketKind};
use crate::rng::Probability;

const TIMEOUT: Duration = Duration::from_secs(5);

fn config(liveness: Liveness) -> Config {
    Config::builder().liveness(liveness).build().expect("valid settings")
}

fn removals(cluster: &Cluster) -> usize {
    cluster.events.iter().filter(|it| matches!(it.2, Event::Removed { .. })).count()
}

fn sent(cluster: &Cluster, kind: PacketKind) -> usize {
    cluster.sent.get(&kind).copied().unwrap_or(0)
}

/// Has nodes started again, one after another, with another way to find out who lives.
#[track_caller]
fn roll(cluster: &mut Cluster, nodes: std::ops::RangeInclusive<u16>, to: Liveness) {
    cluster.configure(config(to));
    for node in nodes {
        cluster.crash(node);
        cluster.start(node, &[1, 2]);
        cluster.run(2 * SECOND);
    }
}

#[test]
fn where_all_ask_nobody_beats() {
    let mut cluster = Cluster::of(10, config(Liveness::Auto));
    cluster.run(5 * SECOND);
    cluster.sent.clear();
    cluster.run(100 * SECOND);
    assert_eq!(sent(&cluster, PacketKind::Bulk) + sent(&cluster, PacketKind::LastCall), 0);
    assert!((970..=1_030).contains(&sent(&cluster, PacketKind::Probe)));
}

#[test]
fn a_rolling_change_between_beats_and_asking_removes_nobody_either_way() {
    for (from, to) in [(Liveness::Beats, Liveness::Auto), (Liveness::Auto, Liveness::Beats)] {
        let mut cluster = Cluster::of(20, config(from));
        cluster.run(10 * SECOND);
        cluster.events.clear();
        roll(&mut cluster, 1..=10, to);
        cluster.run(12 * TIMEOUT);
        roll(&mut cluster, 11..=20, to);
        cluster.run(12 * TIMEOUT);
        assert_eq!(removals(&cluster), 0, "from {from} to {to}: {}", cluster.state());
        cluster.assert_all_list_all();
    }
}

#[test]
fn who_asks_beats_as_long_as_a_member_goes_by_beats_and_ten_timeouts_more() {
    let mut cluster = Cluster::of(10, config(Liveness::Beats));
    roll(&mut cluster, 1..=5, Liveness::Auto);
    cluster.run(2 * TIMEOUT);
    cluster.sent.clear();
    cluster.run(10 * TIMEOUT);
    let calls = sent(&cluster, PacketKind::LastCall);
    assert!(calls < 50, "{calls} last calls to those who beat");
    for node in 6..=10 {
        cluster.crash(node);
    }
    cluster.run(12 * TIMEOUT);
    cluster.sent.clear();
    cluster.run(10 * TIMEOUT);
    assert_eq!(sent(&cluster, PacketKind::Bulk), 0, "nobody goes by beats any more");
}

#[test]
fn a_member_is_asked_three_times_before_others_are() {
    let mut cluster = settled(8);
    cluster.crash(8);
    let asked = |cluster: &Cluster| {
        let to_it = |it: &&(_, _)| **it == (super::cluster::addr(8), PacketKind::Probe);
        cluster.log.iter().filter(to_it).count()
    };
    cluster.run_until(3 * SECOND, |cluster| cluster.sent.contains_key(&PacketKind::PingReq));
    // The fourth goes by stream, with the requests to others.
    assert!(asked(&cluster) >= 4, "asked {} times", asked(&cluster));
}

#[test]
fn asking_three_times_keeps_loss_from_being_taken_for_silence() {
    let mut cluster = settled(10);
    cluster.loss = Probability::from_ppb(50_000_000);
    cluster.run(200 * SECOND);
    let (asked, requests) =
        (sent(&cluster, PacketKind::Probe), sent(&cluster, PacketKind::PingReq));
    // With one time each tenth probe would be lost or its answer, and three requests follow.
    assert!(requests * 50 < asked, "{requests} requests to others for {asked} probes");
}

#[test]
fn where_two_are_suspected_all_are_asked_at_once() {
    let mut cluster = settled(60);
    for node in [9, 21, 33, 45] {
        cluster.crash(node);
    }
    let of_all = |cluster: &mut Cluster| removals(cluster) == 4 * 56;
    let took = cluster.run_until(3 * TIMEOUT, of_all);
    // The last of four would else be found out about two cycles after the first.
    assert!(took < TIMEOUT, "{took:?}");
}

#[test]
fn who_answers_the_call_after_an_outage_and_holds_something_else_is_swapped_with() {
    for round in 0..20 {
        let mut cluster = Cluster::of(4, Config::default());
        cluster.run(SECOND / 7 * round);
        cluster.publish_silently(2, b"v");
        cluster.loss = Probability::ONE;
        cluster.run(3 * SECOND);
        cluster.loss = Probability::ZERO;
        let took = cluster.run_until(10 * SECOND, |it| it.all_hold(b"v"));
        assert!(took < SECOND, "{took:?}");
    }
}
