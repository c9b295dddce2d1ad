//! Faults that need more of the world than a node that is down or a link that is cut.

use rumormill::NodeBuilder;
use rumormill::core::{Engine, EntryKey, Terms};
use rumormill::node::Generation;

use super::*;
use crate::observe::cast::Cast;
use crate::scenario::plan::{Claim, Content, Ends, Injection, Lie, Memory, Speaker, StaleSeeds};
use crate::world::world::World;

/// Has a node say this of itself.
fn update(plan: &mut Plan, ms: u64, node: NodeNo, data: &str) {
    let said = NodeBuilder::from(testkit::node(node)).private_data(data).build().unwrap();
    act(plan, ms, "", Deed::Update(vec![(node, said)]));
}

/// Has nodes crash and come back a second later, as what comes back is made by `change`.
fn restart_as(
    plan: &mut Plan,
    ms: u64,
    nodes: Vec<NodeNo>,
    change: impl Fn(&mut crate::scenario::plan::Incarnation),
) {
    let first = plan.incarnations.len();
    for &node in &nodes {
        let part = testkit::restart(plan, node, at_ms(ms + 1_000));
        change(&mut plan.incarnations[part]);
    }
    let comes_back = first..plan.incarnations.len();
    act(plan, ms, "", Deed::Restart { nodes, manner: Manner::Crash, comes_back });
}

fn set_clock_back(plan: &mut Plan, ms: u64, nodes: Vec<NodeNo>) {
    let change = ClockChange::Jump { nanos: -3_600_000_000_000 };
    act(plan, ms, "", Deed::Clock { nodes, change });
}

/// The generation in which a node runs at the end.
fn generation_at_the_end(plan: &Plan, node: NodeNo) -> Generation {
    let options = Options::default();
    let mut world = World::<Engine>::new(plan, &options);
    world.play(&mut |_| {});
    world.seats[node as usize].running.as_ref().expect("it runs").engine.me().generation()
}

#[test]
fn an_update_is_a_rumor_that_all_hear_of_and_the_last_of_two_supersedes_the_first() {
    let mut plan = plan(12, 20);
    update(&mut plan, 8_000, 3, "zone=b");
    update(&mut plan, 8_000, 3, "zone=c");
    update(&mut plan, 12_000, 5, "zone=d");
    let summary = summary(&plan);
    let ids: Vec<_> = summary.rumors.iter().map(|rumor| (&*rumor.id, rumor.node)).collect();
    assert_eq!(ids, [("update-0", 3), ("update-1", 3), ("update-2", 5)]);
    assert!(summary.rumors.iter().all(|rumor| rumor.coverage == Some(1.0)), "{summary:?}");
    assert_eq!(rumor(&summary, "update-0").superseded_by.as_deref(), Some("update-1"));
    let last = rumor(&summary, "update-2");
    assert!(last.t100_ms.is_some_and(|after| after > 0.0 && after < 1_000.0), "{last:?}");
    assert!(last.messages >= 11, "each of the others is told once at least: {last:?}");
    assert_eq!(summary.faults["update"], 3);
    // Nobody is taken for a second node, or for one that was away.
    assert_eq!((summary.node_list.episodes.len(), summary.view_error.ghosts_max), (1, 0));
}

#[test]
fn what_a_node_says_already_is_no_update_and_a_paused_one_is_not_told() {
    let mut plan = plan(5, 20);
    act(&mut plan, 8_000, "", Deed::Update(vec![(3, testkit::node(3))]));
    act(&mut plan, 9_000, "", Deed::Pause(vec![2]));
    update(&mut plan, 9_500, 2, "zone=b");
    act(&mut plan, 10_000, "", Deed::Resume(vec![2]));
    assert!(summary(&plan).rumors.is_empty());
}

