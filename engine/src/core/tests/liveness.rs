//! Silence, removal and return.

use std::sync::Arc;
use std::time::Duration;

use super::cluster::{Cluster, SECOND, addr, beating, judging};
use crate::config::{Config, Liveness};
use crate::core::packet::{Body, Bulk, Gone, LastCall, MembershipUpdate, Padding};
use crate::core::{Age, AgeStep, Beat, Cause, Command, Event, MemberState, Packet, PacketKind};
use crate::rng::Probability;

const TIMEOUT: Duration = Duration::from_secs(5);

#[test]
fn a_crash_is_removed_by_all_after_the_timeout_and_within_half_a_cycle_of_it() {
    let mut cluster = Cluster::of(30, beating());
    cluster.run(5 * SECOND);
    cluster.crash(7);
    let first = cluster.run_until(TIMEOUT, |cluster| !cluster.removals_of(7).is_empty());
    // The last beat was up to a cycle old when it crashed.
    assert!(first > TIMEOUT - SECOND - SECOND / 4, "{first:?}");
    let rest = cluster.run_until(2 * SECOND, Cluster::all_list_all);
    assert!(first + rest < TIMEOUT + SECOND / 2, "{first:?} + {rest:?}");
}

#[test]
fn nobody_is_removed_at_a_fifth_of_loss() {
    let mut cluster = Cluster::of(20, beating());
    cluster.events.clear();
    cluster.loss = Probability::from_ppb(200_000_000);
    cluster.run(120 * SECOND);
    let removed = cluster.events.iter().filter(|it| matches!(it.2, Event::Removed { .. }));
    assert_eq!(removed.count(), 0);
}

#[test]
fn a_stopped_node_is_removed_though_it_answers_swaps_and_comes_back_when_started() {
    let mut cluster = Cluster::of(10, beating());
    cluster.command(4, Command::Stop);
    cluster.command(4, Command::Stop);
    cluster.run_until(TIMEOUT + SECOND, |cluster| cluster.removals_of(4).len() == 9);
    cluster.run(20 * SECOND);
    assert!(!cluster.engine(1).lists(addr(4)));
    cluster.command(4, Command::Start);
    cluster.command(4, Command::Start);
    cluster.run_until(2 * SECOND, Cluster::all_list_all);
}

#[test]
fn a_beat_that_a_stream_brings_after_half_of_the_scale_is_not_taken_for_one_from_ahead() {
    let mut cluster = Cluster::of(3, beating());
    cluster.run(150 * SECOND);
    let counter = |cluster: &mut Cluster| {
        let members = cluster.engine(1).list();
        members.counter(members.node(addr(3)).expect("a member"))
    };
    let before = counter(&mut cluster);
    let now = cluster.clock().mono;
    let step = AgeStep::of_timeout(cluster.engine(1).config().timeout());
    let members = cluster.engine(1).list();
    let newest = members.beat(members.node(addr(3)).expect("a member"), now, step);
    // It was sent 140 cycles ago, when it was new.
    let old = Beat { counter: newest.counter.wrapping_sub(140), age: Age(0), ..newest };
    cluster.body(1, 2, Body::Bulk(Bulk { beats: vec![old], news: Vec::new() }));
    cluster.run(SECOND / 10);
    assert!(counter(&mut cluster) <= before + 1, "{} after {before}", counter(&mut cluster));
    cluster.events.clear();
    cluster.run(3 * TIMEOUT);
    assert!(cluster.removals_of(3).is_empty(), "who lives is not removed");
}

#[test]
fn a_stopped_node_still_forwards_and_takes_metadata() {
    let mut cluster = Cluster::of(10, beating());
    cluster.command(4, Command::Stop);
    cluster.publish(1, b"news");
    cluster.run_until(SECOND / 10, |cluster| cluster.all_hold(b"news"));
}

#[test]
fn a_silent_node_gets_a_last_call_and_its_answer_saves_it() {
    let mut cluster = Cluster::of(
        2,
        Config::builder().liveness(Liveness::Beats).swap(crate::config::Swap::Off).build().unwrap(),
    );
    // Node 2 hears nothing and relays nothing of its own: only node 1's calls reach it.
    let before = cluster.sent.get(&PacketKind::Alive).copied().unwrap_or(0);
    cluster.mute.insert(PacketKind::Bulk);
    cluster.run(4 * TIMEOUT);
    assert!(cluster.sent[&PacketKind::Alive] > before);
    assert_eq!(cluster.removals_of(2), []);
}

