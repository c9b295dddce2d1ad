//! What an engine gives to be kept over a restart, and takes back.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use super::{Engine, Rooms};
use crate::core::context::Context;
use crate::core::io::{Event, Outbox};
use crate::core::joining::Joiner;
use crate::core::keeping::{HeldMark, KeptState, Moment, MomentMark};
use crate::core::store::Store;
use crate::time::Now;
use crate::wire_version::WireVersion;

impl Engine {
    /// What the node holds now as far as it is to outlast the process: shared, at no cost for what
    /// is held.
    pub fn moment(&self, now: Now) -> Moment {
        let (metadata, entries) = (self.metadata().cloned(), self.ground.entries());
        Moment::of(now, self.moment_mark(), metadata, entries, self.whom_to_remember())
    }

    /// The mark that [`Engine::moment`] would have now.
    pub fn moment_mark(&self) -> MomentMark {
        let held = HeldMark::of(self.metadata(), self.ground.entries());
        let members = self.ground.members().digest(WireVersion::LATEST);
        MomentMark::of(held, self.me().generation(), members)
    }

    /// Takes back what a former life kept, aged by the time since ([`KeptState::aged`]), before the
    /// first input. The node's own generation has to lie above the one that was kept: its writes
    /// are counted anew in each.
    ///
    /// Whom it remembers it dials, beside its seeds, for `redial_for`. What was bound to its former
    /// life is over.
    pub fn take_back(&mut self, now: Now, kept: KeptState, out: &mut Outbox) {
        let (rooms, cx) = (&mut self.rooms, &mut self.ground.context(now, out));
        rooms.take_back(cx, kept);
    }

    /// Members all around the ring, and then those that were lost.
    fn whom_to_remember(&self) -> Arc<[SocketAddr]> {
        let (members, me) = (self.ground.members(), self.me().node().addr());
        let ring = members.ring();
        let step = ring.len().div_ceil(Joiner::LOST_MAX * 3 / 4);
        let listed = ring.iter().step_by(step).map(|&node| members.addr(node));
        let mut met = BTreeSet::from([me]);
        let all = listed.chain(self.rooms.joiner.lost_addrs());
        all.filter(|&addr| met.insert(addr)).take(Joiner::LOST_MAX).collect()
    }
}

impl Rooms {
    fn take_back(&mut self, cx: &mut Context<'_>, kept: KeptState) {
        let me = cx.me.node().addr();
        for addr in kept.members.into_iter().filter(|&addr| addr != me) {
            self.joiner.on_lost(cx, addr);
        }
        if let Some(metadata) = kept.metadata {
            Store::take_back_value(cx, metadata);
        }
        if kept.entries.is_empty() && kept.coverage.is_empty() {
            return;
        }
        let entries = kept.entries.into_iter().map(|aged| (aged.entry, aged.age));
        cx.restore_entries(entries, &kept.coverage);
        cx.end_former_lives();
        Store::watch_ages(cx);
        let shown: Vec<_> = cx
            .entries()
            .into_iter()
            .flat_map(|held| held.view().prefix("", cx.now.mono))
            .cloned()
            .collect();
        for entry in shown.into_iter().filter(|entry| !entry.terms().bound) {
            cx.out.event(Event::Entry(entry));
        }
    }
}
