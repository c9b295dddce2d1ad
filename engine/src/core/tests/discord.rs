//! Swaps that cannot agree, addresses that two claim, and lists that are full.

use std::sync::Arc;
use std::time::Duration;

use super::cluster::{Cluster, SECOND, addr};
use crate::config::{Config, Liveness};
use crate::core::packet::StateDigest;
use crate::core::{Event, Record};
use crate::node::{Generation, Node};

const TIMEOUT: Duration = Duration::from_secs(5);

/// Where further claimants of node 3's address really are.
const ELSEWHERE: [u16; 4] = [93, 94, 95, 96];

/// A node that says that it lives at the address of node 3.
#[track_caller]
fn claimant(generation: u64) -> Arc<Record> {
    let node = Node::new(addr(3).to_string()).name(format!("c{generation}")).build().unwrap();
    Arc::new(Record::new(node, Generation::new(generation).unwrap()))
}

/// Three nodes, and so many more that claim the address of the third.
#[track_caller]
fn contested(claimants: usize, liveness: Liveness) -> Cluster {
    let config = Config::builder().liveness(liveness).build().unwrap();
    let mut cluster = Cluster::of(3, config);
    cluster.run(10 * SECOND);
    cluster.events.clear();
    for (node, generation) in ELSEWHERE.into_iter().take(claimants).zip(1..) {
        cluster.start_as(node, claimant(generation), &[1]);
    }
    cluster
}

/// Packets a second that come to a node, in the minute to come.
#[track_caller]
fn rate(cluster: &mut Cluster, node: u16) -> usize {
    cluster.log.clear();
    cluster.run(60 * SECOND);
    cluster.log.iter().filter(|(to, _)| *to == addr(node)).count() / 60
}

fn conflicts(cluster: &Cluster, at: u16) -> usize {
    let conflict = |it: &&(_, u16, Event)| it.1 == at && matches!(it.2, Event::AddressConflict(_));
    cluster.events.iter().filter(conflict).count()
}

#[test]
fn swaps_over_an_address_that_several_claim_back_off() {
    for liveness in [Liveness::Beats, Liveness::Probes] {
        let mut calm = contested(0, liveness);
        let calm = rate(&mut calm, 1);
        for claimants in 1..=ELSEWHERE.len() {
            let mut cluster = contested(claimants, liveness);
            cluster.run(2 * TIMEOUT);
            let rate = rate(&mut cluster, 1);
            let most = (claimants + 1) * (calm + 4);
            assert!(rate <= most, "{liveness}, {claimants} more: {rate} packets/s, {calm} if calm");
        }
    }
}

#[test]
fn those_who_see_two_live_incarnations_of_one_address_are_told_once() {
    for liveness in [Liveness::Beats, Liveness::Probes] {
        let mut cluster = contested(1, liveness);
        cluster.run(120 * SECOND);
        for node in [1, 2] {
            assert_eq!(conflicts(&cluster, node), 1, "node {node}, by {liveness}");
        }
        let claimants = conflicts(&cluster, 3) + conflicts(&cluster, 93);
        assert!(claimants > 0, "one of the two is told that it is not alone, by {liveness}");
    }
}

#[test]
fn a_service_that_restarts_again_and_again_has_no_rival() {
    for liveness in [Liveness::Beats, Liveness::Probes] {
        let mut cluster = contested(0, liveness);
        for _ in 0..20 {
            cluster.crash(3);
            cluster.run(SECOND * 3 / 2);
            cluster.start(3, &[1]);
            cluster.run(SECOND * 3 / 2);
        }
        cluster.run_until(10 * SECOND, Cluster::all_list_all);
        assert_eq!((1..=3).map(|node| conflicts(&cluster, node)).sum::<usize>(), 0);
    }
}

/// Nodes of which each lists ten at most.
#[track_caller]
fn too_many(nodes: u16) -> Cluster {
    let config = Config::builder().liveness(Liveness::Beats).members_max(10).build().unwrap();
    let mut cluster = Cluster::new(config);
    (1..=nodes).for_each(|node| cluster.start(node, &[1]));
    cluster.run(20 * SECOND);
    cluster
}

#[test]
fn a_full_list_is_told_once_and_again_after_there_was_room() {
    let mut cluster = too_many(12);
    let told = |cluster: &Cluster, at: u16| {
        let full =
            |it: &&(_, u16, Event)| it.1 == at && it.2 == Event::ListFull { members_max: 10 };
        cluster.events.iter().filter(full).count()
    };
    assert_eq!((told(&cluster, 1), cluster.list(1).len()), (1, 10));
    let listed = cluster.list(1).into_iter().find(|&node| node != 1).expect("nine others");
    cluster.events.clear();
    cluster.crash(listed);
    // Another takes its place, and there is one more.
    cluster.run(20 * SECOND);
    assert_eq!((told(&cluster, 1), cluster.list(1).len()), (1, 10));
}

#[test]
fn lists_that_are_full_and_differ_cost_little_more_than_such_that_agree() {
    let (mut agree, mut differ) = (too_many(10), too_many(15));
    let (agree, differ) = (rate(&mut agree, 1), rate(&mut differ, 1));
    assert!(differ <= agree * 2, "{differ} packets/s where lists differ, {agree} where they agree");
}

#[test]
fn any_change_of_what_either_holds_makes_a_partner_worth_trying_again() {
    let mut cluster = contested(1, Liveness::Beats);
    cluster.run(60 * SECOND);
    let is_in_vain = |cluster: &mut Cluster, theirs| {
        let now = cluster.clock();
        cluster.engine(93).is_in_vain(now, addr(1), theirs)
    };
    cluster.run_until(60 * SECOND, |cluster| is_in_vain(cluster, None));
    let held = cluster.engine(1).holds();
    assert!(is_in_vain(&mut cluster, Some(held)));
    let other = StateDigest { version: held.version + 1, ..held };
    assert!(!is_in_vain(&mut cluster, Some(other)), "the partner holds something else now");
    cluster.publish_silently(93, b"news");
    assert!(!is_in_vain(&mut cluster, None), "we hold something else now");
}