#[test]
fn a_late_copy_of_an_old_beat_makes_nobody_younger() {
    let mut cluster = Cluster::of(3, beating());
    cluster.run(3 * SECOND);
    let record = Arc::clone(cluster.engine(3).me());
    cluster.crash(3);
    for quarter in 0..40 {
        // Copies that claim to be young, of counters that are held already.
        let beat = Beat { id: record.id(), counter: quarter % 4, age: Age(0) };
        cluster.body(1, 2, Body::Bulk(Bulk { beats: vec![beat], news: Vec::new() }));
        cluster.run(SECOND / 4);
    }
    assert!(!cluster.engine(1).lists(addr(3)));
}

#[test]
fn a_copy_that_is_too_old_lists_nobody() {
    let mut cluster = Cluster::of(2, beating());
    cluster.start(9, &[]);
    let record = Arc::clone(cluster.engine(9).me());
    for age in [Age::TOO_OLD, Age(200)] {
        let copy = MemberState { record: Arc::clone(&record), counter: 9, age };
        let bulk = Bulk { beats: Vec::new(), news: vec![MembershipUpdate::Member(copy)] };
        cluster.body(1, 2, Body::Bulk(bulk));
    }
    assert!(!cluster.engine(1).lists(addr(9)));
    assert_eq!(cluster.engine(1).stats().records_too_old, 2);
}

#[test]
fn a_tombstone_by_timeout_heard_from_another_removes_nobody() {
    let mut cluster = Cluster::of(3, beating());
    let record = Arc::clone(cluster.engine(3).me());
    let (addr, generation) = (addr(3), record.generation());
    let gone = Gone { addr, generation, counter: u32::MAX, cause: Cause::Timeout };
    cluster.body(
        1,
        2,
        Body::Bulk(Bulk { beats: Vec::new(), news: vec![MembershipUpdate::from(gone)] }),
    );
    assert!(cluster.engine(1).lists(addr));
}

#[test]
fn a_partition_of_four_timeouts_heals_within_a_redial_and_three_cycles() {
    let config = Config::builder().liveness(Liveness::Beats).redial(4 * SECOND).build().unwrap();
    let mut cluster = Cluster::of(20, config);
    cluster.far_side = (1..=10).collect();
    cluster.run(4 * TIMEOUT);
    assert_eq!(cluster.list(1), (1..=10).collect::<Vec<_>>());
    assert_eq!(cluster.list(20), (11..=20).collect::<Vec<_>>());
    cluster.far_side.clear();
    cluster.run_until(7 * SECOND, Cluster::all_list_all);
}

#[test]
fn a_node_that_was_cut_off_alone_finds_back_without_any_seed() {
    let mut cluster = Cluster::of(10, judging().liveness(Liveness::Beats).build().unwrap());
    cluster.command(5, Command::Seeds(Vec::new()));
    cluster.far_side = [5].into();
    cluster.run(60 * SECOND);
    assert_eq!(cluster.list(5), [5]);
    cluster.far_side.clear();
    cluster.run_until(14 * SECOND, Cluster::all_list_all);
}

#[test]
fn tombstones_are_forgotten() {
    let mut cluster = Cluster::of(5, beating());
    cluster.command(5, Command::Leave);
    cluster.crash(5);
    cluster.crash(4);
    cluster.run(2 * TIMEOUT);
    assert_eq!(cluster.engine(1).stats().tombstones_max, 2);
    assert_eq!(cluster.engine(1).list().tombstones_len(), 2);
    cluster.run(25 * TIMEOUT);
    assert_eq!(cluster.engine(1).list().tombstones_len(), 0);
}

