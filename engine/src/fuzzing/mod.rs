//! The bodies of the fuzz targets, as ordinary functions that the tests run as well.
//!
//! Not part of the public interface: the feature `fuzzing` is for the fuzz package alone.

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::core::{Carrier, Command, Engine, Input, Outbox, Output, Packet, Record, Roster, Value};
use crate::node::{Generation, Node};
use crate::time::{Instant, Now, UnixNanos, nanos};
use crate::{Config, wire};

/// Most packets that one input may make an engine with a list of at most
/// [`Subject::MEMBERS_MAX`] send: far more than an honest one does, far less than a weapon.
const SENDS_MAX: usize = 256;

/// Takes any bytes for a datagram. What is refused is refused; what is a packet has no other
/// encoding, and its length is told without encoding.
pub fn decode(bytes: &[u8]) {
    let Ok(packet) = wire::decode(bytes) else { return };
    let mut again = Vec::new();
    wire::encode(&packet, &mut again);
    assert_eq!(again, bytes, "two encodings of one packet");
    assert_eq!(wire::encoded_len(&packet), bytes.len());
    assert!(packet.len_max() >= bytes.len(), "a bound that is none");
}

/// Takes any bytes for a packet of pekonode. What is one reads the same once more, and its length
/// is told without encoding.
pub fn decode_pekonode(bytes: &[u8]) {
    let Ok(packet) = wire::pekonode::decode(bytes, wire::DATAGRAM_LEN_MAX) else { return };
    let mut again = Vec::new();
    wire::pekonode::encode(&packet, &mut again);
    assert_eq!(packet.encoded_len(), again.len());
    let read = wire::pekonode::decode(&again, usize::MAX);
    assert!(read.is_ok_and(|read| read == packet) || again.len() > wire::DATAGRAM_LEN_MAX);
}

/// Takes any bytes for a call, and for a packet on a connection that has begun well. Whoever does
/// not hold the secret gets neither through.
pub fn connection(bytes: &[u8]) {
    let sealed = Config::builder().secret_key("secret").build().expect("a valid configuration");
    for config in [Config::default(), sealed] {
        let guard = wire::StreamGuard::of(&config);
        let taken = guard.accept(bytes, [2; 16]).is_ok();
        assert!(!taken || config.secret_key().is_none(), "a call without the secret");
        let call = guard.dial(1, [1; 16]);
        let (mut opener, _) = guard.accept(&call.hello(), [2; 16]).expect("a call of ours");
        let opened = opener.open(&guard, &mut bytes.to_vec(), 0).is_ok();
        assert!(!opened || config.secret_key().is_none(), "a packet without the secret");
    }
}

/// Takes any bytes for a script of packets, commands and pauses, and has an engine live it.
pub fn handle(bytes: &[u8]) {
    let mut script = Script(bytes);
    let mut subject = Subject::new();
    while let Some((pause, jump, input)) = script.step() {
        subject.live(pause, jump, input);
    }
}

/// An engine that is watched.
#[derive(Debug)]
pub struct Subject {
    engine: Engine,
    now: Now,
    outbox: Outbox,
    has_left: bool,
}

impl Default for Subject {
    fn default() -> Self {
        Self::new()
    }
}

impl Subject {
    /// Small, so that its limits are met.
    pub const MEMBERS_MAX: usize = 64;

    /// A node of ordinary settings with room for few members.
    pub fn new() -> Self {
        let config = Config::builder().members_max(Self::MEMBERS_MAX);
        Self::of(config.build().expect("a valid configuration"))
    }

    fn of(config: Config) -> Self {
        let now =
            Now { mono: Instant::from_nanos(1 << 56), wall: UnixNanos(1_800_000_000_000_000_000) };
        let node = Node::at(addr(0));
        let record = Arc::new(Record::new(node, Generation::start(None, now.wall)));
        let engine = Engine::new(record, Arc::new(config), Arc::new(Roster::default()), 1, now);
        Self { engine, now, outbox: Outbox::new(), has_left: false }
    }

    /// Lets `pause` pass on both clocks and sets the wall clock ahead by `jump`; wakes the engine
    /// when it wants to be, as a driver does, and then has it take the input.
    ///
    /// # Panics
    /// When the engine breaks one of its promises.
    pub fn live(&mut self, pause: Duration, jump: Duration, input: Input) {
        /// More wakes than this in one pause are a process that was suspended.
        const WAKES_MAX: usize = 64;
        let end = self.now.mono + pause;
        for _ in 0..WAKES_MAX {
            match self.engine.deadline().filter(|&deadline| deadline < end) {
                Some(deadline) => self.pass(deadline.max(self.now.mono), Input::Timeout),
                None => break,
            }
        }
        self.now.wall = self.now.wall.saturating_add(jump);
        self.pass(end, input);
    }

