//! Delegates that are silent: how often each is told again, and to whom its arc goes then.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::cluster::{Cluster, SECOND, addr, place, record, rumor, rumor_along};
use super::leaving::goodbye;
use super::retelling::{answers, copies, hears, listed, member, publishes, waits};
use super::telling::{MS, alone, full, listing, metadata, packet, rumors, told};
use crate::config::{Config, Liveness};
use crate::core::packet::{
    Body, Delta, Kept, MembershipUpdate, RingArc, Rumor, RumorAck, Subject, Suspicion, Token,
};
use crate::core::{AgeStep, Input, Output, PacketKind, Record};
use crate::node::{Generation, NodeId};

/// Those who are told, each once.
fn receivers(outputs: &[Output]) -> BTreeSet<u16> {
    copies(outputs).into_iter().map(|(to, _)| to).collect()
}

/// Nodes 2 to `nodes` in order of the ring, from node 1 on.
fn around(nodes: u16) -> Vec<u16> {
    let mut others: Vec<u16> = (2..=nodes).collect();
    others.sort_by_key(|&node| place(node).0.wrapping_sub(place(1).0));
    others
}

/// Who stands on an arc.
fn on(arc: RingArc, nodes: u16) -> BTreeSet<u16> {
    (2..=nodes).filter(|&node| arc.contains(place(node))).collect()
}

/// How often a silent delegate is told before somebody else is.
#[track_caller]
fn tries(cluster: &mut Cluster, delegate: u16) -> usize {
    let mut tries = 1;
    while receivers(&waits(cluster)).contains(&delegate) {
        tries += 1;
        assert!(tries < 20, "nobody else is told");
    }
    tries
}

#[test]
fn a_large_arc_goes_to_another_after_two_silences() {
    let mut cluster = full(10, 1);
    let (delegate, _) = copies(&publishes(&mut cluster, b"v1"))[0];
    assert_eq!(tries(&mut cluster, delegate), 2);
}

#[test]
fn an_arc_of_more_than_the_fan_out_is_not_told_each_of_it_though_the_sends_would_do() {
    let mut cluster = full(100, 8);
    let first = copies(&publishes(&mut cluster, b"v1"));
    let nine = |(_, rumor): &&(u16, Rumor)| on(rumor.arc, 100).len() == 9;
    let delegate = first.iter().find(nine).expect("a part of nine").0;
    for handed in first.iter().filter(|&&(to, _)| to != delegate) {
        answers(&mut cluster, handed);
    }
    assert_eq!(receivers(&waits(&mut cluster)), [delegate].into());
}

#[test]
fn where_one_was_only_late_a_large_arc_goes_to_another_after_three() {
    let mut cluster = full(20, 2);
    let first = copies(&publishes(&mut cluster, b"v1"));
    assert_eq!(first.len(), 2);
    assert_eq!(receivers(&waits(&mut cluster)), receivers_of(&first));
    answers(&mut cluster, &first[0]);
    assert_eq!(tries(&mut cluster, first[1].0), 2, "and one before");
}

fn receivers_of(copies: &[(u16, Rumor)]) -> BTreeSet<u16> {
    copies.iter().map(|&(to, _)| to).collect()
}

#[test]
fn where_many_get_lost_any_arc_goes_to_another_after_six() {
    let mut cluster = full(40, 8);
    let Body::Rumor(mut asking) = rumor(metadata(b"v1", 5)) else { unreachable!() };
    asking.acks = 2;
    let first = copies(&cluster.outputs(1, 2, packet(Body::Rumor(asking))));
    for handed in &first[1..] {
        answers(&mut cluster, handed);
    }
    assert_eq!(tries(&mut cluster, first[0].0), 6);
}

#[test]
fn an_arc_of_many_is_told_twice_at_once_where_answers_came_to_repeats_only() {
    for repeats in [0, 1, 11, 16] {
        let mut cluster = full(100, 8);
        (0..repeats).for_each(|_| cluster.engine(1).rtts_mut().note_repeat());
        let sent = copies(&publishes(&mut cluster, b"v1"));
        let of = |to: u16| sent.iter().filter(move |copy| copy.0 == to);
        let (mut twice, mut worth) = (0, 0);
        for to in receivers_of(&sent) {
            let is_worth = on(of(to).next().expect("a copy").1.arc, 100).len() * repeats >= 128;
            let is_twice = of(to).count() == 2;
            assert!(is_worth || !is_twice, "{to} after {repeats}");
            (twice, worth) = (twice + usize::from(is_twice), worth + usize::from(is_worth));
        }
        assert_eq!(twice, worth.min(4), "a quarter of what may be sent, after {repeats}");
    }
}

/// Ten nodes of which the first has told nine by eight delegates, of whom the one that is to tell
/// another is silent: that one and the other.
#[track_caller]
fn one_silent_of_eight() -> (Cluster, u16, u16) {
    let mut cluster = full(10, 8);
    let first = copies(&publishes(&mut cluster, b"v1"));
    assert_eq!(first.len(), 8);
    let pair = first.iter().position(|(_, rumor)| on(rumor.arc, 10).len() == 2).expect("a pair");
    let (delegate, ref silent) = first[pair];
    let other = *on(silent.arc, 10).iter().find(|&&node| node != delegate).unwrap();
    for handed in first.iter().filter(|&&(to, _)| to != delegate) {
        answers(&mut cluster, handed);
    }
    (cluster, delegate, other)
}

