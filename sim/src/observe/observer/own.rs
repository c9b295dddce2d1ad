//! What a node says of itself, and whether somebody else says it in its name.

use rumormill::Version;
use rumormill::core::Record;
use rumormill::node::NodeId;
use rumormill::time::Instant;

use super::Observer;
use crate::observe::cast::IncarnationNo;
use crate::observe::truth::State;
use crate::scenario::plan::NodeNo;

impl Observer {
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

    /// Whether an incarnation runs of which packets may speak that nobody sent.
    pub(super) fn is_belied(&self, incarnation: IncarnationNo) -> bool {
        let part = self.cast.part(incarnation);
        let (State::Live(own) | State::Stopped(own)) = self.truth.state(part.node) else {
            return false;
        };
        own == incarnation && self.cast.may_be_forged(self.cast.addr(part.addr))
    }

    /// Whether a record is at the node's own address.
    pub(super) fn is_own(&self, node: NodeNo, record: &Record) -> bool {
        let (State::Live(own) | State::Stopped(own)) = self.truth.state(node) else { return false };
        self.cast.part(own).record.node().addr() == record.node().addr()
    }
}
