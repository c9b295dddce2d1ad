//! What it costs to turn full packets into bytes and back, with and without a seal.

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, Criterion, Throughput};
use rumormill::Config;
use rumormill::core::Packet;
use rumormill::time::{Instant, Now, UnixNanos};
use rumormill::wire::{self, Guard, Run, StreamGuard};
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
        sealed(&mut group, name, &packet);
    }
    group.finish();
    criterion.final_summary();
}

const NOW: Now = Now { mono: Instant::ZERO, wall: UnixNanos(1_800_000_000_000_000_000) };

fn guard(node: u8, config: &Config) -> Guard {
    let addr = ([10, 0, 0, node], 8_000).into();
    Guard::new(config, &Run { addr, random: [node; 8], now: NOW })
}

/// The same in a sealed datagram, and on a sealed connection.
fn sealed(group: &mut BenchmarkGroup<'_, WallTime>, name: &str, packet: &Packet) {
    let config = Config::builder().secret_key("secret").build().expect("valid");
    let (mut a, mut b) = (guard(1, &config), guard(2, &config));
    let mut buffer = Vec::new();
    group.bench_function(format!("encode and seal/{name}"), |bencher| {
        bencher.iter(|| {
            buffer.clear();
            a.encode(NOW, black_box(packet), &mut buffer);
        });
    });
    let mut datagram = || {
        let mut datagram = Vec::new();
        a.encode(NOW, packet, &mut datagram);
        datagram
    };
    group.bench_function(format!("open and decode/{name}"), |bencher| {
        let open = |mut datagram: Vec<u8>| b.decode(NOW, &mut datagram).expect("a packet");
        bencher.iter_batched(&mut datagram, open, BatchSize::SmallInput);
    });
    let guard = StreamGuard::of(&config);
    let call = guard.dial(8_000, [1; 16]);
    let (_, answer) = guard.accept(&call.hello(), [2; 16]).expect("one secret");
    let mut sealer = call.answered(&answer).expect("one secret");
    let mut encoded = Vec::new();
    wire::encode(packet, &mut encoded);
    group.bench_function(format!("seal for a stream/{name}"), |bencher| {
        bencher.iter(|| {
            buffer.clear();
            sealer.seal(black_box(&encoded), &mut buffer);
        });
    });
}
