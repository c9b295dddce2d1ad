//! The audience of a rumor: which of the members are told.
//!
//! Newcomers are not while they are a crowd, for they may be invented; and suspects are not told
//! of suspicions, for they hear of it first. Nor are they handed more than their own place of what
//! else is told, for whoever does not answer would be a bad one to tell others. Who speaks version
//! 1 of the wire alone is not told of entries, for which that has no word.

use super::Members;
use super::arcs::RingView;
use super::roster::NodeIx;
use crate::config::WireVersion;
use crate::core::packet::{MembershipUpdate, Subject};

impl Members {
    /// Who is told of something.
    pub(crate) fn recipients(&self, topic: &Subject) -> RingView<'_> {
        let ring = self.ring();
        if let Subject::Membership(MembershipUpdate::Suspected(_)) = topic {
            return RingView::new(ring, &self.suspected[..], &self.interner);
        }
        let is_new = matches!(topic, Subject::Entries(_)) && self.has_old();
        let is_crowded = self.is_crowded();
        let is_left_out =
            |node: &NodeIx| is_crowded && self.is_newcomer(*node) || is_new && self.is_old(*node);
        let left_out = match is_crowded || is_new {
            true => ring.iter().copied().filter(is_left_out).collect(),
            false => Vec::new(),
        };
        RingView::new(ring, left_out, &self.interner).sparing(&self.suspected)
    }

    /// True when a member is listed that speaks version 1 of the wire alone.
    fn has_old(&self) -> bool {
        self.table.digests().old() > 0
    }

    /// True for a member that has no word for what version 2 can say.
    fn is_old(&self, node: NodeIx) -> bool {
        self.interner.speaks(self.row(node).record) == WireVersion::One
    }

    /// Suspects a listed member.
    pub(crate) fn suspect(&mut self, node: NodeIx) {
        assert!(self.is_listed(node), "only what is listed can be suspected");
        if let Err(at) = self.place_among_suspected(node) {
            self.suspected.insert(at, node);
        }
    }

    /// Clears a member of suspicion; true when it was suspected. Who is taken off the list is
    /// cleared at once.
    pub(crate) fn refute(&mut self, node: NodeIx) -> bool {
        if self.suspected.is_empty() {
            return false;
        }
        let at = self.place_among_suspected(node);
        if let Ok(at) = at {
            self.suspected.remove(at);
        }
        at.is_ok()
    }

    /// Clears everybody.
    pub(crate) fn refute_all(&mut self) {
        self.suspected.clear();
    }

    pub(crate) fn is_suspected(&self, node: NodeIx) -> bool {
        !self.suspected.is_empty() && self.place_among_suspected(node).is_ok()
    }

    pub(crate) fn suspected_len(&self) -> usize {
        self.suspected.len()
    }

    fn place_among_suspected(&self, node: NodeIx) -> Result<usize, usize> {
        self.suspected.binary_search_by(|&other| self.compare_places(other, node))
    }
}
