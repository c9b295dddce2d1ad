//! How much virtual time the simulator gets through: updates of engines a second of wall time.
//!
//! The largest cases are scenarios of their own, in `scenarios/large`, for a benchmark repeats what
//! takes them long enough once.

use criterion::{Criterion, Throughput};
use rumormill_bench::{calm_plan, cold_plan, register_fonts, run, run_with, spread_plan};
use rumormill_sim::scenario::plan::Plan;
use rumormill_sim::world::Engines;

/// Beats compared with state, which is what a cluster at rest costs.
fn steady_state(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("world/updates");
    for (nodes, secs) in [(50, 10), (200, 10), (1_000, 6)] {
        let plan = calm_plan(nodes, secs);
        group.throughput(Throughput::Elements(run(&plan).summary.updates));
        let name = format!("{nodes} nodes for {secs} s");
        group.sample_size(10).bench_function(name, |bencher| bencher.iter(|| run(&plan)));
    }
    group.finish();
}

/// Entries of node lists, from nobody's to everybody's.
fn cold_start(criterion: &mut Criterion) {
    let pairs = |nodes: u32| u64::from(nodes) * u64::from(nodes);
    let cases = [200, 1_000].map(|nodes| (nodes, cold_plan(nodes), pairs(nodes)));
    let converges = |plan: &Plan| run(plan).summary.node_list.converged;
    let mut group = criterion.benchmark_group("world/entries");
    for (nodes, plan, entries) in cases {
        assert!(converges(&plan), "{nodes} nodes list each other in the end");
        group.throughput(Throughput::Elements(entries));
        for (engines, how) in [(Engines::OneByOne, ""), (Engines::SideBySide, ", side by side")] {
            let name = format!("cold start of {nodes} nodes{how}");
            let start = || run_with(&plan, engines);
            group.sample_size(10).bench_function(name, |bencher| bencher.iter(start));
        }
    }
    group.finish();
}

/// Nodes told of one rumor, their starts included.
fn rumor(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("world/told");
    for nodes in [1_000, 10_000, 100_000] {
        let plan = spread_plan(nodes);
        assert!(run(&plan).summary.metadata.t100_ms.is_some(), "all {nodes} nodes are told");
        group.throughput(Throughput::Elements(nodes.into()));
        let name = format!("a rumor among {nodes} nodes");
        group.sample_size(10).bench_function(name, |bencher| bencher.iter(|| run(&plan)));
    }
    group.finish();
}

fn main() {
    register_fonts();
    let mut criterion = Criterion::default().configure_from_args();
    steady_state(&mut criterion);
    cold_start(&mut criterion);
    rumor(&mut criterion);
    criterion.final_summary();
}
