//! Laws that are broken, one at a time, and told as what they are.

use super::*;
use crate::observe::observer::{Knows, Observer};
use crate::observe::rumors::Way;
use crate::results::summary::RunResult;
use crate::scenario::plan::{ClockChange, Deed, Manner, Memory};
use crate::world::testkit::{self, at_ms};
use rumormill::core::packet::{Body, Probe, Reply, StateDigest};
use rumormill::core::{AgeStep, Channel, Packet, Record};
use rumormill::link::{LinkModel, NetworkChange};
use rumormill::node::NodeId;

/// Of nodes that beat: what an answer to a last call proves is theirs.
fn laws() -> Laws {
    laws_of(&beating_plan())
}

fn beating_plan() -> Plan {
    let mut plan = testkit::plan_with_restarts(3);
    testkit::beat(&mut plan);
    plan
}

fn laws_cast() -> Cast {
    Cast::of(&testkit::plan_with_restarts(3))
}

fn laws_of(plan: &Plan) -> Laws {
    Laws::new(Arc::new(Cast::of(plan)), plan)
}

fn broken(laws: Laws) -> Vec<(String, String)> {
    let broken = laws.finish().into_iter().filter(|invariant| !invariant.ok);
    broken.map(|invariant| (invariant.name, invariant.detail.unwrap())).collect()
}

/// A node hears the goodbye of an incarnation.
fn hears_goodbye(laws: &mut Laws, node: NodeNo, incarnation: IncarnationNo) {
    let number = laws.cast.part(incarnation).record.generation();
    laws.heard_goodbye(at_ms(1_000), node, (incarnation, number));
}

/// What a run ends with, as all observers see it.
fn judged(observer: Observer, end: u64, links: Option<&mut LinkModel>) -> Vec<Invariant> {
    let mut run = RunResult::default();
    observer.finish(at_ms(end), 0, links, &mut run);
    run.summary.invariants
}

#[test]
fn a_run_without_offence_names_every_law() {
    let mut laws = laws();
    laws.list(at_ms(0), 0, 1);
    laws.time_out(at_ms(5_000), 0, 1);
    laws.list(at_ms(6_000), 0, 1);
    laws.list(at_ms(6_000), 0, 4);
    laws.count_packets(at_ms(9), &Messages { sent: 2, delivered: 2, ..Messages::default() });
    let invariants = laws.finish();
    assert_eq!(invariants.len(), 12);
    assert!(invariants.iter().all(|invariant| invariant.ok && invariant.detail.is_none()));
}

#[test]
fn who_left_or_was_replaced_must_not_come_back_where_it_is_known() {
    let mut laws = laws();
    laws.list(at_ms(1), 0, 4);
    laws.list(at_ms(2), 0, 1);
    hears_goodbye(&mut laws, 0, 2);
    laws.list(at_ms(3), 0, 2);
    laws.list(at_ms(4), 2, 1);
    laws.begin(0);
    laws.list(at_ms(5), 0, 1);
    let [(name, detail)] = &broken(laws)[..] else { panic!("one law") };
    assert_eq!(name, "gone_stay_gone");
    assert!(detail.starts_with("at 0.002000s: node 0 lists node 1"), "{detail}");
    assert!(detail.ends_with("(and 1 more)"), "{detail}");
}

#[test]
fn the_former_life_of_who_forgot_its_generation_may_be_heard_of_again() {
    let mut plan = testkit::plan_with_restarts(3);
    // No more than clocks may differ by: else no number is worth anything.
    let change = ClockChange::Jump { nanos: -30_000_000_000 };
    testkit::act(&mut plan, 500, "", Deed::Clock { nodes: vec![1], change });
    plan.incarnations[4].memory = Memory::Forgets;
    let mut laws = Laws::new(Arc::new(Cast::of(&plan)), &plan);
    for second in [4, 5] {
        laws.list(at_ms(2_000), 0, second);
        laws.list(at_ms(3_000), 0, second - 3);
    }
    let [(name, detail)] = &broken(laws)[..] else { panic!("one law") };
    assert_eq!(name, "gone_stay_gone");
    assert!(detail.contains("lists node 2") && !detail.contains("more"), "{detail}");
}

