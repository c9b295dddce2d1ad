//! Suspicions as they come and go by packets: which are believed, passed on, and refuted.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::cluster::{Cluster, SECOND, addr, datagram, judging, place, record, rumor, rumor_along};
use super::probes::{counter, records, settled, suspicion};
use super::retelling::copies;
use super::telling::{packet, rumors, told};
use crate::config::{Config, Liveness};
use crate::core::packet::{
    AckOrNack, Body, Bulk, Delta, Echoed, Gone, IndirectAck, MembershipUpdate, PingReq, Probe,
    ProbeAnswer, Reply, RingArc, Subject, Suspicion,
};
use crate::core::{
    Age, Cause, Command, Engine, Event, Input, MemberState, Outbox, Output, PacketKind, Value,
};
use crate::node::Generation;

/// The record of a node with so many more than its counter.
#[track_caller]
fn alive(cluster: &mut Cluster, of: u16, more: u32) -> MembershipUpdate {
    let record = Arc::clone(cluster.engine(of).me());
    let counter = counter(cluster, of, of) + more;
    MembershipUpdate::Member(MemberState { record, counter, age: Age(0) })
}

/// What node 1 does about a rumor of a suspicion, which node 2 sends for an arc.
#[track_caller]
fn hears(cluster: &mut Cluster, suspicion: Suspicion, arc: Option<RingArc>) -> Vec<Output> {
    let topic = Subject::Membership(MembershipUpdate::from(suspicion));
    let body = arc.map_or_else(|| rumor(topic.clone()), |arc| rumor_along(arc, topic.clone()));
    cluster.outputs(1, 2, packet(body))
}

/// The membership news among outputs that go to one node, but for rumors.
fn news_to(outputs: &[Output], node: u16) -> Vec<MembershipUpdate> {
    let news = |output: &Output| match output {
        Output::Send { to, packet, .. } if *to == addr(node) => match &packet.body {
            Body::Delta(Delta { news }) | Body::Bulk(Bulk { news, .. }) => Some(news.clone()),
            _ => None,
        },
        _ => None,
    };
    outputs.iter().filter_map(news).flatten().collect()
}

/// True when node 1 would tell one that probes it that it is suspected.
#[track_caller]
fn suspects(cluster: &mut Cluster, of: u16) -> bool {
    let (now, mut engine, mut out) = (cluster.clock(), cluster.engine(1).clone(), Outbox::new());
    let probe = Probe { token: 7, holds: engine.holds(), reply: Reply::Datagram };
    engine.handle(now, datagram(addr(of), packet(Body::Probe(probe))), &mut out);
    let outputs: Vec<_> = out.drain().collect();
    news_to(&outputs, of).iter().any(|news| matches!(news, MembershipUpdate::Suspected(_)))
}

#[test]
fn a_suspicion_of_another_life_goes_no_further() {
    for (another, goes_on) in [(false, true), (true, false)] {
        let mut cluster = settled(6);
        let mut of = suspicion(&mut cluster, 3);
        if another {
            of.generation = Generation::new(1).unwrap();
        }
        let (rumors, acks) = told(&hears(&mut cluster, of, None));
        assert_eq!((!rumors.is_empty(), acks.len()), (goes_on, 1));
        assert_eq!(suspects(&mut cluster, 3), goes_on);
    }
}

#[test]
fn where_everybody_beats_a_suspicion_is_passed_on_all_the_same() {
    let mut cluster = Cluster::of(6, Config::default());
    let of = suspicion(&mut cluster, 3);
    assert!(!told(&hears(&mut cluster, of, None)).0.is_empty());
}

#[test]
fn only_what_is_newer_than_a_suspicion_refutes_it() {
    let mut cluster = settled(6);
    let mut of = suspicion(&mut cluster, 3);
    of.counter += 5;
    hears(&mut cluster, of, None);
    for (more, is_suspected) in [(3, true), (5, true), (6, false)] {
        let news = alive(&mut cluster, 3, more);
        cluster.outputs(1, 2, packet(records(news)));
        assert_eq!(suspects(&mut cluster, 3), is_suspected, "by {more} more");
    }
}

