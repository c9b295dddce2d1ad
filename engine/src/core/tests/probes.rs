//! Probes, suspicion and refutation, sentence by sentence.

use std::time::Duration;

use super::cluster::{Cluster, SECOND, addr, datagram, judging};
use crate::config::{Config, Liveness};
use crate::core::packet::{
    AckOrNack, Body, Delta, Gone, IndirectAck, MembershipUpdate, PingReq, ProbeAnswer, Suspicion,
};
use crate::core::{AgeStep, Cause, Command, Event, Input, Outbox, Output, Packet, PacketKind};
use crate::rng::Probability;

const TIMEOUT: Duration = Duration::from_secs(5);

#[track_caller]
fn config() -> Config {
    Config::builder().liveness(Liveness::Probes).build().unwrap()
}

/// Nodes that have known each other for a while.
#[track_caller]
pub(super) fn settled(nodes: u16) -> Cluster {
    let mut cluster = Cluster::of(nodes, config());
    cluster.run(10 * SECOND);
    cluster.sent.clear();
    cluster.streams.clear();
    cluster.log.clear();
    cluster.events.clear();
    cluster
}

fn removals(cluster: &Cluster) -> usize {
    cluster.events.iter().filter(|it| matches!(it.2, Event::Removed { .. })).count()
}

#[track_caller]
pub(super) fn suspicion(cluster: &mut Cluster, of: u16) -> Suspicion {
    let me = cluster.engine(of).me().clone();
    Suspicion {
        addr: addr(of),
        generation: me.generation(),
        counter: counter(cluster, of, of),
        witnesses: vec![crate::node::NodeId(7)],
    }
}

/// What a node holds as the counter of another.
#[track_caller]
pub(super) fn counter(cluster: &mut Cluster, at: u16, of: u16) -> u32 {
    let members = cluster.engine(at).list();
    members.counter(members.node(addr(of)).expect("a member"))
}

pub(super) fn records(news: MembershipUpdate) -> Body {
    Body::Delta(Delta { news: vec![news] })
}

#[test]
fn each_node_probes_every_other_in_its_turn_one_a_cycle() {
    let mut cluster = settled(11);
    cluster.run(100 * SECOND);
    let probes = |node| {
        let to = |it: &&(_, _)| **it == (addr(node), PacketKind::Probe);
        cluster.log.iter().filter(to).count()
    };
    // A wait that follows the round trips is once in a while too short, and others are asked to
    // probe too.
    let requests = cluster.sent.get(&PacketKind::PingReq).copied().unwrap_or(0);
    assert!(requests < 30, "{requests} requests to probe somebody who lives");
    for node in 1..=11 {
        // Ten others, each once in ten cycles.
        let expected = 92..=108 + requests;
        assert!(expected.contains(&probes(node)), "{} probes of node {node}", probes(node));
    }
    // Three others are asked, and the member itself by stream.
    let in_turn = cluster.sent[&PacketKind::Probe] - requests - requests / 3;
    assert!((1_100..=1_111).contains(&in_turn), "{in_turn} probes in turn");
    let all_answered = |cluster: &mut Cluster| {
        cluster.sent[&PacketKind::Probe] == cluster.sent[&PacketKind::ProbeAnswer]
    };
    cluster.run_until(SECOND, all_answered);
}

#[test]
fn an_idle_cluster_pays_for_one_exchange_a_cycle_and_a_rare_swap() {
    let mut cluster = settled(10);
    cluster.run(100 * SECOND);
    let per_node = |kind| cluster.sent.get(&kind).copied().unwrap_or(0) / 10;
    assert!((97..=103).contains(&per_node(PacketKind::Probe)));
    assert!((9..=11).contains(&per_node(PacketKind::SwapRequest)));
    assert_eq!(per_node(PacketKind::Bulk) + per_node(PacketKind::Rumor), 0);
}

