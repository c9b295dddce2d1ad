//! Strangers: what goes to an address that has not shown that somebody is there, and what an
//! address that somebody wrote on a packet is worth.

use std::net::SocketAddr;
use std::sync::Arc;

use proptest::prelude::*;

use super::cluster::{Cluster, SECOND, addr, datagram, record};
use crate::config::{Config, Liveness};
use crate::core::packet::{
    Alive, Announcement, Body, BucketIds, Comparison, Delta, Echo, Join, LastCall,
    MembershipUpdate, Padding, PingReq, ProbeAnswer, Pull, Reply, RingArc, Rumor, Subject,
    SwapRequest, Token, ViewDigest,
};
use crate::core::{
    Age, AgeStep, Carrier, Class, Command, Event, Input, MemberState, Outbox, Output, Packet,
    PacketKind, Record,
};
use crate::node::{Generation, Node, NodeBuilder, NodeId};
use crate::time::Now;
use crate::wire::{self, arbitrary};

/// From where a stranger writes, or whom it writes in the name of.
const STRANGER: u16 = 6_666;

fn step() -> AgeStep {
    AgeStep::of_timeout(5 * SECOND)
}

fn len(packet: &Packet) -> usize {
    wire::encoded_len(packet) + Config::CHECKSUM_LEN
}

/// What goes back to the sender of a packet by datagram, in bytes.
fn bytes_back(outputs: &[Output], to: SocketAddr) -> usize {
    let back = |output: &Output| match output {
        Output::Send { to: other, packet, class: Class::Datagram } if *other == to => len(packet),
        _ => 0,
    };
    outputs.iter().map(back).sum()
}

/// A node past its youth that lists two hundred others and holds a value that fills a datagram.
#[track_caller]
fn rich(liveness: Liveness) -> Cluster {
    let config = Config::builder().liveness(liveness).build().unwrap();
    let mut cluster = Cluster::new(config);
    cluster.start(1, &[]);
    cluster.run(8 * SECOND);
    let members: Vec<_> = (100..300).map(record).collect();
    cluster.restore(1, &members);
    cluster.publish(1, &[7; 1_000]);
    cluster
}

#[track_caller]
pub(super) fn handle(cluster: &mut Cluster, from: SocketAddr, packet: Packet) -> Vec<Output> {
    let (now, mut out) = (cluster.clock(), Outbox::new());
    cluster.engine(1).handle(now, datagram(from, packet), &mut out);
    out.drain().collect()
}

pub(super) fn packet(body: Body) -> Packet {
    Packet::new(step(), body)
}

fn addr_place(node: u16) -> NodeId {
    NodeId::of(addr(node))
}

#[track_caller]
pub(super) fn generation(value: u64) -> Generation {
    Generation::new(value).unwrap()
}

fn kinds(outputs: &[Output]) -> Vec<PacketKind> {
    let kind = |output: &Output| match output {
        Output::Send { packet, .. } => Some(packet.kind()),
        Output::Event(_) | Output::Answer(_) | Output::Flush => None,
    };
    outputs.iter().filter_map(kind).collect()
}

#[track_caller]
fn stranger_s_join(of: SocketAddr) -> Packet {
    let me = Arc::new(Record::new(Node::at(of), generation(1)));
    let mut cluster = Cluster::new(Config::default());
    cluster.start(2, &[]);
    let Packet { body: Body::SwapRequest(request), .. } = cluster.swap_request(2, 1) else {
        unreachable!("a request")
    };
    let me = MemberState { record: me, counter: 1, age: Age(0) };
    let join = Join { token: 7, me, summary: request.summary, padding: Padding(400) };
    Packet::new(step(), Body::Join(join))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn whatever_a_stranger_sends_no_more_than_three_times_its_bytes_come_back(
        liveness in prop::sample::select(vec![Liveness::Beats, Liveness::Probes, Liveness::Off]),
        packets in prop::collection::vec(arbitrary::packet(), 1..8),
    ) {
        let mut cluster = rich(liveness);
        for packet in packets {
            let (came, kind) = (len(&packet), packet.kind());
            let back = bytes_back(&handle(&mut cluster, addr(STRANGER), packet), addr(STRANGER));
            prop_assert!(back <= 3 * came, "{kind:?} of {came} bytes brings {back}");
        }
    }
}

