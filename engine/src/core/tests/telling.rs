//! Telling along arcs: acknowledged, handed over, told again, each node once.

use std::sync::Arc;
use std::time::Duration;

use super::cluster::{Cluster, SECOND, addr, place, rumor, rumor_along};
use crate::config::{Config, Liveness, Swap};
use crate::core::packet::{Body, Kept, RingArc, RumorAck, Subject, Token, ViewDigest};
use crate::core::{AgeStep, Input, Metadata, Output, Packet, PacketKind, Record, Stats, Value};
use crate::metrics::Histogram;
use crate::node::NodeId;
use crate::rng::Probability;
use crate::time::UnixNanos;

pub(super) const MS: Duration = Duration::from_millis(1);

/// Nothing repairs what a rumor misses.
#[track_caller]
pub(super) fn alone(fan_out: u16) -> Config {
    let config = Config::builder().fan_out(fan_out).swap(Swap::Off).liveness(Liveness::Off);
    config.ack_timeout(21 * MS).build().unwrap()
}

/// Nodes that list each other from the start, but for those that `unknown` names.
#[track_caller]
pub(super) fn listing(nodes: u16, config: Config, unknown: impl Fn(u16, u16) -> bool) -> Cluster {
    let mut cluster = Cluster::new(config);
    (1..=nodes).for_each(|node| cluster.start(node, &[]));
    let records: Vec<Arc<Record>> =
        (1..=nodes).map(|node| Arc::clone(cluster.engine(node).me())).collect();
    for node in 1..=nodes {
        let known = (1..=nodes).filter(|&other| other != node && !unknown(node, other));
        let known: Vec<_> =
            known.map(|other| Arc::clone(&records[usize::from(other) - 1])).collect();
        cluster.restore(node, &known);
    }
    // What they have to say of each other is said.
    cluster.run(SECOND);
    cluster.sent.clear();
    cluster.log.clear();
    cluster
}

pub(super) fn full(nodes: u16, fan_out: u16) -> Cluster {
    listing(nodes, alone(fan_out), |_, _| false)
}

fn sent(cluster: &Cluster, kind: PacketKind) -> usize {
    cluster.sent.get(&kind).copied().unwrap_or(0)
}

#[track_caller]
pub(super) fn metadata(data: &[u8], nanos: i64) -> Subject {
    let value = Value::new(data, &Config::default()).unwrap();
    Subject::Metadata(Metadata::publish(value, None, NodeId(1), UnixNanos(nanos)).unwrap())
}

pub(super) fn packet(body: Body) -> Packet {
    Packet::new(AgeStep(25_000), body)
}

/// The rumors among outputs, with whom they go to, and the acknowledgements.
pub(super) fn told(outputs: &[Output]) -> (Vec<u16>, Vec<RumorAck>) {
    let (mut rumors, mut acks) = (Vec::new(), Vec::new());
    for output in outputs {
        if let Output::Send { to, packet, .. } = output {
            match &packet.body {
                Body::Rumor(_) => rumors.push(to.port()),
                Body::RumorAck(ack) => acks.push(ack.clone()),
                _ => {}
            }
        }
    }
    (rumors, acks)
}

/// The rumors among outputs: to whom, for which arc, of what.
pub(super) fn rumors(outputs: &[Output]) -> Vec<(u16, RingArc, Subject)> {
    let rumor = |output: &Output| match output {
        Output::Send { to, packet, .. } => match &packet.body {
            Body::Rumor(rumor) => Some((to.port(), rumor.arc, rumor.topic.clone())),
            _ => None,
        },
        Output::Event(_) | Output::Answer(_) | Output::Flush => None,
    };
    outputs.iter().filter_map(rumor).collect()
}

#[test]
fn without_loss_each_is_told_once_and_acknowledges_once() {
    for nodes in [2, 3, 5, 50] {
        for fan_out in [1, 2, 3, 8] {
            let mut cluster = full(nodes, fan_out);
            cluster.publish(1, b"v1");
            cluster.run_until(2 * SECOND, |cluster| cluster.all_hold(b"v1"));
            cluster.run(SECOND);
            let others = usize::from(nodes) - 1;
            let counted =
                [PacketKind::Rumor, PacketKind::RumorAck].map(|kind| sent(&cluster, kind));
            assert_eq!(counted, [others; 2], "{nodes} nodes, fan-out {fan_out}");
        }
    }
}