#[test]
fn who_does_not_answer_is_asked_by_three_others_and_by_stream() {
    let mut cluster = settled(8);
    cluster.crash(8);
    cluster.run_until(5 * SECOND, |cluster| cluster.sent.contains_key(&PacketKind::PingReq));
    assert_eq!(cluster.sent[&PacketKind::PingReq], 3);
    assert_eq!(cluster.streams, [(PacketKind::Probe, 1)].into());
    cluster.run(SECOND / 4);
    assert_eq!(cluster.sent[&PacketKind::IndirectAck], 3);
}

#[test]
fn a_node_that_others_reach_is_not_suspected() {
    let mut cluster = settled(6);
    cluster.cuts.insert((1, 2));
    cluster.run(60 * SECOND);
    assert!(cluster.sent[&PacketKind::IndirectAck] > 10);
    assert_eq!(removals(&cluster), 0);
    assert_eq!(counter(&mut cluster, 1, 2), 1, "nobody had anything to refute");
}

#[test]
fn nobody_has_a_third_party_probed_that_is_no_member() {
    let mut cluster = settled(3);
    for target in [addr(3), addr(9)] {
        let request = Body::PingReq(PingReq { token: 7, target });
        cluster.body(1, 2, request);
    }
    let probed = |node| cluster.log.contains(&(addr(node), PacketKind::Probe));
    assert_eq!([3, 9].map(probed), [true, false]);
}

#[test]
fn who_is_asked_for_one_that_it_does_not_list_says_that_it_hears_the_asker_if_it_lists_it() {
    let mut cluster = settled(3);
    let vouched = |cluster: &mut Cluster, from: u16| {
        let step = AgeStep::of_timeout(TIMEOUT);
        let body = Body::PingReq(PingReq { token: 7, target: addr(9) });
        let said = cluster.outputs(1, from, Packet::new(step, body));
        let word = said.iter().find_map(|output| match output {
            Output::Send { packet, .. } => match &packet.body {
                Body::IndirectAck(vouch) => Some(*vouch),
                _ => None,
            },
            _ => None,
        });
        word.map(|IndirectAck { token, word }| (token, word))
    };
    assert_eq!(vouched(&mut cluster, 2), Some((7, AckOrNack::Nack)));
    assert_eq!(vouched(&mut cluster, 8), None, "a stranger");
}

#[test]
fn an_answer_that_comes_too_late_for_whom_it_was_asked_for_is_proof_all_the_same() {
    let mut cluster = settled(4);
    let suspicion = suspicion(&mut cluster, 3);
    let (mut now, mut engine) = (cluster.clock(), cluster.engine(1).clone());
    let mut out = Outbox::new();
    let step = AgeStep::of_timeout(TIMEOUT);
    let from = |node, body| datagram(addr(node), Packet::new(step, body));
    let request = PingReq { token: 7, target: addr(3) };
    engine.handle(now, from(2, Body::PingReq(request)), &mut out);
    let token = out.drain().find_map(|output| match output {
        Output::Send { packet, .. } => match &packet.body {
            Body::Probe(probe) => Some(probe.token),
            _ => None,
        },
        _ => None,
    });
    engine.handle(now, from(4, records(MembershipUpdate::from(suspicion))), &mut out);
    now.mono = now.mono + SECOND;
    engine.handle(now, Input::Timeout, &mut out);
    assert!(engine.relayed_len() == 0 && engine.suspects(addr(3)));
    let answer = ProbeAnswer { token: token.expect("it was asked to"), holds: engine.holds() };
    let stale = engine.stats().answers_stale;
    engine.handle(now, from(3, Body::ProbeAnswer(answer)), &mut out);
    assert!(!engine.suspects(addr(3)));
    assert_eq!(engine.stats().answers_stale, stale);
}

#[test]
fn a_crash_is_removed_by_all() {
    let mut cluster = settled(30);
    cluster.crash(7);
    let first = cluster.run_until(10 * SECOND, |cluster| !cluster.removals_of(7).is_empty());
    assert!(first >= config().suspicion_min(), "{first:?}");
    cluster.run_until(SECOND, Cluster::all_list_all);
    assert_eq!(cluster.removals_of(7).len(), 29);
    assert!(cluster.removals_of(7).iter().all(|it| it.1 == Cause::Timeout));
}

