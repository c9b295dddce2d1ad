//! Coming back from having been taken for dead, sentence by sentence.

use std::net::SocketAddr;
use std::time::Duration;

use super::cluster::{Cluster, SECOND, addr, judging, record};
use super::probes::{counter, records, settled, suspicion};
use super::telling::packet;
use crate::config::{Liveness, WireVersion};
use crate::core::packet::{
    Body, Gone, Join, Kept, LastCall, MembershipUpdate, Padding, RumorAck, StateSummary, Token,
    Welcome,
};
use crate::core::{Age, Cause, Command, Event, MemberState, Output, PacketKind};

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
    cluster.run_until(5 * SECOND, Cluster::all_list_all);
}

#[test]
fn a_cut_in_halves_five_times_in_ten_minutes_holds_nobody_back() {
    let mut cluster = settled(12);
    for time in 1..=5 {
        cluster.far_side = (1..=6).collect();
        cluster.run(30 * SECOND);
        assert_eq!(cluster.list(1).len(), 6, "cut for the {time}th time");
        cluster.far_side.clear();
        for _ in 0..28 {
            cluster.run(SECOND / 2);
            let away = |&node: &u16| cluster.engine(node).list().is_away();
            assert_eq!((1..=12).find(away), None, "after the {time}th cut");
        }
        cluster.assert_all_list_all();
        cluster.run(60 * SECOND);
    }
}

#[test]
fn where_there_are_three_nodes_one_observer_is_enough() {
    for (nodes, is_away) in [(3, true), (4, false)] {
        let mut cluster = settled(nodes);
        for _ in 0..2 {
            cluster.run(10 * SECOND);
            says_gone(&mut cluster, 3, 1);
            cluster.run(6 * SECOND);
            says_gone(&mut cluster, 3, 1);
        }
        assert_eq!(cluster.engine(3).list().is_away(), is_away, "of {nodes}");
    }
}

/// Has one node hear from another that it was removed.
#[track_caller]
fn says_gone(cluster: &mut Cluster, node: u16, by: u16) {
    let gone = Gone {
        addr: addr(node),
        generation: cluster.engine(node).me().generation(),
        counter: counter(cluster, node, node),
        cause: Cause::Timeout,
    };
    cluster.body(node, by, records(MembershipUpdate::from(gone)));
}

#[test]
fn one_observer_alone_may_be_the_sick_one_and_holds_nobody_back() {
    let mut cluster = settled(12);
    for _ in 0..4 {
        let before = counter(&mut cluster, 5, 5);
        says_gone(&mut cluster, 5, 1);
        cluster.run(Duration::from_secs(3));
        assert!(counter(&mut cluster, 5, 5) > before, "it says that it lives");
        cluster.run(20 * SECOND);
    }
}

#[test]
fn one_observer_alone_is_answered_alone() {
    let mut cluster = settled(12);
    for (by, tells) in [(1, false), (2, true)] {
        cluster.sent.clear();
        says_gone(&mut cluster, 5, by);
        let sent = |kind| cluster.sent.get(&kind).copied().unwrap_or(0);
        assert!(sent(PacketKind::Delta) > 0, "node {by} is answered");
        assert_eq!(sent(PacketKind::Rumor) > 0, tells, "of node {by}");
        cluster.run(SECOND);
    }
}

/// A cluster of which one node stays away.
#[track_caller]
fn with_one_away(node: u16) -> Cluster {
    let mut cluster = settled(12);
    flip_flop(&mut cluster, node, 1);
    cluster.deaf.insert(node);
    cluster.run(20 * SECOND);
    cluster.deaf.clear();
    cluster.run(5 * SECOND);
    assert!(cluster.engine(node).list().is_away(), "the case is as it is meant to be");
    cluster
}

fn kinds(outputs: &[Output]) -> Vec<PacketKind> {
    let kind = |output: &Output| match output {
        Output::Send { packet, .. } => Some(packet.kind()),
        _ => None,
    };
    outputs.iter().filter_map(kind).collect()
}

/// Whom a node names to one that joins and holds so many members.
#[track_caller]
fn named_to(cluster: &mut Cluster, node: u16, members: u32) -> Vec<SocketAddr> {
    let (now, mut summary) = (cluster.clock(), None);
    cluster.engine(node).with(now, |cx| {
        summary = Some(StateSummary { members, ..cx.summary(WireVersion::LATEST) });
    });
    let me = MemberState { record: record(99), counter: 1, age: Age(0) };
    let summary = summary.expect("it says what it holds");
    let join = Join { token: 7, me, summary, padding: Padding(400) };
    let welcomes = cluster.outputs(node, 99, packet(Body::Join(join)));
    let welcome = welcomes.iter().find_map(|output| match output {
        Output::Send { packet, .. } => match &packet.body {
            Body::Welcome(Welcome { members, .. }) => Some(members.clone()),
            _ => None,
        },
        _ => None,
    });
    let named = welcome.expect("whoever joins is welcome");
    named.iter().map(|member| member.record.node().addr()).collect()
}

#[test]
fn who_stays_away_brings_nobody_back_whom_others_have_removed_and_forgotten() {
    for (mut cluster, tells) in [(with_one_away(5), false), (settled(12), true)] {
        let (now, mut repair) = (cluster.clock(), None);
        cluster.engine(5).with(now, |cx| {
            repair = cx.repair_of(cx.members.node(addr(7)).expect("it is listed"));
        });
        assert_eq!(repair.is_some(), tells, "in a swap");
        assert_eq!(named_to(&mut cluster, 5, 11).contains(&addr(7)), tells, "to a caller");
    }
}