#[test]
fn who_is_from_the_future_replaces_nobody_for_good() {
    for (ahead, is_broken) in [(30, true), (3_600, false)] {
        let mut plan = testkit::plan_with_restarts(3);
        let change = ClockChange::Offset { nanos: ahead * 1_000_000_000 };
        testkit::act(&mut plan, 0, "", Deed::Clock { nodes: vec![1], change });
        let mut laws = laws_of(&plan);
        laws.list(at_ms(2_000), 0, 4);
        laws.list(at_ms(3_000), 0, 1);
        assert_eq!(broken(laws).len(), usize::from(is_broken), "{ahead} seconds ahead");
    }
}

#[test]
fn a_removal_before_the_timeout_is_noticed() {
    let mut laws = laws();
    laws.time_out(at_ms(4_700), 0, 1);
    laws.asked(at_ms(20_000), 0, 2, (LivenessCheck::LastCall, at_ms(20_000)));
    laws.answered(0, 2, (LivenessCheck::Alive, at_ms(20_000)));
    laws.time_out(at_ms(24_000), 0, 2);
    assert_eq!(laws.broken[&Law::SilenceBeforeRemoval].times, 1);
    laws.time_out(at_ms(23_000), 0, 2);
    assert_eq!(laws.broken[&Law::SilenceBeforeRemoval].times, 2);
    laws.asked(at_ms(40_000), 0, 2, (LivenessCheck::LastCall, at_ms(35_000)));
    laws.answered(0, 2, (LivenessCheck::Alive, at_ms(40_000)));
    laws.answered(0, 2, (LivenessCheck::Alive, at_ms(40_001)));
    laws.time_out(at_ms(41_000), 0, 2);
    assert_eq!(laws.broken[&Law::SilenceBeforeRemoval].times, 2, "an answer to an old one");
}

#[test]
fn who_reads_many_questions_at_once_proves_life_since_the_first_of_them() {
    for (sent, times) in [([16_000, 20_000], 0), ([19_000, 20_000], 1), ([20_000, 16_000], 0)] {
        let mut laws = laws();
        for sent in sent {
            laws.asked(at_ms(20_000), 0, 2, (LivenessCheck::LastCall, at_ms(sent)));
        }
        laws.answered(0, 2, (LivenessCheck::Alive, at_ms(20_000)));
        laws.time_out(at_ms(21_000), 0, 2);
        assert_eq!(broken(laws).len(), times, "of questions sent at {sent:?}");
    }
}

/// Node 0 removes node 1 by timeout and lists it again at a time, with no newer beat.
fn comes_back(laws: &mut Laws, ms: u64) {
    let record = Arc::clone(&laws.cast.part(1).record);
    let beat = Some((record.generation(), 7));
    let removed = Event::Removed { record: Arc::clone(&record), cause: Cause::Timeout };
    laws.tell(at_ms(1), 0, &removed, beat);
    laws.tell(at_ms(ms), 0, &Event::Joined(record), beat);
}

#[test]
fn whose_tombstone_is_forgotten_comes_back_by_any_beat() {
    // Twenty timeouts of five seconds.
    for (ms, is_broken) in [(100_001, true), (100_002, false)] {
        let mut laws = laws();
        comes_back(&mut laws, ms);
        assert_eq!(broken(laws).len(), usize::from(is_broken), "at {ms} ms");
    }
}

#[test]
fn who_is_from_the_future_comes_back_by_any_beat() {
    for (back, is_broken) in [(30, true), (3_600, false)] {
        let mut plan = testkit::plan_with_restarts(3);
        let change = ClockChange::Offset { nanos: -back * 1_000_000_000 };
        testkit::act(&mut plan, 0, "", Deed::Clock { nodes: vec![2], change });
        let mut laws = laws_of(&plan);
        comes_back(&mut laws, 2);
        assert_eq!(broken(laws).len(), usize::from(is_broken), "{back} seconds back");
    }
}

#[test]
fn an_answer_to_a_former_life_proves_nothing_to_the_next() {
    for (begins, is_broken) in [(false, true), (true, false)] {
        let mut laws = laws();
        laws.asked(at_ms(20_000), 0, 2, (LivenessCheck::LastCall, at_ms(20_000)));
        laws.answered(0, 2, (LivenessCheck::Alive, at_ms(20_000)));
        if begins {
            laws.begin(0);
        }
        laws.time_out(at_ms(21_000), 0, 2);
        assert_eq!(broken(laws).len(), usize::from(is_broken), "anew: {begins}");
    }
}

