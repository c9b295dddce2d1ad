//! The shipped scenarios hold what they expect, on more than one seed, and repeat exactly.

use rumormill::node::NodeId;
use rumormill_sim::world::Codec;
use rumormill_tests::{assert_explained, assert_holds, load, run, scenarios, stem};

fn holds_on_ten_seeds(name: &str) {
    for seed in 1..=10 {
        assert_holds(&load(name, &[]), seed);
    }
}

#[test]
fn a_partition_of_four_timeouts_heals() {
    holds_on_ten_seeds("partition");
}

#[test]
fn a_stopped_node_is_removed_and_comes_back() {
    holds_on_ten_seeds("stop");
}

#[test]
fn two_hundred_join_through_one_seed() {
    holds_on_ten_seeds("joins");
}

#[test]
fn a_fifth_of_loss_removes_nobody_and_hides_no_crash() {
    holds_on_ten_seeds("loss");
}

#[test]
fn any_value_crosses_a_path_that_is_narrower_than_size() {
    holds_on_ten_seeds("narrow-path");
}

#[test]
fn the_second_page_of_beats_keeps_who_stands_on_it_and_hides_no_crash() {
    for seed in 1..=2 {
        assert_holds(&load("two-pages", &[]), seed);
    }
}

#[test]
fn of_those_that_crash_two_stand_beyond_the_first_page() {
    // Two bytes for each, at most: the page ends before the datagram does.
    const PAGE_LEN_MAX: usize = 1200 / 2;
    let plan = load("two-pages", &[]).plan(1).expect("a plan");
    let place = |node: usize| NodeId::of(plan.incarnations[node].public.addr());
    let rank = |node| (0..900).filter(|&other| place(other) < place(node)).count();
    let beyond = |node: &usize| rank(*node) >= PAGE_LEN_MAX;
    assert_eq!([0, 3, 5].iter().filter(|node| beyond(node)).count(), 2);
}

#[test]
fn what_comes_twice_or_after_a_restart_changes_no_list() {
    holds_on_ten_seeds("late-packets");
}

#[test]
fn who_has_lost_more_members_than_can_be_dialled_finds_the_others_after_a_partition() {
    holds_on_ten_seeds("lost-members");
}

#[test]
fn churn_leaves_nothing_behind() {
    holds_on_ten_seeds("churn");
}

#[test]
fn a_rolling_restart_at_new_addresses_leaves_no_old_one_behind() {
    holds_on_ten_seeds("rolling-restart");
}

#[test]
fn a_container_that_goes_back_and_forth_between_two_addresses_is_listed_once_each_time() {
    holds_on_ten_seeds("alternating-address");
}

#[test]
fn when_most_leave_at_once_nobody_is_taken_for_silent_and_no_value_goes_with_them() {
    holds_on_ten_seeds("scale-in");
}

#[test]
fn a_zone_that_is_lost_bit_by_bit_comes_back() {
    holds_on_ten_seeds("zone-partition");
}

#[test]
fn a_crowd_of_five_hundred_is_taken_in() {
    for seed in 1..=3 {
        assert_holds(&load("flash-crowd", &[]), seed);
    }
}

#[test]
fn what_crosses_between_two_regions_stays_under_its_bound() {
    holds_on_ten_seeds("two-regions");
}

#[test]
fn flapping_nodes_disturb_nobody() {
    holds_on_ten_seeds("flapping-node");
}

#[test]
fn a_rollout_during_churn_reaches_all() {
    holds_on_ten_seeds("config-rollout");
}

#[test]
fn no_value_is_lost_or_kept_by_wrong_clocks() {
    holds_on_ten_seeds("wrong-clocks");
}

#[test]
fn forged_packets_take_nobody_off_the_lists() {
    holds_on_ten_seeds("forgeries");
}

#[test]
fn all_restart_while_names_are_stale_and_find_each_other() {
    holds_on_ten_seeds("stale-names");
}

#[test]
fn the_scenario_of_the_testbed_holds_in_virtual_time() {
    holds_on_ten_seeds("testbed");
}

#[test]
fn the_few_that_a_scale_down_leaves_stay_listed() {
    holds_on_ten_seeds("scale-down");
}

#[test]
fn entries_come_to_all_and_deleted_ones_stay_deleted() {
    holds_on_ten_seeds("entries");
}

#[test]
fn writes_on_both_sides_of_cuts_end_alike_however_long_those_were() {
    holds_on_ten_seeds("entries-partition");
}

#[test]
fn what_all_nodes_kept_comes_back_after_a_power_cut() {
    holds_on_ten_seeds("power-cut");
}

#[test]
fn an_upgrade_of_the_wire_and_back_removes_nobody() {
    holds_on_ten_seeds("upgrade");
}

#[test]
fn every_shipped_scenario_is_tested_here() {
    let names: Vec<_> = scenarios("scenarios").iter().map(|path| stem(path)).collect();
    let tested = [
        "alternating-address",
        "churn",
        "config-rollout",
        "entries-partition",
        "entries",
        "flapping-node",
        "flash-crowd",
        "forgeries",
        "joins",
        "late-packets",
        "loss",
        "lost-members",
        "narrow-path",
        "partition",
        "power-cut",
        "rolling-restart",
        "scale-down",
        "scale-in",
        "stale-names",
        "stop",
        "testbed",
        "two-pages",
        "two-regions",
        "upgrade",
        "wrong-clocks",
        "zone-partition",
    ];
    assert_eq!(names, tested);
}

#[test]
fn every_shipped_scenario_expects_something_and_explains_itself() {
    scenarios("scenarios").iter().for_each(|path| assert_explained(path));
}

#[test]
fn a_run_repeats_exactly_and_does_not_depend_on_the_wire() {
    for name in ["partition", "churn", "config-rollout", "zone-partition"] {
        let plan = load(name, &[]).plan(7).expect("a plan");
        let figures = |codec| {
            let result = run(&plan, codec);
            let rows = (format!("{:?}", result.series), format!("{:?}", result.rumor_rows));
            (serde_json::to_string(&result.summary).expect("JSON"), rows)
        };
        let once = figures(Codec::Skip);
        assert!(once == figures(Codec::Skip), "{name} does not repeat");
        assert!(once == figures(Codec::RoundTrip), "{name} differs when packets are encoded");
    }
}

#[test]
fn another_seed_is_another_run() {
    let scenario = load("stop", &[]);
    let hash = |seed| run(&scenario.plan(seed).expect("a plan"), Codec::Skip).summary.trace_hash;
    assert_ne!(hash(1), hash(2));
}
