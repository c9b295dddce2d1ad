//! How many updates a second one engine takes in: beats in bulk and vectors, by size of the list.

use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, measurement::WallTime};
use rumormill::core::packet::Body;
use rumormill::core::{Packet, Record};
use rumormill_bench::{Subject, bulks, members, register_fonts, vectors};

/// Between two packets where there is news all the time: a busy node, whose members stay alive.
const PACE: Duration = Duration::from_micros(10);

/// What goes out is dropped: sending is not measured here.
fn take(subject: &mut Subject, packet: &Arc<Packet>, pace: Duration) {
    subject.take(packet, pace);
    subject.outbox.drain().for_each(drop);
}

/// What was measured is what was meant: nobody timed out, and no vector was refused.
fn check(subject: &Subject, members: &[Arc<Record>]) {
    assert_eq!(subject.engine.members_len(), members.len(), "all members are still listed");
    assert_eq!(subject.engine.stats().vectors_foreign, 0, "all vectors are of the list held");
}

fn beats_in(packet: &Packet) -> u64 {
    match &packet.body {
        Body::Bulk(bulk) => bulk.beats.len() as u64,
        Body::BeatVector(vector) => vector.beats.len() as u64,
        _ => unreachable!("a packet of beats"),
    }
}

/// Each packet brings a newer beat of every member in it; over and over, all members have one.
fn news(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    members: &[Arc<Record>],
    round: impl Fn(u8) -> Vec<Arc<Packet>>,
) {
    let packets: Vec<_> = (0..=255).flat_map(round).collect();
    let mut subject = Subject::new(members);
    // The first round has the beats that are held from the beginning.
    let mut turn = packets.len() / 256 - 1;
    group.throughput(Throughput::Elements(beats_in(&packets[0])));
    group.bench_function(BenchmarkId::new(name, members.len()), |bencher| {
        bencher.iter(|| {
            turn += 1;
            take(&mut subject, &packets[turn % packets.len()], PACE);
        });
    });
    check(&subject, members);
}

/// Each packet brings what is known: most of what a node hears. The clock stands, or all members
/// would time out one day.
fn known(group: &mut BenchmarkGroup<'_, WallTime>, members: &[Arc<Record>]) {
    let packet = &bulks(members, 1)[0];
    let mut subject = Subject::new(members);
    group.throughput(Throughput::Elements(beats_in(packet)));
    group.bench_function(BenchmarkId::new("bulk, known", members.len()), |bencher| {
        bencher.iter(|| take(&mut subject, packet, Duration::ZERO));
    });
    check(&subject, members);
}

fn main() {
    register_fonts();
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("throughput");
    for count in [50, 1_000, 10_000] {
        let members = members(count);
        news(&mut group, "bulk, new", &members, |counter| bulks(&members, counter));
        known(&mut group, &members);
        news(&mut group, "vector, new", &members, |counter| vectors(&members, counter));
    }
    group.finish();
    criterion.final_summary();
}
