//! Goodbyes: heard by all however many leave at once, and not before what was said is in hands.

use std::sync::Arc;
use std::time::Duration;

use super::cluster::{Cluster, SECOND, addr, beating, datagram, place, rumor, rumor_along};
use crate::config::{Config, Liveness, Swap};
use crate::core::packet::{
    Body, Gone, Kept, LastCall, MembershipUpdate, RingArc, RumorAck, Subject,
};
use crate::core::{
    Age, AgeStep, Answer, Cause, Command, Input, MemberState, NotConfirmed, Outbox, Output, Packet,
    PacketKind, Record, Value,
};
use crate::node::{Generation, Node};
use crate::rng::Probability;

const MS: Duration = Duration::from_millis(1);

/// A cluster of so many of which all from `first_leaver` on leave at once.
#[track_caller]
fn scaled_in(nodes: u16, first_leaver: u16, liveness: Liveness, loss: Probability) -> Cluster {
    let config = Config::builder().liveness(liveness).build().unwrap();
    let mut cluster = Cluster::of(nodes, config);
    cluster.run(SECOND);
    cluster.events.clear();
    cluster.loss = loss;
    (first_leaver..=nodes).for_each(|node| cluster.command(node, Command::Leave));
    cluster
}

#[track_caller]
fn are_right(cluster: &mut Cluster, stay: u16) -> bool {
    let all: Vec<_> = (1..=stay).collect();
    (1..=stay).all(|node| cluster.list(node) == all)
}

/// None of the leavers was told as one that was silent.
#[track_caller]
fn assert_none_timed_out(cluster: &Cluster, leavers: std::ops::RangeInclusive<u16>) {
    for node in leavers {
        let causes = cluster.removals_of(node);
        assert!(causes.iter().all(|&(_, cause)| cause == Cause::Left), "{node}: {causes:?}");
    }
}

#[test]
fn however_many_leave_at_once_all_lists_are_right_after_some_round_trips() {
    for liveness in [Liveness::Beats, Liveness::Probes] {
        for (nodes, stay) in [(50, 45), (50, 25), (50, 5), (50, 1), (100, 2)] {
            let mut cluster = scaled_in(nodes, stay + 1, liveness, Probability::ZERO);
            cluster.run_until(200 * MS, |cluster| are_right(cluster, stay));
            cluster.run(6 * SECOND);
            assert!(are_right(&mut cluster, stay), "and stay so");
            assert_none_timed_out(&cluster, stay + 1..=nodes);
        }
    }
}

#[test]
fn at_a_twentieth_of_loss_they_are_right_within_a_second() {
    let twentieth = Probability::from_ppb(50_000_000);
    for liveness in [Liveness::Beats, Liveness::Probes] {
        for (nodes, stay) in [(50, 25), (50, 2)] {
            let mut cluster = scaled_in(nodes, stay + 1, liveness, twentieth);
            cluster.run_until(SECOND, |cluster| are_right(cluster, stay));
            assert_none_timed_out(&cluster, stay + 1..=nodes);
        }
    }
}

#[test]
fn a_leaver_is_off_two_waits_after_all_is_acknowledged() {
    let mut cluster = scaled_in(30, 30, Liveness::Beats, Probability::ZERO);
    let off = |cluster: &mut Cluster| cluster.off.contains_key(&30);
    let took = cluster.run_until(SECOND / 5, off);
    assert_eq!(cluster.answers.last().unwrap().2, Answer::Left(Ok(())));
    assert!(took >= 20 * MS, "nobody could ask again within {took:?}");
}

#[test]
fn a_leaver_that_nobody_answers_is_off_after_half_a_second() {
    let config = Config::builder().ack_timeout(200 * MS).build().unwrap();
    let mut cluster = Cluster::of(30, config);
    cluster.loss = Probability::ONE;
    cluster.command(30, Command::Leave);
    let off = |cluster: &mut Cluster| cluster.off.contains_key(&30);
    assert_eq!(cluster.run_until(SECOND, off), 500 * MS);
}

