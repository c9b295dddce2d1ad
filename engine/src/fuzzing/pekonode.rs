//! A node among Go nodes: scripts of packets, commands and pauses for its engine.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use super::script::{STARTED, Script, addr};
use crate::config::{Config, Liveness, Swap, Wire};
use crate::core::{Carrier, Command, Input, Outbox, Output, Protocol as _, Record, Value};
use crate::node::{Generation, Node};
use crate::pekonode::{Carried, Kind, LegacyEngine, LegacyPacket, SecretDigest, mark};
use crate::time::{Instant, Now, UnixNanos};
use crate::wire;

/// Most packets in answer to one input, beside one for each member.
const SENDS_MAX: usize = 64;

/// Takes any bytes for settings and a script, and has an engine of pekonode live it.
pub fn pekonode(bytes: &[u8]) {
    let mut script = Script(bytes);
    let Some(mut subject) = Player::of(&mut script) else { return };
    while let Some(()) = subject.live(&mut script) {}
}

/// An engine that is watched.
struct Player {
    engine: LegacyEngine,
    now: Now,
    outbox: Outbox<LegacyPacket>,
    /// What the script said lately.
    said: VecDeque<Arc<LegacyPacket>>,
}

impl Player {
    fn of(script: &mut Script<'_>) -> Option<Self> {
        let [ways] = script.take()?;
        let config = Config::builder()
            .wire(Wire::Pekonode)
            .size([16_384, 8_192][usize::from(ways & 1)])
            .liveness([Liveness::Beats, Liveness::Off][usize::from(ways >> 1 & 1)])
            .swap([Swap::On, Swap::Off][usize::from(ways >> 2 & 1)])
            .fan_out([3, 1, 7, 3][usize::from(ways >> 3 & 3)])
            .build()
            .expect("a valid configuration");
        let now = Now { mono: Instant::from_nanos(1 << 56), wall: UnixNanos(STARTED) };
        let record = Arc::new(Record::new(Node::at(addr(0)), Generation::start(None, now.wall)));
        let engine = LegacyEngine::new(record, &Arc::new(config), 1, now);
        Some(Self { engine, now, outbox: Outbox::new(), said: VecDeque::new() })
    }

    /// One line of the script.
    fn live(&mut self, script: &mut Script<'_>) -> Option<()> {
        /// More wakes than this in one pause are a process that was suspended.
        const WAKES_MAX: usize = 64;
        let (op, pause) = (script.byte()?, script.pause()?);
        let jump = if op & 0x80 == 0 { 0 } else { script.jump()? };
        let input = match op & 0x0f {
            0 => Input::Timeout,
            1 => Input::Command(self.command(script)?),
            2..5 => match script.below(8)? {
                place if place < self.said.len() => arriving(Arc::clone(&self.said[place])),
                _ => Input::Timeout,
            },
            _ => arriving(self.packet(script)?),
        };
        let end = self.now.mono + pause;
        for _ in 0..WAKES_MAX {
            match self.engine.deadline().filter(|&deadline| deadline < end) {
                Some(deadline) => self.pass(deadline, Input::Timeout),
                None => break,
            }
        }
        self.now.wall.0 = self.now.wall.0.saturating_add(jump);
        self.pass(end, input);
        Some(())
    }

    fn pass(&mut self, at: Instant, input: Input<LegacyPacket>) {
        let at = at.max(self.now.mono);
        self.now.wall = self.now.wall.saturating_add(at - self.now.mono);
        self.now.mono = at;
        self.engine.handle(self.now, input, &mut self.outbox);
        let due = self.engine.deadline().filter(|&deadline| deadline <= self.now.mono);
        assert_eq!(due, None, "what is due is done");
        let listed: Vec<SocketAddr> =
            self.engine.members().map(|record| record.node().addr()).collect();
        assert_eq!(listed.len(), self.engine.members_len());
        assert!(listed.contains(&addr(0)), "a node lists itself");
        assert!(listed.is_sorted_by(|a, b| a < b), "each member once, in order of address");
        self.check_sends();
    }

    fn check_sends(&mut self) {
        let size = self.engine.config().size();
        let sends_max = SENDS_MAX + self.engine.members_len();
        let (mut sends, mut bytes) = (0, Vec::new());
        for output in self.outbox.drain() {
            let Output::Send { packet, .. } = output else { continue };
            sends += 1;
            bytes.clear();
            wire::pekonode::encode(&packet, &mut bytes);
            assert_eq!(packet.encoded_len(), bytes.len(), "its length is told without encoding");
            let read = wire::pekonode::decode(&bytes, size);
            assert_eq!(read.as_ref(), Ok(packet.as_ref()), "others can read it");
        }
        assert!(sends <= sends_max, "{sends} packets in answer to one input");
    }

    fn command(&self, script: &mut Script<'_>) -> Option<Command> {
        Some(match script.below(16)? {
            0 => Command::Leave,
            1..4 => Command::Stop,
            4..7 => Command::Start,
            7..10 => Command::Seeds(script.some(8, Script::addr)?),
            10..13 => Command::Publish(Value::new(script.data()?, self.engine.config()).ok()?),
            _ => Command::Update(script.node()?),
        })
    }

    /// A packet that comes through the wire, like all that arrive.
    fn packet(&mut self, script: &mut Script<'_>) -> Option<Arc<LegacyPacket>> {
        let made = packet(script)?;
        let mut bytes = Vec::new();
        wire::pekonode::encode(&made, &mut bytes);
        if let Ok(read) = wire::pekonode::decode(&bytes, wire::DATAGRAM_LEN_MAX) {
            assert_eq!(read, made, "what is read is what was written");
        }
        let packet = Arc::new(made);
        self.said.push_front(Arc::clone(&packet));
        self.said.truncate(8);
        Some(packet)
    }
}

fn arriving(packet: Arc<LegacyPacket>) -> Input<LegacyPacket> {
    Input::Packet { from: addr(0), carrier: Carrier::Stream, packet }
}

fn packet(script: &mut Script<'_>) -> Option<LegacyPacket> {
    let kind = script.pick(&[
        Kind::Beat,
        Kind::Beat,
        Kind::Publish,
        Kind::SwapRequest,
        Kind::SwapAnswer,
    ])?;
    let infected = match script.byte()? {
        0..240 => script.some(8, mark_of)?.into_iter().collect(),
        _ => (0..=script.byte()?).map(|host| mark(addr(host))).collect::<BTreeSet<_>>(),
    };
    let data = if script.below(4)? == 0 { None } else { Some(script.data()?.into()) };
    let metadata = Carried { data, update: script.signed()? };
    let secret_key = match script.byte()? {
        0..248 => SecretDigest::default(),
        _ => SecretDigest::of(b"other"),
    };
    Some(LegacyPacket { node: script.node()?, infected, metadata, kind, secret_key })
}

/// An address, or whatever else stands where marks stand.
fn mark_of(script: &mut Script<'_>) -> Option<Box<str>> {
    Some(match script.below(8)? {
        0 => script.text()?.into(),
        _ => mark(script.addr()?),
    })
}
