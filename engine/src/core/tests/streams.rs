//! Values that exceed a datagram, and clusters that use streams for everything.

use super::cluster::{Cluster, SECOND, addr, record};
use crate::config::{Config, Swap, TransportKind};
use crate::core::packet::{Announcement, Body, Call, Fetch, LastCall, Subject};
use crate::core::{AgeStep, Class, Metadata, Output, Packet, PacketKind, Value, Version};
use crate::node::NodeId;
use crate::rng::Probability;
use crate::time::UnixNanos;

fn large() -> Vec<u8> {
    (0..1_u32 << 20).map(|at| (at % 251) as u8).collect()
}

fn config() -> Config {
    Config::default()
}

#[track_caller]
fn without_swaps() -> Config {
    Config::builder().swap(Swap::Off).build().unwrap()
}

#[track_caller]
fn metadata(nanos: i64) -> Metadata {
    let value = Value::new(large(), &config()).unwrap();
    Metadata::publish(value, None, NodeId(1), UnixNanos(nanos)).unwrap()
}

fn sent(cluster: &Cluster, kind: PacketKind) -> usize {
    cluster.sent.get(&kind).copied().unwrap_or(0)
}

fn announced(metadata: &Metadata) -> Body {
    let topic = Subject::Announced(Announcement::of(metadata));
    super::cluster::rumor(topic)
}

fn packet(body: Body) -> Packet {
    Packet::new(AgeStep(25_000), body)
}

/// What is said about a value in these outputs, to whom.
fn calls(outputs: &[Output]) -> Vec<(u16, Call)> {
    let call = |output: &Output| match output {
        Output::Send { to, packet, .. } => match packet.body {
            Body::Fetch(fetch) => Some((to.port(), fetch.call)),
            _ => None,
        },
        Output::Event(_) | Output::Answer(_) | Output::Flush => None,
    };
    outputs.iter().filter_map(call).collect()
}

fn fetch(version: Version, call: Call) -> Packet {
    packet(Body::Fetch(Fetch { version, call }))
}

#[test]
fn a_mebibyte_reaches_all_of_twenty_nodes_and_each_gets_its_bytes_once() {
    let mut cluster = Cluster::of(20, config());
    cluster.publish(7, &large());
    let took = cluster.run_until(SECOND, |cluster| cluster.all_hold(&large()));
    cluster.run(5 * SECOND);
    assert_eq!(sent(&cluster, PacketKind::Fetched), 19);
    assert_eq!(sent(&cluster, PacketKind::Value), 0, "nobody pushes it");
    assert!(took < SECOND / 2, "{took:?}");
    let transfers = |cluster: &mut Cluster, node| cluster.engine(node).stats().transfers;
    assert_eq!((1..=20).map(|node| transfers(&mut cluster, node)).sum::<u64>(), 19);
}

#[test]
fn with_a_fifth_of_all_datagrams_lost_the_swap_brings_it_to_the_rest() {
    let mut cluster = Cluster::of(20, config());
    cluster.loss = Probability::from_ppb(200_000_000);
    cluster.publish(7, &large());
    cluster.run_until(6 * SECOND, |cluster| cluster.all_hold(&large()));
    assert_eq!(sent(&cluster, PacketKind::Fetched), 19);
}

#[test]
fn a_newcomer_fetches_the_large_value() {
    let mut cluster = Cluster::of(5, config());
    cluster.publish(1, &large());
    cluster.run(SECOND);
    cluster.start(6, &[3]);
    cluster.run_until(SECOND, |cluster| cluster.all_hold(&large()));
    assert_eq!(sent(&cluster, PacketKind::Fetched), 5);
}

#[test]
fn a_value_is_announced_only_when_its_rumor_exceeds_a_datagram() {
    let mut cluster = Cluster::of(5, without_swaps());
    // Header, token, acks, arc, view, tag, version and length take the rest of the 1,200 bytes.
    let fits = 1_200 - 12 - 8 - 1 - 16 - 5 - 1 - 32 - 5;
    cluster.publish(1, &vec![1; fits]);
    cluster.run_until(SECOND, |cluster| cluster.all_hold(&vec![1; fits]));
    assert_eq!(sent(&cluster, PacketKind::Fetch), 0);
    cluster.publish(1, &vec![2; fits + 1]);
    cluster.run_until(SECOND, |cluster| cluster.all_hold(&vec![2; fits + 1]));
    assert_eq!(sent(&cluster, PacketKind::Fetched), 4);
}

