//! A hostile peer that speaks the protocol: what it can't do to those it talks to.
//!
//! **The bound.** Whatever is sent to it, a node holds at most `members_max` members and
//! `members_max / 2 + 64` tombstones, and beside them only tables of fixed size. Of the members at
//! most a quarter of `members_max` are known by one sender's word alone, and 256 by that of one
//! sender who was not asked.

use std::net::SocketAddr;
use std::sync::Arc;

use super::cluster::{Cluster, SECOND, addr, datagram, judging};
use crate::config::{Config, Liveness};
use crate::core::packet::{
    Body, Bulk, Delta, Gone, LastCall, MembershipUpdate, ProbeAnswer, StateDigest, StateSummary,
    Welcome,
};
use crate::core::{
    Age, AgeStep, Cause, Digest, Event, MemberState, Outbox, Packet, PacketKind, Record,
};
use crate::node::{Generation, Node};
use crate::rng::Probability;

const MEMBERS_MAX: usize = 1_000;
const TOMBSTONES_MAX: usize = MEMBERS_MAX / 2 + 64;

/// From where the attack comes.
const ATTACKER: u16 = 6_666;

#[track_caller]
fn config(liveness: Liveness) -> Config {
    judging().members_max(MEMBERS_MAX).liveness(liveness).build().unwrap()
}

/// The address of an invented node.
fn invented_addr(number: u32) -> SocketAddr {
    ((0x0a00_0000 | number).to_be_bytes(), 8000).into()
}

#[track_caller]
fn generation(value: u64) -> Generation {
    Generation::new(value).unwrap()
}

fn sighting(node: Node, value: u64, counter: u32) -> MemberState {
    let record = Arc::new(Record::new(node, generation(value)));
    MemberState { record, counter, age: Age(0) }
}

fn member(number: u32, value: u64, counter: u32) -> MembershipUpdate {
    MembershipUpdate::Member(sighting(Node::at(invented_addr(number)), value, counter))
}

fn left(number: u32, value: u64) -> MembershipUpdate {
    let addr = invented_addr(number);
    MembershipUpdate::from(Gone {
        addr,
        generation: generation(value),
        counter: 1,
        cause: Cause::Left,
    })
}

fn records(news: impl IntoIterator<Item = MembershipUpdate>) -> Body {
    Body::Delta(Delta { news: news.into_iter().collect() })
}

impl Cluster {
    /// How much a node holds, as the length of the text of all its state.
    #[track_caller]
    fn state_len(&mut self, node: u16) -> usize {
        format!("{:?}", self.engine(node)).len()
    }

    #[track_caller]
    fn assert_bounded(&mut self, node: u16) {
        let stats = *self.engine(node).stats();
        assert!(stats.members_max <= MEMBERS_MAX, "{stats:?}");
        assert!(stats.tombstones_max <= TOMBSTONES_MAX, "{stats:?}");
    }
}

#[test]
fn invented_nodes_fill_no_memory_and_are_forgotten() {
    const NODES: u16 = 5;
    let mut cluster = Cluster::of(NODES, config(Liveness::Beats));
    // 100,000 within ten seconds, to one node after the other.
    for lot in 0..1_000_u32 {
        let news = (0..100).map(|at| member(lot * 100 + at, 1, 1));
        cluster.body(1 + (lot % u32::from(NODES)) as u16, ATTACKER, records(news));
        cluster.run(SECOND / 100);
    }
    for node in 1..=NODES {
        cluster.assert_bounded(node);
    }
    cluster.run_until(15 * SECOND, Cluster::all_list_all);
    cluster.publish(3, b"still here");
    cluster.run_until(SECOND, |cluster| cluster.all_hold(b"still here"));
}

#[test]
fn invented_departures_fill_no_memory() {
    for liveness in [Liveness::Beats, Liveness::Off] {
        let mut cluster = Cluster::of(2, config(liveness));
        // All at once: nothing may wait for a timer.
        for lot in 0..1_000 {
            cluster.body(1, ATTACKER, records((0..100).map(|at| left(lot * 100 + at, 1))));
        }
        assert_eq!(cluster.engine(1).stats().tombstones_max, 0, "nobody was ever held");
        for number in 0..10_000 {
            cluster.body(1, ATTACKER, records([member(number, 1, 1), left(number, 1)]));
        }
        cluster.assert_bounded(1);
        assert!(cluster.engine(1).stats().tombstones_max > TOMBSTONES_MAX / 2);
        cluster.run(SECOND);
        cluster.assert_bounded(2);
    }
}

#[test]
fn a_node_that_comes_and_goes_for_ever_leaves_one_trace() {
    let mut cluster = Cluster::of(2, config(Liveness::Beats));
    let churn = |cluster: &mut Cluster, lives: std::ops::Range<u64>| {
        for life in lives {
            cluster.body(1, ATTACKER, records([member(1, life, 1), left(1, life)]));
        }
        cluster.run(SECOND / 2);
        cluster.state_len(1)
    };
    let before = churn(&mut cluster, 1..1_000);
    let after = churn(&mut cluster, 1_000..100_000);
    assert!(after < 2 * before + 100_000, "{before} characters became {after}");
}

