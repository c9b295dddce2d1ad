//! Marks: which members wait for the next relay, in a bit each.

use super::roster::NodeIx;

/// A set of nodes that are marked.
#[derive(Clone, Debug, Default)]
pub(super) struct Dirty {
    /// The lowest bit of the first word stands for the first node.
    words: Vec<u64>,
    len: usize,
}

impl Dirty {
    /// Marks a node; true when it was not marked before.
    pub(crate) fn set(&mut self, node: NodeIx) -> bool {
        let (at, bit) = Self::place_of(node);
        if self.words.len() <= at {
            self.words.resize(at + 1, 0);
        }
        let fresh = self.words[at] & bit == 0;
        self.words[at] |= bit;
        self.len += usize::from(fresh);
        fresh
    }

    /// Takes the mark off a node; true when it was there.
    pub(super) fn take(&mut self, node: NodeIx) -> bool {
        let (at, bit) = Self::place_of(node);
        let Some(word) = self.words.get_mut(at) else { return false };
        let marked = *word & bit != 0;
        *word &= !bit;
        self.len -= usize::from(marked);
        marked
    }

    /// How many are marked.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Takes the marks off all nodes, in order of their numbers.
    pub(super) fn take_all(&mut self, mut each: impl FnMut(NodeIx)) {
        self.len = 0;
        for (at, word) in (0..).zip(&mut self.words) {
            let mut left = std::mem::take(word);
            while left != 0 {
                each(NodeIx::of(at * 64 + left.trailing_zeros()));
                left &= left - 1;
            }
        }
    }

    fn place_of(node: NodeIx) -> (usize, u64) {
        (node.index() / 64, 1 << (node.index() % 64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set(steps in prop::collection::vec((any::<bool>(), 0..200_u32), 0..300)) {
            let (mut marks, mut set) = (Dirty::default(), BTreeSet::new());
            for (marked, at) in steps {
                let node = NodeIx::of(at);
                match marked {
                    true => prop_assert_eq!(marks.set(node), set.insert(at)),
                    false => prop_assert_eq!(marks.take(node), set.remove(&at)),
                }
                prop_assert_eq!(marks.len(), set.len());
            }
            let mut left = Vec::new();
            marks.take_all(|node| left.push(node));
            prop_assert_eq!(left, set.into_iter().map(NodeIx::of).collect::<Vec<_>>());
            marks.take_all(|node| panic!("{node:?} is marked still"));
            prop_assert_eq!(marks.len(), 0);
        }
    }
}