#[test]
fn the_arc_is_passed_on_only_once_the_value_is_held() {
    let mut cluster = Cluster::of(5, without_swaps());
    let value = metadata(5);
    let rumors = |outputs: &[Output]| {
        let is_rumor = |output: &Output| match output {
            Output::Send { packet, .. } => packet.kind() == PacketKind::Rumor,
            Output::Event(_) | Output::Answer(_) | Output::Flush => false,
        };
        outputs.iter().filter(|output| is_rumor(output)).count()
    };
    let first = cluster.outputs(1, 2, packet(announced(&value)));
    assert_eq!((calls(&first), rumors(&first)), (vec![(2, Call::Send)], 0));
    let then = cluster.outputs(1, 2, packet(Body::Fetched(value.clone())));
    assert_eq!((calls(&then), rumors(&then)), (vec![(2, Call::Done)], 3));
    let again = cluster.outputs(1, 2, packet(announced(&value)));
    assert_eq!((calls(&again), rumors(&again)), (vec![], 0));
}

#[test]
fn asking_and_the_answer_go_by_stream() {
    let mut cluster = Cluster::of(3, without_swaps());
    cluster.publish(1, &large());
    let version = cluster.engine(1).metadata().unwrap().version();
    let class_of = |outputs: &[Output]| match outputs {
        [Output::Send { class, packet, .. }, ..] => (*class, packet.kind()),
        other => panic!("no packet: {other:?}"),
    };
    let asked = cluster.outputs(2, 1, packet(announced(&metadata(5))));
    assert_eq!(class_of(&asked), (Class::Stream, PacketKind::Fetch));
    let answered = cluster.outputs_of_stream(1, 2, fetch(version, Call::Send));
    assert_eq!(class_of(&answered), (Class::Stream, PacketKind::Fetched));
}

#[test]
fn who_asks_for_a_value_by_datagram_is_not_even_told_no() {
    let mut cluster = Cluster::of(2, without_swaps());
    cluster.publish(1, &large());
    let version = cluster.engine(1).metadata().unwrap().version();
    assert!(cluster.outputs(1, 2, fetch(version, Call::Send)).is_empty());
    let stats = *cluster.engine(1).stats();
    assert_eq!((stats.transfers, stats.fetches_unproven), (0, 1));
}

#[test]
fn strangers_take_a_quarter_of_the_places_for_transfers() {
    let mut cluster = Cluster::of(2, without_swaps());
    cluster.far_side.insert(1);
    cluster.publish(1, &large());
    let version = cluster.engine(1).metadata().unwrap().version();
    let mut ask = |node| cluster.outputs_of_stream(1, node, fetch(version, Call::Send));
    (100..104).for_each(|stranger| assert_eq!(calls(&ask(stranger)), []));
    assert_eq!(calls(&ask(104)), [(104, Call::Busy)]);
    assert_eq!(calls(&ask(2)), [], "a member is served");
}

#[test]
fn what_strangers_announce_makes_room_for_what_a_member_announces() {
    let mut cluster = Cluster::of(2, without_swaps());
    for stranger in 10..14 {
        let value = metadata(i64::from(stranger));
        let asked = cluster.outputs(1, stranger, packet(announced(&value)));
        assert_eq!(calls(&asked), [(stranger, Call::Send)]);
    }
    assert_eq!(calls(&cluster.outputs(1, 14, packet(announced(&metadata(14))))), [], "full");
    let asked = cluster.outputs(1, 2, packet(announced(&metadata(5))));
    assert_eq!(calls(&asked), [(2, Call::Send)]);
}

#[test]
fn one_node_serves_sixteen_at_a_time_and_sends_the_rest_away() {
    let mut cluster = Cluster::of(2, without_swaps());
    cluster.far_side.insert(1);
    let members: Vec<_> = (100..118).map(record).collect();
    cluster.restore(1, &members);
    cluster.publish(1, &large());
    let version = cluster.engine(1).metadata().unwrap().version();
    for node in 100..116 {
        assert_eq!(calls(&cluster.outputs_of_stream(1, node, fetch(version, Call::Send))), []);
    }
    assert!(
        cluster.outputs_of_stream(1, 100, fetch(version, Call::Send)).is_empty(),
        "it is on its way"
    );
    let refused = cluster.outputs_of_stream(1, 116, fetch(version, Call::Send));
    assert_eq!(calls(&refused), [(116, Call::Busy)]);
    let stats = *cluster.engine(1).stats();
    assert_eq!((stats.transfers, stats.transfers_refused), (16, 1));
    cluster.outputs_of_stream(1, 107, fetch(version, Call::Done));
    assert_eq!(calls(&cluster.outputs_of_stream(1, 116, fetch(version, Call::Send))), []);
    cluster.run(60 * SECOND);
    assert_eq!(
        calls(&cluster.outputs_of_stream(1, 117, fetch(version, Call::Send))),
        [],
        "all have ended"
    );
}