#[test]
fn a_small_arc_of_a_silent_one_is_told_each_of_it_and_the_silent_one_no_more_than_ten_times() {
    let (mut cluster, delegate, other) = one_silent_of_eight();
    let mut sends = [1, 0];
    for wait in 1..=20 {
        let told = copies(&waits(&mut cluster));
        if wait == 1 {
            assert_eq!(receivers_of(&told), [delegate, other].into());
            assert!(told.iter().all(|(to, rumor)| on(rumor.arc, 10) == [*to].into()));
        }
        sends[0] += told.iter().filter(|&&(to, _)| to == delegate).count();
        sends[1] += told.iter().filter(|&&(to, _)| to == other).count();
    }
    assert_eq!(sends, [10, 10]);
}

#[test]
fn a_small_arc_is_told_each_of_it_only_where_sends_are_left_for_all_that_wait() {
    for spent in [0, 1] {
        let mut cluster = full(9, 3);
        let first = copies(&publishes(&mut cluster, b"v1"));
        let three = |(_, rumor): &&(u16, Rumor)| on(rumor.arc, 9).len() == 3;
        let (delegate, silent) = first.iter().find(three).expect("4, 3 and 1 are told").clone();
        for handed in first.iter().filter(|&&(to, _)| to != delegate) {
            answers(&mut cluster, handed);
        }
        for node in 50..50 + spent {
            // One send for each who is listed: of twelve, nine are left without.
            let outputs = lists(&mut cluster, node);
            answers(&mut cluster, &copies(&outputs)[0]);
        }
        let expected = if spent == 0 { on(silent.arc, 9) } else { [delegate].into() };
        assert_eq!(receivers(&waits(&mut cluster)), expected);
    }
}

/// Has node 1 list another: what it does about that.
#[track_caller]
fn lists(cluster: &mut Cluster, node: u16) -> Vec<Output> {
    let newcomer = record(node);
    let (now, mut out) = (cluster.clock(), crate::core::Outbox::new());
    cluster.engine(1).restore(now, [&newcomer], &mut out);
    out.drain().collect()
}

#[test]
fn a_delegate_that_left_is_not_told_again_and_its_arc_goes_to_another_at_once() {
    let mut cluster = full(10, 1);
    let (delegate, first) = copies(&publishes(&mut cluster, b"v1"))[0].clone();
    let leaves = goodbye(&mut cluster, delegate);
    hears(&mut cluster, leaves);
    let again = copies(&waits(&mut cluster));
    let of_value = |(_, rumor): &&(u16, Rumor)| matches!(rumor.topic, Subject::Metadata(_));
    let of_value: Vec<_> = again.iter().filter(of_value).collect();
    assert!(of_value.len() == 1 && of_value[0].0 != delegate, "{of_value:?}");
    assert_eq!(of_value[0].1.arc, first.arc);
}

#[test]
fn a_rumor_that_is_sent_again_says_how_old_it_is_by_now() {
    let mut cluster = full(10, 3);
    let topic = listed(&mut cluster, 5);
    let age = |outputs: &[Output]| {
        let (_, _, Subject::Membership(MembershipUpdate::Member(it))) = rumors(outputs).remove(0)
        else {
            panic!("{outputs:?}");
        };
        it.age
    };
    let first = age(&hears(&mut cluster, topic));
    cluster.now = cluster.now + SECOND / 2;
    let later = age(&cluster.outputs_of(1, Input::Timeout));
    let step = AgeStep::of_timeout(Config::default().timeout());
    let grown = step.elapsed(later).unwrap() - step.elapsed(first).unwrap();
    assert!(grown.abs_diff(SECOND / 2) <= step.elapsed(crate::core::Age(1)).unwrap(), "{grown:?}");
}

/// Hands node 1 a value for one member after the other, until so many of its sends are left.
#[track_caller]
fn spends(cluster: &mut Cluster, nodes: u16, left: usize) -> Subject {
    let topic = metadata(b"v1", 5);
    for &node in &around(nodes)[..4 * 3 - left] {
        let body = rumor_along(RingArc::of(place(node)), topic.clone());
        let outputs = cluster.outputs(1, 2, packet(body));
        assert_eq!(receivers(&outputs), [node].into());
    }
    topic
}

#[test]
fn with_one_send_left_all_the_rest_is_handed_to_one() {
    let mut cluster = full(40, 3);
    let topic = spends(&mut cluster, 40, 1);
    let rest = RingArc { after: place(around(40)[10]), upto: place(around(40)[38]) };
    let outputs = cluster.outputs(1, 2, packet(rumor_along(rest, topic)));
    let told = copies(&outputs);
    assert_eq!((told.len(), on(told[0].1.arc, 40)), (1, on(rest, 40)));
}

