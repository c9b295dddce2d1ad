//! Values whose holder is not reached by stream.

use super::cluster::{Cluster, SECOND, addr};
use crate::config::{Config, Liveness, Swap};
use crate::core::packet::{Announcement, Body, Call, Fetch, Subject};
use crate::core::{AgeStep, Event, Input, Metadata, Output, Packet, Value, Version};
use crate::node::NodeId;
use crate::time::UnixNanos;

const LARGE: usize = 5_000;

#[track_caller]
fn without_swaps() -> Config {
    Config::builder().swap(Swap::Off).build().unwrap()
}

#[track_caller]
fn metadata() -> Metadata {
    let value = Value::new(vec![3; LARGE], &Config::default()).unwrap();
    Metadata::publish(value, None, NodeId(1), UnixNanos(5)).unwrap()
}

fn packet(body: Body) -> Packet {
    Packet::new(AgeStep(25_000), body)
}

fn announced(value: &Metadata) -> Packet {
    packet(super::cluster::rumor(Subject::Announced(Announcement::of(value))))
}

fn fetch(version: Version, call: Call) -> Packet {
    packet(Body::Fetch(Fetch { version, call }))
}

/// Who is asked for a value in these outputs.
fn asked(outputs: &[Output]) -> Vec<u16> {
    let ask = |output: &Output| match output {
        Output::Send { to, packet, .. } => match packet.body {
            Body::Fetch(Fetch { call: Call::Send, .. }) => Some(to.port()),
            _ => None,
        },
        Output::Answer(_) | Output::Event(_) | Output::Flush => None,
    };
    outputs.iter().filter_map(ask).collect()
}

fn told(outputs: &[Output]) -> Vec<(Version, u16)> {
    let unreachable = |output: &Output| match output {
        Output::Event(Event::ValueUnreachable { version, peer }) => Some((*version, peer.port())),
        _ => None,
    };
    outputs.iter().filter_map(unreachable).collect()
}

fn failed(to: u16) -> Input {
    Input::StreamFailed { to: addr(to) }
}

fn all_told(cluster: &Cluster) -> Vec<(u16, u16)> {
    let told = |(_, node, event): &(_, u16, Event)| match event {
        Event::ValueUnreachable { peer, .. } => Some((*node, peer.port())),
        _ => None,
    };
    cluster.events.iter().filter_map(told).collect()
}

#[test]
fn where_streams_between_two_are_filtered_the_value_comes_from_another_and_it_is_told_once() {
    for liveness in [Liveness::Beats, Liveness::Probes] {
        let mut cluster = Cluster::of(3, Config::builder().liveness(liveness).build().unwrap());
        cluster.filters.extend([(1, 2), (2, 1)]);
        for round in 0..4 {
            let value = vec![round; LARGE];
            cluster.publish(1, &value);
            let took = cluster.run_until(20 * SECOND, |it| it.all_hold(&value));
            assert!(took < 5 * SECOND, "{liveness}: {took:?}");
            cluster.run(5 * SECOND);
        }
        let told = all_told(&cluster);
        assert!(!told.is_empty(), "{liveness}: in silence");
        for pair in [(1, 2), (2, 1)] {
            let times = told.iter().filter(|&&other| other == pair).count();
            assert!(times <= 1, "{liveness}: {told:?}");
        }
        assert!(told.iter().all(|pair| [(1, 2), (2, 1)].contains(pair)), "{told:?}");
        assert!(cluster.engine(2).stats().values_unreached > 0);
    }
}

#[test]
fn where_all_streams_are_filtered_it_is_told_and_asked_for_again_no_faster_than_swaps_come() {
    let mut cluster = Cluster::of(2, Config::default());
    cluster.filters.extend([(1, 2), (2, 1)]);
    cluster.publish(1, &vec![1; LARGE]);
    cluster.run(60 * SECOND);
    assert_eq!(all_told(&cluster), [(2, 1)]);
    let fetches = cluster.log.iter().filter(|(_, kind)| *kind == crate::core::PacketKind::Fetch);
    let fetches = fetches.count();
    assert!((5..=60).contains(&fetches), "{fetches}");
    cluster.filters.clear();
    cluster.run_until(10 * SECOND, |it| it.all_hold(&vec![1; LARGE]));
}

