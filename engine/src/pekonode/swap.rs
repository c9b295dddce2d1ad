//! Metadata: taking in what is newer, and the swap that finds what rumors have missed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::engine::{LegacyEngine, LifeStage};
use super::packet::{Carried, Kind, LegacyPacket};
use crate::core::{Answer, Event, Metadata, NotConfirmed, Outbox, Value, Version, digest};
use crate::node::NodeId;
use crate::time::{Now, nanos};

impl LegacyEngine {
    /// How far ahead of our time metadata may lie: further than any two clocks differ, of which one
    /// shows 1970. Anybody can send us anything on this wire, and the end of all times could not be
    /// beaten; this bound can, for it moves on with the time.
    const AHEAD_MAX: Duration = Duration::from_nanos(1 << 61);

    /// What a swap carries before there is metadata, as a Go node has it.
    const INITIAL: fn() -> Carried = || Carried { data: Some([].into()), update: 0 };

    pub(super) fn on_publish(&mut self, now: Now, value: Value, out: &mut Outbox<LegacyPacket>) {
        let held = self.metadata.as_ref();
        match (Metadata::publish(value, held, NodeId::default(), now.wall), held) {
            (Err(_), Some(held)) => out.event(Event::VersionsExhausted(held.version())),
            (published, _) => self.publish(now, published.expect("nothing is above none"), out),
        }
    }

    /// Answers at once: nobody acknowledges on this wire.
    pub(super) fn on_publish_to(
        &mut self,
        now: Now,
        value: Value,
        wanted: usize,
        out: &mut Outbox<LegacyPacket>,
    ) {
        self.on_publish(now, value, out);
        let held = self.metadata.as_ref().expect("a node holds what it has published");
        let version = held.version();
        let unconfirmed = NotConfirmed { version, held_by: 0 };
        out.answer(Answer::Published(if wanted == 0 { Ok(version) } else { Err(unconfirmed) }));
    }

    fn publish(&mut self, now: Now, metadata: Metadata, out: &mut Outbox<LegacyPacket>) {
        let carried = Carried::from(&metadata);
        self.hold(now, metadata, out);
        self.tell(now, Kind::Publish, carried, out);
    }

    fn hold(&mut self, now: Now, metadata: Metadata, out: &mut Outbox<LegacyPacket>) {
        let version = metadata.version();
        self.metadata = Some(metadata.clone());
        out.event(Event::Published(metadata));
        let by = u64::try_from(version.nanos.saturating_sub(now.wall.0)).unwrap_or(0);
        if by > nanos(self.config.clock_skew_max()) {
            self.stats.versions_ahead += 1;
            out.event(Event::VersionAhead { version, by: Duration::from_nanos(by) });
        }
    }

    fn held(&self) -> Carried {
        self.metadata.as_ref().map_or_else(Self::INITIAL, Carried::from)
    }

    /// Takes metadata in if it is newer than ours, be it from the future: Go nodes hold that in any
    /// case and never get rid of it, but what we publish above it replaces it.
    /// Of two values with one time, which Go nodes keep apart for ever, the one with the larger
    /// digest becomes the next version of all.
    pub(super) fn on_metadata(
        &mut self,
        now: Now,
        carried: &Carried,
        out: &mut Outbox<LegacyPacket>,
    ) {
        let held = self.held();
        if carried.update <= 0 || carried.update < held.update {
            return;
        }
        self.stats.updates += 1;
        let data = carried.data.clone().unwrap_or_default();
        let latest = now.wall.saturating_add(Self::AHEAD_MAX).0.min(Version::NANOS_MAX);
        if carried.update > latest || data.len() > self.config.metadata_len_max() {
            self.stats.versions_refused += 1;
            return;
        }
        let version = |nanos, data: &[u8]| {
            let digest = digest(data);
            Version { nanos, writer: NodeId::default(), digest }
        };
        let theirs = version(carried.update, &data);
        let of = |version, data| Metadata::verified(version, data).expect("the digest is its own");
        match &self.metadata {
            Some(ours) if ours.version().nanos == theirs.nanos => {
                if ours.version().digest != theirs.digest {
                    let ours_wins = ours.version() > theirs;
                    let data = if ours_wins { Arc::clone(ours.data()) } else { data };
                    self.publish(now, of(version(theirs.nanos + 1, &data), data), out);
                }
            }
            _ => self.hold(now, of(theirs, data), out),
        }
    }

    /// Once a cycle, with each member in turn, in an order drawn anew each round.
    pub(super) fn on_swap(&mut self, out: &mut Outbox<LegacyPacket>) {
        if let Some(to) = self.next_partner() {
            let packet = self.packet(Kind::SwapRequest, self.held());
            self.send(to, packet.into(), out);
        }
    }

    fn next_partner(&mut self) -> Option<SocketAddr> {
        while let Some(partner) = self.round.pop() {
            if self.peers.lists(partner) {
                return Some(partner);
            }
        }
        self.round = self.peers.listed().map(|(addr, _)| addr).collect();
        self.rng.shuffle(&mut self.round);
        self.round.pop()
    }

    /// Answered if we hold newer. A last call, which no Go node sends, is answered with a beat as
    /// well, for that is what its sender did not hear; a stopped node, which is to be removed, does
    /// not answer it.
    pub(super) fn on_swap_request(
        &mut self,
        now: Now,
        packet: &LegacyPacket,
        out: &mut Outbox<LegacyPacket>,
    ) {
        self.see(now, &packet.node, out);
        self.on_metadata(now, &packet.metadata, out);
        let held = self.held();
        let is_last_call = packet.metadata.update < 0;
        if held.update > packet.metadata.update
            && !(is_last_call && self.life == LifeStage::Stopped)
        {
            let answer = self.packet(Kind::SwapAnswer, held);
            self.send(packet.node.addr(), answer.into(), out);
            if is_last_call {
                self.introduce(now, packet.node.addr(), out);
            }
        }
    }

    pub(super) fn on_swap_answer(
        &mut self,
        now: Now,
        packet: &LegacyPacket,
        out: &mut Outbox<LegacyPacket>,
    ) {
        self.on_metadata(now, &packet.metadata, out);
        let called = self.called_after();
        match self.peers.get_mut(packet.node.addr()) {
            Some(peer) if now.mono - peer.heard >= called => {
                peer.answers = peer.answers.saturating_add(1);
            }
            _ => {}
        }
    }
}
