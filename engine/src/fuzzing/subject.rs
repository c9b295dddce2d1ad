//! An engine that is watched: whatever comes, it keeps its promises.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::script::{STARTED, addr};
use crate::config::Config;
use crate::core::{
    Carrier, Class, Command, Engine, Input, Outbox, Output, Packet, Record, SharedRecords,
};
use crate::node::{Generation, Node};
use crate::time::{Instant, Now, UnixNanos};
use crate::wire;

/// Most packets that one input may make an engine with a list of at most
/// [`FuzzSubject::MEMBERS_MAX`] send: far more than an honest one does, far less than a weapon.
const SENDS_MAX: usize = 256;

/// An engine that is watched.
#[derive(Debug)]
pub struct FuzzSubject {
    engine: Engine,
    now: Now,
    outbox: Outbox,
    sent: Vec<Sent>,
    has_left: bool,
}

/// A packet that an engine wants sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// To whom.
    pub to: SocketAddr,
    /// What.
    pub packet: Arc<Packet>,
    /// By what.
    pub carrier: Carrier,
}

/// What carries a packet as one datagram.
pub(super) fn datagram(packet: &Packet, config: &Config) -> Carrier {
    Carrier::Datagram(wire::encoded_len(packet) + config.guard_len())
}

impl Default for FuzzSubject {
    fn default() -> Self {
        Self::new()
    }
}

impl FuzzSubject {
    /// Small, so that its limits are met.
    pub const MEMBERS_MAX: usize = 64;

    /// A node of ordinary settings with room for few members.
    pub fn new() -> Self {
        let config = Config::builder().members_max(Self::MEMBERS_MAX);
        Self::of(config.build().expect("a valid configuration"))
    }

    pub(super) fn of(config: Config) -> Self {
        let now = Now { mono: Instant::from_nanos(1 << 56), wall: UnixNanos(STARTED) };
        Self::born(addr(0), Arc::new(config), now)
    }

    /// The node at this address, started at this time.
    pub(super) fn born(at: SocketAddr, config: Arc<Config>, now: Now) -> Self {
        let record = Arc::new(Record::new(Node::at(at), Generation::start(None, now.wall)));
        let engine = Engine::new(record, config, Arc::new(SharedRecords::default()), 1, now);
        Self { engine, now, outbox: Outbox::new(), sent: Vec::new(), has_left: false }
    }

    /// The engine itself.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Sets the wall clock ahead, or back.
    pub(super) fn set_clock(&mut self, jump: i64) {
        self.now.wall.0 = self.now.wall.0.saturating_add(jump);
    }

    /// Lets `pause` pass on both clocks and sets the wall clock ahead or back; wakes the engine
    /// when it wants to be, as a driver does, and then has it take the input. Gives what it sends.
    ///
    /// # Panics
    /// When the engine breaks one of its promises.
    pub fn live(&mut self, pause: Duration, jump: i64, input: Input) -> Vec<Sent> {
        /// More wakes than this in one pause are a process that was suspended.
        const WAKES_MAX: usize = 64;
        let end = self.now.mono + pause;
        for _ in 0..WAKES_MAX {
            match self.engine.deadline().filter(|&deadline| deadline < end) {
                Some(deadline) => self.pass(deadline, Input::Timeout),
                None => break,
            }
        }
        self.set_clock(jump);
        self.pass(end, input);
        std::mem::take(&mut self.sent)
    }

    /// The same at one moment.
    pub(super) fn take(&mut self, at: Instant, input: Input) -> Vec<Sent> {
        self.pass(at, input);
        std::mem::take(&mut self.sent)
    }

    fn pass(&mut self, at: Instant, input: Input) {
        let at = at.max(self.now.mono);
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
        let config = Arc::clone(self.engine.config());
        let (mut sends, mut bytes) = (0, Vec::new());
        for output in self.outbox.drain() {
            let Output::Send { to, packet, class } = output else { continue };
            sends += 1;
            bytes.clear();
            wire::encode(&packet, &mut bytes);
            assert!(packet.len_max() >= bytes.len(), "a bound that is none: {packet:?}");
            let read = match class {
                Class::Datagram => {
                    let size = config.packet_len_max();
                    assert!(bytes.len() <= size, "{:?} exceeds a datagram", packet.kind());
                    wire::decode(&bytes)
                }
                Class::Stream => wire::decode_from_stream(&bytes, config.transfer_len_max()),
            };
            // What it passes on of newer builds is counted again by whoever reads it.
            let read = read.map(|read| Packet { skipped: packet.skipped, ..read });
            assert_eq!(read.as_ref(), Ok(packet.as_ref()), "others can read it");
            let carrier = match class {
                Class::Datagram => datagram(&packet, &config),
                Class::Stream => Carrier::Stream,
            };
            self.sent.push(Sent { to, packet, carrier });
        }
        assert!(sends <= SENDS_MAX, "{sends} packets in answer to one input");
    }
}
