//! A hostile peer that speaks the protocol: what it can't do to those it talks to.
//!
//! **The bound.** Whatever is sent to it, a node holds at most `members_max` members and
//! `members_max / 2 + 64` tombstones, and beside them only tables of fixed size.

use std::net::SocketAddr;
use std::sync::Arc;

use super::cluster::{Cluster, SECOND};
use crate::config::Liveness;
use crate::core::{Age, Body, Bulk, Cause, Gone, News, Record, Records, Sighting};
use crate::{Config, Generation, Node};

const MEMBERS_MAX: usize = 1_000;
const TOMBSTONES_MAX: usize = MEMBERS_MAX / 2 + 64;

/// From where the attack comes.
const ATTACKER: u16 = 6_666;

fn config(liveness: Liveness) -> Config {
    Config::builder().members_max(MEMBERS_MAX).liveness(liveness).build().unwrap()
}

/// The address of an invented node.
fn invented_addr(number: u32) -> SocketAddr {
    ((0x0a00_0000 | number).to_be_bytes(), 8000).into()
}

fn generation(value: u64) -> Generation {
    Generation::new(value).unwrap()
}

fn sighting(node: Node, value: u64, counter: u64) -> Sighting {
    let record = Arc::new(Record::new(node, generation(value)));
    Sighting { record, counter, age: Age(0) }
}

fn member(number: u32, value: u64, counter: u64) -> News {
    News::Member(sighting(Node::at(invented_addr(number)), value, counter))
}

fn left(number: u32, value: u64) -> News {
    let addr = invented_addr(number);
    News::Gone(Gone { addr, generation: generation(value), counter: 1, cause: Cause::Left })
}

fn records(news: impl IntoIterator<Item = News>) -> Body {
    Body::Records(Records { news: news.into_iter().collect() })
}

impl Cluster {
    /// How much a node holds, as the length of the text of all its state.
    fn state_len(&mut self, node: u16) -> usize {
        format!("{:?}", self.engine(node)).len()
    }

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
        cluster.assert_bounded(1);
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
    for counter in [u64::MAX - 1, u64::MAX, 1 << 62] {
        cluster.body(1, ATTACKER, records([member(1, last, counter), member(2, 1, counter)]));
        let short = [1, 2].map(|number| match member(number, last, counter) {
            News::Member(sighting) => sighting.record.id(),
            News::Gone(_) => unreachable!("it is a member"),
        });
        let beats = (0..=255_u8)
            .flat_map(|counter| short.map(|id| crate::core::Beat { id, counter, age: Age(0) }));
        let bulk = Bulk { beats: beats.collect(), news: Vec::new() };
        cluster.body(1, ATTACKER, Body::Bulk(bulk));
        cluster.run(SECOND / 10);
    }
    cluster.run_until(10 * SECOND, Cluster::all_list_all);
}