#[test]
fn a_receiver_acknowledges_in_the_same_call_in_which_it_tells_others() {
    let mut cluster = full(10, 3);
    let outputs = cluster.outputs(1, 2, packet(rumor(metadata(b"v1", 5))));
    let (rumors, acks) = told(&outputs);
    assert!(rumors.len() >= 3 && !rumors.contains(&2), "{rumors:?}");
    assert_eq!(acks, [RumorAck { token: Token(7), known: vec![], kept: Kept::All }]);
}

#[test]
fn a_duplicate_is_acknowledged_and_not_told_again() {
    let mut cluster = full(10, 3);
    let news = metadata(b"v1", 5);
    cluster.outputs(1, 2, packet(rumor(news.clone())));
    let (rumors, acks) = told(&cluster.outputs(1, 2, packet(rumor(news))));
    assert_eq!((rumors.len(), acks.len()), (0, 1));
}

#[test]
fn what_was_handed_to_the_sender_of_a_duplicate_comes_back() {
    let mut cluster = full(10, 1);
    let news = metadata(b"v1", 5);
    let first = rumors(&cluster.outputs(1, 2, packet(rumor(news.clone()))));
    let on = |arc: RingArc| (3..=10).filter(move |&node| arc.contains(place(node)));
    let &(delegate, handed, _) = first.iter().max_by_key(|(_, arc, _)| on(*arc).count()).unwrap();
    let others = RingArc::whole(place(1));
    let again = cluster.outputs(1, delegate, packet(rumor_along(others, news)));
    assert_eq!(told(&again).1.len(), 1);
    let again = rumors(&again);
    let left: Vec<_> = on(handed).filter(|&node| node != delegate).collect();
    assert!(left.len() > 2, "only {left:?} were handed over");
    for node in left {
        let is_told = again.iter().any(|(_, arc, _)| arc.contains(place(node)));
        assert!(is_told, "each of the two would leave node {node} to the other: {again:?}");
    }
    for &(_, arc, _) in first.iter().filter(|&&(to, ..)| to != delegate) {
        let twice = again.iter().any(|&(_, again, _)| on(arc).any(|it| again.contains(place(it))));
        assert!(!twice, "what is in other hands stays there: {arc:?} of {again:?}");
    }
}

#[test]
fn sixteen_rumors_are_remembered_and_no_more() {
    let mut cluster = full(3, 3);
    for version in 0..40 {
        cluster.publish(1, &[version]);
        cluster.run(100 * MS);
    }
    for node in 1..=3 {
        assert_eq!(cluster.engine(node).footprint().rumors, 16, "of node {node}");
    }
}

#[test]
fn an_older_version_is_acknowledged_and_goes_no_further() {
    let mut cluster = full(10, 3);
    cluster.outputs(1, 2, packet(rumor(metadata(b"new", 9))));
    let (rumors, acks) = told(&cluster.outputs(1, 3, packet(rumor(metadata(b"old", 5)))));
    assert_eq!((rumors.len(), acks.len()), (0, 1));
}

#[test]
fn a_newer_version_ends_the_telling_of_the_older() {
    let mut cluster = full(10, 3);
    cluster.publish_silently(1, b"old");
    cluster.publish_silently(1, b"new");
    cluster.now = cluster.now + 21 * MS;
    let again = rumors(&cluster.outputs_of(1, Input::Timeout));
    assert!(!again.is_empty(), "nobody has acknowledged anything");
    for (_, _, topic) in again {
        let Subject::Metadata(metadata) = topic else { panic!("{topic:?} was not published") };
        assert_eq!(metadata.data().escape_ascii().to_string(), "new");
    }
    cluster.run_until(SECOND, |cluster| cluster.all_hold(b"new"));
}

#[test]
fn at_a_fifth_of_loss_every_rumor_reaches_all_without_any_swap() {
    let mut cluster = full(60, 8);
    cluster.loss = Probability::from_ppb(200_000_000);
    for round in 0..20_u8 {
        cluster.publish(u16::from(round) + 1, &[round]);
        cluster.run_until(SECOND, |cluster| cluster.all_hold(&[round]));
        cluster.run(SECOND);
    }
}

#[test]
fn the_arc_of_a_delegate_that_crashed_is_told_all_the_same() {
    for fan_out in [3, 8] {
        let mut cluster = full(60, fan_out);
        (56..=60).for_each(|node| cluster.crash(node));
        cluster.publish(7, b"v1");
        cluster.run_until(3 * SECOND, |cluster| cluster.all_hold(b"v1"));
    }
}