/// Removals by a node that woke, so many milliseconds later.
fn removes_after_waking(ms: u64, liveness: Liveness) -> usize {
    let mut plan = testkit::plan(3, Duration::from_secs(60));
    let timeout = Duration::from_secs(5);
    let config = Config::builder().timeout(timeout).liveness(liveness);
    testkit::configure(&mut plan, config.build().unwrap());
    let mut laws = laws_of(&plan);
    laws.tell(at_ms(20_000), 0, &Event::Woke(timeout), None);
    laws.time_out(at_ms(20_000 + ms), 0, 1);
    laws.begin(0);
    laws.time_out(at_ms(20_000), 0, 2);
    broken(laws).len()
}

#[test]
fn who_slept_asks_before_it_takes_anybody_for_dead() {
    let beats = [999, 1_000].map(|ms| removes_after_waking(ms, Liveness::Beats));
    assert_eq!(beats, [1, 0]);
    // Who is suspected has the time that it has.
    assert_eq!(removes_after_waking(0, Liveness::Probes), 0);
}

#[test]
fn a_goodbye_under_a_number_that_a_life_never_had_is_not_its_own() {
    // Heard while that life runs, and before it begins.
    for heard in [1_006, 900] {
        let mut plan = testkit::plan_with_restarts(3);
        let change = ClockChange::Jump { nanos: -30_000_000_000 };
        testkit::act(&mut plan, 500, "", Deed::Clock { nodes: vec![1], change });
        plan.incarnations[4].memory = Memory::Forgets;
        let cast = Arc::new(Cast::of(&plan));
        let mut observer = Observer::new(&plan, &cast);
        for part in [0, 1, 2] {
            observer.on_begin(at_ms(0), part, Knows::Itself);
        }
        observer.on_exit(at_ms(800), 1, Manner::Leave);
        // Its former life was updated, and says goodbye under the number that it took for that.
        let former = &cast.part(1).record;
        let generation = Generation::new(former.generation().get() + 1).unwrap();
        let record = Arc::new(Record::new(former.node().clone(), generation));
        let left = Event::Removed { record, cause: Cause::Left };
        let joined = Event::Joined(Arc::clone(&cast.part(4).record));
        let hears = |observer: &mut Observer, ms, event| {
            observer.on_event(at_ms(ms), 0, event, Way::Source, None);
        };
        if heard < 1_000 {
            hears(&mut observer, heard, &left);
        }
        observer.on_begin(at_ms(1_000), 4, Knows::Itself);
        hears(&mut observer, 1_005, &joined);
        if heard > 1_000 {
            hears(&mut observer, heard, &left);
        }
        hears(&mut observer, 1_007, &joined);
        let judged = judged(observer, 1_009, None);
        let law = judged.iter().find(|law| law.name == "gone_stay_gone").unwrap();
        assert!(law.ok, "heard at {heard} ms: {:?}", law.detail);
    }
}

#[test]
fn a_former_life_may_come_back_where_the_present_one_is_from_the_future() {
    for (ahead, is_broken) in [(30, true), (3_600, false)] {
        let mut plan = testkit::plan_with_restarts(3);
        // To others the number of node 1's second life is from the future.
        let change = ClockChange::Offset { nanos: ahead * 1_000_000_000 };
        testkit::act(&mut plan, 900, "", Deed::Clock { nodes: vec![1], change });
        let mut laws = laws_of(&plan);
        hears_goodbye(&mut laws, 0, 1);
        laws.list(at_ms(1_100), 0, 4);
        laws.list(at_ms(1_200), 0, 1);
        assert_eq!(broken(laws).len(), usize::from(is_broken), "{ahead} seconds");
    }
}

#[test]
fn a_goodbye_under_a_number_from_the_future_may_be_overruled() {
    for (ahead, is_broken) in [(10_u64, true), (3_600, false)] {
        let mut laws = laws();
        // It was updated while its clock was ahead, and left.
        let number = laws.cast.part(1).record.generation().get() + ahead * 1_000_000_000;
        laws.heard_goodbye(at_ms(1_000), 0, (1, Generation::new(number).unwrap()));
        laws.list(at_ms(1_100), 0, 1);
        assert_eq!(broken(laws).len(), usize::from(is_broken), "{ahead} seconds ahead");
    }
}

