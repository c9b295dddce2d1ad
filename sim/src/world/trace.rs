//! The trace hash: one number that two runs share only if every engine had the same inputs.
//!
//! A packet counts by its bytes on the wire, a command by the bytes that are defined here, so that
//! the hash knows nothing of how Rust names and lays out either: an engine that was rebuilt has the
//! old one's hash if it does what the old one did.

use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};

use rumormill::Node;
use rumormill::core::{Command, EntryKey, Terms};
use rumormill::time::Instant;

use crate::observe::cast::AddrNo;
use crate::protocols::Simulated;
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

    fn tag(&mut self, tag: u8) {
        self.mix(tag.into());
    }

    fn number(&mut self, number: usize) {
        self.mix(number as u64);
    }

    /// Bytes with their number, or a zero at their end would not be told from nothing.
    fn blob(&mut self, bytes: &[u8]) {
        self.number(bytes.len());
        let (words, rest) = bytes.as_chunks();
        words.iter().for_each(|&word| self.mix(u64::from_le_bytes(word)));
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn finish(&self) -> u64 {
        let mut last = self.clone();
        last.mix(0);
        last.0
    }
}

/// What a packet comes to on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Encoded {
    /// How many bytes it has, without what guards them on their way.
    pub(crate) len: usize,
    /// Their hash.
    pub(crate) content: u64,
}

/// Encodes a packet to see what it comes to.
pub(crate) fn encoded<P: Simulated>(packet: &P::Packet) -> Encoded {
    thread_local! {
        /// Packets are many, and a buffer for each would cost more than what is put into it.
        static BYTES: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    }
    BYTES.with_borrow_mut(|bytes| {
        bytes.clear();
        P::encode(packet, bytes);
        let mut hasher = StableHasher::new();
        hasher.blob(bytes);
        Encoded { len: bytes.len(), content: hasher.finish() }
    })
}

/// The hash of a packet's content.
pub(crate) fn content<P: Simulated>(packet: &P::Packet) -> u64 {
    encoded::<P>(packet).content
}

/// A command in bytes. Tags are given once: a new command takes the next one, wherever it stands
/// in the enum.
fn put_command(command: &Command, out: &mut StableHasher) {
    match command {
        Command::Seeds(seeds) => {
            out.tag(0);
            out.number(seeds.len());
            seeds.iter().for_each(|&seed| put_addr(seed, out));
        }
        Command::Publish(value) => {
            out.tag(1);
            out.blob(value.data());
        }
        Command::PublishTo(value, holders) => {
            out.tag(2);
            out.blob(value.data());
            out.number(*holders);
        }
        Command::Update(node) => {
            out.tag(3);
            put_addr(node.addr(), out);
            out.blob(node.name().as_bytes());
            out.blob(node.private_data().as_bytes());
            put_extensions(node, out);
        }
        Command::Stop => out.tag(4),
        Command::Start => out.tag(5),
        Command::Leave => out.tag(6),
        Command::Put(key, data, terms) => {
            out.tag(7);
            put_entry(key, data, *terms, out);
        }
        Command::Delete(key) => {
            out.tag(8);
            out.blob(key.as_str().as_bytes());
        }
        Command::PutTo(key, data, terms, holders) => {
            out.tag(9);
            put_entry(key, data, *terms, out);
            out.number(*holders);
        }
    }
}

fn put_entry(key: &EntryKey, data: &[u8], terms: Terms, out: &mut StableHasher) {
    out.blob(key.as_str().as_bytes());
    out.blob(data);
    out.number(usize::from(terms.bound));
    out.blob(&terms.ttl.unwrap_or_default().as_nanos().to_le_bytes());
}

/// What a node says beside its name and private data, if it does.
fn put_extensions(node: &Node, out: &mut StableHasher) {
    if !node.zone().is_empty() || !node.tags().is_empty() {
        out.blob(node.zone().as_bytes());
        out.blob(node.tags().to_string().as_bytes());
    }
}