#[test]
fn a_suspect_is_told_of_no_suspicion_until_it_has_refuted_its_own() {
    let mut cluster = settled(8);
    let [of, other, third] = [5, 6, 7].map(|node| suspicion(&mut cluster, node));
    hears(&mut cluster, of, None);
    let its_own = Some(RingArc::of(place(5)));
    let receivers = |outputs: &[Output]| -> BTreeSet<u16> {
        copies(outputs).into_iter().map(|(to, _)| to).collect()
    };
    assert_eq!(receivers(&hears(&mut cluster, other, its_own)), [].into());
    let refutation = alive(&mut cluster, 5, 1);
    cluster.outputs(1, 2, packet(records(refutation)));
    assert_eq!(receivers(&hears(&mut cluster, third, its_own)), [5].into());
}

#[test]
fn what_is_said_of_one_that_has_refuted_is_answered_once_with_its_record() {
    let mut cluster = settled(6);
    let old = suspicion(&mut cluster, 3);
    let Suspicion { addr, generation, counter, .. } = old;
    let gone = MembershipUpdate::from(Gone { addr, generation, counter, cause: Cause::Timeout });
    let refutation = alive(&mut cluster, 3, 1);
    cluster.outputs(1, 4, packet(records(refutation.clone())));
    for said in [vec![MembershipUpdate::from(old); 3], vec![gone]] {
        let outputs = cluster.outputs(1, 2, packet(Body::Delta(Delta { news: said.clone() })));
        let answers = news_to(&outputs, 2);
        let [MembershipUpdate::Member(answer)] = &answers[..] else {
            panic!("{answers:?} to {said:?}")
        };
        assert_eq!((answer.record.node().addr(), answer.counter), (addr, counter + 1));
    }
}

#[test]
fn who_suspects_us_is_answered_with_our_refutation() {
    let mut cluster = settled(6);
    let of = suspicion(&mut cluster, 3);
    let outputs = cluster.outputs(3, 2, packet(records(MembershipUpdate::from(of.clone()))));
    let answers = news_to(&outputs, 2);
    let [MembershipUpdate::Member(answer)] = &answers[..] else { panic!("{answers:?}") };
    assert_eq!((answer.record.node().addr(), answer.counter), (of.addr, of.counter + 1));
}

#[test]
fn what_is_said_of_another_life_of_ours_is_not_refuted() {
    let mut cluster = settled(6);
    let mut of = suspicion(&mut cluster, 3);
    of.generation = Generation::new(1).unwrap();
    let before = counter(&mut cluster, 3, 3);
    cluster.outputs(3, 2, packet(records(MembershipUpdate::from(of))));
    assert_eq!(counter(&mut cluster, 3, 3), before);
    assert_eq!(cluster.engine(3).stats().refutations, 0);
}

/// What a node does in a time in which it hears nothing, with when it does it.
#[track_caller]
pub(super) fn alone_for(
    cluster: &mut Cluster,
    engine: &mut Engine,
    time: Duration,
) -> Vec<(Duration, Output)> {
    let (start, mut now, mut out) = (cluster.now, cluster.clock(), Outbox::new());
    let mut outputs = Vec::new();
    while let Some(next) = engine.deadline().filter(|&at| at <= start + time) {
        now.mono = now.mono.max(next);
        engine.handle(now, Input::Timeout, &mut out);
        outputs.extend(out.drain().map(|output| (now.mono - start, output)));
    }
    outputs
}

