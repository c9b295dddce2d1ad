//! The swap: what differs is found and repaired; what agrees costs next to nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::cluster::{Cluster, SECOND, addr, beating, record};
use super::telling::packet;
use crate::config::{Config, Liveness, Swap};
use crate::core::context::Effect;
use crate::core::members::{Arrival, Members, Standing};
use crate::core::packet::{Body, BucketIds, Bulk, Comparison, Echoed, SwapRequest};
use crate::core::{
    Age, AgeStep, Beat, Input, MemberState, Output, Packet, PacketKind, SharedRecords,
};
use crate::node::Generation;
use crate::rng::Probability;
use crate::time::Instant;

/// Node 1 and node 2, which list each other and the given nodes, none of which exists.
#[track_caller]
fn pair(left: &BTreeSet<u16>, right: &BTreeSet<u16>) -> Cluster {
    pair_with(Swap::On, left, right)
}

#[track_caller]
fn pair_with(swap: Swap, left: &BTreeSet<u16>, right: &BTreeSet<u16>) -> Cluster {
    let config = Config::builder().liveness(Liveness::Off).swap(swap).build().unwrap();
    let mut cluster = Cluster::new(config);
    for (node, others) in [(1, left), (2, right)] {
        cluster.start_as(node, record(node), &[]);
        let listed = others.iter().copied().chain([1, 2]).map(record);
        let listed: Vec<_> = listed.collect();
        cluster.restore(node, &listed);
    }
    cluster
}

/// One swap between the two, to its end.
#[track_caller]
fn swap(cluster: &mut Cluster) -> Vec<PacketKind> {
    let request = cluster.swap_request(1, 2);
    let mut kinds = vec![PacketKind::SwapRequest];
    let mut waiting = vec![(1, 2, request)];
    while let Some((from, to, packet)) = waiting.pop() {
        for output in cluster.outputs(to, from, packet) {
            if let Output::Send { to: next, packet, .. } = output
                && next == addr(from)
            {
                let longest = Config::default().path_len_max();
                assert!(packet.len_max() <= longest, "{:?} is too long", packet.kind());
                kinds.push(packet.kind());
                waiting.insert(0, (to, from, packet.as_ref().clone()));
            }
        }
    }
    kinds
}

#[test]
fn equal_lists_cost_three_messages_of_constant_size() {
    for others in [0, 200] {
        let others = (10..10 + others).collect();
        let mut cluster = pair(&others, &others);
        let kinds = swap(&mut cluster);
        let three = [PacketKind::SwapRequest, PacketKind::SwapAnswer, PacketKind::Echo];
        assert_eq!(kinds, three, "the first time the asker shows that it is there");
        assert_eq!(swap(&mut cluster), three[..2]);
    }
    // With beats the third message is the vector.
    let mut cluster = Cluster::of(3, beating());
    cluster.run(8 * SECOND);
    let kinds = swap(&mut cluster);
    assert_eq!(kinds, [PacketKind::SwapRequest, PacketKind::SwapAnswer, PacketKind::BeatVector]);
}

#[test]
fn swap_with_an_older_peer_sends_it_our_metadata() {
    for publisher in [1, 2] {
        let mut cluster = pair(&BTreeSet::new(), &BTreeSet::new());
        cluster.publish_silently(publisher, b"v1");
        assert!(swap(&mut cluster).contains(&PacketKind::Value));
        cluster.assert_all_hold(b"v1");
    }
}

#[test]
fn what_both_hold_is_not_sent() {
    let mut cluster = pair(&BTreeSet::new(), &BTreeSet::new());
    cluster.publish_silently(1, b"v1");
    swap(&mut cluster);
    cluster.assert_all_hold(b"v1");
    assert!(!swap(&mut cluster).contains(&PacketKind::Value));
}

#[test]
fn a_swap_brings_each_of_two_the_beats_that_the_other_heard_whether_their_lists_agree_or_not() {
    for agree in [true, false] {
        let mut cluster = Cluster::of(4, beating());
        cluster.run(8 * SECOND);
        let members = |cluster: &mut Cluster, at: u16, of: u16| {
            let members = cluster.engine(at).list();
            members.counter(members.node(addr(of)).expect("a member"))
        };
        let newest = [3, 4].map(|of| members(&mut cluster, of, of) + 1);
        for (at, of, counter) in [(1, 3, newest[0]), (2, 4, newest[1])] {
            let id = cluster.engine(of).me().id();
            let beats = vec![Beat { id, counter: counter as u8, age: Age(0) }];
            cluster.outputs(at, 3, packet(Body::Bulk(Bulk { beats, news: Vec::new() })));
        }
        if !agree {
            cluster.restore(1, &[record(50)]);
        }
        swap(&mut cluster);
        for at in [1, 2] {
            let heard = [3, 4].map(|of| members(&mut cluster, at, of));
            assert_eq!(heard, newest, "at node {at}, where that the lists agree is {agree}");
        }
    }
}