#[test]
fn the_only_node_of_a_cluster_is_off_at_once() {
    let mut cluster = Cluster::of(1, Config::default());
    cluster.publish(1, b"nobody else could hold it");
    cluster.command(1, Command::Leave);
    assert_eq!(cluster.answers, [(cluster.now, 1, Answer::Left(Ok(())))]);
}

fn packet(body: Body) -> Packet {
    Packet::new(AgeStep::of_timeout(Config::default().timeout()), body)
}

fn kinds(outputs: &[Output]) -> Vec<PacketKind> {
    let kind = |output: &Output| match output {
        Output::Send { packet, .. } => Some(packet.kind()),
        Output::Event(_) | Output::Answer(_) | Output::Flush => None,
    };
    outputs.iter().filter_map(kind).collect()
}

/// The goodbye of a node.
#[track_caller]
pub(super) fn goodbye(cluster: &mut Cluster, node: u16) -> Subject {
    let generation = cluster.engine(node).me().generation();
    let gone = Gone { addr: addr(node), generation, counter: 1, cause: Cause::Left };
    Subject::Membership(gone.into())
}

#[test]
fn a_leaver_passes_on_what_it_is_told_and_says_nothing_that_would_list_it_anew() {
    let mut cluster = Cluster::of(10, Config::default());
    let request = cluster.swap_request(1, 3);
    let other = goodbye(&mut cluster, 7);
    cluster.command(3, Command::Leave);
    let told = kinds(&cluster.outputs(3, 2, packet(rumor(other))));
    assert_eq!(told.last(), Some(&PacketKind::RumorAck));
    assert!(told.len() > 1 && told[..told.len() - 1].iter().all(|&it| it == PacketKind::Rumor));
    let call = Body::LastCall(LastCall::default());
    for body in [request.body, call] {
        assert_eq!(kinds(&cluster.outputs(3, 1, packet(body))), []);
    }
    cluster.run(10 * SECOND);
    // Nobody lists it again.
    assert_eq!(cluster.list(1).len(), 9);
    cluster.assert_all_list_all();
}

#[test]
fn what_a_leaver_says_of_its_own_accord_are_rumors_alone() {
    for liveness in [Liveness::Beats, Liveness::Probes] {
        let mut cluster = scaled_in(10, 10, liveness, Probability::ONE);
        let mut engine = cluster.engine(10).clone();
        let mut now = cluster.clock();
        // A member that it did not know, and a beat that it had not heard, are news to pass on.
        let (mut out, mut said) = (Outbox::new(), Vec::new());
        let known = Arc::clone(cluster.engine(5).me());
        for news in [member(11, "n11"), sighting(known, 1_000)] {
            engine.handle(now, datagram(addr(2), packet(rumor(news))), &mut out);
        }
        while let Some(deadline) = engine.deadline() {
            now.mono = deadline;
            engine.handle(now, Input::Timeout, &mut out);
            let outputs: Vec<_> = out.drain().collect();
            said.extend(kinds(&outputs));
        }
        assert!(!said.is_empty() && engine.lists(addr(11)));
        said.retain(|&kind| !matches!(kind, PacketKind::Rumor | PacketKind::RumorAck));
        assert_eq!(said, [], "{liveness:?}");
    }
}

#[test]
fn a_leaver_swaps_with_nobody_though_a_delegate_knows_others_than_it_does() {
    let mut cluster = Cluster::of(3, Config::default());
    cluster.run(SECOND);
    let mut engine = cluster.engine(3).clone();
    let (now, mut out) = (cluster.clock(), Outbox::new());
    let value = Value::new(*b"v1", &Config::default()).unwrap();
    engine.handle(now, Input::Command(Command::Publish(value)), &mut out);
    let rumor = |output: Output| match output {
        Output::Send { to, packet, .. } => match &packet.body {
            Body::Rumor(rumor) => Some((to, rumor.token)),
            _ => None,
        },
        Output::Event(_) | Output::Answer(_) | Output::Flush => None,
    };
    let (to, token) = out.drain().find_map(rumor).expect("it tells others");
    engine.handle(now, Input::Command(Command::Leave), &mut out);
    out.drain().for_each(drop);
    let ack = packet(Body::RumorAck(RumorAck { token, known: vec![1], kept: Kept::All }));
    engine.handle(now, datagram(to, ack), &mut out);
    let outputs: Vec<_> = out.drain().collect();
    assert!(!kinds(&outputs).contains(&PacketKind::SwapRequest), "{outputs:?}");
}