#[test]
fn a_life_that_has_not_begun_can_t_be_removed_too_soon() {
    for (ms, is_broken) in [(999, false), (1_000, true)] {
        let mut laws = laws();
        laws.time_out(at_ms(ms), 0, 4);
        assert_eq!(broken(laws).len(), usize::from(is_broken), "at {ms} ms");
    }
}

#[test]
fn nobody_is_held_to_what_a_packet_says_that_outlived_all_memory() {
    let zombie = |laws: &mut Laws| {
        hears_goodbye(laws, 0, 2);
        laws.list(at_ms(150_000), 0, 2);
    };
    let early = |laws: &mut Laws| laws.time_out(at_ms(1_000), 0, 1);
    // A hundred cycles, and twenty timeouts.
    let comes_back = |laws: &mut Laws| comes_back(laws, 2);
    for break_one in [&zombie as &dyn Fn(&mut Laws), &early, &comes_back] {
        for (flight, is_broken) in [(99, true), (100, false)] {
            let mut laws = laws();
            assert_ne!(laws.flew(Duration::from_secs(flight)), is_broken);
            break_one(&mut laws);
            assert_eq!(broken(laws).len(), usize::from(is_broken), "in flight for {flight} s");
        }
    }
}

#[test]
fn a_probe_proves_life_to_those_who_live_by_probes_alone() {
    for (liveness, timed_out) in [(Liveness::Beats, 9_000), (Liveness::Probes, 5_700)] {
        let mut plan = testkit::plan(3, Duration::from_secs(60));
        testkit::configure(&mut plan, Config::builder().liveness(liveness).build().unwrap());
        let mut laws = laws_of(&plan);
        laws.asked(at_ms(5_500), 0, 2, (LivenessCheck::Probe, at_ms(5_500)));
        laws.answered(0, 2, (LivenessCheck::ProbeAnswer, at_ms(5_500)));
        laws.time_out(at_ms(timed_out), 0, 2);
        let is_early = liveness == Liveness::Probes;
        assert_eq!(broken(laws).len(), usize::from(is_early), "{liveness:?}");
    }
}

#[test]
fn who_finds_its_clock_far_ahead_has_slept_by_all_it_knows_and_tells() {
    for (jump, is_broken) in [(0, true), (4, false)] {
        let mut plan = testkit::plan(3, Duration::from_secs(60));
        testkit::beat(&mut plan);
        let change = ClockChange::Jump { nanos: jump * 1_000_000_000 };
        testkit::act(&mut plan, 20_000, "", Deed::Clock { nodes: vec![0], change });
        for node in [0, 1] {
            let mut laws = laws_of(&plan);
            laws.asked(at_ms(19_000), node, 2, (LivenessCheck::LastCall, at_ms(19_000)));
            laws.answered(node, 2, (LivenessCheck::Alive, at_ms(19_000)));
            laws.time_out(at_ms(21_000), node, 2);
            assert_eq!(broken(laws).len(), usize::from(is_broken), "node {node}, {jump} s ahead");
        }
    }
}

#[test]
fn a_removal_is_early_by_the_timeout_of_the_node_that_removes() {
    let mut plan = testkit::plan(3, Duration::from_secs(60));
    testkit::beat(&mut plan);
    let slow = testkit::beating().timeout(Duration::from_secs(10)).build().unwrap();
    plan.incarnations[1].config = Arc::new(slow);
    let mut laws = laws_of(&plan);
    laws.time_out(at_ms(6_000), 0, 2);
    laws.time_out(at_ms(9_000), 1, 2);
    let [(_, detail)] = &broken(laws)[..] else { panic!("one law") };
    assert!(detail.contains("node 1 removes node 2"), "{detail}");
}

