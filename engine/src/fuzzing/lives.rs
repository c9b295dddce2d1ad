//! Scripts that an engine lives: packets, commands and pauses, in any order.

use std::sync::Arc;
use std::time::Duration;

use super::packets::Overheard;
use super::script::{Script, addr};
use super::subject::{FuzzSubject, datagram};
use crate::config::{Config, Liveness};
use crate::core::{Carrier, Command, EntryKey, Input, Packet, Terms, Value};
use crate::time::nanos;
use crate::wire;

/// Takes any bytes for settings and a script, and has an engine live it.
pub fn handle(bytes: &[u8]) {
    let mut script = Script(bytes);
    let Some(config) = script.settings(FuzzSubject::MEMBERS_MAX) else { return };
    live(script, &config.build().expect("a valid configuration"));
}

/// The same for an engine that probes.
pub fn probes(bytes: &[u8]) {
    let mut script = Script(bytes);
    let Some(config) = script.settings(FuzzSubject::MEMBERS_MAX) else { return };
    live(script, &config.liveness(Liveness::Probes).build().expect("a valid configuration"));
}

fn live(mut script: Script<'_>, config: &Config) {
    let mut subject = FuzzSubject::of(config.clone());
    let mut overheard = Overheard::default();
    while let Some(step) = script.step(config, &mut overheard) {
        for sent in subject.live(step.pause, step.jump, step.input) {
            overheard.hear(&sent.packet);
        }
    }
}

/// One line of a script.
pub(super) struct Step {
    pub(super) pause: Duration,
    /// What the wall clock is set ahead by.
    pub(super) jump: i64,
    pub(super) input: Input,
}

impl Script<'_> {
    /// What comes next.
    pub(super) fn step(&mut self, config: &Config, overheard: &mut Overheard) -> Option<Step> {
        loop {
            let [op, from] = self.take()?;
            let pause = self.pause()?;
            let jump = if op & 0x80 == 0 { 0 } else { self.jump()? };
            let packet = match op & 0x0f {
                0 if op & 0x20 != 0 => {
                    let input = Input::StreamFailed { to: addr(from % 8) };
                    return Some(Step { pause, jump, input });
                }
                0 => return Some(Step { pause, jump, input: Input::Timeout }),
                1 => {
                    let input = Input::Command(self.command(from, config)?);
                    return Some(Step { pause, jump, input });
                }
                2 => self.encoded()?,
                3..6 => overheard.again(self)?,
                _ => Some(overheard.packet(self)?),
            };
            // What nobody could send is not worth a step.
            if let Some(packet) = packet.filter(|packet| can_be_sent(packet, config)) {
                let from = addr(if op & 0x40 == 0 { from % 8 } else { from });
                let carrier = match op & 0x20 {
                    0 => datagram(&packet, config),
                    _ => Carrier::Stream,
                };
                let input = Input::Packet { from, carrier, packet };
                return Some(Step { pause, jump, input });
            }
        }
    }

    /// A packet without its magic; `Some(None)` when it is none.
    fn encoded(&mut self) -> Option<Option<Arc<Packet>>> {
        let len = u16::from_le_bytes(self.take()?);
        let body = self.bytes(len.into())?;
        Some(wire::decode(&[b"rm", body].concat()).ok().map(Arc::new))
    }

    /// One of a few keys, the metadata's among them.
    fn key(&mut self) -> Option<EntryKey> {
        let text = self.pick(&["", "a", "b", "services/web"])?;
        Some(EntryKey::new(text).expect("a key"))
    }

    pub(super) fn command(&mut self, kind: u8, config: &Config) -> Option<Command> {
        Some(match kind % 16 {
            0 => Command::Leave,
            1..4 => Command::Stop,
            4..7 => Command::Start,
            7..10 => Command::Seeds(self.some(8, Self::addr)?),
            10..12 => Command::Publish(Value::new(self.data()?, config).ok()?),
            12 => {
                let holders = self.byte()?.into();
                Command::PublishTo(Value::new(self.data()?, config).ok()?, holders)
            }
            13 => Command::Update(self.node()?),
            14 => {
                let ttl = self.pick(&[None, None, Some(1), Some(60)])?.map(Duration::from_secs);
                let terms = Terms { bound: self.below(2)? == 0, ttl };
                match self.below(4)? {
                    0..3 => Command::Put(self.key()?, self.data()?.into(), terms),
                    _ => {
                        let holders = self.byte()?.into();
                        Command::PutTo(self.key()?, self.data()?.into(), terms, holders)
                    }
                }
            }
            _ => Command::Delete(self.key()?),
        })
    }
}

/// Whether a packet comes through the wire to a node of these settings, as it is.
pub(super) fn can_be_sent(packet: &Packet, config: &Config) -> bool {
    let mut bytes = Vec::new();
    wire::encode(packet, &mut bytes);
    match wire::decode_from_stream(&bytes, config.transfer_len_max()) {
        Ok(read) => {
            let read = Packet { skipped: packet.skipped, ..read };
            assert_eq!(read, *packet, "what is read is what was written");
            true
        }
        Err(_) => false,
    }
}

/// The part of a script in which a packet arrives, for seeds of a corpus.
pub fn arrival(from: u8, pause: Duration, packet: &Packet) -> Vec<u8> {
    let mut bytes = Vec::new();
    wire::encode(packet, &mut bytes);
    let body = &bytes[2..];
    let len = u16::try_from(body.len()).expect("a datagram").to_le_bytes();
    let mut shift = 0;
    let mut left = nanos(pause);
    while left > 0xfff && shift < 15 {
        (left, shift) = (left >> 2, shift + 1);
    }
    let pause = (shift << 12 | left.min(0xfff) as u16).to_le_bytes();
    [&[0x42, from][..], &pause, &len, body].concat()
}
