//! What may be asked of an engine after each input.

use std::net::SocketAddr;
use std::sync::Arc;

use super::Engine;
use crate::config::Config;
use crate::core::agreement::{Agreement, Reach};
use crate::core::dissemination::Retention;
use crate::core::entries::{Entries, EntriesView};
use crate::core::footprint::Footprint;
use crate::core::metadata::Metadata;
use crate::core::record::Record;
use crate::core::stats::Stats;
use crate::node::Generation;

impl Engine {
    /// The node's own incarnation.
    pub fn me(&self) -> &Arc<Record> {
        self.ground.me()
    }

    /// The settings.
    pub fn config(&self) -> &Arc<Config> {
        self.ground.config()
    }

    /// The listed members, itself included, in order of the ring.
    pub fn members(&self) -> impl Iterator<Item = &Arc<Record>> {
        let members = self.ground.members();
        members.ring().iter().map(|&node| members.record(node))
    }

    /// How many members are listed, itself included.
    pub fn members_len(&self) -> usize {
        self.ground.members().len()
    }

    /// True when the node at this address is listed.
    pub fn lists(&self, addr: SocketAddr) -> bool {
        self.ground.members().lists(addr)
    }

    /// The metadata, once there is one.
    pub fn metadata(&self) -> Option<&Metadata> {
        self.ground.metadata()
    }

    /// The entries, once there were any.
    pub fn entries(&self) -> Option<&EntriesView> {
        self.ground.entries().map(Entries::view)
    }

    /// What was counted.
    pub fn stats(&self) -> &Stats {
        self.ground.stats()
    }

    /// True for a seed at which this node itself was met.
    pub fn is_itself(&self, seed: SocketAddr) -> bool {
        self.rooms.joiner.is_itself(seed)
    }

    /// True when the node at this address is listed, or answered as a seed when it was last asked.
    pub fn is_in_touch_with(&self, addr: SocketAddr) -> bool {
        self.rooms.joiner.was_answered_by(addr) || self.lists(addr)
    }

    /// How much this engine holds.
    pub fn footprint(&self) -> Footprint {
        let (members, rooms) = (self.ground.members(), &self.rooms);
        Footprint {
            members: members.len(),
            tombstones: members.tombstones_len(),
            rumors: rooms.spread.rumors_len(Retention::Few),
            goodbyes: rooms.spread.rumors_len(Retention::Goodbyes),
            entry_rumors: rooms.spread.rumors_len(Retention::Entries),
            parts: rooms.spread.parts_len(),
            lost: rooms.joiner.lost_len(),
            waiting: rooms.spread.waiting_len(),
            publishers: rooms.spread.publishers_len(),
        }
    }

    /// The generation and the counter of the newest beat that is held of an address, be its node
    /// listed or gone.
    pub fn newest_beat(&self, addr: SocketAddr) -> Option<(Generation, u32)> {
        let members = self.ground.members();
        let node = members.node(addr)?;
        Some((members.record(node).generation(), members.counter(node)))
    }

    /// How far those that spoke with us lately hold what we hold now.
    pub fn agreement(&self) -> Agreement {
        let members = self.ground.members();
        // Of names that stand for no address yet an engine knows nothing: its driver does.
        let reach = if members.len() == 1 { Reach::Seeking } else { Reach::Others };
        let peers = self.ground.reports().peers(|peer| members.lists(peer));
        Agreement { peers, same: self.same(), reach }
    }

    /// How many of those hold what we hold now.
    pub(crate) fn same(&self) -> usize {
        self.ground.reports().same(|wire| self.ground.holds(wire), |peer| self.lists(peer))
    }
}