/// The tokens of swap requests among outputs.
fn requests(outputs: &[Output]) -> Vec<u32> {
    let token = |output: &Output| match output {
        Output::Send { packet, .. } => match &packet.body {
            Body::SwapRequest(request) => Some(request.token),
            _ => None,
        },
        Output::Event(_) | Output::Answer(_) | Output::Flush => None,
    };
    outputs.iter().filter_map(token).collect()
}

/// What node 1 does by timers within a time.
#[track_caller]
fn waits(cluster: &mut Cluster, time: Duration) -> Vec<Output> {
    let end = cluster.now + time;
    let mut outputs = Vec::new();
    while let Some(next) = cluster.engine(1).deadline().filter(|&at| at <= end) {
        cluster.now = cluster.now.max(next);
        outputs.extend(cluster.outputs_of(1, Input::Timeout));
    }
    outputs
}

#[test]
fn a_request_that_nobody_answers_is_sent_four_times() {
    // It begins none of its own accord.
    let mut cluster = pair_with(Swap::Off, &BTreeSet::new(), &BTreeSet::new());
    let Body::SwapRequest(SwapRequest { token, .. }) = cluster.swap_request(1, 2).body else {
        unreachable!()
    };
    assert_eq!(requests(&waits(&mut cluster, 10 * SECOND)), [token.repeated(); 3]);
}

#[test]
fn where_nodes_ask_the_answer_of_one_that_reads_late_still_ends_a_swap() {
    for (liveness, is_stale) in [(Liveness::Beats, true), (Liveness::Auto, false)] {
        let config = Config::builder().liveness(liveness).swap(Swap::Off).build().unwrap();
        let mut cluster = Cluster::of(2, config);
        let request = cluster.swap_request(1, 2);
        waits(&mut cluster, Duration::from_millis(2_500));
        let answer = cluster.outputs(2, 1, request).into_iter().find_map(|output| match output {
            Output::Send { packet, .. } if packet.kind() == PacketKind::SwapAnswer => Some(packet),
            _ => None,
        });
        let before = cluster.engine(1).stats().answers_stale;
        cluster.outputs(1, 2, answer.expect("it is answered").as_ref().clone());
        let stale = cluster.engine(1).stats().answers_stale - before;
        assert_eq!(stale > 0, is_stale, "with {liveness}");
    }
}

#[test]
fn an_answer_to_a_repeat_says_nothing_of_the_round_trip_and_a_late_one_to_the_first_does() {
    for is_first in [false, true] {
        let mut cluster = pair_with(Swap::Off, &BTreeSet::new(), &BTreeSet::new());
        let request = cluster.swap_request(1, 2);
        let again = waits(&mut cluster, Duration::from_millis(60));
        let [repeated] = requests(&again)[..] else { panic!("sent once more") };
        let mut answer = answer(&mut cluster, request);
        let Body::SwapAnswer(it) = &mut answer.body else { unreachable!() };
        it.token = if is_first { it.token } else { repeated };
        let before = cluster.engine(1).stats().round_trip.count();
        cluster.outputs(1, 2, answer);
        let measured = cluster.engine(1).stats().round_trip.count() - before;
        assert_eq!(measured, u64::from(is_first));
    }
}

#[test]
fn who_is_waited_for_over_a_long_way_holds_up_no_other_swap() {
    // Where nothing was measured four waits are 200 ms.
    for (waited, begins) in [(199, false), (200, true)] {
        let mut cluster = pair(&BTreeSet::new(), &BTreeSet::new());
        cluster.swap_request(1, 2);
        cluster.now = cluster.now + Duration::from_millis(waited);
        let now = cluster.clock();
        let mut out = cluster.engine(1).with(now, |cx| {
            cx.effects.push_back(Effect::Differs(addr(2), None));
        });
        let begun = requests(&out.drain().collect::<Vec<_>>()).len();
        assert_eq!(begun, usize::from(begins), "after {waited} ms");
    }
}

/// What node 2 answers to a request of node 1.
fn answer(cluster: &mut Cluster, request: Packet) -> Packet {
    let answers = cluster.outputs(2, 1, request);
    let answer = answers.iter().find_map(|output| match output {
        Output::Send { packet, .. } if packet.kind() == PacketKind::SwapAnswer => Some(packet),
        _ => None,
    });
    answer.expect("an answer").as_ref().clone()
}

