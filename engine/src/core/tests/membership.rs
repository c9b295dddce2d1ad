//! Joins, leaves, restarts: who is listed, and as which incarnation.

use std::sync::Arc;

use super::cluster::{Cluster, SECOND, addr, beating};
use crate::config::Config;
use crate::core::packet::{Alive, Body, Bulk, Delta, MembershipUpdate};
use crate::core::{Age, Cause, Command, Event, MemberState, PacketKind, Record};
use crate::node::{Generation, Node};
use crate::rng::Probability;

#[test]
fn three_nodes_that_join_through_one_list_each_other_within_a_cycle() {
    let mut cluster = Cluster::new(Config::default());
    for node in 1..=3 {
        cluster.start(node, &[1]);
    }
    cluster.run_until(SECOND, Cluster::all_list_all);
}

#[test]
fn a_hundred_nodes_that_start_at_once_through_one_seed_list_each_other_within_two_cycles() {
    let mut cluster = Cluster::new(Config::default());
    for node in 1..=100 {
        cluster.start(node, &[1]);
    }
    cluster.run_until(2 * SECOND, Cluster::all_list_all);
}

#[test]
fn a_join_that_is_lost_is_repeated() {
    let mut cluster = Cluster::new(Config::default());
    cluster.start(1, &[]);
    cluster.loss = Probability::ONE;
    cluster.start(2, &[1]);
    cluster.run(SECOND / 2);
    cluster.loss = Probability::ZERO;
    cluster.run_until(SECOND, Cluster::all_list_all);
}

#[test]
fn a_seed_behind_many_dead_ones_is_reached_in_its_turn() {
    let mut cluster = Cluster::new(Config::default());
    cluster.start(1, &[]);
    cluster.start(2, &[90, 91, 92, 93, 94, 95, 96, 97, 98, 1]);
    cluster.run_until(2 * SECOND, Cluster::all_list_all);
}

#[test]
fn a_node_that_joins_alone_is_told_along_arcs_to_each_once() {
    let mut cluster = Cluster::of(50, Config::default());
    cluster.run(SECOND);
    // Node 7 tells the others; the newcomer itself is one more member of the ring. Now and then an
    // acknowledgement takes longer than those before it, and somebody is told once more.
    let rumors = |newcomer: u16| {
        let before = cluster.sent[&PacketKind::Rumor];
        cluster.start(newcomer, &[7]);
        cluster.run_until(SECOND, Cluster::all_list_all);
        cluster.run(SECOND);
        cluster.sent[&PacketKind::Rumor] - before - usize::from(newcomer - 51)
    };
    let mut rumors: Vec<usize> = (51..=57).map(rumors).collect();
    rumors.sort_unstable();
    assert!((49..=51).contains(&rumors[2]), "{rumors:?}");
}

#[test]
fn a_guest_is_welcomed_though_too_few_to_tell_it_of_were_heard_lately() {
    // A welcome names 64 members; of the 65 others that the seed lists, two are silent.
    let mut cluster = Cluster::of(66, beating());
    cluster.run(3 * SECOND);
    cluster.crash(65);
    cluster.crash(66);
    cluster.run(4 * SECOND);
    assert_eq!(cluster.list(1).len(), 66, "they are silent, but not timed out yet");
    cluster.start(67, &[1]);
    cluster.run_until(SECOND, |cluster| cluster.list(67).len() >= 65);
}

#[test]
fn a_node_that_left_is_removed_by_all_at_once() {
    let mut cluster = Cluster::of(30, Config::default());
    cluster.events.clear();
    cluster.command(7, Command::Leave);
    cluster.run_until(SECOND / 10, |cluster| cluster.removals_of(7).len() == 29);
    assert!(cluster.removals_of(7).iter().all(|&(_, cause)| cause == Cause::Left));
}

#[test]
fn a_goodbye_that_many_missed_is_passed_on_by_swaps() {
    let mut cluster = Cluster::of(30, Config::default());
    cluster.events.clear();
    cluster.command(7, Command::Leave);
    cluster.loss = Probability::from_ppb(500_000_000);
    cluster.run(SECOND / 20);
    cluster.loss = Probability::ZERO;
    assert!((1..29).contains(&cluster.removals_of(7).len()));
    cluster.run_until(4 * SECOND, |cluster| cluster.removals_of(7).len() == 29);
    assert!(cluster.removals_of(7).iter().all(|&(_, cause)| cause == Cause::Left));
}

#[test]
fn an_old_copy_does_not_bring_back_a_node_that_left() {
    let mut cluster = Cluster::of(5, Config::default());
    let record = Arc::clone(cluster.engine(3).me());
    cluster.command(3, Command::Leave);
    cluster.crash(3);
    cluster.run(SECOND);
    let copy = MemberState { record, counter: 1_000, age: Age(1) };
    let bulk = Bulk { beats: Vec::new(), news: vec![MembershipUpdate::Member(copy)] };
    cluster.body(1, 2, Body::Bulk(bulk));
    cluster.run(SECOND);
    cluster.assert_all_list_all();
}