#[test]
fn nodes_beat_once_a_cycle_give_or_take_a_tenth() {
    let mut cluster = Cluster::of(2, beating());
    let counter = |cluster: &mut Cluster| {
        let members = cluster.engine(2).list();
        members.counter(members.me())
    };
    let before = counter(&mut cluster);
    cluster.run(100 * SECOND);
    let beats = counter(&mut cluster) - before;
    assert!((95..=105).contains(&beats), "{beats} beats in 100 cycles");
}

fn removals(cluster: &Cluster) -> usize {
    cluster.events.iter().filter(|it| matches!(it.2, Event::Removed { .. })).count()
}

#[test]
fn a_node_that_slept_asks_before_it_judges() {
    let mut cluster = Cluster::of(10, beating());
    cluster.run(3 * SECOND);
    cluster.asleep.insert(4);
    cluster.run(60 * SECOND);
    cluster.crash(9);
    cluster.events.clear();
    cluster.asleep.clear();
    // The sleeper lists nine others, of which one has died meanwhile.
    cluster.run(10 * SECOND);
    let by_sleeper: Vec<_> = cluster
        .events
        .iter()
        .filter(|it| it.1 == 4)
        .filter_map(|it| match &it.2 {
            Event::Removed { record, .. } => Some(record.node().addr().port()),
            _ => None,
        })
        .collect();
    assert_eq!(by_sleeper, [9]);
    assert_eq!(cluster.engine(4).stats().sleeps, 1);
    cluster.assert_all_list_all();
}

#[test]
fn who_wakes_answers_with_a_beat_that_nobody_has_however_lately_it_beat_by_its_own_clock() {
    let mut cluster = Cluster::of(2, beating());
    cluster.run(3 * SECOND);
    let counter = |cluster: &mut Cluster| cluster.engine(1).newest_beat(addr(1)).unwrap().1;
    let last = counter(&mut cluster);
    cluster.run_until(2 * SECOND, |cluster| counter(cluster) > last);
    let before = counter(&mut cluster);
    // That a machine was suspended its wall clock alone shows, be it for less than a timeout.
    cluster.wall_ahead = SECOND;
    let step = AgeStep::of_timeout(TIMEOUT);
    let call = Body::LastCall(LastCall { token: 7, padding: Padding(0) });
    cluster.outputs(1, 2, Packet::new(step, call));
    assert_eq!(counter(&mut cluster), before + 1);
}

#[test]
fn a_wall_clock_set_ahead_removes_nobody() {
    let mut cluster = Cluster::of(10, beating());
    cluster.run(3 * SECOND);
    cluster.events.clear();
    cluster.wall_ahead = 3600 * SECOND;
    cluster.run(20 * SECOND);
    assert_eq!(removals(&cluster), 0);
    assert_eq!(cluster.engine(1).stats().sleeps, 1);
}

#[test]
fn a_wall_clock_set_back_removes_nobody() {
    let mut cluster = Cluster::of(10, beating());
    cluster.wall_ahead = 3600 * SECOND;
    cluster.run(20 * SECOND);
    cluster.events.clear();
    cluster.wall_ahead = Duration::ZERO;
    cluster.run(20 * SECOND);
    assert_eq!(removals(&cluster), 0);
}

#[test]
fn seeds_that_are_dead_for_good_do_not_keep_lost_members_from_being_dialled() {
    let mut cluster = Cluster::new(judging().liveness(Liveness::Beats).build().unwrap());
    cluster.start(1, &[]);
    cluster.start(2, &[1, 91, 92, 93, 94, 95]);
    cluster.run_until(3 * SECOND, Cluster::all_list_all);
    cluster.far_side.insert(1);
    cluster.run(10 * SECOND);
    assert!(!cluster.engine(2).lists(addr(1)));
    // Node 1 has no seeds, and node 2 no longer has node 1 among its own.
    let dead = (91..=95).map(addr).collect();
    cluster.command(2, Command::Seeds(dead));
    cluster.command(1, Command::Leave);
    cluster.crash(1);
    cluster.far_side.clear();
    cluster.log.clear();
    cluster.run(25 * SECOND);
    let dialled = |node| cluster.log.iter().filter(|(to, _)| *to == addr(node)).count();
    assert!(dialled(1) >= 2, "{} dials of the lost member", dialled(1));
    assert!((91..=95).all(|node| dialled(node) > 0), "and seeds have their turn");
}