#[test]
fn an_answer_over_a_long_way_is_taken_however_often_was_asked_meanwhile() {
    let mut cluster = pair_with(Swap::Off, &BTreeSet::new(), &BTreeSet::new());
    let request = cluster.swap_request(1, 2);
    let again = waits(&mut cluster, Duration::from_millis(800));
    assert_eq!(requests(&again).len(), 3, "all that there are");
    let answer = answer(&mut cluster, request);
    cluster.outputs(1, 2, answer);
    assert_eq!(cluster.engine(1).stats().answers_stale, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn after_one_swap_both_list_what_either_did(
        left in prop::collection::btree_set(10_u16..400, 0..150),
        right in prop::collection::btree_set(10_u16..400, 0..150),
    ) {
        let mut cluster = pair(&left, &right);
        swap(&mut cluster);
        let both: Vec<u16> = [1, 2].into_iter().chain(left.union(&right).copied()).collect();
        prop_assert_eq!(cluster.list(1), both.clone());
        prop_assert_eq!(cluster.list(2), both);
    }
}

#[test]
fn an_answer_to_no_request_changes_nothing() {
    let mut cluster = pair(&BTreeSet::new(), &(10..20).collect());
    let Packet { step, body, .. } = cluster.swap_request(1, 2);
    let Body::SwapRequest(SwapRequest { token, summary, .. }) = body else { unreachable!() };
    let detail = Comparison::BucketDigests(vec![1; 4]);
    let answer = crate::core::packet::SwapAnswer { token: token ^ 2, ask: None, summary, detail };
    let sent = cluster.sent.clone();
    cluster.packet(1, 2, Packet::new(step, Body::SwapAnswer(answer)));
    assert_eq!(cluster.sent, sent);
    assert_eq!(cluster.engine(1).stats().answers_stale, 1);
}

#[test]
fn a_bucket_that_is_named_again_and_again_is_answered_once() {
    let mut cluster = pair(&BTreeSet::new(), &(10..60).collect());
    let Packet { step, .. } = cluster.swap_request(1, 2);
    let now = cluster.clock();
    let echo = Some(cluster.engine(2).token_for(now, addr(1)));
    let mut answered = |buckets: Vec<u16>| {
        let ids = BucketIds { echo, bits: 0, buckets, ids: Vec::new() };
        let outputs = cluster.outputs(2, 1, Packet::new(step, Body::BucketIds(ids)));
        let told = outputs.iter().map(|output| match output {
            Output::Send { packet, .. } => match &packet.body {
                Body::Delta(records) => records.news.len(),
                _ => 0,
            },
            Output::Event(_) | Output::Answer(_) | Output::Flush => 0,
        });
        told.sum::<usize>()
    };
    assert_eq!(answered(vec![0]), 52);
    assert_eq!(answered(vec![0; 600]), 52);
}

#[test]
fn an_unanswered_request_is_sent_four_times_a_cycle() {
    let mut cluster = Cluster::of(2, beating());
    cluster.run(2 * SECOND);
    cluster.loss = Probability::ONE;
    let before = cluster.sent[&PacketKind::SwapRequest];
    cluster.run(2 * SECOND);
    let requests = cluster.sent[&PacketKind::SwapRequest] - before;
    // Two nodes, two cycles: up to 16, less what the jitter of the cycles moves out.
    assert!((10..=20).contains(&requests), "{requests}");
}

#[test]
fn a_long_list_of_differences_is_cut_at_a_limit_and_the_next_swaps_bring_the_rest() {
    let all: BTreeSet<u16> = (10..6_000).collect();
    let mut cluster = pair(&BTreeSet::new(), &all);
    swap(&mut cluster);
    let first = cluster.list(1).len();
    assert!(first < all.len() && first > 1_000, "{first}");
    assert!(cluster.engine(2).stats().answers_cut > 0);
    for _ in 0..8 {
        swap(&mut cluster);
    }
    assert_eq!(cluster.list(1).len(), all.len() + 2);
}

proptest! {
    #[test]
    fn a_bucket_holds_the_members_whose_places_lie_in_it_whatever_roster_names_them(
        listed in prop::collection::btree_set(2..200_u16, 0..150),
        shared in 0..200_u16,
        bits in 0..11_u32,
    ) {
        let config = Config::builder().liveness(Liveness::Off).build().unwrap();
        let roster = Arc::new(SharedRecords::of((1..=shared).map(record)));
        let mut members = Members::new(&record(1), &config, roster, Instant::ZERO);
        let step = AgeStep(25_000);
        let (now, horizon) = (Instant::ZERO, Generation::MAX);
        let heard = Arrival { now, step, standing: Standing::Believed, horizon };
        for &node in &listed {
            let copy = MemberState { record: record(node), counter: 1, age: Age(0) };
            members.apply(heard, &copy, None);
        }
        let ring = members.ring().to_vec();
        prop_assert_eq!(ring.len(), listed.len() + 1);
        for bucket in 0..1_usize << bits {
            let inside = |&node: &_| members.place(node).bucket(bits) == bucket;
            let expected: Vec<_> = ring.iter().copied().filter(inside).collect();
            prop_assert_eq!(members.in_bucket(bits, bucket), &expected[..]);
        }
    }
}