#[test]
fn what_brought_kilobytes_to_a_victim_brings_three_times_its_bytes_or_nothing() {
    let mut cluster = rich(Liveness::Beats);
    let ids = (100..300).map(|node| record(node).id());
    let request = cluster.swap_request(1, 2);
    let Body::SwapRequest(SwapRequest { summary, .. }) = request.body else { unreachable!() };
    let request = SwapRequest { token: 1, summary, padding: Padding(0) };
    let wanted = Pull { ids: ids.collect() };
    let all = BucketIds { echo: None, bits: 0, buckets: vec![0], ids: Vec::new() };
    for body in [
        Body::BucketIds(all),
        Body::Pull(wanted),
        Body::SwapRequest(request),
        stranger_s_join(addr(STRANGER)).body,
        Body::LastCall(LastCall::default()),
    ] {
        let packet = Packet::new(step(), body);
        let (came, kind) = (len(&packet), packet.kind());
        let outputs = handle(&mut cluster, addr(STRANGER), packet);
        let back = bytes_back(&outputs, addr(STRANGER));
        assert!(back <= 3 * came, "{kind:?} of {came} bytes brings {back}");
    }
    assert!(cluster.engine(1).stats().answers_withheld > 0, "what was kept back is counted");
}

#[test]
fn an_address_that_echoed_gets_everything_and_one_that_guesses_does_not() {
    let mut cluster = rich(Liveness::Beats);
    let ids = |echo| {
        let ids = BucketIds { echo, bits: 0, buckets: vec![0], ids: Vec::new() };
        Packet::new(step(), Body::BucketIds(ids))
    };
    let now = cluster.clock();
    let token = cluster.engine(1).token_for(now, addr(STRANGER));
    let mut back =
        |echo| bytes_back(&handle(&mut cluster, addr(STRANGER), ids(echo)), addr(STRANGER));
    assert!(back(None) <= 3 * len(&ids(None)));
    assert!(back(Some(token ^ 2)) <= 3 * len(&ids(Some(0))));
    assert!(back(Some(token)) > 4_000, "all two hundred records");
    assert!(back(None) > 4_000, "who has echoed once is remembered");
}

#[test]
fn a_token_is_worth_nothing_to_another_address_and_ends_some_timeouts_later() {
    let mut cluster = rich(Liveness::Beats);
    let start = cluster.clock();
    let token = cluster.engine(1).token_for(start, addr(7));
    assert!(cluster.engine(1).is_token_of(start, addr(7), token));
    assert!(!cluster.engine(1).is_token_of(start, addr(8), token));
    let later = |timeouts| Now { mono: start.mono + 5 * SECOND * timeouts, ..start };
    assert!(cluster.engine(1).is_token_of(later(4), addr(7), token));
    assert!(!cluster.engine(1).is_token_of(later(8), addr(7), token));
    // Another node's tokens say nothing of ours.
    cluster.start(2, &[]);
    assert_ne!(cluster.engine(2).token_for(start, addr(7)), token);
}