#[test]
fn a_suspect_hears_of_it_and_refutes_it_before_any_timer_ends() {
    let mut cluster = settled(10);
    let suspicion = suspicion(&mut cluster, 3);
    let counter_before = suspicion.counter;
    // Node 1 believes it and would not hear node 3 for a while.
    cluster.body(1, 2, records(MembershipUpdate::from(suspicion.clone())));
    cluster.body(3, 2, records(MembershipUpdate::from(suspicion)));
    cluster.run(SECOND);
    for node in 1..=10 {
        assert_eq!(counter(&mut cluster, node, 3), counter_before + 1, "at node {node}");
    }
    cluster.run(3 * TIMEOUT);
    assert_eq!(removals(&cluster), 0);
    assert_eq!(cluster.engine(3).stats().refutations, 1);
}

#[test]
fn a_suspicion_that_was_refuted_is_answered_with_the_refutation() {
    let mut cluster = settled(4);
    let old = suspicion(&mut cluster, 3);
    cluster.body(3, 2, records(MembershipUpdate::from(old.clone())));
    cluster.run(SECOND);
    cluster.log.clear();
    cluster.body(1, 2, records(MembershipUpdate::from(old)));
    assert_eq!(cluster.log, [(addr(2), PacketKind::Delta)]);
    cluster.run(2 * TIMEOUT);
    assert_eq!(removals(&cluster), 0);
}

#[test]
fn that_a_member_is_dead_is_never_a_command() {
    let mut cluster = settled(5);
    let Suspicion { addr, generation, counter: held, .. } = suspicion(&mut cluster, 3);
    let gone = Gone { addr, generation, counter: held, cause: Cause::Timeout };
    cluster.body(1, 2, records(MembershipUpdate::from(gone)));
    assert!(cluster.engine(1).lists(addr), "it is asked first");
    cluster.run(3 * TIMEOUT);
    assert_eq!(removals(&cluster), 0);
    assert_eq!(counter(&mut cluster, 1, 3), held + 1);
}

#[test]
fn a_stopped_node_is_removed_though_it_answers_swaps_and_comes_back_when_started() {
    let mut cluster = settled(10);
    cluster.command(4, Command::Stop);
    cluster.run_until(2 * TIMEOUT, |cluster| cluster.removals_of(4).len() == 9);
    cluster.run(20 * SECOND);
    assert!(!cluster.engine(1).lists(addr(4)));
    cluster.command(4, Command::Start);
    cluster.run_until(2 * SECOND, Cluster::all_list_all);
}

#[test]
fn who_hears_nobody_takes_the_fault_for_its_own_until_everybody_was_asked() {
    let mut cluster = Cluster::of(20, judging().liveness(Liveness::Probes).build().unwrap());
    cluster.run(10 * SECOND);
    cluster.far_side = [5].into();
    cluster.run(2 * SECOND);
    assert_eq!(cluster.list(5).len(), 20);
    cluster.run_until(14 * SECOND, |cluster| cluster.list(5) == [5]);
    assert!(!cluster.engine(1).lists(addr(5)));
    cluster.far_side.clear();
    cluster.run_until(14 * SECOND, Cluster::all_list_all);
}

#[test]
fn the_last_of_a_cluster_removes_the_dead_however_slow_it_takes_itself_to_be() {
    let cycle = SECOND / 5;
    let config = judging().liveness(Liveness::Probes).cycle(cycle).build().unwrap();
    let mut cluster = Cluster::of(3, config);
    // Nobody answers, so each probe that fails makes it more patient.
    (0..9).for_each(|_| cluster.engine(3).worsen_health());
    cluster.crash(1);
    cluster.crash(2);
    cluster.run_until(4 * TIMEOUT, |cluster| cluster.list(3) == [3]);
}