#[test]
fn who_has_no_sends_left_answers_for_nothing_more() {
    let mut cluster = full(40, 3);
    let topic = spends(&mut cluster, 40, 0);
    let over_budget = cluster.engine(1).stats().rumors_over_budget;
    let rest = RingArc { after: place(around(40)[11]), upto: place(around(40)[38]) };
    let outputs = cluster.outputs(1, 2, packet(rumor_along(rest, topic)));
    assert_eq!(told(&outputs), (vec![], vec![]));
    assert_eq!(cluster.engine(1).stats().rumors_over_budget, over_budget + 1);
}

#[test]
fn who_is_answered_for_everything_has_nothing_to_wake_up_for() {
    let mut cluster = full(10, 3);
    for handed in copies(&publishes(&mut cluster, b"v1")) {
        answers(&mut cluster, &handed);
    }
    let soon = cluster.now + SECOND;
    assert_eq!(cluster.engine(1).deadline().filter(|&at| at < soon), None);
}

#[test]
fn an_answer_to_what_was_never_told_is_counted() {
    let mut cluster = full(10, 3);
    let before = cluster.engine(1).stats().answers_stale;
    let ack = RumorAck { token: Token(1), known: vec![7], kept: Kept::All };
    assert!(cluster.outputs(1, 2, packet(Body::RumorAck(ack))).is_empty());
    assert_eq!(cluster.engine(1).stats().answers_stale, before + 1);
}

#[test]
fn with_one_that_knows_others_on_its_arc_a_swap_follows() {
    let config = Config::builder().fan_out(3).liveness(Liveness::Off).ack_timeout(21 * MS);
    let mut cluster = listing(10, config.build().unwrap(), |_, _| false);
    let (delegate, handed) = copies(&publishes(&mut cluster, b"v1"))[0].clone();
    let ack = RumorAck { token: handed.token, known: vec![7], kept: Kept::All };
    let outputs = cluster.outputs(1, delegate, packet(Body::RumorAck(ack)));
    let swaps = |output: &&Output| match output {
        Output::Send { to, packet, .. } => {
            *to == addr(delegate) && packet.kind() == PacketKind::SwapRequest
        }
        Output::Event(_) | Output::Answer(_) | Output::Flush => false,
    };
    assert_eq!(outputs.iter().filter(swaps).count(), 1);
}

#[test]
fn who_knows_few_on_a_large_arc_is_told_of_as_many_as_fit_one_datagram() {
    let mut cluster = full(100, 1);
    let (delegate, handed) = copies(&publishes(&mut cluster, b"v1"))[0].clone();
    let ack = RumorAck { token: handed.token, known: vec![7], kept: Kept::All };
    let outputs = cluster.outputs(1, delegate, packet(Body::RumorAck(ack)));
    let records = outputs.iter().find_map(|output| match output {
        Output::Send { packet, .. } => match &packet.body {
            Body::Delta(Delta { news }) => Some((packet.len_max(), news.len())),
            _ => None,
        },
        Output::Event(_) | Output::Answer(_) | Output::Flush => None,
    });
    let (len, count) = records.expect("records");
    let room = alone(1).path_len_max();
    // Each of them has about the same length.
    assert!(len <= room && len + len / count > room, "{len} bytes of {room} for {count}");
}

#[test]
fn nobody_is_told_of_its_own_end_or_earlier_life_for_being_listed_anew() {
    let (old, new) = (record(50), later(50));
    let gone = crate::core::packet::Gone {
        addr: addr(50),
        generation: old.generation(),
        counter: 1,
        cause: crate::core::Cause::Left,
    };
    let suspicion = Suspicion {
        addr: addr(50),
        generation: old.generation(),
        counter: 1,
        witnesses: vec![NodeId(7)],
    };
    let ends = [member(Arc::clone(&old), 1), Subject::Membership(gone.into())];
    for end in ends.into_iter().chain([Subject::Membership(suspicion.into())]) {
        let mut cluster = full(10, 3);
        lists(&mut cluster, 50);
        assert!(!copies(&hears(&mut cluster, end.clone())).is_empty());
        let anew = hears(&mut cluster, member(Arc::clone(&new), 1));
        let own = copies(&anew).into_iter().filter(|(to, rumor)| *to == 50 && rumor.topic == end);
        assert_eq!(own.count(), 0, "{end:?}");
    }
}

/// A later incarnation of a node.
#[track_caller]
fn later(node: u16) -> Arc<Record> {
    let generation = Generation::new(8).unwrap();
    Arc::new(Record::new(record(node).node().clone(), generation))
}

#[test]
fn nobody_is_told_anything_of_whom_only_a_stranger_spoke() {
    let mut cluster = full(5, 3);
    // A node that has just started believes everybody.
    cluster.run(10 * SECOND);
    publishes(&mut cluster, b"v1");
    let Subject::Membership(news) = member(record(60), 1) else { unreachable!() };
    let records = Body::Delta(Delta { news: vec![news] });
    let outputs = cluster.outputs(1, 70, packet(records));
    assert!(!receivers(&outputs).contains(&60), "{outputs:?}");
}
