//! What it costs to turn full packets into bytes and back.

use std::hint::black_box;

use criterion::{Criterion, Throughput};
use rumormill::wire;
use rumormill_bench::{full_bulk, full_records, full_vector, members, register_fonts};

fn main() {
    register_fonts();
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("wire");
    let members = members(1_000);
    for (name, packet) in [
        ("beats", full_bulk(&members, 1)),
        ("vector", full_vector(&members, 1)),
        ("records", full_records(&members)),
    ] {
        let mut bytes = Vec::new();
        wire::encode(&packet, &mut bytes);
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        let mut buffer = Vec::new();
        group.bench_function(format!("encode/{name}"), |bencher| {
            bencher.iter(|| {
                buffer.clear();
                wire::encode(black_box(&packet), &mut buffer);
            });
        });
        group.bench_function(format!("decode/{name}"), |bencher| {
            bencher.iter(|| wire::decode(black_box(&bytes)).expect("a packet"));
        });
        group.bench_function(format!("encoded_len/{name}"), |bencher| {
            bencher.iter(|| wire::encoded_len(black_box(&packet)));
        });
    }
    group.finish();
    criterion.final_summary();
}
