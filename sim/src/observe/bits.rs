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

    /// Sets in one row what is set in another.
    pub(crate) fn join_row(&mut self, row: u32, other: u32) {
        for word in 0..self.words_per_row {
            let other = self.words[other as usize * self.words_per_row + word];
            self.words[row as usize * self.words_per_row + word] |= other;
        }
    }

    pub(crate) fn clear_row(&mut self, row: u32) {
        let start = row as usize * self.words_per_row;
        self.words[start..start + self.words_per_row].fill(0);
    }

    fn word(&self, row: u32, column: u32) -> usize {
        row as usize * self.words_per_row + column as usize / 64
    }
}

fn bit(column: u32) -> u64 {
    1 << (column % 64)
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
            steps in prop::collection::vec((0_u32..3, 0_u32..130, any::<bool>()), 0..200),
        ) {
            let mut matrix = BitMatrix::new(3, 130);
            let mut pairs = std::collections::BTreeSet::new();
            for (row, column, set) in steps {
                let pair = (row, column);
                let (said, changed) = match set {
                    true => (matrix.set(row, column), pairs.insert(pair)),
                    false => (matrix.clear(row, column), pairs.remove(&pair)),
                };
                prop_assert_eq!(said, changed);
            }
            for row in 0..3 {
                for column in 0..130 {
                    prop_assert_eq!(matrix.has(row, column), pairs.contains(&(row, column)));
                }
                let of_row = pairs.range((row, 0)..(row + 1, 0)).count() as u64;
                prop_assert_eq!(count_without(matrix.row(row), &[0; 3]), of_row);
            }
            let only_first = pairs.iter().filter(|&&(r, c)| r == 0 && !pairs.contains(&(1, c)));
            prop_assert_eq!(count_without(matrix.row(0), matrix.row(1)), only_first.count() as u64);
        }
    }
}