#[test]
fn unbounded_state_lost_packets_strangers_and_old_versions_are_noticed() {
    let mut laws = laws();
    let mut stats = Stats::default();
    stats.members_max = 65_537;
    laws.count_state(at_ms(1), 0, &stats);
    laws.count_packets(at_ms(1), &Messages { sent: 2, lost: 1, ..Messages::default() });
    laws.list_stranger(at_ms(1), 0, "9.9.9.9:9");
    let version = Version { nanos: 1, writer: NodeId(1), digest: [0; 16] };
    laws.went_back(at_ms(1), 0, version, version);
    laws.lost(at_ms(1), 0, version);
    let names: Vec<_> = broken(laws).into_iter().map(|(name, _)| name).collect();
    let four =
        ["packets_conserved", "versions_never_go_back", "state_is_bounded", "only_real_nodes"];
    assert_eq!(names, four);
}

#[test]
fn who_was_removed_by_timeout_comes_back_by_a_newer_beat_only() {
    let mut laws = laws();
    let record = || Arc::clone(&laws_cast().part(1).record);
    let beat = |counter| Some((record().generation(), counter));
    let removed = Event::Removed { record: record(), cause: Cause::Timeout };
    let joined = Event::Joined(record());
    for (ms, event, counter) in
        [(1, &removed, 7), (2, &joined, 8), (3, &removed, 8), (4, &joined, 8)]
    {
        laws.tell(at_ms(ms), 0, event, beat(counter));
    }
    let first = laws.broken[&Law::NoZombie].first;
    assert_eq!((first.at_ms, first.node), (4.0, Some(0)));
    let [(name, detail)] = &broken(laws)[..] else { panic!("one law") };
    assert_eq!(name, "no_zombie");
    assert!(detail.ends_with("again with beat 8, removed by timeout with 8"), "{detail}");
}

#[test]
fn who_begins_anew_has_removed_nobody() {
    let mut laws = laws();
    let record = Arc::clone(&laws_cast().part(1).record);
    let beat = Some((record.generation(), 7));
    let removed = Event::Removed { record: Arc::clone(&record), cause: Cause::Timeout };
    laws.tell(at_ms(1), 0, &removed, beat);
    laws.begin(0);
    laws.tell(at_ms(2), 0, &Event::Joined(record), beat);
    assert_eq!(broken(laws), []);
}

#[test]
fn too_much_of_anything_that_is_held_is_told_by_what_it_is() {
    let most = Footprint { members: 3, tombstones: 2, rumors: 4, ..Footprint::default() };
    let mut held_well = laws();
    held_well.weigh(at_ms(1), 0, &most);
    assert_eq!(broken(held_well), []);
    let too_many = [
        Footprint { members: 65_537, ..most },
        Footprint { tombstones: 65_601, ..most },
        Footprint { rumors: 17, ..most },
        Footprint { goodbyes: 1, ..most },
        Footprint { entry_rumors: 257, ..most },
        Footprint { parts: 4 * 16 * 3 + 1, ..most },
        Footprint { lost: 65, ..most },
        Footprint { waiting: 2 * 5 + 513, ..most },
        Footprint { publishers: 65, ..most },
    ];
    let names = [
        "members",
        "tombstones",
        "rumors",
        "goodbyes",
        "rumors of entries",
        "parts of rumors",
        "lost addresses",
        "news that waits",
        "publishers that wait",
    ];
    for (held, name) in too_many.iter().zip(names) {
        let mut laws = laws();
        laws.weigh(at_ms(1), 0, held);
        let [(law, detail)] = &broken(laws)[..] else { panic!("one law for {name}") };
        assert_eq!(law, "state_is_bounded");
        assert!(detail.contains(&format!(" {name}: at most ")), "{detail}");
    }
}

#[test]
fn a_run_is_judged_at_its_end_or_says_why_not() {
    let mut unsettled = laws();
    let detail = "node 1 does not list node 2".to_owned();
    unsettled.settle(at_ms(9), SettlingVerdict::Unsettled { node: 1, detail });
    assert_eq!(broken(unsettled)[0].0, "convergence");
    let mut excused = laws();
    excused.settle(at_ms(9), SettlingVerdict::Excused("swaps are off".into()));
    let judged = excused.finish();
    let law = judged.iter().find(|law| law.name == "convergence").unwrap();
    assert_eq!((law.ok, law.detail.as_deref()), (true, Some("not judged: swaps are off")));
}