#[test]
fn a_suspicion_that_comes_with_other_news_is_passed_on_once_with_the_next_relay() {
    let mut cluster = settled(6);
    let of = MembershipUpdate::from(suspicion(&mut cluster, 3));
    let mut outputs = Vec::new();
    for by in [2, 4] {
        outputs.extend(cluster.outputs(1, by, packet(records(of.clone()))));
    }
    let mut engine = cluster.engine(1).clone();
    let later = alone_for(&mut cluster, &mut engine, SECOND / 2);
    outputs.extend(later.into_iter().map(|(_, output)| output));
    // The suspect itself is told at once as well.
    let received: Vec<usize> = [2, 4, 5, 6]
        .into_iter()
        .map(|node| news_to(&outputs, node).iter().filter(|&it| *it == of).count())
        .collect();
    assert!(received.iter().all(|&times| times <= 1), "{received:?}");
    assert!(received.contains(&1), "nobody was told");
}

/// When each direct probe goes out, and each request to others to probe.
fn probing(outputs: &[(Duration, Output)]) -> Vec<(PacketKind, Duration)> {
    let mut steps: Vec<(PacketKind, Duration)> = Vec::new();
    for (at, output) in outputs {
        let Output::Send { packet, .. } = output else { continue };
        let step = (packet.kind(), *at);
        if matches!(step.0, PacketKind::Probe | PacketKind::PingReq) && !steps.contains(&step) {
            steps.push(step);
        }
    }
    steps
}

#[test]
fn who_hears_nobody_waits_twice_as_long_for_the_next_answer() {
    let mut cluster = settled(6);
    let mut engine = cluster.engine(1).clone();
    let steps = probing(&alone_for(&mut cluster, &mut engine, 4 * SECOND));
    let starts = |at: usize| steps[at].0 == PacketKind::Probe;
    let asked: Vec<_> = (0..steps.len()).filter(|&at| steps[at].0 == PacketKind::PingReq).collect();
    // The probe by stream goes with the request.
    let direct = |at: usize| (0..at).rev().find(|&it| starts(it) && steps[it].1 < steps[at].1);
    let wait = |at: usize| steps[at].1 - steps[direct(at).expect("a probe")].1;
    assert_eq!(wait(asked[1]), 2 * wait(asked[0]), "{steps:?}");
}

#[test]
fn each_answer_makes_a_node_that_was_slow_less_patient() {
    let mut cluster = settled(6);
    (0..3).for_each(|_| cluster.engine(1).worsen_health());
    cluster.run(15 * SECOND);
    assert_eq!(cluster.engine(1).health_factor(), 1);
}

#[test]
fn who_found_one_silent_is_no_witness_against_the_next() {
    let mut cluster = settled(6);
    let (mut engine, now) = (cluster.engine(1).clone(), cluster.now);
    let outputs = alone_until_asking(&mut cluster, &mut engine);
    let requests: Vec<_> = outputs.iter().filter_map(|(_, output)| request_to(output)).collect();
    for (&(by, request), word) in requests.iter().zip([AckOrNack::Nack, AckOrNack::Ack]) {
        let vouch = Body::IndirectAck(IndirectAck { token: request.token, word });
        engine.handle(cluster.clock(), datagram(addr(by), packet(vouch)), &mut Outbox::new());
    }
    let outputs = alone_for(&mut cluster, &mut engine, 3 * SECOND);
    let suspected = outputs.iter().filter(|(_, output)| {
        let topics = rumors(std::slice::from_ref(output));
        topics
            .iter()
            .any(|(.., it)| matches!(it, Subject::Membership(MembershipUpdate::Suspected(_))))
    });
    assert_eq!(suspected.count(), 0);
    assert!(cluster.now > now && outputs.iter().any(|(_, it)| request_to(it).is_some()));
}

fn request_to(output: &Output) -> Option<(u16, PingReq)> {
    match output {
        Output::Send { to, packet, .. } => match packet.body {
            Body::PingReq(request) => Some((to.port(), request)),
            _ => None,
        },
        _ => None,
    }
}

/// Lets a node hear nothing until it asks others to probe.
#[track_caller]
fn alone_until_asking(cluster: &mut Cluster, engine: &mut Engine) -> Vec<(Duration, Output)> {
    for _ in 0..100 {
        let next = engine.deadline().expect("it probes");
        let wait = next.max(cluster.now) - cluster.now;
        let outputs = alone_for(cluster, engine, wait);
        cluster.now = cluster.now + wait;
        if outputs.iter().any(|(_, output)| request_to(output).is_some()) {
            return outputs;
        }
    }
    panic!("nobody was asked");
}

