//! The listed members in order of their places on the ring, sorted only when somebody asks.

use super::roster::{Directory, NodeIx};

/// Members in ring order, with changes that are not yet put in place.
///
/// A list that grows by thousands at once would move its tail for each of them; so additions and
/// removals wait, and are merged when the order is next needed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ring {
    sorted: Vec<NodeIx>,
    added: Vec<NodeIx>,
    removed: Vec<NodeIx>,
}

impl Ring {
    /// How many members there are.
    pub(crate) fn len(&self) -> usize {
        self.sorted.len() + self.added.len() - self.removed.len()
    }

    /// Adds a node that is not a member.
    pub(crate) fn insert(&mut self, node: NodeIx) {
        match self.removed.iter().position(|&removed| removed == node) {
            Some(at) => drop(self.removed.swap_remove(at)),
            None => self.added.push(node),
        }
    }

    /// Removes a node that is a member.
    pub(crate) fn remove(&mut self, node: NodeIx) {
        match self.added.iter().position(|&added| added == node) {
            Some(at) => drop(self.added.swap_remove(at)),
            None => self.removed.push(node),
        }
    }

    /// All members in order of the ring; asks for [`Ring::sort`] after a change.
    pub(crate) fn sorted(&self) -> &[NodeIx] {
        assert!(self.added.is_empty() && self.removed.is_empty(), "changes are put in place first");
        &self.sorted
    }

    /// Puts the changes in place.
    pub(crate) fn sort(&mut self, directory: &Directory) {
        if !self.removed.is_empty() {
            self.removed.sort_unstable();
            let removed = std::mem::take(&mut self.removed);
            self.sorted.retain(|node| removed.binary_search(node).is_err());
        }
        if !self.added.is_empty() {
            // Most are in order already, which this sort makes use of. The address decides
            // between two that were made to share a place.
            self.sorted.append(&mut self.added);
            self.sorted.sort_by(|&a, &b| {
                let by_place = directory.place(a).cmp(&directory.place(b));
                by_place.then_with(|| directory.addr(a).cmp(&directory.addr(b)))
            });
        }
    }
}
