//! The files in `scenarios/limits` reach what is written beside them, on fewer seeds.

use std::fs;
use std::path::PathBuf;

use rumormill_sim::report::summary::RumorFigures;
use rumormill_sim::scenario::{self, Scenario, Set};
use rumormill_sim::world::Codec;
use rumormill_tests::{assert_holds, root, run};

fn folder() -> PathBuf {
    root().join("scenarios/limits")
}

fn load(name: &str, sets: &[&str]) -> Scenario {
    let sets: Vec<_> = sets.iter().map(|text| Set::parse(text).expect("KEY=VALUE")).collect();
    scenario::load(&folder().join(format!("{name}.toml")), &sets)
        .unwrap_or_else(|error| panic!("{error}"))
}

/// What must be reached: on all after so many milliseconds in the median run, with so many packets
/// a node, acknowledgements included, and so many runs that do not reach all.
struct Limit {
    name: &'static str,
    nodes: f64,
    median_ms: f64,
    packets: f64,
    incomplete: usize,
}

/// How the last rumor of each run fared.
fn last_rumors(scenario: &Scenario, seeds: u64) -> Vec<RumorFigures> {
    let last = |seed| {
        let plan = scenario.plan(seed).unwrap_or_else(|error| panic!("{error}"));
        let summary = run(&plan, Codec::Skip).summary;
        assert!(summary.invariants.iter().all(|law| law.ok), "{:?}", summary.invariants);
        summary.rumors.into_iter().rfind(|rumor| rumor.kind == "metadata").expect("a rumor")
    };
    (1..=seeds).map(last).collect()
}

impl Limit {
    fn holds(&self, seeds: u64, sets: &[&str]) {
        let rumors = last_rumors(&load(self.name, sets), seeds);
        let mut times: Vec<_> =
            rumors.iter().map(|rumor| rumor.t100_ms.unwrap_or(f64::INFINITY)).collect();
        times.sort_by(f64::total_cmp);
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
             reproduce: sim run scenarios/limits/{}.toml --seeds {seeds}",
            self.name,
        );
    }
}

const LIMITS: [Limit; 7] = [
    Limit { name: "arcs-50-5", nodes: 50., median_ms: 40., packets: 2.3, incomplete: 0 },
    Limit { name: "arcs", nodes: 1_000., median_ms: 36., packets: 2.05, incomplete: 0 },
    Limit { name: "arcs-1000-5", nodes: 1_000., median_ms: 75., packets: 2.25, incomplete: 0 },
    Limit { name: "arcs-1000-20", nodes: 1_000., median_ms: 136., packets: 3.5, incomplete: 0 },
    Limit { name: "arcs-1000-40", nodes: 1_000., median_ms: 275., packets: 8., incomplete: 2 },
    Limit { name: "arcs-crashed", nodes: 1_000., median_ms: 121., packets: 2.7, incomplete: 0 },
    Limit { name: "arcs-unaware", nodes: 1_000., median_ms: 60., packets: 3., incomplete: 1 },
];

#[test]
fn a_rumor_along_arcs_comes_near_the_limit() {
    LIMITS.iter().for_each(|limit| limit.holds(30, &[]));
}

#[test]
fn ten_thousand_nodes_take_one_hop_more() {
    let name = "arcs-10000-0";
    Limit { name, nodes: 10_000., median_ms: 49., packets: 2.05, incomplete: 0 }.holds(3, &[]);
}

#[test]
fn with_round_trips_measured_a_rumor_takes_little_longer() {
    let of = |limit: &Limit, name, median_ms| Limit { name, median_ms, ..*limit };
    of(&LIMITS[1], "arcs-measured", 36.5).holds(10, &[]);
    of(&LIMITS[3], "arcs-1000-20-measured", 180.).holds(10, &[]);
}

#[test]
fn with_the_swap_all_hold_it_within_two_cycles_whatever_gets_lost() {
    for nodes in ["nodes=50", "nodes=1000"] {
        for loss in ["network.loss=0%", "network.loss=20%", "network.loss=40%"] {
            let rumors = last_rumors(&load("arcs-swap", &[nodes, loss]), 20);
            let slowest = rumors.iter().map(|rumor| rumor.t100_ms.unwrap_or(f64::INFINITY));
            let slowest = slowest.fold(0., f64::max);
            assert!(slowest <= 2_000., "{slowest} ms with {nodes} and {loss}");
        }
    }
}

#[test]
fn probes_find_a_crash_in_time_at_constant_cost_and_remove_nobody_else() {
    for nodes in ["nodes=50", "nodes=200"] {
        for seed in 1..=3 {
            assert_holds(&load("probes-crash", &[nodes]), seed);
        }
        assert_holds(&load("probes-idle", &[nodes]), 1);
    }
    assert_holds(&load("probes-hour", &["nodes=50", "duration=10min"]), 1);
    assert_holds(&load("probes-paused", &["nodes=50", "duration=10min", "at.0.until=9min"]), 1);
}

#[test]
fn beats_at_a_fifth_of_loss_remove_nobody() {
    assert_holds(&load("beats-hour", &[]), 1);
}

#[test]
fn nodes_of_different_settings_leave_each_other_in_peace() {
    for seed in 1..=3 {
        assert_holds(&load("mixed-settings", &[]), seed);
    }
}

#[test]
fn every_file_reads_explains_itself_and_stands_in_the_table() {
    let table = fs::read_to_string(folder().join("README.md")).expect("the table");
    let files = fs::read_dir(folder()).expect("the files").map(|entry| entry.expect("one").path());
    let mut names: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| path.file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let text = fs::read_to_string(folder().join(format!("{name}.toml"))).expect("a file");
        let command = format!("sim run scenarios/limits/{name}.toml");
        assert!(text.starts_with("# ") && text.contains(&command), "{name} explains nothing");
        assert!(text.contains("[expect]"), "{name} expects nothing");
        load(&name, &[]).plan(1).unwrap_or_else(|error| panic!("{error}"));
        let row = format!("`{name}.toml`");
        assert!(table.contains(&row), "scenarios/limits/README.md has no row for {row}");
    }
}
