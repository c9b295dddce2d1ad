//! How rumors go out: in slices that leave a Go node nothing to multiply.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use super::engine::{JoinPhase, LegacyEngine};
use super::packet::{Carried, Kind, LegacyPacket, mark};
use crate::core::{Event, Metadata, Outbox, Output};
use crate::time::Now;

impl LegacyEngine {
    /// Tells all listed members of something of ours, and those who may be coming back.
    pub(super) fn tell(
        &mut self,
        now: Now,
        kind: Kind,
        metadata: Carried,
        out: &mut Outbox<LegacyPacket>,
    ) {
        let cycle = self.config.cycle();
        let mut others = self.peers.returning(now.mono, cycle);
        let mut packet = self.packet(kind, metadata);
        packet.infected.extend(others.iter().map(|&addr| mark(addr)));
        packet.infected.extend(self.peers.marks(now.mono, cycle));
        others.extend(self.peers.listed().map(|(addr, _)| addr));
        self.spread(&packet, others, out);
    }

    /// Tells one node that may not know us, and lets it tell whomever we don't know.
    pub(super) fn introduce(&mut self, now: Now, to: SocketAddr, out: &mut Outbox<LegacyPacket>) {
        let mut packet = self.packet(Kind::Beat, Carried::NONE);
        packet.infected.extend(self.peers.marks(now.mono, self.config.cycle()));
        packet.infected.insert(mark(to));
        self.send(to, packet.into(), out);
    }

    /// Passes on what another node said, to whom the copy leaves open and nobody twice.
    pub(super) fn relay(
        &mut self,
        now: Now,
        packet: &LegacyPacket,
        out: &mut Outbox<LegacyPacket>,
    ) {
        let origin = packet.node.addr();
        let open: Vec<_> = self
            .peers
            .listed()
            .filter(|(addr, peer)| *addr != origin && !packet.infected.contains(&peer.mark))
            .map(|(addr, _)| addr)
            .collect();
        let cycle = self.config.cycle();
        let Some(peer) = self.peers.get_mut(origin) else { return };
        let window = if packet.kind == Kind::Publish {
            peer.publishes.of_publish(now.mono, packet.metadata.update);
            &mut peer.publishes
        } else {
            peer.beats.of_beat(now.mono, cycle);
            &mut peer.beats
        };
        let targets: Vec<_> = open.into_iter().filter(|&addr| window.told.insert(addr)).collect();
        let mut packet = packet.clone();
        let marks = targets.iter().filter_map(|&addr| self.peers.get(addr));
        packet.infected.extend(marks.map(|peer| peer.mark.clone()));
        packet.infected.extend([mark(origin), mark(self.me.node().addr())]);
        self.spread(&packet, targets, out);
    }

    /// Sends a rumor that marks all of `targets` to one of each slice of them, with the marks of
    /// the rest of the slice taken off.
    fn spread(
        &mut self,
        packet: &LegacyPacket,
        mut targets: Vec<SocketAddr>,
        out: &mut Outbox<LegacyPacket>,
    ) {
        self.rng.shuffle(&mut targets);
        for slice in targets.chunks(self.slice_len(targets.len())) {
            let (&to, rest) = slice.split_first().expect("a chunk is not empty");
            let mut packet = packet.clone();
            let rest: BTreeSet<_> = rest.iter().map(|&addr| mark(addr)).collect();
            packet.infected.retain(|mark| !rest.contains(mark));
            if packet.kind == Kind::Publish && !self.fits(&packet) {
                self.hand_over(slice, &packet.metadata, out);
            } else {
                self.send(to, packet.into(), out);
            }
        }
    }

    /// How many nodes one packet is for, so that a Go node adds none to their number of packets.
    fn slice_len(&self, targets: usize) -> usize {
        let fan_out = self.config.fan_out();
        match self.phase {
            // Go nodes then know members that we don't, and tell these in their own way.
            JoinPhase::Joining { .. } => targets.div_ceil(fan_out).max(1),
            JoinPhase::Settled if targets <= fan_out => 1,
            JoinPhase::Settled => fan_out + 1,
        }
    }

    /// Tells each of these directly: a swap answer takes no marks, so a large value has room.
    fn hand_over(&mut self, to: &[SocketAddr], metadata: &Carried, out: &mut Outbox<LegacyPacket>) {
        let packet = Arc::new(self.packet(Kind::SwapAnswer, metadata.clone()));
        for &to in to {
            self.send(to, Arc::clone(&packet), out);
        }
    }

    /// A packet of ours, with ourselves as the only mark in a rumor.
    pub(super) fn packet(&self, kind: Kind, metadata: Carried) -> LegacyPacket {
        let node = self.me.node().clone();
        let infected = match kind {
            Kind::Beat | Kind::Publish => BTreeSet::from([mark(node.addr())]),
            Kind::SwapRequest | Kind::SwapAnswer => BTreeSet::new(),
        };
        LegacyPacket { node, infected, metadata, kind, secret_key: self.secret_key.clone() }
    }

    fn fits(&self, packet: &LegacyPacket) -> bool {
        packet.encoded_len() < self.config.size()
    }

    /// The only way out: what a Go node would cut off is not sent.
    pub(super) fn send(
        &mut self,
        to: SocketAddr,
        packet: Arc<LegacyPacket>,
        out: &mut Outbox<LegacyPacket>,
    ) {
        if self.fits(&packet) {
            out.push(Output::Send { to, packet, class: self.class() });
        } else {
            self.stats.packets_too_large += 1;
        }
    }

    /// True when the list has room for this node; if not, the service is told: once for the marks
    /// of one more in a packet, and of `members_max` once until there was room.
    pub(super) fn has_room(&mut self, addr: SocketAddr, out: &mut Outbox<LegacyPacket>) -> bool {
        let members = self.peers.listed_len() + 1;
        let beat = self.packet(Kind::Beat, Carried::NONE).encoded_len();
        let fits = beat + self.peers.marks_len_with(addr) < self.config.size();
        let is_full = members >= self.config.members_max();
        let has_room = fits && !is_full;
        if !has_room {
            self.stats.records_over_limit += 1;
        }
        if is_full && !self.told_full {
            out.event(Event::ListFull { members_max: self.config.members_max() });
        }
        self.told_full = is_full;
        if !fits && !self.told_too_large {
            self.told_too_large = true;
            out.event(Event::ClusterTooLarge { members, size: self.config.size() });
        }
        has_room
    }
}

impl From<&Metadata> for Carried {
    fn from(metadata: &Metadata) -> Self {
        Self { data: Some(Arc::clone(metadata.data())), update: metadata.version().nanos }
    }
}