/// News of a member.
#[track_caller]
fn member(node: u16, name: &str) -> Subject {
    let node = Node::new(addr(node).to_string()).name(name).build().unwrap();
    sighting(Arc::new(Record::new(node, Generation::new(7).unwrap())), 1)
}

fn sighting(record: Arc<Record>, counter: u32) -> Subject {
    Subject::Membership(MembershipUpdate::Member(MemberState { record, counter, age: Age(0) }))
}

#[test]
fn a_leaver_that_is_off_is_deaf_and_mute() {
    let mut cluster = Cluster::of(3, Config::default());
    cluster.command(2, Command::Leave);
    cluster.run(SECOND);
    let mut engine = cluster.off.remove(&2).expect("it is off by now");
    let (now, mut out) = (cluster.clock(), Outbox::new());
    let rumor = rumor_along(RingArc::whole(place(1)), goodbye(&mut cluster, 3));
    let input = datagram(addr(1), packet(rumor));
    engine.handle(now, input, &mut out);
    engine.handle(now, Input::Command(Command::Leave), &mut out);
    assert!(out.is_empty());
    assert_eq!(engine.deadline(), None);
}

/// More than fits a datagram.
fn large() -> Vec<u8> {
    vec![7; 5_000]
}

#[test]
fn a_value_that_exceeds_a_datagram_outlives_a_publisher_that_leaves_at_once() {
    for nodes in [2, 3, 30] {
        let mut cluster = Cluster::of(nodes, Config::default());
        cluster.publish(1, &large());
        cluster.command(1, Command::Leave);
        cluster.run_until(SECOND, |cluster| cluster.off.contains_key(&1));
        assert_eq!(cluster.answers.last().unwrap().2, Answer::Left(Ok(())));
        cluster.run_until(2 * SECOND, |cluster| cluster.all_hold(&large()));
    }
}

#[test]
fn a_value_that_leavers_alone_hold_is_told_to_one_that_stays() {
    for data in [large(), b"small".to_vec()] {
        let mut cluster = Cluster::of(10, Config::default());
        // Nine leave, and of them the publisher alone reaches the one that stays.
        cluster.cuts.extend((2..=9).map(|node| (node, 10)));
        cluster.publish(1, &data);
        (1..=9).for_each(|node| cluster.command(node, Command::Leave));
        cluster.run_until(3 * SECOND, |cluster| cluster.data(10) == Some(data.clone()));
        cluster.run_until(SECOND, |cluster| cluster.off.contains_key(&1));
        let left = |&(_, node, ref answer): &_| (node, answer) == (1, &Answer::Left(Ok(())));
        assert!(cluster.answers.iter().any(left), "{:?}", cluster.answers);
    }
}

#[test]
fn who_fetches_from_one_that_has_said_goodbye_does_not_give_it_up() {
    // A transfer takes longer than a cycle, and no swap makes up for what is not told on.
    let config = Config::builder().cycle(20 * MS).fan_out(3).swap(Swap::Off);
    let mut cluster = Cluster::new(config.liveness(Liveness::Off).build().unwrap());
    (1..=30).for_each(|node| cluster.start(node, &[]));
    let records: Vec<_> = (1..=30).map(|node| Arc::clone(cluster.engine(node).me())).collect();
    (1..=30).for_each(|node| cluster.restore(node, &records));
    cluster.run(SECOND);
    cluster.publish(1, &large());
    cluster.command(1, Command::Leave);
    cluster.run_until(2 * SECOND, |cluster| cluster.all_hold(&large()));
}

#[test]
fn what_was_published_when_nobody_was_there_is_told_before_its_publisher_leaves() {
    let mut cluster = Cluster::new(Config::default());
    cluster.start(1, &[]);
    cluster.publish(1, &large());
    cluster.run(10 * SECOND);
    cluster.start(2, &[1]);
    cluster.run_until(SECOND, |cluster| cluster.list(1).len() == 2);
    cluster.command(1, Command::Leave);
    cluster.run_until(3 * SECOND, |cluster| cluster.data(2) == Some(large()));
}

