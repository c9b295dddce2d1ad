//! How many updates a second one engine takes in: beats in bulk and vectors, by size of the list.

use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, measurement::WallTime};
use rumormill::core::{Body, Packet, Record, Roster};
use rumormill::{Config, Engine, Input, Instant, Now, Outbox, UnixNanos};
use rumormill_bench::{full_bulk, full_vector, members, register_fonts};

/// An engine with a full list, and a clock that moves a little with every packet.
struct Subject {
    engine: Engine,
    now: Now,
    outbox: Outbox,
}

impl Subject {
    fn new(members: &[Arc<Record>]) -> Self {
        let now =
            Now { mono: Instant::from_nanos(1 << 56), wall: UnixNanos(1_800_000_100_000_000_000) };
        let me = Arc::clone(&members[0]);
        let config = Arc::new(Config::default());
        let mut engine = Engine::new(me, config, Arc::new(Roster::default()), 1, now);
        let mut outbox = Outbox::new();
        engine.restore(now, members, &mut outbox);
        Self { engine, now, outbox }
    }

    fn take(&mut self, packet: &Arc<Packet>) {
        self.now.mono = self.now.mono + Duration::from_micros(10);
        let from = ([10, 0, 0, 1], 8000).into();
        let input = Input::Packet { from, packet: Arc::clone(packet) };
        self.engine.handle(self.now, input, &mut self.outbox);
        // What goes out is dropped: sending is not measured here.
        self.outbox.drain().for_each(drop);
    }
}

fn beats_in(packet: &Packet) -> u64 {
    match &packet.body {
        Body::Bulk(bulk) => bulk.beats.len() as u64,
        Body::Vector(vector) => vector.beats.len() as u64,
        _ => unreachable!("a packet of beats"),
    }
}

/// Each packet brings a newer beat of every member in it.
fn news(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    members: &[Arc<Record>],
    packet: fn(&[Arc<Record>], u8) -> Arc<Packet>,
) {
    let packets: Vec<_> = (0..=255).map(|counter| packet(members, counter)).collect();
    let mut subject = Subject::new(members);
    let mut turn = 0;
    group.throughput(Throughput::Elements(beats_in(&packets[0])));
    group.bench_function(BenchmarkId::new(name, members.len()), |bencher| {
        bencher.iter(|| {
            turn += 1;
            subject.take(&packets[turn % packets.len()]);
        });
    });
}

/// Each packet brings what is known: most of what a node hears.
fn known(group: &mut BenchmarkGroup<'_, WallTime>, members: &[Arc<Record>]) {
    let packet = full_bulk(members, 1);
    let mut subject = Subject::new(members);
    group.throughput(Throughput::Elements(beats_in(&packet)));
    group.bench_function(BenchmarkId::new("bulk, known", members.len()), |bencher| {
        bencher.iter(|| subject.take(&packet));
    });
}

fn main() {
    register_fonts();
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("throughput");
    for count in [50, 1_000, 10_000] {
        let members = members(count);
        news(&mut group, "bulk, new", &members, full_bulk);
        known(&mut group, &members);
        news(&mut group, "vector, new", &members, full_vector);
    }
    group.finish();
    criterion.final_summary();
}