#[test]
fn an_answer_to_the_first_asking_shows_how_far_its_sender_is_however_late_it_comes() {
    for is_first in [true, false] {
        let mut cluster = settled(6);
        let mut engine = cluster.engine(1).clone();
        let outputs = alone_until_asking(&mut cluster, &mut engine);
        let asked = |(_, output): &(Duration, Output)| match output {
            Output::Send { to, packet, .. } => match &packet.body {
                Body::Probe(probe) => Some((*to, probe.token)),
                _ => None,
            },
            _ => None,
        };
        // Of the last one only the third asking may be there, which has the token of all repeats.
        let (to, token) = outputs.iter().rev().find_map(asked).expect("a probe");
        let token = if is_first { token.first() } else { token };
        let (before, holds) = (engine.stats().round_trip.count(), engine.holds());
        let answer = packet(Body::ProbeAnswer(ProbeAnswer { token, holds }));
        engine.handle(cluster.clock(), datagram(to, answer), &mut Outbox::new());
        let measured = engine.stats().round_trip.count() - before;
        assert_eq!(measured, u64::from(is_first), "of an answer to a first asking: {is_first}");
    }
}

#[test]
fn who_slept_for_long_says_unasked_that_it_lives() {
    let mut cluster = settled(6);
    let before = counter(&mut cluster, 4, 4);
    cluster.now = cluster.now + 60 * SECOND;
    let said = rumors(&cluster.outputs_of(4, Input::Timeout));
    let own = |(_, _, topic): &(u16, RingArc, Subject)| match topic {
        Subject::Membership(MembershipUpdate::Member(it)) => {
            it.record.node().addr() == addr(4) && it.counter == before + 1
        }
        _ => false,
    };
    assert!(said.iter().any(own), "{said:?}");
}

#[test]
fn a_suspect_of_which_not_even_a_tombstone_is_left_harms_nobody() {
    let config = judging().liveness(Liveness::Probes).members_max(200).build().unwrap();
    let mut cluster = Cluster::new(config);
    cluster.start(1, &[]);
    let member = |node| MemberState { record: record(node), counter: 1, age: Age(0) };
    let members = (10..200).map(|node| MembershipUpdate::Member(member(node)));
    let suspected = [10, 11].map(|node| {
        let (generation, witnesses) = (record(node).generation(), vec![place(3), place(4)]);
        let (addr, counter) = (addr(node), 1);
        MembershipUpdate::from(Suspicion { addr, generation, counter, witnesses })
    });
    // The first of them leaves, and more than there is room to remember after it.
    let goodbyes = [10].into_iter().chain(12..199).map(|node| {
        let (generation, cause) = (record(node).generation(), Cause::Left);
        MembershipUpdate::from(Gone { addr: addr(node), generation, counter: 1, cause })
    });
    let news = members.chain(suspected).chain(goodbyes).collect();
    cluster.outputs(1, 2, packet(Body::Delta(Delta { news })));
    let forgotten = cluster.engine(1).list().node(addr(10)).is_none();
    assert!(forgotten && cluster.engine(1).suspects(addr(11)), "the case is as it is meant to be");
    let mut engine = cluster.engine(1).clone();
    let outputs = alone_for(&mut cluster, &mut engine, 6 * SECOND);
    let removed: Vec<_> = outputs
        .iter()
        .filter_map(|(_, output)| match output {
            Output::Event(Event::Removed { record, .. }) => Some(record.node().addr()),
            _ => None,
        })
        .collect();
    assert!(removed.contains(&addr(11)) && !removed.contains(&addr(10)), "{removed:?}");
}

/// Nodes that all know that the fifth is slow, for it was suspected and lives.
#[track_caller]
fn with_a_slow_one() -> Cluster {
    let mut cluster = settled(8);
    cluster.deaf.insert(5);
    cluster.run_until(4 * SECOND, |cluster| suspecting(cluster) == 7);
    cluster.deaf.clear();
    cluster.run_until(4 * SECOND, |cluster| suspecting(cluster) == 0);
    cluster
}