fn put_addr(addr: SocketAddr, out: &mut StableHasher) {
    match addr.ip() {
        IpAddr::V4(ip) => out.blob(&ip.octets()),
        IpAddr::V6(ip) => out.blob(&ip.octets()),
    }
    out.number(addr.port().into());
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
        self.0.mix(content);
    }

    /// An engine was given a packet that no node sent.
    pub(crate) fn injected(&mut self, at: Instant, node: NodeNo, from: SocketAddr, content: u64) {
        self.note(at, node, 4, 0);
        put_addr(from, &mut self.0);
        self.0.mix(content);
    }

    /// An engine's deadline came.
    pub(crate) fn timeout(&mut self, at: Instant, node: NodeNo) {
        self.note(at, node, 2, 0);
    }

    /// An engine was given a command.
    pub(crate) fn command(&mut self, at: Instant, node: NodeNo, command: &Command) {
        self.note(at, node, 3, 0);
        put_command(command, &mut self.0);
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
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use rumormill::core::packet::{BeatVector, Body, Bulk, Delta, LastCall, MembershipUpdate};
    use rumormill::core::{
        Age, AgeStep, Beat, Digest, Engine, MemberState, Packet, Record, RecordId, Value,
    };
    use rumormill::node::Generation;
    use rumormill::{Config, Node, wire};

    fn content(packet: &Packet) -> u64 {
        super::content::<Engine>(packet)
    }

    fn bulk(beats: &[(u32, u8, u8)]) -> Packet {
        let beat = |&(id, counter, age)| Beat { id: RecordId(id), counter, age: Age(age) };
        let beats = beats.iter().map(beat).collect();
        Packet::new(AgeStep(25_000), Body::Bulk(Bulk { beats, news: Vec::new() }))
    }

    fn records(members: &[(u16, u32, u8)]) -> Packet {
        let news = members.iter().map(|&(port, counter, age)| {
            let node = Node::at(([10, 0, 0, 1], port).into());
            let record = Arc::new(Record::new(node, Generation::default()));
            MembershipUpdate::Member(MemberState { record, counter, age: Age(age) })
        });
        let body = Body::Delta(Delta { news: news.collect() });
        Packet::new(AgeStep(25_000), body)
    }

    fn vector(first: u32, beats: &[(u8, u8)]) -> Packet {
        let beats = beats.iter().map(|&(counter, age)| (counter, Age(age))).collect();
        let body = Body::BeatVector(BeatVector { digest: Digest(7), first, beats });
        Packet::new(AgeStep(25_000), body)
    }

    #[test]
    fn equal_packets_have_equal_hashes_and_any_difference_shows() {
        let packets = [
            bulk(&[]),
            bulk(&[(1, 2, 3)]),
            bulk(&[(1, 3, 2)]),
            bulk(&[(2, 2, 3)]),
            bulk(&[(1, 2, 3), (1, 2, 3)]),
            Packet::new(AgeStep(25_000), Body::LastCall(LastCall::default())),
            Packet::new(AgeStep(25_001), Body::LastCall(LastCall::default())),
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
    fn a_packet_has_the_length_that_is_told_without_encoding_it() {
        for packet in [bulk(&[]), bulk(&[(1, 2, 3)]), records(&[(1, 2, 3)]), vector(7, &[(1, 2)])] {
            assert_eq!(encoded::<Engine>(&packet).len, wire::encoded_len(&packet));
        }
    }

    /// The bytes of a command, folded.
    fn of_command(command: &Command) -> u64 {
        let mut hasher = StableHasher::new();
        put_command(command, &mut hasher);
        hasher.finish()
    }

    fn value(data: &[u8]) -> Value {
        Value::new(data, &Config::default()).unwrap()
    }

    fn node(port: u16, name: &str, data: &str) -> Node {
        Node::new(format!("10.0.0.1:{port}")).name(name).private_data(data).build().unwrap()
    }

    #[test]
    fn equal_commands_have_equal_hashes_and_any_difference_shows() {
        let seeds = |ports: &[u16]| {
            Command::Seeds(ports.iter().map(|&port| ([10, 0, 0, 1], port).into()).collect())
        };
        let mapped = "[::ffff:10.0.0.1]:1".parse().unwrap();
        let commands = [
            seeds(&[]),
            seeds(&[1]),
            seeds(&[2]),
            seeds(&[1, 2]),
            seeds(&[2, 1]),
            Command::Seeds(vec![mapped]),
            Command::Publish(value(b"")),
            Command::Publish(value(b"a")),
            Command::Publish(value(b"a\0")),
            Command::PublishTo(value(b"a"), 0),
            Command::PublishTo(value(b"a"), 1),
            Command::Update(node(1, "a", "")),
            Command::Update(node(2, "a", "")),
            Command::Update(node(1, "", "a")),
            Command::Update(node(1, "b", "")),
            Command::Stop,
            Command::Start,
            Command::Leave,
        ];
        let hashes: BTreeSet<_> = commands.iter().map(of_command).collect();
        assert_eq!(hashes.len(), commands.len());
        assert_eq!(hashes, commands.iter().map(|command| of_command(&command.clone())).collect());
    }

    /// These stay as they are, whatever becomes of the types: with them stand all hashes of runs.
    #[test]
    fn the_hash_holds_its_golden_values() {
        assert_eq!(content(&bulk(&[(1, 2, 3)])), GOLDEN.0);
        let mut trace = Trace::new();
        trace.begin(Instant::from_nanos(5), 1);
        trace.packet(Instant::from_nanos(7), 1, 2, 99);
        assert_eq!(trace.text(), GOLDEN.1);
        let commands = [
            Command::Seeds(vec![([10, 0, 0, 1], 1).into()]),
            Command::Publish(value(b"a")),
            Command::PublishTo(value(b"a"), 3),
            Command::Update(node(1, "a", "b")),
            Command::Stop,
            Command::Start,
            Command::Leave,
        ];
        for command in commands {
            trace.command(Instant::from_nanos(9), 1, &command);
        }
        assert_eq!(trace.text(), GOLDEN.2);
    }

    const GOLDEN: (u64, &str, &str) =
        (7_764_212_813_924_510_761, "1615a75d65ddb937", "98ba56928bd6a04e");
}
