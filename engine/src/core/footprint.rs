//! Footprint: how much an engine holds of all that may grow, counted by what is there.
//!
//! A simulation holds it against the limits that the protocol states: counters of our own would
//! agree with our own mistakes.

use std::net::SocketAddr;

use super::engine::Engine;
use crate::node::Generation;

/// How much an engine holds, in numbers of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Members, the node itself included.
    pub members: usize,
    /// Nodes that left or were removed, and are remembered lest old news bring them back.
    pub tombstones: usize,
    /// Rumors that are told or were told lately.
    pub rumors: usize,
    /// Parts of the ring that were handed over, of all rumors.
    pub parts: usize,
    /// Addresses that are dialled because they were lost.
    pub lost: usize,
    /// Membership news that waits for the next relay.
    pub waiting: usize,
    /// Publishers that wait until others hold what they published.
    pub publishers: usize,
}

impl Engine {
    /// How much this engine holds.
    pub fn footprint(&self) -> Footprint {
        let told = &self.telling.told;
        Footprint {
            members: self.members.len(),
            tombstones: self.members.tombstones_len(),
            rumors: told.len(),
            parts: told.iter().map(|told| told.parts.len()).sum(),
            lost: self.dialler.lost_len(),
            waiting: self.relay.waiting_len(),
            publishers: self.holders.waiting_len(),
        }
    }

    /// The generation and the counter of the newest beat that is held of an address, be its node
    /// listed or gone.
    pub fn newest_beat(&self, addr: SocketAddr) -> Option<(Generation, u32)> {
        let node = self.members.node(addr)?;
        let generation = self.members.record(node).generation();
        Some((generation, self.members.counter(node)))
    }
}