#[test]
fn what_is_told_again_and_again_waits_once() {
    let mut cluster = Cluster::of(2, config(Liveness::Beats));
    let before = cluster.state_len(1);
    for life in 1..20_000 {
        let bulk = Bulk { beats: Vec::new(), news: vec![member(1, life, 1)] };
        cluster.body(1, ATTACKER, Body::Bulk(bulk));
    }
    let after = cluster.state_len(1);
    assert!(after < before + 20_000, "{before} characters became {after}");
}

#[test]
fn counters_and_generations_at_their_maximum_are_numbers_like_others() {
    let mut cluster = Cluster::of(3, config(Liveness::Beats));
    let last = Generation::MAX.get();
    for counter in [u32::MAX - 1, u32::MAX, 1 << 31] {
        cluster.body(1, ATTACKER, records([member(1, last, counter), member(2, 1, counter)]));
        let short = [1, 2].map(|number| match member(number, last, counter) {
            MembershipUpdate::Member(sighting) => sighting.record.id(),
            _ => unreachable!("it is a member"),
        });
        let beats = (0..=255_u8)
            .flat_map(|counter| short.map(|id| crate::core::Beat { id, counter, age: Age(0) }));
        let bulk = Bulk { beats: beats.collect(), news: Vec::new() };
        cluster.body(1, ATTACKER, Body::Bulk(bulk));
        cluster.run(SECOND / 10);
    }
    cluster.run_until(10 * SECOND, Cluster::all_list_all);
}

#[test]
fn a_forged_counter_of_ours_makes_us_begin_a_new_incarnation() {
    let mut cluster = Cluster::of(3, config(Liveness::Beats));
    let record = Arc::clone(cluster.engine(2).me());
    let forged = MemberState { record: Arc::clone(&record), counter: u32::MAX, age: Age(0) };
    for node in 1..=3 {
        cluster.body(node, ATTACKER, records([MembershipUpdate::Member(forged.clone())]));
    }
    cluster.run(20 * SECOND);
    assert!(cluster.engine(2).me().generation() > record.generation());
    cluster.assert_all_list_all();
    assert_eq!(cluster.removals_of(2), []);
}

/// Pours invented nodes over every node, a lot of 100 each millisecond, for a time.
fn flood(cluster: &mut Cluster, nodes: u16, lots: std::ops::Range<u32>) {
    for lot in lots {
        let news = (0..100).map(|at| member(lot * 100 + at, 1, 1));
        cluster.body(1 + (lot % u32::from(nodes)) as u16, ATTACKER, records(news));
        cluster.run(SECOND / 1_000);
    }
}

#[test]
fn a_million_invented_nodes_delay_neither_a_publish_nor_a_newcomer() {
    for liveness in [Liveness::Beats, Liveness::Auto] {
        const NODES: u16 = 10;
        let config = Config::builder().liveness(liveness).build().unwrap();
        let mut cluster = Cluster::of(NODES, config);
        cluster.run(8 * SECOND);
        flood(&mut cluster, NODES, 0..4_000);
        let newcomers = cluster.engine(1).members_len();
        assert!(newcomers > 100, "the flood is felt: {newcomers} members");
        cluster.publish(3, b"in the flood");
        flood(&mut cluster, NODES, 4_000..4_100);
        // 100 ms after it was published.
        cluster.assert_all_hold(b"in the flood");
        cluster.start(NODES + 1, &[1]);
        flood(&mut cluster, NODES, 4_100..10_000);
        for node in 1..=NODES + 1 {
            let stats = *cluster.engine(node).stats();
            // One introducer, and what the others passed on of it.
            assert!(stats.members_max <= 256 * usize::from(NODES + 1), "{stats:?}");
            for other in 1..=NODES + 1 {
                assert!(cluster.engine(node).lists(addr(other)), "{node} lists {other}");
            }
        }
        let lives = |event: &(_, _, Event)| match &event.2 {
            Event::Removed { record, .. } => record.node().addr().port() <= NODES,
            _ => false,
        };
        let removed: Vec<_> = cluster.events.iter().filter(|event| lives(event)).collect();
        assert!(removed.is_empty(), "nobody who lives is removed: {removed:?}");
        cluster.run_until(15 * SECOND, Cluster::all_list_all);
    }
}