#[test]
fn who_comes_back_with_other_words_lists_them_at_once() {
    let mut plan = plan(4, 120);
    update(&mut plan, 8_000, 3, "zone=b");
    let said = NodeBuilder::from(testkit::node(3)).private_data("zone=c").build().unwrap();
    restart_as(&mut plan, 9_000, vec![3], |back| back.public = said.clone());
    // It says so already: no event tells of it.
    update(&mut plan, 20_000, 3, "zone=c");
    summary(&plan);
}

#[test]
fn whom_no_packet_reaches_does_not_hear_of_an_update() {
    let mut plan = plan(6, 20);
    act(&mut plan, 7_900, "", Deed::Isolate(vec![4]));
    update(&mut plan, 8_000, 3, "zone=b");
    let summary = summary(&plan);
    assert_eq!(rumor(&summary, "update-0").coverage, Some(5.0 / 6.0));
}

#[test]
fn who_forgets_its_generation_and_whose_clock_is_back_outranks_its_former_life() {
    let mut plan = plan(8, 30);
    set_clock_back(&mut plan, 8_000, vec![3]);
    restart_as(&mut plan, 9_000, vec![3], |back| back.memory = Memory::Forgets);
    let cast = Cast::of(&plan);
    let [former, own] = [3, 8].map(|part| cast.part(part).record.generation());
    assert!(own < former, "it starts below its former life");
    assert!(generation_at_the_end(&plan, 3) > former);
    let summary = summary(&plan);
    assert!(summary.node_list.converged, "{:?}", summary.node_list);
    assert_eq!((summary.view_error.missing_end, summary.view_error.ghosts_end), (0, 0));
    // One that remembers need not.
    plan.incarnations[8].memory = Memory::Keeps;
    assert_eq!(Cast::of(&plan).part(8).record.generation().get(), former.get() + 1);
}

#[test]
fn a_machine_that_sleeps_knows_by_its_wall_clock_alone_and_removes_nobody() {
    let slept = |deed: fn(Vec<NodeNo>) -> Deed| {
        let mut plan = plan(6, 40);
        act(&mut plan, 10_000, "", deed(vec![4]));
        act(&mut plan, 22_000, "", Deed::Resume(vec![4]));
        let options = Options::default();
        let mut world = World::<Engine>::new(&plan, &options);
        world.play(&mut |_| {});
        let seat = &world.seats[4];
        let running = seat.running.as_ref().unwrap();
        let behind = running.behind.as_secs();
        // The alarm is set by the time of the run, the engine by its own.
        let late = seat.deadline.unwrap() - running.engine.deadline().unwrap();
        assert_eq!(late.as_secs(), behind);
        let sleeps = running.engine.stats().sleeps;
        (behind, sleeps, result(&plan).summary)
    };
    let (behind, sleeps, asleep) = slept(Deed::Suspend);
    assert_eq!((behind, sleeps), (12, 1));
    let (behind, _, paused) = slept(Deed::Pause);
    assert_eq!(behind, 0);
    for (kind, summary) in [("suspend", &asleep), ("pause", &paused)] {
        assert_eq!(summary.faults[kind], 1);
        assert!(summary.node_list.converged, "{kind}");
        // The five others remove the silent one; that is neither right nor false.
        assert!(summary.removals.paused >= 5, "{kind}: {:?}", summary.removals);
        assert_eq!(summary.removals.wrong, 0, "{kind}");
    }
}

#[test]
fn who_dies_asleep_and_comes_back_has_a_clock_that_never_slept() {
    let mut plan = plan(6, 40);
    act(&mut plan, 10_000, "", Deed::Suspend(vec![4]));
    restart_as(&mut plan, 12_000, vec![4], |_| {});
    act(&mut plan, 20_000, "", Deed::Resume(vec![4]));
    let options = Options::default();
    let mut world = World::<Engine>::new(&plan, &options);
    world.play(&mut |_| {});
    assert_eq!(world.seats[4].running.as_ref().unwrap().behind, Duration::ZERO);
    assert!(result(&plan).summary.node_list.converged);
}