#[test]
fn a_node_that_slept_puts_its_timers_off_by_as_much() {
    let mut cluster = settled(10);
    cluster.crash(9);
    cluster.run_until(10 * SECOND, |cluster| cluster.engine(4).suspects(addr(9)));
    cluster.asleep.insert(4);
    cluster.run(2 * SECOND);
    cluster.asleep.clear();
    cluster.run_until(SECOND + SECOND / 2, |cluster| cluster.removals_of(9).len() == 8);
    assert!(cluster.engine(4).lists(addr(9)), "two seconds behind the others");
    cluster.run_until(2 * SECOND, |cluster| cluster.removals_of(9).len() == 9);
}

#[test]
fn a_node_that_slept_for_long_is_removed_removes_the_dead_alone_and_comes_back() {
    let mut cluster = settled(10);
    cluster.asleep.insert(4);
    cluster.run(60 * SECOND);
    assert_eq!(cluster.removals_of(4).len(), 9);
    cluster.crash(9);
    cluster.events.clear();
    cluster.asleep.clear();
    cluster.run(15 * SECOND);
    cluster.assert_all_list_all();
    let by_sleeper: Vec<_> =
        (1..=10).filter(|&node| cluster.removals_of(node).iter().any(|it| it.0 == 4)).collect();
    assert_eq!(by_sleeper, [9]);
    assert_eq!(cluster.engine(4).stats().sleeps, 1);
}

#[test]
fn a_wall_clock_set_ahead_removes_nobody() {
    let mut cluster = settled(10);
    cluster.wall_ahead = 3600 * SECOND;
    cluster.run(20 * SECOND);
    assert_eq!(removals(&cluster), 0);
}

#[test]
fn a_partition_of_four_timeouts_heals_within_a_redial_and_three_cycles() {
    let config = Config::builder().liveness(Liveness::Probes).redial(4 * SECOND).build().unwrap();
    let mut cluster = Cluster::of(20, config);
    cluster.far_side = (1..=10).collect();
    cluster.run(4 * TIMEOUT);
    assert_eq!(cluster.list(1), (1..=10).collect::<Vec<_>>());
    assert_eq!(cluster.list(20), (11..=20).collect::<Vec<_>>());
    cluster.far_side.clear();
    cluster.run_until(7 * SECOND, Cluster::all_list_all);
    cluster.events.clear();
    cluster.run(4 * TIMEOUT);
    assert_eq!(removals(&cluster), 0);
}

#[test]
fn a_value_that_one_node_alone_holds_is_found_by_probes() {
    let mut cluster = settled(10);
    cluster.publish_silently(3, b"news");
    cluster.run_until(4 * SECOND, |cluster| cluster.all_hold(b"news"));
}

#[test]
fn nobody_is_removed_at_a_fifth_of_loss() {
    let mut cluster = settled(20);
    cluster.loss = Probability::from_ppb(200_000_000);
    cluster.run(300 * SECOND);
    assert_eq!(removals(&cluster), 0);
    assert!(cluster.streams[&PacketKind::Probe] > 100, "streams carry what datagrams don't");
}

#[test]
fn tombstones_are_forgotten() {
    let mut cluster = settled(5);
    cluster.crash(4);
    cluster.run(3 * TIMEOUT);
    assert_eq!(cluster.engine(1).list().tombstones_len(), 1);
    cluster.run(22 * TIMEOUT);
    assert_eq!(cluster.engine(1).list().tombstones_len(), 0);
}

#[test]
fn a_suspect_that_leaves_is_a_suspect_no_more() {
    let mut cluster = settled(5);
    let of = suspicion(&mut cluster, 5);
    cluster.crash(5);
    let gone =
        Gone { addr: of.addr, generation: of.generation, counter: of.counter, cause: Cause::Left };
    let mut doubted_after = |news| {
        cluster.body(1, 2, Body::Delta(Delta { news: vec![news] }));
        (cluster.engine(1).suspects(addr(5)), cluster.engine(1).list().suspected_len())
    };
    assert_eq!(doubted_after(MembershipUpdate::from(of)), (true, 1));
    assert_eq!(doubted_after(MembershipUpdate::from(gone)), (false, 0));
}