#[test]
fn who_leaves_with_the_only_copy_says_so_after_three_seconds() {
    for data in [large(), b"small".to_vec()] {
        let mut cluster = Cluster::of(5, Config::default());
        cluster.loss = Probability::ONE;
        cluster.publish(1, &data);
        let version = cluster.engine(1).metadata().unwrap().version();
        cluster.command(1, Command::Leave);
        let took = cluster.run_until(4 * SECOND, |cluster| cluster.off.contains_key(&1));
        let lost = Answer::Left(Err(NotConfirmed { version, held_by: 0 }));
        assert_eq!((took, cluster.answers.last().unwrap().2.clone()), (3 * SECOND, lost));
    }
}

#[track_caller]
fn publish_to(cluster: &mut Cluster, node: u16, data: &[u8], holders: usize) {
    let value = Value::new(data, &Config::default()).unwrap();
    cluster.command(node, Command::PublishTo(value, holders));
}

#[test]
fn a_publish_to_many_is_answered_once_so_many_others_hold_it() {
    for (data, limit) in [(b"small".to_vec(), SECOND / 10), (large(), 3 * SECOND)] {
        for holders in [0, 1, 5, 29] {
            let mut cluster = Cluster::of(30, Config::default());
            publish_to(&mut cluster, 1, &data, holders);
            cluster.run_until(limit, |cluster| !cluster.answers.is_empty());
            let version = cluster.engine(1).metadata().unwrap().version();
            assert_eq!(cluster.answers[0].2, Answer::Published(Ok(version)));
            let held = (2..=30).filter(|&node| cluster.data(node).as_ref() == Some(&data)).count();
            assert!(held >= holders, "{held} instead of {holders}");
            cluster.run(6 * SECOND);
            assert_eq!(cluster.answers.len(), 1);
        }
    }
}

#[test]
fn a_publish_to_more_than_there_are_says_after_a_timeout_how_many_hold_it() {
    let mut cluster = Cluster::of(10, Config::default());
    publish_to(&mut cluster, 1, b"v1", 10);
    let took = cluster.run_until(6 * SECOND, |cluster| !cluster.answers.is_empty());
    let version = cluster.engine(1).metadata().unwrap().version();
    let answer = Answer::Published(Err(NotConfirmed { version, held_by: 9 }));
    assert_eq!((took, cluster.answers[0].2.clone()), (5 * SECOND, answer));
}

#[test]
fn a_node_that_joins_while_a_publisher_waits_counts() {
    let mut cluster = Cluster::of(3, beating());
    publish_to(&mut cluster, 1, b"v1", 3);
    cluster.run(SECOND);
    assert_eq!(cluster.answers, []);
    cluster.start(4, &[2]);
    cluster.run_until(3 * SECOND, |cluster| !cluster.answers.is_empty());
    assert!(matches!(cluster.answers[0].2, Answer::Published(Ok(_))));
}

#[test]
fn who_holds_what_replaced_a_value_counts_as_its_holder() {
    let mut cluster = Cluster::of(5, Config::default());
    cluster.loss = Probability::ONE;
    publish_to(&mut cluster, 1, b"v1", 2);
    let first = cluster.engine(1).metadata().unwrap().version();
    cluster.loss = Probability::ZERO;
    cluster.publish(1, b"v2");
    cluster.run_until(SECOND, |cluster| !cluster.answers.is_empty());
    assert_eq!(cluster.answers[0].2, Answer::Published(Ok(first)));
}

#[test]
fn of_more_publishers_than_may_wait_the_first_is_answered_early() {
    let mut cluster = Cluster::of(2, Config::default());
    cluster.crash(2);
    (0..=64).for_each(|number: u8| publish_to(&mut cluster, 1, &[number], 1));
    let answered = |answer: &Answer| matches!(answer, Answer::Published(Err(_)));
    assert_eq!(cluster.answers.len(), 1);
    assert!(answered(&cluster.answers[0].2));
}