#[test]
fn with_stale_seeds_nobody_finds_the_others_until_the_name_service_has_caught_up() {
    let converged_after = |stale_for: Option<u64>| {
        let mut plan = plan(6, 60);
        restart_as(&mut plan, 9_000, (0..6).collect(), |back| {
            let addr = testkit::node(100 + back.node).addr();
            back.public = back.public.with_addr(addr);
            let until = |secs| at_ms(10_000 + 1_000 * secs);
            back.stale_seeds =
                stale_for.map(|secs| StaleSeeds { as_of: at_ms(9_000), until: until(secs) });
        });
        let summary = summary(&plan);
        assert_eq!(summary.view_error.missing_end, 0);
        summary.node_list.converged_after_ms.unwrap()
    };
    assert!(converged_after(None) < 5_000.0);
    let after = converged_after(Some(20));
    assert!((20_000.0..25_000.0).contains(&after), "{after}");
}

#[test]
fn all_nodes_that_keep_may_go_at_once_and_hold_what_they_held_as_old_as_it_is() {
    let held_after = |memory: Memory| {
        let mut plan = plan(6, 40);
        act(&mut plan, 5_000, "", Deed::Publish { node: 1, data: b"v"[..].into() });
        for (node, key, ttl) in [(2, "a", None), (3, "leased", Some(20)), (4, "short", Some(4))] {
            let terms = Terms { bound: false, ttl: ttl.map(Duration::from_secs) };
            let (key, put) = (EntryKey::new(key).unwrap(), Some((b"x"[..].into(), terms)));
            act(&mut plan, 6_000, "", Deed::Write { node, key, put });
        }
        restart_as(&mut plan, 9_000, (0..6).collect(), |back| back.memory = memory);
        let keys_at = |secs: u64| {
            let (options, mut plan) = (Options::default(), plan.clone());
            plan.duration = Duration::from_secs(secs);
            let mut world = World::<Engine>::new(&plan, &options);
            world.play(&mut |_| {});
            let held = (0..6).map(|node| {
                let now = world.clocks_of(node).mono;
                let engine = &world.seats[node as usize].running.as_ref().unwrap().engine;
                let held = engine.entries().into_iter().flat_map(|held| held.prefix("", now));
                let mut keys: Vec<_> = held.map(|entry| entry.key().to_string()).collect();
                keys.extend(engine.metadata().map(|_| "metadata".to_owned()));
                keys
            });
            held.collect::<Vec<_>>()
        };
        [15, 38].map(keys_at)
    };
    let all = |keys: &[&str]| vec![keys.iter().map(ToString::to_string).collect::<Vec<_>>(); 6];
    let kept = [all(&["a", "leased", "metadata"]), all(&["a", "metadata"])];
    assert_eq!(held_after(Memory::KeepsAll), kept);
    assert_eq!(held_after(Memory::Keeps), [all(&[]), all(&[])]);
}

fn drop_one(plan: &mut Plan, ms: u64, kind: &'static str, nth: u64, to: Option<Vec<NodeNo>>) {
    act(plan, ms, "", Deed::Drop { kind, nth, ends: Ends { from: None, to } });
}

#[test]
fn the_packet_that_is_named_gets_lost_and_no_other() {
    let mut plan = plan(6, 20);
    testkit::beat(&mut plan);
    let lost = |plan: &Plan| {
        let result = result(plan);
        let windows = result.fault_windows.iter().map(|window| (window.from_ms, window.to_ms));
        (result.summary.messages.lost, windows.collect::<Vec<_>>())
    };
    assert_eq!(lost(&plan), (0, vec![]));
    drop_one(&mut plan, 5_000, "swap_request", 3, None);
    let (count, windows) = lost(&plan);
    assert_eq!((count, windows.len()), (1, 1));
    // Six nodes swap once a second: the third request comes after a third of it to a whole one.
    assert!(windows[0].0 == 5_000.0 && (5_200.0..6_500.0).contains(&windows[0].1), "{windows:?}");
    // One that is never sent waits for ever.
    drop_one(&mut plan, 6_000, "probe", 1, None);
    drop_one(&mut plan, 6_000, "swap_request", 1, Some(vec![70]));
    let result = result(&plan);
    assert_eq!((result.summary.messages.lost, result.summary.faults["drop"]), (1, 1));
    assert_eq!(result.fault_windows[1].to_ms, 20_000.0);
}

