//! What is remembered of rumors: which are sent again, how often, and what comes back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::cluster::{Cluster, SECOND, place, record, rumor, rumor_along};
use super::leaving::goodbye;
use super::telling::{MS, full, listing, metadata, packet, rumors, told};
use crate::config::{Config, Liveness, Swap};
use crate::core::packet::{Body, Kept, MembershipUpdate, RingArc, Rumor, RumorAck, Subject};
use crate::core::{Age, Command, Input, MemberState, Outbox, Output, Record, Value};

/// How long is waited for an acknowledgement.
const WAIT: Duration = Duration::from_millis(21);

/// The rumors among outputs, each copy of them, with whom they go to.
pub(super) fn copies(outputs: &[Output]) -> Vec<(u16, Rumor)> {
    let copy = |output: &Output| match output {
        Output::Send { to, packet, .. } => match &packet.body {
            Body::Rumor(rumor) => Some((to.port(), rumor.clone())),
            _ => None,
        },
        Output::Event(_) | Output::Answer(_) | Output::Flush => None,
    };
    outputs.iter().filter_map(copy).collect()
}

pub(super) fn member(record: Arc<Record>, counter: u32) -> Subject {
    Subject::Membership(MembershipUpdate::Member(MemberState { record, counter, age: Age(0) }))
}

/// The news of a member that is listed already, and goes along the ring all the same.
#[track_caller]
pub(super) fn listed(cluster: &mut Cluster, node: u16) -> Subject {
    member(Arc::clone(cluster.engine(node).me()), 1)
}

/// What node 1 does about a rumor of node 2 for all others.
#[track_caller]
pub(super) fn hears(cluster: &mut Cluster, topic: Subject) -> Vec<Output> {
    cluster.outputs(1, 2, packet(rumor(topic)))
}

/// What node 1 does about a publish of its own.
#[track_caller]
pub(super) fn publishes(cluster: &mut Cluster, data: &[u8]) -> Vec<Output> {
    let value = Value::new(data, &Config::default()).unwrap();
    cluster.outputs_of(1, Input::Command(Command::Publish(value)))
}

/// What node 1 does once it has waited for its delegates.
#[track_caller]
pub(super) fn waits(cluster: &mut Cluster) -> Vec<Output> {
    cluster.now = cluster.now + WAIT;
    cluster.outputs_of(1, Input::Timeout)
}

/// A delegate answers node 1 for what it was handed.
#[track_caller]
pub(super) fn answers(cluster: &mut Cluster, (delegate, rumor): &(u16, Rumor)) -> Vec<Output> {
    let ack = RumorAck { token: rumor.token, known: Vec::new(), kept: Kept::All };
    cluster.outputs(1, *delegate, packet(Body::RumorAck(ack)))
}

/// Of whom membership rumors are, each once.
#[track_caller]
fn subjects(outputs: &[Output]) -> BTreeSet<u16> {
    let subject = |(_, rumor): (u16, Rumor)| match rumor.topic {
        Subject::Membership(MembershipUpdate::Member(it)) => it.record.node().addr().port(),
        Subject::Membership(MembershipUpdate::Gone(gone)) => gone.addr.port(),
        other => panic!("{other:?} is no membership"),
    };
    copies(outputs).into_iter().map(subject).collect()
}

#[test]
fn a_copy_with_a_newer_beat_is_another_rumor_only_where_a_counter_means_a_refutation() {
    for (liveness, is_told) in [(Liveness::Off, false), (Liveness::Probes, true)] {
        let config = Config::builder().fan_out(3).swap(Swap::Off).liveness(liveness);
        let mut cluster = listing(10, config.build().unwrap(), |_, _| false);
        assert!(told(&hears(&mut cluster, member(record(50), 1))).0.len() >= 3);
        let (again, acks) = told(&hears(&mut cluster, member(record(50), 2)));
        assert_eq!((!again.is_empty(), acks.len()), (is_told, 1), "{liveness:?}");
    }
}

#[test]
fn an_acknowledgement_of_the_first_copy_shows_how_long_it_took_however_late_it_comes() {
    for is_first in [true, false] {
        let mut cluster = full(2, 1);
        let first = copies(&publishes(&mut cluster, b"v1"));
        let again = copies(&waits(&mut cluster));
        let before = cluster.engine(1).stats().round_trip.count();
        let repeats = cluster.engine(1).rtts_mut().repeats_of_sixteen();
        answers(&mut cluster, if is_first { &first[0] } else { &again[0] });
        let measured = cluster.engine(1).stats().round_trip.count() - before;
        assert_eq!(measured, u64::from(is_first));
        let repeats = cluster.engine(1).rtts_mut().repeats_of_sixteen() - repeats;
        assert_eq!(repeats, usize::from(!is_first));
    }
}

#[test]
fn of_many_that_nobody_answers_for_the_last_sixteen_are_sent_again_and_every_goodbye() {
    let mut cluster = full(50, 3);
    for node in 11..=30 {
        for topic in [listed(&mut cluster, node), goodbye(&mut cluster, node + 20)] {
            hears(&mut cluster, topic);
        }
    }
    let expected: BTreeSet<u16> = (15..=30).chain(31..=50).collect();
    assert_eq!(subjects(&waits(&mut cluster)), expected);
}