#[test]
fn a_value_is_lost_with_its_last_holder_unless_that_was_interrupted_in_leaving() {
    let leave = |interrupt: fn(&mut Laws)| {
        let mut laws = laws();
        let version = Version { nanos: 1, writer: NodeId(1), digest: [0; 16] };
        laws.keeping.hold(1, version);
        laws.exit(1, Manner::Leave);
        interrupt(&mut laws);
        laws.off(at_ms(5), 1, true, Heirs::Near);
        laws.settle(at_ms(9), SettlingVerdict::Settled);
        broken(laws)
    };
    let [(name, detail)] = &leave(|_| {})[..] else { panic!("one law") };
    assert_eq!(name, "no_loss");
    assert!(detail.starts_with("at 0.005000s: version 1-"), "{detail}");
    assert_eq!(leave(|laws| laws.begin(1)), [], "its first life promised nothing");
}

#[test]
fn who_lists_nobody_leaves_nothing_to_anybody() {
    for (lists, is_lost) in [(true, true), (false, false)] {
        let plan = testkit::plan(3, Duration::from_secs(60));
        let cast = Arc::new(Cast::of(&plan));
        let mut links = LinkModel::new(1, plan.network.clone());
        let mut observer = Observer::new(&plan, &cast);
        (0..3).for_each(|part| observer.on_begin(at_ms(0), part, Knows::Itself));
        observer.commit(at_ms(0), &links, "start");
        if lists {
            let joined = Event::Joined(Arc::clone(&cast.part(1).record));
            observer.on_event(at_ms(1), 0, &joined, Way::Source, None);
        }
        let value = testkit::metadata();
        observer.on_event(at_ms(2), 0, &Event::Published(value), Way::Source, None);
        observer.on_exit(at_ms(3), 0, Manner::Leave);
        observer.on_off(at_ms(4), 0, true, &links);
        let judged = judged(observer, 9, Some(&mut links));
        let law = judged.iter().find(|law| law.name == "no_loss").unwrap();
        assert_eq!(!law.ok, is_lost, "lists others: {lists}");
    }
}

#[test]
fn behind_a_cut_a_value_that_others_had_too_is_nobodys_to_lose() {
    for is_cut in [false, true] {
        let plan = testkit::plan(3, Duration::from_secs(60));
        let cast = Arc::new(Cast::of(&plan));
        let mut links = LinkModel::new(1, plan.network.clone());
        let mut observer = Observer::new(&plan, &cast);
        (0..3).for_each(|part| observer.on_begin(at_ms(0), part, Knows::AllInitial));
        observer.commit(at_ms(0), &links, "start");
        let published = Event::Published(testkit::metadata());
        (0..2).for_each(|node| observer.on_event(at_ms(1), node, &published, Way::Source, None));
        observer.on_exit(at_ms(2), 1, Manner::Crash);
        observer.on_exit(at_ms(3), 0, Manner::Leave);
        if is_cut {
            links.apply(NetworkChange::Partition(vec![vec![0], vec![1, 2]]));
        }
        observer.on_off(at_ms(4), 0, true, &links);
        let judged = judged(observer, 9, Some(&mut links));
        let law = judged.iter().find(|law| law.name == "no_loss").unwrap();
        assert_eq!(law.ok, is_cut, "{:?}", law.detail);
    }
}

#[test]
fn a_packet_that_outlived_all_memory_gives_lists_more_time() {
    // Of tombstones, which are kept for twenty timeouts of five seconds.
    for (sent, is_broken) in [(190_001, true), (190_000, false)] {
        let plan = testkit::plan(3, Duration::from_secs(300));
        let cast = Arc::new(Cast::of(&plan));
        let mut links = LinkModel::new(1, plan.network.clone());
        let mut observer = Observer::new(&plan, &cast);
        (0..3).for_each(|part| observer.on_begin(at_ms(0), part, Knows::Itself));
        observer.commit(at_ms(0), &links, "start");
        let way = Way::Packet { from: 0, sent: at_ms(sent), by: Channel::Bulk };
        observer.on_deliver(at_ms(290_000), 1, way, None, &[]);
        let judged = judged(observer, 300_000, Some(&mut links));
        let law = judged.iter().find(|law| law.name == "convergence").unwrap();
        assert_eq!(!law.ok, is_broken, "sent at {sent} ms: {:?}", law.detail);
    }
}