#[test]
fn a_rumor_whose_first_packet_to_a_node_is_lost_is_sent_again() {
    let mut plan = plan(6, 20);
    drop_one(&mut plan, 7_900, "rumor", 1, Some(vec![4]));
    publish(&mut plan, 8_000, 0, "v1");
    let summary = summary(&plan);
    assert_eq!((summary.messages.lost, summary.metadata.converged), (1, Some(true)));
}

#[test]
fn what_is_replayed_arrives_once_more_and_changes_nothing() {
    let mut plan = plan(6, 30);
    testkit::beat(&mut plan);
    let before = summary(&plan);
    let ends = Ends { from: Some(vec![1, 2]), to: Some(vec![3]) };
    let (after, until) = (Duration::from_secs(8), Some(at_ms(12_000)));
    act(&mut plan, 6_000, "", Deed::Replay { ends, after, until });
    publish(&mut plan, 8_000, 1, "v1");
    publish(&mut plan, 13_000, 1, "v2");
    let result = result(&plan);
    let summary = &result.summary;
    assert_eq!(before.messages.duplicated, 0);
    let replayed = summary.faults["replay"];
    let for_ever = {
        let mut plan = plan.clone();
        let Deed::Replay { until, .. } = &mut plan.actions[0].deed else { panic!("a replay") };
        *until = None;
        self::summary(&plan).faults["replay"]
    };
    assert!(replayed > 10 && for_ever > 2 * replayed, "{replayed} of {for_ever}");
    // Each counts as a second copy that the network made, and the law of packets holds.
    assert_eq!(summary.messages.duplicated, replayed);
    assert!(summary.node_list.converged && summary.metadata.converged == Some(true));
    assert_eq!((summary.removals.wrong, summary.view_error.ghosts_end), (0, 0));
    let window = &result.fault_windows[0];
    assert_eq!((window.from_ms, window.to_ms), (6_000.0, 12_000.0));
}

#[test]
fn the_words_of_a_former_life_arrive_after_a_restart_and_are_not_believed() {
    let mut plan = plan(5, 40);
    let ends = Ends { from: Some(vec![3]), to: None };
    let (after, until) = (Duration::from_secs(6), Some(at_ms(12_000)));
    act(&mut plan, 6_000, "", Deed::Replay { ends, after, until });
    restart_as(&mut plan, 12_000, vec![3], |_| {});
    let summary = summary(&plan);
    assert!(summary.faults["replay"] > 10 && summary.node_list.converged);
}

fn inject(plan: &mut Plan, ms: u64, to: Vec<NodeNo>, from: Speaker, content: Content) {
    act(plan, ms, "", Deed::Inject(Injection { to, from, content }));
}

fn stranger() -> Speaker {
    Speaker::Stranger("10.9.9.9:8000".parse().unwrap())
}

fn lie(lie: Lie, of: Speaker, claim: Claim) -> Content {
    Content::Of { lie, of, claim }
}