#[test]
fn a_restart_at_the_same_address_replaces_the_old_incarnation_and_is_listed_once() {
    let mut cluster = Cluster::of(10, Config::default());
    cluster.crash(4);
    cluster.run(SECOND);
    cluster.events.clear();
    cluster.start(4, &[1]);
    let record = Arc::clone(cluster.engine(4).me());
    cluster.run_until(2 * SECOND, |cluster| {
        (1..=10).all(|node| cluster.engine(node).members().any(|held| *held == record))
    });
    cluster.assert_all_list_all();
    assert_eq!(cluster.removals_of(4), []);
}

#[test]
fn a_restart_with_a_clock_set_back_jumps_above_its_earlier_life() {
    let mut cluster = Cluster::of(10, Config::default());
    let earlier = cluster.engine(4).me().generation();
    cluster.crash(4);
    let node = Node::new(addr(4).to_string()).name("n4").build().unwrap();
    let behind = Record::new(node, Generation::new(earlier.get() - 1_000).unwrap());
    cluster.start_as(4, Arc::new(behind), &[1]);
    cluster.run_until(3 * SECOND, |cluster| {
        let me = Arc::clone(cluster.engine(4).me());
        let known = |node| cluster.engine(node).members().any(|held| *held == me);
        me.generation() > earlier && (1..=10).all(known)
    });
}

#[test]
fn two_lives_at_one_address_jump_above_each_other_at_most_once_a_timeout() {
    let mut cluster = Cluster::of(3, Config::default());
    let jumps = |cluster: &Cluster| {
        let updated = |event: &&(_, u16, Event)| {
            event.1 == 3
                && matches!(&event.2, Event::Updated { new, .. } if new.node().addr() == addr(3))
        };
        cluster.events.iter().filter(updated).count()
    };
    // Twelve seconds: it may jump at once, after five, and after ten it has a rival.
    for quarter in 1..=48 {
        let me = cluster.engine(3).me();
        let ahead = Generation::new(me.generation().get() + quarter).unwrap();
        let rival = Arc::new(Record::new(me.node().clone(), ahead));
        let copy = MemberState { record: rival, counter: 1, age: Age(0) };
        cluster.body(3, 1, Body::Alive(Alive { token: 0, me: copy }));
        cluster.run(SECOND / 4);
        assert_eq!(jumps(&cluster), if quarter <= 20 { 1 } else { 2 });
    }
}

#[test]
fn a_shared_roster_and_separate_lists_give_the_same_run() {
    let run = |mut cluster: Cluster| {
        for node in 1..=20 {
            cluster.start(node, &[1]);
        }
        cluster.run(3 * SECOND);
        cluster.crash(5);
        cluster.command(6, Command::Leave);
        cluster.run(8 * SECOND);
        (cluster.events, cluster.sent)
    };
    let separate = run(Cluster::new(Config::default()));
    let shared = run(Cluster::new(Config::default()).with_shared_roster(20));
    assert!(separate == shared);
}

#[test]
fn a_list_has_a_limit() {
    let config = Config::builder().members_max(5).build().unwrap();
    let mut cluster = Cluster::new(config);
    for node in 1..=8 {
        cluster.start(node, &[1]);
    }
    cluster.run(3 * SECOND);
    for node in 1..=8 {
        assert!(cluster.list(node).len() <= 5);
    }
    assert!(cluster.engine(1).stats().records_over_limit > 0);
}

#[test]
fn an_update_changes_what_all_list_and_lists_nobody_twice() {
    let mut cluster = Cluster::of(20, Config::default());
    cluster.run(SECOND);
    let changed = Node::new("10.9.9.9:1").name("new name").private_data("v=2").build().unwrap();
    cluster.command(3, Command::Update(changed));
    cluster.run_until(SECOND / 10, |cluster| {
        (1..=20).all(|node| {
            let mut members = cluster.engine(node).members();
            members.any(|held| held.node().private_data() == "v=2")
        })
    });
    cluster.assert_all_list_all();
    assert_eq!(cluster.removals_of(3), []);
}

#[test]
fn a_rival_at_our_address_is_reported_once_and_not_chased() {
    let mut cluster = Cluster::of(3, Config::default());
    cluster.events.clear();
    let mut rival = 0;
    for _ in 0..60 {
        let me = cluster.engine(3).me();
        rival = me.generation().get().max(rival) + 1;
        let ahead = Generation::new(rival).unwrap();
        let rival = Arc::new(Record::new(me.node().clone(), ahead));
        let copy = MemberState { record: rival, counter: 1, age: Age(0) };
        cluster.body(3, 1, Body::Alive(Alive { token: 0, me: copy }));
        cluster.run(SECOND);
    }
    let conflicts = cluster.events.iter().filter(|it| matches!(it.2, Event::AddressConflict(_)));
    assert_eq!(conflicts.count(), 1);
}