#[test]
fn where_most_answer_a_small_arc_is_told_by_its_teller_after_one_silence() {
    let mut cluster = full(17, 8);
    (10..=11).for_each(|node| cluster.crash(node));
    cluster.publish(1, b"v1");
    // A hop, one wait for an acknowledgement, and two hops more at the most.
    cluster.run_until((10 + 21 + 20) * MS, |cluster| cluster.all_hold(b"v1"));
}

#[test]
fn no_node_sends_more_than_four_times_its_fan_out_and_then_it_stops() {
    let mut cluster = full(40, 3);
    (2..=40).for_each(|node| cluster.crash(node));
    cluster.publish(1, b"v1");
    cluster.run(10 * SECOND);
    assert_eq!(sent(&cluster, PacketKind::Rumor), 12);
    assert!(cluster.engine(1).stats().rumors_over_budget > 0);
    assert_eq!(cluster.engine(1).deadline().filter(|&at| at < cluster.now + SECOND), None);
}

#[test]
fn a_dead_node_is_told_ten_times_and_no_more() {
    let mut cluster = full(2, 8);
    cluster.crash(2);
    cluster.publish(1, b"v1");
    cluster.run(10 * SECOND);
    let sends = sent(&cluster, PacketKind::Rumor);
    assert_eq!((sends, cluster.engine(1).stats().rumors_unanswered), (10, 1));
}

/// Every node but the first knows only half of the others.
fn halves(node: u16, other: u16) -> bool {
    node != 1 && (node + other).is_multiple_of(2)
}

#[test]
fn a_delegate_says_whom_it_knows_only_where_that_is_not_what_its_teller_knows() {
    for (nanos, alike) in [(1, true), (2, false)] {
        let mut cluster = listing(20, alone(3), halves);
        let places = (1..=20).filter(|&node| node == 2 || !halves(2, node)).map(place);
        let view = if alike { ViewDigest::of(places) } else { ViewDigest(0) };
        let Body::Rumor(mut told_so) = rumor(metadata(b"v1", nanos)) else { unreachable!() };
        (told_so.arc, told_so.view) = (RingArc::whole(place(1)), Some(view));
        let (_, acks) = told(&cluster.outputs(2, 1, packet(Body::Rumor(told_so))));
        assert_eq!(acks[0].known.is_empty(), alike);
    }
}

/// Node 1 knows everybody; the last six are known to nobody else, not even to each other.
fn strangers(nodes: u16) -> impl Fn(u16, u16) -> bool {
    move |node, other| node != 1 && other > nodes - 6
}

#[test]
fn whoever_only_the_teller_knows_is_told_by_the_teller() {
    let mut cluster = listing(20, alone(8), strangers(20));
    cluster.publish(1, b"v2");
    cluster.run_until(SECOND, |cluster| cluster.all_hold(b"v2"));
}

#[test]
fn on_a_large_arc_the_delegate_is_told_of_whom_it_does_not_know() {
    let mut cluster = listing(100, alone(2), strangers(100));
    let lacking = |cluster: &mut Cluster| {
        let lacks = |node: &u16| (95..=100).any(|other| !cluster.list(*node).contains(&other));
        (2..95).filter(lacks).count()
    };
    assert_eq!(lacking(&mut cluster), 93);
    cluster.publish(1, b"v2");
    cluster.run_until(SECOND, |cluster| cluster.all_hold(b"v2"));
    assert!(lacking(&mut cluster) < 93, "nobody was told of anybody");
}

#[test]
fn who_is_listed_while_a_rumor_is_told_is_told_too() {
    let mut cluster = full(5, 3);
    cluster.publish(1, b"v1");
    cluster.run(100 * MS);
    cluster.start(6, &[]);
    let newcomer = Arc::clone(cluster.engine(6).me());
    let (now, mut out) = (cluster.clock(), crate::core::Outbox::new());
    cluster.engine(1).restore(now, [&newcomer], &mut out);
    let outputs: Vec<_> = out.drain().collect();
    assert_eq!(told(&outputs).0, [addr(6).port()]);
}

#[test]
fn two_versions_that_race_end_with_the_larger_everywhere_without_any_swap() {
    let mut cluster = full(50, 3);
    cluster.loss = Probability::from_ppb(50_000_000);
    cluster.publish(1, b"one");
    cluster.run(8 * MS);
    cluster.publish(30, b"two");
    cluster.run_until(2 * SECOND, |cluster| cluster.all_hold(b"two"));
}