#[test]
fn who_is_sent_away_asks_another_teller_or_the_same_later() {
    let mut cluster = Cluster::of(4, without_swaps());
    let value = metadata(5);
    let busy = fetch(value.version(), Call::Busy);
    cluster.outputs(1, 2, packet(announced(&value)));
    assert_eq!(calls(&cluster.outputs(1, 3, packet(announced(&value)))), []);
    assert_eq!(calls(&cluster.outputs_of_stream(1, 3, busy.clone())), [], "it was not asked");
    assert_eq!(calls(&cluster.outputs_of_stream(1, 2, busy.clone())), [(3, Call::Send)]);
    assert_eq!(calls(&cluster.outputs_of_stream(1, 3, busy)), []);
    let before = sent(&cluster, PacketKind::Fetch);
    cluster.run(SECOND / 2);
    assert_eq!(sent(&cluster, PacketKind::Fetch) - before, 2, "asked, and it has none");
}

#[test]
fn who_says_no_twice_is_not_asked_again_at_once() {
    let mut cluster = Cluster::of(2, without_swaps());
    let value = metadata(5);
    let busy = fetch(value.version(), Call::Busy);
    cluster.outputs(1, 2, packet(announced(&value)));
    for _ in 0..3 {
        assert_eq!(calls(&cluster.outputs_of_stream(1, 2, busy.clone())), []);
    }
}

#[test]
fn a_teller_that_crashes_is_replaced_by_another() {
    let mut cluster = Cluster::of(4, without_swaps());
    let value = metadata(5);
    cluster.body(3, 2, Body::Value(value.clone()));
    cluster.crash(2);
    cluster.body(1, 2, announced(&value));
    cluster.body(1, 3, announced(&value));
    cluster.run_until(10 * SECOND, |cluster| cluster.data(1).is_some());
}

#[test]
fn a_newer_value_that_never_comes_keeps_no_other_away_and_a_liar_takes_one_place() {
    let mut cluster = Cluster::of(3, without_swaps());
    for nanos in [90, 80, 100] {
        cluster.outputs(1, 2, packet(announced(&metadata(nanos))));
    }
    let asked = cluster.outputs(1, 3, packet(announced(&metadata(5))));
    assert_eq!(calls(&asked), [(3, Call::Send)]);
    for teller in 10..12 {
        let node = cluster.outputs(1, teller, packet(announced(&metadata(i64::from(teller)))));
        assert_eq!(calls(&node), [(teller, Call::Send)]);
    }
    assert_eq!(calls(&cluster.outputs(1, 12, packet(announced(&metadata(12))))), [], "full");
}

#[test]
fn a_value_beyond_the_limit_is_not_fetched() {
    let small = Config::builder().metadata_len_max((1 << 20) - 1).build().unwrap();
    let mut cluster = Cluster::of(2, small);
    assert_eq!(calls(&cluster.outputs(1, 2, packet(announced(&metadata(5))))), []);
    assert_eq!(cluster.engine(1).stats().values_over_limit, 1);
}

#[test]
fn a_value_from_the_future_is_fetched_on_a_member_s_word_from_wherever_it_comes() {
    let mut cluster = Cluster::of(2, config());
    let future = metadata(cluster.clock().wall.saturating_add(61 * SECOND).0);
    let stranger = 9;
    assert_eq!(calls(&cluster.outputs(1, stranger, packet(announced(&future)))), []);
    assert_eq!(cluster.engine(1).stats().versions_refused, 1);
    cluster.outputs_of_stream(1, stranger, packet(Body::Fetched(future.clone())));
    assert_eq!(cluster.data(1), None, "nobody had told of it");
    assert_eq!(calls(&cluster.outputs(1, 2, packet(announced(&future)))), [(2, Call::Send)]);
    cluster.outputs_of_stream(1, stranger, packet(Body::Fetched(future)));
    assert_eq!(cluster.data(1), Some(large()));
}

#[test]
fn of_two_large_values_the_newer_one_ends_up_everywhere() {
    let mut cluster = Cluster::of(20, config());
    let newer: Vec<u8> = large().into_iter().rev().collect();
    cluster.publish(3, &large());
    cluster.run(SECOND / 50);
    cluster.publish(17, &newer);
    cluster.run_until(10 * SECOND, |cluster| cluster.all_hold(&newer));
}

#[test]
fn with_tcp_everything_goes_by_stream_and_no_loss_is_felt() {
    let config = Config::builder().protocol(TransportKind::Tcp).build().unwrap();
    let mut cluster = Cluster::of(5, config);
    cluster.loss = Probability::from_ppb(900_000_000);
    let outputs = cluster.outputs(1, 2, packet(Body::LastCall(LastCall::default())));
    let [Output::Send { to, class, .. }] = outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((to, class), (addr(2), Class::Stream));
    cluster.publish(1, b"v1");
    cluster.run_until(SECOND, |cluster| cluster.all_hold(b"v1"));
    cluster.run(20 * SECOND);
    cluster.assert_all_list_all();
}
