//! How long a publish takes to reach every node: in virtual time by size and fan-out, and what
//! simulating it costs in wall time.

use criterion::Criterion;
use rumormill_bench::convergence::virtual_time;
use rumormill_bench::{VirtualTime, publish_plan, register_fonts, run};

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
    let mut criterion = VirtualTime::criterion().configure_from_args();
    virtual_time(&mut criterion, &[10, 100, 1_000], &[2, 3, 5, 8]);
    let mut criterion = Criterion::default().configure_from_args();
    wall_time(&mut criterion);
    criterion.final_summary();
}
