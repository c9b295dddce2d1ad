//! A dense matrix of bits with whole-row operations.

/// Rows of bits, all of one width.
#[derive(Clone, Debug)]
pub(crate) struct BitMatrix {
    words_per_row: usize,
    words: Vec<u64>,
}

impl BitMatrix {
    pub(crate) fn new(rows: usize, columns: usize) -> Self {
        let words_per_row = columns.div_ceil(64);
        Self { words_per_row, words: vec![0; rows * words_per_row] }
    }

    pub(crate) fn row(&self, row: u32) -> &[u64] {
        let start = row as usize * self.words_per_row;
        &self.words[start..start + self.words_per_row]
    }

    pub(crate) fn has(&self, row: u32, column: u32) -> bool {
        self.words[self.word(row, column)] & bit(column) != 0
    }

    /// Sets a bit; true when it was not set.
    pub(crate) fn set(&mut self, row: u32, column: u32) -> bool {
        let word = self.word(row, column);
        let was = self.words[word] & bit(column) != 0;
        self.words[word] |= bit(column);
        !was
    }

    /// Clears a bit; true when it was set.
    pub(crate) fn clear(&mut self, row: u32, column: u32) -> bool {
        let word = self.word(row, column);
        let was = self.words[word] & bit(column) != 0;
        self.words[word] &= !bit(column);
        was
    }

    pub(crate) fn clear_row(&mut self, row: u32) {
        let start = row as usize * self.words_per_row;
        self.words[start..start + self.words_per_row].fill(0);
    }

    /// Sets in one row what is set in another.
    pub(crate) fn join_row(&mut self, row: u32, other: u32) {
        for word in 0..self.words_per_row {
            let other = self.words[other as usize * self.words_per_row + word];
            self.words[row as usize * self.words_per_row + word] |= other;
        }
    }

    fn word(&self, row: u32, column: u32) -> usize {
        row as usize * self.words_per_row + column as usize / 64
    }
}

fn bit(column: u32) -> u64 {
    1 << (column % 64)
}

/// So many bits, of which these are set.
pub(crate) fn mask(columns: usize, set: impl Iterator<Item = u32>) -> Box<[u64]> {
    let mut words = vec![0; columns.div_ceil(64)];
    set.for_each(|column| words[column as usize / 64] |= bit(column));
    words.into()
}

pub(crate) fn has(words: &[u64], column: u32) -> bool {
    words[column as usize / 64] & bit(column) != 0
}

/// Sets a bit that is clear, and clears one that is set.
pub(crate) fn flip(words: &mut [u64], column: u32) {
    words[column as usize / 64] ^= bit(column);
}

/// The columns of the bits that are set, in ascending order.
pub(crate) fn ones(words: &[u64]) -> impl Iterator<Item = u32> + '_ {
    (0..).step_by(64).zip(words).flat_map(|(base, &word)| {
        let rest = std::iter::successors(Some(word), |word| Some(word & word.wrapping_sub(1)));
        rest.take_while(|&word| word != 0).map(move |word| base + word.trailing_zeros())
    })
}

/// How many bits are set in `a` and not in `b`.
pub(crate) fn count_without(a: &[u64], b: &[u64]) -> u64 {
    a.iter().zip(b).map(|(a, b)| u64::from((a & !b).count_ones())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_matrix_is_a_set_of_pairs(
            steps in prop::collection::vec((0_u32..3, 0_u32..130, 0_u8..20), 0..200),
        ) {
            let mut matrix = BitMatrix::new(3, 130);
            let mut pairs = std::collections::BTreeSet::new();
            for (row, column, step) in steps {
                match step {
                    0 => {
                        matrix.clear_row(row);
                        pairs.retain(|&(other, _)| other != row);
                    }
                    1 => {
                        matrix.join_row(row, column % 3);
                        let other = pairs.range((column % 3, 0)..(column % 3 + 1, 0));
                        let joined: Vec<_> = other.map(|&(_, column)| (row, column)).collect();
                        pairs.extend(joined);
                    }
                    2..8 => {
                        let was = pairs.remove(&(row, column));
                        prop_assert_eq!(matrix.clear(row, column), was);
                    }
                    _ => prop_assert_eq!(matrix.set(row, column), pairs.insert((row, column))),
                }
            }
            for (row, column) in (0..3).flat_map(|row| (0..130).map(move |column| (row, column))) {
                prop_assert_eq!(matrix.has(row, column), pairs.contains(&(row, column)));
            }
        }

        #[test]
        fn bits_of_one_mask_and_not_of_another_are_counted(
            a in prop::collection::btree_set(0_u32..130, 0..60),
            b in prop::collection::btree_set(0_u32..130, 0..60),
        ) {
            let [left, right] = [&a, &b].map(|set| mask(130, set.iter().copied()));
            prop_assert!(ones(&left).eq(a.iter().copied()));
            prop_assert_eq!(count_without(&left, &right), a.difference(&b).count() as u64);
        }
    }
}