/// How many suspect the fifth.
fn suspecting(cluster: &mut Cluster) -> usize {
    let others = (1..=8).filter(|&other| other != 5);
    others.filter(|&other| cluster.engine(other).suspects(addr(5))).count()
}

#[test]
fn who_is_known_to_be_slow_is_not_told_of_while_it_may_yet_answer() {
    for (is_slow, told) in [(false, 5..8), (true, 1..5)] {
        let mut cluster = if is_slow { with_a_slow_one() } else { settled(8) };
        let before = counter(&mut cluster, 5, 5);
        cluster.deaf.insert(5);
        cluster.run_until(4 * SECOND, |cluster| suspecting(cluster) > 0);
        cluster.run(SECOND / 4);
        let suspecting_now = suspecting(&mut cluster);
        assert!(told.contains(&suspecting_now), "{suspecting_now} do, slow: {is_slow}");
        cluster.deaf.clear();
        cluster.run_until(4 * SECOND, |cluster| suspecting(cluster) == 0);
        let says_so = counter(&mut cluster, 5, 5) > before;
        assert!(!(is_slow && says_so), "an answer to who asked is enough");
    }
}

#[test]
fn a_slow_one_that_is_dead_is_told_of_and_gone_after_three_times_the_time() {
    let removed_after = |mut cluster: Cluster| {
        cluster.crash(5);
        cluster.run_until(16 * SECOND, |cluster| cluster.removals_of(5).len() == 7)
    };
    let (before, slow) = (removed_after(settled(8)), removed_after(with_a_slow_one()));
    let as_usual = before < 5 * SECOND + SECOND / 2;
    assert!(as_usual && slow > 9 * SECOND && slow < 13 * SECOND, "{before:?}, {slow:?}");
}

/// Who suspects the fifth first, while nobody else does.
#[track_caller]
fn first_to_suspect(cluster: &mut Cluster) -> u16 {
    cluster.run_until(4 * SECOND, |cluster| suspecting(cluster) > 0);
    let first = (1..=8).find(|&node| node != 5 && cluster.engine(node).suspects(addr(5)));
    first.expect("somebody does")
}

#[test]
fn who_is_suspected_quietly_is_asked_from_the_start() {
    let mut cluster = with_a_slow_one();
    cluster.crash(5);
    let first = first_to_suspect(&mut cluster);
    let mut engine = cluster.engine(first).clone();
    let outputs = alone_for(&mut cluster, &mut engine, SECOND);
    let asks = |(_, output): &&(Duration, Output)| match output {
        Output::Send { to, packet, .. } => *to == addr(5) && packet.kind() == PacketKind::Probe,
        _ => false,
    };
    let calls = outputs.iter().filter(asks).count();
    assert!((3..=5).contains(&calls), "{calls} calls, one in each quarter of a cycle");
}

#[test]
fn who_was_suspected_quietly_has_all_its_time_once_it_is_told_of() {
    let mut cluster = with_a_slow_one();
    let suspicion = suspicion(&mut cluster, 5);
    cluster.crash(5);
    let first = first_to_suspect(&mut cluster);
    let by = if first == 2 { 3 } else { 2 };
    cluster.run(3 * SECOND);
    cluster.body(first, by, records(MembershipUpdate::from(suspicion)));
    // Twice as long as others, of which the quiet time is no part.
    cluster.run(5 * SECOND);
    assert!(cluster.engine(first).lists(addr(5)));
    cluster.run_until(3 * SECOND, |cluster| !cluster.engine(first).lists(addr(5)));
}