#[test]
fn who_was_answered_for_makes_room_before_who_still_waits_for_an_answer() {
    let mut cluster = full(40, 3);
    let waiting = listed(&mut cluster, 3);
    hears(&mut cluster, waiting);
    for node in 4..=40 {
        let topic = listed(&mut cluster, node);
        let outputs = hears(&mut cluster, topic);
        for handed in copies(&outputs) {
            answers(&mut cluster, &handed);
        }
    }
    assert_eq!(subjects(&waits(&mut cluster)), [3].into());
}

#[test]
fn of_goodbyes_that_were_answered_for_the_last_sixteen_are_remembered() {
    let mut cluster = full(40, 3);
    let goodbyes: Vec<_> = (11..=40).map(|node| goodbye(&mut cluster, node)).collect();
    for topic in &goodbyes {
        let outputs = hears(&mut cluster, topic.clone());
        for handed in copies(&outputs) {
            answers(&mut cluster, &handed);
        }
    }
    let mut is_told = |at: usize| !told(&hears(&mut cluster, goodbyes[at].clone())).0.is_empty();
    assert!((14..30).all(|at| !is_told(at)), "a duplicate goes no further");
    assert!(is_told(13), "it was forgotten");
}

#[test]
fn only_what_is_overdue_is_sent_again() {
    let mut cluster = full(10, 3);
    for (node, wait) in [(3, 10), (4, 11)] {
        let topic = listed(&mut cluster, node);
        hears(&mut cluster, topic);
        cluster.now = cluster.now + wait * MS;
    }
    assert_eq!(subjects(&cluster.outputs_of(1, Input::Timeout)), [3].into());
}

/// Others, all told by node 1, of whom so many are silent; what it sends after one wait: how many
/// copies, and how many acknowledgements each asks for.
#[track_caller]
fn after_silence_of(silent: usize, others: u16, fan_out: u16) -> (usize, Vec<u8>) {
    let mut cluster = full(others + 1, fan_out);
    let first = copies(&publishes(&mut cluster, b"v1"));
    assert!(first.len() == usize::from(others) && first.iter().all(|(_, rumor)| rumor.acks == 1));
    for handed in &first[silent..] {
        answers(&mut cluster, handed);
    }
    let again = copies(&waits(&mut cluster));
    let asked: BTreeSet<u8> = again.iter().map(|(_, rumor)| rumor.acks).collect();
    (again.len(), asked.into_iter().collect())
}

#[test]
fn the_more_of_eight_are_silent_the_more_acknowledgements_are_asked_for_up_to_five() {
    let sent: Vec<_> = (1..=8).map(|silent| after_silence_of(silent, 8, 8)).collect();
    // Three are told twice, which is a chance more for each; of 24 sends more wait to be made
    // where more are silent.
    let expected = [(1, 1), (2, 1), (6, 1), (4, 3), (5, 4), (6, 5), (7, 5), (8, 5)];
    assert_eq!(sent, expected.map(|(sends, acks)| (sends, vec![acks])));
    assert_eq!(after_silence_of(4, 8, 16), (8, vec![2]), "two of each copy where there are two");
    assert_eq!(after_silence_of(3, 16, 16), (3, vec![1]), "three of sixteen are likely dead");
}

/// Eight others of whom some are silent at first and so many of these answer at the second try, by
/// the number of acknowledgements that node 1 was asked for: how many copies the third try has.
#[track_caller]
fn third_try(silent: usize, late: usize, asked: u8) -> usize {
    let mut cluster = full(10, 16);
    let Body::Rumor(mut asking) = rumor(metadata(b"v1", 5)) else { unreachable!() };
    asking.acks = asked;
    let first = copies(&cluster.outputs(1, 2, packet(Body::Rumor(asking))));
    assert_eq!(first.len(), 8);
    for handed in &first[silent..] {
        answers(&mut cluster, handed);
    }
    waits(&mut cluster);
    for handed in &first[..late] {
        answers(&mut cluster, handed);
    }
    copies(&waits(&mut cluster)).len()
}

#[test]
fn who_is_silent_at_the_second_try_too_is_dead_unless_the_teller_or_another_lost_packets() {
    assert_eq!(third_try(4, 0, 1), 4, "the dead are told once more, and not by two copies");
    assert_eq!(third_try(3, 0, 1), 3, "three are enough to tell");
    assert_eq!(third_try(4, 1, 1), 6, "one was only late: packets get lost");
    assert_eq!(third_try(4, 0, 2), 8, "where it came from, packets get lost");
}

/// Hands node 1 its rumor back: what it then tells of, as places among nodes 2 to 10.
#[track_caller]
fn given_back(cluster: &mut Cluster, by: u16, arc: RingArc) -> Vec<u16> {
    let held = Subject::Metadata(cluster.engine(1).metadata().expect("a publish").clone());
    let outputs = cluster.outputs(1, by, packet(rumor_along(arc, held)));
    let arcs = rumors(&outputs);
    let is_told = |node: &u16| arcs.iter().any(|(_, arc, _)| arc.contains(place(*node)));
    (2..=10).filter(is_told).collect()
}

