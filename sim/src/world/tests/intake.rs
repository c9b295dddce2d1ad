//! Nodes that do not read at once what comes to them.

use std::time::Duration;

use rumormill::core::Engine;
use rumormill::link::Link;

use super::*;
use crate::observe::trace::line::{Event, Line};
use crate::observe::trace::tests::traced_run;
use crate::world::world::World;

const SICK: NodeNo = 3;
const LATENCY: u64 = 5_000_000;
const MS: u64 = 1_000_000;

/// Eight nodes that all know each other and have a lot to say, with links of 5 ms.
fn cluster(secs: u64) -> Plan {
    let mut plan = plan(8, secs);
    testkit::beat(&mut plan);
    plan.incarnations.iter_mut().for_each(|start| start.way_in = WayIn::Full);
    plan.network = Link::uniform(Duration::from_nanos(LATENCY), Duration::from_nanos(LATENCY));
    plan
}

/// From one time to another, by the action after those there are.
fn hold_up(plan: &mut Plan, (from, to): (u64, u64), deed: Deed) {
    let of = plan.actions.len();
    act(plan, from, "", deed);
    act(plan, to, "", Deed::Relieve { nodes: vec![SICK], of });
}

fn starve(least: u64, most: u64) -> Deed {
    let delay = Duration::from_millis(least)..=Duration::from_millis(most);
    Deed::Starve { nodes: vec![SICK], delay }
}

fn slow(cost: u64) -> Deed {
    Deed::Slow { nodes: vec![SICK], cost: Duration::from_millis(cost) }
}

/// A packet as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct ReadPacket {
    at: u64,
    arrived: u64,
    waited: u64,
}

/// What one node read, and the others, as far as it came by datagrams.
fn read(plan: &Plan) -> (Vec<ReadPacket>, Vec<ReadPacket>) {
    let (run, lines) = traced_run(plan);
    assert!(run.summary.invariants[0].ok, "{:?}", run.summary.invariants[0]);
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for Line { t_ns: at, event } in lines {
        let Event::Deliver { packet, sent_ns, waited_ns: waited } = event else { continue };
        let to = if packet.to == Some(SICK) { &mut own } else { &mut others };
        to.push(ReadPacket { at, arrived: sent_ns + LATENCY, waited });
    }
    (own, others)
}

fn within(packets: &[ReadPacket], (from, to): (u64, u64)) -> Vec<ReadPacket> {
    let within = |it: &&ReadPacket| (from * MS..to * MS).contains(&it.arrived);
    packets.iter().filter(within).copied().collect()
}

#[test]
fn who_starves_reads_each_packet_late_and_in_the_order_in_which_they_came() {
    let mut plan = cluster(20);
    hold_up(&mut plan, (5_000, 15_000), starve(100, 300));
    let (own, others) = read(&plan);
    let starved = within(&own, (5_000, 14_600));
    assert!(starved.len() > 100, "{}", starved.len());
    for it in &starved {
        assert_eq!(it.at - it.arrived, it.waited, "it is told how long it waited");
        assert!((100 * MS..=300 * MS).contains(&it.waited), "{it:?}");
    }
    assert!(starved.is_sorted_by_key(|it| it.arrived) && starved.is_sorted_by_key(|it| it.at));
    let waits = |ms: std::ops::Range<u64>| {
        starved.iter().filter(|it| ms.contains(&(it.waited / MS))).count()
    };
    assert!(waits(100..150) > 5 && waits(250..300) > 5, "they are drawn");
    let well = within(&own, (15_000, 20_000)).into_iter().chain(within(&own, (0, 5_000)));
    assert!(well.chain(others).all(|it| it.waited == 0));
}

/// How late timers were at most that one node came to between two times.
fn latest_timer(plan: &Plan, (from, to): (u64, u64)) -> Duration {
    let options = Options::default();
    let mut world = World::<Engine>::new(plan, &options);
    let mut latest = Duration::ZERO;
    while let Some((at, event)) = world.next(Instant::ZERO + plan.duration) {
        world.stage.advance(at);
        if (at_ms(from)..at_ms(to)).contains(&at) {
            let deadline = world.seats[SICK as usize].deadline;
            latest = latest.max(deadline.map_or(Duration::ZERO, |deadline| at - deadline));
        }
        world.on_event(event);
    }
    latest
}

#[test]
fn the_timers_of_who_starves_are_on_time_and_those_of_who_is_slow_wait_in_their_turn() {
    let mut starved = cluster(20);
    hold_up(&mut starved, (5_000, 15_000), starve(500, 2_500));
    assert_eq!(latest_timer(&starved, (5_000, 15_000)), Duration::ZERO);
    let mut slowed = cluster(20);
    hold_up(&mut slowed, (5_000, 15_000), slow(200));
    assert!(latest_timer(&slowed, (5_000, 15_000)) >= Duration::from_millis(40));
    assert_eq!(latest_timer(&slowed, (16_000, 20_000)), Duration::ZERO);
}

