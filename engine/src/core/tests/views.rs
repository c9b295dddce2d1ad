//! Views, sentence by sentence.

use std::time::Duration;

use super::cluster::{Cluster, SECOND};
use super::probes::settled;
use crate::config::WireVersion;
use crate::core::Event;
use crate::time::Instant;

/// What a node was told of its list as a whole: when, with which number, and how many came and
/// went.
fn views(cluster: &Cluster, node: u16) -> Vec<(Instant, u64, usize, usize)> {
    let of_it = cluster.events.iter().filter(|it| it.1 == node);
    let view = |(at, _, event): &(Instant, u16, Event)| match *event {
        Event::View { number, joined, left, .. } => Some((*at, number, joined, left)),
        _ => None,
    };
    of_it.filter_map(view).collect()
}

#[test]
fn the_first_change_is_told_at_once_and_later_ones_together() {
    let mut cluster = settled(12);
    let delay = cluster.engine(1).config().relay_delay();
    cluster.run(SECOND);
    for node in [21, 22, 23] {
        cluster.start(node, &[1]);
        cluster.run(Duration::from_millis(20));
    }
    cluster.run(SECOND);
    let joined = |event: &Event| matches!(event, Event::Joined(_));
    let first = cluster.events.iter().find(|it| it.1 == 1 && joined(&it.2)).expect("a join").0;
    let views = views(&cluster, 1);
    let [(at, number, 1, 0), (later, next, 2, 0)] = views[..] else { panic!("{views:?}") };
    assert_eq!((at, later, next), (first, first + delay, number + 1));
}

#[test]
fn a_view_comes_after_its_changes_and_has_the_digest_that_peers_compare() {
    let mut cluster = settled(12);
    cluster.crash(3);
    cluster.run(10 * SECOND);
    let of_one = cluster.events.iter().filter(|it| it.1 == 1).map(|it| it.2.clone());
    let of_one: Vec<_> = of_one.collect();
    let [Event::Removed { .. }, Event::View { members: 11, left: 1, ref digest, .. }] = of_one[..]
    else {
        panic!("{of_one:?}")
    };
    for node in [2, 4] {
        assert_eq!(cluster.engine(node).list().digest(WireVersion::One).0.to_be_bytes(), *digest);
    }
}

#[test]
fn ten_crashes_at_once_are_four_views_at_most() {
    let mut cluster = settled(200);
    (1..=10).for_each(|node| cluster.crash(node * 20));
    cluster.run(15 * SECOND);
    for node in (1..=200).filter(|node| node % 20 != 0) {
        let views = views(&cluster, node);
        assert!(views.len() <= 4, "node {node}: {views:?}");
        assert_eq!(views.iter().map(|view| view.3).sum::<usize>(), 10, "node {node}: {views:?}");
    }
}
