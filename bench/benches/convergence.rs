//! How long a publish takes to reach every node: in virtual time by size and fan-out, and what
//! simulating it costs in wall time.

use criterion::{BenchmarkId, Criterion, SamplingMode};
use rumormill_bench::{VirtualTime, publish_plan, register_fonts, run};

fn virtual_time(criterion: &mut Criterion<VirtualTime>) {
    let mut group = criterion.benchmark_group("convergence/virtual");
    group.sampling_mode(SamplingMode::Flat);
    for nodes in [10, 100, 1_000] {
        for fan_out in [2, 3, 5, 8] {
            let id = BenchmarkId::new(format!("{nodes} nodes"), format!("fan-out {fan_out}"));
            let mut seed = 0;
            group.bench_function(id, |bencher| {
                bencher.iter_custom(|iterations| {
                    seed += 1;
                    let figures = run(&publish_plan(nodes, fan_out, seed)).summary.metadata;
                    let all = figures.t100_ms.expect("without loss every node is reached");
                    all * iterations as f64
                });
            });
        }
    }
    group.finish();
}

fn wall_time(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("convergence/wall");
    for nodes in [10, 100, 1_000] {
        let plan = publish_plan(nodes, 3, 1);
        group.sample_size(20);
        group.bench_function(format!("{nodes} nodes"), |bencher| bencher.iter(|| run(&plan)));
    }
    group.finish();
}

fn main() {
    register_fonts();
    virtual_time(&mut VirtualTime::criterion().configure_from_args());
    let mut criterion = Criterion::default().configure_from_args();
    wall_time(&mut criterion);
    criterion.final_summary();
}