#[test]
fn a_first_swap_brings_the_rest_of_its_answer_after_the_echo() {
    let mut cluster = rich(Liveness::Beats);
    let Packet { body: Body::SwapRequest(mut request), .. } = cluster.swap_request(1, 2) else {
        unreachable!("a request")
    };
    request.summary.version = None;
    let packet = Packet::new(step(), Body::SwapRequest(request));
    let outputs = handle(&mut cluster, addr(STRANGER), packet);
    let [Output::Send { packet, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    let Body::SwapAnswer(answer) = &packet.body else { panic!("{packet:?}") };
    assert!(matches!(&answer.detail, Comparison::InSync(vector) if vector.beats.is_empty()));
    let swap = Some(crate::core::packet::Held { digest: request.summary.digest, version: None });
    let echo = Echo { token: answer.ask.expect("it is asked to echo"), swap };
    let packet = Packet::new(step(), Body::Echo(echo));
    let kinds: Vec<_> = handle(&mut cluster, addr(STRANGER), packet)
        .into_iter()
        .filter_map(|output| match output {
            Output::Send { packet, .. } => Some(packet.kind()),
            Output::Event(_) | Output::Answer(_) | Output::Flush => None,
        })
        .collect();
    assert_eq!(kinds, [PacketKind::Value, PacketKind::BeatVector, PacketKind::LastCall]);
}

/// A cluster of ten that is past its youth.
#[track_caller]
pub(super) fn grown(config: Config) -> Cluster {
    let mut cluster = Cluster::of(10, config);
    cluster.run(8 * SECOND);
    cluster
}

fn by(liveness: Liveness) -> Config {
    Config::builder().liveness(liveness).build().unwrap()
}

pub(super) fn forged_addr(number: u16) -> SocketAddr {
    let [high, low] = number.to_be_bytes();
    ([10, 9, high, low], 8_000).into()
}

#[test]
fn few_joins_with_forged_sources_are_passed_on_and_they_stop_no_rumor() {
    for liveness in [Liveness::Beats, Liveness::Auto] {
        let mut cluster = grown(by(liveness));
        for number in 0..2_500 {
            let from = forged_addr(number);
            handle(&mut cluster, from, stranger_s_join(from));
        }
        assert!(cluster.engine(1).members_len() > 2_000, "there is room for them, as newcomers");
        cluster.publish(1, b"still heard");
        cluster.run(SECOND / 10);
        // 100 ms after it was published.
        cluster.assert_all_hold(b"still heard");
        let told: Vec<_> = (2..=10).map(|node| cluster.engine(node).members_len()).collect();
        assert!(told.iter().all(|&listed| listed <= 10 + 64), "sixty-four in a timeout: {told:?}");
        cluster.run_until(15 * SECOND, Cluster::all_list_all);
    }
}

#[test]
fn one_that_really_joins_gets_in_when_all_places_for_newcomers_are_taken() {
    let mut cluster = grown(Config::builder().members_max(64).build().unwrap());
    for number in 0..100 {
        let from = forged_addr(number);
        handle(&mut cluster, from, stranger_s_join(from));
    }
    assert_eq!(cluster.engine(1).members_len(), 10 + 64 / 4, "a quarter and no more");
    cluster.start(11, &[1]);
    let lists = |cluster: &mut Cluster| (1..=10).all(|node| cluster.engine(node).lists(addr(11)));
    let took = cluster.run_until(3 * SECOND, lists);
    assert!(took < 2 * SECOND, "{took:?}");
}

#[test]
fn few_who_are_turned_away_are_asked_each_cycle_and_none_on_a_stranger_s_word() {
    let mut cluster = grown(Config::builder().members_max(64).build().unwrap());
    for number in 0..100 {
        let from = forged_addr(number);
        handle(&mut cluster, from, stranger_s_join(from));
    }
    let invented = |number| Arc::new(Record::new(Node::at(forged_addr(number)), generation(1)));
    let asked_on_the_word_of = |cluster: &mut Cluster, from| {
        let news = |number| MemberState { record: invented(number), counter: 1, age: Age(0) };
        let news = (200..220).map(|number| MembershipUpdate::Member(news(number))).collect();
        let outputs = handle(cluster, from, packet(Body::Delta(Delta { news })));
        kinds(&outputs).iter().filter(|&&kind| kind == PacketKind::LastCall).count()
    };
    assert_eq!(asked_on_the_word_of(&mut cluster, addr(STRANGER)), 0);
    assert_eq!(asked_on_the_word_of(&mut cluster, addr(2)), 8);
    assert_eq!(asked_on_the_word_of(&mut cluster, addr(2)), 0, "in the same cycle");
    cluster.run(SECOND);
    assert_eq!(asked_on_the_word_of(&mut cluster, addr(2)), 8);
}

#[test]
fn a_join_is_announced_at_once_where_strangers_are_few() {
    let mut cluster = grown(Config::default());
    cluster.start(11, &[1]);
    let lists = |cluster: &mut Cluster| (1..=10).all(|node| cluster.engine(node).lists(addr(11)));
    let took = cluster.run_until(SECOND, lists);
    // To the seed, and up to two hops along the arcs, each up to ten milliseconds.
    assert!(took <= SECOND * 3 / 100, "{took:?}");
}

#[test]
fn where_strangers_are_many_a_join_is_announced_once_it_has_echoed() {
    let mut cluster = grown(by(Liveness::Beats));
    for number in 0..100 {
        let from = forged_addr(number);
        handle(&mut cluster, from, stranger_s_join(from));
    }
    // What was passed on of them is through, and the next news is alone.
    cluster.run(SECOND);
    let before = cluster.now;
    cluster.start(11, &[1]);
    let lists = |cluster: &mut Cluster| (1..=10).all(|node| cluster.engine(node).lists(addr(11)));
    cluster.run_until(2 * SECOND, lists);
    let took = cluster.now - before;
    // To the seed, there and back, and up to two hops along the arcs.
    assert!((SECOND * 3 / 1_000..=SECOND / 20).contains(&took), "{took:?}");
}

#[test]
fn what_a_stranger_says_of_others_is_told_to_nobody_before_a_member_says_so_too() {
    let mut cluster = grown(Config::default());
    let invented = |number| Arc::new(Record::new(Node::at(forged_addr(number)), generation(1)));
    let news = |number, counter| {
        MembershipUpdate::Member(MemberState { record: invented(number), counter, age: Age(0) })
    };
    let topic = Subject::Membership(news(1, 1));
    let rumor = packet(super::cluster::rumor(topic));
    let outputs = handle(&mut cluster, addr(STRANGER), rumor);
    assert_eq!(kinds(&outputs), [PacketKind::RumorAck], "its arc is taken on, and told to nobody");
    let records = |news| packet(Body::Delta(Delta { news: vec![news] }));
    handle(&mut cluster, addr(STRANGER), records(news(2, 1)));
    cluster.run(2 * SECOND);
    let listed =
        |cluster: &mut Cluster, node, number| cluster.engine(node).lists(forged_addr(number));
    assert!(listed(&mut cluster, 1, 1) && listed(&mut cluster, 1, 2), "newcomers are shown");
    for node in 2..=10 {
        assert!(!listed(&mut cluster, node, 1) && !listed(&mut cluster, node, 2), "node {node}");
    }
    handle(&mut cluster, addr(2), records(news(2, 2)));
    cluster.run(2 * SECOND);
    assert!((2..=10).any(|node| listed(&mut cluster, node, 2)), "a member vouches for it");
}

#[test]
fn an_address_that_echoed_is_known_after_a_restart_and_a_partition() {
    let mut cluster = grown(Config::default());
    cluster.run(60 * SECOND);
    let known = |cluster: &mut Cluster| {
        let members = cluster.engine(1).list();
        let echoed = |node: &u16| members.has_echoed(members.node(addr(*node)).unwrap());
        (2..=10).filter(echoed).collect::<Vec<_>>()
    };
    assert_eq!(known(&mut cluster), [2, 3, 4, 5, 6, 7, 8, 9, 10]);
    cluster.crash(3);
    cluster.run(SECOND);
    cluster.start(3, &[2]);
    cluster.far_side.extend([9, 10]);
    cluster.run(10 * SECOND);
    cluster.far_side.clear();
    cluster.run_until(20 * SECOND, Cluster::all_list_all);
    assert_eq!(known(&mut cluster), [2, 3, 4, 5, 6, 7, 8, 9, 10]);
}

#[test]
fn an_address_that_echoed_is_known_when_its_next_incarnation_is_listed() {
    let mut cluster = grown(Config::default());
    cluster.run(60 * SECOND);
    let echoed = |cluster: &mut Cluster| {
        let members = cluster.engine(1).list();
        members.has_echoed(members.node(addr(3)).unwrap())
    };
    assert!(echoed(&mut cluster));
    let wall = cluster.clock().wall;
    let members = cluster.engine(1).list();
    let held = members.record(members.node(addr(3)).unwrap());
    let next = Record::new(held.node().clone(), held.generation().after(wall).unwrap());
    let next = MemberState { record: Arc::new(next), counter: 1, age: Age(0) };
    cluster.crash(3);
    cluster.run_until(60 * SECOND, |cluster| !cluster.engine(1).lists(addr(3)));
    let news = Delta { news: vec![MembershipUpdate::Member(next)] };
    handle(&mut cluster, addr(2), packet(Body::Delta(news)));
    assert!(cluster.engine(1).lists(addr(3)) && echoed(&mut cluster));
}

#[test]
fn one_that_only_strangers_speak_of_vouches_for_nobody() {
    let mut cluster = grown(Config::default());
    let mut is_rumored_on_the_word_of = |from: SocketAddr, number: u16| {
        let record = Arc::new(Record::new(Node::at(forged_addr(number)), generation(1)));
        let news = MembershipUpdate::Member(MemberState { record, counter: 1, age: Age(0) });
        handle(&mut cluster, from, packet(Body::Delta(Delta { news: vec![news] })));
        let members = cluster.engine(1).list();
        members.is_rumored(members.node(forged_addr(number)).expect("there is room"))
    };
    assert!(is_rumored_on_the_word_of(addr(STRANGER), 1));
    assert!(is_rumored_on_the_word_of(forged_addr(1), 2));
    assert!(!is_rumored_on_the_word_of(addr(2), 3));
}

#[test]
fn a_last_call_is_so_long_that_the_answer_may_bring_the_whole_record() {
    let mut cluster = rich(Liveness::Beats);
    let long = NodeBuilder::from(Node::at(addr(7))).private_data("z".repeat(512)).build().unwrap();
    let me =
        MemberState { record: Arc::new(Record::new(long, generation(1))), counter: 1, age: Age(0) };
    let news = Delta { news: vec![MembershipUpdate::Member(me.clone())] };
    handle(&mut cluster, addr(100), packet(Body::Delta(news)));
    let now = cluster.clock();
    let mut out = cluster.engine(1).with(now, |cx| cx.send_last_call(addr(7)));
    let outputs: Vec<_> = out.drain().collect();
    let [Output::Send { packet: call, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    let answer = len(&packet(Body::Alive(Alive { token: 5, me })));
    assert!(3 * len(call) >= answer, "{} bytes for {answer}", len(call));
}

#[test]
fn first_contacts_are_so_long_that_the_usual_answer_may_be_given() {
    let mut cluster = rich(Liveness::Beats);
    let request = cluster.swap_request(1, 2);
    // A vector of two bytes for each of two hundred members, and what stands around it.
    assert!(3 * len(&request) >= 2 * 201 + 100, "{} bytes", len(&request));
    let (now, mut out) = (cluster.clock(), Outbox::new());
    let seeds = Command::Seeds(vec![addr(7)]);
    let mut alone = Cluster::new(Config::default());
    alone.start(2, &[]);
    for input in [Input::Command(seeds), Input::Timeout] {
        alone.engine(2).handle(now, input, &mut out);
    }
    let is_join = |output: &Output| match output {
        Output::Send { packet, .. } if packet.kind() == PacketKind::Join => Some(len(packet)),
        _ => None,
    };
    let outputs: Vec<_> = out.drain().collect();
    let join = outputs.iter().find_map(is_join).expect("it dials its seed");
    assert!(3 * join >= Config::default().size(), "{join} bytes");
}

#[test]
fn who_is_asked_whether_it_lives_may_answer_one_that_has_not_echoed() {
    let mut cluster = rich(Liveness::Beats);
    let me = cluster.engine(1).me().node().clone();
    let long = NodeBuilder::from(me).private_data("z".repeat(500)).build().unwrap();
    cluster.command(1, Command::Update(long));
    let mut answers = |padding| {
        let call = LastCall { token: 5, padding: Padding(padding) };
        kinds(&handle(&mut cluster, addr(STRANGER), packet(Body::LastCall(call))))
    };
    assert_eq!(answers(200), [PacketKind::Alive]);
    assert_eq!(answers(0), [PacketKind::Bulk], "a beat is as short as the call");
}

#[test]
fn a_delegate_that_does_not_know_its_teller_acknowledges_in_short() {
    let mut cluster = rich(Liveness::Beats);
    let metadata = cluster.engine(1).metadata().unwrap().clone();
    let arc = RingArc::whole(addr_place(STRANGER));
    let announced = Subject::Announced(Announcement::of(&metadata));
    let view = Some(ViewDigest(1));
    let rumor = Rumor { token: Token(7), acks: 1, arc, view, topic: announced };
    let outputs = handle(&mut cluster, addr(STRANGER), packet(Body::Rumor(rumor)));
    assert!(kinds(&outputs).contains(&PacketKind::RumorAck), "{outputs:?}");
}

#[test]
fn no_bulk_goes_to_newcomers_and_a_few_of_them_are_asked_each_cycle() {
    let mut cluster = grown(by(Liveness::Beats));
    for number in 0..40 {
        let from = forged_addr(number);
        handle(&mut cluster, from, stranger_s_join(from));
    }
    cluster.log.clear();
    cluster.run(3 * SECOND);
    let to_invented = |kind| {
        let to = |it: &&(SocketAddr, PacketKind)| it.0.port() == 8_000 && it.1 == kind;
        cluster.log.iter().filter(to).count()
    };
    assert_eq!(to_invented(PacketKind::Bulk), 0);
    let asked = to_invented(PacketKind::Probe);
    assert!((8..=10 * 4 * 8).contains(&asked), "{asked} questions of ten nodes in three cycles");
}

#[test]
fn a_node_behind_a_translation_of_addresses_is_believed_by_what_was_sent_to_its_own() {
    let mut cluster = grown(Config::default());
    let (advertised, outside) = (forged_addr(1), addr(STRANGER));
    handle(&mut cluster, outside, stranger_s_join(advertised));
    let believed = |cluster: &mut Cluster| cluster.engine(1).believes(advertised);
    let now = cluster.clock();
    let answer = |token| ProbeAnswer { token, holds: Default::default() };
    let answer = |token| Packet::new(step(), Body::ProbeAnswer(answer(token)));
    let token = cluster.engine(1).token_for(now, outside);
    handle(&mut cluster, outside, answer(token));
    assert!(!believed(&mut cluster), "what was sent elsewhere says nothing of that address");
    // Within a cycle it is asked where it says that it is.
    cluster.run(SECOND * 6 / 5);
    let now = cluster.clock();
    let token = cluster.engine(1).token_for(now, advertised);
    handle(&mut cluster, outside, answer(token));
    assert!(believed(&mut cluster), "whatever address the answer comes from");
}

#[test]
fn a_welcome_that_nobody_asked_for_is_not_listened_to() {
    let mut cluster = grown(Config::default());
    let join = stranger_s_join(addr(STRANGER));
    let Body::Join(Join { me, summary, .. }) = join.body else { unreachable!() };
    let welcome =
        crate::core::packet::Welcome { token: 0, ask: Some(1), summary, members: vec![me] };
    let packet = Packet::new(step(), Body::Welcome(welcome));
    let outputs = handle(&mut cluster, addr(STRANGER), packet);
    assert!(outputs.is_empty(), "{outputs:?}");
    assert!(!cluster.engine(1).lists(addr(STRANGER)));
}

#[test]
fn strangers_neither_crowd_out_what_members_report_nor_what_is_told_of_settings() {
    let mut cluster = grown(Config::default());
    let before = cluster.engine(1).agreement();
    assert!(before.peers > 0);
    let slow = Config::builder().cycle(30 * SECOND).build().unwrap();
    let mut other = Cluster::new(slow);
    other.start(2, &[]);
    let request = other.swap_request(2, 1);
    let mut events = 0;
    for number in 0..200 {
        let outputs = handle(&mut cluster, forged_addr(number), request.clone());
        events += outputs.iter().filter(|output| matches!(output, Output::Event(_))).count();
    }
    assert_eq!((cluster.engine(1).agreement(), events), (before, 0));
    let outputs = handle(&mut cluster, addr(2), request);
    let told = |output: &Output| matches!(output, Output::Event(Event::SettingsDiffer { .. }));
    assert!(outputs.iter().any(told), "a member's are");
}

#[test]
fn nobody_has_a_member_probed_who_is_none_and_no_member_takes_all_places() {
    let config = Config::builder().liveness(Liveness::Probes).build().unwrap();
    let mut cluster = grown(config);
    let probes = |cluster: &mut Cluster, from: SocketAddr| {
        let mut sent = 0;
        for token in 0..20 {
            let request = PingReq { token, target: addr(5) };
            let packet = Packet::new(step(), Body::PingReq(request));
            let outputs = handle(cluster, from, packet);
            let is_probe = |output: &Output| match output {
                Output::Send { to, packet, .. } => {
                    *to == addr(5)
                        && matches!(&packet.body, Body::Probe(it) if it.reply == Reply::Datagram)
                }
                Output::Event(_) | Output::Answer(_) | Output::Flush => false,
            };
            sent += outputs.iter().filter(|output| is_probe(output)).count();
        }
        sent
    };
    assert_eq!(probes(&mut cluster, addr(STRANGER)), 0);
    assert_eq!(probes(&mut cluster, addr(2)), 8);
    assert_eq!(probes(&mut cluster, addr(3)), 8, "others have places of their own");
}

#[test]
fn who_was_believed_is_so_when_it_comes_back_from_a_partition() {
    let mut cluster = grown(Config::default());
    cluster.far_side.extend(6..=10);
    cluster.run(10 * SECOND);
    assert_eq!(cluster.list(1), [1, 2, 3, 4, 5]);
    cluster.far_side.clear();
    cluster.run_until(20 * SECOND, Cluster::all_list_all);
    assert_eq!(cluster.engine(1).list().newcomers().len(), 0);
}

#[test]
fn who_joins_by_stream_is_asked_to_echo_like_any_other() {
    let mut cluster = rich(Liveness::Beats);
    let (now, mut out) = (cluster.clock(), Outbox::new());
    let (from, joins) = (addr(STRANGER), Arc::new(stranger_s_join(addr(STRANGER))));
    let join = Input::Packet { from, carrier: Carrier::Stream, packet: joins };
    cluster.engine(1).handle(now, join, &mut out);
    let ask = out.drain().find_map(|output| match output {
        Output::Send { packet, .. } => match &packet.body {
            Body::Welcome(welcome) => Some(welcome.ask),
            _ => None,
        },
        Output::Event(_) | Output::Answer(_) | Output::Flush => None,
    });
    let token = ask.expect("it is welcomed").expect("and asked to echo");
    assert!(!cluster.engine(1).believes(from));
    handle(&mut cluster, from, packet(Body::Echo(Echo { token, swap: None })));
    assert!(cluster.engine(1).believes(from));
}

#[test]
fn over_a_stream_nothing_is_withheld() {
    let mut cluster = rich(Liveness::Beats);
    let ids = BucketIds { echo: None, bits: 0, buckets: vec![0], ids: Vec::new() };
    let packet = Packet::new(step(), Body::BucketIds(ids));
    let (now, mut out) = (cluster.clock(), Outbox::new());
    let (from, carrier) = (addr(STRANGER), crate::core::Carrier::Stream);
    let input = Input::Packet { from, carrier, packet: Arc::new(packet) };
    cluster.engine(1).handle(now, input, &mut out);
    let outputs: Vec<_> = out.drain().collect();
    assert!(bytes_back(&outputs, addr(STRANGER)) > 4_000);
}