#[test]
fn a_suspect_is_handed_no_more_of_a_rumor_than_its_own_place() {
    let mut cluster = settled(30);
    let suspects = 10..20;
    for of in suspects.clone() {
        let suspicion = suspicion(&mut cluster, of);
        hears(&mut cluster, suspicion, None);
    }
    for number in 0..20 {
        let value = Value::new([number], &Config::default()).unwrap();
        let outputs = cluster.outputs_of(1, Input::Command(Command::Publish(value)));
        for (to, arc, _) in rumors(&outputs).iter().filter(|it| suspects.contains(&it.0)) {
            let others = (1..=30).filter(|other| other != to && arc.contains(place(*other)));
            assert_eq!(others.count(), 0, "node {to} is to tell others, who is suspected");
        }
    }
}

#[test]
fn where_many_are_suspected_others_are_not_asked_of_each() {
    let mut cluster = settled(60);
    (16..=60).for_each(|node| cluster.crash(node));
    cluster.log.clear();
    cluster.run(6 * SECOND);
    let asks = cluster.log.iter().filter(|it| it.0.port() < 16 && it.1 == PacketKind::Delta);
    let asks = asks.count();
    // Some of the first, before they are many.
    assert!(asks < 200, "{asks} asked of others, where all are asked themselves");
}

#[test]
fn who_reads_late_accuses_nobody_of_not_answering() {
    for (is_late, accuses) in [(false, true), (true, false)] {
        let mut cluster = settled(6);
        let mut engine = cluster.engine(1).clone();
        let outputs = alone_until_asking(&mut cluster, &mut engine);
        let (by, PingReq { token, target }) =
            outputs.iter().find_map(|(_, output)| request_to(output)).expect("somebody is asked");
        let vouch = Body::IndirectAck(IndirectAck { token, word: AckOrNack::Nack });
        let mut out = Outbox::new();
        if is_late {
            engine.handle(cluster.clock(), Input::Waited(SECOND), &mut out);
        }
        engine.handle(cluster.clock(), datagram(addr(by), packet(vouch)), &mut out);
        alone_for(&mut cluster, &mut engine, SECOND / 2);
        assert_eq!(engine.suspects(target), accuses);
    }
}

#[test]
fn who_reads_late_removes_a_suspect_whose_time_is_over_when_another_has() {
    for words in [0, 1] {
        let mut cluster = settled(6);
        let Suspicion { addr, generation, counter, .. } = suspicion(&mut cluster, 3);
        let gone = Gone { addr, generation, counter, cause: Cause::Timeout };
        let mut engine = cluster.engine(1).clone();
        let mut out = Outbox::new();
        let suspicion = suspicion(&mut cluster, 3);
        let mut news = vec![MembershipUpdate::from(suspicion)];
        news.extend((0..words).map(|_| MembershipUpdate::from(gone)));
        let news = packet(Body::Delta(Delta { news }));
        engine.handle(cluster.clock(), datagram(super::cluster::addr(2), news), &mut out);
        for _ in 0..16 {
            engine.handle(cluster.clock(), Input::Waited(SECOND), &mut out);
            alone_for(&mut cluster, &mut engine, SECOND / 4);
            cluster.now = cluster.now + SECOND / 4;
        }
        assert_eq!(engine.lists(addr), words == 0, "{words} have");
    }
}

#[test]
fn a_suspicion_whose_time_is_nearly_over_is_told_to_two_who_may_know_more() {
    let mut cluster = settled(6);
    let of = suspicion(&mut cluster, 3);
    hears(&mut cluster, of.clone(), None);
    let mut engine = cluster.engine(1).clone();
    let outputs = alone_for(&mut cluster, &mut engine, 4 * SECOND);
    let is_it = |news: &MembershipUpdate| match news {
        MembershipUpdate::Suspected(it) => it.addr == of.addr,
        _ => false,
    };
    let asks = outputs.iter().filter(|(at, output)| {
        let output = std::slice::from_ref(output);
        let to_others = [2, 4, 5, 6].iter().flat_map(|&other| news_to(output, other));
        *at > 2 * SECOND && to_others.filter(is_it).count() > 0
    });
    let asks = asks.count();
    assert!((5..=8).contains(&asks), "{asks}");
}