#[test]
fn a_sender_that_loses_much_asks_for_several_acknowledgements_and_gets_five_at_most() {
    let mut cluster = full(10, 3);
    let Body::Rumor(mut asking) = rumor(metadata(b"v1", 5)) else { unreachable!() };
    asking.acks = u8::MAX;
    let (_, acks) = told(&cluster.outputs(1, 2, packet(Body::Rumor(asking))));
    assert_eq!(acks.len(), 5);
}

#[test]
fn where_packets_get_lost_what_is_told_again_is_told_twice() {
    for (acks, sends) in [(1, [2, 4]), (2, [2, 6])] {
        let mut cluster = full(4, 8);
        (2..=4).for_each(|node| cluster.crash(node));
        let Body::Rumor(mut rumor) = rumor(metadata(b"v1", 5)) else { unreachable!() };
        rumor.acks = acks;
        cluster.body(1, 2, Body::Rumor(rumor));
        let counted = [15, 15].map(|ms| {
            cluster.run(ms * MS);
            sent(&cluster, PacketKind::Rumor)
        });
        assert_eq!(counted, sends, "told by one who asked for {acks} acknowledgements");
    }
}

#[test]
fn what_is_told_twice_leaves_sends_for_all_that_wait() {
    let mut cluster = full(6, 8);
    (2..=6).for_each(|node| cluster.crash(node));
    let Body::Rumor(mut rumor) = rumor(metadata(b"v1", 5)) else { unreachable!() };
    rumor.acks = 2;
    cluster.body(1, 2, Body::Rumor(rumor));
    cluster.run(30 * MS);
    let sends = sent(&cluster, PacketKind::Rumor);
    assert_eq!(sends, 4 + 2 * 2 + 2, "after two of them 24 are left, six for each of four");
}

/// What ten nodes measured, by one of their histograms.
#[track_caller]
fn measured(cluster: &mut Cluster, of: impl Fn(&Stats) -> Histogram) -> (u64, Duration) {
    let all = (1..=10).map(|node| of(cluster.engine(node).stats()));
    all.fold((0, Duration::ZERO), |(count, sum), it| (count + it.count(), sum + it.sum()))
}

#[test]
fn each_hop_and_each_arrival_of_a_value_is_measured() {
    let mut cluster = full(10, 3);
    let round_trips = measured(&mut cluster, |stats| stats.round_trip).0;
    let hops = measured(&mut cluster, |stats| stats.hop_delay).0;
    cluster.publish(1, b"v1");
    let took = cluster.run_until(2 * SECOND, |cluster| cluster.all_hold(b"v1"));
    cluster.run(SECOND);
    let (count, sum) = measured(&mut cluster, |stats| stats.hop_delay);
    assert_eq!(count - hops, 9, "each of the others was told once");
    assert!(sum >= MS * 2 * 9, "there and back: {sum:?}");
    assert_eq!(measured(&mut cluster, |stats| stats.round_trip).0 - round_trips, 9);
    let (count, sum) = measured(&mut cluster, |stats| stats.time_to_apply);
    assert_eq!(count, 9, "the publisher is none of them");
    assert!((MS * 9..=took * 9).contains(&sum), "{sum:?} of {took:?}");
}

#[test]
fn a_hop_takes_as_long_as_its_repeats_and_a_round_trip_has_none() {
    let mut cluster = full(2, 1);
    let before = *cluster.engine(1).stats();
    cluster.loss = Probability::ONE;
    cluster.publish(1, b"v1");
    cluster.run(15 * MS);
    cluster.loss = Probability::ZERO;
    cluster.run(SECOND);
    let after = *cluster.engine(1).stats();
    assert_eq!(after.round_trip, before.round_trip);
    let hop = after.hop_delay.sum() - before.hop_delay.sum();
    assert_eq!(after.hop_delay.count() - before.hop_delay.count(), 1);
    assert!((23 * MS..=41 * MS).contains(&hop), "repeated after 21 ms: {hop:?}");
}

#[test]
fn a_value_from_before_the_start_of_a_node_says_nothing_of_the_way() {
    let mut cluster = Cluster::of(3, Config::default());
    cluster.publish(1, b"v1");
    cluster.run(30 * SECOND);
    cluster.start(4, &[1]);
    cluster.run_until(3 * SECOND, |cluster| cluster.all_hold(b"v1"));
    assert_eq!(cluster.engine(4).stats().time_to_apply.count(), 0);
    cluster.publish(1, b"v2");
    cluster.run_until(3 * SECOND, |cluster| cluster.all_hold(b"v2"));
    assert_eq!(cluster.engine(4).stats().time_to_apply.count(), 1);
    assert_eq!(cluster.engine(4).stats().members, 4);
}
