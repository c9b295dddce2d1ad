//! Who lists whom: rows of bits, of which those that are empty or complete take no room.
//!
//! A matrix of a million nodes by a million would be 125 GB, though all its rows may be alike.

use crate::bits;

/// Node by incarnation.
#[derive(Clone, Debug)]
pub(crate) struct Lists {
    rows: Vec<ListsRow>,
    empty: Box<[u64]>,
    full: Box<[u64]>,
}

#[derive(Clone, Debug)]
enum ListsRow {
    /// No bit is set.
    Empty,
    /// The bits of the full row are.
    Full,
    Own(Box<[u64]>),
}

impl Lists {
    /// Empty rows; a full one will have the bits of `full`.
    pub(crate) fn new(rows: u32, columns: usize, full: impl Iterator<Item = u32>) -> Self {
        Self {
            rows: vec![ListsRow::Empty; rows as usize],
            empty: bits::mask(columns, [].into_iter()),
            full: bits::mask(columns, full),
        }
    }

    pub(crate) fn row(&self, row: u32) -> &[u64] {
        match &self.rows[row as usize] {
            ListsRow::Empty => &self.empty,
            ListsRow::Full => &self.full,
            ListsRow::Own(words) => words,
        }
    }

    /// The full row, when that is what a row is.
    pub(crate) fn is_full(&self, row: u32) -> bool {
        matches!(self.rows[row as usize], ListsRow::Full)
    }

    pub(crate) fn has(&self, row: u32, column: u32) -> bool {
        bits::has(self.row(row), column)
    }

    /// Sets a bit; true when it was not set.
    pub(crate) fn set(&mut self, row: u32, column: u32) -> bool {
        let fresh = !self.has(row, column);
        if fresh {
            self.flip(row, column);
        }
        fresh
    }

    /// Clears a bit; true when it was set.
    pub(crate) fn clear(&mut self, row: u32, column: u32) -> bool {
        let was = self.has(row, column);
        if was {
            self.flip(row, column);
        }
        was
    }

    pub(crate) fn clear_row(&mut self, row: u32) {
        self.rows[row as usize] = ListsRow::Empty;
    }

    pub(crate) fn fill_row(&mut self, row: u32) {
        self.rows[row as usize] = ListsRow::Full;
    }

    fn flip(&mut self, row: u32, column: u32) {
        let row = &mut self.rows[row as usize];
        let mut words = match std::mem::replace(row, ListsRow::Empty) {
            ListsRow::Own(words) => words,
            ListsRow::Full => self.full.clone(),
            ListsRow::Empty => self.empty.clone(),
        };
        bits::flip(&mut words, column);
        *row = ListsRow::Own(words);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use proptest::prelude::*;

    const ROWS: u32 = 3;
    const COLUMNS: u32 = 70;

    proptest! {
        #[test]
        fn rows_hold_what_sets_hold(
            full in prop::collection::btree_set(0..COLUMNS, 0..60),
            steps in prop::collection::vec((0..ROWS, 0..COLUMNS, 0_u8..8), 0..80),
        ) {
            let mut lists = Lists::new(ROWS, COLUMNS as usize, full.iter().copied());
            let mut sets = vec![BTreeSet::new(); ROWS as usize];
            for (row, column, step) in steps {
                let set = &mut sets[row as usize];
                match step {
                    0 => {
                        lists.clear_row(row);
                        set.clear();
                    }
                    1 => {
                        lists.fill_row(row);
                        set.clone_from(&full);
                        prop_assert!(lists.is_full(row));
                    }
                    2..5 => prop_assert_eq!(lists.set(row, column), set.insert(column)),
                    _ => prop_assert_eq!(lists.clear(row, column), set.remove(&column)),
                }
                for row in 0..ROWS {
                    let held: BTreeSet<_> = (0..COLUMNS).filter(|&at| lists.has(row, at)).collect();
                    prop_assert_eq!(&held, &sets[row as usize]);
                    let words = bits::mask(COLUMNS as usize, held.into_iter());
                    prop_assert_eq!(lists.row(row), &words[..]);
                }
            }
        }
    }
}