#[test]
fn a_late_copy_of_one_that_left_and_came_back_is_none_of_a_rival() {
    let mut cluster = Cluster::of(3, Config::default());
    let heard = |cluster: &mut Cluster, record: &Arc<Record>| {
        let record = Arc::clone(record);
        let copy = MemberState { record, counter: 1, age: Age(0) };
        cluster.body(1, 2, Body::Delta(Delta { news: vec![MembershipUpdate::Member(copy)] }));
    };
    let first = Arc::clone(cluster.engine(3).me());
    let former = Generation::new(first.generation().get() - 1).unwrap();
    heard(&mut cluster, &Arc::new(Record::new(first.node().clone(), former)));
    cluster.run(20 * SECOND);
    cluster.command(3, Command::Leave);
    cluster.run(SECOND);
    let next = Generation::new(first.generation().get() + 1).unwrap();
    cluster.start_as(3, Arc::new(Record::new(first.node().clone(), next)), &[1]);
    cluster.run(SECOND);
    heard(&mut cluster, &first);
    let conflict = |it: &(_, u16, Event)| matches!(it.2, Event::AddressConflict(_));
    assert!(!cluster.events.iter().any(conflict));
}

#[track_caller]
fn named(node: u16, name: &str, generation: u64) -> Arc<Record> {
    let node = Node::new(addr(node).to_string()).name(name).build().unwrap();
    Arc::new(Record::new(node, Generation::new(generation).unwrap()))
}

#[test]
fn a_named_node_that_comes_back_at_a_new_address_replaces_the_one_that_is_silent() {
    let mut cluster = Cluster::of(10, Config::default());
    cluster.run(SECOND);
    cluster.crash(4);
    cluster.start_as(40, named(40, "n4", 1), &[1]);
    // Long before the timeout of five seconds.
    cluster.run_until(SECOND * 3 / 2, Cluster::all_list_all);
    let replaced = |it: &&(_, u16, Event)| matches!(&it.2, Event::Replaced { .. });
    assert!(cluster.events.iter().filter(replaced).count() >= 9);
}

#[test]
fn two_live_nodes_with_one_name_both_stay_listed_and_are_reported_once() {
    let mut cluster = Cluster::of(10, Config::default());
    cluster.run(SECOND);
    cluster.start_as(40, named(40, "n4", 1), &[1]);
    cluster.run(30 * SECOND);
    cluster.assert_all_list_all();
    let at = |node: u16| {
        let conflict = |it: &&(_, u16, Event)| matches!(it.2, Event::NameConflict { .. });
        cluster.events.iter().filter(conflict).filter(|it| it.1 == node).count()
    };
    assert_eq!((1..=10).map(at).collect::<Vec<_>>(), [1; 10]);
    assert_eq!(cluster.removals_of(4), []);
}

#[test]
fn an_update_shows_the_incarnation_before_it_so_that_a_restart_is_told_from_a_change() {
    let mut cluster = Cluster::of(3, Config::default());
    cluster.run(SECOND);
    let updates = |cluster: &mut Cluster| {
        let seen = cluster.events.drain(..).filter_map(|(_, at, event)| match event {
            Event::Updated { old, new } => Some((at, old, new)),
            _ => None,
        });
        seen.collect::<Vec<_>>()
    };
    updates(&mut cluster);
    let born = Arc::clone(cluster.engine(3).me());
    let changed = Node::new(addr(3).to_string()).name("n3").private_data("v=2").build().unwrap();
    cluster.command(3, Command::Update(changed.clone()));
    cluster.run(SECOND);
    let now = Arc::clone(cluster.engine(3).me());
    let mut told = updates(&mut cluster);
    told.sort_by_key(|&(at, ..)| at);
    let expected = [1, 2, 3].map(|at| (at, Arc::clone(&born), Arc::clone(&now)));
    assert_eq!(told, expected, "the node itself and all others");
    // Its new life says what the last one said, under another number.
    cluster.crash(3);
    let generation = Generation::start(Some(now.generation()), cluster.clock().wall);
    cluster.start_as(3, Arc::new(Record::new(changed, generation)), &[1]);
    cluster.run(SECOND);
    let restarted = Arc::clone(cluster.engine(3).me());
    let mut told = updates(&mut cluster);
    told.sort_by_key(|&(at, ..)| at);
    let expected = [1, 2].map(|at| (at, Arc::clone(&now), Arc::clone(&restarted)));
    assert_eq!(told, expected);
    assert_eq!(restarted.node(), now.node());
}
