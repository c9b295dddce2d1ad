//! How much virtual time the simulator gets through: inputs of engines a second of wall time.

use criterion::{Criterion, Throughput};
use rumormill_bench::{calm_plan, register_fonts, run};

fn main() {
    register_fonts();
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("world");
    group.sample_size(10);
    for (nodes, secs) in [(50, 10), (200, 10), (1_000, 3)] {
        let plan = calm_plan(nodes, secs);
        group.throughput(Throughput::Elements(run(&plan).summary.inputs));
        let name = format!("{nodes} nodes for {secs} s");
        group.bench_function(name, |bencher| bencher.iter(|| run(&plan)));
    }
    group.finish();
    criterion.final_summary();
}
