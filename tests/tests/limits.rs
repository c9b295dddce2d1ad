//! The files in `scenarios/limits` reach what is written beside them, on fewer seeds.

use std::fs;

use rumormill_sim::results::summary::RumorFigures;
use rumormill_sim::scenario::Scenario;
use rumormill_sim::world::Codec;
use rumormill_tests::{
    assert_explained, assert_holds_as, command, load, root, run, scenarios, stem,
};

/// What must be reached: on all after so many milliseconds in the median run, with so many packets
/// a node, acknowledgements included, and so many runs that do not reach all.
struct Limit {
    name: &'static str,
    nodes: f64,
    median_ms: f64,
    packets: f64,
    incomplete: usize,
    /// The closer to what is measured the bound is, the more it takes to tell them apart.
    seeds: u64,
}

/// How the last rumor of each run fared.
fn last_rumors(scenario: &Scenario, seeds: u64) -> Vec<RumorFigures> {
    let last = |seed| {
        let plan = scenario.plan(seed).unwrap_or_else(|error| panic!("{error}"));
        let summary = run(&plan, Codec::Skip).summary;
        assert!(summary.invariants.iter().all(|law| law.ok), "{:?}", summary.invariants);
        let is_write = |rumor: &RumorFigures| ["metadata", "entry"].contains(&&*rumor.kind);
        summary.rumors.into_iter().rfind(is_write).expect("a rumor")
    };
    (1..=seeds).map(last).collect()
}

/// When each was on all, the quickest first; those that never were come last.
fn times(rumors: &[RumorFigures]) -> Vec<f64> {
    let times = rumors.iter().map(|rumor| rumor.t100_ms.unwrap_or(f64::INFINITY));
    let mut times: Vec<_> = times.collect();
    times.sort_by(f64::total_cmp);
    times
}

/// Runs a file of the folder with some seeds and holds it against its own expectations.
fn holds(name: &str, sets: &[&str], seeds: u64) {
    let file = format!("limits/{name}");
    let scenario = load(&file, sets);
    for seed in 1..=seeds {
        assert_holds_as(&scenario, seed, &command(&file, sets));
    }
}

impl Limit {
    fn holds(&self) {
        let seeds = self.seeds;
        let file = format!("limits/{}", self.name);
        let rumors = last_rumors(&load(&file, &[]), seeds);
        let times = times(&rumors);
        let median = times[times.len() / 2];
        let incomplete = times.iter().filter(|time| time.is_infinite()).count();
        let sent = rumors.iter().map(|rumor| rumor.messages + rumor.control_messages).sum::<u64>();
        let packets = sent as f64 / rumors.len() as f64 / self.nodes;
        let most = rumors.iter().map(|rumor| rumor.node_messages_max).max().expect("a run");
        let holds = median <= self.median_ms
            && packets <= self.packets
            && incomplete <= self.incomplete
            && most <= 32;
        assert!(
            holds,
            "{median} ms, {packets} packets a node, {incomplete} runs that miss somebody, {most} \
             sends of one node\n\
             reproduce: {} --seeds {seeds}",
            command(&file, &[]),
        );
    }
}

const LIMITS: [Limit; 8] = [
    Limit { name: "arcs-50-5", nodes: 50., median_ms: 40., packets: 2.3, incomplete: 0, seeds: 30 },
    Limit { name: "arcs", nodes: 1_000., median_ms: 36., packets: 2.05, incomplete: 0, seeds: 30 },
    Limit {
        name: "arcs-1000-5",
        nodes: 1_000.,
        median_ms: 75.,
        packets: 2.25,
        incomplete: 0,
        seeds: 80,
    },
    Limit {
        name: "arcs-1000-20",
        nodes: 1_000.,
        median_ms: 125.,
        packets: 3.5,
        incomplete: 0,
        seeds: 30,
    },
    Limit {
        name: "arcs-1000-40",
        nodes: 1_000.,
        median_ms: 220.,
        packets: 6.,
        incomplete: 2,
        seeds: 30,
    },
    Limit {
        name: "arcs-crashed",
        nodes: 1_000.,
        median_ms: 90.,
        packets: 2.7,
        incomplete: 0,
        seeds: 120,
    },
    Limit {
        name: "arcs-unaware",
        nodes: 1_000.,
        median_ms: 40.,
        packets: 3.,
        incomplete: 1,
        seeds: 30,
    },
    Limit {
        name: "put-1000",
        nodes: 1_000.,
        median_ms: 36.,
        packets: 2.05,
        incomplete: 0,
        seeds: 20,
    },
];