#[test]
fn who_is_told_by_one_that_it_was_removed_asks_others() {
    let mut cluster = settled(12);
    for (by, asked) in [(1, 3), (2, 0)] {
        cluster.sent.clear();
        says_gone(&mut cluster, 5, by);
        assert_eq!(cluster.sent.get(&PacketKind::Probe).copied().unwrap_or(0), asked);
    }
}

#[test]
fn whom_nobody_answers_says_nothing_of_itself_before_it_has_asked_whether_it_was_removed() {
    let mut cluster = settled(12);
    cluster.deaf.insert(5);
    cluster.run(20 * SECOND);
    let before = counter(&mut cluster, 5, 5);
    let doubt = MembershipUpdate::from(suspicion(&mut cluster, 5));
    cluster.outputs(5, 3, packet(records(doubt)));
    assert_eq!(counter(&mut cluster, 5, 5), before, "it would be listed by that");
    cluster.deaf.clear();
    let ack = Body::RumorAck(RumorAck { token: Token(1), known: Vec::new(), kept: Kept::All });
    let asked = kinds(&cluster.outputs(5, 3, packet(ack)));
    let probes = asked.iter().filter(|&&kind| kind == PacketKind::Probe).count();
    assert_eq!(probes, 4, "three, and the one whose turn it is: {asked:?}");
    cluster.run_until(3 * SECOND, Cluster::all_list_all);
}

#[test]
fn whom_nobody_answers_names_itself_to_who_is_new_and_may_find_nobody_else() {
    let mut cluster = settled(12);
    cluster.deaf.insert(5);
    cluster.run(20 * SECOND);
    for (members, names) in [(1, true), (12, false)] {
        let named = named_to(&mut cluster, 5, members);
        assert_eq!(named.contains(&addr(5)), names, "to one that holds {members}");
    }
}

#[test]
fn who_was_cut_off_and_not_removed_is_itself_again_at_once() {
    let mut cluster = settled(12);
    cluster.deaf = (1..=12).collect();
    cluster.run(20 * SECOND);
    assert!(cluster.engine(5).list().is_away());
    cluster.deaf.clear();
    cluster.run(2 * SECOND);
    assert!(!cluster.engine(5).list().is_away());
    cluster.assert_all_list_all();
}

#[test]
fn who_stays_away_tells_nobody_of_itself() {
    let mut cluster = with_one_away(5);
    let call = Body::LastCall(LastCall { token: 7, padding: Padding(0) });
    assert!(!kinds(&cluster.outputs(5, 3, packet(call))).contains(&PacketKind::Alive));
    let suspicion = MembershipUpdate::from(suspicion(&mut cluster, 5));
    let before = counter(&mut cluster, 5, 5);
    cluster.run(SECOND / 2);
    cluster.outputs(5, 3, packet(records(suspicion)));
    assert_eq!(counter(&mut cluster, 5, 5), before, "or it would be listed by that");
    let (now, mut news) = (cluster.clock(), None);
    cluster.engine(5).with(now, |cx| news = cx.news_of(cx.members.me()));
    assert_eq!(news, None);
    let named = named_to(&mut cluster, 5, 1);
    assert!(named.len() == 11 && !named.contains(&addr(5)), "{named:?}");
    cluster.sent.clear();
    cluster.command(5, Command::Seeds(vec![addr(98)]));
    assert_eq!(cluster.sent.get(&PacketKind::Join), None, "whoever is dialled lists the caller");
}

#[test]
fn who_stays_away_asks_who_is_said_to_be_dead() {
    let mut cluster = with_one_away(5);
    let generation = cluster.engine(7).me().generation();
    let held = counter(&mut cluster, 5, 7);
    let gone = Gone { addr: addr(7), generation, counter: held, cause: Cause::Timeout };
    cluster.body(5, 3, records(MembershipUpdate::from(gone)));
    cluster.run(4 * SECOND);
    assert!(cluster.engine(5).lists(addr(7)), "it lives");
    cluster.crash(7);
    cluster.run_until(10 * SECOND, |cluster| !cluster.engine(5).lists(addr(7)));
}

#[test]
fn who_was_stopped_while_it_stayed_away_is_back_when_it_starts() {
    let mut cluster = with_one_away(5);
    cluster.command(5, Command::Stop);
    cluster.command(5, Command::Start);
    cluster.run_until(3 * SECOND, Cluster::all_list_all);
}

#[test]
fn who_stays_away_and_has_come_to_be_alone_is_back_after_its_time() {
    let config = judging().liveness(Liveness::Probes).redial_for(SECOND).build().unwrap();
    let mut cluster = Cluster::of(3, config);
    cluster.run(10 * SECOND);
    says_gone(&mut cluster, 3, 1);
    cluster.run(6 * SECOND);
    says_gone(&mut cluster, 3, 1);
    assert!(cluster.engine(3).list().is_away(), "the case is as it is meant to be");
    cluster.far_side = [3].into();
    cluster.run_until(30 * SECOND, |cluster| cluster.list(3) == [3]);
    cluster.far_side.clear();
    cluster.run_until(20 * SECOND, Cluster::all_list_all);
}