/// Tells a node that it is suspected, and returns what it does.
#[track_caller]
fn doubts(cluster: &mut Cluster, suspicion: &Suspicion) -> Vec<Output> {
    let node = suspicion.addr.port();
    cluster.outputs(node, 2, packet(records(MembershipUpdate::from(suspicion.clone()))))
}

#[test]
fn a_suspicion_that_a_silent_beat_has_outdated_is_refuted_before_all() {
    let mut cluster = settled(8);
    let old = suspicion(&mut cluster, 5);
    let now = cluster.clock();
    cluster.engine(5).with(now, |cx| cx.members.beat_once(now.mono));
    let tells = |outputs: &[Output]| !rumors(outputs).is_empty();
    assert!(tells(&doubts(&mut cluster, &old)), "nobody has heard of that beat");
    cluster.run(SECOND);
    assert!(!tells(&doubts(&mut cluster, &old)), "by now they have");
}

#[test]
fn who_is_suspected_tells_whoever_asks_that_it_lives() {
    let mut cluster = settled(8);
    let probe = packet(Body::Probe(Probe {
        token: 7,
        holds: cluster.engine(3).holds(),
        reply: Reply::Datagram,
    }));
    let before = cluster.outputs(5, 3, probe.clone());
    assert_eq!(news_to(&before, 3), [], "nobody doubts it");
    let suspicion = suspicion(&mut cluster, 5);
    doubts(&mut cluster, &suspicion);
    let now = alive(&mut cluster, 5, 0);
    let told = cluster.outputs(5, 3, probe.clone());
    let [MembershipUpdate::Member(told)] = &news_to(&told, 3)[..] else { panic!("{told:?}") };
    let MembershipUpdate::Member(now) = now else { unreachable!("it lives") };
    assert_eq!((&told.record, told.counter), (&now.record, now.counter));
    cluster.run(4 * SECOND);
    let later = cluster.outputs(5, 4, probe);
    assert_eq!(news_to(&later, 4), [], "by now it was heard, or is gone");
}

#[test]
fn an_answer_that_comes_too_late_shows_that_its_sender_lives() {
    let mut cluster = settled(8);
    let suspicion = suspicion(&mut cluster, 5);
    hears(&mut cluster, suspicion, None);
    assert!(cluster.engine(1).suspects(addr(5)));
    let (now, mut token) = (cluster.clock(), 0);
    cluster.engine(1).with(now, |cx| token = cx.token_for(addr(5)));
    let holds = cluster.engine(5).holds();
    let answer = |token| packet(Body::ProbeAnswer(ProbeAnswer { token, holds }));
    cluster.outputs(1, 5, answer(token ^ 2));
    assert!(cluster.engine(1).suspects(addr(5)), "anybody could say that");
    cluster.outputs(1, 5, answer(token));
    assert!(!cluster.engine(1).suspects(addr(5)));
}

#[test]
fn who_calls_a_suspect_tells_it_that_it_is_one() {
    let mut cluster = settled(8);
    // It is told when it is first suspected, and that may get lost.
    cluster.deaf.insert(5);
    let suspicion = suspicion(&mut cluster, 5);
    hears(&mut cluster, suspicion, None);
    cluster.sent.clear();
    cluster.run(SECOND * 13 / 5);
    let told = cluster.sent.get(&PacketKind::Delta).copied().unwrap_or(0);
    assert!(told > 0, "told {told} times by those who call it");
}

#[test]
fn who_answers_when_all_are_asked_is_not_slow_for_that() {
    let mut cluster = settled(8);
    cluster.deaf.insert(1);
    cluster.run_until(8 * SECOND, |cluster| cluster.engine(1).list().suspected_len() == 7);
    cluster.deaf.clear();
    cluster.run_until(4 * SECOND, |cluster| cluster.engine(1).list().suspected_len() == 0);
    cluster.run(SECOND);
    cluster.crash(5);
    let out = |cluster: &mut Cluster| !cluster.engine(1).lists(addr(5));
    let took = cluster.run_until(20 * SECOND, out);
    assert!(took < 6 * SECOND, "{took:?}");
}