#[test]
fn a_stream_that_fails_has_another_teller_asked_at_once() {
    let mut cluster = Cluster::of(4, without_swaps());
    let value = metadata();
    assert_eq!(asked(&cluster.outputs(1, 2, announced(&value))), [2]);
    assert_eq!(asked(&cluster.outputs(1, 3, announced(&value))).len(), 0);
    let outputs = cluster.outputs_of(1, failed(2));
    assert_eq!((asked(&outputs), told(&outputs)), (vec![3], vec![(value.version(), 2)]));
    let outputs = cluster.outputs_of(1, failed(2));
    assert_eq!((asked(&outputs), told(&outputs)), (vec![], vec![]), "it was not asked");
}

#[test]
fn with_no_other_teller_one_that_reported_to_hold_the_version_is_asked() {
    let mut cluster = Cluster::of(4, Config::default());
    cluster.publish(1, &vec![1; LARGE]);
    cluster.run(10 * SECOND);
    // What node 4 hears of it anew, and from whom it can't have it.
    let value = cluster.engine(1).metadata().cloned().unwrap();
    let now = cluster.clock();
    cluster.engine(4).with(now, |cx| *cx.metadata = None);
    assert_eq!(asked(&cluster.outputs(4, 1, announced(&value))), [1]);
    let outputs = cluster.outputs_of(4, failed(1));
    let [other] = asked(&outputs)[..] else { panic!("{outputs:?}") };
    assert!([2, 3].contains(&other), "{other}");
    cluster.outputs_of(4, failed(other));
    // The third is asked at once when the first tells of it again.
    cluster.engine(4).forget_what_is_wanted();
    assert_eq!(asked(&cluster.outputs(4, 1, announced(&value))), [5 - other]);
}

#[test]
fn who_tells_of_a_value_that_is_asked_for_in_vain_is_asked_instead() {
    let mut cluster = Cluster::of(4, without_swaps());
    let value = metadata();
    cluster.outputs(1, 2, announced(&value));
    cluster.outputs_of(1, failed(2));
    assert_eq!(asked(&cluster.outputs(1, 2, announced(&value))), [2], "there is no other");
    assert_eq!(asked(&cluster.outputs(1, 3, announced(&value))), [3]);
    assert_eq!(asked(&cluster.outputs(1, 4, announced(&value))).len(), 0);
}

#[test]
fn who_cannot_bring_what_it_was_asked_for_says_so_and_the_asker_turns_to_another() {
    let mut cluster = Cluster::of(3, without_swaps());
    cluster.publish(1, &vec![1; LARGE]);
    let value = cluster.engine(1).metadata().cloned().unwrap();
    cluster.outputs_of_stream(1, 2, fetch(value.version(), Call::Send));
    let outputs = cluster.outputs_of(1, failed(2));
    assert_eq!(told(&outputs), [(value.version(), 2)]);
    let busy = outputs.iter().find_map(|output| match output {
        Output::Send { packet, class: crate::core::Class::Datagram, .. } => Some(packet.clone()),
        _ => None,
    });
    let busy = busy.expect("it is told by datagram").as_ref().clone();
    assert_eq!(busy, packet(Body::Fetch(Fetch { version: value.version(), call: Call::Busy })));
    let mut asker = Cluster::of(4, without_swaps());
    asker.outputs(2, 1, announced(&value));
    asker.outputs(2, 3, announced(&value));
    let outputs = asker.outputs(2, 1, busy);
    assert_eq!((asked(&outputs), told(&outputs)), (vec![3], vec![(value.version(), 1)]));
    // A place for another transfer is free again.
    let again = cluster.outputs_of_stream(1, 2, fetch(value.version(), Call::Send));
    assert_eq!(again.len(), 1, "{again:?}");
}

#[test]
fn a_value_that_comes_has_the_next_failure_told_again() {
    let mut cluster = Cluster::of(2, without_swaps());
    let value = metadata();
    cluster.outputs(1, 2, announced(&value));
    assert_eq!(told(&cluster.outputs_of(1, failed(2))).len(), 1);
    cluster.outputs(1, 2, announced(&value));
    assert_eq!(told(&cluster.outputs_of(1, failed(2))), []);
    cluster.outputs_of_stream(1, 2, packet(Body::Fetched(value)));
    let data = Value::new(vec![4; LARGE], &Config::default()).unwrap();
    let next = Metadata::publish(data, None, NodeId(1), UnixNanos(6)).unwrap();
    cluster.outputs(1, 2, announced(&next));
    assert_eq!(told(&cluster.outputs_of(1, failed(2))), [(next.version(), 2)]);
}