#[test]
fn a_rumor_along_arcs_comes_near_the_limit() {
    LIMITS.iter().for_each(Limit::holds);
}

#[test]
fn ten_thousand_nodes_take_one_hop_more() {
    let name = "arcs-10000-0";
    Limit { name, nodes: 10_000., median_ms: 49., packets: 2.05, incomplete: 0, seeds: 3 }.holds();
}

const MEASURED: [Limit; 7] = [
    Limit { name: "arcs-50-5-measured", median_ms: 50., ..LIMITS[0] },
    Limit { name: "arcs-measured", median_ms: 36.5, packets: 2.15, ..LIMITS[1] },
    Limit { name: "arcs-1000-5-measured", median_ms: 100., packets: 2.4, seeds: 60, ..LIMITS[2] },
    Limit { name: "arcs-1000-20-measured", median_ms: 140., incomplete: 2, ..LIMITS[3] },
    Limit {
        name: "arcs-1000-40-measured",
        median_ms: 240.,
        // 98 %, as the table says; the swap sees to the rest.
        incomplete: 8,
        seeds: 200,
        ..LIMITS[4]
    },
    Limit { name: "arcs-crashed-measured", median_ms: 110., incomplete: 3, ..LIMITS[5] },
    Limit { name: "arcs-unaware-measured", incomplete: 2, ..LIMITS[6] },
];

#[test]
fn with_round_trips_measured_a_rumor_takes_little_longer() {
    MEASURED.iter().for_each(Limit::holds);
    let name = "arcs-10000-0-measured";
    Limit { name, nodes: 10_000., median_ms: 49., packets: 2.15, incomplete: 0, seeds: 1 }.holds();
}

const DEFAULTS: [Limit; 3] = [
    Limit { name: "default-50-5", median_ms: 40., packets: 2.3, seeds: 60, ..LIMITS[0] },
    Limit { name: "default-1000-5", median_ms: 78., packets: 2.3, seeds: 20, ..LIMITS[2] },
    Limit { name: "default-1000-20", median_ms: 125., packets: 3.6, seeds: 20, ..LIMITS[3] },
];

#[test]
fn with_all_settings_default_the_wait_is_as_good_as_one_set_by_hand() {
    DEFAULTS.iter().for_each(Limit::holds);
}

#[test]
fn with_the_swap_all_hold_it_within_two_cycles_whatever_gets_lost() {
    for nodes in ["nodes=50", "nodes=1000"] {
        for loss in ["network.loss=0%", "network.loss=20%", "network.loss=40%"] {
            let sets = [nodes, loss];
            let rumors = last_rumors(&load("limits/arcs-swap", &sets), 20);
            let slowest = times(&rumors)[rumors.len() - 1];
            let command = command("limits/arcs-swap", &sets);
            assert!(slowest <= 2_000., "{slowest} ms\nreproduce: {command} --seeds 20");
        }
    }
}

#[test]
fn probes_find_a_crash_in_time_at_constant_cost_and_remove_nobody_else() {
    for nodes in ["nodes=50", "nodes=200"] {
        holds("probes-crash", &[nodes], 3);
        holds("probes-idle", &[nodes], 1);
    }
    holds("probes-hour", &["nodes=50", "duration=10min"], 1);
    holds("probes-paused", &["nodes=50", "duration=10min", "at.0.until=9min"], 1);
}

#[test]
fn beats_at_a_fifth_of_loss_remove_nobody() {
    holds("beats-hour", &[], 1);
}

#[test]
fn nodes_of_different_settings_leave_each_other_in_peace() {
    holds("mixed-settings", &[], 3);
}

#[test]
fn every_file_reads_explains_itself_and_stands_in_the_table() {
    let table = fs::read_to_string(root().join("scenarios/limits/README.md")).expect("the table");
    let files = scenarios("scenarios/limits");
    assert!(files.len() > 20, "{files:?}");
    for path in files {
        assert_explained(&path);
        let name = stem(&path);
        let text = fs::read_to_string(&path).expect("a file");
        let command = command(&format!("limits/{name}"), &[]);
        assert!(text.contains(&command), "{name} does not say how to run it");
        load(&format!("limits/{name}"), &[]).plan(1).unwrap_or_else(|error| panic!("{error}"));
        let row = format!("`{name}.toml`");
        assert!(table.contains(&row), "scenarios/limits/README.md has no row for {row}");
    }
}
