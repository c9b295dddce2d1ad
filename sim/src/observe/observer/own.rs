//! What a node says of itself, and holds, and whether somebody else says it in its name.

use std::sync::Arc;

use rumormill::core::{Channel, Entry, Identity, LivenessCheck, NewsAbout, Record, Traced};
use rumormill::node::NodeId;
use rumormill::time::Instant;
use rumormill::{Metadata, Version};

use super::Observer;
use crate::observe::cast::IncarnationNo;
use crate::observe::metadata::Step;
use crate::observe::rumors::Way;
use crate::observe::truth::State;
use crate::scenario::plan::NodeNo;

impl Observer {
    /// A node holds another value.
    pub(super) fn on_published(
        &mut self,
        at: Instant,
        node: NodeNo,
        metadata: &Metadata,
        way: Way,
    ) {
        let version = metadata.version();
        // What one from the future has overtaken, its publisher publishes once more.
        let again = !self.rumors.knows(version) && self.wrote(node, version);
        let way = if again { Way::Source } else { way };
        if way == Way::Source {
            self.agreement.publish(at, version);
            self.staleness.publish(at, version);
            self.rumors.publish(at, node, version);
            let calm = self.laws.calm();
            match self.views.are_true() {
                true => calm.publish(at, version, metadata.data().len(), self.cast.config(node)),
                false => calm.disturb(),
            }
        } else {
            self.laws.receive(at, node, version);
        }
        self.staleness.hold(at, node, version);
        if let Step::Back(before) = self.agreement.hold(&self.truth, node, version) {
            self.laws.went_back(at, node, before, version);
        }
        self.rumors.hold(at, node, version, way);
        if let Some(entries) = &mut self.entries {
            entries.on_published(&self.truth, at, node, (metadata, way));
        }
    }

    /// A node reads something else of a key.
    pub(super) fn on_entry(&mut self, at: Instant, node: NodeNo, entry: &Entry, way: Way) {
        let Some(entries) = &mut self.entries else { return };
        let (key, version) = (entry.key(), entry.stamp().version);
        if entries.on_entry(&self.truth, at, node, (entry, way)) {
            self.rumors.write(at, node, key, version);
        }
        self.rumors.hold_entry(at, node, (key, version), way);
    }

    /// A node tells of no older value than it holds; whom it calls and probes is counted.
    pub(super) fn check_told(&mut self, at: Instant, node: NodeNo, packet: &impl Traced) {
        match packet.liveness_check() {
            Some(LivenessCheck::LastCall) => self.laws.calm().call(node),
            Some(LivenessCheck::Probe) => self.laws.calm().probe(at, node),
            Some(LivenessCheck::Alive | LivenessCheck::ProbeAnswer) | None => {}
        }
        if packet.channel() != Channel::Rumor {
            return;
        }
        let held = self.agreement.version(node);
        for news in packet.carries() {
            if let NewsAbout::Version(told) = news.about
                && held.is_some_and(|held| told < held)
            {
                self.laws.tells_older(at, node, told);
            }
        }
    }

    /// Whether nobody can tell an incarnation from a former one at its address.
    pub(super) fn is_taken_for_another(&self, incarnation: IncarnationNo) -> bool {
        self.identity == Identity::Address && self.cast.same_addr(incarnation)[0] != incarnation
    }

    /// Who lists an address lists whoever runs there now.
    pub(super) fn succeed(&mut self, at: Instant) {
        let cast = Arc::clone(&self.cast);
        for incarnation in std::mem::take(&mut self.successors) {
            let own = cast.node_of(incarnation);
            let former = cast.same_addr(incarnation).iter().filter(|&&part| part < incarnation);
            for &part in former {
                for node in (0..cast.nodes()).filter(|&node| node != own) {
                    if self.views.lists(node, part) {
                        self.unlist(at, node, part);
                        self.relist(node, incarnation);
                    }
                }
            }
        }
    }

    /// A node changed what it says of itself.
    pub(super) fn on_update(&mut self, at: Instant, node: NodeNo, new: &Record) {
        if let State::Live(own) | State::Stopped(own) = self.truth.state(node) {
            self.rumors.update(at, own, new.generation());
        }
    }

    /// Whether a node is the writer of a version.
    pub(super) fn wrote(&self, node: NodeNo, version: Version) -> bool {
        let (State::Live(own) | State::Stopped(own)) = self.truth.state(node) else { return false };
        version.writer == NodeId::of(self.cast.part(own).record.node().addr())
    }

    /// Whether an incarnation is still to come, or runs and packets may speak of it that nobody
    /// sent, or under a number that it never had.
    pub(super) fn is_belied(
        &self,
        at: Instant,
        incarnation: IncarnationNo,
        named: &Record,
    ) -> bool {
        let part = self.cast.part(incarnation);
        if part.start > at {
            return true;
        }
        let (State::Live(own) | State::Stopped(own)) = self.truth.state(part.node) else {
            return false;
        };
        own == incarnation
            && (self.cast.may_be_forged(self.cast.addr(part.addr))
                || named.generation() > part.record.generation()
                    && self.cast.has_forgotten(incarnation))
    }

    /// Whether a record is at the node's own address.
    pub(super) fn is_own(&self, node: NodeNo, record: &Record) -> bool {
        let (State::Live(own) | State::Stopped(own)) = self.truth.state(node) else { return false };
        self.cast.part(own).record.node().addr() == record.node().addr()
    }
}