#[test]
fn invented_nodes_get_no_rumor_and_a_few_questions_a_cycle() {
    let mut cluster = Cluster::of(2, Config::default());
    cluster.run(8 * SECOND);
    cluster.body(1, ATTACKER, records((0..200).map(|at| member(at, 1, 1))));
    let invented = |to: &SocketAddr| to.port() == 8_000;
    let to_invented = |cluster: &Cluster, kind| {
        cluster.log.iter().filter(|(to, sent)| invented(to) && *sent == kind).count()
    };
    cluster.log.clear();
    cluster.publish(1, b"not for them");
    cluster.run(2 * SECOND);
    assert_eq!(to_invented(&cluster, PacketKind::Rumor), 0);
    let calls = to_invented(&cluster, PacketKind::Probe);
    assert!((8..=3 * 8 * 2).contains(&calls), "{calls} calls of two nodes in two seconds");
}

#[test]
fn whom_nobody_vouches_for_is_asked_within_the_limit_even_where_all_members_are() {
    let mut cluster = Cluster::of(60, Config::builder().liveness(Liveness::Auto).build().unwrap());
    cluster.run(8 * SECOND);
    cluster.body(1, ATTACKER, records((0..200).map(|at| member(at, 1, 1))));
    (11..=60).for_each(|node| cluster.crash(node));
    cluster.log.clear();
    cluster.run(6 * SECOND);
    let is_call = |it: &&(SocketAddr, _)| it.0.port() == 8_000 && it.1 == PacketKind::Probe;
    let calls = cluster.log.iter().filter(is_call).count();
    assert!(calls >= 3 * 8 && calls.is_multiple_of(8), "{calls} calls, eight a cycle");
}

#[test]
fn whom_nobody_vouches_for_has_as_much_time_whenever_a_stranger_speaks_of_him() {
    let mut cluster = Cluster::of(2, Config::builder().liveness(Liveness::Auto).build().unwrap());
    cluster.run(8 * SECOND);
    for counter in 1..4 {
        cluster.body(1, ATTACKER, records([member(1, 1, counter)]));
        cluster.run(SECOND * 7 / 2);
        assert!(cluster.engine(1).lists(invented_addr(1)), "time {counter}: as long as a suspect");
        cluster.run_until(2 * SECOND, |it| !it.engine(1).lists(invented_addr(1)));
        cluster.run(60 * SECOND);
    }
}

#[test]
fn a_member_is_believed_once_it_has_echoed_and_not_before() {
    let mut cluster = Cluster::of(3, Config::default());
    cluster.run(8 * SECOND);
    let newcomers = |cluster: &mut Cluster| cluster.engine(1).list().newcomers().len();
    assert_eq!(newcomers(&mut cluster), 0);
    let told = |number, counter| records([member(number, 1, counter)]);
    let itself = |cluster: &mut Cluster, number, body| {
        let packet = Packet::new(AgeStep::of_timeout(SECOND), body);
        let (now, input) = (cluster.clock(), datagram(invented_addr(number), packet));
        cluster.engine(1).handle(now, input, &mut Outbox::new());
    };
    cluster.body(1, ATTACKER, told(1, 1));
    cluster.body(1, ATTACKER, told(1, 2));
    cluster.body(1, 2, told(1, 3));
    assert_eq!(newcomers(&mut cluster), 1, "what others say proves nothing, however many they are");
    itself(&mut cluster, 1, Body::LastCall(LastCall::default()));
    itself(&mut cluster, 1, told(1, 4));
    assert_eq!(newcomers(&mut cluster), 1, "nor does an address on a packet");
    let now = cluster.clock();
    let token = cluster.engine(1).token_for(now, invented_addr(1));
    let answer = |token| Body::ProbeAnswer(ProbeAnswer { token, holds: StateDigest::default() });
    itself(&mut cluster, 1, answer(token ^ 2));
    assert_eq!(newcomers(&mut cluster), 1, "nor does a guess");
    itself(&mut cluster, 1, answer(token));
    assert_eq!(newcomers(&mut cluster), 0, "what was sent there and comes back does");
}

#[test]
fn with_a_secret_everybody_is_believed() {
    let config = Config::builder().secret_key("correct horse battery staple").build().unwrap();
    let mut cluster = Cluster::of(2, config);
    cluster.body(1, 2, records((0..1_000).map(|at| member(at, 1, 1))));
    assert_eq!(cluster.engine(1).list().newcomers().len(), 0);
    assert_eq!(cluster.engine(1).members_len(), 1_002);
}

#[test]
fn nobody_is_made_to_doubt_itself() {
    let mut cluster = Cluster::of(2, config(Liveness::Probes));
    let Packet { body: Body::SwapRequest(request), .. } = cluster.swap_request(2, 1) else {
        unreachable!("a request")
    };
    // What would have node 1 swap with whom it comes from, then probe it: itself.
    let digest = Digest(!request.summary.digest.0);
    let summary = StateSummary { digest, ..request.summary };
    cluster.body(
        1,
        1,
        Body::Welcome(Welcome { token: 0, ask: None, summary, members: Vec::new() }),
    );
    cluster.loss = Probability::ONE;
    cluster.run(60 * SECOND);
    assert_eq!(cluster.engine(1).stats().packets_from_myself, 1);
    assert_eq!(cluster.list(1), [1]);
}