#[test]
fn who_sends_a_probe_and_no_other_is_noticed() {
    let mut plan = testkit::plan(3, Duration::from_secs(60));
    let probes = Config::builder().liveness(Liveness::Probes);
    testkit::configure(&mut plan, probes.build().unwrap());
    let mut observer = Observer::new(&plan, &Arc::new(Cast::of(&plan)));
    let probe = Probe { token: 1, holds: StateDigest::default(), reply: Reply::Datagram };
    let packet = Packet::new(AgeStep(1), Body::Probe(probe));
    observer.on_send(at_ms(1_000), 0, &packet, 41, &[]);
    observer.count_state(at_ms(9_000), 0, &Stats::default());
    let judged = judged(observer, 9_000, None);
    let law = judged.iter().find(|law| law.name == "calm").unwrap();
    assert!(law.detail.as_deref().is_some_and(|it| it.contains("probes nobody for 8s")), "{law:?}");
}

#[test]
fn who_sends_without_end_breaks_the_law_long_before_the_run_is_ended() {
    let mut laws = laws();
    let ends = (1..200_000).find(|_| laws.send(at_ms(1), 1)).expect("it is ended");
    let told = &laws.broken[&Law::BoundedWork];
    assert_eq!((told.times, told.first.node), (1, Some(1)));
    assert!(told.detail.contains("sends") && ends > 1_000, "{} at {ends}", told.detail);
}

#[test]
fn who_is_listed_before_it_has_started_may_be_removed_before_that() {
    let mut plan = beating_plan();
    let early = |plan: &Plan| {
        let mut laws = laws_of(plan);
        laws.time_out(at_ms(5_100), 0, 4);
        broken(laws).len()
    };
    assert_eq!(early(&plan), 1, "it started 4.1 seconds before");
    plan.incarnations[0].way_in = crate::scenario::plan::WayIn::Full;
    assert_eq!(early(&plan), 0, "node 0 may have had it on its list since the beginning");
}

#[test]
fn who_is_listed_does_not_join_once_more_and_who_is_not_is_not_removed() {
    let plan = testkit::plan_with_restarts(3);
    let cast = Arc::new(Cast::of(&plan));
    let mut observer = Observer::new(&plan, &cast);
    (0..3).for_each(|part| observer.on_begin(at_ms(0), part, Knows::Itself));
    let record = || Arc::clone(&cast.part(1).record);
    let removed = Event::Removed { record: record(), cause: Cause::Left };
    let joined = Event::Joined(record());
    for (ms, event) in [(1, &joined), (2, &joined), (3, &removed), (4, &removed)] {
        observer.on_event(at_ms(ms), 0, event, Way::Source, None);
    }
    let judged = judged(observer, 9, None);
    let law = judged.iter().find(|law| law.name == "told_once").unwrap();
    assert_eq!(law.first.map(|first| first.at_ms), Some(2.0));
    let detail = law.detail.as_deref().unwrap();
    assert!(
        detail.contains("node 0 is told of node 1") && detail.ends_with("(and 1 more)"),
        "{detail}"
    );
}

#[test]
fn what_rumormill_alone_promises_is_not_judged_of_others_but_a_run_without_an_end_is_told() {
    let mut plan = testkit::plan_with_restarts(3);
    let pekonode = crate::protocols::known().find(|spec| spec.name == "pekonode").unwrap();
    plan.protocol.spec = *pekonode;
    let mut laws = laws_of(&plan);
    laws.list_stranger(at_ms(5), 0, "a stranger");
    laws.went_back(at_ms(6), 0, testkit::metadata().version(), testkit::metadata().version());
    let judged = laws.clone().finish();
    let of = |name: &str| judged.iter().find(|law| law.name == name).unwrap();
    let detail = of("only_real_nodes").detail.as_deref();
    assert_eq!(detail, Some("not judged: rumormill promises it, pekonode does not"));
    assert!(of("only_real_nodes").ok && !of("versions_never_go_back").ok);
    let sent = (0..1_000_000).find(|_| laws.send(at_ms(7), 0));
    assert!(sent.is_some(), "there is an end to what one may send in a second");
    let told = broken(laws).into_iter().find(|(law, _)| law == "bounded_work").unwrap();
    assert!(told.1.contains("the run was ended"), "{}", told.1);
}
