//! Paths that carry less than `size`.

use super::cluster::{Cluster, SECOND, addr, record};
use crate::config::{Config, ConfigBuilder, Liveness, Swap};
use crate::core::{Answer, Command, Event, PacketKind, Value};

/// What every path carries.
const NARROW: usize = Config::PATH_SIZE;

fn sizes() -> [ConfigBuilder; 4] {
    [1_000, 1_200, 1_400, 8_000].map(|size| Config::builder().size(size))
}

fn value(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + len) as u8).collect()
}

/// Lengths around every limit: what fits a narrow datagram, what fits one of `size`, and more.
fn lengths() -> impl Iterator<Item = usize> {
    (1_000..1_500).step_by(23).chain([0, 100, 5_000, 7_900, 9_000, 70_000])
}

fn narrow_events(cluster: &Cluster) -> usize {
    cluster.events.iter().filter(|(.., event)| matches!(event, Event::PathNarrow { .. })).count()
}

#[test]
fn any_value_arrives_by_rumor_over_a_path_that_carries_1_200_bytes_whatever_the_size() {
    for (place, builder) in (0..).zip(sizes()) {
        for config in [builder.clone(), builder.secret_key("secret")] {
            let mut cluster = Cluster::new(config.swap(Swap::Off).build().unwrap());
            cluster.path_size = NARROW;
            // Without swaps everybody is told of by who lets him in.
            (1..=4).for_each(|node| cluster.start(node, &[1, 2, 3, 4]));
            cluster.run_until(20 * SECOND, Cluster::all_list_all);
            for len in lengths() {
                cluster.publish(1 + (len % 4) as u16, &value(len));
                let took = cluster.run_until(SECOND, |it| it.all_hold(&value(len)));
                assert!(took < SECOND / 2, "{len} bytes, size {place}: {took:?}");
            }
        }
    }
}

#[test]
fn any_value_arrives_by_swap_over_a_path_that_carries_1_200_bytes_whatever_the_size() {
    for builder in sizes() {
        for config in [builder.clone(), builder.secret_key("secret")] {
            let mut cluster = Cluster::of(4, config.build().unwrap());
            cluster.path_size = NARROW;
            for len in lengths() {
                cluster.publish_silently(2, &value(len));
                // Its rumor is given up before anything gets through again.
                let loss = std::mem::replace(&mut cluster.loss, crate::rng::Probability::ONE);
                cluster.run(3 * SECOND);
                cluster.loss = loss;
                cluster.run_until(10 * SECOND, |it| it.all_hold(&value(len)));
            }
        }
    }
}

#[test]
fn a_narrow_path_is_told_once_and_each_further_value_goes_by_stream_at_once() {
    let config = Config::builder().size(1_400).swap(Swap::Off);
    let mut cluster = Cluster::of(2, config.build().unwrap());
    cluster.path_size = NARROW;
    cluster.publish(1, &value(1_300));
    cluster.run_until(SECOND, |it| it.all_hold(&value(1_300)));
    cluster.run(SECOND);
    let told = |cluster: &Cluster| -> Vec<_> {
        let events = cluster.events.iter().filter_map(|(_, node, event)| match event {
            Event::PathNarrow { peer, len } => Some((*node, *peer, *len)),
            _ => None,
        });
        events.collect()
    };
    let [(1, peer, len)] = told(&cluster)[..] else { panic!("{:?}", told(&cluster)) };
    assert_eq!((peer, cluster.engine(1).stats().paths_narrow), (addr(2), 1));
    assert!((1_300..1_400).contains(&len), "{len}");
    let vanished = cluster.vanished;
    assert!(vanished >= 2);
    for len in 1_301..1_320 {
        cluster.publish(1, &value(len));
        let then = cluster.run_until(SECOND, |it| it.all_hold(&value(len)));
        // A datagram, the question and the answer by stream, and no wait for what got lost.
        assert!(then <= 70 * SECOND / 1_000, "{then:?}");
        cluster.run(SECOND);
    }
    assert_eq!(cluster.vanished, vanished, "none is tried whole");
    assert_eq!(told(&cluster).len(), 1, "once for each peer");
}

#[test]
fn who_acknowledges_the_news_of_a_value_is_not_taken_to_hold_it() {
    let config = Config::builder().size(1_400).swap(Swap::Off);
    let mut cluster = Cluster::of(2, config.build().unwrap());
    cluster.path_size = NARROW;
    // The news gets through, and the value does not: streams are filtered.
    cluster.filters.extend([(1, 2), (2, 1)]);
    let value = Value::new(value(1_300), &Config::default()).unwrap();
    cluster.command(1, Command::PublishTo(value, 1));
    cluster.run(6 * SECOND);
    assert!(cluster.data(2).is_none());
    let [(_, _, Answer::Published(Err(told)))] = &cluster.answers[..] else {
        panic!("{:?}", cluster.answers)
    };
    assert_eq!(told.held_by, 0);
}

#[test]
fn where_the_path_is_wide_a_value_up_to_size_goes_in_the_rumor() {
    let mut cluster = Cluster::of(5, Config::builder().size(8_000).build().unwrap());
    cluster.publish(1, &value(7_000));
    cluster.run_until(SECOND, |it| it.all_hold(&value(7_000)));
    cluster.run(5 * SECOND);
    assert!(cluster.streams.is_empty(), "{:?}", cluster.streams);
    assert_eq!(narrow_events(&cluster), 0);
}

#[test]
fn a_path_that_becomes_wider_is_used_again() {
    let mut cluster = Cluster::of(3, Config::builder().size(1_400).build().unwrap());
    cluster.path_size = NARROW;
    for len in [1_300, 1_301] {
        cluster.publish(1, &value(len));
        cluster.run(5 * SECOND);
    }
    cluster.path_size = usize::MAX;
    cluster.publish(1, &value(1_302));
    cluster.run(600 * SECOND);
    let streams = cluster.streams[&PacketKind::Fetched];
    for len in 1_303..1_310 {
        cluster.publish(1, &value(len));
        cluster.run(5 * SECOND);
        cluster.assert_all_hold(&value(len));
    }
    assert_eq!(cluster.streams[&PacketKind::Fetched], streams);
}

#[test]
fn with_a_size_of_8_000_lists_converge_over_a_path_that_carries_1_200_bytes() {
    let mut cluster = Cluster::new(Config::builder().size(8_000).build().unwrap());
    cluster.path_size = NARROW;
    (1..=60).for_each(|node| cluster.start(node, &[1, 2, 3]));
    let took = cluster.run_until(20 * SECOND, Cluster::all_list_all);
    assert!(took < 2 * SECOND, "{took:?}");
    cluster.run(10 * SECOND);
    cluster.assert_all_list_all();
}

#[test]
fn whatever_is_cut_is_cut_at_1_200_bytes_whatever_the_size() {
    let mut cluster =
        Cluster::of(3, Config::builder().liveness(Liveness::Beats).size(8_000).build().unwrap());
    // The cluster looks at the length of each datagram.
    cluster.path_size = NARROW;
    let members: Vec<_> = (100..900).map(record).collect();
    cluster.restore(1, &members);
    cluster.run(4 * SECOND);
    assert_eq!((cluster.list(2).len(), cluster.list(3).len()), (803, 803));
    cluster.run(10 * SECOND);
    for kind in [PacketKind::Bulk, PacketKind::Delta, PacketKind::BucketIds, PacketKind::BeatVector]
    {
        assert!(cluster.sent.contains_key(&kind), "{kind:?}: {:?}", cluster.sent);
    }
    assert_eq!((cluster.vanished, cluster.streams.len()), (0, 0));
}