    fn pass(&mut self, at: Instant, input: Input) {
        self.now.wall = self.now.wall.saturating_add(at - self.now.mono);
        self.now.mono = at;
        self.has_left |= matches!(input, Input::Command(Command::Leave));
        self.engine.handle(self.now, input, &mut self.outbox);
        self.check_state();
        self.check_outputs();
    }

    fn check_state(&mut self) {
        let due = self.engine.deadline().filter(|&deadline| deadline <= self.now.mono);
        assert_eq!(due, None, "what is due is done");
        let config = Arc::clone(self.engine.config());
        let stats = *self.engine.stats();
        assert!(stats.members_max <= config.members_max(), "{stats:?}");
        assert!(stats.tombstones_max <= config.members_max() / 2 + 64, "{stats:?}");
        let me = self.engine.me().node().addr();
        assert!(self.has_left || self.engine.lists(me), "a node lists itself");
        let members_len = self.engine.members_len();
        let places: Vec<_> = self.engine.members().map(|record| record.place()).collect();
        assert_eq!(places.len(), members_len);
        assert!(places.is_sorted_by(|a, b| a < b), "each member once, in order of the ring");
    }

    fn check_outputs(&mut self) {
        let size = self.engine.config().packet_len_max();
        let mut sends = 0;
        for output in self.outbox.drain() {
            let Output::Send { packet, .. } = output else { continue };
            sends += 1;
            let mut bytes = Vec::new();
            wire::encode(&packet, &mut bytes);
            assert!(bytes.len() <= size, "{:?} exceeds a datagram", packet.kind());
            assert_eq!(wire::decode(&bytes).as_ref(), Ok(packet.as_ref()), "others can read it");
        }
        assert!(sends <= SENDS_MAX, "{sends} packets in answer to one input");
    }
}

/// A datagram as a node without a secret sends it.
fn carrier(packet: &Packet) -> Carrier {
    Carrier::Datagram(wire::encoded_len(packet) + Config::CHECKSUM_LEN)
}

/// The nodes that a script speaks of.
fn addr(host: u8) -> SocketAddr {
    ([10, 0, 0, host], 8000).into()
}

/// What is left of a script.
struct Script<'a>(&'a [u8]);

impl Script<'_> {
    /// Pause, jump of the wall clock, input; `None` at the end.
    fn step(&mut self) -> Option<(Duration, Duration, Input)> {
        loop {
            let [op, from] = self.take()?;
            let pause = self.pause()?;
            let jump = if op & 0x80 == 0 { Duration::ZERO } else { self.pause()? };
            let input = match op & 0x0f {
                0 => Input::Timeout,
                1 => Input::Command(self.command(from)?),
                _ => match self.packet()? {
                    Some(packet) => {
                        let carrier = carrier(&packet);
                        Input::Packet { from: addr(from), carrier, packet }
                    }
                    None => continue,
                },
            };
            return Some((pause, jump, input));
        }
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn text(&mut self) -> Option<String> {
        let [len] = self.take()?;
        let (text, rest) = self.0.split_at_checked(usize::from(len))?;
        self.0 = rest;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    /// From nothing to more than an hour, each size as likely as the others.
    fn pause(&mut self) -> Option<Duration> {
        let bits = u16::from_le_bytes(self.take()?);
        Some(Duration::from_nanos(u64::from(bits & 0xfff) << ((bits >> 12) * 2)))
    }

    /// A packet without magic and version; `Some(None)` when it is none.
    fn packet(&mut self) -> Option<Option<Arc<Packet>>> {
        let len = u16::from_le_bytes(self.take()?);
        let (body, rest) = self.0.split_at_checked(usize::from(len))?;
        self.0 = rest;
        Some(wire::decode(&[b"rm\x01", body].concat()).ok().map(Arc::new))
    }

    fn command(&mut self, kind: u8) -> Option<Command> {
        let config = Config::default();
        Some(match kind % 16 {
            0 => Command::Leave,
            1..4 => Command::Stop,
            4..7 => Command::Start,
            7..10 => Command::Seeds(self.take::<4>()?.map(addr).to_vec()),
            10..13 => Command::Publish(Value::new(self.text()?.as_bytes(), &config).ok()?),
            _ => Command::Update(Node::of(addr(0), &self.text()?, &self.text()?).ok()?),
        })
    }
}

/// The part of a script in which a packet arrives, for seeds of a corpus.
pub fn arrival(from: u8, pause: Duration, packet: &Packet) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::encode(packet, &mut bytes);
    let body = &bytes[3..];
    let len = u16::try_from(body.len()).expect("a datagram").to_le_bytes();
    let mut shift = 0;
    let mut left = nanos(pause);
    while left > 0xfff && shift < 15 {
        (left, shift) = (left >> 2, shift + 1);
    }
    let pause = (shift << 12 | left.min(0xfff) as u16).to_le_bytes();
    [&[2, from][..], &pause, &len, body].concat()
}
