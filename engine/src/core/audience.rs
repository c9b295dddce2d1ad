//! The audience of a rumor: which of the members are told.
//!
//! Newcomers are not while they are a crowd, for they may be invented; and suspects are not told
//! of suspicions, for they hear of it first and would be bad ones to tell others.

use super::arcs::RingView;
use super::members::Members;
use super::packet::{News, Topic};
use super::roster::NodeIx;

impl Members {
    /// Who is told of something.
    pub(super) fn audience(&self, topic: &Topic) -> RingView<'_> {
        let ring = self.ring();
        if let Topic::Membership(News::Suspected(_)) = topic {
            return RingView::new(ring, &self.doubted[..], &self.directory);
        }
        let is_newcomer = |node: &NodeIx| self.is_newcomer(*node);
        let left_out = match self.is_crowded() {
            true => ring.iter().copied().filter(is_newcomer).collect(),
            false => Vec::new(),
        };
        RingView::new(ring, left_out, &self.directory)
    }

    /// Puts a listed member in doubt.
    pub(super) fn doubt(&mut self, node: NodeIx) {
        assert!(self.is_listed(node), "only what is listed can be doubted");
        if let Err(at) = self.place_among_doubted(node) {
            self.doubted.insert(at, node);
        }
    }

    /// Takes a member out of doubt, if it is listed and was. Who is taken off the list is so at
    /// once.
    pub(super) fn undoubt(&mut self, node: NodeIx) {
        if self.is_listed(node)
            && let Ok(at) = self.place_among_doubted(node)
        {
            self.doubted.remove(at);
        }
    }

    fn place_among_doubted(&self, node: NodeIx) -> Result<usize, usize> {
        self.doubted.binary_search_by(|&other| self.compare_places(other, node))
    }
}