#[test]
fn a_goodbye_that_a_node_never_said_is_refuted_and_no_law_is_broken() {
    let mut plan = plan(6, 30);
    let of = Speaker::Node(3);
    inject(&mut plan, 8_000, vec![0], stranger(), lie(Lie::Goodbye, of, Claim::Present));
    let summary = summary(&plan);
    assert_eq!(summary.faults["inject"], 1);
    assert!(summary.view_error.missing_max > 0, "somebody believes it");
    assert!(summary.node_list.converged && summary.view_error.missing_end == 0);
    // A goodbye of a generation that nobody holds removes nobody.
    let mut plan = self::plan(6, 30);
    let calm = self::summary(&plan).view_error.missing_end;
    inject(&mut plan, 8_000, vec![0], stranger(), lie(Lie::Goodbye, of, Claim::Next));
    let options = Options::default();
    let mut world = World::<Engine>::new(&plan, &options);
    world.play(&mut |_| {});
    assert_eq!(world.seats[3].running.as_ref().unwrap().engine.stats().refutations, 0);
    assert_eq!(calm, 0);
}

#[test]
fn a_tombstone_of_a_node_makes_it_take_the_next_generation() {
    let mut plan = plan(6, 20);
    let start = generation_at_the_end(&plan, 3);
    let bury = lie(Lie::Tombstone, Speaker::Node(3), Claim::Present);
    inject(&mut plan, 8_000, vec![3], Speaker::Node(1), bury);
    assert!(generation_at_the_end(&plan, 3) > start);
    assert!(summary(&plan).node_list.converged);
}

#[test]
fn a_stranger_that_wants_in_is_listed_for_a_while_and_no_law_is_broken_by_that() {
    let mut plan = plan(6, 40);
    inject(&mut plan, 8_000, vec![2], stranger(), lie(Lie::Join, stranger(), Claim::Present));
    let options = Options::default();
    let mut world = World::<Engine>::new(&plan, &options);
    world.play(&mut |_| {});
    let engine = &world.seats[2].running.as_ref().unwrap().engine;
    assert_eq!((engine.stats().members_max, engine.members_len()), (7, 6));
    let summary = summary(&plan);
    // The packet is one that was sent and arrived; the answers go to nobody.
    assert!(summary.messages.to_dead > 0 && summary.node_list.converged);
}

#[test]
fn a_rival_at_ones_address_is_told_to_the_service() {
    let mut plan = plan(6, 60);
    for second in (8..50).step_by(6) {
        let rival = lie(Lie::Generation, Speaker::Node(3), Claim::Next);
        inject(&mut plan, 1_000 * second, vec![3], Speaker::Node(1), rival);
    }
    assert_eq!(summary(&plan).events["address_conflict"], 1);
}

#[test]
fn bytes_that_are_no_packet_are_corrupted_and_those_that_are_one_arrive() {
    let mut plan = plan(3, 10);
    let whole = |plan: &Plan| summary(plan).messages;
    let before = whole(&plan);
    let call = rumormill::core::packet::LastCall::default();
    let call = rumormill::core::packet::Body::LastCall(call);
    let call = rumormill::core::Packet::new(rumormill::core::AgeStep(25_000), call);
    let mut bytes = Vec::new();
    rumormill::wire::encode(&call, &mut bytes);
    inject(&mut plan, 9_990, vec![0], stranger(), Content::Bytes(bytes.into()));
    inject(&mut plan, 9_990, vec![0, 1], stranger(), Content::Bytes(b"hello"[..].into()));
    let after = whole(&plan);
    assert_eq!(after.corrupted - before.corrupted, 2);
    assert_eq!(after.delivered - before.delivered, 1);
    // The three, and the answer to the one that was a packet, which goes to nobody.
    assert_eq!((after.sent - before.sent, after.to_dead - before.to_dead), (4, 1));
}

#[test]
fn a_flipped_packet_is_read_by_the_checks_of_its_receiver_and_dropped() {
    let mut plan = plan(6, 20);
    testkit::beat(&mut plan);
    plan.network.corrupt = percent(10);
    let summary = summary(&plan);
    assert!(summary.messages.corrupted > 50, "{:?}", summary.messages);
    assert!(!summary.faults.contains_key("corrupt"));
}
