//! The trace hash: one number that two runs share only if every engine had the same inputs.
//!
//! It is taken over values, not over bytes on a wire, and the same on every machine: what goes in
//! has a fixed width, whatever the platform's `usize`.

use std::hash::{Hash, Hasher};

use rumormill::core::{Age, Body, Digest, News, Packet, Sighting, Vector};
use rumormill::{Command, Instant};

use crate::observe::cast::AddrNo;
use crate::scenario::plan::NodeNo;

/// A fast hasher whose result is the same everywhere: a chain of folded multiplications.
#[derive(Clone, Debug)]
pub(crate) struct StableHasher(u64);

impl StableHasher {
    pub(crate) fn new() -> Self {
        Self(0x243f_6a88_85a3_08d3)
    }

    fn mix(&mut self, word: u64) {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        let product = u128::from(self.0.rotate_left(23) ^ word ^ ODD) * u128::from(ODD);
        self.0 = (product >> 64) as u64 ^ product as u64;
    }
}

impl Hasher for StableHasher {
    fn finish(&self) -> u64 {
        let mut last = self.clone();
        last.mix(0);
        last.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.mix(number.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.mix(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }

    fn write_u128(&mut self, number: u128) {
        self.mix(number as u64);
        self.mix((number >> 64) as u64);
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.mix(number as i64 as u64);
    }
}

/// The hash of a packet's content.
pub(crate) fn content(packet: &Packet) -> u64 {
    let mut hasher = StableHasher::new();
    match &packet.body {
        // Nearly all that a run carries are beats: one step each instead of three.
        Body::Bulk(bulk) => {
            hasher.write_u32(packet.step.0);
            for beat in &bulk.beats {
                let (id, counter, age) = (beat.id.0, beat.counter, beat.age.0);
                let (id, counter) = (u64::from(id), u64::from(counter));
                hasher.mix(id << 16 | counter << 8 | u64::from(age));
            }
            news(&bulk.news, &mut hasher);
        }
        // And while a cluster starts, records.
        Body::Records(records) => {
            hasher.write_u8(packet.kind() as u8);
            hasher.write_u32(packet.step.0);
            news(&records.news, &mut hasher);
        }
        Body::Vector(Vector { digest, first, beats }) => {
            hasher.write_u8(packet.kind() as u8);
            hasher.write_u32(packet.step.0);
            digest.hash(&mut hasher);
            hasher.write_u32(*first);
            vector(beats, &mut hasher);
        }
        _ => packet.hash(&mut hasher),
    }
    hasher.finish()
}

/// Four members a step.
fn vector(beats: &[(u8, Age)], hasher: &mut StableHasher) {
    hasher.write_usize(beats.len());
    for beats in beats.chunks(4) {
        let add =
            |word, &(counter, Age(age)): &_| word << 16 | u64::from(counter) << 8 | u64::from(age);
        hasher.mix(beats.iter().fold(0, add));
    }
}

fn news(news: &[News], hasher: &mut StableHasher) {
    hasher.write_usize(news.len());
    for item in news {
        match item {
            News::Member(Sighting { record, counter, age }) => {
                // The digest stands for the record; what its halves are mixed with tells a member
                // from one that is gone.
                let Digest(digest) = record.digest();
                hasher.mix(digest as u64 ^ (u64::from(*counter) << 9 | u64::from(age.0) << 1));
                hasher.mix((digest >> 64) as u64);
            }
            News::Gone(_) | News::Suspected(_) => item.hash(hasher),
        }
    }
}

/// The hash over all inputs so far.
#[derive(Clone, Debug)]
pub(crate) struct Trace(StableHasher);

impl Trace {
    pub(crate) fn new() -> Self {
        Self(StableHasher::new())
    }

    /// An engine was started.
    pub(crate) fn begin(&mut self, at: Instant, node: NodeNo) {
        self.note(at, node, 0, 0);
    }

    /// An engine was given a packet.
    pub(crate) fn packet(&mut self, at: Instant, node: NodeNo, from: AddrNo, content: u64) {
        self.note(at, node, 1, from);
        self.0.write_u64(content);
    }

    /// An engine's deadline came.
    pub(crate) fn timeout(&mut self, at: Instant, node: NodeNo) {
        self.note(at, node, 2, 0);
    }

    /// An engine was given a command.
    pub(crate) fn command(&mut self, at: Instant, node: NodeNo, command: &Command) {
        self.note(at, node, 3, 0);
        self.0.write(format!("{command:?}").as_bytes());
    }

    /// In hex.
    pub(crate) fn text(&self) -> String {
        format!("{:016x}", self.0.finish())
    }

    fn note(&mut self, at: Instant, node: NodeNo, kind: u32, extra: u32) {
        self.0.mix(at.as_nanos());
        self.0.mix(u64::from(node) << 32 | u64::from(kind) << 28 ^ u64::from(extra));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use rumormill::core::{AgeStep, Beat, Bulk, LastCall, Record, RecordId, Records};
    use rumormill::{Generation, Node};

    fn bulk(beats: &[(u32, u8, u8)]) -> Packet {
        let beat = |&(id, counter, age)| Beat { id: RecordId(id), counter, age: Age(age) };
        let beats = beats.iter().map(beat).collect();
        Packet { step: AgeStep(25_000), body: Body::Bulk(Bulk { beats, news: Vec::new() }) }
    }

    fn records(members: &[(u16, u32, u8)]) -> Packet {
        let news = members.iter().map(|&(port, counter, age)| {
            let node = Node::at(([10, 0, 0, 1], port).into());
            let record = Arc::new(Record::new(node, Generation::default()));
            News::Member(Sighting { record, counter, age: Age(age) })
        });
        let body = Body::Records(Records { news: news.collect() });
        Packet { step: AgeStep(25_000), body }
    }

    fn vector(first: u32, beats: &[(u8, u8)]) -> Packet {
        let beats = beats.iter().map(|&(counter, age)| (counter, Age(age))).collect();
        let body = Body::Vector(Vector { digest: Digest(7), first, beats });
        Packet { step: AgeStep(25_000), body }
    }

    #[test]
    fn equal_packets_have_equal_hashes_and_any_difference_shows() {
        let packets = [
            bulk(&[]),
            bulk(&[(1, 2, 3)]),
            bulk(&[(1, 3, 2)]),
            bulk(&[(2, 2, 3)]),
            bulk(&[(1, 2, 3), (1, 2, 3)]),
            Packet { step: AgeStep(25_000), body: Body::LastCall(LastCall::default()) },
            Packet { step: AgeStep(25_001), body: Body::LastCall(LastCall::default()) },
            vector(0, &[]),
            vector(0, &[(1, 2), (3, 4), (5, 6), (7, 8), (9, 10)]),
            vector(1, &[(1, 2), (3, 4), (5, 6), (7, 8), (9, 10)]),
            vector(0, &[(1, 2), (3, 4), (5, 6), (7, 8), (10, 9)]),
            vector(0, &[(2, 1), (3, 4), (5, 6), (7, 8), (9, 10)]),
            vector(0, &[(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (0, 0)]),
            records(&[]),
            records(&[(1, 2, 3)]),
            records(&[(1, 3, 2)]),
            records(&[(2, 2, 3)]),
            records(&[(1, 2, 3), (1, 2, 3)]),
        ];
        for (place, packet) in packets.iter().enumerate() {
            assert_eq!(content(packet), content(&packet.clone()));
            let alike = packets.iter().filter(|other| content(other) == content(packet)).count();
            assert_eq!(alike, 1, "packet {place}");
        }
    }

    #[test]
    fn the_hash_holds_its_golden_values() {
        assert_eq!(content(&bulk(&[(1, 2, 3)])), GOLDEN.0);
        let mut trace = Trace::new();
        trace.begin(Instant::from_nanos(5), 1);
        trace.packet(Instant::from_nanos(7), 1, 2, 99);
        assert_eq!(trace.text(), GOLDEN.1);
    }

    const GOLDEN: (u64, &str) = (3_675_390_020_872_167_437, "1615a75d65ddb937");
}
