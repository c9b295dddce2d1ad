//! Ways into the cluster: who is dialled, how often and for how long, and who learns why in vain.

use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::core::{Command, Event, Input, Outbox, Output, PacketKind, Record};
use crate::node::{Generation, Node};

use super::cluster::{Cluster, SECOND, addr, judging};

fn joins_to(cluster: &Cluster, node: u16) -> usize {
    let is_join = |(to, kind): &&(_, PacketKind)| *to == addr(node) && *kind == PacketKind::Join;
    cluster.log.iter().filter(is_join).count()
}

fn seeds(nodes: &[u16]) -> Command {
    Command::Seeds(nodes.iter().copied().map(addr).collect())
}

#[test]
fn a_removed_member_is_dialled_for_redial_for_and_no_longer() {
    let config = Config::builder().redial_for(60 * SECOND).build().unwrap();
    let mut cluster = Cluster::of(3, config);
    cluster.command(2, seeds(&[]));
    cluster.crash(3);
    cluster.run(30 * SECOND);
    assert_eq!(cluster.list(2), [1, 2]);
    cluster.log.clear();
    cluster.run(30 * SECOND);
    assert!(joins_to(&cluster, 3) >= 4, "{} dials within it", joins_to(&cluster, 3));
    cluster.run(15 * SECOND);
    cluster.log.clear();
    cluster.run(120 * SECOND);
    assert_eq!(joins_to(&cluster, 3), 0, "its address may be anybody's by now");
}

#[test]
fn two_clusters_stay_two_when_one_is_given_an_address_that_the_other_has_given_up() {
    let config = Config::builder().redial_for(60 * SECOND).build().unwrap();
    let mut cluster = Cluster::of(3, config);
    for node in 1..=3 {
        cluster.command(node, seeds(&[]));
    }
    cluster.crash(3);
    cluster.run(90 * SECOND);
    // Another cluster, whose second node gets the address.
    cluster.start(4, &[]);
    cluster.start(3, &[4]);
    cluster.run(60 * SECOND);
    assert_eq!((cluster.list(1), cluster.list(4)), (vec![1, 2], vec![3, 4]));
}

#[test]
fn seeds_are_dialled_for_ever_so_that_a_partition_of_any_length_heals() {
    let config = Config::builder().redial_for(Duration::ZERO).build().unwrap();
    let mut cluster = Cluster::of(6, config);
    cluster.far_side = (4..=6).collect();
    cluster.run(300 * SECOND);
    assert_eq!(cluster.list(6), [4, 5, 6]);
    cluster.far_side.clear();
    cluster.run_until(15 * SECOND, Cluster::all_list_all);
}

#[test]
fn nodes_that_start_together_dial_at_all_times_of_the_period() {
    let mut cluster = Cluster::new(Config::default());
    // One seed at which nobody is, so that everybody dials in each period.
    for node in 1..=20 {
        cluster.start(node, &[1, 100 + node]);
    }
    cluster.run_until(20 * SECOND, Cluster::all_list_all);
    cluster.run(SECOND);
    let dials: Vec<_> = (0..10)
        .map(|_| {
            cluster.log.clear();
            cluster.run(SECOND);
            (101..=120).map(|node| joins_to(&cluster, node)).sum::<usize>()
        })
        .collect();
    let busy = dials.iter().filter(|&&count| count > 0).count();
    assert!(busy >= 6, "{dials:?} dials in the seconds of a period");
}

#[test]
fn seeds_that_are_found_one_by_one_are_dialled_once_each() {
    let mut cluster = Cluster::new(Config::default());
    for node in 1..=4 {
        cluster.start(node, &[]);
    }
    cluster.start(5, &[]);
    cluster.log.clear();
    for known in [&[1, 1][..], &[1, 2], &[1, 2, 3], &[1, 2, 3, 4]] {
        cluster.command(5, seeds(known));
        cluster.run(Duration::from_micros(100));
    }
    cluster.run(Duration::from_millis(45));
    let dials = [1, 2, 3, 4].map(|seed| joins_to(&cluster, seed));
    assert_eq!(dials, [1; 4]);
}

#[test]
fn a_seed_that_is_named_later_is_dialled_at_once() {
    let mut cluster = Cluster::of(3, Config::default());
    cluster.start(9, &[]);
    cluster.command(2, seeds(&[1, 9]));
    cluster.run_until(SECOND, |cluster| cluster.engine(2).is_in_touch_with(addr(9)));
    cluster.run_until(5 * SECOND, Cluster::all_list_all);
}

#[test]
fn a_seed_that_does_not_answer_its_next_dial_is_in_touch_no_longer() {
    let mut cluster = Cluster::of(2, judging().build().unwrap());
    cluster.run(SECOND);
    assert!(cluster.engine(2).is_in_touch_with(addr(1)));
    cluster.crash(1);
    cluster.run(20 * SECOND);
    assert!(!cluster.engine(2).is_in_touch_with(addr(1)));
}

#[test]
fn a_node_that_meets_itself_at_a_seed_knows_it_and_dials_that_seed_no_more() {
    let mut cluster = Cluster::new(Config::default());
    cluster.start(1, &[]);
    // The name of the machine stands for another address of it, as that of loopback.
    let (now, mut out) = (cluster.clock(), Outbox::new());
    cluster.engine(1).handle(now, Input::Command(seeds(&[77])), &mut out);
    let join = out.drain().find_map(|output| match output {
        Output::Send { to, packet, .. } => (to == addr(77)).then_some(packet),
        Output::Answer(_) | Output::Event(_) | Output::Flush => None,
    });
    cluster.packet(1, 76, join.expect("it dials its seed").as_ref().clone());
    assert!(cluster.engine(1).is_itself(addr(77)));
    assert_eq!(cluster.list(1), [1]);
    cluster.log.clear();
    cluster.run(60 * SECOND);
    assert_eq!(joins_to(&cluster, 77), 0);
}

#[test]
fn a_node_that_is_answered_and_never_called_is_told_that_its_address_leads_nowhere() {
    let mut cluster = Cluster::of(5, Config::default());
    // It sends from one address and advertises another, at which nobody is.
    let node = Node::new(addr(99).to_string()).build().unwrap();
    let record = Arc::new(Record::new(node, Generation::new(7).unwrap()));
    cluster.start_as(6, record, &[1]);
    let told = |cluster: &Cluster| {
        let told = cluster.events.iter().filter(|(_, _, it)| matches!(it, Event::NotReached(_)));
        told.map(|(_, node, event)| (*node, event.clone())).collect::<Vec<_>>()
    };
    cluster.run(60 * SECOND);
    assert_eq!(told(&cluster), [(6, Event::NotReached(addr(99)))], "once, and no other node");
}

#[test]
fn a_node_that_was_stopped_for_long_is_not_told_that_nobody_reaches_it() {
    let mut cluster = Cluster::of(5, Config::default());
    for command in [Command::Stop, Command::Start] {
        cluster.command(5, command);
        cluster.run(120 * SECOND);
    }
    assert!(!cluster.events.iter().any(|it| matches!(it.2, Event::NotReached(_))));
}
