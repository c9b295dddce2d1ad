//! Records by their short ids: the table that every beat is looked up in.
//!
//! IdIndex are hashes already, so their low bits are the place in the table; what finds its place
//! taken stands in the next free one. The table is kept mostly empty, so that nearly every lookup
//! reads one slot and no branch of it is a surprise.

use super::roster::{NodeIx, RecordIx};
use crate::core::beat::RecordId;

/// A record and its node.
pub(crate) type Found = (RecordIx, NodeIx);

/// Records by id; several may share one.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdIndex {
    /// A power of two of them, at least four for each record; or none.
    slots: Vec<Slot>,
    len: usize,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    id: RecordId,
    found: Found,
}

impl Slot {
    fn is_empty(self) -> bool {
        self.found.0 == RecordIx::NONE
    }
}

/// What is known of an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    Nothing,
    One(Found),
    /// Two records or more.
    Ambiguous,
}

impl IdIndex {
    const SLOTS_PER_RECORD: usize = 4;
    const SLOTS_MIN: usize = 16;

    pub(super) fn insert(&mut self, id: RecordId, found: Found) {
        if (self.len + 1) * Self::SLOTS_PER_RECORD > self.slots.len() {
            self.grow();
        }
        self.len += 1;
        self.place(Slot { id, found });
    }

    pub(super) fn remove(&mut self, id: RecordId, ix: RecordIx) {
        let mut at = self.home(id);
        while self.slots[at].found.0 != ix {
            assert!(!self.slots[at].is_empty(), "only what was inserted is removed");
            at = self.after(at);
        }
        self.len -= 1;
        self.close(at);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What is known of an id.
    #[inline(always)]
    pub(crate) fn look(&self, id: RecordId) -> Known {
        let mut known = Known::Nothing;
        if self.len == 0 {
            return known;
        }
        let mut at = self.home(id);
        loop {
            let slot = self.slots[at];
            if slot.is_empty() {
                return known;
            }
            if slot.id == id {
                if known != Known::Nothing {
                    return Known::Ambiguous;
                }
                known = Known::One(slot.found);
            }
            at = self.after(at);
        }
    }

    /// The records with an id.
    pub(super) fn all(&self, id: RecordId) -> impl Iterator<Item = Found> + use<'_> {
        // An empty table has no place to begin at.
        let mut at = if self.len == 0 { usize::MAX } else { self.home(id) };
        std::iter::from_fn(move || {
            loop {
                let slot = *self.slots.get(at)?;
                if slot.is_empty() {
                    return None;
                }
                at = self.after(at);
                if slot.id == id {
                    return Some(slot.found);
                }
            }
        })
    }

    fn home(&self, id: RecordId) -> usize {
        id.0 as usize & (self.slots.len() - 1)
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.slots.len() - 1)
    }

    fn place(&mut self, slot: Slot) {
        let mut at = self.home(slot.id);
        while !self.slots[at].is_empty() {
            at = self.after(at);
        }
        self.slots[at] = slot;
    }

    fn grow(&mut self) {
        let vacant = Slot { id: RecordId(0), found: (RecordIx::NONE, NodeIx::default()) };
        let len = (self.slots.len() * 2).max(Self::SLOTS_MIN);
        let old = std::mem::replace(&mut self.slots, vec![vacant; len]);
        old.into_iter().filter(|slot| !slot.is_empty()).for_each(|slot| self.place(slot));
    }

    /// Empties a slot, and moves up what stands behind it because it was taken.
    fn close(&mut self, mut gap: usize) {
        let mask = self.slots.len() - 1;
        let mut at = self.after(gap);
        while !self.slots[at].is_empty() {
            let home = self.home(self.slots[at].id);
            // Only what would still be found from its home may move.
            if (at.wrapping_sub(home) & mask) >= (at.wrapping_sub(gap) & mask) {
                self.slots[gap] = self.slots[at];
                gap = at;
            }
            at = self.after(at);
        }
        self.slots[gap].found.0 = RecordIx::NONE;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is done to a table: a record comes, or the n-th of those that are there goes.
    #[derive(Clone, Debug)]
    enum Step {
        Insert(u32),
        Remove(prop::sample::Index),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        // Few ids and crowded homes.
        prop_oneof![
            3 => (0..40_u32, 0..3_u32).prop_map(|(low, high)| Step::Insert(high << 30 | low)),
            2 => any::<prop::sample::Index>().prop_map(Step::Remove),
        ]
    }

    proptest! {
        #[test]
        fn it_finds_what_a_plain_list_finds(steps in prop::collection::vec(any_step(), 0..300)) {
            let (mut ids, mut list) = (IdIndex::default(), Vec::<(RecordId, Found)>::new());
            for (at, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Insert(id) => {
                        let (at, node) = (at as u32, NodeIx::default());
                        ids.insert(RecordId(id), (RecordIx::test(at), node));
                        list.push((RecordId(id), (RecordIx::test(at), node)));
                    }
                    Step::Remove(index) if !list.is_empty() => {
                        let (id, found) = list.swap_remove(index.index(list.len()));
                        ids.remove(id, found.0);
                    }
                    Step::Remove(_) => {}
                }
                for (id, _) in &list {
                    let mut all: Vec<_> = ids.all(*id).map(|found| found.0).collect();
                    let of_id = list.iter().filter(|other| other.0 == *id);
                    let mut expected: Vec<_> = of_id.map(|other| other.1.0).collect();
                    all.sort_unstable();
                    expected.sort_unstable();
                    prop_assert_eq!(all, expected);
                }
                prop_assert_eq!(ids.look(RecordId(7 << 20)), Known::Nothing);
            }
        }
    }
}