#[test]
fn when_a_starvation_ends_all_that_waits_is_handed_over_at_once() {
    let mut plan = cluster(12);
    hold_up(&mut plan, (5_000, 8_000), starve(20_000, 30_000));
    let starved = within(&read(&plan).0, (5_000, 8_000));
    assert!(starved.len() > 30 && starved.iter().all(|it| it.at == 8_000 * MS), "{starved:?}");
    assert!(starved.is_sorted_by_key(|it| it.arrived));
    // One that goes on beside it holds them back.
    act(&mut plan, 4_000, "", starve(9_000, 9_000));
    plan.actions.sort_by_key(|action| action.at);
    let Deed::Relieve { of, .. } = &mut plan.actions[2].deed else { panic!("the end of it") };
    *of = 1;
    assert_eq!(within(&read(&plan).0, (4_000, 12_000)).len(), 0);
}

#[test]
fn what_waits_at_the_end_is_in_flight_and_what_waits_for_who_dies_is_lost_to_the_dead() {
    let mut plan = cluster(12);
    act(&mut plan, 5_000, "", starve(20_000, 30_000));
    let unread = summary(&plan).messages;
    assert!(unread.in_flight > 30 && unread.to_dead == 0, "{unread:?}");
    act(&mut plan, 8_000, "", Deed::Crash(vec![SICK]));
    let dead = summary(&plan).messages;
    assert!(dead.to_dead > 30 && dead.in_flight < 10, "{dead:?}");
}

#[test]
fn who_starts_anew_on_a_machine_that_starves_reads_late_as_well() {
    let mut plan = cluster(20);
    hold_up(&mut plan, (5_000, 15_000), starve(200, 200));
    let back = testkit::restart(&mut plan, SICK, at_ms(8_000));
    let (nodes, manner) = (vec![SICK], Manner::Crash);
    act(&mut plan, 7_000, "", Deed::Restart { nodes, manner, comes_back: back..back + 1 });
    plan.actions.sort_by_key(|action| action.at);
    let Deed::Relieve { of, .. } = &mut plan.actions[2].deed else { panic!("the end of it") };
    *of = 0;
    let (own, _) = read(&plan);
    let anew = within(&own, (8_010, 14_500));
    assert!(anew.len() > 50 && anew.iter().all(|it| it.waited == 200 * MS), "{anew:?}");
    assert!(within(&own, (15_000, 20_000)).iter().all(|it| it.waited == 0));
    let windows = result(&plan).fault_windows;
    let span = (windows[0].from_ms, windows[0].to_ms);
    assert_eq!(span, (5_000.0, 15_000.0), "a restart does not end it");
}

#[test]
fn who_is_slow_comes_to_one_input_after_the_other_and_has_no_more_room_than_its_buffer() {
    let mut plan = cluster(20);
    let few = testkit::beating().buffer(4).build().expect("valid settings");
    plan.incarnations[SICK as usize].config = few.into();
    hold_up(&mut plan, (5_000, 15_000), slow(60));
    let (own, others) = read(&plan);
    let slowed = within(&own, (5_000, 14_500));
    let apart = slowed.windows(2).map(|pair| pair[1].at - pair[0].at);
    assert!(slowed.len() > 50 && apart.min() == Some(60 * MS), "{slowed:?}");
    assert!(slowed.is_sorted_by_key(|it| it.arrived));
    let longest = slowed.iter().map(|it| it.waited).max();
    assert!(longest > Some(120 * MS) && longest <= Some(5 * 60 * MS), "{longest:?}");
    assert!(others.iter().all(|it| it.waited == 0));
    let overflow = result(&plan).summary.messages.overflow;
    assert!(overflow > 10, "{overflow}");
    let mut at_ease = plan.clone();
    at_ease.actions[0].deed = slow(1);
    let messages = result(&at_ease).summary.messages;
    assert_eq!(messages.overflow, 0);
}

#[test]
fn who_was_paused_is_told_how_long_each_packet_waited() {
    let mut plan = cluster(12);
    act(&mut plan, 5_000, "", Deed::Pause(vec![SICK]));
    act(&mut plan, 7_000, "", Deed::Resume(vec![SICK]));
    let paused = within(&read(&plan).0, (5_000, 7_000));
    assert!(paused.len() > 20);
    assert!(paused.iter().all(|it| it.at == 7_000 * MS && it.waited == it.at - it.arrived));
}