fn all_but(node: u16) -> Vec<u16> {
    (2..=10).filter(|&other| other != node).collect()
}

#[test]
fn what_was_handed_to_one_alone_comes_back_from_that_one_and_from_nobody_else() {
    let mut cluster = full(10, 1);
    let first = copies(&publishes(&mut cluster, b"v1"));
    let [(delegate, _)] = first[..] else { panic!("{first:?}") };
    let other = if delegate == 2 { 3 } else { 2 };
    let others = RingArc::whole(place(1));
    assert!(given_back(&mut cluster, other, others).is_empty());
    let [after, _] = others.minus(RingArc::of(place(delegate)));
    let back = given_back(&mut cluster, delegate, after.unwrap());
    let expected: Vec<_> =
        all_but(delegate).into_iter().filter(|&it| after.unwrap().contains(place(it))).collect();
    assert_eq!(back, expected);
}

#[test]
fn what_a_delegate_does_not_give_back_stays_in_its_hands() {
    let mut cluster = full(10, 1);
    let (delegate, _) = copies(&publishes(&mut cluster, b"v1"))[0];
    let given = all_but(delegate)[3];
    assert_eq!(given_back(&mut cluster, delegate, RingArc::of(place(given))), [given]);
    let other = all_but(delegate)[5];
    assert!(given_back(&mut cluster, other, RingArc::whole(place(1))).is_empty());
    let again = rumors(&waits(&mut cluster));
    assert!(again.iter().any(|&(to, ..)| to == delegate), "it is still waited for: {again:?}");
}

/// Node 1 has told nine others through one, who was silent twice, and tells them through another.
#[track_caller]
fn in_place_of_a_silent_one() -> (Cluster, (u16, Rumor), (u16, Rumor)) {
    let mut cluster = full(10, 1);
    let first = copies(&publishes(&mut cluster, b"v1"));
    let mut last = first.clone();
    while last[0].0 == first[0].0 {
        last = copies(&waits(&mut cluster));
        assert!(!last.is_empty(), "nobody else is told");
    }
    (cluster, first[0].clone(), last[0].clone())
}

#[test]
fn what_was_handed_to_another_in_place_of_a_silent_one_comes_back_too() {
    let (mut cluster, _, (to, _)) = in_place_of_a_silent_one();
    let back = given_back(&mut cluster, to, RingArc::whole(place(1)));
    assert_eq!(back, (2..=10).collect::<Vec<_>>());
}

#[test]
fn one_that_answers_late_answers_for_all_that_was_told_in_its_place() {
    let (mut cluster, first, _) = in_place_of_a_silent_one();
    answers(&mut cluster, &first);
    assert_eq!(copies(&waits(&mut cluster)), [], "nobody is waited for any more");
}

/// What node 1 does when it lists another.
#[track_caller]
fn lists(cluster: &mut Cluster, node: u16) -> Vec<Output> {
    let newcomer: Arc<Record> = record(node);
    let (now, mut out) = (cluster.clock(), Outbox::new());
    cluster.engine(1).restore(now, [&newcomer], &mut out);
    out.drain().collect()
}

/// Has node 1 list another: whom it tells something.
#[track_caller]
fn told_when_listed(cluster: &mut Cluster, node: u16) -> Vec<u16> {
    told(&lists(cluster, node)).0
}

#[test]
fn who_is_listed_after_a_newer_version_was_published_is_told_of_that_alone() {
    let mut cluster = full(5, 3);
    publishes(&mut cluster, b"old");
    publishes(&mut cluster, b"new");
    let versions = rumors(&lists(&mut cluster, 50)).into_iter().map(|(_, _, topic)| match topic {
        Subject::Metadata(metadata) => metadata.data().escape_ascii().to_string(),
        other => panic!("{other:?} was not published"),
    });
    assert_eq!(versions.collect::<Vec<_>>(), ["new"]);
}

#[test]
fn who_is_listed_late_is_told_of_a_rumor_by_who_answers_for_its_place_alone() {
    for answers_for_it in [true, false] {
        let mut cluster = full(5, 3);
        let [others, _] = RingArc::whole(place(1)).minus(RingArc::of(place(50)));
        let arc = if answers_for_it { RingArc::of(place(50)) } else { others.unwrap() };
        cluster.outputs(1, 2, packet(rumor_along(arc, metadata(b"v1", 5))));
        let expected = if answers_for_it { vec![50] } else { vec![] };
        assert_eq!(told_when_listed(&mut cluster, 50), expected);
    }
}

#[test]
fn who_is_listed_after_a_cycle_is_told_of_nothing_that_was_told_before() {
    for (wait, expected) in [(SECOND - MS, vec![50]), (SECOND, vec![])] {
        let mut cluster = full(5, 3);
        for handed in copies(&publishes(&mut cluster, b"v1")) {
            answers(&mut cluster, &handed);
        }
        cluster.now = cluster.now + wait;
        assert_eq!(told_when_listed(&mut cluster, 50), expected, "after {wait:?}");
    }
}
