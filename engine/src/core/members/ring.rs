//! The listed members in order of their places on the ring, sorted only when somebody asks.

use super::roster::{Interner, NodeIx};
use std::cell::{OnceCell, RefCell};

/// Members in ring order.
///
/// A list that grows by thousands at once would move its tail for each of them; so what changes
/// waits, and is put in place by the first who reads. A reader never sees what waits.
#[derive(Clone, Debug, Default)]
pub(super) struct Ring {
    /// In order; empty while changes wait.
    sorted: OnceCell<Vec<NodeIx>>,
    waiting: RefCell<Waiting>,
}

/// What was in order, and the changes since.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waiting {
    sorted: Vec<NodeIx>,
    added: Vec<NodeIx>,
    removed: Vec<NodeIx>,
}

impl Ring {
    /// These, which are in order.
    pub(super) fn of(sorted: &[NodeIx]) -> Self {
        Self { sorted: OnceCell::from(sorted.to_vec()), ..Self::default() }
    }

    /// Room for so many members before any must move.
    pub(crate) fn with_capacity(members: usize) -> Self {
        Self { sorted: OnceCell::from(Vec::with_capacity(members)), ..Self::default() }
    }

    /// How many members there are.
    pub(super) fn len(&self) -> usize {
        self.sorted.get().map_or_else(|| self.waiting.borrow().len(), Vec::len)
    }

    /// Adds a node that is not a member.
    pub(super) fn insert(&mut self, node: NodeIx) {
        let Waiting { added, removed, .. } = self.change();
        match removed.iter().position(|&removed| removed == node) {
            Some(at) => drop(removed.swap_remove(at)),
            None => added.push(node),
        }
    }

    /// Removes a node that is a member.
    pub(super) fn remove(&mut self, node: NodeIx) {
        let Waiting { added, removed, .. } = self.change();
        match added.iter().position(|&added| added == node) {
            Some(at) => drop(added.swap_remove(at)),
            None => removed.push(node),
        }
    }

    fn change(&mut self) -> &mut Waiting {
        let waiting = self.waiting.get_mut();
        if let Some(sorted) = self.sorted.take() {
            waiting.sorted = sorted;
        }
        waiting
    }

    /// All members in order of the ring.
    pub(super) fn sorted(&self, interner: &Interner) -> &[NodeIx] {
        self.sorted.get_or_init(|| self.waiting.take().into_sorted(interner))
    }
}

impl Waiting {
    fn len(&self) -> usize {
        self.sorted.len() + self.added.len() - self.removed.len()
    }

    /// Puts the changes in place.
    fn into_sorted(mut self, interner: &Interner) -> Vec<NodeIx> {
        if !self.removed.is_empty() {
            self.removed.sort_unstable();
            self.sorted.retain(|node| self.removed.binary_search(node).is_err());
        }
        if !self.added.is_empty() {
            self.added.sort_unstable_by(|&a, &b| interner.compare_places(a, b));
            self.merge(interner);
        }
        self.sorted
    }

    /// Moves the added ones to their places, the last one first, so that each of the others moves
    /// once. Where many are added, the place of each is near that of the one before.
    fn merge(&mut self, interner: &Interner) {
        let mut behind = self.sorted.len();
        self.sorted.reserve_exact(self.added.len());
        self.sorted.resize(behind + self.added.len(), NodeIx::default());
        while let Some(node) = self.added.pop() {
            let before = |&other: &NodeIx| interner.compare_places(other, node).is_lt();
            let at = partition_point_near(&self.sorted[..behind], behind, before);
            self.sorted.copy_within(at..behind, at + self.added.len() + 1);
            self.sorted[at + self.added.len()] = node;
            behind = at;
        }
    }
}

/// As [`slice::partition_point`], but fastest when the point is near a guess.
pub(super) fn partition_point_near<T>(
    items: &[T],
    guess: usize,
    is_before: impl Fn(&T) -> bool,
) -> usize {
    let (mut first, mut behind, mut step) = (0, items.len(), 1);
    if guess < items.len() && is_before(&items[guess]) {
        first = guess + 1;
        while first + step <= items.len() && is_before(&items[first + step - 1]) {
            first += step;
            step *= 2;
        }
        behind = behind.min(first + step - 1);
    } else {
        behind = behind.min(guess);
        while behind >= step && !is_before(&items[behind - step]) {
            behind -= step;
            step *= 2;
        }
        first = first.max((behind + 1).saturating_sub(step));
    }
    first + items[first..behind].partition_point(is_before)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::core::{Record, SharedRecords};
    use crate::node::{Generation, Node};

    fn record(port: u16) -> Arc<Record> {
        Arc::new(Record::new(Node::at(([10, 0, 0, 1], port).into()), Generation::default()))
    }

    proptest! {
        #[test]
        fn a_point_is_found_from_any_guess(
            len in 0..70_usize,
            before in 0..70_usize,
            guess in 0..80_usize,
        ) {
            let items: Vec<_> = (0..len).collect();
            let is_before = |&item: &usize| item < before;
            let expected = items.partition_point(is_before);
            prop_assert_eq!(partition_point_near(&items, guess, is_before), expected);
        }

        #[test]
        fn changes_in_any_order_leave_the_members_in_order_of_the_ring(
            changes in prop::collection::vec((1..60_u16, 0..4_u8), 1..120),
            shared in 0..60_u16,
        ) {
            let roster = SharedRecords::of((1..=shared).map(record));
            let mut interner = Interner::new(Arc::new(roster));
            let (mut ring, mut listed) = (Ring::default(), Vec::new());
            for (port, then) in changes {
                let (_, node) = interner.intern(&record(port));
                match listed.iter().position(|&other| other == node) {
                    Some(at) => {
                        listed.swap_remove(at);
                        ring.remove(node);
                    }
                    None => {
                        listed.push(node);
                        ring.insert(node);
                    }
                }
                prop_assert_eq!(ring.len(), listed.len());
                if then == 0 {
                    let mut expected = listed.clone();
                    expected.sort_by_key(|&node| (interner.place(node), interner.addr(node)));
                    prop_assert_eq!(ring.sorted(&interner), &expected[..]);
                }
            }
        }
    }
}
